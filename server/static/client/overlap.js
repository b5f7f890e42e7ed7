// Words of a stream that begins again within an utterance: those that were final before are dropped. As server/client/overlap.py.

/** @import { Word } from "./words.js" */

const NEAR_S = 0.7; // the middle of a word that is recognised again lies within this of its first place

/** @param {Word} word */
const middle = ({ start, end }) => (start + end) / 2;
/** @param {Word} word */
const letters = ({ text }) => text.toLowerCase().replace(/[^\p{L}\p{N}]/gu, "") || text.trim();
/** @param {Word} a @param {Word} b */
const same = (a, b) => Math.abs(middle(a) - middle(b)) <= NEAR_S && letters(a) === letters(b);

export class Overlap {
  /** @param {Word[]} known the words that were final, in order */
  constructor(known) {
    this.known = [...known];
    this.end = this.known.at(-1)?.end ?? 0;
  }

  /** Whether this final word was final before; call it for each, in order. What was final stays as it was. @param {Word} word */
  knows(word) {
    if (!this.known.length) return false;
    const found = this.known.findIndex((known) => same(known, word));
    if (found >= 0) {
      this.known.splice(0, found + 1);
      return true;
    }
    if (middle(word) < this.end) return true;
    this.known = [];
    return false;
  }

  /** Whether a word that may still change was final before. @param {Word} word */
  covers(word) {
    return this.known.length > 0 && middle(word) < this.end;
  }
}
