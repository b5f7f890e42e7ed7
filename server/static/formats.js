// A transcript as a file: plain text, SubRip, WebVTT, JSON. Words are {text, start, end}, as transcript.js keeps them.

import { joined } from "./transcript.js";

// Subtitles are those of the command: asr/transcripts/subtitles.py and asr/word_boundaries.py have the same rules, and a
// test compares the files that both write.
export const LINE_CHARS = 42;
export const MAX_LINES = 2;
export const MAX_CUE_S = 7;
export const MIN_CUE_S = 5 / 6;
export const READING_CHARS_PER_S = 20;

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

// What Python calls a space and a digit.
const SPACE = "[\\t-\\r\\x1c-\\x20\\x85\\xa0\\u1680\\u2000-\\u200a\\u2028\\u2029\\u202f\\u205f\\u3000]";
const SPACES = new RegExp(`${SPACE}+`, "gu");
const OUTER_SPACES = new RegExp(`^${SPACE}+|${SPACE}+$`, "gu");
const BEGINS_WITH_SPACE = new RegExp(`^${SPACE}`, "u");
const DIGIT = new RegExp(
  "[\\p{Nd}\\u{b2}-\\u{b3}\\u{b9}\\u{1369}-\\u{1371}\\u{19da}\\u{2070}\\u{2074}-\\u{2079}\\u{2080}-\\u{2089}\\u{2460}-\\u{2468}\\u{2474}-\\u{247c}\\u{2488}-\\u{2490}\\u{24ea}\\u{24f5}-" +
    "\\u{24fd}\\u{24ff}\\u{2776}-\\u{277e}\\u{2780}-\\u{2788}\\u{278a}-\\u{2792}\\u{10a40}-\\u{10a43}\\u{10e60}-\\u{10e68}\\u{11052}-\\u{1105a}\\u{1f100}-\\u{1f10a}]",
  "u",
);

const widthOf = (char) => (WIDE.test(char) ? 2 : 1);
export const width = (text) => [...text].reduce((sum, char) => sum + widthOf(char), 0);
const lengthOf = (text) => [...text].length;

/** Rounds as Python does: a half to the even neighbour. */
function round(x) {
  const rounded = Math.round(x);
  return rounded - x === 0.5 && rounded % 2 ? rounded - 1 : rounded;
}

/** The text on one line, without control characters and lone surrogates. */
const oneLine = (text) => text.replace(SPACES, " ").replace(OUTER_SPACES, "").replace(/\p{Cc}/gu, "").replace(/\p{Cs}/gu, "\ufffd");

const belongsToLeft = (last, first) => /\p{M}/u.test(first) || last === "\u200d" || first === "\u200d";

function inNumber(before, first) {
  const [digit, mark] = [...before].slice(-2);
  return mark !== undefined && DIGIT.test(digit) && "，．：".includes(mark) && DIGIT.test(first);
}

/** Whether a new word begins between two texts; the rules of asr/word_boundaries.py. */
function isWordBoundary(before, after) {
  const [last, first] = [[...before].at(-1), [...after][0]];
  if (BEGINS_WITH_SPACE.test(last) || BEGINS_WITH_SPACE.test(first)) return true;
  if (NEVER_FIRST.has(first) || NEVER_LAST.has(last) || belongsToLeft(last, first)) return false;
  return !inNumber(before, first) && (UNSPACED.test(last) || UNSPACED.test(first));
}

/** Whether a line may end between two texts: between words, but not beside a number nor in a run of katakana. */
function mayBreak(before, after) {
  const [last, first] = [[...before].at(-1), [...after][0]];
  if (KATAKANA.test(last) && KATAKANA.test(first)) return false;
  const mixed = UNSPACED.test(last) !== UNSPACED.test(first);
  return isWordBoundary(before, after) && !(mixed && (DIGIT.test(last) || DIGIT.test(first)));
}

/** Joins what no line may break: recognisers split "285,950" and "low-fat" into several words. */
function wholeWords(words) {
  const whole = [];
  for (const word of words) {
    if (!oneLine(word.text)) continue;
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
  const parts = [];
  for (let rest = [...oneLine(text)]; rest.length; ) parts.push(rest.splice(0, cutOf(rest)).join(""));
  if (BEGINS_WITH_SPACE.test(text)) parts[0] = ` ${parts[0]}`;
  const perChar_s = (end - start) / parts.reduce((sum, part) => sum + lengthOf(part), 0);
  let done = 0;
  return parts.map((part) => {
    const from = start + done * perChar_s;
    done += lengthOf(part);
    return { text: part, start: from, end: start + done * perChar_s };
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

const fits = (group) => group.at(-1).end - group[0].start <= MAX_CUE_S && linesOf(group).length <= MAX_LINES;

/** Greedy groups of pieces: each as large as fits one cue. */
function groupsOf(pieces) {
  const groups = [];
  for (const piece of pieces) {
    if (groups.length && fits([...groups.at(-1), piece])) groups.at(-1).push(piece);
    else groups.push([piece]);
  }
  return groups;
}

function cueOf(group, notBefore_ms) {
  const start_ms = Math.max(notBefore_ms, round(group[0].start * 1000));
  const end_ms = Math.min(round(group.at(-1).end * 1000), start_ms + round(MAX_CUE_S * 1000));
  return { start_ms, end_ms: Math.max(end_ms, start_ms + 1), lines: linesOf(group) };
}

/** The cue, extended until it can be read, but not into the next one. */
function readable(cue, next) {
  const columns = cue.lines.reduce((sum, line) => sum + width(line), 0);
  const wanted_s = Math.max(MIN_CUE_S, columns / READING_CHARS_PER_S);
  const until_ms = cue.start_ms + round(Math.min(wanted_s, MAX_CUE_S) * 1000);
  return { ...cue, end_ms: Math.max(cue.end_ms, Math.min(until_ms, next?.start_ms ?? Infinity)) };
}

/**
 * The words of each segment, and the recordings' length (Infinity: unknown) -> [{start_ms, end_ms, lines}]. A cue never
 * contains words of two segments, nor ends after the recordings.
 */
export function cues(segments, duration_s = Infinity) {
  const made = [];
  for (const words of segments) {
    const written = words.map((word) => ({ ...word, text: word.edited ?? word.text }));
    for (const group of groupsOf(wholeWords(written).flatMap(piecesOf))) made.push(cueOf(group, made.at(-1)?.end_ms ?? 0));
  }
  const duration_ms = Math.floor(duration_s * 1000);
  return made.map((cue, i) => {
    const shown = readable(cue, made[i + 1]);
    return { ...shown, end_ms: Math.max(shown.start_ms + 1, Math.min(shown.end_ms, duration_ms)) };
  });
}

function clock(ms, point) {
  const pad = (value, width = 2) => String(value).padStart(width, "0");
  const [h, m, s] = [Math.floor(ms / 3600000), Math.floor(ms / 60000) % 60, Math.floor(ms / 1000) % 60];
  return `${pad(h)}:${pad(m)}:${pad(s)}${point}${pad(ms % 1000, 3)}`;
}

const span = ({ start_ms, end_ms }, point) => `${clock(start_ms, point)} --> ${clock(end_ms, point)}`;

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

/** SubRip has no escapes, so an arrow in the text becomes a shorter one. */
export const toSrt = (segments, duration_s) =>
  cues(segments, duration_s)
    .map((cue, i) => `${i + 1}\n${span(cue, ",")}\n${cue.lines.join("\n").replace(/-{2,}>/g, "->")}\n`)
    .join("\n");

const escaped = (text) => text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");

export const toVtt = (segments, duration_s) =>
  ["WEBVTT\n", ...cues(segments, duration_s).map((cue) => `${span(cue, ".")}\n${escaped(cue.lines.join("\n"))}\n`)].join("\n");
