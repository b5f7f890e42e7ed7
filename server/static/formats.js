// A transcript as a file: plain text, SubRip, WebVTT. Words are {text, start, end}, as transcript.js keeps them.

import { joined } from "./transcript.js";

// The limits of asr/transcripts/subtitles.py; a test compares the two.
export const LINE_CHARS = 42;
export const MAX_LINES = 2;
export const MAX_CUE_S = 7;
export const MIN_CUE_S = 5 / 6;
export const READING_CHARS_PER_S = 20;

// The page knows no utterances, so a cue also ends at a pause, and at a sentence that fills half a line.
const PAUSE_S = 0.8;
const SENTENCE = /[.!?…。！？]["'”’)]?$/;

export const toTxt = (paragraphs) => `${paragraphs.join("\n\n")}\n`;

/** Lines of at most LINE_CHARS, broken only between words. */
function linesOf(words) {
  const lines = [];
  for (const { text } of words) {
    if (lines.length && lines.at(-1).length + text.length <= LINE_CHARS) lines.push(lines.pop() + text);
    else lines.push(text.trimStart());
  }
  return lines;
}

function endsBefore(word, cue) {
  const text = joined(cue);
  return (
    word.start - cue.at(-1).end > PAUSE_S ||
    word.end - cue[0].start > MAX_CUE_S ||
    linesOf([...cue, word]).length > MAX_LINES ||
    (SENTENCE.test(text) && text.length > LINE_CHARS / 2)
  );
}

/** A cue stays until it can be read, but not into the next one. */
function timedCue(words, next_s) {
  const lines = linesOf(words);
  const [start, end] = [words[0].start, words.at(-1).end];
  const chars = lines.reduce((sum, line) => sum + line.length, 0);
  const readable = start + Math.max(MIN_CUE_S, chars / READING_CHARS_PER_S);
  return { start, end: Math.min(Math.max(end, Math.min(readable, next_s)), start + MAX_CUE_S), text: lines.join("\n") };
}

/** Words -> [{start, end, text}], in seconds. */
export function cues(words) {
  const tidy = words.map((word) => ({ ...word, text: word.text.replace(/\s+/g, " ").trimEnd() }));
  const groups = [];
  for (const word of tidy.filter(({ text }) => text)) {
    if (!groups.length || endsBefore(word, groups.at(-1))) groups.push([]);
    groups.at(-1).push(word);
  }
  return groups.map((group, i) => timedCue(group, groups[i + 1]?.[0].start ?? Infinity));
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
