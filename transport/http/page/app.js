// SPDX-License-Identifier: MIT
// When what is asked for: events say that something has happened, then the figures are fetched
// anew, at most once a second and never more than a fifth of the time, so that many open pages do
// not become a load. Sums are asked one after the other.

import * as charts from "./charts.js";
import * as panels from "./panels.js";
import {$, h, show} from "./panels.js";
import {ask, key, listen} from "./service.js";
import {weightsPanel} from "./weights.js";

const LEAST_MS = 1000, IDLE_MS = 15000, SHARE_OF_TIME = 4;
const KINDS = "decided,feedback,taught,drifted,hull,configured,lens,started";

const seen = {hours: 24, dirty: true, settings: true, busy: false, next: 0, last: 0, after: Infinity, live: false, catalog: null, config: null,
              curves: {models: [], curve: [], now: [], then: []}};

function complain(text) {
  $("trouble").hidden = !text;
  $("trouble").textContent = text ?? "";
}

function setState(level, text) {
  $("state").dataset.level = level;
  if ($("state-text").textContent !== text) $("state-text").textContent = text;
}

// ---- the key ----

function askForKey(why) {
  $("key-panel").hidden = false;
  $("key-button").setAttribute("aria-expanded", "true");
  $("key-why").textContent = why;
  $("key-input").value = key.get();
  $("key-input").focus();
}

function closeKey() {
  $("key-panel").hidden = true;
  $("key-button").setAttribute("aria-expanded", "false");
}

function useKey(value) {
  key.set(value.trim());
  closeKey();
  complain();
  seen.settings = seen.dirty = true;
  seen.next = 0;
  restart();
}

// ---- the figures ----

async function settings() {
  const [models, config, document] = await Promise.all([
    ask("v1/models"), ask("v1/config"), seen.previews === undefined ? ask("v1/openapi.json") : null, weights.refresh()]);
  seen.catalog = models.models;
  seen.config = config.config;
  seen.previews ??= "/v1/whatif" in document.paths;
  seen.settings = false;
}

// What savings are told against: the configured baseline, else the dearest model.
function baselineName() {
  const dearest = seen.catalog.filter((m) => m.active).sort((a, b) => b.usd_per_mtok_in + b.usd_per_mtok_out - a.usd_per_mtok_in - a.usd_per_mtok_out)[0];
  return seen.config.baseline || dearest?.name || "the largest";
}

function drawFrontier() {
  const c = seen.curves;
  charts.frontier({
    models: {label: "models", points: c.models}, curve: {label: "frontier of cost weights", points: c.curve},
    now: {label: "now", points: c.now}, then: {label: "as set", points: c.then},
  }, panels.usd, "Quality against cost: a point for each model", c.models.length ? null : "Needs quality labels.");
}

async function spending(stats) {
  const hours = seen.hours, step = 3600e3, to = stats.clock_ms - (stats.clock_ms % step) + step, from = to - hours * step;
  const bucket = hours > 168 ? "day" : "hour", when = `from=${from}&to=${to}`, name = baselineName();
  const [tiers, month] = await Promise.all([
    ask(`v1/spend?${when}&by=tier&bucket=${bucket}`), ask(`v1/spend?from=${stats.month.start_ms}&to=${to}`)]);
  panels.figures(tiers.total, tiers.savings, stats, seen.config, name, month.total);
  panels.overTime(tiers.rows, seen.config.tiers, from, to, hours, name);
  panels.qualityOverTime((await ask(`v1/spend?${when}&bucket=${bucket}`)).rows, from, to, hours);
  const models = (await ask(`v1/spend?${when}&by=model`)).rows;
  panels.models(models, seen.catalog, seen.config.tiers, tiers.total);
  seen.curves.models = panels.points(models);
  drawFrontier();
  const groups = await ask(`v1/fairness?${when}`);
  panels.groups(groups.rows, (await ask(`v1/spend?${when}&by=group,tier`)).rows, seen.config.tiers);
  return tiers;
}

async function explain(id, where) {
  try {
    const why = await ask(`v1/decisions/${encodeURIComponent(id)}`);
    show(where, h("ul", {}, why.words.map((w) => h("li", {}, w))), h("p", {class: "hint"}, `Decision ${id}, record ${why.record.seq}.`));
  } catch (e) {
    show(where, h("p", {class: "error"}, e.message));
  }
}

async function refresh() {
  const [status, stats, alerts, pools, decisions] = await Promise.all([
    ask("v1/status"), ask("v1/stats"), ask("v1/alerts"), ask("v1/pools?limit=1000"), ask("v1/decisions?limit=20"),
    seen.settings && settings()]);
  weights.trial(status.canary);
  weights.allow(status.role, seen.previews);
  panels.alerts(alerts);
  panels.pools(pools, stats);
  panels.decisions(decisions.decisions, explain);
  const spent = await spending(stats);
  const level = status.status === "serving" ? (seen.live ? "good" : "warn") : "bad";
  setState(level, `${status.status.replace("_", " ")}, policy ${status.policy}, ${seen.live ? "live" : "not live"}`);
  document.body.dataset.seq = spent.seq;
  $("foot").textContent = `Figures as of record ${panels.count(spent.seq)}; hours are counted whole. Store ${status.store_id.slice(0, 8)}, settings of record ${status.config_seq}.`;
}

async function turn() {
  const now = Date.now();
  if (now > seen.after) {
    seen.dirty = true;
    seen.after = Infinity;
  }
  const due = seen.dirty ? seen.next : Math.max(seen.next, seen.last + IDLE_MS);
  if (seen.busy || now < due || document.hidden) return;
  seen.busy = true;
  seen.dirty = false;
  try {
    await refresh();
    complain();
  } catch (e) {
    if (e.status === 401 || e.status === 403) {
      setState("warn", "a key is needed");
      if ($("key-panel").hidden) askForKey(e.status === 401 ? "This service needs a key." : "This key may not read these figures: a reader's or an operator's may.");
      seen.last = Infinity; // until there is another key
    } else {
      setState("bad", "no answer");
      complain(e.status ? e.message : "The service does not answer. This page goes on trying.");
    }
  }
  seen.busy = false;
  seen.last = seen.last === Infinity ? Infinity : Date.now();
  seen.next = Date.now() + Math.max(LEAST_MS, (Date.now() - now) * SHARE_OF_TIME);
}

const weights = weightsPanel({
  policy: () => seen.config.policy,
  days: () => Math.ceil(seen.hours / 24),
  frontier: (kind, points) => {
    seen.curves[kind] = points.filter((p) => p.x !== null && p.y !== null);
    drawFrontier();
  },
  changed: () => { seen.settings = seen.dirty = true; seen.next = 0; },
});

const again = listen(`v1/events?kinds=${KINDS}&gap_ms=${LEAST_MS}`, {
  event: (e) => {
    seen.dirty = true;
    seen.after = Date.now() + 1.5 * LEAST_MS; // what followed within the gap was left out
    if (e.kind === "configured") seen.settings = true;
  },
  state: (live) => {
    seen.dirty ||= live !== seen.live;
    seen.live = live;
  },
});
function restart() {
  seen.last = 0;
  again();
}

for (const radio of document.querySelectorAll("input[name=period]"))
  radio.addEventListener("change", () => {
    seen.hours = Number(radio.value);
    seen.dirty = true;
    seen.next = 0;
  });
$("key-button").addEventListener("click", () => ($("key-panel").hidden ? askForKey("") : closeKey()));
$("key-panel").addEventListener("submit", (e) => {
  e.preventDefault();
  useKey($("key-input").value);
});
$("key-forget").addEventListener("click", () => useKey(""));
$("key-panel").addEventListener("keydown", (e) => {
  if (e.key === "Escape") {
    closeKey();
    $("key-button").focus();
  }
});
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
  charts.forget();
  seen.dirty = true;
  seen.next = 0;
});
document.addEventListener("visibilitychange", () => { seen.next = 0; });
setInterval(turn, 200);
turn();
