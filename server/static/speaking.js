// The microphone, or a shared sound: started, stopped, and lost.

import { Microphone } from "./client/sources.js";
import { listen, sendRest } from "./recording.js";
import { chosenSource, stopTest } from "./sound.js";
import { enter, page } from "./state.js";
import { t } from "./translate.js";
import * as view from "./view.js";

/** Records and shows what is said, until `stop`. */
export async function speak() {
  if (page.rest) await sendRest(); // its words come before the new ones
  if (page.rest) return;
  view.showNotice("");
  enter("opening");
  await stopTest();
  page.source = await Microphone.open({ source: chosenSource(), onLevel: view.showLevel, onLost: sourceGone });
  page.file = "";
  enter("listening");
  try {
    await listen(page.source.tape);
  } finally {
    await page.source?.stop();
    page.source = null;
  }
}

async function sourceGone() {
  if (page.phase !== "listening") return;
  await stop();
  view.showNotice(t("gone"));
}

/** Ends the recording; pressed twice, without waiting for its last results. */
export async function stop() {
  if (page.phase === "finishing") return page.stream?.abandon();
  enter("finishing");
  const { source } = page;
  page.source = null;
  if (source) await source.stop(); // closes the tape; the stream then requests its last finals
  else page.stream?.abandon();
}
