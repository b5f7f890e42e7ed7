"""The JavaScript client as a package: in real Node, packed by npm, checked by TypeScript. A scripted engine."""

import json
import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.server.access.keys import Made, made
from tests.server.fakes import ScriptedEngine, words
from tests.server.running import Running, pcm, running

CLIENT = Path(__file__).parents[3] / "server" / "static" / "client"
TOOLS = Path(__file__).parents[3] / ".clients" / "node" / "node_modules"
EXAMPLES = re.findall(r"```js\n(.*?)```", (CLIENT / "README.md").read_text(encoding="utf-8"), re.DOTALL)
NEEDS_NODE = pytest.mark.skipif(shutil.which("node") is None, reason="no node here")
NEEDS_NPM = pytest.mark.skipif(shutil.which("npm") is None, reason="no npm here")
NEEDS_TYPESCRIPT = pytest.mark.skipif(not (TOOLS / "typescript").exists(), reason="`make clients` installs typescript")


@pytest.fixture
def keys(tmp_path: Path) -> Made:
    return made(tmp_path)


def start(folder: Path, code: str, **environment: str) -> "subprocess.Popen[bytes]":
    """Node with a program that imports the package. Node 20 has `WebSocket` behind a flag, later ones have it."""
    (folder / "node_modules").mkdir(exist_ok=True)
    link = folder / "node_modules" / "steadyword"
    if not link.exists():
        link.symlink_to(CLIENT)
    (folder / "program.mjs").write_text(code, encoding="utf-8")
    return subprocess.Popen(
        ["node", "--experimental-websocket", "program.mjs"],
        cwd=folder, env=os.environ | environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip


def run(folder: Path, code: str, stdin: bytes = b"", **environment: str) -> str:
    with start(folder, code, **environment) as process:
        output, errors = process.communicate(stdin, timeout=120)
    assert process.returncode == 0, errors.decode()
    return output.decode()


@NEEDS_NODE
def test_the_readmes_program_prints_what_is_piped_into_it(keys: Made, tmp_path: Path) -> None:
    """From a pipe, with a key; the program ends by itself."""
    with running(ScriptedEngine(), keys_file=str(keys.file)) as server:
        said = run(tmp_path, EXAMPLES[1], pcm(3.0), ASR_URL=server.url, ASR_KEY=keys.secrets["all"])
    assert said.split() == words(6).split()


@NEEDS_NODE
def test_bytes_may_be_cut_anywhere(tmp_path: Path) -> None:
    """Within a sample, too."""
    code = """
        import { LiveTape } from "steadyword";
        const tape = new LiveTape(16000);
        const bytes = new Uint8Array(Int16Array.from([1, -2, 300, -400, 5]).buffer);
        for (const [from, to] of [[0, 1], [1, 1], [1, 6], [6, 9], [9, 10]]) tape.write(bytes.subarray(from, to));
        console.log(JSON.stringify([...tape.read(0, 9)]));
    """
    assert json.loads(run(tmp_path, code)) == [1, -2, 300, -400, 5]


TOKENS = """
    import { LiveTape, grantToken, listen } from "steadyword";
    const tape = new LiveTape(16000);
    let asked = 0;
    const getToken = async () => (++asked === 1 ? "old" : grantToken(process.env.ASR_URL, process.env.ASR_KEY, 60));
    let text = "";
    const onWords = (said) => { if (said.isFinal) text += said.text; };
    const stream = listen(process.env.ASR_URL, tape, { getToken, onWords });
    tape.push(new Int16Array(32000));
    tape.close();
    await stream.done;
    console.log(JSON.stringify({ asked, text }));
"""


@NEEDS_NODE
def test_a_refused_token_is_replaced(keys: Made, tmp_path: Path) -> None:
    """The first one that the application gives is refused; the next one, granted by a key, opens the stream."""
    with running(ScriptedEngine(), keys_file=str(keys.file)) as server:
        told = json.loads(run(tmp_path, TOKENS, ASR_URL=server.url, ASR_KEY=keys.secrets["all"]))
    assert told == {"asked": 2, "text": f" {words(4)}"}


REFUSED = """
    import { LiveTape, REASONS, grantToken, listen } from "steadyword";
    const [url, key] = [process.env.ASR_URL, process.env.ASR_KEY];
    const told = ({ name, code, message, status }) => [name, code ?? status, message];
    const reason = async (promise) => promise.then(() => null, told);
    const done = (server, options) => listen(server, new LiveTape(16000), options).done;
    console.log(JSON.stringify([
        await reason(done(url, { key: "sw_wrong" })),
        await reason(done(url, { key, model: "no such model" })),
        await reason(done("http://127.0.0.1:1", {})),
        await reason(grantToken(url, "sw_wrong")),
        REASONS.noServer,
    ]));
"""


@NEEDS_NODE
def test_a_refusal_says_why(keys: Made, tmp_path: Path) -> None:
    """By the server's own sentence where there is one."""
    with running(ScriptedEngine(), keys_file=str(keys.file)) as server:
        environment = {"ASR_URL": server.url, "ASR_KEY": keys.secrets["all"]}
        key, model, absent, grant, no_server = json.loads(run(tmp_path, REFUSED, **environment))
    assert key[:2] == ["StreamError", ""]
    assert "key" in key[2]
    assert "no such model" in model[2]
    assert absent == ["StreamError", "noServer", no_server]
    assert grant[:2] == ["AccessError", 401]


LIVE = """
    import { LiveTape, listen } from "steadyword";
    const tape = new LiveTape(16000);
    const say = (what) => console.log(JSON.stringify(what));
    const stream = listen(process.env.ASR_URL, tape, {
        onWords: ({ text, isFinal }) => isFinal && say(text),
        onBroken: () => say("broken"),
        onOpen: (again) => again && say("again"),
    });
    for await (const bytes of process.stdin) tape.write(bytes);
    tape.close();
    await stream.done;
"""


@NEEDS_NODE
@pytest.mark.slow
def test_a_restarted_server_costs_no_word(tmp_path: Path) -> None:
    """Audio of before the restart that was not final is sent again; final words come once."""
    with running(ScriptedEngine(), drain_timeout_s=0.1) as server:
        process = start(tmp_path, LIVE, ASR_URL=server.url)
        assert process.stdin
        assert process.stdout
        process.stdin.write(pcm(3.25))
        process.stdin.flush()
        first = json.loads(process.stdout.readline())
    said = [first]
    process.stdin.write(pcm(0.75))
    with running(ScriptedEngine(), port=port_of(server)), process:
        output, errors = process.communicate(timeout=120)
    assert process.returncode == 0, errors.decode()
    said += [json.loads(line) for line in output.decode().splitlines()]
    assert {"broken", "again"} <= set(said)
    texts = "".join(one for one in said if one not in ("broken", "again")).split()
    second = len(texts) - texts[::-1].index("w0") - 1  # the engine counts from 0 in each stream
    assert texts == [*words(second).split(), *words(len(texts) - second).split()]
    assert len(texts) == 8  # two a second, although the first stream ends within one


def port_of(server: Running) -> int:
    return int(server.url.rsplit(":", 1)[1])


def test_every_error_has_its_sentence() -> None:
    """What the code throws is in the table of reasons, which users may translate."""
    sources = "\n".join(path.read_text(encoding="utf-8") for path in CLIENT.glob("*.js"))
    reasons = set(re.findall(r"^  (\w+):", sources.split("REASONS = {", 1)[1].split("\n};", 1)[0], re.MULTILINE))
    thrown = set(re.findall(r'(?:Source|Stream)Error\("(\w+)"', sources))
    tables = re.findall(r"(?:REFUSALS|REFUSED) = \{(.*?)\}", sources, re.DOTALL)
    thrown |= set(re.findall(r'"(\w+)"', "".join(tables)))
    thrown |= set(re.findall(r'\? "(\w+)" : "\w+", \{ why', sources)) | set(re.findall(r': "(\w+)", \{ why', sources))
    assert thrown == reasons


@NEEDS_NPM
def test_the_package_has_the_files_that_the_page_uses(tmp_path: Path) -> None:
    """Each module, the description, and nothing else; types and licence are made when npm packs it."""
    command = ["npm", "pack", "--dry-run", "--json", "--ignore-scripts", "--offline"]
    done = subprocess.run(command, cwd=CLIENT, capture_output=True, text=True, timeout=60, check=True)
    packed = json.loads(done.stdout)
    [entry] = packed.values() if isinstance(packed, dict) else packed
    names = {file["path"] for file in entry["files"] if not file["path"].startswith("types/")} - {"LICENSE"}
    assert names == {path.name for path in CLIENT.glob("*.js")} | {"package.json", "README.md"}


CONSUMER = """
    import { Access, LiveTape, Microphone, Stream, StreamError, grantToken, listen, listenUrl } from "steadyword";

    const tape = new LiveTape(16000);
    const stream: Stream = listen("http://127.0.0.1:8000", tape, {
        language: "en", keyterms: ["steadyword"], query: { endpointing: 500 },
        getToken: async () => grantToken("http://127.0.0.1:8000", "key"),
        onWords({ words, isFinal }) { const ends: number[] = words.map(({ end }) => end); console.log(ends, isFinal); },
        onLost(seconds) { console.log(seconds.toFixed(1)); },
    });
    stream.done.catch((error: unknown) => { if (error instanceof StreamError) console.log(error.code.length); });
    const address: string = listenUrl(new URL("http://127.0.0.1"), 16000);
    new Stream(address, tape, { onMessage: (message) => message.type }, { access: new Access() });
    Microphone.open({ onLevel: (level) => level * 2 }).then(({ tape }) => listen("https://127.0.0.1", tape));
"""
MISTAKES = {
    'listen("http://127.0.0.1", new LiveTape("16000"))': "TS2345",
    'listen("http://127.0.0.1", tape, { onWord: () => {} })': "TS2561",
    "tape.push([1, 2])": "TS2740",
}


@NEEDS_NPM
@NEEDS_TYPESCRIPT
@pytest.mark.slow
def test_the_packed_package_is_typed(tmp_path: Path) -> None:
    """The client passes TypeScript's strict check, and so does a program that uses it; mistakes are found."""
    source = tmp_path / "repository" / "server" / "static" / "client"
    shutil.copytree(CLIENT, source)
    shutil.copy(CLIENT.parents[2] / "LICENSE", tmp_path / "repository")
    path = f"{TOOLS / '.bin'}:{os.environ['PATH']}"
    done = npm(["pack", "--pack-destination", str(tmp_path), "--silent"], source, path)
    archive = tmp_path / done.stdout.split()[-1]
    user = tmp_path / "user"
    (user / "node_modules" / "steadyword").mkdir(parents=True)
    subprocess.run(
        ["tar", "xzf", archive, "--strip-components=1", "-C", user / "node_modules" / "steadyword"], check=True
    )
    assert (user / "node_modules" / "steadyword" / "LICENSE").exists()
    assert "error" not in compile_(user, CONSUMER, path)
    for mistake, code in MISTAKES.items():
        assert code in compile_(user, CONSUMER + mistake, path), mistake


def npm(arguments: list[str], folder: Path, path: str) -> "subprocess.CompletedProcess[str]":
    done = subprocess.run(
        ["npm", *arguments], cwd=folder, env=os.environ | {"PATH": path}, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done


def compile_(folder: Path, code: str, path: str) -> str:
    (folder / "package.json").write_text(json.dumps({"type": "module"}))
    (folder / "user.ts").write_text(code, encoding="utf-8")
    options: dict[str, Any] = {"strict": True, "module": "nodenext", "noEmit": True, "lib": ["es2023", "dom"]}
    (folder / "tsconfig.json").write_text(
        json.dumps({"compilerOptions": options | {"types": []}, "files": ["user.ts"]})
    )
    command = ["tsc", "-p", "."]
    environment = os.environ | {"PATH": path}
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=120)
    return done.stdout + done.stderr
