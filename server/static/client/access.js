// What a client shows to a server that asks for a key: the key, or a token that ends soon and grants nothing.

import { endpoint } from "./address.js";
import { AccessError } from "./errors.js";

export const TOKEN_S = 3600; // a stream outlives its token, which has to be valid when a connection opens

export class Access {
  /**
   * @param {object} [given]
   * @param {string} [given.key] a key or a token. A page that others open must have no key: give it tokens
   * @param {() => Promise<string>} [given.getToken] gets a token, "" for none; called when there is nothing to show, and
   *   when the server refuses what is shown
   */
  constructor({ key = "", getToken } = {}) {
    this.shown = key;
    this.getToken = getToken;
  }

  /** Whether a token has to be asked for first. */
  get isMissing() {
    return this.shown === "" && this.getToken !== undefined;
  }

  /** The headers of a request. @returns {Record<string, string>} */
  get headers() {
    return this.shown ? { Authorization: `Bearer ${this.shown}` } : {};
  }

  /** The subprotocols of a WebSocket, which cannot have headers. Never the address: logs keep addresses. */
  get subprotocols() {
    return this.shown ? ["bearer", this.shown] : [];
  }

  /**
   * `fetch` with what is shown. A 401 asks for a token, once.
   * @param {string | URL} address
   * @param {RequestInit} [options]
   */
  async request(address, options = {}) {
    const send = () => fetch(address, { ...options, headers: { ...options.headers, ...this.headers } });
    if (this.isMissing) await this.renew();
    const answer = await send();
    return answer.status === 401 && (await this.renew()) ? send() : answer;
  }

  /** Asks for a token; returns whether there is another one now. */
  async renew() {
    const token = (await this.getToken?.()) ?? "";
    const isNew = token !== "" && token !== this.shown;
    if (isNew) this.shown = token;
    return isNew;
  }
}

/**
 * A token, for a key that may grant. A web application calls this on its own server, where the key is a secret, and
 * gives the token to its page. Rejects with an `AccessError`.
 * @param {string | URL} server
 * @param {string} key
 * @param {number} [ttl_s] for how long it opens connections
 * @returns {Promise<string>}
 */
export async function grantToken(server, key, ttl_s = TOKEN_S) {
  const answer = await fetch(endpoint(server, "v1/auth/grant"), {
    method: "POST",
    headers: { Authorization: `Token ${key}`, "Content-Type": "application/json" },
    body: JSON.stringify({ ttl_seconds: ttl_s }),
  });
  const body = await answer.json().catch(() => ({}));
  if (!answer.ok) throw new AccessError(answer.status, body.err_msg ?? "");
  return body.access_token;
}
