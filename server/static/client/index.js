// Live speech to text from a steadyword server, in a browser or in Node. README.md has examples.

import { Access } from "./access.js";
import { listenUrl } from "./address.js";
import { Stream } from "./stream.js";
import { textOf, wordsOf } from "./words.js";

export { Access, grantToken } from "./access.js";
export { listenUrl } from "./address.js";
export { AccessError, REASONS, SourceError, StreamError } from "./errors.js";
export { Microphone, SHARED, canShare, microphones, openFile } from "./sources.js";
export { Stream } from "./stream.js";
export { FileTape, LiveTape } from "./tape.js";
export { languageOf, textOf, wordsOf } from "./words.js";

/** @import { Options } from "./address.js" */
/** @import { Listeners } from "./stream.js" */
/** @import { Tape } from "./tape.js" */
/** @import { Word } from "./words.js" */

/**
 * Words as they come. Final ones never change and come once; the others replace those that came after the last final.
 * @typedef {{ words: Word[], text: string, isFinal: boolean, endsUtterance: boolean }} Words
 */

/**
 * @typedef {object} Listening
 * @property {string} [key] a key or a token, where the server asks for one
 * @property {() => Promise<string>} [getToken] see `Access`
 * @property {typeof globalThis.WebSocket} [WebSocket] for Node before version 22: that of the package ws
 * @property {(words: Words) => void} [onWords]
 */

/**
 * Streams a tape to a server until the tape ends and all its text is final: `await listen(...).done`.
 * @param {string | URL} server its address, as "https://asr.example.org/"
 * @param {Tape} tape
 * @param {Listening & Options & Partial<Listeners>} [options]
 */
export function listen(server, tape, { key, getToken, WebSocket, onWords, onMessage, ...rest } = {}) {
  const { onBroken, onOpen, onLost, ...options } = rest;
  return new Stream(
    listenUrl(server, tape.rate, options),
    tape,
    {
      ...{ onBroken, onOpen, onLost },
      onMessage(message) {
        onMessage?.(message);
        if (message.type !== "Results") return;
        const words = wordsOf(message);
        const [isFinal, endsUtterance] = [Boolean(message.is_final), Boolean(message.speech_final)];
        onWords?.({ words, text: textOf(words), isFinal, endsUtterance });
      },
    },
    { access: new Access({ key, getToken }), WebSocket },
  );
}
