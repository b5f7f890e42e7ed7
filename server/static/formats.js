// A transcript as a file: plain text, SubRip, WebVTT. Words are {text, start, end}, as transcript.js keeps them.

import { joined } from "./transcript.js";

const LINE_CHARS = 42; // two lines of this length are the usual limit of a subtitle
const CUE_S = 6;
const PAUSE_S = 0.8; // silence that ends a cue
const SENTENCE = /[.!?…。！？]["'”’)]?$/;

export const toTxt = (paragraphs) => `${paragraphs.join("\n\n")}\n`;

function cueEnds(cue, word) {
  const last = cue.at(-1);
  const text = joined(cue);
  return (
    word.start - last.end > PAUSE_S ||
    word.end - cue[0].start > CUE_S ||
    (text + word.text).trim().length > 2 * LINE_CHARS ||
    (SENTENCE.test(text) && text.length > LINE_CHARS / 2)
  );
}

export function cues(words) {
  const found = [];
  for (const word of words) {
    if (!found.length || cueEnds(found.at(-1), word)) found.push([]);
    found.at(-1).push(word);
  }
  return found.map((cue) => ({ start: cue[0].start, end: cue.at(-1).end, text: twoLines(joined(cue).trim()) }));
}

function twoLines(text) {
  if (text.length <= LINE_CHARS) return text;
  const half = text.length / 2;
  const spaces = [...text.matchAll(/\s+/g)].map(({ index }) => index);
  if (!spaces.length) return text;
  const best = spaces.reduce((a, b) => (Math.abs(a - half) <= Math.abs(b - half) ? a : b));
  return `${text.slice(0, best)}\n${text.slice(best).trimStart()}`;
}

function clock(seconds, point) {
  const ms = Math.round(seconds * 1000);
  const pad = (value, width = 2) => String(value).padStart(width, "0");
  const [h, m, s] = [Math.floor(ms / 3600000), Math.floor(ms / 60000) % 60, Math.floor(ms / 1000) % 60];
  return `${pad(h)}:${pad(m)}:${pad(s)}${point}${pad(ms % 1000, 3)}`;
}

const timed = ({ start, end }, point) => `${clock(start, point)} --> ${clock(Math.max(end, start + 0.001), point)}`;

export const toSrt = (words) =>
  cues(words)
    .map((cue, i) => `${i + 1}\n${timed(cue, ",")}\n${cue.text}\n`)
    .join("\n");

const escaped = (text) => text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");

export const toVtt = (words) =>
  `WEBVTT\n\n${cues(words)
    .map((cue) => `${timed(cue, ".")}\n${escaped(cue.text)}\n`)
    .join("\n")}`;
