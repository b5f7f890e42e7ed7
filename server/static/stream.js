// Streams one recording, over several WebSocket connections if one breaks. Reads a tape (tape.js), as docs/PROTOCOL.md says.
//
// The server keeps the stream of a broken connection for a while: the next one goes on with its token. Where it does not, as
// after a restart, another stream begins behind the last finished utterance, and words that were final are dropped.
// Nothing is lost that is still on the tape. All times are the tape's.

import * as access from "./access.js";
import { Overlap } from "./overlap.js";
import { NO_SERVER } from "./sources.js";
import { joined, wordsOf } from "./transcript.js";

const CHUNK_S = 0.1;
const BYTES_A_SAMPLE = 2;
const BUFFERED_BYTES = 512 * 1024; // enough for the 1 s timers of a hidden tab, little enough to stop soon
const BACK_OFF_S = [0.3, 1, 2, 4, 8]; // waits before each retry, times a random factor; the last one repeats
const OPEN_S = 10; // a connection that is not open by then is closed
const KEEP_ALIVE_S = 5; // the server closes silent streams; a phone's microphone stops during a call
const SLACK_S = 1; // for a connection to open while the tape drops its oldest samples
const RESUMABLE_S = 30; // asked of the server
const SILENCE_S = 10; // a server that keeps the stream says something every second
const GONE = 410;
const RESTARTED = 1012;
const CALLERS_FAULT = [1008, 1009, 4001]; // close codes after which a retry would fail, too; 4001: another has the stream
const TRIES = 3; // of failures on the server's side without a result in between

/** The stream cannot continue; the message is for the user. */
export class StreamError extends Error {}

function reasonIn(body) {
  return body?.err_msg ?? body?.description ?? body?.error?.message ?? body?.message ?? body?.reason ?? "";
}

/** Why a connection was refused. Browsers hide the status of a refused WebSocket: ask again without the upgrade. */
async function refusal(url) {
  const address = new URL(url);
  address.protocol = address.protocol.replace("ws", "http");
  try {
    const answer = await access.request(address, { cache: "no-store", signal: AbortSignal.timeout(OPEN_S * 1000) });
    const body = await answer.json().catch(() => ({}));
    return { status: answer.status, message: reasonIn(body) };
  } catch {
    return { status: 0, message: "" }; // no server
  }
}

const REFUSED = {
  0: () => NO_SERVER,
  426: () =>
    `No WebSocket came through from ${location.origin}. List that origin in the server's allowed_origins, ` +
    "or look for a proxy in between that blocks WebSockets.",
  503: (message) => `The server is full. Try again in a moment.${message && ` (It says: ${message})`}`,
};

export class Stream {
  /**
   * `listeners`: onMessage(message) for each JSON message, onBroken() when a connection is lost and will be retried,
   * onOpen(again), onLost(seconds) when audio was dropped before it could be recognised.
   */
  constructor(url, tape, listeners) {
    this.url = url;
    this.tape = tape;
    this.listeners = listeners;
    this.base = 0; // the first sample of the server's stream
    this.next = 0; // the sample to send next
    this.settled = 0; // the end of the last final
    this.safe = 0; // everything spoken before this sample is final
    this.finals = []; // final words behind it
    this.overlap = new Overlap([]);
    this.kept = false; // the server has said that it keeps the stream
    this.token = "";
    this.sequence = 0; // of the last message
    this.failures = 0;
    this.opened = false; // ever
    // Resolves with the sample up to which the text is final, rejects with a StreamError.
    this.done = new Promise((resolve, reject) => Object.assign(this, { resolve, reject }));
    this.tape.onGrow = () => this.pump();
    this.connect();
  }

  /** Of the next connection: the stream that is kept, or a new one. */
  get address() {
    const url = new URL(this.url);
    const more = this.token
      ? { resume: this.token, sequence: this.sequence }
      : { resumable: RESUMABLE_S, offset: this.base / this.tape.rate };
    for (const [name, value] of Object.entries(more)) url.searchParams.set(name, value);
    return url.href;
  }

  connect() {
    this.closing = false;
    this.fault = "";
    this.ready = false;
    const socket = new WebSocket(this.address, access.subprotocols());
    this.socket = socket;
    const timer = setTimeout(() => socket.close(), OPEN_S * 1000);
    let keepAlive = null; // an interval, once open
    const ended = (code, reason) => {
      socket.onopen = socket.onmessage = socket.onclose = null;
      clearTimeout(timer);
      clearInterval(keepAlive);
      this.closed(keepAlive !== null, code, reason);
    };
    socket.onopen = () => {
      clearTimeout(timer);
      this.heardAt = performance.now();
      keepAlive = setInterval(() => {
        const silence_s = (performance.now() - this.heardAt) / 1000;
        if (!this.kept || silence_s < SILENCE_S) return this.say("KeepAlive");
        socket.close(); // nobody is there to answer this, so nothing waits for it
        ended(1006, "");
      }, KEEP_ALIVE_S * 1000);
      if (this.token) return; // the server says where to go on
      if (this.tape.start <= this.base) return this.begin(this.base);
      this.beginAgain(); // the address says another begin than the tape still has
      socket.close();
    };
    socket.onmessage = ({ data }) => this.receive(JSON.parse(data));
    socket.onclose = ({ code, reason }) => ended(code, reason);
  }

  begin(sample) {
    this.ready = true;
    this.next = Math.max(sample, this.tape.start);
    this.listeners.onOpen(this.opened);
    if (this.next > sample) this.listeners.onLost((this.next - sample) / this.tape.rate);
    this.opened = true;
    this.pump();
  }

  /** The server keeps the stream no more: the next connection opens another one. */
  beginAgain() {
    this.token = "";
    this.sequence = 0;
    const { tape } = this;
    const wanted = this.kept ? this.safe : this.settled;
    const drops = tape.start > 0 && !tape.ended; // its oldest samples, all the time
    this.base = Math.max(wanted, tape.start + (drops ? SLACK_S * tape.rate : 0));
    const final = Math.max(this.settled, wanted);
    if (this.base > final) this.listeners.onLost((this.base - final) / tape.rate);
    this.overlap = new Overlap(this.kept ? this.finals : []);
  }

  /** Sends what the tape has and the connection takes; called when either may have changed. */
  pump() {
    if (!this.ready || this.socket.readyState !== WebSocket.OPEN || this.closing) return;
    clearTimeout(this.timer);
    const { tape } = this;
    const chunk = Math.round(CHUNK_S * tape.rate);
    while (this.next < tape.end && (tape.ended || tape.end - this.next >= chunk)) {
      if (this.socket.bufferedAmount > BUFFERED_BYTES) {
        this.timer = setTimeout(() => this.pump(), 30);
        return;
      }
      const samples = tape.read(this.next, chunk);
      this.socket.send(samples);
      this.next += samples.length;
    }
    if (!tape.ended) return;
    if (this.next === this.base) return this.finish(); // everything on the tape is in finals already
    this.closing = true;
    this.say("CloseStream");
  }

  say(type, fields = {}) {
    if (this.socket.readyState === WebSocket.OPEN) this.socket.send(JSON.stringify({ type, ...fields }));
  }

  receive(message) {
    this.heardAt = performance.now();
    if (message.type === "Session") return this.resumed(message);
    if (this.kept && "sequence" in message) {
      if (message.sequence <= this.sequence) return; // it came before the connection broke
      this.sequence = message.sequence;
    }
    if (message.type === "Error") this.fault = reasonIn(message);
    if (message.type === "Results") this.failures = 0; // it works: reset the back-off
    if (message.type === "Results") this.dropKnown(message);
    if (message.is_final) this.settled = Math.max(this.settled, this.sampleAt(message.start + message.duration));
    this.noteSafe(message);
    this.listeners.onMessage(message);
    if (this.token && message.is_final) this.say("Ack", { sequence: this.sequence });
  }

  /** The first message of a connection, or that the stream can be resumed no more. */
  resumed({ resume, received_bytes, closing }) {
    const waiting = !this.ready;
    this.kept = true;
    this.token = resume ?? "";
    if (!waiting) return;
    this.failures = 0;
    this.closing = closing;
    this.begin(this.base + received_bytes / BYTES_A_SAMPLE);
  }

  sampleAt(second) {
    return Math.min(Math.round(second * this.tape.rate), this.tape.end);
  }

  noteSafe({ settled_s = 0 }) {
    this.safe = Math.max(this.safe, this.sampleAt(settled_s));
    this.finals = this.finals.filter(({ end }) => end > settled_s);
  }

  /** Removes the words that were final before this stream began, and remembers new final ones. */
  dropKnown(message) {
    const [best] = message.channel.alternatives;
    const pieces = wordsOf(message, 0);
    const isNew = pieces.map((piece) => !(message.is_final ? this.overlap.knows(piece) : this.overlap.covers(piece)));
    if (!isNew.every(Boolean)) {
      best.words = best.words.filter((_, i) => isNew[i]);
      best.text = joined(pieces.filter((_, i) => isNew[i]));
      best.transcript = best.text.trim();
    }
    if (message.is_final) this.finals.push(...pieces.filter((_, i) => isNew[i]));
  }

  async closed(open, code, reason) {
    clearTimeout(this.timer);
    if (this.over) return;
    if (this.closing && code === 1000) this.finish();
    else if (!open) await this.refused();
    else if (CALLERS_FAULT.includes(code) || (this.fault && this.failures >= TRIES)) {
      this.fail(this.fault || reason || "The server closed the stream.");
    } else {
      if (code === RESTARTED || this.fault || !this.token) this.beginAgain();
      this.retry();
    }
  }

  async refused() {
    const { status, message } = await refusal(this.address);
    if (this.over) return;
    if (status === GONE && this.token) {
      this.beginAgain();
      return this.connect();
    }
    const passing = ([0, 503].includes(status) && this.opened) || (status === 426 && this.failures < TRIES);
    if (passing) this.retry(); // 426: it would be accepted now
    else this.fail(REFUSED[status]?.(message) ?? (message || `The server refused the stream (HTTP ${status}).`));
  }

  retry() {
    const wait_s = BACK_OFF_S[Math.min(this.failures, BACK_OFF_S.length - 1)] * (0.5 + Math.random());
    this.failures += 1;
    this.listeners.onBroken();
    this.timer = setTimeout(() => this.connect(), wait_s * 1000);
  }

  /** Ends immediately, without waiting for outstanding results. */
  abandon() {
    this.end();
    this.resolve(this.settled);
  }

  finish() {
    this.end();
    this.resolve(this.tape.end);
  }

  fail(message) {
    this.end();
    this.reject(new StreamError(message));
  }

  end() {
    this.over = true;
    if (this.socket.readyState <= WebSocket.OPEN) this.socket.close(1000); // the server need not wait for us
    clearTimeout(this.timer);
    this.tape.onGrow = () => {};
  }
}
