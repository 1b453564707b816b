// Every generation, and the answers of two of them side by side.

import { byId, get, h, nightOf, number, percent, points, replace, short, table, text } from "./dom.js";

const MARKS = { current: "serving", previous: "before it", pinned: "pinned", awaiting: "waits for you", approved: "approved", rejected: "rejected" };
const VERBS = { approve: "Approve", reject: "Reject", rollback: "Roll back to it" };

export function showGenerations(generations, choose) {
  if (generations.length < 2) {
    replace("generations-body", h("p", {}, "Only the bare base model so far. The first night trains the first generation."));
    return;
  }
  const rows = generations.map((each) => h("tr", { class: each.marks.includes("current") ? "current" : null },
    h("th", { scope: "row" }, each.id === "base" ? "Base model" : nightOf(each.id), h("br"), h("code", { class: "quiet hash", title: each.sha256 ?? "" }, each.id),
      h("br"), h("code", { class: "quiet hash", title: each.sha256 ?? "" }, short(each.sha256))),
    h("td", {}, each.parent ? (each.parent === "base" ? "base" : nightOf(each.parent)) : "–"),
    h("td", {}, h("span", { class: "verdict", "data-verdict": each.verdict ?? "none" }, each.verdict ?? (each.id === "base" ? "–" : "not judged")), each.reason && h("p", { class: "quiet small" }, each.reason)),
    h("td", { class: "figure" }, percent(each.held_out)),
    h("td", { class: "figure" }, points(each.difference)),
    h("td", { class: "figure" }, number(each.rows)),
    h("td", {}, h("div", { class: "states" }, each.marks.map((mark) => h("span", { class: "pill", "data-state": mark }, MARKS[mark] ?? mark)),
      each.actions.map((action) => h("button", { type: "button", class: "small", onclick: () => choose(action, each), "aria-label": `${VERBS[action]}: ${each.id}` }, VERBS[action]))))));
  replace("generations-body", table("Every generation on this disk, the newest first",
    ["generation", "parent", "verdict", "held-out", "difference", "rows", "state"], rows, { class: "generations" }));
}

const FILTERS = [["all", "All"], ["won", "Won"], ["lost", "Lost"], ["same", "Same"]];
const asked = { first: "base", second: "current", only: "all", offset: 0 };
let version = 0; // of the last question: an answer to an older one is not shown

/** Which two are compared; the first time it is the incumbent with what was before it. */
export function showAnswerControls(generations) {
  const ids = generations.map((each) => each.id);
  const newest = generations.find((each) => each.incumbent) ?? generations[0];
  if (!ids.includes(asked.second)) Object.assign(asked, { first: newest?.incumbent ?? "base", second: newest?.id ?? "base" });
  if (!ids.includes(asked.first)) asked.first = "base";
  const select = (name, label) => h("label", {}, label, " ", h("select", { id: `answers-${name}`, onchange: (event) => ask({ [name]: event.target.value }) },
    generations.map((each) => h("option", { value: each.id, selected: each.id === asked[name] }, each.id === "base" ? "base model" : `${nightOf(each.id)} (${each.id})`))));
  replace("answers-controls", select("first", "Before"), select("second", "After"),
    h("fieldset", { id: "answers-filter" }, h("legend", {}, "Show"), FILTERS.map(([only, label]) =>
      h("label", { class: "choice" }, h("input", { type: "radio", name: "only", value: only, checked: only === asked.only, onchange: () => ask({ only }) }), h("span", { id: `count-${only}` }, label)))));
  byId("answers-more").onclick = () => ask({ offset: asked.offset + 20 });
  ask({});
}

async function ask(change) {
  Object.assign(asked, { offset: 0 }, change);
  const mine = ++version;
  try {
    const found = await get(`/api/answers?${new URLSearchParams(asked)}`);
    if (mine === version) show(found);
  } catch (error) {
    byId("answers-status").textContent = `The answers could not be read: ${error.message}`;
  }
}

function show(found) {
  const { counts } = found;
  for (const [only, label] of FILTERS) byId(`count-${only}`).textContent = `${label} ${number(counts[only])}`;
  const items = found.answers.map(answer);
  if (found.offset === 0) byId("answers-list").replaceChildren(...items);
  else byId("answers-list").append(...items);
  const total = counts[found.only];
  const shown = Math.min(total, found.offset + found.answers.length);
  byId("answers-more").hidden = shown >= total;
  byId("answers-status").textContent = counts.all
    ? `${shown} of ${total} shown. Of ${counts.all} questions that both were asked, ${counts.won} were won and ${counts.lost} lost.`
    : "There are no questions that both were asked.";
}

function answer(each, index) {
  const before = new Set(each.first.text.split("\n"));
  const after = new Set(each.second.text.split("\n"));
  return h("li", {}, h("details", { open: index === 0 },
    h("summary", { class: "question" }, h("span", { class: "verdict", "data-verdict": each.kind }, each.kind), " ", h("span", {}, each.question), each.group && h("span", { class: "quiet small" }, ` ${each.group}`)),
    h("div", { class: "sides" }, side("Before", each.first, after), side("After", each.second, before))));
}

function side(name, said, others) {
  const lines = said.text.split("\n").map((line) => (others.has(line) ? `${line}\n` : h("mark", {}, `${line}\n`)));
  const judged = said.passed === null ? "not judged" : said.passed ? "right" : "wrong";
  return h("div", { class: "side", "data-passed": String(said.passed) },
    h("h3", {}, `${name}: `, h("span", { class: "judged" }, judged)),
    h("pre", {}, said.text ? lines : "(no answer)"), said.error && h("p", { class: "quiet small" }, text(said.error)));
}
