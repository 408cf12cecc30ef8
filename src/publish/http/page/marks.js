// The marks of events: whether one was right, wrong or another sound, as three buttons and a choice among all labels.

import { ask } from "./api.js";
import { byId, el, say } from "./dom.js";
import { nameOf, t } from "./words.js";

/** The display names of all labels; a promise once they are asked for. */
let labels = null;

/** Offers all labels to a field, in the language in use. */
async function offer(list) {
  labels ??= ask("GET", "/api/v1/labels").then((answer) => answer.labels.filter(({ mid }) => mid !== null).map(({ label }) => label));
  const names = await labels.catch((error) => {
    labels = null;
    throw error;
  });
  list.replaceChildren(...names.map((label) => el("option", { value: nameOf(label) })));
  return names;
}

/** The label that a text names, in the language in use or as the daemon spells it; the text itself where none has it. */
function labelOf(text, names) {
  const plain = (name) => name.normalize("NFKC").trim().toLocaleLowerCase();
  return names.find((label) => plain(nameOf(label)) === plain(text) || plain(label) === plain(text)) ?? text.trim();
}

/** The mark of an event in words; empty where it has none. */
export function markText({ mark }) {
  if (mark === null || mark === undefined) return "";
  return mark.mark === "other" ? t("mark_was", { label: nameOf(mark.label) }) : t(`mark_${mark.mark}`);
}

/**
 * The buttons of an event. `renew(id, event, kind)` takes the event as the daemon has it then, and which button was pressed; `trouble(error)`
 * what went wrong.
 */
export function marksOf(event, renew, trouble) {
  const path = `/api/v1/history/${encodeURIComponent(event.id)}/mark`;
  const send = (kind, method, body) => ask(method, path, body).then((marked) => renew(event.id, marked, kind), trouble);
  const isMarked = (kind) => event.mark?.mark === kind;
  // A mark that is pressed again is taken away.
  const press = (kind) => (isMarked(kind) ? send(kind, "DELETE") : send(kind, "POST", { mark: kind }));
  const list = `marks-${event.id}`;
  const button = (kind, onclick, more = {}) => el("button", { type: "button", class: `button ${kind}`, "data-mark": kind, "aria-pressed": String(isMarked(kind)), onclick, ...more }, t(`mark_${kind}`));
  const other = button("other", () => (form.hidden ? open() : close()), { "aria-expanded": "false", "aria-controls": `form-${list}` });
  const field = el("input", { type: "text", autocomplete: "off", spellcheck: "false", list, required: true, "aria-label": t("mark_label") });
  const options = el("datalist", { id: list });
  const form = el("form", { class: "what", id: `form-${list}`, hidden: true }, el("span", { class: "field" }, field), options, el("button", { type: "submit", class: "button strong" }, t("mark_save")));
  let names = [];
  const open = () => {
    form.hidden = false;
    other.setAttribute("aria-expanded", "true");
    field.value = event.mark?.label ? nameOf(event.mark.label) : "";
    field.focus();
    offer(options).then((all) => (names = all), trouble);
  };
  const close = () => {
    form.hidden = true;
    other.setAttribute("aria-expanded", "false");
    other.focus();
  };
  form.addEventListener("submit", (submitted) => {
    submitted.preventDefault();
    send("other", "POST", { mark: "other", label: labelOf(field.value, names) });
  });
  form.addEventListener("keydown", ({ key }) => key === "Escape" && close());
  const group = el("div", { class: "marks", role: "group", "aria-label": t("mark_group", { label: nameOf(event.label) }) }, button("right", () => press("right")), button("wrong", () => press("wrong")), other);
  return el("div", { class: "review" }, group, isMarked("other") ? el("button", { type: "button", class: "button", onclick: () => send("other", "DELETE") }, t("mark_undo")) : null, form);
}

/** Tells those who do not see it how an event is marked now. */
export function announce(event) {
  say(byId("marked"), `${nameOf(event.label)}: ${markText(event) || t("mark_none")}`);
}
