// Everything the page shows. No state but the DOM's.

import { joined } from "./transcript.js";

const $ = (id) => document.getElementById(id);
export const elements = Object.fromEntries([...document.querySelectorAll("[id]")].map(({ id }) => [id, $(id)]));
const { paper, words, empty, notice, level, elapsed, of, shown, stays, lag, start, choose } = elements;

const tail = document.createElement("span");
tail.className = "tail";
tail.setAttribute("aria-live", "off"); // screen readers read only committed text

// --- text

let follows = true; // the text's end stays in sight, until the user scrolls up

const atEnd = () => paper.scrollHeight - paper.scrollTop - paper.clientHeight < 40;

function toEnd() {
  if (follows) paper.scrollTop = paper.scrollHeight;
  elements.jump.hidden = follows;
}

function following(change) {
  change();
  toEnd();
}

// Only the user's own hand ends following. A notice that shrinks the paper scrolls nothing, and is followed.
for (const gesture of ["wheel", "touchmove", "keydown", "pointerdown"]) {
  paper.addEventListener(gesture, () => (toEnd.byHand = performance.now()), { passive: true });
}
paper.addEventListener("scroll", () => {
  if (atEnd()) follows = true;
  else if (performance.now() - (toEnd.byHand ?? -Infinity) < 1000 || paper.matches(":active")) follows = false;
  elements.jump.hidden = follows;
});
new ResizeObserver(toEnd).observe(paper);
elements.jump.addEventListener("click", () => {
  follows = true;
  toEnd();
  paper.focus();
});

/** The paragraph to write to: a new one, or the last. A last one that holds only the tail is removed. */
function paragraphFor(fresh, second) {
  if (words.lastElementChild && !words.lastElementChild.querySelector(".final")) words.lastElementChild.remove();
  if (words.lastElementChild && !fresh) return words.lastElementChild;
  const paragraph = document.createElement("p");
  paragraph.dir = "auto";
  paragraph.dataset.time = clock(second); // shown beside it, and no part of the text
  words.append(paragraph);
  return paragraph;
}

const textIn = (paragraph, text) => (paragraph.querySelector(".final") ? text : text.trimStart());

/** The word that an element of the text shows. */
export const wordOf = new WeakMap();

function spanOf(word, text) {
  const span = document.createElement("span");
  span.className = word.edited === undefined ? "word" : "word edited";
  span.textContent = text;
  wordOf.set(span, word);
  return span;
}

export function showFinal(final) {
  following(() => {
    const paragraph = paragraphFor(final.paragraph, final.words[0].start);
    paragraph.classList.toggle("recording", final.recording || paragraph.classList.contains("recording"));
    const span = document.createElement("span");
    span.append(...final.words.map((word) => spanOf(word, joined([word]))));
    span.firstChild.textContent = textIn(paragraph, span.firstChild.textContent);
    span.className = final.unsure ? "final unsure" : "final";
    if (final.unsure) span.title = "Not confirmed: the server was away before these words were final.";
    paragraph.append(span, tail);
    empty.hidden = true;
  });
}

export function showTail(tailWords, fresh) {
  following(() => {
    const text = joined(tailWords);
    const paragraph = paragraphFor(fresh && text !== "", tailWords[0]?.start ?? 0);
    tail.textContent = textIn(paragraph, text);
    paragraph.append(tail);
    empty.hidden = Boolean(words.textContent);
  });
}

/** Removes the unsure words at the end, which become the tail again. */
export function removeUnsure() {
  for (let last; (last = [...words.querySelectorAll(".final")].at(-1)) && last.classList.contains("unsure"); ) {
    const paragraph = last.parentElement;
    last.remove();
    if (!paragraph.querySelector(".final")) paragraph.remove();
  }
}

/** Makes each word a field, or text again. */
export function showEditing(isOn) {
  elements.edit.setAttribute("aria-pressed", String(isOn));
  for (const word of words.querySelectorAll(".final .word")) {
    if (!isOn) for (const name of ["contenteditable", "role", "aria-label"]) word.removeAttribute(name);
    else {
      word.setAttribute("contenteditable", "true");
      word.setAttribute("role", "textbox");
      word.setAttribute("aria-label", wordOf.get(word).text.trim());
    }
  }
}

/** The first word of the text that is in sight. */
export function firstInSight() {
  const { top } = paper.getBoundingClientRect();
  return [...words.querySelectorAll(".final .word")].find((word) => word.getBoundingClientRect().bottom > top);
}

export function clearText() {
  tail.textContent = "";
  tail.remove();
  words.replaceChildren();
  empty.hidden = false;
}

// --- state

/** The field for a key, where the server asks for one. What was typed does not stay in the page. */
export function showEntry(wanted) {
  const { entry, key } = elements;
  const appears = wanted && entry.hidden;
  entry.hidden = !wanted;
  key.value = "";
  if (appears) key.focus();
}

/** kind: "error" (needs the user), "busy" (in progress) or "good" (disappears after 4 s). `offer`: [label, action]. */
export function showNotice(text, kind = "error", offer = null) {
  notice.textContent = text;
  notice.className = kind;
  if (offer) {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = offer[0];
    button.addEventListener("click", offer[1]);
    notice.append(" ", button);
  }
  notice.hidden = !text;
  clearTimeout(showNotice.timer);
  if (kind === "good") showNotice.timer = setTimeout(() => showNotice(""), 4000);
}

const LABELS = { idle: "Start", opening: "Opening…", listening: "Stop", finishing: "Finishing…" };

export function showPhase(phase, hasText) {
  document.body.dataset.phase = phase;
  elements["start-label"].textContent = LABELS[phase];
  const idle = phase === "idle";
  // Not `disabled`: that would move the focus away from a button just pressed.
  start.setAttribute("aria-disabled", String(phase === "opening"));
  choose.setAttribute("aria-disabled", String(!idle));
  for (const select of [elements.model, elements.language]) select.disabled = !idle;
  for (const id of ["copy", "txt", "srt", "vtt", "json", "play", "edit"]) elements[id].disabled = !hasText;
  elements.clear.disabled = !hasText || !idle;
  if (idle) showLevel(0);
  else showEditing(false);
}

/** `rms` is 0 to 1; the meter spans 60 dB. */
export function showLevel(rms) {
  const share = Math.max(0, Math.min(1, 1 + Math.log10(Math.max(rms, 1e-6)) / 3));
  level.firstElementChild.style.transform = `scaleX(${share.toFixed(3)})`;
  level.setAttribute("aria-valuenow", String(Math.round(share * 100)));
}

/** Screen readers and fonts need the language of the text, which is not that of the page. */
export function showSpokenLanguage(code) {
  if (code) elements.words.lang = code;
}

export function showSpeaking(speaking) {
  document.body.classList.toggle("speaking", speaking);
}

function clock(seconds) {
  const whole = Math.floor(seconds);
  const [h, m, s] = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60, whole % 60];
  const two = (value) => String(value).padStart(2, "0");
  return h ? `${h}:${two(m)}:${two(s)}` : `${m}:${two(s)}`;
}

export function showTime(seconds, of_s = null) {
  elapsed.textContent = clock(seconds);
  of.textContent = of_s === null ? "" : ` of ${clock(of_s)}`;
}

const tenths = (seconds) => (seconds === null ? "–" : `${seconds.toFixed(1)} s`);

export function showDelays({ shown: shownAfter, stays: staysAfter, lag_s }) {
  shown.lastElementChild.textContent = tenths(shownAfter.median);
  stays.lastElementChild.textContent = tenths(staysAfter.median);
  lag.lastElementChild.textContent = tenths(lag_s);
}

// --- choices

const names = new Intl.DisplayNames(["en"], { type: "language", fallback: "code" });

function options(select, entries, chosen) {
  select.replaceChildren(...entries.map(([value, text]) => new Option(text, value, false, value === chosen)));
  select.closest("label").hidden = !entries.length;
}

export function showModels(models, chosen) {
  options(elements.model, models.map(({ id }) => [id, id]), chosen);
}

export function showLanguages(codes, chosen) {
  const entries = codes.map((code) => [code, names.of(code)]).sort(([, a], [, b]) => a.localeCompare(b));
  if (codes.length > 1) entries.unshift(["", "Detect"]);
  options(elements.language, entries, codes.includes(chosen) ? chosen : entries[0]?.[0]);
}

/** Shows a note for CTC models: capitals and punctuation depend on their training data. */
export function showStyleNote(architecture) {
  elements.manner.hidden = !architecture || architecture === "whisper";
}

export function save(name, text, type) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([text], { type: `${type};charset=utf-8` }));
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10000);
}

export async function copy(text) {
  if (navigator.clipboard) {
    try {
      return await navigator.clipboard.writeText(text);
    } catch {
      // Refused by a permission: the older way may still work.
    }
  }
  const area = document.createElement("textarea"); // pages over plain http in a local network have no clipboard API
  area.value = text;
  document.body.append(area);
  area.select();
  const copied = document.execCommand("copy");
  area.remove();
  if (!copied) throw new Error("The browser does not let this page copy. Select the text and copy it, or download it.");
}
