// Recordings from files: chosen or dropped, streamed where this browser can decode them, else uploaded.

import { access } from "./access.js";
import { endpoint } from "./address.js";
import { StreamError } from "./client/errors.js";
import { openFile } from "./client/sources.js";
import { wordsOf } from "./client/words.js";
import { listen, run, show } from "./recording.js";
import { clearAll, mayReplace } from "./saving.js";
import { options } from "./settings.js";
import { enter, page, transcript } from "./state.js";
import { joined } from "./transcript.js";
import { t } from "./translate.js";
import * as view from "./view.js";

/** Makes room for a file's text, once it was read and the server takes it. */
function replace(recording) {
  const { tapes } = page;
  clearAll();
  page.tapes = tapes.slice(-1).map(({ tape }) => ({ tape, began_s: 0 }));
  page.name = recording.name.replace(/\.[^.]*$/, "");
}

/**
 * Reads a file; returns whether the user wants its text. It stands below the text before if it `isFurther`, else in its
 * place. The text before stays until the recording was read and the server takes it: a wrong file changes nothing.
 */
async function readFile(recording, isFurther) {
  enter("opening");
  view.showNotice(t("reading", { name: recording.name }), "busy");
  const tape = await openFile(recording);
  if (!tape) return upload(recording, isFurther);
  view.showNotice("");
  if (!isFurther && !mayReplace()) return false;
  enter("listening");
  await listen(tape, tape.end / tape.rate, () => {
    if (!isFurther) replace(recording);
    page.file = recording.name;
  });
  if (transcript.empty) view.showNotice(t("noSpeech", { name: recording.name }), "busy");
  return true;
}

/** Several files are read one after the other, each below the last. One that fails stops no other one. */
export async function readFiles(recordings) {
  if (page.phase !== "idle") return;
  if (!recordings.length) return view.showNotice(t("noFile"));
  const refused = [];
  let [isFurther, isWanted] = [false, true];
  for (const [index, recording] of recordings.entries()) {
    view.showQueue(index + 1, recordings.length);
    const why = await run(async () => (isWanted = await readFile(recording, isFurther)));
    if (why) refused.push(t("failedFile", { name: recording.name, why }));
    if (!isWanted || page.rest) break; // the user keeps the text before; or the server is away, and the rest is offered
    isFurther ||= !why;
  }
  view.showQueue(0, 0);
  if (recordings.length > 1 && refused.length) view.showNotice(refused.join(" "));
}

async function transcribe(recording) {
  const { model, language, keyterms, prompt } = options();
  const form = new FormData();
  form.append("file", recording);
  form.append("response_format", "verbose_json");
  for (const times of ["word", "segment"]) form.append("timestamp_granularities[]", times);
  const fields = [["model", model], ["language", language], ["prompt", prompt]];
  for (const [name, value] of fields) if (value) form.append(name, value);
  for (const keyterm of keyterms) form.append("hotwords", keyterm);
  const address = endpoint("v1/audio/transcriptions");
  const answer = await access.request(address, { method: "POST", body: form }).catch(() => null);
  if (!answer) throw new StreamError("noServer");
  const body = await answer.json().catch(() => ({}));
  if (answer.ok) return body;
  throw new StreamError("refusedFile", { name: recording.name, why: body.error?.message ?? `HTTP ${answer.status}` });
}

/** The words of each segment, with the spaces between them. */
function segmentsOf({ text, words = [], segments = [] }) {
  const rest = wordsOf({ channel: { alternatives: [{ transcript: text, text, words }] } }, 0);
  return segments.map(({ end }) => rest.splice(0, rest.findIndex((word) => word.end >= end) + 1));
}

/** Uploads a recording that this browser cannot decode; its text arrives all at once. */
async function upload(recording, isFurther) {
  view.showNotice(t("uploading", { name: recording.name }), "busy");
  const body = await transcribe(recording);
  view.showNotice("");
  if (!isFurther && !mayReplace()) return false;
  if (!isFurther) replace(recording);
  Object.assign(page, { began_s: page.total_s, file: recording.name, tapes: isFurther ? page.tapes : [] });
  transcript.beginRecording();
  for (const words of segmentsOf(body)) {
    const alternatives = [{ text: joined(words), words: words.map((word) => ({ ...word, word: word.text })), languages: [body.language] }];
    show({ is_final: true, speech_final: true, start: 0, duration: body.duration, channel: { alternatives } }, 0);
  }
  page.total_s += body.duration;
  view.showTime(body.duration, body.duration);
  if (transcript.empty) view.showNotice(t("noSpeech", { name: recording.name }), "busy");
  return true;
}

/** Takes files that are dropped anywhere on the page. */
export function startDropping() {
  let depth = 0; // dragenter and dragleave fire for every element below the pointer
  const over = (change) => document.body.classList.toggle("dropping", (depth = Math.max(0, depth + change)) > 0);
  addEventListener("dragenter", () => over(1));
  addEventListener("dragleave", () => over(-1));
  addEventListener("dragover", (event) => event.preventDefault());
  addEventListener("drop", (event) => {
    event.preventDefault();
    over(-depth);
    readFiles([...event.dataTransfer.files]);
  });
}
