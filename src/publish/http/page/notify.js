// The browser's notifications of the sounds that its user chose. The choice stays in this browser.

import { daemon } from "./daemon.js";
import { recall, remember } from "./memory.js";
import { nameOf, t } from "./words.js";

/** An event that began longer ago, such as one of a replay, is no news. */
const NEWS_MS = 30_000;
/** The most events that are remembered as told. */
const MOST_TOLD = 500;

const wanted = new Set(read());
const told = new Set();

function read() {
  try {
    return JSON.parse(recall("notify") ?? "[]");
  } catch {
    return [];
  }
}

/** Whether the user wants to be told of this label. */
export const isWanted = (slug) => wanted.has(slug);

/** Notes that the user wants to be told of a label, or no longer; returns null, or the key of the text that says why it cannot be. */
export async function want(slug, isIt) {
  if (isIt && !("Notification" in window && window.isSecureContext)) return "notify_insecure";
  if (isIt && (await Notification.requestPermission()) !== "granted") return "notify_denied";
  if (isIt) wanted.add(slug);
  else wanted.delete(slug);
  remember("notify", JSON.stringify([...wanted]));
  return null;
}

function take({ event, part }, reveal) {
  if (part === "end" || told.has(event.id) || Math.abs(daemon.now() - event.from) > NEWS_MS) return;
  const names = new Set([event.label, ...event.also]);
  const slugs = [event.slug, ...[...daemon.labels.values()].filter(({ label }) => names.has(label)).map(({ slug }) => slug)];
  if (!slugs.some(isWanted) || !("Notification" in window) || Notification.permission !== "granted") return;
  told.add(event.id);
  if (told.size > MOST_TOLD) told.delete(told.values().next().value);
  const shown = new Notification(nameOf(event.label), { body: t("event_in", { label: nameOf(event.label), source: event.source }), icon: "/page/icon.svg", tag: event.id });
  shown.onclick = () => {
    window.focus();
    reveal(event.slug);
  };
}

/** Follows the daemon's events; `reveal` opens a label. */
export function follow(reveal) {
  daemon.addEventListener("event", ({ detail }) => take(detail, reveal));
}
