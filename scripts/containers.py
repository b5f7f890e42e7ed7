"""Builds the image of deploy/Dockerfile, and runs it and deploy/compose.yaml as the documents say.

    python -m scripts.containers
    python -m scripts.containers --stand-in --wheels FOLDER --services asr,prometheus

Needs Docker with Compose and Buildx. Prints the time to build, the image's size, the time until it is healthy, and what
streams got: one while the server runs, and one that is open when the container is stopped. Everything that it started
or made is removed, but for the image `steadyword` and its base. Exits with 1 where a check fails.

`--stand-in` is for a machine that reaches no registry of images: the base image is made from Debian's mirror by
debootstrap (as root), Prometheus' from Debian's package. Grafana is in no registry of packages, so leave it out with
`--services`. The stand-in has this machine's certificates and, with `--wheels`, a folder with PyTorch's build for CPUs.
"""

import argparse
import asyncio
import contextlib
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import numpy as np

from asr.audio.files import read_blocks
from asr.config import SAMPLE_RATE_HZ
from asr.events import Final
from asr.self_test import SAMPLE
from eval.runs.local_server import free_port
from server.client.protocol import CHUNK_S, Message, StreamError, listen_url, pcm16
from server.client.stream import paced, stream

ROOT = Path(__file__).parents[1]
DOCKERFILE = ROOT / "deploy" / "Dockerfile"
IMAGE, PROJECT = "steadyword", "steadyword-check"
CERTIFICATES = Path("/etc/ssl/certs/ca-certificates.crt")
READY_S = 300.0
STOP_S = 40
"""As in docs/DEPLOYING.md."""
PAUSE_S = 1.5
"""After each sentence: it ends an utterance, whose words are final then."""
PROMETHEUS = """
FROM {base}
RUN apt-get -qq update && apt-get -qq install --no-install-recommends prometheus > /dev/null
RUN mkdir -p /prometheus && chown nobody /prometheus
USER nobody
WORKDIR /prometheus
VOLUME /prometheus
ENTRYPOINT ["prometheus"]
CMD ["--config.file=/etc/prometheus/prometheus.yml", "--storage.tsdb.path=/prometheus"]
"""


class Failed(Exception):
    """A check failed: the sentence says what was found, and what was wanted."""


def check(found: object, wanted: object, what: str) -> None:
    """Raises `Failed` where they differ."""
    if found != wanted:
        raise Failed(f"{what}: found {found!r}, wanted {wanted!r}")
    print(f"{what}: {found}", flush=True)


def docker(*arguments: str, text: str | None = None, folder: Path = ROOT) -> str:
    """What the command prints. Raises `Failed` with its errors."""
    done = subprocess.run(["docker", *arguments], input=text, stdout=subprocess.PIPE, text=True, cwd=folder)
    if done.returncode:
        raise Failed(f"docker {' '.join(arguments)}: found exit code {done.returncode}, wanted 0")
    return done.stdout.strip()


# -- images -----------------------------------------------------------------------------------------------------------


def stand_in(base: str, wheels: Path | None) -> None:
    """Debian with Python under the name of the base image, as far as deploy/Dockerfile uses it."""
    _, _, release = base.rpartition("-")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        packages = "--include=python3-venv,ca-certificates"
        subprocess.run(
            ["debootstrap", "--variant=minbase", packages, release, name], check=True, stdout=subprocess.DEVNULL
        )
        (folder / "usr/local/bin/python").symlink_to("/usr/bin/python3")
        shutil.copy(CERTIFICATES, folder / CERTIFICATES.relative_to("/"))
        settings = f"[global]\ncert = {CERTIFICATES}\n"
        if wheels:
            shutil.copytree(wheels, folder / "opt/wheels")
            settings += "find-links = /opt/wheels\nretries = 0\n"
        (folder / "etc/pip.conf").write_text(settings, encoding="utf-8")
        for used in (folder / "var/cache/apt/archives").glob("*.deb"):
            used.unlink()
        with subprocess.Popen(["tar", "-C", name, "-c", "."], stdout=subprocess.PIPE) as tar:
            subprocess.run(["docker", "import", "-", base], stdin=tar.stdout, check=True, stdout=subprocess.DEVNULL)


def has(image: str) -> bool:
    return subprocess.run(["docker", "image", "inspect", image], capture_output=True).returncode == 0


def megabytes(image: str) -> float:
    return int(docker("image", "inspect", "--format", "{{.Size}}", image)) / 1e6


def build(base: str) -> None:
    """As docs/DEPLOYING.md says; prints what it costs."""
    began_s = time.monotonic()
    docker("build", "-f", str(DOCKERFILE.relative_to(ROOT)), "-t", IMAGE, ".")
    print(f"built in {time.monotonic() - began_s:.0f} s; ", end="")
    print(f"{megabytes(IMAGE) - megabytes(base):.0f} MB, and {megabytes(base):.0f} MB of {base}", flush=True)
    cuda = docker("run", "--rm", IMAGE, "python", "-c", "import torch; print(torch.version.cuda)")
    check(cuda, "None", "CUDA in the image")


# -- streams ----------------------------------------------------------------------------------------------------------


async def spoken(seconds: float) -> AsyncIterator[bytes]:
    """The server's own sample, again and again, with a pause after each."""
    once = np.concatenate([*read_blocks(SAMPLE), np.zeros(round(PAUSE_S * SAMPLE_RATE_HZ), np.float32)])
    samples = np.resize(once, round(seconds * SAMPLE_RATE_HZ))
    size = round(CHUNK_S * SAMPLE_RATE_HZ)
    for start in range(0, len(samples), size):
        yield pcm16(samples[start : start + size])


def sentences(seconds: float) -> int:
    """How many sentences are complete in this many seconds of `spoken`."""
    period_s = sum(len(block) for block in read_blocks(SAMPLE)) / SAMPLE_RATE_HZ + PAUSE_S
    return int(seconds / period_s)


async def heard(port: int, key: str, seconds: float, after: tuple[float, Callable[[], object]] | None = None) -> str:
    """The final text of a stream that is sent at the pace of speech. `after`: seconds, and what is called then."""
    finals: list[str] = []

    def on_message(message: Message) -> None:
        if isinstance(message.event, Final):
            finals.append(message.event.text)

    async def interrupt(delay_s: float, call: Callable[[], object]) -> None:
        await asyncio.sleep(delay_s)
        await asyncio.to_thread(call)

    url = listen_url(f"ws://127.0.0.1:{port}", encoding="linear16", sample_rate=SAMPLE_RATE_HZ)
    interruption = asyncio.create_task(interrupt(*after)) if after else None
    try:
        await stream(url, paced(spoken(seconds), 1.0), on_message, key=key)
    except StreamError as error:
        if not after or "1012" not in str(error):
            raise Failed(f"a stream: {error}") from None
    if interruption:
        await interruption
    return " ".join("".join(finals).split())


def check_streams(port: int, key: str, stop: Callable[[], object]) -> None:
    """One stream to its end; one that is open when the server is stopped has each sentence that was sent by then."""
    one = asyncio.run(heard(port, key, 4.0))
    check(len(one.split()), 7, f"words of a stream ({one!r})")
    text = asyncio.run(heard(port, key, 60.0, (10.0, stop)))
    got, wanted = text.count(one), sentences(10.0)
    if got < wanted:
        raise Failed(f"sentences of a stream that was stopped after 10 s: found {got} in {text!r}, wanted {wanted}")
    print(f"a stream that was stopped after 10 s: {text!r}", flush=True)


# -- running ----------------------------------------------------------------------------------------------------------


@contextlib.contextmanager
def container(port: int, volume: str) -> Iterator[str]:
    """The server as docs/DEPLOYING.md starts it, without a writable root and rights, as in Compose and Kubernetes."""
    tight = ["--read-only", "--tmpfs", "/tmp", "--cap-drop", "ALL", "--security-opt", "no-new-privileges"]
    places = ["-p", f"127.0.0.1:{port}:8000", "-v", f"{volume}:/var/lib/steadyword"]
    name = docker("run", "-d", *tight, *places, IMAGE)
    try:
        yield name
    finally:
        docker("rm", "-f", name)


def until_healthy(name: str) -> None:
    began_s = time.monotonic()
    while (state := docker("inspect", "--format", "{{.State.Health.Status}}", name)) != "healthy":
        if state == "unhealthy" or time.monotonic() - began_s > READY_S:
            raise Failed(f"the container's health: found {state}, wanted healthy\n{docker('logs', name)}")
        time.sleep(0.2)
    print(f"healthy after {time.monotonic() - began_s:.0f} s", flush=True)


def run_image() -> None:
    """docs/DEPLOYING.md: a key, the server, its health, streams, a stop; the volume keeps the key."""
    volume, port = f"{PROJECT}-volume", free_port()
    try:
        key = docker("run", "--rm", "-v", f"{volume}:/var/lib/steadyword", IMAGE, "asr", "keys", "add", "laptop")
        with container(port, volume) as name:
            until_healthy(name)
            check(docker("exec", name, "id", "-u"), "10001", "user")
            check_streams(port, key, lambda: docker("stop", "--time", str(STOP_S), name))
            check(docker("inspect", "--format", "{{.State.ExitCode}}", name), "143", "exit code, by SIGTERM")
        with container(port, volume) as name:
            until_healthy(name)
            asyncio.run(heard(port, key, 1.0))
            print("another container with the volume takes the key")
    finally:
        docker("volume", "rm", "-f", volume)


def run_compose(services: list[str]) -> None:
    """docs/SCALING.md: a key for Prometheus, one for a client, up, and down. In a copy, as a key is written there."""
    docker("compose", "-p", PROJECT, "-f", "deploy/compose.yaml", "build")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for part in ("deploy", "examples"):
            shutil.copytree(ROOT / part, folder / part)

        def compose(*arguments: str) -> str:
            return docker("compose", "-p", PROJECT, "-f", "deploy/compose.yaml", *arguments, folder=folder)

        (folder / "deploy/metrics.key").touch()
        adding = ("run", "--rm", "--no-deps", "asr", "asr", "keys", "add")
        try:
            metrics = compose(*adding, "prometheus", "--scopes", "metrics")
            (folder / "deploy/metrics.key").write_text(metrics + "\n", encoding="utf-8")
            key = compose(*adding, "laptop")
            began_s = time.monotonic()
            compose("up", "-d", "--wait", *services)
            print(f"compose up: {time.monotonic() - began_s:.0f} s", flush=True)
            until_s, query = time.monotonic() + 60, ("promtool", "query", "instant", "http://127.0.0.1:9090", "up")
            while "prometheus" in services:
                if re.search(r'job="asr".*=> 1 ', answer := compose("exec", "-T", "prometheus", *query)):
                    print(f"Prometheus: {answer}")
                    break
                if time.monotonic() > until_s:
                    raise Failed(f"Prometheus' up: found {answer!r}, wanted 1")
                time.sleep(1)
            check_streams(8000, key, lambda: compose("down"))
            check(docker("ps", "-aq", "--filter", f"label=com.docker.compose.project={PROJECT}"), "", "containers left")
        finally:
            compose("down", "-v", "--remove-orphans")


def main() -> int:
    """Builds the images, runs them and Compose; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--stand-in", action="store_true", help="make the images that a registry would give")
    parser.add_argument("--wheels", type=Path, help="a folder of wheels for the stand-in")
    parser.add_argument("--services", default="asr,prometheus,grafana", help="of deploy/compose.yaml")
    options = parser.parse_args()
    [base] = re.findall(r"^FROM (\S+)", DOCKERFILE.read_text(encoding="utf-8"), re.MULTILINE)
    [prometheus] = re.findall(r"prom/prometheus:\S+", (ROOT / "deploy/compose.yaml").read_text(encoding="utf-8"))
    try:
        if options.stand_in and not has(base):
            stand_in(base, options.wheels)
        if options.stand_in and not has(prometheus):
            docker("build", "-t", prometheus, "-", text=PROMETHEUS.format(base=base))
        build(base)
        run_image()
        run_compose(options.services.split(","))
    except Failed as failure:
        print(failure)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
