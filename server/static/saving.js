// The text leaves the page: copied, downloaded, cleared.

import { toDocx } from "./docx.js";
import { toJson, toSrt, toTxt, toVtt } from "./formats.js";
import { options } from "./settings.js";
import { noteText, page, transcript, writer } from "./state.js";
import * as text from "./text.js";
import { changes, sentence, t } from "./translate.js";
import * as view from "./view.js";

const { copy, download, formats, clear, words } = view.elements;

/** Whether the text may go: it was saved, or the user says so. */
export const mayReplace = () => page.saved || confirm(t("replace"));

export function clearAll() {
  transcript.clear();
  text.clearText();
  view.showNotice("");
  view.showTime(0);
  view.showPhase(page.phase, false);
  Object.assign(page, { total_s: 0, began_s: 0, name: "", file: "", saved: true, rest: null, tapes: [] });
  writer.begin();
  noteText();
}

const duration_s = () => page.total_s || Infinity;
const FORMATS = {
  txt: [() => toTxt(transcript.paragraphs), "text/plain;charset=utf-8"],
  srt: [() => toSrt(transcript.segments, duration_s()), "application/x-subrip;charset=utf-8"],
  vtt: [() => toVtt(transcript.segments, duration_s()), "text/vtt;charset=utf-8"],
  json: [() => toJson(transcript.finals, { model: options().model, duration_s: page.total_s }), "application/json"],
  docx: [
    () => toDocx(transcript.finals, { title: page.name || t("transcript"), language: words.lang }),
    "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
  ],
};

function save(format) {
  const [write, type] = FORMATS[format];
  const name = page.name || `steadyword-${new Date().toISOString().slice(0, 16).replace(/[:T]/g, "-")}`;
  view.save(`${name}.${format}`, write(), type);
  page.saved = true;
  formats.hidePopover?.(); // older browsers show the list all the time
}

async function copyText() {
  try {
    await view.copy(toTxt(transcript.paragraphs));
  } catch (error) {
    return view.showNotice(sentence(error));
  }
  page.saved = true;
  view.showNotice(t("copied"), "good");
}

/** The list of formats stands above its button, inside the window. */
function place() {
  const { left, top } = download.getBoundingClientRect();
  const { width, height } = formats.getBoundingClientRect();
  formats.style.left = `${Math.max(8, Math.min(left, innerWidth - width - 8))}px`;
  formats.style.top = `${Math.max(8, top - height - 6)}px`;
}

export function startSaving() {
  copy.addEventListener("click", copyText);
  for (const format of Object.keys(FORMATS)) {
    const button = view.elements[format];
    button.addEventListener("click", () => save(format));
    const label = () => button.setAttribute("aria-label", t("downloadAs", { format }));
    label();
    changes.addEventListener("change", label);
  }
  formats.addEventListener("toggle", ({ newState }) => newState === "open" && place());
  clear.addEventListener("click", () => mayReplace() && clearAll());
}
