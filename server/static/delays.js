// How long words take from the mouth to the page: until they are shown, and until they stay.

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
    this.tape = tape; // only a live one tells when something was spoken
    this.shown = new Recent(9);
    this.stays = new Recent(25);
    this.lag_s = null; // the server's own count: audio received and not yet dealt with
    this.newest_s = 0;
  }

  /** A Results message that has just been shown; `words` are its words in the tape's time. */
  add(results, words, offset_s) {
    this.lag_s = results.lag_s ?? this.lag_s;
    if (!this.tape.spokenAt_s || !words.length) return;
    const since = (position_s) => performance.now() / 1000 - this.tape.spokenAt_s(position_s);
    if (results.is_final) words.forEach(({ end }) => this.stays.add(since(end)));
    // Every word that is new on the page, not just the last, which has waited least. That one may be thought to end
    // after the audio that it was read from.
    const heard_s = offset_s + results.start + results.duration;
    for (const end_s of words.map(({ end }) => Math.min(end, heard_s)).filter((end_s) => end_s > this.newest_s)) {
      this.shown.add(since(end_s));
      this.newest_s = end_s;
    }
  }
}
