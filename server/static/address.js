// The addresses of this page's requests.

import * as client from "./client/address.js";

/** `query`: {name: value, or a list of values}; empty ones are left out. */
export const endpoint = (path, query) => client.endpoint(document.baseURI, path, query);

/** Of a live stream: `options` are those of settings.js. */
export const listenUrl = (rate, options) => client.listenUrl(document.baseURI, rate, options);
