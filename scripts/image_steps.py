"""Runs the steps of deploy/Dockerfile in an empty folder, where there is no builder of images.

python -m scripts.image_steps

Copies what .dockerignore lets through and runs each RUN with the ARG and ENV before it. Then it runs the CMD: makes a
key, waits until the HEALTHCHECK passes, sends a recording with the key, sends the STOPSIGNAL and waits for the end.
Paths of the image begin in the folder. Not done: FROM (this Python takes its place), useradd and USER (all runs as the
caller). It downloads some 300 MB of packages; `PIP_RETRIES=0` helps where an index cannot be reached. Exit code 1 where
a step fails.
"""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.request import Request, urlopen

from eval.runs.local_server import free_port

ROOT = Path(__file__).parents[1]
SAMPLE = ROOT / "asr" / "ready.flac"
OF_THE_IMAGE = re.compile(r"(?<![\w.:/])/(?=(?:opt|var|tmp)\b)")
"""The begin of a path in the image."""
NOT_DONE = ("FROM", "USER", "EXPOSE", "VOLUME")
READY_S, STOP_S = 300.0, 40.0


def steps() -> Iterator[tuple[str, str]]:
    """Instruction and argument of each step, without comments, on one line."""
    lines = (ROOT / "deploy" / "Dockerfile").read_text(encoding="utf-8").splitlines()
    text = "\n".join(line for line in lines if not line.startswith("#")).replace("\\\n", " ")
    for line in filter(None, text.splitlines()):
        name, _, argument = line.partition(" ")
        yield name, " ".join(argument.split())


def allowed() -> list[Path]:
    """What the list beside the Dockerfile lets into the image."""
    lines = (ROOT / "deploy" / "Dockerfile.dockerignore").read_text(encoding="utf-8").splitlines()
    return [ROOT / line[1:] for line in lines if line.startswith("!")]


def copy(argument: str, folder: Path) -> None:
    """COPY of everything that is allowed, or of some files."""
    *sources, target = argument.split()
    into = Path(OF_THE_IMAGE.sub(f"{folder}/", target))
    into.mkdir(parents=True, exist_ok=True)
    for path in allowed() if sources == ["."] else [ROOT / source for source in sources]:
        if path.is_dir():
            shutil.copytree(path, into / path.name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(path, into)


def build(folder: Path) -> tuple[dict[str, str], dict[str, str]]:
    """Runs the steps. Returns the environment, and the last argument of each instruction.

    Raises `subprocess.CalledProcessError` for a step that fails.
    """
    last: dict[str, str] = {}
    path = f"{sys.base_prefix}/bin:/usr/bin:/bin"
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "STEADYWORD"))}
    environment |= {"PATH": path, "HOME": str(folder / "var/lib/steadyword")}
    (folder / "var/lib/steadyword").mkdir(parents=True)
    for name, argument in steps():
        here = last[name] = OF_THE_IMAGE.sub(f"{folder}/", argument)
        print(f"{name} {argument}"[:110], flush=True)
        if name in NOT_DONE or argument.startswith("useradd"):
            print("  not done here")
        elif name in ("ARG", "ENV"):
            pairs = re.findall(r"(\w+)=(\S+)", here)
            environment |= {key: value.replace("$PATH", environment["PATH"]) for key, value in pairs}
        elif name == "COPY":
            copy(argument, folder)
        elif name == "RUN":
            subprocess.run(["sh", "-ec", here], env=environment, cwd=folder, check=True)
    return environment, last


def healthy(command: list[str], environment: dict[str, str]) -> bool:
    return subprocess.run(command, env=environment, capture_output=True).returncode == 0


def run(folder: Path, environment: dict[str, str], last: dict[str, str]) -> bool:
    """The image's command, from its start to its stop; whether all of it went well."""
    port, home = free_port(), folder / "var/lib/steadyword"
    asr = folder / "opt/steadyword/bin/asr"
    adding = [asr, "keys", "add", "laptop"]
    key = subprocess.run(
        adding, env=environment, cwd=home, stdout=subprocess.PIPE, text=True, check=True
    ).stdout.strip()
    check = json.loads(last["HEALTHCHECK"].partition("CMD ")[2])
    check = [part.replace(":8000/", f":{port}/") for part in check]
    program, *options = json.loads(last["CMD"])
    command = [str(asr.with_name(program)), *options, "--port", str(port)]
    with subprocess.Popen(command, env=environment, cwd=home) as server:
        try:
            until_s = time.monotonic() + READY_S
            while not healthy(check, environment):
                if server.poll() is not None or time.monotonic() > until_s:
                    print(f"the server is not ready, exit code {server.poll()}")
                    return False
                time.sleep(1)
            head = {"Authorization": f"Token {key}", "Content-Type": "audio/flac"}
            with urlopen(
                Request(f"http://127.0.0.1:{port}/v1/listen", SAMPLE.read_bytes(), head), timeout=60
            ) as answer:
                found = json.load(answer)["results"]["channels"][0]["alternatives"][0]["transcript"]
            print(f"healthy; a recording with the key: {found!r}")
            server.send_signal(getattr(signal, last["STOPSIGNAL"]))
            code = server.wait(STOP_S)
            print(f"stopped with exit code {code}")
            return bool(found) and code in (0, 128 + signal.SIGTERM)  # as a shell counts the end by a signal
        finally:
            server.kill()


def main() -> int:
    """The command."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        try:
            environment, last = build(folder)
        except subprocess.CalledProcessError as error:
            print(f"failed with exit code {error.returncode}")
            return 1
        return 0 if run(folder, environment, last) else 1


if __name__ == "__main__":
    sys.exit(main())
