// One recording, from any source: its tape is streamed, and its text is shown until the stream ends.

import { access } from "./access.js";
import { listenUrl } from "./address.js";
import { SourceError, StreamError } from "./client/errors.js";
import { FULL, Stream, refusal } from "./client/stream.js";
import { KEPT_S } from "./client/tape.js";
import { languageOf, wordsOf } from "./client/words.js";
import { Delays } from "./delays.js";
import { loadModels, options, showLanguage } from "./settings.js";
import { enter, keepTape, noteText, page, transcript } from "./state.js";
import * as text from "./text.js";
import { sentence, t } from "./translate.js";
import * as view from "./view.js";

const SAMPLE_RATE_HZ = 16000;
const ROOM_MS = 3000; // between two questions whether the server has room again

let waiting = null; // for room on the server

/** Takes a Results message into the transcript and onto the page. */
export function show(results, offset_s) {
  showLanguage(languageOf(results));
  const finals = transcript.add(results, offset_s + page.began_s);
  if (finals.length) {
    finals.forEach(text.showFinal);
    page.saved = false;
    view.showPhase(page.phase, true);
  }
  text.showTail(transcript.tail, transcript.beginsParagraph(transcript.tail[0]));
  noteText();
  if (results.speech_final) view.showSpeaking(false);
}

function receive(delays, message) {
  if (message.type === "SpeechStarted") view.showSpeaking(true);
  if (message.type === "UtteranceEnd") view.showSpeaking(false);
  if (message.type !== "Results") return;
  show(message, 0);
  delays.add(message, wordsOf(message), 0);
  view.showDelays(delays);
}

function brokenNotice(tape) {
  const again = [t("retry"), () => page.stream?.retryNow()];
  if (page.phase === "finishing") return view.showNotice(t("brokenAtEnd"), "busy", again);
  const said = tape.ended ? t("brokenFile") : t("broken", { minutes: KEPT_S / 60 });
  return view.showNotice(said, "busy", again);
}

function listeners(tape, onFirst) {
  const delays = new Delays(tape);
  view.showDelays(delays);
  return {
    onMessage: (message) => receive(delays, message),
    onBroken: () => brokenNotice(tape),
    onOpen(again) {
      if (!again) onFirst();
      view.showNotice(again ? t("connected") : "", "good");
    },
    onLost: (seconds) => view.showNotice(t("lost", { seconds: Math.round(seconds) })),
  };
}

/** Streams a tape to its end; `of_s` is its length, null if unknown. `onFirst` is called once the server takes it. */
export async function listen(tape, of_s = null, onFirst = () => {}) {
  const stream = new Stream(listenUrl(tape.rate, options()), tape, listeners(tape, onFirst), { access });
  keepTape(tape);
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
  unsure.forEach(text.showFinal);
  page.saved &&= !unsure.length;
  text.showTail([], false);
  noteText();
}

/** Says what has no text yet, and offers to send it, or what `offer` says. `why` is the sentence before. */
function offerRest(why, offer) {
  const { stream } = page.rest;
  const seconds = Math.max(1, Math.round((stream.tape.end - stream.settled) / stream.tape.rate));
  const said = `${why} ${t("rest", { seconds })}`.trim();
  view.showNotice(said, why ? "error" : "busy", offer ?? [t("sendRest"), () => run(sendRest)]);
}

/** Goes on with a recording that ended while the server was away. */
export async function sendRest() {
  const { rest } = page;
  if (!rest) return;
  enter("finishing");
  view.showNotice(t("sending"), "busy");
  text.removeUnsure();
  transcript.takeBack();
  text.showTail(transcript.tail, transcript.beginsParagraph(transcript.tail[0]));
  rest.stream.start();
  await follow(rest);
}

/** Runs a recording as soon as a full server has room, unless the user begins something else. */
async function runWhenFree(recording) {
  const own = (waiting = {});
  const stop = () => {
    waiting = null;
    view.showNotice("");
  };
  view.showNotice(t("waits"), "busy", [t("doNotWait"), stop]);
  for (;;) {
    const { status } = await refusal(listenUrl(SAMPLE_RATE_HZ, options()), access);
    if (waiting !== own) return;
    if (status !== FULL) return void run(recording);
    await new Promise((resolve) => setTimeout(resolve, ROOM_MS));
  }
}

/** Runs one recording. However it ends, the page is usable again, and shows the reason of a failure, which it returns. */
export async function run(recording) {
  if (page.phase !== "idle") return "";
  waiting = null;
  await loadModels(); // the server may have been down when the page was loaded
  let [why, offer] = ["", null];
  try {
    await recording();
  } catch (error) {
    if (!(error instanceof SourceError || error instanceof StreamError)) throw error;
    why = sentence(error);
    if (error.code === "full") offer = [t("whenFree"), () => runWhenFree(recording)];
    view.showNotice(why, "error", offer);
  } finally {
    enter("idle");
    if (page.rest) offerRest(why, offer);
  }
  return why;
}
