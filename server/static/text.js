// The text on the page: paragraphs of finals, the tail behind them, and the end that stays in sight.

import { joined } from "./transcript.js";
import { changes, t } from "./translate.js";
import { clock, elements } from "./view.js";

const { paper, words, empty, jump } = elements;

const tail = document.createElement("span");
tail.className = "tail";
tail.setAttribute("aria-live", "off"); // screen readers read only committed text

let follows = true; // the text's end stays in sight, until the user scrolls up

const atEnd = () => paper.scrollHeight - paper.scrollTop - paper.clientHeight < 40;

function toEnd() {
  if (follows) paper.scrollTop = paper.scrollHeight;
  jump.hidden = follows;
}

function following(change) {
  change();
  toEnd();
}

/** Brings an element of the text into sight; the text then waits there. */
export function bring(element) {
  follows = false;
  element.scrollIntoView({ block: "center" });
  jump.hidden = atEnd();
}

// Only the user's own hand ends following. A notice that shrinks the paper scrolls nothing, and is followed.
for (const gesture of ["wheel", "touchmove", "keydown", "pointerdown"]) {
  paper.addEventListener(gesture, () => (toEnd.byHand = performance.now()), { passive: true });
}
paper.addEventListener("scroll", () => {
  if (atEnd()) follows = true;
  else if (performance.now() - (toEnd.byHand ?? -Infinity) < 1000 || paper.matches(":active")) follows = false;
  jump.hidden = follows;
});
new ResizeObserver(toEnd).observe(paper);
jump.addEventListener("click", () => {
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
  span.className = "word";
  span.classList.toggle("edited", word.edited !== undefined);
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
    span.className = "final";
    span.classList.toggle("unsure", Boolean(final.unsure));
    if (final.unsure) span.title = t("unsure");
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
    if (text === "" && !paragraph.querySelector(".final")) paragraph.remove(); // no time without a word
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

/** The elements of all final words, in order. */
export const wordElements = () => [...words.querySelectorAll(".final .word")];

/** The first word of the text that is in sight. */
export function firstInSight() {
  const { top } = paper.getBoundingClientRect();
  return wordElements().find((word) => word.getBoundingClientRect().bottom > top);
}

export function clearText() {
  tail.textContent = "";
  tail.remove();
  words.replaceChildren();
  empty.hidden = false;
}

changes.addEventListener("change", () => {
  for (const span of words.querySelectorAll(".unsure")) span.title = t("unsure");
});
