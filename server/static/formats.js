// A transcript as a file: plain text, SubRip, WebVTT. Words are {text, start, end}, as transcript.js keeps them.

import { joined } from "./transcript.js";

// The limits and the rules for lines of asr/transcripts/subtitles.py and asr/word_boundaries.py; a test compares them.
export const LINE_CHARS = 42;
export const MAX_LINES = 2;
export const MAX_CUE_S = 7;
export const MIN_CUE_S = 5 / 6;
export const READING_CHARS_PER_S = 20;

// The page knows no utterances, so a cue also ends at a pause, and at a sentence that fills half a line.
const PAUSE_S = 0.8;
const SENTENCE = /[.!?…。！？]["'”’)]?$/;

export const toTxt = (paragraphs) => `${paragraphs.join("\n\n")}\n`;

// Unicode's East Asian Width W and F: two columns. Ranges go on over characters that are not assigned.
const WIDE = new RegExp(
  "[" +
    "\\u{1100}-\\u{115f}\\u{231a}-\\u{231b}\\u{2329}-\\u{232a}\\u{23e9}-\\u{23ec}\\u{23f0}\\u{23f3}\\u{25fd}-\\u{25fe}" +
    "\\u{2614}-\\u{2615}\\u{2648}-\\u{2653}\\u{267f}\\u{2693}\\u{26a1}\\u{26aa}-\\u{26ab}\\u{26bd}-\\u{26be}" +
    "\\u{26c4}-\\u{26c5}\\u{26ce}\\u{26d4}\\u{26ea}\\u{26f2}-\\u{26f3}\\u{26f5}\\u{26fa}\\u{26fd}\\u{2705}" +
    "\\u{270a}-\\u{270b}\\u{2728}\\u{274c}\\u{274e}\\u{2753}-\\u{2755}\\u{2757}\\u{2795}-\\u{2797}\\u{27b0}\\u{27bf}" +
    "\\u{2b1b}-\\u{2b1c}\\u{2b50}\\u{2b55}\\u{2e80}-\\u{303e}\\u{3041}-\\u{3247}\\u{3250}-\\u{4dbf}\\u{4e00}-\\u{a4c6}" +
    "\\u{a960}-\\u{a97c}\\u{ac00}-\\u{d7a3}\\u{f900}-\\u{fad9}\\u{fe10}-\\u{fe19}\\u{fe30}-\\u{fe6b}\\u{ff01}-\\u{ff60}" +
    "\\u{ffe0}-\\u{ffe6}\\u{16fe0}-\\u{1b2fb}\\u{1f004}\\u{1f0cf}\\u{1f18e}\\u{1f191}-\\u{1f19a}\\u{1f200}-\\u{1f320}" +
    "\\u{1f32d}-\\u{1f335}\\u{1f337}-\\u{1f37c}\\u{1f37e}-\\u{1f393}\\u{1f3a0}-\\u{1f3ca}\\u{1f3cf}-\\u{1f3d3}" +
    "\\u{1f3e0}-\\u{1f3f0}\\u{1f3f4}\\u{1f3f8}-\\u{1f43e}\\u{1f440}\\u{1f442}-\\u{1f4fc}\\u{1f4ff}-\\u{1f53d}" +
    "\\u{1f54b}-\\u{1f54e}\\u{1f550}-\\u{1f567}\\u{1f57a}\\u{1f595}-\\u{1f596}\\u{1f5a4}\\u{1f5fb}-\\u{1f64f}" +
    "\\u{1f680}-\\u{1f6c5}\\u{1f6cc}\\u{1f6d0}-\\u{1f6d2}\\u{1f6d5}-\\u{1f6df}\\u{1f6eb}-\\u{1f6ec}\\u{1f6f4}-\\u{1f6fc}" +
    "\\u{1f7e0}-\\u{1f7f0}\\u{1f90c}-\\u{1f93a}\\u{1f93c}-\\u{1f945}\\u{1f947}-\\u{1f9ff}\\u{1fa70}-\\u{1faf6}" +
    "\\u{20000}-\\u{3134a}" +
    "]",
  "u",
);
const UNSPACED = new RegExp(
  "[\\u0e00-\\u0fff\\u1000-\\u109f\\u1780-\\u17ff\\u1950-\\u19df\\u1a20-\\u1aad\\ua9e0-\\ua9fe\\uaa60-\\uaa7f" +
    "\\u2e80-\\u312f\\u3190-\\ua4cf\\uf900-\\ufaff\\ufe30-\\ufe4f" +
    "\\uff00-\\uff0f\\uff1a-\\uff20\\uff3b-\\uff40\\uff5b-\\uff9f\\u{20000}-\\u{3ffff}]",
  "u",
);
const KATAKANA = /[\u30a1-\u30fa\u30fc-\u30ff\uff66-\uff9f]/u;
const NEVER_FIRST = new Set(
  ",.:;?!)]}»’”…‥%、。，．・：；？！％」』】）〕］｝〉》〟ー々〻ヽヾゝゞぁぃぅぇ" +
    "ぉっゃゅょゎァィゥェォッャュョヮヵヶ" +
    "ะาำๅๆฯະາຳໆຯ་།၊။។៕៖ៗ",
);
const NEVER_LAST = new Set("「『【（〔［｛〈《〝‘“([{«￥＄เแโใไເແໂໃໄ");

const widthOf = (char) => (WIDE.test(char) ? 2 : 1);
export const width = (text) => [...text].reduce((sum, char) => sum + widthOf(char), 0);

const belongsToLeft = (last, first) => /\p{M}/u.test(first) || last === "\u200d" || first === "\u200d";

const inNumber = (before, first) => /\p{Nd}[，．：]$/u.test(before) && /\p{Nd}/u.test(first);

/** Whether a new word begins between two texts; the rules of asr/word_boundaries.py. */
function isWordBoundary(before, after) {
  const [last, first] = [[...before].at(-1), [...after][0]];
  if (/\s/.test(last) || /\s/.test(first)) return true;
  if (NEVER_FIRST.has(first) || NEVER_LAST.has(last) || belongsToLeft(last, first)) return false;
  return !inNumber(before, first) && (UNSPACED.test(last) || UNSPACED.test(first));
}

/** Whether a line may end between two texts: between words, but not beside a number nor in a run of katakana. */
function mayBreak(before, after) {
  const [last, first] = [[...before].at(-1), [...after][0]];
  if (KATAKANA.test(last) && KATAKANA.test(first)) return false;
  const mixed = UNSPACED.test(last) !== UNSPACED.test(first);
  return isWordBoundary(before, after) && !(mixed && /\p{Nd}/u.test(last + first));
}

/** Joins what no line may break: recognisers split "285,950" and "low-fat" into several words. */
function wholeWords(words) {
  const whole = [];
  for (const word of words) {
    if (!whole.length || mayBreak(whole.at(-1).text, word.text)) whole.push(word);
    else {
      const left = whole.pop();
      whole.push({ ...left, text: left.text + word.text, end: Math.max(left.end, word.end) });
    }
  }
  return whole;
}

/** The number of characters in the first line of a text that is longer than one. */
function cutOf(chars) {
  let [most, columns] = [0, 0];
  while (most < chars.length && columns + widthOf(chars[most]) <= LINE_CHARS) columns += widthOf(chars[most++]);
  let cut = most;
  while (cut > 1 && cut < chars.length && belongsToLeft(chars[cut - 1], chars[cut])) cut--;
  return cut > 1 ? cut : most;
}

/** A word in parts of at most a line, each with its share of the time by characters. */
function piecesOf({ text, start, end }) {
  const space = /^\s/.test(text) ? " " : "";
  const parts = [];
  for (let rest = [...text.trim()]; rest.length; ) parts.push(rest.splice(0, cutOf(rest)).join(""));
  parts[0] = space + parts[0];
  const total = parts.reduce((sum, part) => sum + [...part].length, 0);
  let done = 0;
  return parts.map((part) => {
    const from = start + (done / total) * (end - start);
    done += [...part].length;
    return { text: part, start: from, end: start + (done / total) * (end - start) };
  });
}

/** Lines of at most LINE_CHARS columns, broken only between words. */
function linesOf(words) {
  const lines = [];
  for (const { text } of words) {
    if (lines.length && width(lines.at(-1)) + width(text) <= LINE_CHARS) lines.push(lines.pop() + text);
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
    (SENTENCE.test(text) && width(text) > LINE_CHARS / 2)
  );
}

/** A cue stays until it can be read, but not into the next one, nor beyond the recording. */
function timedCue(words, next_s, duration_s) {
  const lines = linesOf(words);
  const [start, end] = [words[0].start, words.at(-1).end];
  const columns = lines.reduce((sum, line) => sum + width(line), 0);
  const readable = start + Math.max(MIN_CUE_S, columns / READING_CHARS_PER_S);
  const until = Math.min(Math.max(end, Math.min(readable, next_s)), start + MAX_CUE_S);
  return { start, end: Math.max(start + 0.001, Math.min(until, duration_s)), text: lines.join("\n") };
}

/** Words, and the recording's length (Infinity: unknown) -> [{start, end, text}], in seconds. */
export function cues(words, duration_s = Infinity) {
  const tidy = words.map((word) => ({ ...word, text: word.text.replace(/\s+/g, " ").trimEnd() }));
  const groups = [];
  for (const word of wholeWords(tidy.filter(({ text }) => text.trim())).flatMap(piecesOf)) {
    if (!groups.length || endsBefore(word, groups.at(-1))) groups.push([]);
    groups.at(-1).push(word);
  }
  return groups.map((group, i) => timedCue(group, groups[i + 1]?.[0].start ?? Infinity, duration_s));
}

function clock(seconds, point) {
  const ms = Math.round(seconds * 1000);
  const pad = (value, width = 2) => String(value).padStart(width, "0");
  const [h, m, s] = [Math.floor(ms / 3600000), Math.floor(ms / 60000) % 60, Math.floor(ms / 1000) % 60];
  return `${pad(h)}:${pad(m)}:${pad(s)}${point}${pad(ms % 1000, 3)}`;
}

const timed = ({ start, end }, point) => `${clock(start, point)} --> ${clock(Math.max(end, start + 0.001), point)}`;

const milliseconds = (seconds) => Math.round(seconds * 1000) / 1000;

/** `asr transcribe`'s JSON, one segment for each paragraph. A corrected word also has what was recognised; `unsure`: not final. */
export function toJson(finals, { model, duration_s }) {
  const segments = [];
  for (const { words, paragraph, unsure } of finals) {
    if (paragraph || !segments.length) segments.push([]);
    segments.at(-1).push(...words.map((word) => ({ ...word, unsure })));
  }
  const table = segments.map((words) => ({
    text: joined(words).trim(),
    start_s: milliseconds(words[0].start),
    end_s: milliseconds(words.at(-1).end),
    words: words.map(({ text, edited, start, end, unsure }) => ({
      text: edited ?? text,
      start_s: milliseconds(start),
      end_s: milliseconds(end),
      ...(edited === undefined ? {} : { recognised: text }),
      ...(unsure ? { unsure } : {}),
    })),
  }));
  const text = table.map((segment) => segment.text).join("\n\n");
  return `${JSON.stringify({ text, model, duration_s: milliseconds(duration_s), segments: table }, null, 2)}\n`;
}

export const toSrt = (words, duration_s) =>
  cues(words, duration_s)
    .map((cue, i) => `${i + 1}\n${timed(cue, ",")}\n${cue.text}\n`)
    .join("\n");

const escaped = (text) => text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");

export const toVtt = (words, duration_s) =>
  `WEBVTT\n\n${cues(words, duration_s)
    .map((cue) => `${timed(cue, ".")}\n${escaped(cue.text)}\n`)
    .join("\n")}`;
