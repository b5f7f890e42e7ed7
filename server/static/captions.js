// The newest words in large letters: in a window that stays on top of others, or as the whole page, for OBS (`?captions`).

import { changes, page, transcript } from "./state.js";
import { joined } from "./transcript.js";
import { locale } from "./translate.js";
import { elements } from "./view.js";

const WORDS = 40; // more than fit; the window shows the last lines

const { captions, overlay, words } = elements;

/** Whether this page is nothing but captions. */
export const isOnly = new URLSearchParams(location.search).has("captions");

let shown = isOnly ? overlay : null; // the element that shows them
let shownBy = null; // the window on top, while it is open

function show() {
  if (!shown) return;
  const [final, tail] = shown.children;
  const recent = [];
  for (let i = transcript.finals.length - 1; i >= 0 && recent.length < WORDS; i -= 1) recent.unshift(...transcript.finals[i].words);
  shown.lang = words.lang;
  final.textContent = joined(recent.slice(-WORDS)).trimStart();
  tail.textContent = joined(transcript.tail);
  shown.scrollTop = shown.scrollHeight;
}

/** The same element in a window of its own, with the page's styles. */
async function toggle() {
  if (shownBy) return shownBy.close();
  shownBy = await documentPictureInPicture.requestWindow({ width: 640, height: 150 });
  const { document: inside } = shownBy;
  inside.documentElement.lang = locale;
  inside.documentElement.className = "overlay";
  inside.title = captions.textContent;
  const style = inside.createElement("link");
  Object.assign(style, { rel: "stylesheet", href: new URL("static/style.css", document.baseURI).href });
  inside.head.append(style);
  inside.body.append((shown = inside.importNode(overlay, true)));
  shown.hidden = false;
  captions.setAttribute("aria-pressed", "true");
  shownBy.addEventListener("pagehide", () => {
    shown = shownBy = null;
    captions.setAttribute("aria-pressed", "false");
  });
  style.addEventListener("load", show);
  show();
}

export function startCaptions() {
  captions.hidden = !("documentPictureInPicture" in window);
  captions.addEventListener("click", toggle);
  changes.addEventListener("text", show);
  if (!isOnly) return;
  page.keeps = false; // nobody could delete it here
  document.documentElement.classList.add("captions-only");
  overlay.hidden = false;
}
