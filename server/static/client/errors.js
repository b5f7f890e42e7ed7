// Why a stream or a source of sound has ended. Each reason has a code, so that a page can say it in its own language.

/** The English sentence of each code; `{name}` is filled from the error's `values`. */
export const REASONS = {
  noServer: "The server does not answer. Is it running? Try again when it is.",
  noWebSocket: "The server answers, but no WebSocket comes through. Look for a proxy in between that blocks WebSockets.",
  full: "The server is full. Try again in a moment.",
  refusedStream: "The server refused the stream (HTTP {status}).",
  closedStream: "The server closed the stream.",
  notAllowed: "The browser was not allowed to use the microphone.",
  notShared: "Nothing was shared.",
  silentShare: "What was shared has no sound.",
  notFound: "No microphone was found.",
  notThere: "The chosen microphone is not there.",
  notReadable: "The microphone cannot be read; perhaps another program holds it.",
  insecure: "The browser gives the microphone only to pages from localhost or https.",
  notOpened: "The microphone could not be opened: {why}",
  noWorklet: "This browser cannot process the microphone's sound: {why}",
  unreadableFile: "{name} could not be read: {why}",
};

/** @typedef {Record<string, string | number>} Values */

/** @param {string} code @param {Values} values */
function sentence(code, values) {
  /** @type {Record<string, string>} */
  const reasons = REASONS;
  return (reasons[code] ?? code).replace(/\{(\w+)\}/g, (_, name) => String(values[name]));
}

/** `code` is a key of `REASONS`; "" where only the server's own sentence is known, which is the message then. */
class CodedError extends Error {
  /**
   * @param {string} code
   * @param {Values} [values]
   * @param {string} [message] the server's sentence, "" for that of the code
   */
  constructor(code, values = {}, message = "") {
    super(message || sentence(code, values));
    this.code = code;
    this.values = values;
  }
}

/** The stream cannot continue. */
export class StreamError extends CodedError {
  name = "StreamError";
}

/** The microphone, the shared sound or the file cannot be used. */
export class SourceError extends CodedError {
  name = "SourceError";
}

/** The server gives no token. */
export class AccessError extends Error {
  name = "AccessError";

  /** @param {number} status of HTTP @param {string} message the server's sentence, "" where it says none */
  constructor(status, message) {
    super(message);
    this.status = status;
  }
}
