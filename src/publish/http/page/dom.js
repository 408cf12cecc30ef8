// Makes elements, and fits canvases. Text is only ever set as text, so that no name from a daemon or a configuration becomes
// markup.

/** A new element with properties and children; properties that begin with `on` are listeners, the others attributes. */
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

/** The element with this id, which index.html has. */
export const byId = (id) => document.getElementById(id);

/** Sets a text where it differs, so that a screen reader announces real changes only. */
export function say(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

const style = new Map();

/** The value of a custom property of CSS; cached, because canvases use many of them many times a second. */
export function css(name) {
  if (!style.has(name)) style.set(name, getComputedStyle(document.documentElement).getPropertyValue(name).trim());
  return style.get(name);
}

/** Drops the cached values, because the theme has changed. */
export const restyle = () => style.clear();

/** Fits a canvas to its size on the screen, and returns its context in CSS pixels. */
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
