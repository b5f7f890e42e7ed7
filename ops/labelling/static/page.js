// One clip after the other: hear it, correct its text, save. Keys: Ctrl Enter, Alt P, Esc, Alt 1 to 4.

const find = (id) => document.getElementById(id);
const token = new URLSearchParams(location.hash.slice(1)).get("token") ?? "";
const choices = ["first", "second", "both", "neither"];
let task = null;
let address = "";

async function ask(path, body) {
  const headers = { authorization: `Bearer ${token}`, "content-type": "application/json" };
  const options = body ? { method: "POST", headers, body: JSON.stringify(body) } : { headers };
  const answer = await fetch(path, options);
  if (!answer.ok) {
    const { error } = await answer.json().catch(() => ({}));
    throw Object.assign(new Error(error ?? `the server answers ${answer.status}`), { status: answer.status });
  }
  return answer;
}

async function showNext() {
  task = null;
  find("task").hidden = true;
  const found = await (await ask("/v1/next")).json();
  find("left").textContent = found.left ? `${found.left} to label` : "";
  if (!found.id) {
    say("Nothing waits for a label.");
    return;
  }
  const sound = await (await ask(`/v1/audio/${encodeURIComponent(found.id)}`)).blob();
  if (address) URL.revokeObjectURL(address);
  address = URL.createObjectURL(sound);
  find("sound").src = address;
  show(found);
  find("sound").play().catch(() => {}); // a browser may want a click first
}

function show(found) {
  task = found;
  const two = found.texts.length > 1;
  find("choices").hidden = !two;
  for (const radio of radios()) radio.checked = false;
  if (two) showDifference(found.texts.map((text) => text.split(/\s+/).filter(Boolean)));
  const text = find("text");
  text.value = two ? "" : found.texts[0];
  text.lang = found.language;
  find("task").hidden = false;
  text.focus();
}

// Words that only one of the two texts has are underlined: a longest common subsequence.
function showDifference([one, other]) {
  const common = Array.from({ length: one.length + 1 }, () => new Uint16Array(other.length + 1));
  for (let i = one.length - 1; i >= 0; i -= 1) {
    for (let j = other.length - 1; j >= 0; j -= 1) {
      common[i][j] = one[i] === other[j] ? common[i + 1][j + 1] + 1 : Math.max(common[i + 1][j], common[i][j + 1]);
    }
  }
  const marked = [one.map(() => true), other.map(() => true)];
  for (let i = 0, j = 0; i < one.length && j < other.length; ) {
    if (one[i] === other[j]) marked[0][i++] = marked[1][j++] = false;
    else if (common[i + 1][j] >= common[i][j + 1]) i += 1;
    else j += 1;
  }
  [one, other].forEach((words, side) => {
    const nodes = words.flatMap((word, i) => [marked[side][i] ? element("mark", word) : word, " "]);
    find(choices[side]).replaceChildren(...(words.length ? nodes : ["(no words)"]));
    find(choices[side]).lang = task.language;
  });
}

function element(name, text) {
  const made = document.createElement(name);
  made.textContent = text;
  return made;
}

const radios = () => document.querySelectorAll("input[name=choice]");

function choose(number) {
  if (!task || task.texts.length < 2) return;
  radios()[number].checked = true;
  find("text").value = task.texts[number === 1 ? 1 : 0];
}

async function save() {
  if (!task) return;
  const choice = [...radios()].find((radio) => radio.checked)?.value ?? null;
  if (task.texts.length > 1 && !choice) {
    say("Choose which text is right first.");
    return;
  }
  const body = { id: task.id, text: find("text").value, choice };
  await work(() => ask("/v1/labels", body));
}

async function work(action) {
  for (const button of document.querySelectorAll("button")) button.disabled = true;
  try {
    say("");
    await action?.();
    await showNext();
  } catch (error) {
    say(error.message);
    if (error.status === 410) await showNext().catch((again) => say(again.message));
  } finally {
    for (const button of document.querySelectorAll("button")) button.disabled = false;
  }
}

function say(text) {
  find("message").textContent = text;
}

function play() {
  const sound = find("sound");
  if (sound.paused) sound.play().catch(() => {});
  else sound.pause();
}

const skip = () => task && work(() => ask("/v1/skip", { id: task.id }));

find("task").addEventListener("submit", (event) => {
  event.preventDefault();
  save();
});
find("play").addEventListener("click", play);
find("skip").addEventListener("click", skip);
radios().forEach((radio, number) => radio.addEventListener("change", () => choose(number)));
document.addEventListener("keydown", (event) => {
  const digit = /^Digit([1-4])$/.exec(event.code);
  if (event.ctrlKey && event.key === "Enter") {
    save();
  } else if (event.altKey && event.code === "KeyP") {
    play();
  } else if (event.altKey && digit) {
    choose(Number(digit[1]) - 1);
    find("text").focus();
  } else if (event.key === "Escape") {
    skip();
  } else {
    return;
  }
  event.preventDefault();
});
work();
