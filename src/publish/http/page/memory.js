// What this browser remembers of its user: language, appearance, and that the token was shown here. A browser may refuse to.

/** What is remembered under this name, or null. */
export function recall(name) {
  try {
    return localStorage.getItem(`mimid.${name}`);
  } catch {
    return null;
  }
}

/** Remembers a text under this name; null forgets it. */
export function remember(name, text) {
  try {
    if (text === null) localStorage.removeItem(`mimid.${name}`);
    else localStorage.setItem(`mimid.${name}`, text);
  } catch {
    // Then it is chosen anew at the next visit.
  }
}
