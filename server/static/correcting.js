// A word is played, or corrected: what was recognised stays beside the correction.

import { play, stopPlaying } from "./player.js";
import { changes, noteText, page } from "./state.js";
import { firstInSight, wordElements, wordOf } from "./text.js";
import { t } from "./translate.js";
import * as view from "./view.js";

const { play: playButton, edit, words } = view.elements;
const isPressed = (button) => button.getAttribute("aria-pressed") === "true";

function hush() {
  stopPlaying();
  playButton.setAttribute("aria-pressed", "false");
}

/** Plays from a second of the transcript on. */
function playFrom(second) {
  const found = page.tapes.findLast(({ began_s }) => began_s <= second + 0.01);
  const isPlaying = found !== undefined && page.phase === "idle" && play(found.tape, second - found.began_s, hush);
  playButton.setAttribute("aria-pressed", String(isPlaying));
  if (!isPlaying && page.phase === "idle") view.showNotice(t("noSound"), "good");
}

function pressPlay() {
  if (isPressed(playButton)) return hush();
  playFrom(wordOf.get(firstInSight())?.start ?? 0);
}

/** Makes each word a field, or text again. */
function showEditing(isOn) {
  edit.setAttribute("aria-pressed", String(isOn));
  for (const word of wordElements()) {
    if (!isOn) for (const name of ["contenteditable", "role", "aria-label"]) word.removeAttribute(name);
    else {
      word.setAttribute("contenteditable", "true");
      word.setAttribute("role", "textbox");
      word.setAttribute("aria-label", wordOf.get(word).text.trim());
    }
  }
}

function correct({ target }) {
  const word = wordOf.get(target);
  if (!word || !target.isContentEditable) return;
  const text = /^\s/.test(word.text) && target.textContent.trim() ? ` ${target.textContent.trim()}` : target.textContent;
  if (text.trim() === word.text.trim()) delete word.edited;
  else word.edited = text;
  target.classList.toggle("edited", word.edited !== undefined);
  const isFirst = target.matches("p > .final:first-child > .word:first-child");
  target.textContent = isFirst ? text.trimStart() : text;
  if (word.edited !== undefined) page.saved = false;
  noteText();
}

export function startCorrecting() {
  playButton.addEventListener("click", pressPlay);
  edit.addEventListener("click", () => showEditing(!isPressed(edit)));
  words.addEventListener("focusout", correct);
  words.addEventListener("click", ({ target }) => {
    const word = wordOf.get(target);
    if (word && page.tapes.length && !target.isContentEditable && !String(getSelection())) playFrom(word.start);
  });
  changes.addEventListener("phase", () => {
    document.body.classList.toggle("playable", page.phase === "idle" && page.tapes.length > 0);
    if (page.phase === "idle") return;
    hush();
    showEditing(false);
  });
}
