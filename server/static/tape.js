// Tapes hold audio until it is in finals. Positions are samples since the start of the recording. Both tapes have
// rate, start (oldest sample held), end (one past the newest), ended (nothing follows) and read(from, count).

export const KEPT_S = 300; // of the microphone (29 MB at 48 kHz): speech during a break of this length is not lost

/** A microphone's audio: grows at its end, drops its oldest samples. */
export class LiveTape {
  constructor(rate) {
    this.rate = rate;
    this.start = 0;
    this.end = 0;
    this.ended = false;
    this.chunks = []; // {at, samples}
    this.newestAt_s = 0; // wall clock at the newest sample
    this.onGrow = () => {};
  }

  push(samples) {
    if (samples.length) this.chunks.push({ at: this.end, samples });
    this.end += samples.length;
    this.newestAt_s = performance.now() / 1000;
    while (this.end - this.start > KEPT_S * this.rate) {
      this.chunks.shift();
      this.start = this.chunks[0].at;
    }
    this.onGrow();
  }

  close() {
    this.ended = true;
    this.onGrow();
  }

  read(from, count) {
    const out = new Int16Array(Math.min(count, this.end - from));
    for (const { at, samples } of this.chunks) {
      const first = Math.max(from, at);
      const last = Math.min(from + out.length, at + samples.length);
      if (first < last) out.set(samples.subarray(first - at, last - at), first - from);
    }
    return out;
  }

  /** When the sample at `position_s` was spoken, in seconds of this machine's clock. */
  spokenAt_s(position_s) {
    return this.newestAt_s - (this.end / this.rate - position_s);
  }
}

/** A decoded recording, complete from the start. */
export class FileTape {
  constructor(floats, rate) {
    this.floats = floats;
    this.rate = rate;
    this.start = 0;
    this.end = floats.length;
    this.ended = true;
    this.onGrow = () => {};
  }

  read(from, count) {
    const part = this.floats.subarray(from, from + count);
    return Int16Array.from(part, (x) => Math.max(-32768, Math.min(32767, Math.round(x * 32767))));
  }
}
