// The transcript so far. Finals are only ever appended; the tail is replaced as a whole. No DOM, no clock.

export const PARAGRAPH_S = 2; // silence between two finals that starts a paragraph

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

export const joined = (words) => words.map(({ text }) => text).join("");

export class Transcript {
  constructor() {
    this.clear();
  }

  clear() {
    this.finals = []; // {words, paragraph: whether this final starts a paragraph}
    this.tail = [];
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

  /** Takes a Results message; returns the final that it added, or null. */
  add(results, offset_s) {
    const words = wordsOf(results, offset_s);
    if (!results.is_final) {
      this.tail = words;
      return null;
    }
    this.tail = this.restOfTail(results, offset_s);
    return words.length ? this.commit(words) : null;
  }

  /** The tail after a final: what the final did not cover stays until the next interim, or the page would flicker. */
  restOfTail({ start, duration, speech_final, from_finalize }, offset_s) {
    if (speech_final || from_finalize) return []; // nothing follows: what was shown and not committed is withdrawn
    return this.tail.filter((word) => (word.start + word.end) / 2 > start + duration + offset_s);
  }

  commit(words) {
    const final = { words, paragraph: this.beginsParagraph(words) };
    this.finals.push(final);
    return final;
  }

  /** Keeps the tail where no final of it will come for now: its words are marked as unsure. Returns them, or null. */
  keepTail() {
    const [words] = [this.tail, (this.tail = [])];
    if (!words.length) return null;
    const kept = { ...this.commit(words), unsure: true };
    this.finals[this.finals.length - 1] = kept;
    return kept;
  }

  /** Before the rest is sent: unsure words at the end become the tail again. Returns whether there were any. */
  takeBack() {
    if (!this.finals.at(-1)?.unsure) return false;
    this.tail = this.finals.pop().words;
    return true;
  }

  beginsParagraph([first]) {
    const before = this.finals.at(-1)?.words.at(-1);
    return !before || (first !== undefined && first.start - before.end > PARAGRAPH_S);
  }
}
