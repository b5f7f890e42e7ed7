// The addresses of a server, with the options of a stream.

/** @typedef {string | number | boolean} Value */

/**
 * What a stream is opened with; "" and what is left out are the server's defaults.
 * @typedef {object} Options
 * @property {string} [model]
 * @property {string} [language] "" to detect it
 * @property {string[]} [keyterms] words to expect
 * @property {string} [prompt] text before the recording, for its style and spellings
 * @property {Record<string, Value | Value[]>} [query] other parameters of the server's protocol, as `{ endpointing: 500 }`
 */

/**
 * @param {string | URL} server its address; a path that does not end in "/" is that of a page, whose folder counts
 * @param {string} path
 * @param {Record<string, Value | Value[]>} [query] empty values are left out
 */
export function endpoint(server, path, query = {}) {
  const url = new URL(path, server);
  const pairs = Object.entries(query).flatMap(([name, value]) => [value].flat().map((one) => [name, String(one)]));
  url.search = new URLSearchParams(pairs.filter(([, value]) => value !== "")).toString();
  return url;
}

/**
 * Of a live stream of 16-bit mono samples.
 * @param {string | URL} server
 * @param {number} rate samples a second
 * @param {Options} [options]
 */
export function listenUrl(server, rate, { model = "", language = "", keyterms = [], prompt = "", query = {} } = {}) {
  const url = endpoint(server, "v1/listen", {
    ...{ encoding: "linear16", sample_rate: rate, channels: 1, interim_results: true, vad_events: true },
    ...{ model, language, keyterm: keyterms, prompt, ...query },
  });
  url.protocol = url.protocol.replace("http", "ws");
  return url.href;
}
