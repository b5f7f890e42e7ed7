// What this page shows to a server that asks for a key. The user types a key once. It stays in this page's memory and is
// changed into a token, which ends soon and grants nothing; only that is kept in the tab, so that a reload asks for nothing.
//
// The page gets no token without a key: that its code came from this server says nothing about who is looking at it.

import { Access, TOKEN_S, grantToken } from "./client/access.js";
import { AccessError } from "./client/errors.js";

const STORED = "steadyword-token";
const RENEWED_S = TOKEN_S / 2;

let key = "";

/** Called when the server refuses what the page shows. */
export const needed = new EventTarget();

class PageAccess extends Access {
  async renew() {
    needed.dispatchEvent(new Event("needed"));
    return false; // the user types the key later
  }
}

export const access = new PageAccess({ key: sessionStorage.getItem(STORED) ?? "" });

/** Whether the server asks for something to show. */
export const isNeeded = () => key !== "" || access.shown !== "";

async function exchange() {
  try {
    access.shown = await grantToken(document.baseURI, key);
    sessionStorage.setItem(STORED, access.shown);
  } catch (error) {
    if (!(error instanceof AccessError)) throw error;
    const isRefused = error.status === 401 || error.status === 429;
    if (isRefused) throw Object.assign(error, { code: error.message ? "" : "unknownKey" });
    access.shown = key; // a key that may not grant tokens is shown itself
  }
}

/** Takes the key that the user has typed. Rejects with the server's reason. */
export async function take(typed) {
  key = typed.trim();
  await exchange();
  clearInterval(take.timer);
  take.timer = setInterval(() => exchange().catch(() => {}), RENEWED_S * 1000);
}
