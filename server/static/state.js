// What the page holds: its phase, the transcript, and the recordings behind it. No DOM.

import * as history from "./history.js";
import { Transcript } from "./transcript.js";

const TAPES_BYTES = 256e6; // of sound kept to be played: an hour of files, or 45 minutes of a microphone

export const transcript = new Transcript();
export const page = {
  phase: "idle", // -> opening -> listening -> finishing -> idle
  models: [],
  source: null, // the microphone, while it is open
  stream: null,
  rest: null, // {stream, began_s, of_s}: a recording whose audio is not all text, kept to be sent later
  began_s: 0, // start of this recording in the transcript's time
  total_s: 0, // start of the next recording
  name: "", // file name of downloads
  file: "", // the name of the last file that was read, "" for a microphone
  tapes: [], // {tape, began_s}: the sound of the recordings, as far as it is kept in this tab
  saved: true, // the text was copied or downloaded after its last change
  keeps: true, // the text is kept on this device
};

export const writer = new history.Writer();

/** "phase": the page's phase has changed. "text": the transcript has. */
export const changes = new EventTarget();

export function enter(phase) {
  page.phase = phase;
  changes.dispatchEvent(new Event("phase"));
}

/** Says that the text has changed, and keeps it on this device, over a reload and a crash. */
export function noteText() {
  changes.dispatchEvent(new Event("text"));
  const { state } = transcript;
  if (page.keeps && state.finals.length) writer.save(page.name, { ...state, total_s: page.total_s });
}

/** Keeps a recording's sound, and forgets the oldest ones once there is too much. */
export function keepTape(tape) {
  page.tapes.push({ tape, began_s: page.total_s });
  const bytes = () => page.tapes.reduce((sum, kept) => sum + kept.tape.bytes, 0);
  while (page.tapes.length > 1 && bytes() > TAPES_BYTES) page.tapes.shift();
}
