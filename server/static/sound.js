// Where the sound comes from: the chooser, and the test of its level before a recording.

import { SourceError } from "./client/errors.js";
import { Microphone, SHARED, canShare, microphones } from "./client/sources.js";
import { changes, page } from "./state.js";
import * as translation from "./translate.js";
import { sentence, t } from "./translate.js";
import { elements, options, showLevel } from "./view.js";

const STORED = "steadyword-source";
const PATIENCE_MS = 3000; // of silence, until the test says that it has found no sound
const AUDIBLE = 0.003; // -50 dB of full scale

const { source, test, trial, tested, configuration } = elements;
let devices = []; // the microphones that the browser has told of
let testing = null; // the source that is being tested

/** "" for the default microphone, the id of another one, or `SHARED`. */
export const chosenSource = () => source.value;

function show() {
  const named = devices.map(({ id, name }, i) => [id, name || t("numberedMicrophone", { number: i + 1 })]);
  const entries = [["", t("defaultMicrophone")], ...named, ...(canShare ? [[SHARED, t("shared")]] : [])];
  const wanted = source.value || localStorage.getItem(STORED);
  options(source, entries, entries.some(([id]) => id === wanted) ? wanted : "");
}

async function list() {
  devices = await microphones();
  show();
}

/** Ends the test, if there is one. */
export async function stopTest() {
  const { opened, timer } = testing ?? {};
  testing = null;
  clearTimeout(timer);
  await opened?.stop();
  test.setAttribute("aria-pressed", "false");
  test.textContent = t("test");
  showLevel(0, trial);
}

function hear(level) {
  if (!testing) return;
  showLevel(level, trial);
  if (level < AUDIBLE) return;
  testing.isAudible = true;
  tested.textContent = t("testHint");
}

async function startTest() {
  if (page.phase !== "idle") return;
  const own = (testing = { isAudible: false });
  test.setAttribute("aria-pressed", "true");
  test.textContent = t("stopTest");
  tested.textContent = t("testHint");
  try {
    own.opened = await Microphone.open({ source: chosenSource(), onLevel: hear, onLost: stopTest });
  } catch (error) {
    if (!(error instanceof SourceError)) throw error;
    await stopTest();
    tested.textContent = sentence(error);
    return;
  }
  if (testing !== own) return void own.opened.stop(); // ended while it was opening
  own.timer = setTimeout(() => own.isAudible || (tested.textContent = t("nothingFound")), PATIENCE_MS);
  await list(); // the browser gives names once a microphone was allowed
}

export function startSound() {
  source.addEventListener("change", async () => {
    localStorage.setItem(STORED, source.value);
    if (testing) await stopTest().then(startTest);
  });
  test.addEventListener("click", () => (testing ? stopTest() : startTest()));
  configuration.addEventListener("close", stopTest);
  navigator.mediaDevices?.addEventListener?.("devicechange", list);
  translation.changes.addEventListener("change", show); // at once: asking the browser takes a while
  changes.addEventListener("phase", () => page.phase === "listening" && list());
  return list();
}
