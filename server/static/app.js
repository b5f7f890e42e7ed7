// Puts the page together: its parts and its main buttons.

import * as captions from "./captions.js";
import { startCorrecting } from "./correcting.js";
import { startDisplay } from "./display.js";
import { readFiles, startDropping } from "./files.js";
import { restore, startPast } from "./past.js";
import { run } from "./recording.js";
import { startSaving } from "./saving.js";
import { startSearch } from "./search.js";
import { loadModels, startSettings } from "./settings.js";
import { startSnippets } from "./snippets.js";
import { startSound } from "./sound.js";
import { speak, stop } from "./speaking.js";
import { changes, enter, page, transcript } from "./state.js";
import * as translation from "./translate.js";
import * as view from "./view.js";
import { stayAwake } from "./wake_lock.js";

const CAPTIONS_RETRY_MS = 3000;

const { start, choose, file } = view.elements;
const PRESSED = { idle: () => run(speak), opening: () => {}, listening: stop, finishing: stop };

const showPhase = () => view.showPhase(page.phase, !transcript.empty);

/** A view of captions has nobody who presses Start. */
async function speakForEver() {
  for (;;) {
    await run(speak);
    await new Promise((resolve) => setTimeout(resolve, CAPTIONS_RETRY_MS));
  }
}

start.addEventListener("click", () => PRESSED[page.phase]());
choose.addEventListener("click", () => page.phase === "idle" && file.click());
file.addEventListener("change", async () => {
  await readFiles([...file.files]);
  file.value = ""; // so that the same file can be chosen again
});
addEventListener("beforeunload", (event) => {
  if (captions.isOnly) return;
  if (page.phase !== "idle" || !page.saved || page.rest) event.preventDefault();
});
changes.addEventListener("phase", () => {
  stayAwake(page.phase === "listening");
  showPhase();
});
translation.changes.addEventListener("change", showPhase);

translation.translate();
for (const begin of [startDisplay, startSettings, startSaving, startCorrecting, startPast, startSearch]) begin();
for (const begin of [startSnippets, startDropping, captions.startCaptions]) begin();
await startSound();
enter("idle");
if (!captions.isOnly) await restore();
await loadModels();
if (captions.isOnly) speakForEver();
