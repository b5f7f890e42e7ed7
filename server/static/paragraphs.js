// Where a paragraph begins. Decided from the words before alone, so that text on the page never moves.

const PAUSE_S = 2; // silence that always begins one
const BREATH_S = 0.4; // silence that begins one after a sentence, once the last paragraph is long enough
const ENOUGH_CHARS = 300; // four or five lines
const LONG_CHARS = 500; // from here on, the next sentence begins one
const MOST_CHARS = 900; // for models that write no sentences
const SENTENCE = /[.!?…。！？।؟]["'”’»)\]」』）]*\s*$/;

/** Whether `word` begins a paragraph behind `before`; `chars`: the length of the paragraph up to there. */
export function beginsParagraph(before, word, chars) {
  if (!before) return true;
  const pause_s = word.start - before.end;
  if (pause_s > PAUSE_S) return true;
  if (SENTENCE.test(before.text)) return chars > LONG_CHARS || (chars > ENOUGH_CHARS && pause_s >= BREATH_S);
  return chars > MOST_CHARS && /^\s/.test(word.text);
}
