// What the page says, in the languages that there are: a table each in languages/, with the interface's words and the labels' names.

import { say } from "./dom.js";
import { recall, remember } from "./memory.js";

/** The tables that there are. Another language is another file and another entry here. */
export const LANGUAGES = { en: "English", ja: "日本語" };

const tables = {};
let language = "en";
const listeners = new Set();

/** The language that the browser's user would like, of those that there are. */
function wanted() {
  const chosen = recall("language");
  if (chosen in LANGUAGES) return chosen;
  return navigator.languages.map((tag) => tag.split("-")[0]).find((tag) => tag in LANGUAGES) ?? "en";
}

async function table(name) {
  tables[name] ??= await (await fetch(`/page/${name}.json`)).json();
}

/** Speaks this language from now on, or the one that is wanted. */
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

/** Calls `listener` whenever another language is spoken. */
export const onLanguage = (listener) => listeners.add(listener);

/** The language that is spoken, for what formats numbers and times. */
export const spoken = () => language;

/** The words of this key, with `{name}` replaced by what `values` has under that name. */
export function t(key, values = {}) {
  const words = tables[language]?.interface[key] ?? tables.en?.interface[key] ?? key;
  return words.replace(/\{(\w+)\}/g, (_, name) => values[name] ?? "");
}

/** What a label is called; a label without a name in this language, or a group, is called as the daemon calls it. */
export const nameOf = (label) => tables[language]?.labels[label] ?? label;

/** Whether a label's name here, or the daemon's own, holds what was typed. */
export function goesBy(label, typed) {
  const plain = (text) => text.normalize("NFKC").toLocaleLowerCase();
  return [label, nameOf(label)].some((name) => plain(name).includes(plain(typed.trim())));
}

/** A score for people. */
export const score = (value) => value.toLocaleString(language, value < 0.1 ? { minimumFractionDigits: 3, maximumFractionDigits: 3 } : { minimumFractionDigits: 2, maximumFractionDigits: 2 });

/** A level for people. */
export const level = (value) => value.toLocaleString(language, { minimumFractionDigits: 1, maximumFractionDigits: 1 });

/** A whole or decimal number for people. */
export const number = (value) => value.toLocaleString(language, { maximumFractionDigits: value < 10 ? 1 : 0 });

/** How long something lasted: 3.4 s, 52 s, 2:05, 1:02:05. */
export function duration(ms) {
  const seconds = Math.max(ms, 0) / 1_000;
  if (seconds < 60) return t("seconds", { seconds: number(seconds) });
  const whole = Math.floor(seconds);
  const [hours, minutes, rest] = [Math.floor(whole / 3_600), Math.floor(whole / 60) % 60, whole % 60];
  const two = (part) => String(part).padStart(2, "0");
  return hours > 0 ? `${hours}:${two(minutes)}:${two(rest)}` : `${minutes}:${two(rest)}`;
}

/** A time of day; with its date where that is another day than `now`'s. */
export function time(at, now = Date.now(), seconds = true) {
  const [then, today] = [new Date(at), new Date(now)];
  const clock = { hour: "2-digit", minute: "2-digit", hourCycle: "h23", ...(seconds ? { second: "2-digit" } : {}) };
  const date = then.toDateString() === today.toDateString() ? {} : { month: "short", day: "numeric" };
  return then.toLocaleString(language, { ...date, ...clock });
}
