// The transcript so far. Finals are only ever appended; the tail is replaced as a whole. No DOM, no clock.

import { wordsOf } from "./client/words.js";
import { beginsParagraph } from "./paragraphs.js";

const SEGMENT_S = 5; // a segment of this length ends at the next end of a sentence
const SENTENCE = /[.?!…。？！｡؟।]["'”’»)\]」』）]*\s*$/;

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

  /** The segments of `asr transcribe`: utterances, and the sentences of long ones (asr/transcripts/formats.py). */
  get segments() {
    const segments = [];
    let words = [];
    const end = () => words.length && segments.push(words.splice(0));
    for (const final of this.finals) {
      if (final.recording) end();
      for (const word of final.words) {
        words.push(word);
        if (word.end - words[0].start >= SEGMENT_S && SENTENCE.test(word.text)) end();
      }
      if (final.ends) end();
    }
    end();
    return segments;
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
