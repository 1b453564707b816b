// Elements and words. Text goes into the page as text only: nothing that a model or a person wrote is ever markup.

export const byId = (id) => document.getElementById(id);

export function h(tag, attributes, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes ?? {})) {
    if (value === undefined || value === null || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.flat().filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

export const replace = (id, ...children) => byId(id).replaceChildren(...children.flat().filter(Boolean));

const NONE = "–";
const known = (value) => value !== null && value !== undefined;

// As Python rounds: the page and the terminal say the same of 75.25.
const TENTHS = new Intl.NumberFormat("en", { minimumFractionDigits: 1, maximumFractionDigits: 1, roundingMode: "halfEven" });
export const percent = (share) => (known(share) ? `${TENTHS.format(share * 100)} %` : NONE);
export const points = (share) => (known(share) ? `${share < 0 ? "−" : "+"}${TENTHS.format(Math.abs(share * 100))} points` : NONE);
export const number = (value) => (known(value) ? new Intl.NumberFormat("en").format(value) : NONE);
export const text = (value) => (known(value) && value !== "" ? String(value) : NONE);
export const short = (hash) => (hash ? hash.slice(0, 12) : "no adapter");

export function milliseconds(value) {
  if (!known(value)) return NONE;
  if (value >= 1000) return `${(value / 1000).toFixed(1)} s`;
  return `${value.toFixed(value > 0 && value < 10 ? 1 : 0)} ms`;
}

export function duration(seconds) {
  if (!known(seconds)) return NONE;
  if (seconds < 90) return `${seconds.toFixed(seconds < 10 ? 1 : 0)} s`;
  return seconds < 5400 ? `${Math.round(seconds / 60)} min` : `${(seconds / 3600).toFixed(1)} h`;
}

const DAY = new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "short" });
const MOMENT = new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "short", hour: "2-digit", minute: "2-digit" });
const TIME = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit" });
const CLOCK = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit", second: "2-digit" });

export const day = (seconds) => DAY.format(seconds * 1000);
export const time = (seconds) => TIME.format(seconds * 1000);
export const clock = (seconds) => CLOCK.format(seconds * 1000);
export const moment = (seconds) => h("time", { datetime: new Date(seconds * 1000).toISOString() }, MOMENT.format(seconds * 1000));

/** A run's or generation's id, in words that a person can say. */
export function nightOf(id) {
  const found = /^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z/.exec(id ?? "");
  if (!found) return text(id);
  const [, year, month, date, hour, minute, second] = found.map(Number);
  return MOMENT.format(Date.UTC(year, month - 1, date, hour, minute, second));
}

export function table(caption, heads, rows, attributes = {}) {
  return h("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": caption },
    h("table", attributes,
      h("caption", {}, caption),
      h("thead", {}, h("tr", {}, heads.map((head) => h("th", { scope: "col" }, head)))),
      h("tbody", {}, rows)));
}

export const row = (first, ...cells) => h("tr", {}, h("th", { scope: "row" }, first), cells.map((cell) => h("td", {}, cell)));

export const fact = (name, ...value) => h("div", {}, h("dt", {}, name), h("dd", {}, value));

/** A command with a button that copies it. */
export function command(line) {
  const copied = h("span", { role: "status" });
  const copy = async () => {
    await navigator.clipboard.writeText(line);
    copied.textContent = " copied";
  };
  return h("p", { class: "command" }, h("code", {}, line),
    h("button", { type: "button", class: "small", onclick: copy, "aria-label": `Copy ${line}` }, "Copy"), copied);
}

export async function get(path) {
  const answer = await fetch(path, { headers: { accept: "application/json" } });
  const value = await answer.json();
  if (!answer.ok) throw new Error(value.error?.message ?? `HTTP ${answer.status}`);
  return value;
}
