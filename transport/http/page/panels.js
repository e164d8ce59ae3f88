// SPDX-License-Identifier: MIT
// From answers of the service to what the page shows. Nothing is estimated here: numbers are the
// service's, this adds up, divides and formats.

import * as charts from "./charts.js";

export const $ = (id) => document.getElementById(id);

// An element with attributes and children; texts are texts, never markup.
export function h(tag, attributes = {}, ...children) {
  const svg = ["svg", "rect", "path", "title"].includes(tag);
  const e = svg ? document.createElementNS("http://www.w3.org/2000/svg", tag) : document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === undefined || value === null || value === false) continue;
    if (name.startsWith("on")) e.addEventListener(name.slice(2), value);
    else e.setAttribute(name, value === true ? "" : value);
  }
  e.append(...children.flat().filter((c) => c !== null && c !== undefined && c !== false));
  return e;
}

export const show = (where, ...children) => where.replaceChildren(...children.flat().filter(Boolean));

// ---- numbers ----

const whole = new Intl.NumberFormat("en-US");
export const count = (n) => whole.format(n);
export function usd(v) {
  // Cents; below a dollar three significant digits, down to the nanodollar.
  const size = Math.abs(v), digits = size === 0 || size >= 1 ? 2 : Math.max(2, Math.min(9, 2 - Math.floor(Math.log10(size))));
  return `${v < 0 ? "−" : ""}$${size.toLocaleString("en-US", {minimumFractionDigits: digits, maximumFractionDigits: digits})}`;
}
export const nano = (n) => usd(n * 1e-9);
export const share = (v, digits = 1) => `${(100 * v).toFixed(digits)}%`;
export const quality = (v) => v.toFixed(3);
export const span = (ms) => (ms >= 1000 ? `${(ms / 1000).toFixed(ms >= 10000 ? 1 : 2)} s` : `${Math.round(ms)} ms`);
const tokens = (n) => (n >= 1e9 ? `${(n / 1e9).toFixed(2)}G` : n >= 1e6 ? `${(n / 1e6).toFixed(2)}M` : n >= 1e4 ? `${(n / 1e3).toFixed(1)}k` : count(n));
const H24 = {hour: "2-digit", minute: "2-digit", hourCycle: "h23"};
export const clock = (ms) => new Date(ms).toLocaleTimeString([], {...H24, second: "2-digit"});
const moment = (ms) => new Date(ms).toLocaleString([], {month: "short", day: "numeric", ...H24});
const none = (text) => h("p", {class: "none"}, text);
const dash = () => h("span", {class: "away"}, "–");

const latencyOf = (row) => (row.latency_labels > 0 ? row.latency_us / 1000 / row.latency_labels : null);
const costOf = (row) => (row.requests > 0 ? row.cost_nano / row.requests : null);

// A value and its interval on a scale from 0 to 1.
function range(mean, low, high) {
  const x = (v) => (100 * v).toFixed(2);
  return h("svg", {class: "range", viewBox: "0 0 100 8", preserveAspectRatio: "none", "aria-hidden": "true"},
           h("rect", {class: "scale", x: 0, y: 3, width: 100, height: 2}),
           h("rect", {class: "band", x: x(low), y: 1.5, width: x(high - low), height: 5}),
           h("rect", {class: "mark", x: x(Math.min(mean, .985)), y: 0, width: 1.5, height: 8}));
}

// Where there is no room for columns each cell says what it is.
function table(heads, rows) {
  for (const row of rows) [...row.children].forEach((cell, i) => i > 0 && cell.setAttribute("data-head", heads[i][0]));
  return h("table", {class: "stacks"}, h("thead", {}, h("tr", {}, heads.map(([text, kind]) => h("th", {scope: "col", class: kind}, text)))),
           h("tbody", {}, rows));
}
const number = (...content) => h("td", {class: "number"}, ...content);

// ---- figures ----

function figure(id, title, value, sub, more = {}) {
  return h("div", {class: "figure", id: `figure-${id}`}, h("h3", {}, title),
           h("p", {class: `big ${more.tone ?? ""}`, ...more.data}, value), h("p", {class: "sub"}, sub));
}

// What was spent this month, and what it comes to with what the service expects of the rest.
function monthFigure(month, ahead) {
  const known = ahead.usd_to_come !== null, all = month.cost_nano * 1e-9 + (ahead.usd_to_come ?? 0);
  return figure("month", "This month", known ? usd(all) : nano(month.cost_nano),
                known ? `forecast: ${nano(month.cost_nano)} so far, ${tokens(Math.round(ahead.requests_to_come))} requests to come`
                  : "so far; a forecast after an hour of requests", {data: {"data-nano": month.cost_nano}});
}

export function figures(total, savings, stats, config, baseline, month) {
  const t = total, saved = t.baseline_nano - t.cost_nano, target = config.budget.usd_per_request;
  const unpriced = config.models.filter((m) => m.active && !m.free && !m.usd_per_mtok_in && !m.usd_per_mtok_out).map((m) => m.name);
  const out = [
    figure("spend", "Spent", nano(t.cost_nano), t.requests ? `${nano(costOf(t))} a request` : "nothing yet",
           {data: {"data-nano": t.cost_nano}}),
    monthFigure(month, stats.month),
    figure("saved", "Saved",
           t.baseline_nano > 0 ? share(saved / t.baseline_nano) : "–",
           unpriced.length ? `not to be relied on: ${unpriced.join(", ")} ${unpriced.length > 1 ? "have" : "has"} no prices`
             : t.baseline_nano > 0 ? `${nano(saved)} of the ${nano(t.baseline_nano)} that always ${baseline} costs; ${savings.low === null
               ? "too few of its bills for an interval" : `${share(savings.low)} to ${share(savings.high)} by its bills`}` : "nothing to compare with yet",
           {data: {"data-nano": saved}, tone: t.baseline_nano > 0 && !unpriced.length ? (saved >= 0 ? "good" : "bad") : ""}),
    figure("quality", "Quality", t.quality_mean === null ? "–" : quality(t.quality_mean),
           t.quality_mean === null ? "no labels yet"
             : `${quality(t.quality_low)} to ${quality(t.quality_high)}, ${count(t.labels)} labelled`),
    figure("latency", "Latency", latencyOf(t) === null ? "–" : span(latencyOf(t)),
           latencyOf(t) === null ? "none reported yet" : `mean of ${count(t.latency_labels)} reported`),
    figure("requests", "Requests", count(t.requests),
           [t.attempts > t.requests ? `${count(t.attempts - t.requests)} escalated, ` : "",
            `${share(t.requests ? t.failures / t.requests : 0)} failed, ${count(t.refused)} refused`].join(""),
           {data: {"data-count": t.requests}}),
  ];
  if (target > 0)
    out.push(figure("budget", "Budget a request", usd(target),
                    t.requests ? `${share(costOf(t) * 1e-9 / target)} used; a dollar counts ${stats.multiplier.toPrecision(3)} points`
                      : "paced as an average", {tone: t.requests && costOf(t) * 1e-9 > 1.05 * target ? "bad" : ""}));
  show($("figures"), out);
}

// ---- over time ----

// Begins and labels of the columns. Of a period that nothing happened in at first the chart shows
// the end only, so that what there is can be seen.
const COLUMNS_LEAST = 8;
function columns(rows, from, to, hours) {
  const step = hours > 168 ? 86400e3 : 3600e3, at = [];
  const first = rows.reduce((least, r) => Math.min(least, r.bucket_ms), to);
  const begin = Math.max(from, Math.min(first, to - COLUMNS_LEAST * step));
  for (let ms = begin - (begin % step); ms < to; ms += step) at.push(ms);
  const format = hours > 168 ? {month: "short", day: "numeric", timeZone: "UTC"} : hours > 24 ? {weekday: "short", ...H24} : H24;
  return [at, at.map((ms) => new Date(ms).toLocaleString([], format))];
}

// rows are by tier and bucket.
export function overTime(rows, tierNames, from, to, hours, baseline) {
  const [at, labels] = columns(rows, from, to, hours);
  const cell = new Map(rows.map((r) => [`${r.bucket_ms} ${r.tier}`, r]));
  const of = (ms, tier) => cell.get(`${ms} ${tier}`);
  const tiers = tierNames.map((name, rank) => ({name, rank})).filter((t) => rows.some((r) => r.tier === t.name && r.attempts > 0));
  const sum = (ms, field) => tiers.reduce((s, t) => s + (of(ms, t.name)?.[field] ?? 0), 0);
  const empty = rows.some((r) => r.attempts > 0) ? null : "Nothing was decided in this period.";
  const series = (value) => tiers.map((t) => ({...t, values: at.map((ms) => value(of(ms, t.name), ms))}));
  charts.spend(labels, series((r) => (r ? r.cost_nano * 1e-9 : 0)),
               {name: baseline, values: at.map((ms) => (sum(ms, "attempts") ? sum(ms, "baseline_nano") * 1e-9 : null))},
               usd, `Spend by tier, ${labels.length} columns; the table of models has the sums`, empty);
  charts.shares(labels, series((r, ms) => (sum(ms, "attempts") ? (r?.attempts ?? 0) / sum(ms, "attempts") : null)),
                "Share of each tier in the requests over time", empty);
  charts.latency(labels, series((r) => (r ? latencyOf(r) : null)), span, "Mean latency of each tier over time",
                 empty ?? (rows.some((r) => r.latency_labels > 0) ? null : "No latency was reported in this period."));
}

// rows are by bucket.
export function qualityOverTime(rows, from, to, hours) {
  const [at, labels] = columns(rows, from, to, hours);
  const cell = new Map(rows.map((r) => [r.bucket_ms, r]));
  const of = (field) => at.map((ms) => cell.get(ms)?.[field] ?? null);
  charts.quality(labels, of("quality_mean"), of("quality_low"), of("quality_high"),
                 "Mean quality over time with 95% intervals",
                 rows.some((r) => r.labels > 0) ? null : "No quality label in this period yet.");
}

// ---- tables ----

export function models(rows, catalog, tierNames, total) {
  const by = new Map(rows.map((r) => [r.model, r]));
  const price = (v) => `$${v}`;
  const body = catalog.map((m) => {
    const r = by.get(m.name);
    const swatch = h("span", {class: "swatch", "aria-hidden": "true"});
    swatch.style.background = charts.tierColour(tierNames.indexOf(m.tier));
    return h("tr", {class: m.active ? "" : "away"},
      h("th", {scope: "row"}, swatch, m.name, m.active ? null : h("small", {}, "not active")),
      h("td", {}, m.tier),
      number(m.usd_per_mtok_in || m.usd_per_mtok_out ? `${price(m.usd_per_mtok_in)} / ${price(m.usd_per_mtok_out)}`
        : h("span", {class: m.free ? "" : "tag warn"}, m.free ? "free" : "no prices")),
      number(r ? count(r.attempts) : "0"),
      number(r && total.attempts ? share(r.attempts / total.attempts) : dash()),
      number(r ? nano(r.cost_nano) : dash()),
      number(r && costOf(r) !== null ? nano(costOf(r)) : dash()),
      h("td", {}, r && r.labels ? [`${quality(r.quality_mean)} `, h("small", {}, `${quality(r.quality_low)} to ${quality(r.quality_high)}, n=${count(r.labels)}`),
        range(r.quality_mean, r.quality_low, r.quality_high)] : dash()),
      number(r && latencyOf(r) !== null ? span(latencyOf(r)) : dash()),
      number(r && r.requests ? share(r.failures / r.requests) : dash()),
      number(r ? `${tokens(r.input_tokens)} / ${tokens(r.output_tokens)}` : dash()));
  });
  show($("models"), table([["Model"], ["Tier"], ["$ per M in / out", "number"], ["Chosen", "number"],
    ["Share", "number"], ["Spend", "number"], ["A request", "number"], ["Quality"],
    ["Latency", "number"], ["Failed", "number"], ["Tokens in / out", "number"]], body));
}

export function points(rows) {
  return rows.filter((r) => r.labels > 0 && r.requests > 0).map((r) => ({
    x: r.cost_nano * 1e-9 / r.requests, y: r.quality_mean, name: r.model}));
}

export function groups(rows, tierRows, tierNames) {
  const known = rows.filter((r) => r.requests > 0 || r.refused > 0);
  if (known.length === 0 || (known.length === 1 && known[0].group === "")) {
    show($("groups"), none("Requests carry no group here. Applications declare one with \"group\" (a plan, a region, a kind of customer); outcomes are then told apart."));
    return;
  }
  const mix = (name) => {
    const mine = tierRows.filter((r) => r.group === name), all = mine.reduce((s, r) => s + r.attempts, 0);
    return tierNames.map((t) => [t, mine.filter((r) => r.tier === t).reduce((s, r) => s + r.attempts, 0) / all])
      .filter(([, v]) => v > 0).map(([t, v]) => `${share(v, 0)} ${t}`).join(", ");
  };
  const body = known.map((r) => h("tr", {},
    h("th", {scope: "row"}, r.group === "*" ? "(other)" : r.group || "(none declared)"),
    number(count(r.requests)),
    h("td", {}, r.labels ? [`${quality(r.quality_mean)} `, h("small", {}, `${quality(r.quality_low)} to ${quality(r.quality_high)}, n=${count(r.labels)}`),
      range(r.quality_mean, r.quality_low, r.quality_high)] : dash()),
    number(costOf(r) !== null ? nano(costOf(r)) : dash()),
    number(latencyOf(r) !== null ? span(latencyOf(r)) : dash()),
    number(share(r.requests + r.refused ? r.refused / (r.requests + r.refused) : 0)),
    h("td", {}, r.attempts ? mix(r.group) : dash())));
  const told = known.filter((r) => r.labels > 0 && r.group !== "*");
  const gap = told.length > 1 ? Math.max(...told.map((r) => r.quality_mean)) - Math.min(...told.map((r) => r.quality_mean)) : null;
  show($("groups"), table([["Group"], ["Requests", "number"], ["Quality"], ["A request", "number"],
    ["Latency", "number"], ["Refused", "number"], ["Tiers"]], body),
    gap !== null ? h("p", {class: "hint"}, `Largest difference in quality: ${quality(gap)}.`) : null);
}

// ---- budgets ----

function amount(v, unit) {
  return unit === "usd" ? usd(v) : `${tokens(v)} tokens`;
}

function poolUnit(p, unit) {
  const cap = p[`cap_${unit}`];
  if (cap === undefined) return null;
  const used = p[`used_${unit}`], reserved = p[`reserved_${unit}`], forecast = p[`forecast_${unit}`];
  const of = cap > 0 ? used / cap : 1, x = (v) => Math.max(0, Math.min(100, 100 * v / cap));
  const level = p.kill || p.fused || of >= .999 ? "bad" : of >= .8 || forecast > cap ? "warn" : "good";
  const name = p.value === undefined ? p.pool : `${p.pool}: ${p.value}`;
  const bar = h("svg", {viewBox: "0 0 100 10", preserveAspectRatio: "none", role: "img",
                        "aria-label": `${name}: ${share(of)} of ${amount(cap, unit)} used`},
    h("rect", {class: "track", x: 0, y: 2, width: 100, height: 6}),
    cap > 0 ? h("rect", {class: "settled", x: 0, y: 2, width: x(used - reserved), height: 6}) : null,
    cap > 0 ? h("rect", {class: "reserved", x: x(used - reserved), y: 2, width: x(reserved), height: 6}) : null,
    forecast !== undefined ? h("rect", {class: "forecast", x: Math.min(x(forecast), 99.4), y: 0, width: .6, height: 10}) : null);
  return h("div", {class: "pool", "data-level": level},
    h("div", {class: "head"}, h("b", {}, name, " ", p.kill ? h("span", {class: "tag bad"}, "switched off") : p.fused ? h("span", {class: "tag bad"}, "fuse tripped") : null),
      h("span", {}, `${amount(used, unit)} of ${amount(cap, unit)} · ${share(Math.floor(of * 1000) / 1000)}`)),
    bar,
    h("p", {class: "foot"},
      p.window_end_ms ? h("span", {}, `until ${moment(p.window_end_ms)}`) : null,
      reserved > 0 ? h("span", {}, `${amount(reserved, unit)} of it reserved`) : null,
      forecast !== undefined ? h("span", {}, "at this pace ", forecast > cap ? h("b", {}, `${amount(forecast, unit)}, over`) : amount(forecast, unit)) : null,
      p.refusals ? h("span", {}, `${count(p.refusals)} refused`) : null,
      p.overruns ? h("span", {}, `${count(p.overruns)} overruns`) : null));
}

export function pools(answer, stats) {
  const pressed = (p) => (p.kill || p.fused ? Infinity : 0) || Math.max(...["usd", "tokens"].map((u) => (p[`cap_${u}`] > 0 ? p[`used_${u}`] / p[`cap_${u}`] : 0)));
  const most = 12, all = answer.pools.slice().sort((a, b) => pressed(b) - pressed(a));
  $("pools-note").textContent = all.length > most ? `those switched off and nearest to their cap, ${most} of ${count(stats.pools.instances)}` : "";
  if (all.length === 0) show($("pools"), none("No pools are configured: spending has no cap. \"pools\" in the configuration caps dollars or tokens by tenant, user, task or model."));
  else show($("pools"), all.slice(0, most).flatMap((p) => [poolUnit(p, "usd"), poolUnit(p, "tokens")]));
}

// ---- what happened ----

export function alerts(answer) {
  const least = 6;
  const item = (a) => h("li", {"data-level": a.level}, h("b", {}, a.about), h("span", {}, a.text));
  const wanted = answer.now;
  $("alerts").hidden = wanted.length === 0;
  const first = wanted.slice(0, least), rest = wanted.slice(least), more = rest.length + answer.left_off;
  const open = $("alerts-now").querySelector("details")?.open;
  show($("alerts-now"), first.map(item), more > 0 ? h("details", {open},
    h("summary", {}, `and ${count(more)} more`), h("ul", {class: "alerts"}, rest.map(item))) : null);
  show($("lately"), answer.lately.length ? answer.lately.map((n) => h("li", {"data-level": n.level},
    h("time", {datetime: new Date(n.time_ms).toISOString()}, moment(n.time_ms)), h("span", {class: "text"}, n.text)))
    : h("li", {class: "away"}, "Nothing but requests."));
}

// Decisions that somebody reads stay as they are; the list goes on when all are closed.
export function decisions(list, explain) {
  const where = $("decisions"), reading = where.querySelector("details[open]");
  $("decisions-note").textContent = reading ? "held while one is open" : "";
  if (reading) return;
  if (list.length === 0) {
    show(where, none("No decisions yet. Applications ask at POST /v1/route."));
    return;
  }
  const said = (d) => [d.tenant, d.task || d.domain, d.group].filter(Boolean).join(" · ") || "no labels";
  const rows = list.map((d) => {
    const k = d.decision, why = h("div", {class: "why"}, h("p", {class: "away"}, "…"));
    return h("details", {class: "decision", ontoggle: (e) => e.target.open && explain(k.decision_id, why)},
      h("summary", {},
        h("time", {datetime: new Date(d.time_ms).toISOString()}, clock(d.time_ms)),
        h("b", {}, k.model), h("span", {class: "who"}, said(d)),
        h("span", {class: "number chance"}, share(k.propensity)),
        h("span", {class: "number quality"}, quality(k.expected.quality.mean)),
        h("span", {class: "number cost"}, usd(k.expected.cost_usd.mean)),
        h("span", {class: "reasons away"}, k.reasons.join(", ").replaceAll("_", " "))),
      why);
  });
  const focused = document.activeElement?.closest?.(".decision");
  const at = focused ? [...where.querySelectorAll(".decision")].indexOf(focused) : -1;
  show(where, h("div", {class: "heads", "aria-hidden": "true"}, h("span", {}, "Time"), h("span", {}, "Model"), h("span", {}, "For"),
    h("span", {class: "number"}, "Chance"), h("span", {class: "number"}, "Exp. quality"), h("span", {class: "number"}, "Exp. cost"), h("span", {}, "Reasons")), rows);
  if (at >= 0) rows[Math.min(at, rows.length - 1)].querySelector("summary").focus({preventScroll: true});
}
