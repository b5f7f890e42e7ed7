// What this page shows to a server that asks for a key. The user types a key once. It stays in this page's memory and is
// changed into a token, which ends soon and grants nothing; only that is kept in the tab, so that a reload asks for nothing.
//
// The page gets no token without a key: that its code came from this server says nothing about who is looking at it.

const STORED = "steadyword-token";
const TOKEN_S = 3600; // a stream outlives its token, which has to be valid when a connection opens
const RENEWED_S = TOKEN_S / 2;

let key = "";
let shown = sessionStorage.getItem(STORED) ?? "";

/** Called when the server refuses what the page shows. */
export const needed = new EventTarget();

/** The headers of a request. */
export const headers = () => (shown ? { Authorization: `Bearer ${shown}` } : {});

/** The subprotocols of a WebSocket, which cannot have headers. Never the address: logs keep addresses. */
export const subprotocols = () => (shown ? ["bearer", shown] : []);

/** `fetch` with what the page shows. A 401 asks the user for a key. */
export async function request(address, options = {}) {
  const answer = await fetch(address, { ...options, headers: { ...options.headers, ...headers() } });
  if (answer.status === 401) needed.dispatchEvent(new Event("needed"));
  return answer;
}

async function exchange(grant) {
  const answer = await fetch(grant, {
    method: "POST",
    headers: { Authorization: `Token ${key}`, "Content-Type": "application/json" },
    body: JSON.stringify({ ttl_seconds: TOKEN_S }),
  });
  if (answer.status === 401 || answer.status === 429) {
    const body = await answer.json().catch(() => ({}));
    throw new Error(body.err_msg ?? "This key is not known to the server.");
  }
  shown = answer.ok ? (await answer.json()).access_token : key; // 403: a key that may not grant tokens is shown itself
  if (answer.ok) sessionStorage.setItem(STORED, shown);
}

/** Takes the key that the user has typed; `grant` is the address of tokens. Rejects with the server's reason. */
export async function take(typed, grant) {
  key = typed.trim();
  await exchange(grant);
  clearInterval(take.timer);
  take.timer = setInterval(() => exchange(grant).catch(() => {}), RENEWED_S * 1000);
}
