// SPDX-License-Identifier: MIT
// The charts, drawn by Chart.js in the page's colours, which follow the system's light or dark.

/* global Chart */
const css = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
export const TIER_COLOURS = 5;
export const tierColour = (i) => css(`--tier-${Math.min(i, TIER_COLOURS - 1)}`);

const made = new Map();

function soft(colour, alpha) {
  const n = parseInt(colour.slice(1), 16);
  return `rgba(${n >> 16}, ${(n >> 8) & 255}, ${n & 255}, ${alpha})`;
}

function without({grid, ticks, ...rest}) {
  return rest;
}

function axis(title, more = {}) {
  return {
    grid: {color: css("--line"), drawBorder: false, drawTicks: false, ...more.grid},
    title: {display: !!title, text: title, color: css("--muted"), font: {size: 11}},
    ...without(more),
    ticks: {color: css("--muted"), font: {size: 11}, padding: 6, maxRotation: 0, maxTicksLimit: 6, ...more.ticks},
  };
}

function options(x, y, tooltip, legend = true) {
  return {
    animation: false, responsive: true, maintainAspectRatio: false, normalized: true,
    interaction: {mode: "index", intersect: false},
    scales: {x, y},
    plugins: {
      legend: {
        display: legend, position: "bottom", align: "start",
        labels: {color: css("--ink"), boxWidth: 7, boxHeight: 7, usePointStyle: true, padding: 12, font: {size: 11.5},
                 filter: (item) => !item.text.startsWith("_")},
      },
      tooltip: {callbacks: tooltip, filter: (item) => !item.dataset.label.startsWith("_")},
    },
  };
}

// Puts a chart on a canvas, or new data into the one that is there; what it says in words is its
// label for who cannot see it. Without data it says so.
function put(id, config, words, empty) {
  const canvas = document.getElementById(id), frame = canvas.parentElement;
  canvas.setAttribute("aria-label", empty ?? words);
  frame.querySelector(".none")?.remove();
  if (empty) {
    const p = document.createElement("p");
    p.className = "none";
    p.textContent = empty;
    frame.append(p);
  }
  const old = made.get(id);
  if (old && old.data.datasets.length === config.data.datasets.length) {
    old.data.labels = config.data.labels;
    config.data.datasets.forEach((d, i) => Object.assign(old.data.datasets[i], d));
    old.options = config.options;
    old.update("none");
    return;
  }
  old?.destroy();
  made.set(id, new Chart(canvas, config));
}

// All charts are made anew with the next figures: the colours have changed.
export function forget() {
  for (const chart of made.values()) chart.destroy();
  made.clear();
}

const timeAxis = () => axis("", {offset: true, grid: {display: false}, ticks: {autoSkip: true, autoSkipPadding: 14, maxTicksLimit: 12}});

export function spend(labels, tiers, baseline, money, words, empty) {
  const datasets = tiers.map((t) => ({
    type: "bar", label: t.name, data: t.values, backgroundColor: tierColour(t.rank), stack: "spend",
    borderRadius: 2, maxBarThickness: 34, order: 2, pointStyle: "rect",
  }));
  datasets.push({
    type: "line", label: `always ${baseline.name}`, data: baseline.values, borderColor: css("--base"),
    backgroundColor: css("--base"), borderWidth: 1.75, borderDash: [5, 4], pointRadius: 2.5, order: 1, pointStyle: "circle",
  });
  put("spend-chart", {data: {labels, datasets}, options: {
    ...options({...timeAxis(), stacked: true},
               {...axis("", {beginAtZero: true, ticks: {callback: money}})},
               {label: (c) => `${c.dataset.label}: ${money(c.parsed.y)}`}),
  }}, words, empty);
}

export function shares(labels, tiers, words, empty) {
  const percent = (v) => `${Math.round(v * 100)}%`;
  put("share-chart", {type: "bar", data: {labels, datasets: tiers.map((t) => ({
    label: t.name, data: t.values, backgroundColor: tierColour(t.rank), stack: "share", maxBarThickness: 34, pointStyle: "rect",
  }))}, options: options({...timeAxis(), stacked: true},
                         {...axis("", {ticks: {callback: percent}}), stacked: true, min: 0, max: 1},
                         {label: (c) => `${c.dataset.label}: ${(c.parsed.y * 100).toFixed(1)}%`})}, words, empty);
}

export function quality(labels, mean, low, high, words, empty) {
  const colour = css("--accent"), known = low.filter((v) => v !== null);
  const floor = known.length ? Math.max(0, Math.floor(Math.min(...known) * 10 - .5) / 10) : 0;
  put("quality-chart", {data: {labels, datasets: [
    {type: "line", label: "quality", data: mean, borderColor: colour, backgroundColor: colour, borderWidth: 2, pointRadius: 3},
    {type: "bar", label: "_interval", data: low.map((v, i) => (v === null ? null : [v, high[i]])), backgroundColor: soft(colour, .28),
     maxBarThickness: 12, borderRadius: 3, borderSkipped: false},
  ]}, options: options(timeAxis(), {...axis(""), min: floor, max: 1}, {
    label: (c) => `${c.parsed.y.toFixed(3)} (${low[c.dataIndex].toFixed(3)} to ${high[c.dataIndex].toFixed(3)})`,
  }, false)}, words, empty);
}

export function latency(labels, tiers, time, words, empty) {
  put("latency-chart", {type: "line", data: {labels, datasets: tiers.map((t) => ({
    label: t.name, data: t.values, borderColor: tierColour(t.rank), backgroundColor: tierColour(t.rank),
    borderWidth: 2, pointRadius: 2.5,
  }))}, options: options(timeAxis(), axis("", {beginAtZero: true, ticks: {callback: time}}),
                         {label: (c) => `${c.dataset.label}: ${time(c.parsed.y)}`})}, words, empty);
}

// Groups of points {x: dollars a request, y: quality, low, high, name}.
export function frontier(groups, money, words, empty) {
  const style = {
    models: {backgroundColor: css("--muted"), pointStyle: "rectRot", radius: 6},
    curve: {borderColor: css("--accent"), backgroundColor: css("--accent"), showLine: true, borderWidth: 2, radius: 3, order: 3},
    now: {backgroundColor: css("--ink"), radius: 6, order: 2},
    then: {backgroundColor: css("--base"), radius: 6, order: 1},
  };
  const datasets = Object.entries(groups).filter(([, g]) => g.points.length).map(([kind, g]) => ({
    type: "scatter", label: g.label, data: g.points, ...style[kind],
  }));
  put("frontier-chart", {data: {datasets}, options: {
    ...options(axis("cost of a request", {beginAtZero: true, ticks: {callback: money, maxTicksLimit: 5}}),
               axis("quality"), {
                 label: (c) => `${c.raw.name}: quality ${c.parsed.y.toFixed(3)} at ${money(c.parsed.x)}`,
               }),
    interaction: {mode: "nearest", intersect: true},
  }}, words, empty);
}
