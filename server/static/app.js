// The page's state machine: idle -> opening -> listening -> finishing -> idle. The other files are its parts.

import * as access from "./access.js";
import { Delays } from "./delays.js";
import * as history from "./history.js";
import { startPast } from "./past.js";
import { play, stopPlaying } from "./player.js";
import { toJson, toSrt, toTxt, toVtt } from "./formats.js";
import { Microphone, NO_SERVER, SourceError, openFile } from "./sources.js";
import { Stream, StreamError } from "./stream.js";
import { KEPT_S } from "./tape.js";
import { Transcript, languageOf, wordsOf } from "./transcript.js";
import * as view from "./view.js";
import { stayAwake } from "./wake_lock.js";

const RECENT_MS = 12 * 3600 * 1000;

const { start, choose, file, model, language, clear } = view.elements;
const transcript = new Transcript();
const page = {
  phase: "idle",
  models: [],
  source: null, // the microphone, while it is open
  stream: null,
  rest: null, // {stream, began_s, of_s}: a recording whose audio is not all text, kept to be sent later
  began_s: 0, // start of this recording in the transcript's time
  total_s: 0, // start of the next recording
  name: "", // file name of downloads
  tapes: [], // {tape, began_s}: the sound of the recordings, as far as it is kept in this tab
  saved: true, // the text was copied or downloaded after its last change
};

const writer = new history.Writer();

function enter(phase) {
  page.phase = phase;
  if (phase !== "idle") hush();
  stayAwake(phase === "listening");
  document.body.classList.toggle("playable", phase === "idle" && page.tapes.length > 0);
  view.showPhase(phase, !transcript.empty);
}

function endpoint(path, query = {}) {
  const url = new URL(path, document.baseURI);
  url.search = new URLSearchParams(Object.entries(query).filter(([, value]) => value !== "")).toString();
  return url;
}

function listenUrl(rate) {
  const url = endpoint("v1/listen", {
    ...{ encoding: "linear16", sample_rate: rate, channels: 1, interim_results: true, vad_events: true },
    ...{ model: model.value, language: language.value },
  });
  url.protocol = url.protocol.replace("http", "ws");
  return url.href;
}

/** Keeps the text on this device, over a reload and a crash. */
function keep() {
  const { state } = transcript;
  if (state.finals.length) writer.save(page.name, { ...state, total_s: page.total_s });
}

// --- the server's messages

function show(results, offset_s) {
  view.showSpokenLanguage(language.value || languageOf(results));
  const finals = transcript.add(results, offset_s + page.began_s);
  if (finals.length) {
    finals.forEach(view.showFinal);
    page.saved = false;
    view.showPhase(page.phase, true);
  }
  view.showTail(transcript.tail, transcript.beginsParagraph(transcript.tail[0]));
  keep();
  if (results.speech_final) view.showSpeaking(false);
}

function receive(delays, message) {
  if (message.type === "SpeechStarted") view.showSpeaking(true);
  if (message.type === "UtteranceEnd") view.showSpeaking(false);
  if (message.type !== "Results") return;
  show(message, 0);
  delays.add(message, wordsOf(message, 0), 0);
  view.showDelays(delays);
}

function brokenNotice(tape) {
  const again = ["Retry now", () => page.stream?.retryNow()];
  if (page.phase === "finishing") {
    const text = "The server is away; the words on this page stay. Trying to get the rest. Press Stop again to send it later.";
    return view.showNotice(text, "busy", again);
  }
  const kept = tape.ended
    ? "audio without text yet will be sent again."
    : `up to ${KEPT_S / 60} minutes of your speech are kept meanwhile.`;
  return view.showNotice(`The connection broke. Trying again; ${kept}`, "busy", again);
}

function listeners(tape, onFirst) {
  const delays = new Delays(tape);
  view.showDelays(delays);
  return {
    onMessage: (message) => receive(delays, message),
    onBroken: () => brokenNotice(tape),
    onOpen(again) {
      if (!again) onFirst();
      view.showNotice(again ? "Connected again." : "", "good");
    },
    onLost: (seconds) => view.showNotice(`${Math.round(seconds)} seconds could not be kept while there was no connection.`),
  };
}

// --- one recording, from any source

/** Streams a tape to its end; `of_s` is its length, null if unknown. `onFirst` is called once the server takes it. */
async function listen(tape, of_s = null, onFirst = () => {}) {
  const stream = new Stream(listenUrl(tape.rate), tape, listeners(tape, onFirst));
  page.tapes.push({ tape, began_s: page.total_s });
  transcript.beginRecording();
  await follow({ stream, began_s: page.total_s, of_s });
}

/** Shows a recording's text until its stream ends. What got no text stays: the words as unsure, the audio to be sent later. */
async function follow(recording) {
  const { stream, began_s, of_s } = recording;
  const { tape } = stream;
  Object.assign(page, { stream, began_s, rest: null });
  const progress = () => view.showTime((of_s === null ? tape.end : stream.settled) / tape.rate, of_s);
  const timer = setInterval(progress, 200);
  progress();
  try {
    const until = await stream.done;
    view.showTime(until / tape.rate, of_s);
  } finally {
    clearInterval(timer);
    page.stream = null;
    page.total_s = Math.max(page.total_s, page.began_s + tape.end / tape.rate);
    page.rest = stream.hasRest ? { ...recording, began_s: page.began_s } : null;
    view.showSpeaking(false);
    endTail(page.rest !== null);
  }
}

/** A tail that no final came for. `kept`: the rest of the audio is still here, so the words are too. */
function endTail(kept) {
  const unsure = kept ? transcript.keepTail() : [];
  transcript.tail = [];
  unsure.forEach(view.showFinal);
  page.saved &&= !unsure.length;
  view.showTail([], false);
  keep();
}

/** Says what has no text yet, and offers to send it. `why` is the sentence before. */
function offerRest(why = "") {
  const { stream } = page.rest;
  const seconds = Math.max(1, Math.round((stream.tape.end - stream.settled) / stream.tape.rate));
  const text = `${seconds} s of sound have no final text yet. They are kept on this page, as are the underlined words.`;
  view.showNotice(`${why} ${text}`.trim(), why ? "error" : "busy", ["Send the rest", () => run(sendRest)]);
}

/** Goes on with a recording that ended while the server was away. */
async function sendRest() {
  const { rest } = page;
  if (!rest) return;
  enter("finishing");
  view.showNotice("Sending the rest…", "busy");
  view.removeUnsure();
  transcript.takeBack();
  view.showTail(transcript.tail, transcript.beginsParagraph(transcript.tail[0]));
  rest.stream.start();
  await follow(rest);
}

async function speak() {
  if (page.rest) await sendRest(); // its words come before the new ones
  if (page.rest) return;
  view.showNotice("");
  enter("opening");
  page.source = await Microphone.open({ onLevel: view.showLevel, onLost: microphoneGone });
  enter("listening");
  try {
    await listen(page.source.tape);
  } finally {
    await page.source?.stop();
    page.source = null;
  }
}

async function microphoneGone() {
  if (page.phase !== "listening") return;
  await stop();
  view.showNotice("The microphone is gone: it was unplugged, or its permission was withdrawn. The text up to then is here.");
}

async function stop() {
  if (page.phase === "finishing") return page.stream?.abandon(); // pressed twice: do not wait for the last results
  enter("finishing");
  const { source } = page;
  page.source = null;
  if (source) await source.stop(); // closes the tape; the stream then requests its last finals
  else page.stream?.abandon();
}

/** The text stays until the recording was read and the server takes it: a wrong file changes nothing. */
async function readFile(recording, isFurther = false) {
  enter("opening");
  view.showNotice(`Reading ${recording.name}…`, "busy");
  const mayShow = () => isFurther || mayReplace();
  const replace = () => {
    if (isFurther) return;
    const { tapes } = page;
    clearAll();
    page.tapes = tapes.slice(-1);
    page.began_s = 0;
    page.name = recording.name.replace(/\.[^.]*$/, "");
  };
  const tape = await openFile(recording);
  if (!tape) return upload(recording, mayShow, replace);
  view.showNotice("");
  if (!mayShow()) return;
  enter("listening");
  await listen(tape, tape.end / tape.rate, replace);
  if (transcript.empty) view.showNotice(`No speech was found in ${recording.name}.`, "busy");
}

/** Several files are read one after the other, each below the last. One that fails stops no other one. */
async function readFiles(recordings) {
  if (page.phase !== "idle") return;
  if (!recordings.length) return view.showNotice("Drop an audio or video file here. Text and links have no sound.");
  const refused = [];
  for (const recording of recordings) {
    const why = await run(() => readFile(recording, refused.length < recordings.indexOf(recording)));
    if (why) refused.push(`${recording.name}: ${why}`);
    if (page.rest) return; // the server is away; what is left is offered
  }
  if (recordings.length > 1 && refused.length) view.showNotice(refused.join(" "));
}

/** Uploads a recording that this browser cannot decode; its text arrives all at once. */
async function upload(recording, mayShow, replace) {
  view.showNotice(`This browser cannot read ${recording.name}; the server does, and shows the text when it is done…`, "busy");
  const form = new FormData();
  form.append("file", recording);
  form.append("response_format", "verbose_json");
  form.append("timestamp_granularities[]", "word");
  form.append("model", model.value);
  if (language.value) form.append("language", language.value);
  const address = endpoint("v1/audio/transcriptions");
  const answer = await access.request(address, { method: "POST", body: form }).catch(() => null);
  if (!answer) throw new StreamError(NO_SERVER);
  const body = await answer.json().catch(() => ({}));
  if (!answer.ok) throw new StreamError(`${recording.name} was refused: ${body.error?.message ?? `HTTP ${answer.status}`}`);
  if (!mayShow()) return view.showNotice("");
  replace();
  page.began_s = page.total_s;
  transcript.beginRecording();
  const alternatives = [{ transcript: body.text, text: body.text, words: body.words ?? [] }];
  show({ is_final: true, start: 0, duration: body.duration, channel: { alternatives } }, 0);
  page.total_s += body.duration;
  view.showTime(body.duration, body.duration);
  view.showNotice(transcript.empty ? `No speech was found in ${recording.name}.` : "", "busy");
}

/** Runs one recording. However it ends, the page is usable again, and shows the reason of a failure, which it returns. */
async function run(recording) {
  if (page.phase !== "idle") return "";
  if (!page.models.length) await loadModels(); // the server was down when the page was loaded
  let why = "";
  try {
    await recording();
  } catch (error) {
    if (!(error instanceof SourceError || error instanceof StreamError)) throw error;
    why = error.message;
    view.showNotice(why);
  } finally {
    enter("idle");
    if (page.rest) offerRest(why);
  }
  return why;
}

// --- keeping the text

function mayReplace() {
  return page.saved || confirm("The text on this page has not been copied or downloaded. Replace it?");
}

function clearAll() {
  transcript.clear();
  view.clearText();
  view.showNotice("");
  view.showTime(0);
  view.showPhase(page.phase, false);
  Object.assign(page, { total_s: 0, began_s: 0, name: "", saved: true, rest: null, tapes: [] });
  writer.begin();
}

const FORMATS = {
  txt: [() => toTxt(transcript.paragraphs), "text/plain"],
  srt: [() => toSrt(transcript.words, page.total_s || Infinity), "application/x-subrip"],
  json: [() => toJson(transcript.finals, { model: model.value, duration_s: page.total_s }), "application/json"],
  vtt: [() => toVtt(transcript.words, page.total_s || Infinity), "text/vtt"],
};

function download(format) {
  const [write, type] = FORMATS[format];
  const name = page.name || `steadyword-${new Date().toISOString().slice(0, 16).replace(/[:T]/g, "-")}`;
  view.save(`${name}.${format}`, write(), type);
  page.saved = true;
}

async function copyText() {
  try {
    await view.copy(toTxt(transcript.paragraphs));
  } catch (error) {
    return view.showNotice(error.message);
  }
  page.saved = true;
  view.showNotice("Copied.", "good");
}

// --- the text of before: played, and opened again

function hush() {
  stopPlaying();
  view.elements.play.setAttribute("aria-pressed", "false");
}

/** Plays from a second of the transcript on. */
function playFrom(second) {
  const found = page.tapes.findLast(({ began_s }) => began_s <= second + 0.01);
  const isPlaying = found !== undefined && page.phase === "idle" && play(found.tape, second - found.began_s, hush);
  view.elements.play.setAttribute("aria-pressed", String(isPlaying));
  if (!isPlaying && page.phase === "idle") view.showNotice("The sound of this word is no longer kept.", "good");
}

function pressPlay() {
  if (view.elements.play.getAttribute("aria-pressed") === "true") return hush();
  playFrom(view.wordOf.get(view.firstInSight())?.start ?? 0);
}

/** Shows a transcript that was kept on this device; returns whether it did. */
function reopen({ id, name, state }) {
  if (page.phase !== "idle" || !mayReplace()) return false;
  clearAll();
  writer.begin(id);
  transcript.state = state;
  state.finals.forEach(view.showFinal);
  Object.assign(page, { name, total_s: state.total_s });
  view.showPhase(page.phase, !transcript.empty);
  return true;
}

/** After a reload the tab has its text again; after a crash the newest text is offered. */
async function restore() {
  try {
    const own = await history.ofThisTab();
    if (own) return void reopen(own);
    const busy = await history.inOtherTabs();
    const [newest] = (await history.list()).filter(({ id }) => !busy.includes(id));
    if (!newest || Date.now() - newest.changed > RECENT_MS) return;
    view.showNotice("The last transcript is still on this device.", "busy", ["Open it", () => reopen(newest)]);
  } catch (error) {
    console.warn(`Past transcripts cannot be read: ${error}`); // as in private windows of some browsers
  }
}

// --- choices and controls

function chooseLanguages() {
  const { languages = [], architecture } = page.models.find(({ id }) => id === model.value) ?? {};
  view.showStyleNote(architecture);
  view.showLanguages(languages, language.value || navigator.language.split("-")[0]);
}

async function loadModels() {
  const answer = await access.request(endpoint("v1/models")).catch(() => null);
  if (answer?.status === 401) return view.showNotice("");
  if (!answer?.ok) return view.showNotice(NO_SERVER);
  page.models = (await answer.json()).data;
  view.showModels(page.models, page.models.find((entry) => entry.default)?.id);
  chooseLanguages();
}

/** The user has typed a key: the page is as if it had been loaded with it. */
async function takeKey(event) {
  event.preventDefault();
  try {
    await access.take(view.elements.key.value, endpoint("v1/auth/grant"));
  } catch (error) {
    return view.showNotice(error.message);
  }
  view.showEntry(false);
  view.showNotice("");
  await loadModels();
}

function dropZone() {
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

/** Edit: each word takes the user's correction. What was recognised stays beside it. */
function pressEdit() {
  const isOn = view.elements.edit.getAttribute("aria-pressed") !== "true";
  view.showEditing(isOn);
}

function correct({ target }) {
  const word = view.wordOf.get(target);
  if (!word || !target.isContentEditable) return;
  const text = /^\s/.test(word.text) && target.textContent.trim() ? ` ${target.textContent.trim()}` : target.textContent;
  if (text.trim() === word.text.trim()) delete word.edited;
  else word.edited = text;
  target.classList.toggle("edited", word.edited !== undefined);
  const isFirst = target.matches("p > .final:first-child > .word:first-child");
  target.textContent = isFirst ? text.trimStart() : text;
  if (word.edited !== undefined) page.saved = false;
  keep();
}

const PRESSED = { idle: () => run(speak), opening: () => {}, listening: stop, finishing: stop };
start.addEventListener("click", () => PRESSED[page.phase]());
choose.addEventListener("click", () => page.phase === "idle" && file.click());
file.addEventListener("change", async () => {
  await readFiles([...file.files]);
  file.value = ""; // so that the same file can be chosen again
});
model.addEventListener("change", chooseLanguages);
clear.addEventListener("click", () => mayReplace() && clearAll());
view.elements.copy.addEventListener("click", copyText);
for (const format of Object.keys(FORMATS)) view.elements[format].addEventListener("click", () => download(format));
addEventListener("beforeunload", (event) => {
  if (page.phase !== "idle" || !page.saved || page.rest) event.preventDefault();
});
access.needed.addEventListener("needed", () => view.showEntry(true));
view.elements.entry.addEventListener("submit", takeKey);
view.elements.play.addEventListener("click", pressPlay);
view.elements.words.addEventListener("click", ({ target }) => {
  const word = view.wordOf.get(target);
  if (word && page.tapes.length && !target.isContentEditable && !String(getSelection())) playFrom(word.start);
});
view.elements.edit.addEventListener("click", pressEdit);
view.elements.words.addEventListener("focusout", correct);
startPast(reopen);
dropZone();
enter("idle");
await restore();
await loadModels();
