// Makes elements. Text is only ever set as text, so nothing that a daemon or a configuration says can become markup.

/** An element with properties (`on…` are listeners, `class`, `aria-…`, `data-…` and the like attributes) and children. */
export function el(name, properties = {}, ...children) {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(properties)) {
    if (value === undefined || value === null || value === false) continue;
    if (key.startsWith("on")) element.addEventListener(key.slice(2), value);
    else element.setAttribute(key, value === true ? "" : value);
  }
  element.append(...children.filter((child) => child !== null && child !== undefined));
  return element;
}

/** The element of this id; the page's own, so that it is there. */
export const byId = (id) => document.getElementById(id);

/** Sets a text where it is another one: a screen reader is told of no change that is none. */
export function say(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

const style = new Map();

/** What CSS has for a custom property; pictures ask for many of them, many times a second. */
export function css(name) {
  if (!style.has(name)) style.set(name, getComputedStyle(document.documentElement).getPropertyValue(name).trim());
  return style.get(name);
}

/** Has CSS asked anew, since another style is in force. */
export const restyle = () => style.clear();

/** A canvas in the size of its place on this screen, with its context in CSS pixels. */
export function fit(canvas) {
  const ratio = window.devicePixelRatio || 1;
  const [width, height] = [canvas.clientWidth, canvas.clientHeight];
  if (canvas.width !== Math.round(width * ratio) || canvas.height !== Math.round(height * ratio)) {
    canvas.width = Math.round(width * ratio);
    canvas.height = Math.round(height * ratio);
  }
  const context = canvas.getContext("2d");
  context.setTransform(ratio, 0, 0, ratio, 0, 0);
  return { context, width, height };
}
