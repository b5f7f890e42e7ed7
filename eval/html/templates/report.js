"use strict";
// Shows the recordings from the data in this page: coloured alignment, timeline, player. Loads nothing from elsewhere.
(() => {
  // Each recording is a line of JSON that is parsed when it is shown or searched: ten thousand at once take seconds.
  const data = JSON.parse(document.getElementById("utterances-data").textContent);
  const lines = document.getElementById("utterances-lines").textContent.trim().split("\n").filter(Boolean);
  const recordings = data.order.map(([dataset, errors, rate, apart, late], place) => ({ dataset, errors, rate, apart, late, place }));
  const list = document.getElementById("utterances-list"), more = document.getElementById("more");
  const order = document.getElementById("order"), where = document.getElementById("where"), find = document.getElementById("find");
  const PAGE = 12, ROWS = 40;
  let shown = PAGE;

  const element = (tag, attributes = {}, ...children) => {
    const made = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
    made.append(...children);
    return made;
  };
  const svg = (tag, attributes, text) => {
    const made = document.createElementNS("http://www.w3.org/2000/svg", tag);
    for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
    if (text !== undefined) made.textContent = text;
    return made;
  };

  const orders = {
    errors: (a, b) => b.errors - a.errors, rate: (a, b) => b.rate - a.rate, apart: (a, b) => b.apart - a.apart,
    late: (a, b) => b.late - a.late, data: (a, b) => a.place - b.place,
  };
  const parsed = (r) => (r.whole ??= JSON.parse(lines[r.place]));

  function alignment(edits, joiner, language) {
    const line = element("div", { class: "text", dir: "auto", lang: language });  // "": not known
    for (const edit of edits) {
      if (typeof edit === "string") line.append(edit);
      else if (edit[0] && edit[1]) line.append(element("span", { class: "pair" }, element("del", {}, edit[0]), element("b", {}, edit[1])));
      else if (edit[0]) line.append(element("del", { title: "deleted" }, edit[0]));
      else line.append(element("ins", { title: "inserted" }, edit[1]));
      line.append(joiner);
    }
    return line;
  }

  // One row per word: its end (tick), shown but may still change (pale bar), stable from the dot on, final at the end of the line.
  function timeline(system, seconds, colour) {
    const rows = system.times.slice(0, ROWS), high = 17, left = 112, right = 14, wide = 900;
    const last = Math.max(seconds, ...rows.map((t) => t[4])) + 0.1;
    const x = (s) => left + (wide - left - right) * Math.max(0, s) / last;
    const box = svg("svg", { viewBox: `0 0 ${wide} ${rows.length * high + 30}`, role: "img", "aria-label": "when each word was shown" });
    const step = [0.5, 1, 2, 5, 10, 30, 60, 300].find((s) => last / s <= 12) || 600;
    for (let s = 0; s <= last; s += step) {
      box.append(svg("line", { x1: x(s), x2: x(s), y1: 0, y2: rows.length * high + 6, stroke: "var(--line)" }));
      box.append(svg("text", { x: x(s), y: rows.length * high + 22, "text-anchor": "middle", "font-size": 11, fill: "var(--quiet)" }, `${s} s`));
    }
    box.append(svg("line", { x1: x(seconds), x2: x(seconds), y1: 0, y2: rows.length * high + 6, stroke: "var(--quiet)", "stroke-dasharray": "2 3" }));
    rows.forEach(([word, end, first, stable, final], i) => {
      const y = i * high + 11;
      box.append(svg("text", { x: left - 10, y: y + 4, "text-anchor": "end", "font-size": 12, fill: "var(--ink)" }, word.trim().slice(0, 15)));
      if (end !== null) box.append(svg("line", { x1: x(end), x2: x(end), y1: y - 5, y2: y + 5, stroke: "var(--quiet)", "stroke-width": 1.5 }));
      if (end !== null && first > end) box.append(svg("line", { x1: x(end), x2: x(first), y1: y, y2: y, stroke: "var(--edge)", "stroke-dasharray": "2 2" }));
      box.append(svg("line", { x1: x(first), x2: x(stable), y1: y, y2: y, stroke: colour, "stroke-width": 4, "stroke-opacity": 0.3 }));
      box.append(svg("line", { x1: x(stable), x2: x(final), y1: y, y2: y, stroke: colour, "stroke-width": 1.5 }));
      const dot = svg("circle", { cx: x(stable), cy: y, r: 3.6, fill: colour });
      dot.append(svg("title", {}, `${word.trim()}: spoken until ${end === null ? "?" : end} s, first shown ${first} s, for good ${stable} s, final ${final} s`));
      box.append(dot);
    });
    const holder = element("div", { class: "timeline" });
    holder.append(box);
    if (system.times.length > ROWS) holder.append(element("div", { class: "key" }, `the first ${ROWS} of ${system.times.length} words`));
    return holder;
  }

  function card(u) {
    const about = [element("b", {}, u.id), u.dataset, `${u.seconds.toFixed(1)} s`, u.speaker && `speaker ${u.speaker}`, u.language, ...u.attributes].filter(Boolean);
    const made = element("article", { class: "utterance" }, element("div", { class: "about" }, ...about.map((part) => (part instanceof Node ? part : element("span", {}, part)))));
    if (u.audio) made.append(element("audio", { controls: "", preload: "none", src: u.audio }));
    else if (u.file) made.append(element("div", { class: "key" }, element("a", { href: "file://" + encodeURI(u.file) }, "recording on this machine")));
    for (const system of u.systems) {
      const about = data.systems[system.of];
      const swatch = element("span", { class: "swatch" + (about.mode === "offline" ? " offline" : ""), style: `background:${about.colour};border-color:${about.colour}` });
      const score = system.words ? `${system.errors} of ${system.words} wrong` : `${system.errors} made up`;
      const part = element("div", { class: "system" }, element("div", { class: "who" }, swatch, `${about.name}, ${about.mode}: ${score}${system.error ? "; the stream broke: " + system.error : ""}`));
      part.append(alignment(system.edits, u.joiner, u.language));
      if (system.times.length) {
        const fold = element("details", {}, element("summary", {}, "timeline"));
        fold.addEventListener("toggle", () => { if (fold.open && fold.children.length < 2) fold.append(timeline(system, u.seconds, about.colour)); });
        if (u.open) fold.open = true;
        part.append(fold);
      }
      made.append(part);
    }
    return made;
  }

  // A line without one of the words cannot hold them all; only the others are parsed and searched as a reader sees them.
  function holds(r, wanted) {
    if (!wanted) return true;
    r.line ??= lines[r.place].toLowerCase();
    const escaped = (word) => JSON.stringify(word).slice(1, -1).replaceAll("<", "\\u003c");
    if (!wanted.split(/\s+/).every((word) => r.line.includes(escaped(word)))) return false;
    const u = parsed(r);
    r.haystack ??= [u.id, u.speaker, ...u.attributes, ...u.systems.flatMap((s) => s.edits.flat())].join(" ").toLowerCase();
    return r.haystack.includes(wanted);
  }

  function draw() {
    const wanted = find.value.trim().toLowerCase();
    const found = recordings.filter((r) => (!where.value || r.dataset === where.value) && holds(r, wanted)).sort(orders[order.value]);
    list.replaceChildren(...found.slice(0, shown).map((r) => card(parsed(r))));
    more.hidden = found.length <= shown;
    document.getElementById("count").textContent = `${found.length} recordings are listed.`;
  }
  for (const control of [order, where, find]) control.addEventListener("input", () => { shown = PAGE; draw(); });
  more.addEventListener("click", () => { shown += PAGE; draw(); });
  draw();

  // A line above each table and picture that is wider than the window says so.
  function hintAtScrolling() {
    for (const box of document.querySelectorAll(".wide, figure")) {
      const before = box.previousElementSibling, hinted = before && before.classList.contains("scroll-hint");
      const scrolls = box.scrollWidth > box.clientWidth + 2;
      if (scrolls && !hinted) box.before(element("p", { class: "scroll-hint" }, "scroll for more \u2192"));
      else if (!scrolls && hinted) before.remove();
    }
  }
  addEventListener("resize", hintAtScrolling);
  document.addEventListener("toggle", hintAtScrolling, true);
  hintAtScrolling();
})();
