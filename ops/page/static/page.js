// The page: fetches one JSON object every few seconds, and shows it. Nothing is computed here but words and widths.

const EVERY_MS = 5000;
const SCALE_END = 1.5; // the bars' right end, in parts of an alarm's evidence
const LATE_ROUNDS = 6; // a monitor that missed this number of rounds is not running
const ACTIONS = {
  promote: (model, release) => `Make ${model}/${release} live?`,
  rollback: (model, release) => `Make ${model}/${release} live again?`,
  pipeline: (model) => `Run the pipeline of ${model}?`,
};

const at = (id) => document.getElementById(id);
const token = new URLSearchParams(location.hash.slice(1)).get("token") || sessionStorage.getItem("ops-token") || "";
if (token) sessionStorage.setItem("ops-token", token);
if (location.hash) history.replaceState(null, "", location.pathname);

let shown = "";
let asked = null;

function el(tag, className, ...children) {
  const element = document.createElement(tag);
  if (className) element.className = className;
  element.append(...children.filter((child) => child !== null && child !== undefined && child !== ""));
  return element;
}

const p = (className, ...children) => el("p", className, ...children);

function age(seconds) {
  if (seconds < 90) return `${Math.max(0, Math.round(seconds))} s`;
  if (seconds < 5400) return `${Math.round(seconds / 60)} min`;
  if (seconds < 129600) return `${Math.round(seconds / 3600)} h`;
  return `${Math.round(seconds / 86400)} days`;
}

function ago(time_s) {
  const element = el("time");
  element.dataset.at = time_s;
  element.title = new Date(time_s * 1000).toISOString().replace("T", " ").slice(0, 16) + " UTC";
  return element;
}

function showAges(now_s) {
  for (const element of document.querySelectorAll("time[data-at]")) {
    element.textContent = `${age(now_s - Number(element.dataset.at))} ago`;
  }
}

const percent = (value, digits = 0) => `${value.toFixed(digits)} %`;
const count = (number, noun) => `${number} ${noun}${number === 1 ? "" : "s"}`;

// --- cards

function card(title, className, ...children) {
  const element = el("section", `card ${className}`.trim(), el("h3", "", title), ...children);
  element.setAttribute("aria-label", title);
  return element;
}

function button(label, key, action) {
  const element = el("button", "", label);
  element.type = "button";
  element.dataset.key = key;
  element.addEventListener("click", action);
  return element;
}

function live(model, operate) {
  const on = model.live;
  if (!on) return card("Live", "", p("", "No release is live."), promotions(model, operate));
  const by = p("quiet", "put there ", ago(on.since_s), ` by ${on.by}: ${on.why}`);
  return card("Live", "", p("figure", `${model.name}/${on.release}`), by, promotions(model, operate));
}

function promotions(model, operate) {
  if (!operate) return null;
  const buttons = [];
  const before = model.live && model.live.before;
  if (before) {
    const label = `Roll back to ${before}`;
    buttons.push(button(label, `${model.name} rollback`, () => ask("rollback", model.name, before)));
  }
  const newest = model.releases.at(-1);
  if (newest && newest !== (model.live && model.live.release) && newest !== before) {
    buttons.push(button(`Promote ${newest}`, `${model.name} promote`, () => ask("promote", model.name, newest)));
  }
  return buttons.length ? el("div", "buttons", ...buttons) : null;
}

const TRENDS = {
  worse: ["bad", "worse than in the weeks before, beyond chance"],
  better: ["good", "better than in the weeks before, beyond chance"],
  same: ["", "no change beyond chance"],
  unknown: ["quiet", "too few labels to compare with the weeks before"],
};

function quality(model) {
  const title = "Word error rate";
  if (!model.quality) return card(title, "", p("quiet", "No release is live."));
  const { labelled, estimated } = model.quality;
  return card(title, "", ...measured(labelled), ...guessed(estimated));
}

function measured({ days, now, before, trend }) {
  if (now.wer === null) {
    const seen = `${count(now.streams, "labelled stream")} in ${days} days, 20 are needed.`;
    return [p("", "No figure from labels."), p("quiet", seen)];
  }
  const [className, words] = TRENDS[trend];
  const range = `${now.low.toFixed(1)} to ${percent(now.high, 1)}`;
  const figure = p("figure", percent(now.wer, 1), " ", el("small", "", range));
  const past = before.wer === null ? "" : `; before: ${percent(before.wer, 1)}`;
  return [figure, p(className, words), p("quiet", `${count(now.streams, "labelled stream")}, ${days} days${past}`)];
}

function guessed(estimated) {
  if (!estimated) return [p("quiet", "No estimate without labels: asr quality fit.")];
  if (estimated.fault) return [p("bad", estimated.fault)];
  const { wer, low, high, utterances, outside, accepted, proven } = estimated;
  const range = `${low.toFixed(1)} to ${percent(high, 1)}`;
  const worse = low > accepted ? "bad" : "";
  const parts = [p(worse, `Estimated without labels: ${percent(wer, 1)} (${range}); accepted are ${percent(accepted, 1)}`)];
  if (outside > 20) parts.push(p("wait", `${percent(outside)} of the speech is unlike the labelled sets: label some.`));
  if (proven) {
    const end = proven.high === null ? "..." : percent(proven.high, 1);
    parts.push(p("", `Proven by ${count(proven.labels, "drawn label")} of what was said so far: ${proven.low.toFixed(1)} to ${end}`));
  }
  parts.push(p("quiet", `the last ${count(utterances, "utterance")}`));
  return parts;
}

function drift(model) {
  const found = model.drift;
  const title = "What moved in live speech";
  if (found.fault) return card(title, "wide", p("bad", found.fault));
  if (!found.reference) {
    const command = el("code", "", `asr drift reference ${model.name}`);
    return card(title, "wide", p("", "There is no reference. Make one while all is well:"), command);
  }
  const last = found.alarms.find((one) => one.evidence.until_id === found.reference.until_id);
  const sentence = last ? last.sentence : "Nothing moved beyond what chance explains.";
  const parts = [p(last ? "bad" : "", sentence), bars(found.signals)];
  if (last && last.evidence.command) parts.push(el("code", "", last.evidence.command));
  parts.push(p("quiet", `${count(found.units, "stream")} compared with the reference, made `, ago(found.reference.at_s)));
  return card(title, "wide", ...parts);
}

function bars(signals, end = "alarm") {
  const grid = el("div", "bars");
  for (const { signal, share, sentence, alarm } of signals) {
    const fill = el("i", alarm ? "alarm" : "");
    fill.style.width = `${(100 * Math.min(share, SCALE_END)) / SCALE_END}%`;
    const limit = el("b");
    limit.style.left = `${100 / SCALE_END}%`;
    const track = el("div", "track", fill, limit);
    track.setAttribute("role", "img");
    track.setAttribute("aria-label", `${signal}: ${Math.round(100 * share)} % of the evidence for ${end}`);
    track.title = sentence;
    const words = el("span", alarm ? "share bad" : "share", share > SCALE_END ? `> ${100 * SCALE_END} %` : percent(100 * share));
    grid.append(el("span", "name", signal.replaceAll("_", " ")), track, words);
  }
  const label = el("span", "", end);
  label.style.left = `${100 / SCALE_END}%`;
  grid.append(el("div", "scale", label));
  return grid;
}

function alarms(model) {
  const { month, budget, alarms: last } = model.drift;
  const spent = month === undefined ? "" : p("figure", String(month), " ", el("small", "", "in 30 days"));
  const rule = p("quiet", `While nothing moves, ${percent(100 * (budget || 0))} of months have one.`);
  const rows = (last || []).map((one) => el("li", "", el("strong", one.kind === "harm" ? "bad" : "", one.kind), ` ${one.signal} `, el("span", "quiet", ago(one.at_s))));
  return card("Alarms", "", spent, rule, el("ul", "", ...rows));
}

function trial(model) {
  const rows = Object.entries(model.on_trial).map(([alias, on]) => {
    const share = on.weight ?? on.share;
    const how = alias === "canary" ? "of clients" : "of streams, unseen";
    return p("", el("strong", "", `${model.name}/${on.release}`), ` ${alias}`, share === undefined ? "" : `, ${percent(100 * share)} ${how}`);
  });
  if (!rows.length) rows.push(p("", "No release is on trial."));
  const decision = model.decision;
  if (decision && rows.length && Object.keys(model.on_trial).length) {
    rows.push(p(decision.verdict === "waiting" ? "" : "wait", decision.why));
    const evidence = decision.evidence;
    const bar = (name, value, wanted) => ({ signal: name, share: Math.log(Math.max(1, value)) / Math.log(wanted), sentence: "", alarm: false });
    rows.push(bars([bar("not worse", evidence.benefit, 20), bar("worse", evidence.harm, 40)], "proof"));
  }
  return card("Rollout", "half", ...rows);
}

function labels(model) {
  const { waiting, done } = model.labels;
  return card("Labels", "", p("figure", String(waiting), " ", el("small", "", "wait for a person")), p("quiet", `${count(done, "stream")} labelled`));
}

const STATES = { done: "good", rejected: "bad", failed: "bad", waiting: "wait", started: "wait" };

function pipeline(model, operate) {
  const { run, condition, steps, triggers } = model.pipeline;
  const parts = [];
  if (run) {
    const last = steps.at(-1);
    parts.push(p("", el("strong", "", `Run ${run}`), condition ? ` with ${condition}` : "", last ? ": " : "", last ? el("span", STATES[last.state], `${last.step} ${last.state}`) : ""));
    if (last) parts.push(p("quiet", last.why));
  } else parts.push(p("", "It has never run."));
  for (const one of triggers) {
    const word = one.fires ? el("span", "good", "started:") : el("span", "quiet", "not started:");
    parts.push(p("", word, ` ${one.cause}: ${one.why} `, el("span", "quiet", ago(one.at_s))));
  }
  if (!triggers.length) parts.push(p("quiet", "Nothing has triggered it."));
  if (operate && operate.pipelines.includes(model.name)) {
    parts.push(el("div", "buttons", button("Run the pipeline", `${model.name} pipeline`, () => ask("pipeline", model.name))));
  }
  return card("Training again", "half", ...parts);
}

function moves(model) {
  const rows = model.moves.map((move) => {
    const to = move.to_number === null ? "taken away" : `${model.name}/${move.to_number}`;
    return el("li", "", el("strong", "", `${move.alias} `), `${to} `, el("span", "quiet", ago(move.at_s), ` by ${move.by}: ${move.why}`));
  });
  return card("History", "all", el("ul", "", ...rows));
}

// --- the page

function summary(model) {
  const parts = [model.live ? `Release ${model.live.release} is live.` : "No release is live."];
  const trend = model.quality && model.quality.labelled.trend;
  if (trend === "worse") parts.push(el("span", "bad", " It got worse."));
  else if (trend === "better") parts.push(el("span", "good", " It got better."));
  else if (trend === "same") parts.push(" Its errors have not changed beyond chance.");
  else parts.push(" Too few labels to say whether it got worse.");
  const moved = (model.drift.signals || []).filter((one) => one.alarm).length;
  if (moved) parts.push(el("span", "bad", ` Live speech moved: ${count(moved, "alarm")} since the reference.`));
  else if (model.drift.reference) parts.push(" Live speech is as it was.");
  if (Object.keys(model.on_trial).length) parts.push(" Another release is on trial.");
  return p("summary", ...parts);
}

function section(model, operate) {
  const cards = el("div", "cards", live(model, operate), quality(model), labels(model), drift(model), alarms(model),
    trial(model), pipeline(model, operate), moves(model));
  return el("section", "model", el("h2", "", model.name), summary(model), cards);
}

function showMonitor(monitor, now_s) {
  const line = at("monitor");
  if (!monitor) {
    line.replaceChildren("No monitor has looked yet: asr monitor");
    line.className = "wait";
    return;
  }
  const late = monitor.every_s > 0 && now_s - monitor.at_s > LATE_ROUNDS * monitor.every_s + monitor.took_s;
  const state = late ? "The monitor does not run; it looked " : "The monitor looked ";
  line.replaceChildren(state, ago(monitor.at_s), `, in ${monitor.took_s.toFixed(1)} s`, monitor.failures.length ? `: ${monitor.failures[0]}` : "");
  line.className = late || monitor.failures.length ? "bad" : "";
}

function show(state) {
  const { at_s, monitor, models, operate } = state;
  showMonitor(monitor, at_s);
  const text = JSON.stringify([models, operate]);
  if (text !== shown) {
    shown = text;
    const key = document.activeElement && document.activeElement.dataset.key;
    const sections = models.map((model) => section(model, operate && token ? operate : null));
    const none = p("summary", "The ledger has no model yet: asr models add NAME FOLDER");
    at("models").replaceChildren(...(sections.length ? sections : [none]));
    if (key) document.querySelector(`[data-key="${CSS.escape(key)}"]`)?.focus();
  }
  showAges(at_s);
}

function fault(sentence) {
  at("fault").textContent = sentence;
  at("fault").hidden = !sentence;
}

async function refresh() {
  try {
    const answer = await fetch("v1/overview");
    const state = await answer.json();
    if (!answer.ok) throw new Error(state.error);
    show(state);
    fault("");
  } catch (error) {
    fault(error instanceof TypeError ? "The page's server does not answer; it is tried again." : error.message);
  }
  document.body.dataset.ready = "yes";
}

// --- actions

function ask(action, name, release) {
  asked = { action, name, release };
  at("ask-title").textContent = ACTIONS[action](name, release);
  at("ask-fault").hidden = true;
  at("why").value = "";
  at("ask").showModal();
  at("why").focus();
}

async function act(event) {
  event.preventDefault();
  const { action, name, release } = asked;
  const body = { action, name, why: at("why").value };
  if (action === "promote") body.release = release;
  const headers = { authorization: `Bearer ${token}`, "content-type": "application/json" };
  at("ask-do").disabled = true;
  try {
    const answer = await fetch("v1/actions", { method: "POST", headers, body: JSON.stringify(body) });
    const said = await answer.json();
    if (!answer.ok) throw new Error(said.error);
    at("ask").close();
    await refresh();
  } catch (error) {
    at("ask-fault").textContent = error.message;
    at("ask-fault").hidden = false;
  }
  at("ask-do").disabled = false;
}

at("ask").querySelector("form").addEventListener("submit", act);
at("ask-cancel").addEventListener("click", () => at("ask").close());

async function loop() {
  if (!document.hidden) await refresh();
  setTimeout(loop, EVERY_MS);
}
document.addEventListener("visibilitychange", () => !document.hidden && refresh());
loop();
