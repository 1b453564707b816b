// Approve, reject, roll back: a dialog that says exactly what will happen, then a POST with the token.

import { byId, h, short } from "./dom.js";

const KEY = "nightschool-token";

// The link that the terminal shows carries the token behind #: it never goes to the server by itself, and leaves the address bar at once.
export function takeToken() {
  const found = /^#token=([\w-]+)$/.exec(location.hash);
  if (!found) return;
  sessionStorage.setItem(KEY, found[1]);
  history.replaceState(null, "", location.pathname);
}

const name = (each) => [h("code", {}, each.id), each.sha256 ? [" (sha256 ", h("code", {}, short(each.sha256)), ")"] : " (no adapter)"].flat();

const TEXTS = {
  approve: {
    title: "Approve and deploy?", yes: "Approve and deploy",
    what: (chosen, serving) => [
      h("p", {}, "The candidate ", ...name(chosen), " will be deployed: it is loaded beside ", ...name(serving), ", proven, and then answers everybody."),
      h("p", {}, "It is watched while it does; if it fails, ", h("code", {}, serving.id), " comes back by itself.")],
  },
  reject: {
    title: "Reject for good?", yes: "Reject",
    what: (chosen, serving) => [h("p", {}, "The candidate ", ...name(chosen), " will never be deployed. ", ...name(serving), " goes on serving. This cannot be taken back.")],
  },
  rollback: {
    title: "Roll back?", yes: "Roll back",
    what: (chosen, serving) => [
      h("p", {}, ...name(chosen), " will answer everybody from now on, instead of ", ...name(serving), "."),
      h("p", {}, "Nothing is deleted. What the generations in between had learned is given back to the next night.")],
  },
};

let pending = null;

export function confirm(action, chosen, serving) {
  const words = TEXTS[action];
  pending = { action, chosen, serving };
  byId("confirm-title").textContent = words.title;
  byId("confirm-what").replaceChildren(...words.what(chosen, serving));
  byId("confirm-yes").textContent = words.yes;
  byId("confirm-yes").disabled = false;
  byId("confirm-error").textContent = "";
  byId("confirm-form").reset();
  byId("confirm-reason").hidden = action === "approve";
  byId("confirm-token").hidden = sessionStorage.getItem(KEY) !== null;
  byId("confirm").showModal();
}

export function setUp(onDone) {
  byId("confirm-no").addEventListener("click", () => byId("confirm").close());
  byId("confirm-form").addEventListener("submit", (event) => {
    event.preventDefault();
    send(new FormData(event.target), onDone);
  });
}

async function send(form, onDone) {
  const { action, chosen, serving } = pending;
  const button = byId("confirm-yes");
  const token = sessionStorage.getItem(KEY) ?? form.get("token").trim();
  button.disabled = true;
  button.textContent = action === "reject" ? "Rejecting …" : "Working, this can take a minute …";
  byId("confirm-error").textContent = "";
  try {
    const answer = await fetch(`/api/${action}`, {
      method: "POST",
      headers: { "content-type": "application/json", authorization: `Bearer ${token}` },
      body: JSON.stringify({ generation: chosen.id, sha256: chosen.sha256, current: serving.id, reason: form.get("reason").trim() }),
    });
    const value = await answer.json();
    if (!answer.ok) throw Object.assign(new Error(value.error.message), { hint: value.error.hint, status: answer.status });
    sessionStorage.setItem(KEY, token);
    byId("confirm").close();
    onDone(value.words, true);
  } catch (error) {
    if (error.status === 401) {
      sessionStorage.removeItem(KEY);
      byId("confirm-token").hidden = false;
    }
    byId("confirm-error").textContent = [error.message, error.hint].filter(Boolean).join(": ");
    onDone(null, false);
  } finally {
    button.disabled = false;
    button.textContent = TEXTS[action].yes;
  }
}
