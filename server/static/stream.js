// Streams one recording, over several WebSocket connections if one breaks. Reads a tape (tape.js), as docs/PROTOCOL.md says.
//
// A broken connection loses nothing that is still on the tape: the next one starts at the end of the last final. The
// server counts time from the first sample of a connection; `offset_s` converts it to the tape's time.

import * as access from "./access.js";
import { NO_SERVER } from "./sources.js";

const CHUNK_S = 0.1;
const BUFFERED_BYTES = 512 * 1024; // enough for the 1 s timers of a hidden tab, little enough to stop soon
const BACK_OFF_S = [0.3, 1, 2, 4, 8]; // waits before each retry; the last one repeats
const OPEN_S = 10; // a connection that is not open by then is closed
const KEEP_ALIVE_S = 5; // the server closes silent streams; a phone's microphone stops during a call
const CALLERS_FAULT = [1008, 1009]; // close codes after which a retry would fail, too
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
   * `listeners`: onMessage(message, offset_s) for each JSON message, onBroken() when a connection is lost and will be
   * retried, onOpen(again), onLost(seconds) when audio was dropped before it could be sent.
   */
  constructor(url, tape, listeners) {
    this.url = url;
    this.tape = tape;
    this.listeners = listeners;
    this.next = 0; // the sample to send next
    this.sent = 0; // the furthest ever sent
    this.settled = 0; // all audio before this sample is in finals
    this.failures = 0;
    this.opened = false; // ever
    // Resolves with the sample up to which the text is final, rejects with a StreamError.
    this.done = new Promise((resolve, reject) => Object.assign(this, { resolve, reject }));
    this.tape.onGrow = () => this.pump();
    this.connect();
  }

  connect() {
    this.closing = false;
    this.fault = "";
    const socket = new WebSocket(this.url, access.subprotocols());
    this.socket = socket;
    const timer = setTimeout(() => socket.close(), OPEN_S * 1000);
    let keepAlive = null; // an interval, once open
    socket.onopen = () => {
      clearTimeout(timer);
      keepAlive = setInterval(() => this.say("KeepAlive"), KEEP_ALIVE_S * 1000);
      this.begin();
    };
    socket.onmessage = ({ data }) => this.receive(JSON.parse(data));
    socket.onclose = ({ code, reason }) => {
      clearTimeout(timer);
      clearInterval(keepAlive);
      this.closed(keepAlive !== null, code, reason);
    };
  }

  begin() {
    this.next = Math.max(this.settled, this.tape.start);
    this.base = this.next;
    this.listeners.onOpen(this.opened);
    if (this.tape.start > this.sent) this.listeners.onLost((this.tape.start - this.sent) / this.tape.rate);
    this.opened = true;
    this.pump();
  }

  get offset_s() {
    return this.base / this.tape.rate;
  }

  /** Sends what the tape has and the connection takes; called when either may have changed. */
  pump() {
    if (this.socket.readyState !== WebSocket.OPEN || this.closing) return;
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
      this.sent = Math.max(this.sent, this.next);
    }
    if (!tape.ended) return;
    if (this.next === this.base) return this.finish(); // everything on the tape is in finals already
    this.closing = true;
    this.say("CloseStream");
  }

  say(type) {
    if (this.socket.readyState === WebSocket.OPEN) this.socket.send(JSON.stringify({ type }));
  }

  receive(message) {
    if (message.type === "Error") this.fault = reasonIn(message);
    if (message.type === "Results") this.failures = 0; // it works: reset the back-off
    if (message.type === "Results" && message.is_final) {
      const end = Math.round((this.offset_s + message.start + message.duration) * this.tape.rate);
      this.settled = Math.min(Math.max(this.settled, end), this.next);
    }
    this.listeners.onMessage(message, this.offset_s);
  }

  async closed(open, code, reason) {
    clearTimeout(this.timer);
    if (this.over) return;
    if (this.closing && code === 1000) this.finish();
    else if (!open) await this.refused();
    else if (CALLERS_FAULT.includes(code) || (this.fault && this.failures >= TRIES)) {
      this.fail(this.fault || reason || "The server closed the stream.");
    } else this.retry();
  }

  async refused() {
    const { status, message } = await refusal(this.url);
    if (this.over) return;
    const passing = ([0, 503].includes(status) && this.opened) || (status === 426 && this.failures < TRIES);
    if (passing) this.retry(); // 426: it would be accepted now
    else this.fail(REFUSED[status]?.(message) ?? (message || `The server refused the stream (HTTP ${status}).`));
  }

  retry() {
    const wait_s = BACK_OFF_S[Math.min(this.failures, BACK_OFF_S.length - 1)];
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
    this.socket.close(); // harmless if it is closed already
    clearTimeout(this.timer);
    this.tape.onGrow = () => {};
  }
}
