// What the page shows beside the text: phase, level, time, delays, notices. No state but the DOM's.

import { changes, t } from "./translate.js";

export const elements = Object.fromEntries([...document.querySelectorAll("[id]")].map((element) => [element.id, element]));
const { notice, level, elapsed, of, queue, shown, stays, lag, start, choose } = elements;

/** The field for a key, where the server asks for one. What was typed does not stay in the page. */
export function showEntry(wanted) {
  const { entry, key } = elements;
  const appears = wanted && entry.hidden;
  entry.hidden = !wanted;
  key.value = "";
  if (appears) key.focus();
}

/** kind: "error" (needs the user), "busy" (in progress) or "good" (disappears after 4 s). `offer`: [label, action]. */
export function showNotice(text, kind = "error", offer = null) {
  notice.textContent = text;
  notice.className = kind;
  if (offer) {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = offer[0];
    button.addEventListener("click", offer[1]);
    notice.append(" ", button);
  }
  notice.hidden = !text;
  clearTimeout(showNotice.timer);
  if (kind === "good") showNotice.timer = setTimeout(() => showNotice(""), 4000);
}

const LABELS = { idle: "start", opening: "opening", listening: "stop", finishing: "finishing" };
const OF_TEXT = ["copy", "download", "play", "edit", "search"]; // buttons that need a text

export function showPhase(phase, hasText) {
  document.body.dataset.phase = phase;
  elements["start-label"].textContent = t(LABELS[phase]);
  const idle = phase === "idle";
  // Not `disabled`: that would move the focus away from a button just pressed.
  start.setAttribute("aria-disabled", String(phase === "opening"));
  choose.setAttribute("aria-disabled", String(!idle));
  for (const select of [elements.model, elements.language]) select.disabled = !idle;
  for (const id of OF_TEXT) elements[id].disabled = !hasText;
  elements.clear.disabled = !hasText || !idle;
  if (idle) showLevel(0);
}

/** `rms` is 0 to 1; the meter spans 60 dB. */
export function showLevel(rms, meter = level) {
  const share = Math.max(0, Math.min(1, 1 + Math.log10(Math.max(rms, 1e-6)) / 3));
  meter.firstElementChild.style.transform = `scaleX(${share.toFixed(3)})`;
  meter.setAttribute("aria-valuenow", String(Math.round(share * 100)));
}

export function showSpeaking(speaking) {
  document.body.classList.toggle("speaking", speaking);
}

/** Seconds as m:ss or h:mm:ss. */
export function clock(seconds) {
  const whole = Math.floor(seconds);
  const [h, m, s] = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60, whole % 60];
  const two = (value) => String(value).padStart(2, "0");
  return h ? `${h}:${two(m)}:${two(s)}` : `${m}:${two(s)}`;
}

export function showTime(seconds, of_s = null) {
  elapsed.textContent = clock(seconds);
  of.textContent = of_s === null ? "" : t("of", { time: clock(of_s) });
}

/** Which of several files is being read. */
export function showQueue(number, count) {
  queue.textContent = count > 1 ? t("queue", { number, count }) : "";
}

const tenths = (seconds) => (seconds === null ? "–" : t("seconds", { seconds: seconds.toFixed(1) }));

export function showDelays({ shown: shownAfter, stays: staysAfter, lag_s }) {
  shown.lastElementChild.textContent = tenths(shownAfter.median);
  stays.lastElementChild.textContent = tenths(staysAfter.median);
  lag.lastElementChild.textContent = tenths(lag_s);
}

/** Fills a list of choices: [value, text] each. */
export function options(select, entries, chosen) {
  select.replaceChildren(...entries.map(([value, text]) => new Option(text, value, false, value === chosen)));
}

/** Hands a file to the user. */
export function save(name, content, type) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([content].flat(), { type }));
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10000);
}

/** Copies a text. Rejects where the browser does not let it. */
export async function copy(text) {
  if (navigator.clipboard) {
    try {
      return await navigator.clipboard.writeText(text);
    } catch {
      // Refused by a permission: the older way may still work.
    }
  }
  const area = document.createElement("textarea"); // pages over plain http in a local network have no clipboard API
  area.value = text;
  (document.querySelector("dialog[open]") ?? document.body).append(area); // an open dialog takes all focus
  area.select();
  const copied = document.execCommand("copy");
  area.remove();
  if (!copied) throw Object.assign(new Error("copying was refused"), { code: "cannotCopy" });
}

changes.addEventListener("change", () => showNotice("")); // its words are of the language before
