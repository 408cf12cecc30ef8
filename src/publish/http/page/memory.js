// Settings that the browser stores for its user: language, appearance, and whether it has logged in. The token is never among
// them.

/** The text that is stored under this name, or null. */
export function recall(name) {
  try {
    return localStorage.getItem(`mimid.${name}`);
  } catch {
    return null;
  }
}

/** Stores a text under this name; null removes it. */
export function remember(name, text) {
  try {
    if (text === null) localStorage.removeItem(`mimid.${name}`);
    else localStorage.setItem(`mimid.${name}`, text);
  } catch {
    // A browser may refuse to store anything; then the user chooses again at the next visit.
  }
}
