// The page's texts in its languages. Each language is a table in languages/, with the texts of the interface and the names of
// labels.

import { say } from "./dom.js";
import { recall, remember } from "./memory.js";

/** The languages by their tags. A new language is a new file in languages/ and a new entry here. */
export const LANGUAGES = { en: "English", ja: "日本語" };

const tables = {};
let language = "en";
const listeners = new Set();

/** The user's choice, else the browser's first language that has a table, else English. */
function wanted() {
  const chosen = recall("language");
  if (chosen in LANGUAGES) return chosen;
  return navigator.languages.map((tag) => tag.split("-")[0]).find((tag) => tag in LANGUAGES) ?? "en";
}

async function table(name) {
  tables[name] ??= await (await fetch(`/page/${name}.json`)).json();
}

/** Switches to a language, or to the user's; writes all texts that index.html marks. */
export async function speak(chosen = null) {
  const name = chosen ?? wanted();
  await Promise.all([table("en"), table(name)]);
  language = name;
  if (chosen !== null) remember("language", chosen);
  document.documentElement.lang = name;
  for (const element of document.querySelectorAll("[data-t]")) say(element, t(element.dataset.t));
  for (const element of document.querySelectorAll("[data-t-label]")) element.setAttribute("aria-label", t(element.dataset.tLabel));
  listeners.forEach((listener) => listener());
}

/** Calls `listener` after each switch of the language. */
export const onLanguage = (listener) => listeners.add(listener);

/** The tag of the language in use. */
export const spoken = () => language;

/** The text of a key, with each `{name}` replaced by `values[name]`. */
export function t(key, values = {}) {
  const words = tables[language]?.interface[key] ?? tables.en?.interface[key] ?? key;
  return words.replace(/\{(\w+)\}/g, (_, name) => values[name] ?? "");
}

/** The name of a label in the language in use; the daemon's name where the table has none, as for groups. */
export const nameOf = (label) => tables[language]?.labels[label] ?? label;

/** Whether a label's name, in the language in use or as the daemon spells it, contains the text that was typed. */
export function goesBy(label, typed) {
  const plain = (text) => text.normalize("NFKC").toLocaleLowerCase();
  return [label, nameOf(label)].some((name) => plain(name).includes(plain(typed.trim())));
}

/** A score as text. */
export const score = (value) => value.toLocaleString(language, value < 0.1 ? { minimumFractionDigits: 3, maximumFractionDigits: 3 } : { minimumFractionDigits: 2, maximumFractionDigits: 2 });

/** A level as text. */
export const level = (value) => value.toLocaleString(language, { minimumFractionDigits: 1, maximumFractionDigits: 1 });

/** A number as text. */
export const number = (value) => value.toLocaleString(language, { maximumFractionDigits: value < 10 ? 1 : 0 });

/** A duration as text: 3.4 s, 52 s, 2:05, 1:02:05. */
export function duration(ms) {
  const seconds = Math.max(ms, 0) / 1_000;
  if (seconds < 60) return t("seconds", { seconds: number(seconds) });
  const whole = Math.floor(seconds);
  const [hours, minutes, rest] = [Math.floor(whole / 3_600), Math.floor(whole / 60) % 60, whole % 60];
  const two = (part) => String(part).padStart(2, "0");
  return hours > 0 ? `${hours}:${two(minutes)}:${two(rest)}` : `${minutes}:${two(rest)}`;
}

/** A time of day as text, with the date where it is not today's. */
export function time(at, now = Date.now(), seconds = true) {
  const [then, today] = [new Date(at), new Date(now)];
  const clock = { hour: "2-digit", minute: "2-digit", hourCycle: "h23", ...(seconds ? { second: "2-digit" } : {}) };
  const date = then.toDateString() === today.toDateString() ? {} : { month: "short", day: "numeric" };
  return then.toLocaleString(language, { ...date, ...clock });
}
