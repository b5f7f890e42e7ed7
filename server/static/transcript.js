// The transcript so far. Finals are only ever appended; the tail is replaced as a whole. No DOM, no clock.

import { beginsParagraph } from "./paragraphs.js";

/** The words of a Results message, spaces included, so that the joined words are the text. */
export function wordsOf(results, offset_s) {
  const [{ transcript = "", text, words = [] } = {}] = results.channel?.alternatives ?? [];
  const whole = text ?? (transcript && ` ${transcript}`); // `text` is our server's field; others send only the trimmed text
  let at = 0;
  const pieces = words.map(({ word, punctuated_word: written = word, start, end }) => {
    const found = whole.indexOf(written, at);
    const stop = found < 0 ? at : found + written.length;
    const piece = found < 0 ? ` ${written}` : whole.slice(at, stop);
    at = stop;
    return { text: piece, start: start + offset_s, end: end + offset_s };
  });
  if (pieces.length) pieces.at(-1).text += whole.slice(at);
  return pieces;
}

/** The language that a Results message found; "" where it says none. */
export const languageOf = (results) => results.channel?.alternatives?.[0]?.languages?.[0] ?? "";

/** The words' text, as the user has corrected it. What was recognised stays in `text`. */
export const joined = (words) => words.map(({ text, edited }) => edited ?? text).join("");

export class Transcript {
  constructor() {
    this.clear();
  }

  clear() {
    this.finals = []; // {words, paragraph: whether it begins one, recording: whether it begins one, ends: an utterance ends}
    this.tail = [];
    this.isNewRecording = false;
    this.chars = 0; // of the paragraph so far
  }

  /** The next words belong to another recording: they begin a paragraph, behind a break. */
  beginRecording() {
    this.isNewRecording = !this.empty;
  }

  /** What is kept on the device. Pale words are in it, as unsure ones. */
  get state() {
    const unsure = this.tail.length ? [{ words: this.tail, paragraph: this.empty, unsure: true }] : [];
    return { finals: [...this.finals, ...unsure] };
  }

  set state({ finals }) {
    this.clear();
    this.finals = finals;
  }

  get words() {
    return this.finals.flatMap(({ words }) => words);
  }

  get empty() {
    return this.finals.length === 0;
  }

  get paragraphs() {
    const paragraphs = [];
    for (const { words, paragraph } of this.finals) {
      if (paragraph) paragraphs.push([]);
      paragraphs.at(-1).push(...words);
    }
    return paragraphs.map((words) => joined(words).trim());
  }

  /** Takes a Results message; returns the finals that it added: one, or more where paragraphs begin within it. */
  add(results, offset_s) {
    const words = wordsOf(results, offset_s);
    if (!results.is_final) {
      this.tail = words;
      return [];
    }
    this.tail = this.restOfTail(results, offset_s);
    const added = this.commit(words);
    if (results.speech_final && !this.empty) this.finals.at(-1).ends = true;
    return added;
  }

  /** The tail after a final: what the final did not cover stays until the next interim, or the page would flicker. */
  restOfTail({ start, duration, speech_final, from_finalize }, offset_s) {
    if (speech_final || from_finalize) return []; // nothing follows: what was shown and not committed is withdrawn
    return this.tail.filter((word) => (word.start + word.end) / 2 > start + duration + offset_s);
  }

  commit(words, flags = {}) {
    const added = [];
    for (const word of words) {
      const [paragraph, recording] = [this.beginsParagraph(word), this.isNewRecording];
      if (paragraph) this.chars = 0;
      if (paragraph || !added.length) {
        added.push({ words: [], paragraph, recording, ...flags });
        this.finals.push(added.at(-1));
      }
      added.at(-1).words.push(word);
      this.chars += word.text.length;
      this.isNewRecording = false;
    }
    return added;
  }

  /** Keeps the tail where no final of it will come for now, as unsure words. Returns what it added. */
  keepTail() {
    const words = this.tail;
    this.tail = [];
    return this.commit(words, { unsure: true });
  }

  /** Before the rest is sent: unsure words at the end become the tail again. */
  takeBack() {
    while (this.finals.at(-1)?.unsure) {
      const { words, recording } = this.finals.pop();
      this.tail = [...words, ...this.tail];
      this.isNewRecording ||= recording;
    }
  }

  /** Whether a word that comes next begins a paragraph. */
  beginsParagraph(word) {
    const before = this.finals.at(-1)?.words.at(-1);
    return this.isNewRecording || (word !== undefined && beginsParagraph(before, word, this.chars));
  }
}
