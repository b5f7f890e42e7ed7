// The list of past transcripts: open, delete, and the switch that turns it off. What was on the page before a reload.

import * as history from "./history.js";
import { clearAll, mayReplace } from "./saving.js";
import { page, transcript, writer } from "./state.js";
import { showFinal } from "./text.js";
import { joined } from "./transcript.js";
import { locale, t } from "./translate.js";
import * as view from "./view.js";

const RECENT_MS = 12 * 3600 * 1000;
const TITLE_CHARS = 60;

const { past, archive, kept, archived, forget } = view.elements;

const textIn = ({ finals }) => joined(finals.flatMap(({ words }) => words)).trim();

function row(record) {
  const item = document.createElement("li");
  const [shown, remove] = [document.createElement("button"), document.createElement("button")];
  const when = new Date(record.changed).toLocaleString(locale, { dateStyle: "medium", timeStyle: "short" });
  const text = textIn(record.state);
  const title = text.length > TITLE_CHARS ? `${text.slice(0, TITLE_CHARS)}…` : text;
  shown.textContent = `${when} · ${record.name || title}`;
  shown.addEventListener("click", () => reopen(record) && archive.close());
  remove.textContent = t("delete");
  remove.setAttribute("aria-label", t("deleteThat", { when }));
  remove.addEventListener("click", async () => {
    await history.remove(record.id);
    item.remove();
  });
  item.append(shown, remove);
  return item;
}

/** Shows a transcript that was kept on this device; returns whether it did. */
function reopen({ id, name, state }) {
  if (page.phase !== "idle" || !mayReplace()) return false;
  clearAll();
  writer.begin(id);
  transcript.state = state;
  state.finals.forEach(showFinal);
  Object.assign(page, { name, total_s: state.total_s });
  view.showPhase(page.phase, !transcript.empty);
  return true;
}

/** After a reload the tab has its text again; after a crash the newest text is offered. */
export async function restore() {
  try {
    const own = await history.ofThisTab();
    if (own) return void reopen(own);
    const busy = await history.inOtherTabs();
    const [newest] = (await history.list()).filter(({ id }) => !busy.includes(id));
    if (!newest || Date.now() - newest.changed > RECENT_MS) return;
    view.showNotice(t("lastKept"), "busy", [t("open"), () => reopen(newest)]);
  } catch (error) {
    console.warn(`Past transcripts cannot be read: ${error}`); // as in private windows of some browsers
  }
}

export function startPast() {
  const refresh = async () => {
    kept.checked = history.enabled();
    archived.replaceChildren(...(await history.list()).map(row));
  };
  past.addEventListener("click", async () => {
    await refresh();
    archive.showModal();
  });
  kept.addEventListener("change", () => history.enable(kept.checked));
  forget.addEventListener("click", async () => {
    if (!confirm(t("forgetAll"))) return;
    for (const { id } of await history.list()) await history.remove(id);
    await refresh();
  });
}
