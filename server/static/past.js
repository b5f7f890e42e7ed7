// The list of past transcripts: open, delete, and the switch that turns it off.

import * as history from "./history.js";
import { elements } from "./view.js";

const { past, archive, kept, archived, forget } = elements;

const wordsIn = ({ finals }) => finals.flatMap(({ words }) => words.map(({ text }) => text)).join("").trim();

function row(record, open) {
  const item = document.createElement("li");
  const [shown, remove] = [document.createElement("button"), document.createElement("button")];
  const when = new Date(record.changed).toLocaleString([], { dateStyle: "medium", timeStyle: "short" });
  const text = wordsIn(record.state);
  shown.textContent = `${when} · ${record.name || text.slice(0, 60)}${!record.name && text.length > 60 ? "…" : ""}`;
  shown.addEventListener("click", () => open(record) && archive.close());
  remove.textContent = "Delete";
  remove.setAttribute("aria-label", `Delete the transcript of ${when}`);
  remove.addEventListener("click", async () => {
    await history.remove(record.id);
    item.remove();
  });
  item.append(shown, remove);
  return item;
}

/** `open(record)` shows a transcript; it returns whether it did. */
export function startPast(open) {
  const refresh = async () => {
    kept.checked = history.enabled();
    archived.replaceChildren(...(await history.list()).map((record) => row(record, open)));
  };
  past.addEventListener("click", async () => {
    await refresh();
    archive.showModal();
  });
  kept.addEventListener("change", () => history.enable(kept.checked));
  forget.addEventListener("click", async () => {
    if (!confirm("Delete all transcripts that are kept on this device?")) return;
    for (const { id } of await history.list()) await history.remove(id);
    await refresh();
  });
}
