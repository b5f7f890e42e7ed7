// Past transcripts, on this device only (IndexedDB): text and times, never sound. A switch turns it off.

const STORE = "transcripts";
const SWITCH = "steadyword-history"; // "off" in the local storage
const CURRENT = "steadyword-transcript"; // this tab's, over a reload

const done = (request) =>
  new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });

let opening = null;

function database() {
  opening ??= new Promise((resolve, reject) => {
    const request = indexedDB.open("steadyword", 1);
    request.onupgradeneeded = () => request.result.createObjectStore(STORE, { keyPath: "id" });
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });
  return opening;
}

const records = async (mode) => (await database()).transaction(STORE, mode).objectStore(STORE);

export const enabled = () => localStorage.getItem(SWITCH) !== "off";

export function enable(on) {
  if (on) localStorage.removeItem(SWITCH);
  else localStorage.setItem(SWITCH, "off");
}

/** All records, newest first: {id, changed, name, state}. */
export const list = async () => (await done((await records("readonly")).getAll())).sort((a, b) => b.changed - a.changed);

export const remove = async (id) => done((await records("readwrite")).delete(id));

/** The record that this tab was writing before it was reloaded, or null. */
export async function ofThisTab() {
  const id = sessionStorage.getItem(CURRENT);
  return (id && (await done((await records("readonly")).get(id)))) || null;
}

/** Ids of the transcripts that other tabs are writing now. Pages over plain http do not know. */
export async function inOtherTabs() {
  const { held = [] } = (await navigator.locks?.query()) ?? {};
  return held.map(({ name }) => name);
}

/** Writes one transcript, again and again while it grows. */
export class Writer {
  constructor() {
    this.begin(sessionStorage.getItem(CURRENT));
  }

  /** Goes on with the record `id`, or with a new one. */
  begin(id = null) {
    this.release?.();
    this.id = id || `${Date.now()}-${Math.random().toString(36).slice(2)}`;
    this.pending = null;
    sessionStorage.setItem(CURRENT, this.id);
    navigator.locks?.request(this.id, { ifAvailable: true }, () => new Promise((resolve) => (this.release = resolve)));
  }

  /** Writes the newest state soon: at once if nothing is being written, else behind that. */
  save(name, state) {
    if (!enabled()) return;
    const idle = !this.pending;
    this.pending = { id: this.id, changed: Date.now(), name, state };
    if (idle) this.write();
  }

  async write() {
    try {
      const record = this.pending;
      await done((await records("readwrite")).put(record));
      await new Promise((resolve) => setTimeout(resolve, 200)); // a long transcript is not written for each word
      const newer = this.pending?.id === record.id && this.pending !== record; // not by the clock: two in one millisecond
      if (newer) return this.write();
    } catch (error) {
      console.warn(`This transcript is not kept on this device: ${error}`); // storage is full, or a private window has none
    }
    this.pending = null;
  }
}
