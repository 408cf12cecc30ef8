// The header that both pages have: the language, the appearance, and the log-in.

import { ask } from "./api.js";
import { byId, el, restyle, say } from "./dom.js";
import { recall, remember } from "./memory.js";
import { LANGUAGES, onLanguage, speak, spoken } from "./words.js";

const darkness = matchMedia("(prefers-color-scheme: dark)");

/** Applies the theme, light or dark, by the user's choice or else the system's. */
function dress(dressed) {
  const chosen = recall("theme") ?? "auto";
  byId("theme").value = chosen;
  document.documentElement.dataset.theme = chosen === "auto" ? (darkness.matches ? "dark" : "light") : chosen;
  restyle();
  dressed();
}

/** Wires the choices of language and appearance, and the log-out; `dressed` is called after each change of the appearance. */
export function wireTop(dressed) {
  byId("log-out").addEventListener("click", async () => {
    await ask("POST", "/api/v1/logout").catch(() => {});
    remember("known", null);
    location.reload();
  });
  const language = byId("language");
  language.replaceChildren(...Object.entries(LANGUAGES).map(([tag, name]) => el("option", { value: tag, lang: tag }, name)));
  language.addEventListener("change", () => speak(language.value));
  onLanguage(() => (language.value = spoken()));
  byId("theme").addEventListener("change", ({ target }) => {
    remember("theme", target.value);
    dress(dressed);
  });
  darkness.addEventListener("change", () => dress(dressed));
  dress(dressed);
}

/** Shows the page, since the daemon answers. */
export function showMain() {
  byId("main").hidden = false;
  // Only a browser that has logged in can log out.
  byId("log-out").hidden = recall("known") === null;
}

/** Shows the log-in form in the place of the page, because the daemon asks for the access token. */
export function askForToken() {
  byId("main").hidden = true;
  byId("log-out").hidden = true;
  const form = byId("login");
  form.hidden = false;
  byId("token").focus();
  form.onsubmit = async (submitted) => {
    submitted.preventDefault();
    try {
      await ask("POST", "/api/v1/login", { token: byId("token").value });
      remember("known", "yes");
      location.reload();
    } catch (error) {
      byId("login-fault").hidden = false;
      say(byId("login-fault"), error.message);
      byId("token").select();
    }
  };
}
