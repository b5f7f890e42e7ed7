"""The files of `deploy/`, each with the real program where it is installed."""

import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from websockets.sync.client import connect

from eval.runs.local_server import free_port
from server.access import failed_tries
from server.config import load_settings
from server.http import gate
from tests.server.access.keys import made
from tests.server.certificates import certificate, trusting
from tests.server.fakes import ScriptedEngine, words
from tests.server.running import CLOSE, RAW, Running, eventually, pcm, running, transcript, until_closed

DEPLOY = Path(__file__).parents[2] / "deploy"
PROGRAMS = {"nginx": "nginx", "caddy": "caddy"}
PATHS = f"{os.environ['PATH']}:/usr/sbin"


def program(name: str) -> str:
    """Its path. The test is skipped where it is not installed."""
    found = shutil.which(name, path=PATHS)
    if found is None:
        pytest.skip(f"{name} is not installed (Debian: apt-get install {name})")
    return found


def changed(name: str, changes: dict[str, str]) -> str:
    """The file with addresses of this test; each must stand there."""
    text = (DEPLOY / name).read_text(encoding="utf-8")
    for old, new in changes.items():
        assert old in text, old
        text = text.replace(old, new)
    return text


def nginx(folder: Path, port: int, behind: int, chain: Path, key: Path) -> list[str]:
    site = changed(
        "nginx.conf",
        {
            "listen 443 ssl": f"listen 127.0.0.1:{port} ssl",
            "127.0.0.1:8000": f"127.0.0.1:{behind}",
            "/etc/ssl/asr/chain.pem": str(chain),
            "/etc/ssl/asr/key.pem": str(key),
        },
    )
    places = "".join(
        f"{kind}_temp_path {folder}/{kind};" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    config = folder / "nginx.conf"
    config.write_text(f"daemon off; pid {folder}/pid; events {{}} http {{ {places} {site} }}", encoding="utf-8")
    return [program("nginx"), "-c", str(config), "-p", str(folder), "-e", str(folder / "error.log")]


def caddy(folder: Path, port: int, behind: int, chain: Path, key: Path) -> list[str]:
    site = changed("Caddyfile", {"\nasr.example.org {": f"\nhttps://127.0.0.1:{port} {{\n\ttls {chain} {key}"})
    site = site.replace("127.0.0.1:8000", f"127.0.0.1:{behind}")
    config = folder / "Caddyfile"
    config.write_text("{\n\tadmin off\n\tauto_https disable_redirects\n}\n" + site, encoding="utf-8")
    return [program("caddy"), "run", "--config", str(config), "--adapter", "caddyfile"]


@contextmanager
def proxied(name: str, folder: Path, **settings: Any) -> Iterator[tuple[Running, str, Path]]:
    """A server with these settings behind the proxy, the proxy's https address, and its certificate."""
    chain, key = certificate(folder, "proxy")
    with running(ScriptedEngine(), **settings) as server:
        port = free_port()
        command = (nginx if name == "nginx" else caddy)(folder, port, int(server.url.rsplit(":", 1)[1]), chain, key)
        environment = {**os.environ, "HOME": str(folder), "XDG_DATA_HOME": str(folder), "XDG_CONFIG_HOME": str(folder)}
        with (folder / "log").open("wb") as log:
            process = subprocess.Popen(command, stdout=log, stderr=log, env=environment)
        try:
            url = f"https://127.0.0.1:{port}"
            eventually(lambda: answers(url, chain), 60)
            yield server, url, chain
        finally:
            process.terminate()
            process.wait(20)


def answers(url: str, chain: Path) -> bool:
    try:
        with urllib.request.urlopen(f"{url}/healthz", context=trusting(chain), timeout=5) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


@pytest.mark.slow
@pytest.mark.parametrize("name", PROGRAMS)
def test_streams_and_uploads_go_through_a_proxy(name: str, tmp_path: Path) -> None:
    """TLS at the proxy; a WebSocket with its last words; a recording of 30 MB; the page."""
    with proxied(name, tmp_path) as (_, url, chain):
        with connect(f"wss{url[5:]}/v1/listen?{RAW}", ssl=trusting(chain), compression=None) as stream:
            stream.send(pcm(2.0))
            stream.send(CLOSE)
            messages, code = until_closed(stream)
        assert (transcript(messages), code) == (words(4), 1000)
        with httpx.Client(verify=trusting(chain), timeout=120) as client:
            assert "<html" in client.get(url).text
            query = "encoding=linear16&sample_rate=48000"
            answer = client.post(f"{url}/v1/listen?{query}", content=bytes(30_000_000))
            assert answer.status_code == 200, answer.text
            assert answer.json()["metadata"]["duration"] == pytest.approx(312.5, abs=0.1)


@pytest.mark.slow
@pytest.mark.parametrize("name", PROGRAMS)
def test_the_client_is_the_one_that_the_proxy_saw(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A client cannot choose the address that limits count by: what it claims to be forwarded for is replaced."""
    seen: list[str] = []
    monkeypatch.setattr(gate, "_address", lambda scope: seen.append(str(scope["client"][0])) or "")
    with proxied(name, tmp_path) as (_, url, chain), client_at("127.0.0.2", chain) as client:
        client.get(f"{url}/v1/models?token=x", headers={"X-Forwarded-For": "203.0.113.9"})
    assert seen == ["127.0.0.2"]


@pytest.mark.slow
@pytest.mark.parametrize("name", PROGRAMS)
def test_limits_are_those_of_each_client(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Wrong keys are counted by the address that the proxy saw: they keep out no other client behind it.

    A recording that is too long is refused in the server's words."""
    monkeypatch.setattr(failed_tries, "INTERVAL_S", 3600.0)  # so that a slow machine forgives nothing
    keys = made(tmp_path)
    wrong, right = ({"Authorization": f"Token {key}"} for key in ("sw_wrong", keys.secrets["all"]))
    with (
        proxied(name, tmp_path, keys_file=str(keys.file), max_upload_bytes=100_000) as (_, url, chain),
        client_at("127.0.0.2", chain) as guesser,
        client_at("127.0.0.3", chain) as other,
    ):
        tries = [guesser.get(f"{url}/v1/models", headers=wrong).status_code for _ in range(failed_tries.BURST + 1)]
        assert tries == [401] * failed_tries.BURST + [429]
        assert other.get(f"{url}/v1/models", headers=wrong).status_code == 401
        assert guesser.get(f"{url}/v1/models", headers=right).status_code == 200
        refused = other.post(f"{url}/v1/listen?{RAW}", content=bytes(200_000), headers=right)
        assert refused.status_code == 413
        assert refused.json()["err_code"]


def client_at(address: str, chain: Path) -> httpx.Client:
    """A client with this address, which is not the proxy's."""
    return httpx.Client(transport=httpx.HTTPTransport(verify=trusting(chain), local_address=address))


def test_the_settings_behind_a_proxy_are_settings() -> None:
    """All connections may come from the proxy, and the proxy's name is answered."""
    settings = load_settings(DEPLOY / "server.toml")
    assert settings.max_connections_per_address == settings.max_connections
    assert "asr.example.org" in settings.allowed_hosts
    assert settings.max_upload_bytes < 520 * 2**20  # client_max_body_size of nginx.conf
    assert "client_max_body_size 520m" in (DEPLOY / "nginx.conf").read_text(encoding="utf-8")


def test_the_unit_is_one_that_systemd_takes(tmp_path: Path) -> None:
    """By systemd's own check; the program of the unit is one that is here."""
    check = program("systemd-analyze")
    unit = tmp_path / "steadyword.service"
    unit.write_text(changed("steadyword.service", {"/opt/steadyword/.venv/bin/asr": "/bin/true"}), encoding="utf-8")
    done = subprocess.run([check, "verify", str(unit)], capture_output=True, text=True, timeout=60)
    assert not re.search(r"steadyword\.service", done.stderr), done.stderr


DOCKERFILE = (DEPLOY / "Dockerfile").read_text(encoding="utf-8")
ROOT = DEPLOY.parent


def test_the_image_has_what_the_package_is_built_from() -> None:
    """Its packages, the lock, the Python that the project wants."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    wheel = project["tool"]["hatch"]["build"]["targets"]["wheel"]
    ignored = (DEPLOY / "Dockerfile.dockerignore").read_text(encoding="utf-8").splitlines()
    copied = {line[1:] for line in ignored if line.startswith("!")}
    files = {
        "pyproject.toml",
        "requirements.lock",
        "requirements-cpu.lock",
        "requirements-dev.lock",
        project["project"]["readme"],
        *project["project"]["license-files"],
    }
    assert copied == {*wheel["packages"], *wheel["force-include"], *files}
    assert all((ROOT / name).exists() for name in copied)
    assert {lock for lock in copied if lock.endswith(".lock")} == set(
        re.findall(r"/tmp/(requirements\S*\.lock)", DOCKERFILE)
    )
    [version] = re.findall(r"^FROM python:([\d.]+)-", DOCKERFILE, re.MULTILINE)
    assert version in project["project"]["requires-python"]


def test_the_image_runs_as_no_root_and_asks_for_keys() -> None:
    """Its command listens on all addresses, and so refuses to start without a key."""
    assert re.findall(r"^USER (\w+)", DOCKERFILE, re.MULTILINE)[-1] not in ("root", "0")
    program, *options = json.loads(re.findall(r"^CMD (\[.*\])", DOCKERFILE, re.MULTILINE)[-1])
    command = [str(Path(sys.executable).with_name(program)), *options, "--port", "0"]
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=120, env=os.environ | {"STEADYWORD_KEYS": ""}
    )
    assert done.returncode != 0
    assert "asr keys add" in done.stderr
