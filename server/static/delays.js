// Delays from speech to the page: until a word is shown, and until it is committed.

class Recent {
  constructor(size) {
    this.size = size;
    this.values = [];
  }

  add(value) {
    this.values = [...this.values, Math.max(0, value)].slice(-this.size);
  }

  get median() {
    const sorted = [...this.values].sort((a, b) => a - b);
    return sorted[Math.floor(sorted.length / 2)] ?? null;
  }
}

/** Medians over the last words, in seconds; null before the first. */
export class Delays {
  constructor(tape) {
    this.tape = tape; // only a live one knows when a sample was spoken
    this.shown = new Recent(9);
    this.stays = new Recent(25);
    this.lag_s = null; // reported by the server: audio received and not recognised yet
    this.newest_s = 0;
  }

  /** Counts a Results message that was just shown; `words` are its words in the tape's time. */
  add(results, words, offset_s) {
    this.lag_s = results.lag_s ?? this.lag_s;
    if (!this.tape.spokenAt_s || !words.length) return;
    const since = (position_s) => performance.now() / 1000 - this.tape.spokenAt_s(position_s);
    if (results.is_final) words.forEach(({ end }) => this.stays.add(since(end)));
    // Every new word on the page counts, not only the last one, which has waited least. The model may place the end of
    // the last one after the end of the audio: limit it.
    const received_s = offset_s + results.start + results.duration;
    for (const end_s of words.map(({ end }) => Math.min(end, received_s)).filter((end_s) => end_s > this.newest_s)) {
      this.shown.add(since(end_s));
      this.newest_s = end_s;
    }
  }
}
