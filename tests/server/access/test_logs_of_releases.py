"""What a server with releases and clips logs when these fail: never a word, nor a value of a client."""

import shutil
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from websockets.exceptions import InvalidStatus

from asr.aliases import CANARY, SHADOW
from asr.errors import ConfigError, ModelError
from asr.ledger import open_ledger
from server.access.client_salt import VARIABLE
from server.config import CollectSettings
from tests.server.access.keys import made
from tests.server.fakes import ScriptedSession
from tests.server.observed import PATIENT, put, release
from tests.server.running import CLOSE, RAW, eventually, pcm, running, until_closed
from tests.server.shadow.rig import LetterEngine, OtherEngine, word

pytestmark = pytest.mark.slow

SENT = {"client_id": "zqclient", "consent": "zqanna", "prompt": "zqprompt", "keyterm": "zqterm"}
QUERY = RAW + "".join(f"&{name}={value}" for name, value in SENT.items())


class Talkative(OtherEngine):
    """A release whose errors repeat what it was asked."""

    def open(self, settings: Any, options: Any) -> ScriptedSession:
        if not options.hotwords:
            return super().open(settings, options)
        asked = [options.prompt, *options.hotwords]
        raise ConfigError(f"found {asked[0]!r} and {asked[1]!r}, wanted others")


class Fails(OtherEngine):
    """One whose steps fail with a text."""

    def step(self, sessions: Any) -> bool:
        raise ModelError(f"found {word(0)!r}\n  {word(1)!r}, wanted another word")


@pytest.mark.parametrize("challenger", [Talkative, Fails])
@pytest.mark.parametrize("alias", [SHADOW, CANARY])
def test_a_release_that_fails_logs_no_word_and_no_value(
    challenger: type[LetterEngine],
    alias: str,
    tmp_path: Path,
    logs: tuple[Path, Path, Path],
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    """As shadow and as canary, without a folder for clips; all bytes of logs, ledger and metrics."""
    monkeypatch.setenv(VARIABLE, "s" * 40)
    keys = made(tmp_path / "keys")
    clips = tmp_path / "clips"
    collect = CollectSettings(enabled=True, folder=str(clips))
    settings = {"collect": collect, "keys_file": str(keys.file), "request_log": "", "audit_log": "", **PATIENT}
    ledger = open_ledger(tmp_path / "ledger.sqlite")
    shown = {"additional_headers": {"Authorization": f"Token {keys.secrets['all']}"}}
    with running(release(1), observe=ledger, **settings) as server:
        put(server, alias, release(2, challenger), share=1.0, weight=1.0)
        shutil.rmtree(clips)
        clips.write_bytes(b"")
        with suppress(InvalidStatus), server.listen(f"{QUERY}&interim_results=true", **shown) as socket:
            socket.send(pcm(4.0, 0.5))
            socket.send(CLOSE)
            until_closed(socket)
        observer = server.service.observer
        assert observer
        eventually(lambda: not observer._shadow._heard)
        metrics = server.service.metrics.render()
    ledger.close()
    printed = capfd.readouterr()
    rest = b"".join(file.read_bytes() for file in (*logs, *tmp_path.glob("ledger*")))
    everything = rest + metrics + printed.out.encode() + printed.err.encode()
    said = [word(place) for place in range(10)] + ["zqother", "Zqother"]
    is_refused = alias == CANARY and challenger is Talkative
    assert (b"refused " if is_refused else b"failed") in rest
    assert (b"clips cannot be kept" in rest) == (alias == SHADOW)
    assert not [text for text in (*said, *SENT.values(), *keys.secrets.values()) if text.encode() in everything]
