// The words of a server's messages.

/**
 * Times are seconds since the recording's begin. `text` has the space before the word, where its language writes one.
 * @typedef {{ text: string, start: number, end: number }} Word
 */

/**
 * A message of the server. Those of type "Results" have words; `is_final` ones never change, and the others replace each other.
 * @typedef {object} Message
 * @property {string} type
 * @property {number} [start]
 * @property {number} [duration]
 * @property {boolean} [is_final]
 * @property {boolean} [speech_final] an utterance ends with this final
 * @property {number} [lag_s] audio that the server has received and not yet dealt with
 * @property {number} [sequence]
 * @property {number} [settled_s]
 * @property {{ alternatives: Alternative[] }} [channel]
 */

/**
 * @typedef {object} Alternative
 * @property {string} transcript
 * @property {string} [text]
 * @property {{ word: string, punctuated_word?: string, start: number, end: number }[]} [words]
 * @property {string[]} [languages]
 */

/**
 * The words of a Results message, spaces included, so that the joined words are the text.
 * @param {Pick<Message, "channel">} results
 * @param {number} [offset_s] is added to their times
 * @returns {Word[]}
 */
export function wordsOf(results, offset_s = 0) {
  const { transcript = "", text, words = [] } = results.channel?.alternatives?.[0] ?? {};
  const whole = text ?? (transcript && ` ${transcript}`); // `text` is our server's field; others send only the trimmed text
  let at = 0;
  const pieces = words.map(({ word, punctuated_word: written = word, start, end }) => {
    const found = whole.indexOf(written, at);
    const stop = found < 0 ? at : found + written.length;
    const piece = found < 0 ? ` ${written}` : whole.slice(at, stop);
    at = stop;
    return { text: piece, start: start + offset_s, end: end + offset_s };
  });
  const last = pieces.at(-1);
  if (last) last.text += whole.slice(at);
  return pieces;
}

/** The language that a Results message found; "" where it says none. @param {Pick<Message, "channel">} results */
export const languageOf = (results) => results.channel?.alternatives?.[0]?.languages?.[0] ?? "";

/** @param {Word[]} words */
export const textOf = (words) => words.map(({ text }) => text).join("");
