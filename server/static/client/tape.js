// Tapes hold audio until it is in finals. Positions are samples since the start of the recording.

/**
 * @typedef {object} Tape
 * @property {number} rate samples a second
 * @property {number} start the oldest sample held
 * @property {number} end one past the newest
 * @property {boolean} ended nothing follows
 * @property {() => void} onGrow called when there are more samples, or nothing follows
 * @property {(from: number, count: number) => Int16Array} read as many as there are
 */

export const KEPT_S = 300; // of the microphone (29 MB at 48 kHz): speech during a break of this length is not lost

/** A microphone's audio: grows at its end, drops its oldest samples. */
export class LiveTape {
  /** @param {number} rate samples a second @param {number} [kept_s] more seconds than that are not held */
  constructor(rate, kept_s = KEPT_S) {
    this.rate = rate;
    this.kept_s = kept_s;
    this.start = 0;
    this.end = 0;
    this.ended = false;
    /** @type {{ at: number, samples: Int16Array }[]} */
    this.chunks = [];
    this.newestAt_s = 0; // wall clock at the newest sample
    this.odd = new Uint8Array(0); // half a sample
    this.onGrow = () => {};
  }

  /** @param {Int16Array} samples mono */
  push(samples) {
    if (samples.length) this.chunks.push({ at: this.end, samples });
    this.end += samples.length;
    this.newestAt_s = performance.now() / 1000;
    while (this.end - this.start > this.kept_s * this.rate) {
      this.chunks.shift();
      this.start = this.chunks[0].at;
    }
    this.onGrow();
  }

  /** The same as bytes, cut anywhere, as a pipe delivers them. @param {Uint8Array} bytes 16-bit little-endian mono */
  write(bytes) {
    const all = new Uint8Array(this.odd.length + bytes.length);
    all.set(this.odd);
    all.set(bytes, this.odd.length);
    const whole = all.length - (all.length % 2);
    this.odd = all.slice(whole);
    this.push(new Int16Array(all.buffer, 0, whole / 2));
  }

  get bytes() {
    return 2 * (this.end - this.start);
  }

  close() {
    this.ended = true;
    this.onGrow();
  }

  /** @param {number} from @param {number} count */
  read(from, count) {
    const out = new Int16Array(Math.min(count, this.end - from));
    for (const { at, samples } of this.chunks) {
      const first = Math.max(from, at);
      const last = Math.min(from + out.length, at + samples.length);
      if (first < last) out.set(samples.subarray(first - at, last - at), first - from);
    }
    return out;
  }

  /** When the sample at `position_s` was spoken, in seconds of this machine's clock. @param {number} position_s */
  spokenAt_s(position_s) {
    return this.newestAt_s - (this.end / this.rate - position_s);
  }
}

/** A decoded recording, complete from the start. */
export class FileTape {
  /** @param {Float32Array} floats mono, -1 to 1 @param {number} rate samples a second */
  constructor(floats, rate) {
    this.floats = floats;
    this.bytes = floats.byteLength;
    this.rate = rate;
    this.start = 0;
    this.end = floats.length;
    this.ended = true;
    this.onGrow = () => {};
  }

  /** @param {number} from @param {number} count */
  read(from, count) {
    const part = this.floats.subarray(from, from + count);
    return Int16Array.from(part, (x) => Math.max(-32768, Math.min(32767, Math.round(x * 32767))));
  }
}
