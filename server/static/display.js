// How the page looks: its language, the size of the letters, the contrast. Kept on this device.

import * as translation from "./translate.js";
import { elements, options } from "./view.js";

const NAMES = { en: "English", vi: "Tiếng Việt" };
const SIZE = "steadyword-size";
const CONTRAST = "steadyword-contrast";

const { interface: chooser, size, contrast, settings, configuration } = elements;
const root = document.documentElement;

function apply() {
  root.dataset.size = size.value;
  root.classList.toggle("contrast", contrast.checked);
}

export function startDisplay() {
  options(chooser, Object.entries(NAMES), translation.locale);
  for (const option of chooser.options) option.lang = option.value;
  size.value = localStorage.getItem(SIZE) ?? "100";
  contrast.checked = localStorage.getItem(CONTRAST) === "more";
  apply();
  chooser.addEventListener("change", () => translation.speak(chooser.value));
  size.addEventListener("change", () => {
    localStorage.setItem(SIZE, size.value);
    apply();
  });
  contrast.addEventListener("change", () => {
    localStorage.setItem(CONTRAST, contrast.checked ? "more" : "");
    apply();
  });
  settings.addEventListener("click", () => configuration.showModal());
}
