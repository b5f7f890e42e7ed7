// Streams one recording, over several WebSocket connections if one breaks. Reads a tape (tape.js), as docs/PROTOCOL.md says.
//
// The server keeps the stream of a broken connection for a while: the next one goes on with its token. Where it does not, as
// after a restart, another stream begins behind the last finished utterance, and words that were final are dropped.
// Nothing is lost that is still on the tape. All times are the tape's.

import { Access } from "./access.js";
import { StreamError } from "./errors.js";
import { Overlap } from "./overlap.js";
import { textOf, wordsOf } from "./words.js";

/** @import { Tape } from "./tape.js" */
/** @import { Message, Word } from "./words.js" */

/**
 * What a stream calls.
 * @typedef {object} Listeners
 * @property {(message: Message) => void} onMessage each JSON message; words come once, however many connections there are
 * @property {() => void} onBroken a connection is lost, and another one will be tried
 * @property {(again: boolean) => void} onOpen
 * @property {(seconds: number) => void} onLost the tape has dropped audio before it could be recognised
 */

const CHUNK_S = 0.1;
const BYTES_A_SAMPLE = 2;
const BUFFERED_BYTES = 512 * 1024; // enough for the 1 s timers of a hidden tab, little enough to stop soon
const BACK_OFF_S = [0.2, 0.5, 1, 2, 3]; // waits before each retry, times a random factor; the last one repeats
const OPEN_S = 10; // a connection that is not open by then is closed
const ANSWER_S = 5; // a machine that hangs takes connections and does not answer: ask again after this time
const KEEP_ALIVE_S = 5; // the server closes silent streams; a phone's microphone stops during a call
const SLACK_S = 1; // for a connection to open while the tape drops its oldest samples
const RESUMABLE_S = 30; // asked of the server
const SILENCE_S = 10; // a server that keeps the stream says something every second
const GONE = 410;
const RESTARTED = 1012;
const CALLERS_FAULT = [1008, 1009, 4001]; // close codes after which a retry would fail, too; 4001: another has the stream
export const FULL = 503;
const UPGRADE_REQUIRED = 426; // the server would accept a WebSocket now
const FOR_GOOD = [400, 401, 403]; // another try gets the same answer; any other one may come from a proxy of a server that starts
const LOADING = "SERVER_LOADING"; // it will take streams soon
const TRIES = 3; // of failures on the server's side without a result in between

/** @param {any} body @returns {string} */
function reasonIn(body) {
  return body?.err_msg ?? body?.description ?? body?.error?.message ?? body?.message ?? body?.reason ?? "";
}

/**
 * Why a connection was refused, or would be. Browsers hide the status of a refused WebSocket: ask again without the upgrade.
 * @param {string} url
 * @param {Access} access
 * @param {AbortSignal} [stopped]
 */
export async function refusal(url, access, stopped = new AbortController().signal) {
  const address = new URL(url);
  address.protocol = address.protocol.replace("ws", "http");
  try {
    const signal = AbortSignal.any([stopped, AbortSignal.timeout(ANSWER_S * 1000)]);
    const answer = await access.request(address, { cache: "no-store", signal });
    const body = await answer.json().catch(() => ({}));
    return { status: answer.status, message: reasonIn(body), loading: body?.err_code === LOADING, hangs: false };
  } catch (error) {
    const hangs = error instanceof DOMException && error.name === "TimeoutError";
    return { status: 0, message: "", loading: false, hangs }; // no server, or one that does not answer
  }
}

/** Without what is undefined. @param {Partial<Listeners>} listeners */
const given = (listeners) => Object.fromEntries(Object.entries(listeners).filter(([, listener]) => listener));

/** @type {Record<number, string>} */
const REFUSED = { 0: "noServer", 426: "noWebSocket", [FULL]: "full" };

/** @param {number} status @param {string} message */
function refused(status, message) {
  if (status in REFUSED) return new StreamError(REFUSED[status], {}, message);
  return message ? new StreamError("", {}, message) : new StreamError("refusedStream", { status });
}

export class Stream {
  /**
   * @param {string} url of `listenUrl`
   * @param {Tape} tape
   * @param {Partial<Listeners>} listeners
   * @param {{ access?: Access, WebSocket?: typeof globalThis.WebSocket }} [means]
   */
  constructor(url, tape, listeners, { access = new Access(), WebSocket = globalThis.WebSocket } = {}) {
    if (!WebSocket) throw new TypeError("found no WebSocket, wanted Node 22, a browser, or the option WebSocket");
    this.url = url;
    this.tape = tape;
    this.access = access;
    this.WebSocket = WebSocket;
    const nothing = () => {};
    /** @type {Listeners} */
    this.listeners = { onMessage: nothing, onBroken: nothing, onOpen: nothing, onLost: nothing, ...given(listeners) };
    this.base = 0; // the first sample of the server's stream
    this.next = 0; // the sample to send next
    this.settled = 0; // the end of the last final
    this.safe = 0; // everything spoken before this sample is final
    /** @type {Word[]} */
    this.finals = []; // final words behind it
    this.overlap = new Overlap([]);
    this.kept = false; // the server has said that it keeps the stream
    this.token = "";
    this.sequence = 0; // of the last message
    this.failures = 0;
    this.opened = false; // ever
    this.over = false;
    this.blocked = 0; // connections that failed although the server would accept them
    this.ready = false; // a connection takes audio
    this.closing = false; // the server has been told that nothing follows
    this.finished = false;
    this.fault = "";
    this.heardAt = 0;
    /** @type {WebSocket | null} */
    this.socket = null;
    /** @type {AbortController | null} */
    this.asking = null;
    /** @type {ReturnType<typeof setTimeout> | undefined} */
    this.timer = undefined;
    /** @type {ReturnType<typeof setInterval> | undefined} */
    this.keepAlive = undefined;
    this.start();
  }

  /** Opens the first connection, or goes on after `abandon` or a failure with what is still on the tape. */
  start() {
    this.over = false;
    this.blocked = 0;
    /**
     * Resolves with the sample up to which the text is final, rejects with a StreamError.
     * @type {Promise<number>}
     */
    this.done = new Promise((resolve, reject) => {
      this.resolve = resolve;
      this.reject = reject;
    });
    this.tape.onGrow = () => this.pump();
    globalThis.addEventListener?.("online", this.retryNow); // Node has no such event
    if (this.access.isMissing) this.ask();
    else this.connect();
  }

  /** Whether audio on the tape has no final text yet. */
  get hasRest() {
    return !this.finished && this.settled < this.tape.end;
  }

  /** Does not wait for the next try, if one is due. */
  retryNow = () => {
    if (this.over || this.ready) return;
    clearTimeout(this.timer);
    this.failures = 0;
    this.asking?.abort();
    if (this.socket?.readyState === this.WebSocket.CONNECTING) this.drop?.();
    else this.ask();
  };

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
    const socket = new this.WebSocket(this.address, this.access.subprotocols);
    this.socket = socket;
    const timer = (this.opening = setTimeout(() => ended(1006, ""), OPEN_S * 1000));
    let open = false;
    /** @param {number} code @param {string} reason */
    const ended = (code, reason) => {
      socket.onopen = socket.onmessage = socket.onclose = null;
      socket.onerror = () => {};
      clearTimeout(timer);
      clearInterval(this.keepAlive);
      if (socket.readyState <= this.WebSocket.OPEN) socket.close();
      this.ready = false;
      this.closed(open, code, reason);
    };
    this.drop = () => ended(1006, "");
    // Node 20 calls no onclose where the handshake fails. Where nobody listens, ws ends the program.
    socket.onerror = () => open || ended(1006, "");
    socket.onopen = () => {
      clearTimeout(timer);
      this.heardAt = performance.now();
      open = true;
      this.keepAlive = setInterval(() => {
        const silence_s = (performance.now() - this.heardAt) / 1000;
        if (!this.kept || silence_s < SILENCE_S) return this.say("KeepAlive");
        ended(1006, ""); // nobody is there to answer a close frame, so nothing waits for one
      }, KEEP_ALIVE_S * 1000);
      if (this.token) return; // the server says where to go on
      if (this.tape.start <= this.base) return this.begin(this.base);
      this.beginAgain(); // the address says another begin than the tape still has
      socket.close();
    };
    socket.onmessage = ({ data }) => this.receive(JSON.parse(data));
    socket.onclose = ({ code, reason }) => ended(code, reason);
  }

  /** Sends from this sample on. @param {number} sample */
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

  /** Goes on at another address, as with another language: its stream begins behind the last finished utterance. @param {string} url */
  change(url) {
    this.url = url;
    if (this.over || this.closing) return;
    const { socket, ready } = this;
    this.beginAgain();
    if (!ready || !socket) return; // the next connection takes the new address
    socket.onmessage = socket.onclose = null;
    clearInterval(this.keepAlive);
    socket.close(1000);
    this.connect();
  }

  /** Sends what the tape has and the connection takes; called when either may have changed. */
  pump() {
    const { socket, tape } = this;
    if (!this.ready || socket?.readyState !== this.WebSocket.OPEN || this.closing) return;
    clearTimeout(this.timer);
    const chunk = Math.round(CHUNK_S * tape.rate);
    while (this.next < tape.end && (tape.ended || tape.end - this.next >= chunk)) {
      if (socket.bufferedAmount > BUFFERED_BYTES) {
        this.timer = setTimeout(() => this.pump(), 30);
        return;
      }
      const samples = tape.read(this.next, chunk);
      socket.send(/** @type {BufferSource} */ (samples));
      this.next += samples.length;
    }
    if (!tape.ended) return;
    if (this.next === this.base) return this.finish(); // everything on the tape is in finals already
    this.closing = true;
    this.say("CloseStream");
  }

  /** @param {string} type @param {object} [fields] */
  say(type, fields = {}) {
    if (this.socket?.readyState === this.WebSocket.OPEN) this.socket.send(JSON.stringify({ type, ...fields }));
  }

  /** @param {any} message */
  receive(message) {
    this.heardAt = performance.now();
    if (message.type === "Session") return this.resumed(message);
    if (this.kept && "sequence" in message) {
      if (message.sequence <= this.sequence) return; // it came before the connection broke
      this.sequence = message.sequence;
    }
    if (message.type === "Error") this.fault = reasonIn(message);
    if (message.type === "Results") this.failures = this.blocked = 0; // it works: reset the back-off
    if (message.type === "Results") this.dropKnown(message);
    if (message.is_final) this.settled = Math.max(this.settled, this.sampleAt(message.start + message.duration));
    this.noteSafe(message);
    this.listeners.onMessage(message);
    if (this.token && message.is_final) this.say("Ack", { sequence: this.sequence });
  }

  /**
   * The first message of a connection, or that the stream can be resumed no more.
   * @param {{ resume: string | null, received_bytes: number, closing: boolean }} session
   */
  resumed({ resume, received_bytes, closing }) {
    const waiting = !this.ready;
    this.kept = true;
    this.token = resume ?? "";
    if (!waiting) return;
    this.failures = 0;
    this.closing = closing;
    this.begin(this.base + received_bytes / BYTES_A_SAMPLE);
  }

  /** @param {number} second */
  sampleAt(second) {
    return Math.min(Math.round(second * this.tape.rate), this.tape.end);
  }

  /** @param {Message} message */
  noteSafe({ settled_s = 0 }) {
    this.safe = Math.max(this.safe, this.sampleAt(settled_s));
    this.finals = this.finals.filter(({ end }) => end > settled_s);
  }

  /** Removes the words that were final before this stream began, and remembers new final ones. @param {any} message */
  dropKnown(message) {
    const [best] = message.channel.alternatives;
    const pieces = wordsOf(message);
    const isNew = pieces.map((piece) => !(message.is_final ? this.overlap.knows(piece) : this.overlap.covers(piece)));
    if (!isNew.every(Boolean)) {
      best.words = best.words.filter((/** @type {unknown} */ _, /** @type {number} */ i) => isNew[i]);
      best.text = textOf(pieces.filter((_, i) => isNew[i]));
      best.transcript = best.text.trim();
    }
    if (message.is_final) this.finals.push(...pieces.filter((_, i) => isNew[i]));
  }

  /** @param {boolean} open whether the connection was @param {number} code @param {string} reason */
  closed(open, code, reason) {
    clearTimeout(this.timer);
    if (this.over) return;
    if (this.closing && code === 1000) this.finish();
    else if (!open) {
      this.blocked += 1;
      this.ask();
    } else if (CALLERS_FAULT.includes(code) || (this.fault && this.failures >= TRIES)) {
      const why = this.fault || reason;
      this.fail(why ? new StreamError("", {}, why) : new StreamError("closedStream"));
    } else {
      if (code === RESTARTED || this.fault || !this.token) this.beginAgain();
      this.retry();
    }
  }

  /**
   * Asks by HTTP whether a connection would be accepted, then opens it. Browsers delay a WebSocket after others have
   * failed, up to 5 s in Chromium, and hide why one was refused; neither is so for HTTP.
   */
  async ask() {
    const asking = (this.asking = new AbortController());
    const { status, message, loading, hangs } = await refusal(this.address, this.access, asking.signal);
    if (this.over || asking.signal.aborted) return;
    if (status === GONE && this.token) {
      this.beginAgain();
      this.connect();
    } else if (status === UPGRADE_REQUIRED && (this.opened || this.blocked < TRIES)) {
      if (this.blocked < TRIES) this.connect();
      else this.retry(this.connect); // it was open before, so this ends too
    } else if ((this.opened || loading || (hangs && this.failures < TRIES)) && !FOR_GOOD.includes(status)) this.retry();
    else this.fail(refused(status, message));
  }

  /** @param {() => unknown} [next] */
  retry(next = this.ask) {
    const wait_s = BACK_OFF_S[Math.min(this.failures, BACK_OFF_S.length - 1)] * (0.5 + Math.random());
    this.failures += 1;
    this.listeners.onBroken();
    this.timer = setTimeout(() => next.call(this), wait_s * 1000);
  }

  /** Ends immediately, without waiting for outstanding results. `start` goes on where this was. */
  abandon() {
    this.end();
    this.resolve?.(this.settled);
  }

  finish() {
    this.finished = true;
    this.end();
    this.resolve?.(this.tape.end);
  }

  /** @param {Error} error */
  fail(error) {
    this.end();
    this.reject?.(error);
  }

  end() {
    const { socket } = this;
    this.over = true;
    this.ready = false;
    this.asking?.abort();
    globalThis.removeEventListener?.("online", this.retryNow);
    if (socket) {
      socket.onopen = socket.onmessage = socket.onclose = null;
      socket.onerror = () => {};
    }
    if (socket && socket.readyState <= this.WebSocket.OPEN) socket.close(1000); // the server need not wait for us
    if (this.hasRest) this.beginAgain();
    clearTimeout(this.timer);
    clearTimeout(this.opening);
    clearInterval(this.keepAlive);
    this.tape.onGrow = () => {};
  }
}
