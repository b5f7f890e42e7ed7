// Search in the transcript. Letters without marks find those with marks: "hoc" finds "học".

import { changes, page, transcript } from "./state.js";
import { bring, wordElements } from "./text.js";
import { t } from "./translate.js";
import { elements } from "./view.js";

const { search, finder, query, hits, previous, next, paper } = elements;
const canMark = typeof Highlight !== "undefined";
let found = []; // a Range for each hit
let at = -1;
let pending = null; // the timer of a search in text that has just grown

const LATER_MS = 500; // a long transcript is not searched for each word

const bare = (text) => text.normalize("NFD").replace(/\p{M}/gu, "").replaceAll("đ", "d");

/** How a text is compared with the query: without case, and without marks if the query has none. */
function folding(asked) {
  const lower = asked.toLowerCase().normalize("NFC");
  return bare(lower) === lower ? (text) => bare(text.toLowerCase()) : (text) => text.toLowerCase().normalize("NFC");
}

/** Each character of the text, folded, with its place: {text, places: [node, offset, end offset] of each folded unit}. */
function folded(fold) {
  const places = [];
  let [text, paragraph] = ["", null];
  const add = (unit, place) => {
    text += unit;
    for (let i = 0; i < unit.length; i += 1) places.push(place);
  };
  for (const element of wordElements()) {
    const node = element.firstChild;
    if (!node) continue;
    if (paragraph && element.closest("p") !== paragraph) add("\n", null);
    paragraph = element.closest("p");
    for (const { 0: letter, index } of node.data.matchAll(/\P{M}\p{M}*|\p{M}+/gu)) {
      add(fold(letter), [node, index, index + letter.length]);
    }
  }
  return { text, places };
}

function rangeOf(first, last) {
  const range = new Range();
  range.setStart(first[0], first[1]);
  range.setEnd(last[0], last[2]);
  return range;
}

function look() {
  const asked = query.value.trim();
  const fold = folding(asked);
  const wanted = fold(asked);
  found = [];
  if (wanted) {
    const { text, places } = folded(fold);
    for (let i = text.indexOf(wanted); i >= 0; i = text.indexOf(wanted, i + wanted.length)) {
      found.push(rangeOf(places[i], places[i + wanted.length - 1]));
    }
  }
  at = Math.min(at, found.length - 1);
  if (canMark) CSS.highlights.set("hits", new Highlight(...found));
  say();
}

function say() {
  const isAsked = query.value.trim() !== "";
  hits.textContent = !isAsked ? "" : found.length ? t("hits", { number: at + 1, count: found.length }) : t("noHits");
  if (canMark) CSS.highlights.set("hit", new Highlight(...(found[at] ? [found[at]] : [])));
}

function step(by) {
  if (!found.length) return;
  at = (at + by + found.length) % found.length;
  bring(found[at].startContainer.parentElement);
  if (!canMark) getSelection().setBaseAndExtent(found[at].startContainer, found[at].startOffset, found[at].endContainer, found[at].endOffset);
  say();
}

function show(isOn) {
  finder.hidden = !isOn;
  search.setAttribute("aria-pressed", String(isOn));
  if (isOn) query.select();
  else {
    query.value = "";
    look();
    paper.focus();
  }
}

export function startSearch() {
  search.addEventListener("click", () => show(finder.hidden));
  query.addEventListener("input", () => {
    at = -1;
    look();
    step(1);
  });
  finder.addEventListener("keydown", (event) => {
    if (event.key === "Escape") show(false);
    if (event.key !== "Enter" || event.target !== query) return;
    event.preventDefault();
    step(event.shiftKey ? -1 : 1);
  });
  previous.addEventListener("click", () => step(-1));
  next.addEventListener("click", () => step(1));
  changes.addEventListener("text", () => {
    if (finder.hidden) return;
    if (transcript.empty && page.phase === "idle") return show(false);
    pending ??= setTimeout(() => {
      pending = null;
      look();
    }, LATER_MS);
  });
}
