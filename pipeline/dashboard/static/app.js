// The page: state comes over the WebSocket, reports and numbers over the API when the state says that they changed.

import { confirm, setUp, takeToken } from "./actions.js";
import { showAdvice, showLog, showNight, showService, showTiles } from "./cards.js";
import { byId, duration, fact, get, h, milliseconds, nightOf, number, percent, replace, text } from "./dom.js";
import { showAnswerControls, showGenerations } from "./generations.js";
import { connect } from "./live.js";
import { dailyPlot, successPlot, trainingPlots } from "./plots.js";

const METRICS_EVERY = 30_000; // milliseconds
const seen = { data: null, report: null, metrics: null };
const shown = new Map(); // card → what it shows: it is drawn again only when that changes, so focus and selection stay

function card(name, content, draw) {
  const written = JSON.stringify(content);
  if (shown.get(name) === written) return;
  shown.set(name, written);
  draw();
}

function show() {
  const { data, report, metrics } = seen;
  if (!data) return;
  const { service_status: service, evolution_status: evolution, training_status: training } = data;
  byId("model").textContent = service.model;
  card("advice", [evolution.advice, report?.generations], () => showAdvice(evolution.advice, offer));
  card("tiles", [service, evolution.nights.at(-1), metrics?.week], () => showTiles(service, evolution, metrics));
  card("service", [service, evolution.nights.length], () => showService(service, evolution));
  card("better", evolution.nights, () => showBetter(evolution.nights));
  card("night", [evolution.last_stages, evolution.nights.at(-1), service.stages, report?.night, report?.rollback], () => showNight(evolution, report, service.stages));
  card("training", training, () => showTraining(training));
  if (metrics) card("traffic", [metrics.week, metrics.kpis.overall_performance], () => showTraffic(metrics));
  if (report) card("generations", report.generations, () => {
    showGenerations(report.generations, choose);
    showAnswerControls(report.generations);
  });
  const problem = evolution.problem ?? report?.problem ?? metrics?.problem;
  card("problem", problem ?? null, () => problem && (byId("outcome").textContent = problem));
}

function showBetter(nights) {
  const place = byId("better-plot");
  const last = nights.at(-1);
  replace("better-words", last && h("p", {}, h("strong", {}, `${nightOf(last.run)}: `), last.headline, "."));
  if (nights.some((night) => night.success !== null)) successPlot(place, nights);
  else place.replaceChildren(h("p", { class: "empty" }, "The first night will put the first point here."));
}

function showTraining(training) {
  if (training.state === "none") {
    replace("training-body", h("p", { class: "empty" }, "Nothing has been trained yet."));
    return;
  }
  const running = training.state === "running";
  const places = ["loss", "rate", "norm"].map((name) => h("div", { id: `curve-${name}` }));
  const titles = ["Loss", "Learning rate", "Gradient norm"];
  replace("training-body",
    h("p", { class: "quiet" }, running ? "Under way: " : "The last one: ", nightOf(training.run), ` · ${text(training.method)}`,
      running ? ` · step ${number(training.step)} of ${number(training.steps)}` : ` · ${number(training.steps)} steps, ${number(training.rows)} rows, ${duration(training.seconds)}, mean loss ${text(training.loss)}`),
    running && h("progress", { max: training.steps ?? 1, value: training.steps ? training.step : null, "aria-label": "Progress of the training" }),
    h("div", { class: "curves" }, places.map((place, index) => h("div", {}, h("h3", {}, titles[index]), place))));
  if (training.curve.length > 1) trainingPlots(places, training.curve);
}

const TYPES = { trained: "from what it learned", history: "with documents", tools: "with passages about tools", both: "with both" };

function showTraffic(metrics) {
  const { totals, daily, query_types: types, satisfaction } = metrics.week;
  if (!totals?.queries) {
    replace("traffic-body", h("p", { class: "empty" }, "No requests have been recorded in the last 7 days."));
    return;
  }
  const short = new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "short", timeZone: "UTC" });
  const days = daily.map((each) => ({ ...each, label: short.format(Date.parse(each.day)) }));
  const places = ["requests", "latency"].map((name) => h("div", { id: `daily-${name}` }));
  replace("traffic-body",
    h("dl", { class: "facts wide" },
      fact("Requests", number(totals.queries)),
      fact("Failed", percent(totals.error_rate)),
      fact("Time to the answer", `${milliseconds(totals.latency_ms.p50)} median, ${milliseconds(totals.latency_ms.p95)} for 19 of 20`),
      fact("Thumbs", satisfaction.n ? `${percent(satisfaction.rate)} up of ${number(satisfaction.n)}` : "none yet"),
      fact("Checked answers", satisfaction.successes + satisfaction.failures ? `${percent(satisfaction.successes / (satisfaction.successes + satisfaction.failures))} right of ${number(satisfaction.successes + satisfaction.failures)}` : "none yet"),
      fact("Overall performance", percent(metrics.kpis.overall_performance))),
    h("div", { class: "curves two" },
      h("div", {}, h("h3", {}, "Requests"), places[0]),
      h("div", {}, h("h3", {}, "Time to the answer: ", h("span", { class: "key accent" }, "median"), " ", h("span", { class: "key second" }, "19 of 20")), places[1])),
    h("h3", {}, "What answers were made from"),
    h("ul", { class: "types" }, Object.entries(types).map(([type, each]) => h("li", {},
      h("span", {}, TYPES[type] ?? type), h("progress", { max: 1, value: each.share ?? 0, "aria-label": TYPES[type] ?? type }), h("span", { class: "figure" }, percent(each.share))))));
  dailyPlot(places[0], "Requests by day", days, [{ name: "requests", of: (each) => each.queries }], number);
  dailyPlot(places[1], "Time to the answer by day", days,
    [{ name: "median", of: (each) => each.latency_ms.p50 }, { name: "19 of 20 within", of: (each) => each.latency_ms.p95 }], milliseconds);
}

const serving = () => seen.report.generations.find((each) => each.marks.includes("current"));
const choose = (action, generation) => confirm(action, generation, serving());

/** The buttons of an advice; they wait for the report that names the generation's hash. */
function offer(advice) {
  const chosen = seen.report?.generations.find((each) => each.id === advice.generation);
  const compare = () => byId("answers").scrollIntoView({ behavior: "smooth" });
  return [
    h("button", { type: "button", class: "main", disabled: !chosen, onclick: () => choose("approve", chosen) }, "Approve …"),
    h("button", { type: "button", disabled: !chosen, onclick: () => choose("reject", chosen) }, "Reject …"),
    h("button", { type: "button", onclick: compare }, "Read its answers"),
  ];
}

async function refresh(name, path) {
  try {
    seen[name] = await get(path);
  } catch (error) {
    byId("outcome").textContent = `The ${name} could not be read: ${error.message}`;
  }
  show();
}

const readMetrics = () => refresh("metrics", "/api/metrics");

function receive(message) {
  if (message.type === "activity") return showLog(message.lines);
  const before = seen.data?.evolution_status.version;
  seen.data = message.data;
  show();
  if (before !== undefined && message.data.evolution_status.version !== before) {
    refresh("report", "/api/report");
    readMetrics();
  }
}

function state(name, words) {
  byId("connection").dataset.state = name;
  byId("connection").textContent = words;
  document.body.dataset.connection = name;
}

takeToken();
setUp((words, done) => {
  if (words) byId("outcome").textContent = words;
  if (done) refresh("report", "/api/report");
});
byId("outcome-close").addEventListener("click", () => byId("outcome").replaceChildren());
connect(receive, state);
readMetrics(); // besides, not afterwards: the page is not to wait for one answer after the other
refresh("report", "/api/report");
setInterval(() => document.visibilityState === "visible" && document.body.dataset.connection === "live" && readMetrics(), METRICS_EVERY);
