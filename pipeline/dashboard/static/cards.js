// What the WebSocket brings: advice, tiles, service, the last night, the log.

import { byId, clock, command, day, duration, fact, h, moment, nightOf, number, percent, points, replace, short, text } from "./dom.js";
import { outcome } from "./plots.js";

const STAGES = ["harvest", "build-dataset", "train", "canary", "deploy"];
const ENDINGS = { 0: "done", 10: "nothing to do", 20: "refused", 21: "the incumbent stays", 30: "rolled back" };
const WORDS = {
  "harvest": "found what went wrong, and better answers", "build-dataset": "made training rows of them",
  "train": "trained a candidate", "canary": "examined it against the incumbent", "deploy": "let it serve, watched",
};

/** Backticks mark code. */
export function withCode(sentence) {
  return sentence.split("`").map((part, index) => (index % 2 ? h("code", {}, part) : part));
}

export function showAdvice(advice, offer) {
  const [first, ...others] = advice;
  document.querySelector(".advice").dataset.severity = first.severity;
  replace("advice",
    h("h2", { id: "advice-title" }, first.title),
    h("p", {}, withCode(first.text)),
    first.action && h("p", { class: "buttons" }, offer(first)),
    first.command && command(first.command),
    others.length > 0 && h("ul", { class: "also" }, others.map((each) => h("li", { "data-severity": each.severity },
      h("strong", {}, each.title), " ", h("span", {}, withCode(each.text))))));
}

const tile = (name, value, below, state) =>
  h("div", { class: "tile", "data-state": state }, h("dt", {}, name), h("dd", {}, h("span", { class: "value" }, value), h("span", { class: "quiet" }, below)));

export function showTiles(service, evolution, metrics) {
  const last = evolution.nights.findLast((night) => night.success !== null);
  const serves = last && last.outcome === "deployed" && last.run === service.on_disk.id;
  const held = last && (serves ? last.success : last.before);
  const gain = serves ? `${points(last.success - last.before)} that night` : "as before that night";
  const totals = metrics?.week?.totals;
  const opinions = metrics?.week?.satisfaction;
  const up = service.gateway === "up";
  replace("tiles",
    tile("Gateway", up ? (service.agree === false ? "wrong model" : "answering") : service.gateway,
      up ? `${service.engine}, ${number(service.waiting)} waiting` : "nobody is being answered", up && service.agree !== false ? "good" : "bad"),
    tile("Serving", service.on_disk.id === "base" ? "bare base model" : nightOf(service.on_disk.id),
      service.on_disk.sha256 ? `sha256 ${short(service.on_disk.sha256)}` : "no adapter yet"),
    tile("Right on held-out questions", percent(held), last ? gain : "after the first night"),
    tile("Requests, last 7 days", number(totals?.queries ?? 0),
      totals?.queries ? `${percent(totals.error_rate)} failed, ${opinions?.n ? `${percent(opinions.rate)} of ${opinions.n} thumbs up` : "no thumbs yet"}` : "none recorded yet"));
}

export function showService(service, evolution) {
  const { serving, on_disk: disk, last_check: check } = service;
  replace("service", h("dl", { class: "facts" },
    fact("Gateway", h("span", { class: "pill", "data-state": service.gateway === "up" ? "live" : "lost" }, service.gateway), service.reason && h("p", { class: "quiet" }, service.reason)),
    fact("Engine", text(service.engine)),
    fact("Generation on disk", h("code", {}, disk.id), h("br"), h("code", { class: "quiet hash", title: disk.sha256 ?? "" }, short(disk.sha256))),
    fact("Generation answering", serving ? h("code", {}, serving.id) : "–", serving && h("br"), serving && h("code", { class: "quiet hash", title: serving.sha256 ?? "" }, short(serving.sha256))),
    fact("Do they agree?", service.agree === null ? "nobody knows: the gateway is down" : service.agree ? "yes, same id and hash" : h("strong", { class: "bad" }, "no")),
    check.at && fact("Last proof by answers", check.proven === false ? h("strong", { class: "bad" }, "failed") : "held", " ", moment(check.at)),
    fact("Running now", service.stages.length ? service.stages.join(", ") : "nothing"),
    service.action && fact("Asked for on this page", `${service.action} …`),
    evolution.nights_before + evolution.nights.length > 0 && fact("Nights so far", number(evolution.nights_before + evolution.nights.length))));
}

/** The stages of the last night as steps, those still to come included. */
export function showNight(evolution, report, running) {
  const night = evolution.nights.at(-1);
  if (!night) {
    replace("night-body", h("p", {}, "No night yet: run ", h("code", {}, "make night"), ". It takes some minutes, and this page fills while it goes on."));
    return;
  }
  replace("night-body",
    h("p", { class: "quiet" }, moment(night.at), ` · ${duration(night.seconds)} · `, h("code", {}, night.run)),
    h("p", { class: "headline" }, night.headline),
    h("ol", { class: "steps" }, STAGES.map((stage) => step(stage, evolution.last_stages, night, running.includes(stage)))),
    report?.night && h("dl", { class: "facts wide" }, numbers(report.night)),
    report?.rollback && h("div", { class: "note", "data-severity": "warning" }, h("h3", {}, "The last rollback"),
      h("p", {}, moment(report.rollback.at), `: from ${report.rollback.from} to ${report.rollback.to}, because ${report.rollback.reason}. `,
        report.rollback.proven ? "Its answers were proven." : "Not proven: no gateway answered.")));
}

function step(stage, lines, night, isRunning) {
  const ran = lines.filter((line) => line.stage === stage);
  const last = ran.at(-1);
  const code = last?.exit_code;
  const state = isRunning ? "now" : code === undefined ? (night.outcome === "running" ? "ahead" : "never") : code === 0 ? "good" : code >= 64 ? "bad" : "info";
  const seconds = ran.reduce((sum, line) => sum + line.seconds, 0);
  const ending = isRunning ? "now" : state === "ahead" ? "to come" : state === "never" ? "not reached" : ENDINGS[code] ?? `failed, exit ${code}`;
  return h("li", { "data-state": state },
    h("strong", {}, stage), h("span", {}, WORDS[stage]),
    h("span", { class: "quiet" }, ending, last && ` · ${duration(seconds)}`, ran.length > 1 && ` in ${ran.length} rounds`));
}

function numbers(night) {
  const harvested = night.outputs?.harvest ?? {};
  const { dataset, generation, verdict, deployment } = night;
  const suite = verdict?.suites?.holdout;
  const side = (name) => `${percent(suite[name].success)}${suite[name].interval ? ` (${percent(suite[name].interval[0])} to ${percent(suite[name].interval[1])})` : ""}`;
  return [
    harvested.failures !== undefined && fact("Failures in the window", `${number(harvested.failures)}; ${number(harvested.rewrites)} answered better today, ${number(harvested.unsolved)} not`),
    dataset && fact("Training rows", `${number(dataset.new)} new, ${number(dataset.replay)} good answers replayed`),
    generation?.metrics && fact("Training", `${number(generation.metrics.steps)} steps, ${number(generation.metrics.supervised_tokens)} answer tokens, loss ${generation.metrics.loss}`),
    suite?.incumbent?.success != null && fact("Before", `${side("incumbent")} of ${suite.n} held-out questions right`),
    suite?.candidate?.success != null && fact("After", `${side("candidate")}, asked of the server`),
    verdict && fact("Verdict", h("strong", {}, text(verdict.outcome)), ` ${text(verdict.reason)}`),
    deployment?.watch && fact("Watched", `${text(deployment.watch.health)}: ${text(deployment.watch.reason)}`),
  ].filter(Boolean);
}

export function showLog(lines) {
  const box = byId("log-box");
  const atEnd = box.scrollHeight - box.scrollTop - box.clientHeight < 40;
  box.replaceChildren(...(lines.length ? lines.map((line) => h("p", { "data-severity": line.severity },
    h("time", { datetime: new Date(line.at * 1000).toISOString() }, `${day(line.at)} ${clock(line.at)}`), " ",
    h("span", { class: "kind" }, line.kind), " ", line.text)) : [h("p", {}, "Nothing has happened yet.")]));
  if (atEnd) box.scrollTop = box.scrollHeight;
}

export { outcome };
