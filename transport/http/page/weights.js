// SPDX-License-Identifier: MIT
// The weights: what a change would do, from the log (POST v1/whatif), then the change itself. A
// preview is asked for when the hand rests; the answer that counts is that of the latest question.

import {$, count, h, quality, share, show, span, usd} from "./panels.js";
import {ask, tell} from "./service.js";

const WEIGHTS = [
  {name: "quality", most: 4, about: "points for a perfect answer"},
  {name: "cost", most: 4, about: "points for as many dollars as the scale says"},
  {name: "latency", most: 4, about: "points for a second, or what the scale says"},
  {name: "failure", most: 4, about: "points for a failure"},
];
const FRONTIER = [0, .1, .3, 1, 3, 10, 30]; // times the cost weight
const REST_MS = 400, TRIAL_SHARE = .05;
const METRICS = [
  ["quality", "Quality", quality, 1], ["cost_usd", "Cost of 1,000", (v) => usd(1000 * v), -1],
  ["latency_ms", "Latency", span, -1], ["failure", "Failures", (v) => share(v, 2), -1],
  ["value_per_usd", "Value per dollar", (v) => v.toPrecision(4), 1],
];

// A slider's place is the square root of its share of the range: small weights matter most.
const place = (value, most) => Math.round(1000 * Math.sqrt(Math.min(value, most) / most));
const value = (at, most) => Number((most * (at / 1000) ** 2).toPrecision(3));

export function weightsPanel(on) {
  let inForce = null, known = false, may = false, asked = 0, timer = 0, busy = false, running = null;
  const inputs = {};

  const wanted = () => Object.fromEntries(WEIGHTS.map((w) => [w.name, Number(inputs[w.name].number.value)]));
  const changed = () => inForce && WEIGHTS.some((w) => wanted()[w.name] !== inForce[w.name]);

  const reason = h("input", {type: "text", id: "weights-reason", maxlength: 200, placeholder: "reason", "aria-label": "Reason for the change"});
  const apply = h("button", {type: "submit", class: "primary", id: "weights-apply"}, "Apply");
  const trial = h("button", {type: "button", id: "weights-trial", title: "On 5% of the requests, until one side is shown to be better", onclick: () => tryThem()}, "Try on 5%");
  const reset = h("button", {type: "button", id: "weights-reset", onclick: () => set(inForce)}, "Reset");
  const draw = h("button", {type: "button", id: "weights-frontier", onclick: () => frontier()}, "Draw frontier");
  const message = h("p", {class: "hint", role: "status"});

  function row(w) {
    const id = `weight-${w.name}`;
    const slider = h("input", {type: "range", id, min: 0, max: 1000, step: 1, oninput: () => moved(w, true)});
    const number = h("input", {type: "number", min: 0, step: "any", "aria-label": `${w.name}, number`, oninput: () => moved(w, false)});
    inputs[w.name] = {slider, number};
    return h("div", {class: "weight"}, h("label", {for: id, title: w.about}, w.name[0].toUpperCase() + w.name.slice(1)), slider, number);
  }

  function moved(w, bySlider) {
    const {slider, number} = inputs[w.name];
    if (bySlider) number.value = value(Number(slider.value), w.most);
    else slider.value = place(Number(number.value) || 0, w.most);
    slider.setAttribute("aria-valuetext", number.value);
    state();
    clearTimeout(timer);
    timer = setTimeout(preview, REST_MS);
  }

  function set(weights) {
    for (const w of WEIGHTS) {
      inputs[w.name].number.value = weights[w.name];
      inputs[w.name].slider.value = place(weights[w.name], w.most);
      inputs[w.name].slider.setAttribute("aria-valuetext", weights[w.name]);
    }
    clearTimeout(timer);
    asked++;
    nothing();
    message.textContent = "";
    state();
  }

  const nothing = () => show($("preview"), h("p", {class: "none"}, "Move a weight: what it would have made of the latest decisions is worked out from the log, with intervals. Nothing changes until you apply it."));

  function state() {
    const valid = WEIGHTS.every((w) => inputs[w.name].number.value !== "" && Number(inputs[w.name].number.value) >= 0);
    apply.disabled = !may || !changed() || !valid || busy;
    trial.disabled = apply.disabled || !!running;
    reset.disabled = !changed();
    draw.disabled = !known || busy;
    $("weights-note").textContent = changed() ? "not in force" : "as in force";
  }

  // The service answers one such question at a time.
  async function question(objective) {
    for (let tries = 0; ; tries++) {
      try {
        return (await tell("POST", "v1/whatif", {op: "whatif", change: {objective}, days: on.days()})).report;
      } catch (e) {
        if (e.code !== "overloaded" || tries > 20) throw e;
        await new Promise((go) => setTimeout(go, 300));
      }
    }
  }

  async function preview() {
    if (!changed() || !known) return;
    const mine = ++asked;
    message.textContent = "Looking at the log …";
    try {
      const objective = wanted(), answer = await question(objective);
      if (mine !== asked) return;
      message.textContent = "";
      report(answer);
      $("preview").dataset.of = JSON.stringify(objective);
    } catch (e) {
      if (mine === asked) {
        nothing();
        message.textContent = e.message;
      }
    }
  }

  function line(label, l, format, better) {
    const at = (n) => (n.value === null ? "–" : format(n.value));
    const c = l.change, sign = (v) => (v > 0 ? "+" : v < 0 ? "−" : "") + format(Math.abs(v));
    const sure = l.enough && c.low !== null && (c.low > 0 || c.high < 0);
    const tone = sure ? ((c.value > 0) === (better > 0) ? "better" : "worse") : "";
    return h("tr", {"data-metric": label}, h("th", {scope: "row"}, label), h("td", {class: "number"}, at(l.now)), h("td", {class: "number then"}, at(l.then)),
      h("td", {class: `number change ${better ? tone : ""}`}, c.value === null ? "–" : sign(c.value),
        l.enough ? (c.low === null ? null : h("small", {}, `${sign(c.low)} to ${sign(c.high)}`)) : h("small", {}, "not enough evidence")));
  }

  function report(r) {
    const rows = METRICS.filter(([k]) => r.metrics[k]).map(([k, label, format, better]) => line(label, r.metrics[k], format, better));
    for (const [tier, l] of Object.entries(r.tiers)) rows.push(line(`Share of ${tier}`, l, (v) => share(v), 0));
    const segments = r.fairness?.segments ?? [];
    if (segments.length > 1)
      for (const s of segments) rows.push(line(`Quality, ${s.name || "no group"}`, s.metrics.quality, quality, 1));
    show($("preview"), h("table", {}, h("thead", {}, h("tr", {}, h("th", {scope: "col"}, "What if"), ...["now", "would be", "change, 95%"].map((t) => h("th", {scope: "col", class: "number"}, t)))),
      h("tbody", {}, rows)),
      h("p", {class: "hint"}, `From ${count(r.rows)} decisions, ${count(r.labels)} with a label; ${share(r.moved)} of the requests would go to another model.`,
        r.fairness?.verdict === "broken" ? ` The fairness floor would break: ${r.fairness.why}` : ""));
    on.frontier("now", [point(r, "now")]);
    on.frontier("then", [point(r, "then")]);
  }

  const point = (r, side, name) => ({x: r.metrics.cost_usd[side].value, y: r.metrics.quality[side].value, name: name ?? (side === "now" ? "weights in force" : "weights as set")});

  // Quality and cost over a range of cost weights, all else as set.
  async function frontier() {
    const base = wanted(), at = base.cost || .03, points = [];
    let dark = 0;
    busy = true;
    state();
    try {
      for (const times of FRONTIER) {
        message.textContent = `Looking at the log: ${points.length + dark + 1} of ${FRONTIER.length} …`;
        const r = await question({...base, cost: at * times});
        if (r.metrics.quality.enough && r.metrics.cost_usd.enough) points.push(point(r, "then", `cost weight ${Number((at * times).toPrecision(3))}`));
        else dark++;
        on.frontier("curve", points.slice().sort((a, b) => a.x - b.x));
      }
      message.textContent = dark ? `Of ${dark} of ${FRONTIER.length} cost weights the log says too little to show them.` : "";
    } catch (e) {
      message.textContent = e.message;
    }
    busy = false;
    state();
  }

  function reasoned() {
    if (reason.value.trim()) return true;
    message.textContent = "Say why: the reason is kept with the change.";
    reason.focus();
    return false;
  }

  // The service itself ends a trial, by a test that may be looked at at any time.
  async function setTrial(canary, done) {
    busy = true;
    state();
    try {
      await tell("PUT", "v1/config", {op: "config.set", change: {canary}, reason: reason.value.trim()});
      reason.value = "";
      busy = false;
      set(inForce);
      message.textContent = done;
      on.changed();
    } catch (e) {
      busy = false;
      message.textContent = e.message;
      state();
    }
  }

  function tryThem() {
    if (reasoned()) setTrial({share: TRIAL_SHARE, objective: {...inForce, ...wanted()}, policy: on.policy()}, `On trial on ${share(TRIAL_SHARE, 0)} of the requests.`);
  }

  const bounds = (b) => (b.mean === null ? "not known" : `${signed(b.mean)} (${signed(b.lower)} to ${signed(b.upper)})`);
  const signed = (v) => (v === null ? "?" : `${v < 0 ? "−" : "+"}${Math.abs(v).toFixed(4)}`);
  const stop = h("button", {type: "button", id: "weights-stop", onclick: () => reasoned() && setTrial({share: 0}, "The trial is over.")}, "End the trial");
  const onTrial = h("p", {class: "hint", id: "weights-running", hidden: true});

  async function change(event) {
    event.preventDefault();
    if (!reasoned()) return;
    const before = inForce;
    busy = true;
    state();
    try {
      const answer = await tell("PUT", "v1/weights", {op: "weights.set", weights: wanted(), reason: reason.value.trim()});
      busy = false;
      reason.value = "";
      inForce = answer.weights;
      set(inForce);
      show(message, "In force. ", h("button", {type: "button", id: "weights-undo", onclick: () => {
        set(before);
        reason.value = "back to what was in force before";
        reason.focus();
      }}, "Put the old ones back"));
      on.changed();
    } catch (e) {
      busy = false;
      message.textContent = e.message;
      state();
    }
  }

  const form = $("weights");
  form.addEventListener("submit", change);
  show(form, WEIGHTS.map(row), h("div", {class: "buttons"}, reason, apply, trial, reset, draw), message, onTrial);

  return {
    // The weights in force; sliders that somebody has moved stay where they are.
    async refresh() {
      const now = (await ask("v1/weights")).weights, moving = changed();
      const other = !inForce || WEIGHTS.some((w) => now[w.name] !== inForce[w.name]);
      inForce = now;
      if (other && !moving) set(now);
      state();
    },
    // What the service says of a trial, undefined: there is none.
    trial(canary) {
      running = canary;
      onTrial.hidden = !canary;
      if (canary) {
        const words = `On trial on ${share(canary.share)} of the requests: ${count(canary.decisions[1])} decided by it, ${count(canary.labels)} labels. Against what is in force: reward ${bounds(canary.reward)}, quality ${bounds(canary.quality)}. `;
        if (onTrial.firstChild?.textContent !== words) show(onTrial, words, stop);
        stop.disabled = !may || busy;
      }
    },
    allow(role, previews) {
      may = role === "open" || role === "operator";
      known = previews;
      if (!known) message.textContent = "This service does not preview changes.";
      else if (!may) message.textContent = "Changes need an operator's key; previews do not.";
      state();
    },
  };
}
