// uPlot with our colours, and each plot once more as a table: for those who do not see it, or want the numbers.

import { day, h, number, percent, row, table, time } from "./dom.js";

const drawn = new Map(); // id of the place → a function that draws again

const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
const font = "12px system-ui, sans-serif";

matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => drawn.forEach((draw) => draw()));

/** Puts a plot into `place`: `options(width)` and data as uPlot wants them; it follows the width of the page. */
function put(place, label, height, options, data, details) {
  const figure = h("figure", { class: "plot" });
  const canvas = h("div", { role: "img", "aria-label": label });
  figure.append(canvas, h("details", {}, h("summary", {}, "Numbers"), details));
  place.replaceChildren(figure);
  let plot = null;
  const draw = () => {
    plot?.destroy();
    plot = new uPlot({ width: canvas.clientWidth, height, ...options() }, data, canvas);
  };
  drawn.set(place.id, draw);
  draw();
  new ResizeObserver(() => {
    if (canvas.clientWidth && canvas.clientWidth !== plot.width) plot.setSize({ width: canvas.clientWidth, height });
  }).observe(canvas);
}

const axis = (more) => ({
  stroke: colour("quiet"), font, grid: { stroke: colour("line"), width: 1 }, ticks: { show: false }, ...more,
});

const quietPlot = { legend: { show: false }, cursor: { drag: { x: false, y: false }, points: { show: false } } };

const OUTCOMES = {
  deployed: "deployed", refused: "refused", inconclusive: "too little evidence", awaiting: "awaits approval",
  rejected: "rejected", lapsed: "not approved in time", rolled_back: "rolled back", nothing: "nothing to learn", failed: "failed", running: "under way",
  unfinished: "unfinished",
};
export const outcome = (name) => OUTCOMES[name] ?? name;

/** The nights' success with intervals; the step line is what served in the days after. */
export function successPlot(place, nights) {
  const first = nights.find((night) => night.before !== null);
  const start = first ? [{ label: "before", outcome: "base", value: first.before, low: first.before_low, high: first.before_high }] : [];
  const days = nights.map((night) => day(night.at));
  const shown = [...start, ...nights.map((night, index) => ({
    label: days.filter((each) => each === days[index]).length > 1 ? time(night.at) : days[index], outcome: night.outcome, value: night.success, low: night.low, high: night.high,
  }))];
  let serving = null;
  const served = shown.map((each) => {
    if ((each.outcome === "base" || each.outcome === "deployed") && each.value !== null) serving = each.value;
    return serving;
  });
  const data = [shown.map((_, index) => index), served, shown.map((each) => each.value)];
  const options = () => ({
    ...quietPlot,
    padding: [16, 16, 0, 0],
    scales: {
      x: { time: false, range: [-0.5, Math.max(shown.length - 0.5, 1.5)] },
      y: { range: () => [Math.max(0, Math.floor((lowest(shown) - 0.05) * 10) / 10), 1] },
    },
    axes: [
      axis({ size: 30, grid: { show: false }, incrs: [1, 2, 5, 10, 20], values: (_, ticks) => ticks.map((tick) => shown[tick]?.label ?? "") }),
      axis({ size: 52, values: (_, ticks) => ticks.map((tick) => `${Math.round(tick * 100)} %`) }),
    ],
    series: [
      {},
      { stroke: colour("accent"), width: 2, paths: uPlot.paths.stepped({ align: 1 }), points: { show: false } },
      { stroke: colour("accent"), paths: () => null, points: { show: false } },
    ],
    hooks: { draw: [(plot) => intervals(plot, shown)] },
  });
  const last = shown.findLast((each) => each.value !== null);
  const label = last ? `Success by night: ${percent(last.value)} in the last one that was measured` : "No night was measured yet";
  const details = table("Success by night", ["night", "right answers", "95 % interval", "what came of it"],
    shown.map((each) => row(each.label, percent(each.value),
      each.low === null ? "–" : `${percent(each.low)} to ${percent(each.high)}`,
      each.outcome === "base" ? "bare base model" : outcome(each.outcome))));
  put(place, label, 340, options, data, details);
}

const lowest = (shown) => Math.min(0.9, ...shown.filter((each) => each.low !== null).map((each) => each.low));

function intervals(plot, shown) {
  const { ctx } = plot;
  const scale = devicePixelRatio;
  const at = (value) => plot.valToPos(value, "y", true);
  ctx.save();
  ctx.textAlign = "center";
  ctx.font = `600 ${12 * scale}px system-ui, sans-serif`;
  shown.forEach((each, index) => {
    const x = plot.valToPos(index, "x", true);
    if (each.value === null || each.value === undefined) {
      ctx.fillStyle = colour(each.outcome === "failed" ? "bad" : "quiet");
      if (shown.length <= 12) ctx.fillText(outcome(each.outcome), x, plot.bbox.top + plot.bbox.height - 8 * scale);
      return;
    }
    const good = each.outcome === "deployed" || each.outcome === "base";
    ctx.strokeStyle = ctx.fillStyle = colour(good ? "accent" : "quiet");
    ctx.lineWidth = 2 * scale;
    ctx.beginPath();
    ctx.moveTo(x, at(each.low));
    ctx.lineTo(x, at(each.high));
    for (const end of [each.low, each.high]) {
      ctx.moveTo(x - 5 * scale, at(end));
      ctx.lineTo(x + 5 * scale, at(end));
    }
    ctx.stroke();
    ctx.beginPath();
    ctx.arc(x, at(each.value), 5 * scale, 0, 2 * Math.PI);
    if (!good) ctx.fillStyle = colour("card");
    ctx.fill();
    ctx.stroke();
    ctx.fillStyle = colour("text");
    if (shown.length <= 12) ctx.fillText(`${Math.round(each.value * 100)} %`, x, at(each.high) - 8 * scale);
  });
  ctx.restore();
}

const CURVES = [["loss", "Loss", "accent"], ["learning_rate", "Learning rate", "second"], ["grad_norm", "Gradient norm", "third"]];

/** Loss, learning rate and gradient norm, each in a place of its own. */
export function trainingPlots(places, curve) {
  CURVES.forEach(([name, title, stroke], index) => {
    const data = [curve.map((point) => point.step), curve.map((point) => point[name])];
    const options = () => ({
      ...quietPlot,
      padding: [8, 12, 0, 0],
      scales: { x: { time: false }, y: { range: (_, __, most) => [0, most * 1.1 || 1] } },
      axes: [axis({ size: 30, grid: { show: false } }), axis({ size: 60, values: (_, ticks) => ticks.map((tick) => tick.toPrecision(1) * 1) })],
      series: [{}, { stroke: colour(stroke), width: 2, points: { show: curve.length < 40, size: 5, fill: colour(stroke) } }],
    });
    const last = curve.at(-1)?.[name];
    const details = table(title, ["step", title.toLowerCase()], curve.map((point) => row(number(point.step), String(point[name] ?? "–"))));
    put(places[index], `${title} by step, ${last?.toPrecision(3) ?? "unknown"} at the end`, 150, options, data, details);
  });
}

/** Something by day: bars, or lines where there are several. */
export function dailyPlot(place, title, days, lines, show) {
  const bars = lines.length === 1;
  const colours = ["accent", "second", "third"];
  const data = [days.map((_, index) => index), ...lines.map((line) => days.map(line.of))];
  const options = () => ({
    ...quietPlot,
    padding: [8, 12, 0, 0],
    scales: { x: { time: false, range: [-0.6, days.length - 0.4] }, y: { range: (_, __, most) => [0, most * 1.1 || 1] } },
    axes: [
      axis({ size: 30, grid: { show: false }, incrs: [1, 2, 5, 10], values: (_, ticks) => ticks.map((tick) => days[tick]?.label ?? "") }),
      axis({ size: 64, values: (_, ticks) => ticks.map(show) }),
    ],
    series: [{}, ...lines.map((_, index) => bars
      ? { fill: colour(colours[index]), paths: uPlot.paths.bars({ size: [0.6, 48], radius: 0.15 }), points: { show: false } }
      : { stroke: colour(colours[index]), width: 2, points: { size: 6, fill: colour(colours[index]) } })],
  });
  const details = table(title, ["day", ...lines.map((line) => line.name)],
    days.map((each) => row(each.label, ...lines.map((line) => show(line.of(each))))));
  put(place, `${title}, ${days.length} days`, 170, options, data, details);
}
