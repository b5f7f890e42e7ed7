// What the user chooses for the recogniser: model, language, words to expect. And the language that was found.

import { access, needed, take } from "./access.js";
import { endpoint, listenUrl } from "./address.js";
import { page } from "./state.js";
import { changes, locale, t } from "./translate.js";
import * as view from "./view.js";

const { model, language, found, lock, keyterms, prompt, manner, words } = view.elements;
const given = new URLSearchParams(location.search); // an address may set model, language and keyterms
const MOST_KEYTERMS = 100; // the protocol's limit

/** The names of languages in the page's language. */
export const nameOf = (code) => new Intl.DisplayNames([locale], { type: "language", fallback: "code" }).of(code);

/** What a recording is sent with. */
export const options = () => ({
  model: model.value,
  language: language.value,
  keyterms: [...new Set(keyterms.value.split("\n").map((line) => line.trim()))].filter(Boolean).slice(0, MOST_KEYTERMS),
  prompt: prompt.value.trim(),
});

function showLanguages(codes, chosen) {
  const entries = codes.map((code) => [code, nameOf(code)]).sort(([, a], [, b]) => a.localeCompare(b, locale));
  if (codes.length > 1) entries.unshift(["", t("detect")]);
  view.options(language, entries, entries.some(([code]) => code === chosen) ? chosen : entries[0]?.[0]);
  language.closest("label").hidden = !entries.length;
}

const chosenModel = () => page.models.find(({ id }) => id === model.value) ?? {};

function chooseLanguages() {
  const { languages = [], architecture } = chosenModel();
  manner.hidden = !architecture || architecture === "whisper"; // CTC models write as their training data did
  showLanguages(languages, language.value || given.get("language") || navigator.language.split("-")[0]);
  showLanguage("");
}

/** Asks the server for its models, unless they are known. */
export async function loadModels() {
  if (page.models.length) return;
  const answer = await access.request(endpoint("v1/models")).catch(() => null);
  if (answer?.status === 401) return view.showNotice("");
  if (!answer?.ok) return view.showNotice(t("noServer"));
  page.models = (await answer.json()).data;
  const ids = page.models.map(({ id }) => id);
  const wanted = ids.find((id) => id === given.get("model")) ?? page.models.find((entry) => entry.default)?.id;
  view.options(model, ids.map((id) => [id, id]), wanted);
  chooseLanguages();
}

/** Shows the language of the text: to fonts and screen readers, and, where it was detected, to the user, who may keep to it. */
export function showLanguage(detected) {
  const code = language.value || detected;
  if (code) words.lang = code;
  const isFound = !language.value && detected !== "" && (chosenModel().languages ?? []).includes(detected);
  found.hidden = !isFound;
  if (!isFound) return;
  lock.dataset.language = detected;
  found.firstElementChild.textContent = t("found", { language: nameOf(detected) });
}

/** From here on the language is the one that was found. */
function keepToLanguage() {
  language.value = lock.dataset.language;
  showLanguage("");
  page.stream?.change(listenUrl(page.stream.tape.rate, options()));
  view.showNotice(t("locked", { language: nameOf(language.value) }), "good");
}

/** The user has typed a key: the page is as if it had been loaded with it. */
async function takeKey(event) {
  event.preventDefault();
  try {
    await take(view.elements.key.value);
  } catch (error) {
    return view.showNotice(error.code ? t(error.code) : error.message);
  }
  view.showEntry(false);
  view.showNotice("");
  await loadModels();
}

export function startSettings() {
  keyterms.value = given.getAll("keyterm").join("\n");
  prompt.value = given.get("prompt") ?? "";
  model.addEventListener("change", chooseLanguages);
  language.addEventListener("change", () => showLanguage(""));
  lock.addEventListener("click", keepToLanguage);
  needed.addEventListener("needed", () => view.showEntry(true));
  view.elements.entry.addEventListener("submit", takeKey);
  changes.addEventListener("change", () => {
    if (page.models.length) showLanguages(chosenModel().languages ?? [], language.value);
    if (!found.hidden) showLanguage(lock.dataset.language);
  });
}
