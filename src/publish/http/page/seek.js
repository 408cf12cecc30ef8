// Reads what was typed into the search of the history: a name, and a time, such as "glass since friday". It knows the names of days in
// the language in use and in English.

import { DAY_MS, midnight } from "./past.js";
import { goesBy, spoken, t } from "./words.js";

const plain = (text) => text.normalize("NFKC").toLocaleLowerCase();

/** How many days ago the last day of this name was, today included; null where it is no name of a day. */
function weekday(word, now) {
  for (let ago = 0; ago < 7; ago++) {
    const date = midnight(now, -ago);
    const names = [spoken(), "en"].flatMap((language) => ["long", "short"].map((weekday) => plain(date.toLocaleDateString(language, { weekday }))));
    if (names.includes(word)) return ago;
  }
  return null;
}

/** The beginning and the end of the time that a word means; null where it means none. */
function time(word, now) {
  const day = (ago) => [midnight(now, -ago).getTime(), midnight(now, 1 - ago).getTime()];
  if ([t("seek_today"), "today"].includes(word)) return day(0);
  if ([t("seek_yesterday"), "yesterday"].includes(word)) return day(1);
  const ago = weekday(word, now);
  if (ago !== null) return day(ago);
  const back = /^(\d+)(m|h|d|w)$/.exec(word);
  if (back !== null) return [now - Number(back[1]) * { m: 60_000, h: 3_600_000, d: DAY_MS, w: 7 * DAY_MS }[back[2]], now];
  const date = /^(\d{4})-(\d{2})-(\d{2})$/.exec(word);
  if (date !== null) {
    const [year, month, at] = date.slice(1).map(Number);
    return [new Date(year, month - 1, at).getTime(), new Date(year, month - 1, at + 1).getTime()];
  }
  return null;
}

/**
 * What was typed: `name`, the labels among `labels` that go by it, and the time, `from` and `until`, each null where nothing was said of
 * it. A time without "since" or "until" is that day.
 */
export function read(typed, labels, now = Date.now()) {
  const [since, until] = [[t("seek_since"), "since"], [t("seek_until"), "until"]];
  const said = { from: null, until: null };
  const rest = [];
  const words = typed.trim().split(/\s+/).filter(Boolean);
  for (let at = 0; at < words.length; at++) {
    const word = plain(words[at]);
    const next = words[at + 1] === undefined ? null : time(plain(words[at + 1]), now);
    const own = time(word, now);
    if (since.includes(word) && next !== null) [said.from, at] = [next[0], at + 1];
    else if (until.includes(word) && next !== null) [said.until, at] = [next[1], at + 1];
    else if (own !== null) [said.from, said.until] = own;
    else rest.push(words[at]);
  }
  const name = rest.join(" ");
  const exact = labels.filter((label) => plain(label) === plain(name));
  return { ...said, name, labels: name === "" ? [] : exact.length > 0 ? exact : labels.filter((label) => goesBy(label, name)) };
}
