// The code beside the result: programs that send a recording to this server, with this model and these options.

import { isNeeded } from "./access.js";
import { endpoint } from "./address.js";
import { options } from "./settings.js";
import { page } from "./state.js";
import { sentence, t } from "./translate.js";
import * as view from "./view.js";

const { code, snippets, programs, withkey } = view.elements;

const inShell = (text) => `'${text.replaceAll("'", "'\\''")}'`;
const inQuotes = (text) => JSON.stringify(text); // of Python and JavaScript alike

/** The address for a recording's whole body, as Deepgram has it. */
function address({ model, language, keyterms, prompt }) {
  return endpoint("v1/listen", { model, language, keyterm: keyterms, prompt }).href;
}

function curl(file, { model, language, keyterms, prompt }, hasKey) {
  const fields = [["model", model], ["language", language], ["prompt", prompt], ...keyterms.map((term) => ["keywords[]", term])];
  const path = file.replace(/["\\]/g, "\\$&"); // curl's own quotes, for names with a comma or a semicolon
  return [
    `curl -sS ${inShell(endpoint("v1/audio/transcriptions").href)}`,
    ...(hasKey ? ['-H "Authorization: Bearer $ASR_KEY"'] : []),
    `-F ${inShell(`file=@"${path}"`)}`,
    ...fields.filter(([, value]) => value).map(([name, value]) => `--form-string ${inShell(`${name}=${value}`)}`),
    "-F response_format=text",
  ].join(" \\\n  ");
}

const python = (file, chosen, hasKey) => `import json
${hasKey ? "import os\n" : ""}import urllib.request

address = ${inQuotes(address(chosen))}
headers = {"Content-Type": "application/octet-stream"${hasKey ? ', "Authorization": "Token " + os.environ["ASR_KEY"]' : ""}}
with open(${inQuotes(file)}, "rb") as recording:
    request = urllib.request.Request(address, recording.read(), headers)
with urllib.request.urlopen(request) as answer:
    result = json.load(answer)
print(result["results"]["channels"][0]["alternatives"][0]["transcript"])
`;

const javascript = (file, chosen, hasKey) => `import { readFile } from "node:fs/promises";

const answer = await fetch(${inQuotes(address(chosen))}, {
  method: "POST",${hasKey ? "\n  headers: { Authorization: `Token ${process.env.ASR_KEY}` }," : ""}
  body: await readFile(${inQuotes(file)}),
});
if (!answer.ok) throw new Error(await answer.text());
const { results } = await answer.json();
console.log(results.channels[0].alternatives[0].transcript);
`;

const LANGUAGES = { curl, Python: python, JavaScript: javascript };

function section([name, write]) {
  const [part, title, pre, copy] = ["section", "h3", "pre", "button"].map((tag) => document.createElement(tag));
  title.textContent = name;
  pre.textContent = write(page.file || "recording.wav", options(), isNeeded());
  pre.tabIndex = 0; // it scrolls
  pre.setAttribute("role", "region");
  pre.setAttribute("aria-label", name);
  copy.type = "button";
  copy.textContent = t("copy");
  copy.setAttribute("aria-label", t("copyCode", { language: name }));
  copy.addEventListener("click", async () => {
    try {
      await view.copy(pre.textContent);
      copy.textContent = t("copied");
    } catch (error) {
      copy.textContent = sentence(error);
    }
  });
  part.append(title, copy, pre);
  return part;
}

export function startSnippets() {
  code.addEventListener("click", () => {
    withkey.hidden = !isNeeded();
    programs.replaceChildren(...Object.entries(LANGUAGES).map(section));
    snippets.showModal();
  });
}
