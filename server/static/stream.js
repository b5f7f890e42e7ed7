// One recording over as many WebSocket connections as it takes. Reads a tape (tape.js), speaks docs/PROTOCOL.md.
//
// A connection that breaks loses nothing that is still on the tape: the next one begins at the last final's end, and
// what it says is moved by that much. What the server counts from its first sample, the callbacks get in tape time.

import { NO_SERVER } from "./sources.js";

const CHUNK_S = 0.1;
const BUFFERED_BYTES = 512 * 1024; // enough for the once-a-second timers of a hidden tab, little enough to stop soon
const BACK_OFF_S = [0.3, 1, 2, 4, 8]; // then always the last
const OPEN_S = 10; // a connection not open by then is given up
const KEEP_ALIVE_S = 5; // the server ends who says nothing for longer; a phone's microphone sleeps during a call
const CALLERS_FAULT = [1008, 1009]; // close codes after which trying again would fail again
const TRIES = 3; // of what fails on the server's side without a result in between

/** The stream cannot go on; the message is for the user. */
export class StreamError extends Error {}

function told(body) {
  return body?.err_msg ?? body?.description ?? body?.error?.message ?? body?.message ?? body?.reason ?? "";
}

/** Why a connection was refused: a browser hides the status of a refused WebSocket, so ask again without the upgrade. */
async function refusal(url) {
  const address = new URL(url);
  address.protocol = address.protocol.replace("ws", "http");
  try {
    const answer = await fetch(address, { cache: "no-store", signal: AbortSignal.timeout(OPEN_S * 1000) });
    const body = await answer.json().catch(() => ({}));
    return { status: answer.status, message: told(body) };
  } catch {
    return { status: 0, message: "" }; // nobody there
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
   * `listeners`: onMessage(message, offset_s) for each JSON message, onBroken() when a connection is lost and tried
   * again, onOpen(again), onLost(seconds) when audio had to be dropped unheard.
   */
  constructor(url, tape, listeners) {
    this.url = url;
    this.tape = tape;
    this.listeners = listeners;
    this.next = 0; // the sample to send next
    this.sent = 0; // the furthest ever sent
    this.settled = 0; // everything before is in finals
    this.failures = 0;
    this.opened = false; // ever
    // Resolves with the sample up to which all is text, rejects with a StreamError.
    this.done = new Promise((resolve, reject) => Object.assign(this, { resolve, reject }));
    this.tape.onGrow = () => this.pump();
    this.connect();
  }

  connect() {
    this.closing = false;
    this.fault = "";
    const socket = new WebSocket(this.url);
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

  /** Sends what the tape holds and the connection takes; called whenever either may have changed. */
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
    if (this.next === this.base) return this.finish(); // nothing was said that is not text already
    this.closing = true;
    this.say("CloseStream");
  }

  say(type) {
    if (this.socket.readyState === WebSocket.OPEN) this.socket.send(JSON.stringify({ type }));
  }

  receive(message) {
    if (message.type === "Error") this.fault = told(message);
    if (message.type === "Results") this.failures = 0; // it works: start the back-off anew at the next break
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
    } else this.again();
  }

  async refused() {
    const { status, message } = await refusal(this.url);
    if (this.over) return;
    const passing = ([0, 503].includes(status) && this.opened) || (status === 426 && this.failures < TRIES);
    if (passing) this.again(); // 426: it would be let in now
    else this.fail(REFUSED[status]?.(message) ?? (message || `The server refused the stream (HTTP ${status}).`));
  }

  again() {
    const wait_s = BACK_OFF_S[Math.min(this.failures, BACK_OFF_S.length - 1)];
    this.failures += 1;
    this.listeners.onBroken();
    this.timer = setTimeout(() => this.connect(), wait_s * 1000);
  }

  /** Gives up at once: what has not come back by now is not waited for. */
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
    this.socket.close(); // of a closed one this says nothing
    clearTimeout(this.timer);
    this.tape.onGrow = () => {};
  }
}
