// The language of the page's own texts: the user's choice, else the browser's first language that the page has.

import { LANGUAGES, STRINGS } from "./strings.js";

const STORED = "steadyword-interface";

const first = (codes) => codes.map((code) => code.split("-")[0]).find((code) => LANGUAGES.includes(code));

/** The code of the page's language. */
export let locale = first([localStorage.getItem(STORED) ?? "", ...navigator.languages]) ?? "en";

/** "change": the page has another language. */
export const changes = new EventTarget();

/** The text of `key`; `{name}` in it becomes `values.name`. */
export function t(key, values = {}) {
  const text = STRINGS[key]?.[LANGUAGES.indexOf(locale)];
  if (text === undefined) throw new Error(`no text ${key} in strings.js`);
  return text.replace(/\{(\w+)\}/g, (_, name) => values[name]);
}

/** An error's text: that of its code, or its own message. */
export const sentence = (error) => (STRINGS[error.code] ? t(error.code, error.values) : error.message);

/** Fills an element; `*strong*` and `_pale_` in the text become elements. */
function fill(element, text) {
  const parts = text.split(/(\*[^*]+\*|_[^_]+_)/).map((part) => {
    if (!/^[*_]/.test(part)) return part;
    const inner = document.createElement(part[0] === "*" ? "strong" : "em");
    if (part[0] === "_") inner.className = "tail";
    inner.textContent = part.slice(1, -1);
    return inner;
  });
  element.replaceChildren(...parts);
}

const ATTRIBUTES = { label: "aria-label", title: "title", placeholder: "placeholder", description: "content" };

/** Writes every text of the document: `data-t` names an element's text, `data-t-label` and so on an attribute's. */
export function translate() {
  document.documentElement.lang = locale;
  for (const element of document.querySelectorAll("[data-t]")) fill(element, t(element.dataset.t));
  for (const [name, attribute] of Object.entries(ATTRIBUTES)) {
    for (const element of document.querySelectorAll(`[data-t-${name}]`)) {
      element.setAttribute(attribute, t(element.getAttribute(`data-t-${name}`)));
    }
  }
}

/** Takes another language, and stores the choice. */
export function speak(code) {
  locale = code;
  localStorage.setItem(STORED, code);
  translate();
  changes.dispatchEvent(new Event("change"));
}
