// Strip charts of the last two minutes.

import { find, setText, svgElement } from "./markup.js";
import { seconds } from "./words.js";

const WINDOW_S = 120;
const PLOT = { width: 240, height: 56 };
const EDGE = 3;
const history = [];

/** The least of 1, 2 or 5 times a power of ten that is not below `value`. */
function ceilingOf(value) {
  const power = 10 ** Math.floor(Math.log10(value || 1));
  return [1, 2, 5, 10].map((factor) => Number((factor * power).toPrecision(1))).find((most) => most >= value);
}

/** Runs of points without a gap, as `[x, y]` in plot units. */
function runsOf(key, ceiling, now) {
  const runs = [[]];
  for (const { at, [key]: value } of history) {
    const x = (1 - (now - at) / WINDOW_S) * PLOT.width;
    if (value == null) runs.push([]);
    else runs.at(-1).push([x, (1 - value / ceiling) * (PLOT.height - 2 * EDGE) + EDGE]);
  }
  return runs.filter((run) => run.length > 1);
}

const pathOf = (run) => "M" + run.map((point) => point.map((value) => value.toFixed(1)).join(" ")).join("L");
const areaOf = (run) => `${pathOf(run)}V${PLOT.height}H${run[0][0].toFixed(1)}Z`;

function drawStrip(id, keys, now, unit) {
  const values = history.flatMap((sample) => keys.map((key) => sample[key] ?? 0));
  const peak = Math.max(0, ...values);
  const ceiling = ceilingOf(peak);
  const shapes = [svgElement("path", { class: "rule", d: `M0 ${PLOT.height / 2}H${PLOT.width}` })];
  keys.forEach((key, index) => {
    for (const run of runsOf(key, ceiling, now)) {
      if (index === 0) shapes.push(svgElement("path", { class: "area", d: areaOf(run) }));
      shapes.push(svgElement("path", { class: `line ${key}`, d: pathOf(run) }));
    }
  });
  find(`${id}-chart`).replaceChildren(...shapes);
  setText(find(`${id}-max`), peak > 0 ? `${ceiling} ${unit}` : "");
  return peak;
}

export function showCharts({ throughput_per_s: throughput, latency_p50_s: p50, latency_p95_s: p95 }) {
  const now = performance.now() / 1000;
  history.push({ at: now, throughput, p50, p95 });
  while (history[0].at < now - WINDOW_S) history.shift();
  const most = drawStrip("throughput", ["throughput"], now, "/s");
  const slowest = drawStrip("latency", ["p50", "p95"], now, "s");
  setText(find("throughput-now"), throughput.toFixed(throughput < 10 ? 2 : 0));
  setText(find("p50-now"), seconds(p50));
  setText(find("p95-now"), seconds(p95));
  describe("throughput-chart", `Throughput: now ${throughput.toFixed(2)}, at most ${most.toFixed(2)} pictures per second.`);
  describe("latency-chart", `Latency: median ${seconds(p50)}, 95th percentile ${seconds(p95)}, at most ${seconds(slowest)}.`);
}

const describe = (id, text) => find(id).setAttribute("aria-label", text);
