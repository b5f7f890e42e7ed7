"""Clips of a running server, over every wire: only with the switch, the consent and no opt-out."""

import base64
import io
import json
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile
from websockets.sync.client import connect

from asr.aliases import SHADOW
from asr.ledger import Ledger, open_ledger
from server.access.client_salt import VARIABLE
from server.address import bind
from server.clips.store import ClipStore
from server.config import CollectSettings, load_settings
from tests.server.observed import PATIENT, put, release
from tests.server.running import CLOSE, RAW, Running, eventually, running, until_closed
from tests.server.shadow.rig import OtherEngine, word
from tests.server.wires.wyoming_client import FORM, Client

NOISE = np.random.default_rng(7).integers(-3000, 3000, 6 * 16_000).astype("<i2")
AGREES = "consent=zqanna-7"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Everything that the server may write is below it."""
    monkeypatch.setenv(VARIABLE, "s" * 40)
    for name in ("HOME", "XDG_DATA_HOME", "XDG_CONFIG_HOME", "XDG_CACHE_HOME", "TMPDIR"):
        monkeypatch.setenv(name, str(tmp_path))
    return tmp_path


@pytest.fixture
def serve(folder: Path) -> Iterator[Callable[[bool], Running]]:
    """Starts a server whose model is a release of a ledger; the argument is the switch."""
    from contextlib import ExitStack

    with ExitStack() as held:

        def start(enabled: bool) -> Running:
            ledger: Ledger = held.enter_context(open_ledger(folder / "ledger.sqlite"))
            wyoming = held.enter_context(bind(load_settings(), 0))
            collect = CollectSettings(enabled=enabled, folder=str(folder / "clips"))
            settings = {"collect": collect, "request_log": str(folder / "requests.log"), **PATIENT}
            made = running(release(1), observe=ledger, wyoming=wyoming, **settings)
            return held.enter_context(made)

        yield start


def listen(server: Running, query: str, path: str = "/v1/listen") -> None:
    with connect(f"{server.url.replace('http', 'ws')}{path}?{RAW}&{query}", compression=None, max_size=None) as socket:
        socket.send(NOISE.tobytes())
        socket.send(CLOSE)
        until_closed(socket)


def realtime(server: Running, query: str) -> None:
    # the server answers a close when the stream is done: the test needs nothing of it
    with connect(
        f"{server.url.replace('http', 'ws')}/v1/realtime?intent=transcription&{query}", close_timeout=0.5
    ) as socket:
        rate_24k = np.repeat(NOISE, 2)[: 6 * 24_000].tobytes()
        socket.send(json.dumps({"type": "input_audio_buffer.append", "audio": base64.b64encode(rate_24k).decode()}))
        socket.send(json.dumps({"type": "input_audio_buffer.commit"}))
        for _ in range(200):
            if json.loads(socket.recv(timeout=30))["type"].endswith("input_audio_transcription.completed"):
                return


def jambonz(server: Running, query: str) -> None:
    with connect(f"{server.url.replace('http', 'ws')}/v1/jambonz?{query}") as socket:
        socket.send(json.dumps({"type": "start", "language": "en", "format": "raw", "encoding": "LINEAR16",
                                "sampleRateHz": 16_000, "interimResults": True, "options": {}}))  # fmt: skip
        socket.send(NOISE.tobytes())
        socket.send(json.dumps({"type": "stop"}))
        assert until_closed(socket)[1] == 1000


def wyoming(server: Running) -> None:
    client = Client(server.wyoming_port)
    client.send("audio-start", FORM)
    client.send("audio-chunk", FORM, NOISE.tobytes())
    client.send("audio-stop")
    client.until("transcript")
    client.close()


def upload(server: Running, path: str) -> None:
    import urllib.request

    file = io.BytesIO()
    soundfile.write(file, NOISE, 16_000, format="WAV")
    headers = {"Content-Type": "audio/wav"}
    request = urllib.request.Request(f"{server.url}{path}?{AGREES}", file.getvalue(), headers)
    urllib.request.urlopen(request, timeout=30).read()


def written(folder: Path) -> bytes:
    """All bytes below the folder, and what they are when they are taken for FLAC, base64 or zlib."""
    parts = []
    for file in folder.rglob("*"):
        if file.is_file():
            parts.append(data := file.read_bytes())
            for decode in (zlib.decompress, base64.b64decode, lambda data: zlib.decompress(data, 31), _audio):
                try:
                    parts.append(decode(data))
                except Exception:  # noqa: BLE001 - it is something else
                    continue
    return b"\n".join(parts)


def _audio(data: bytes) -> bytes:
    return bytes(soundfile.read(io.BytesIO(data), dtype="int16")[0].tobytes())


def sounds() -> list[bytes]:
    """A part of the audio as it may be written: numbers of several kinds, then hexadecimal and base64."""
    part = NOISE[40_000:40_012]
    as_float = part.astype(np.float32) / 32768
    plain = [part.astype("<i2"), part.astype(">i2"), as_float.astype("<f4"), as_float.astype("<f2"), as_float * 32767]
    found = [np.asarray(each).tobytes() for each in plain]
    texts = [each.hex().encode() for each in found]
    texts += [base64.b64encode(each[cut:-3])[:20] for each in found for cut in range(3)]
    return found + texts + [",".join(map(str, part)).encode(), ", ".join(map(str, part)).encode()]


def words() -> list[bytes]:
    """Each word in the encodings of text, and the consent's name."""
    said = [word(place) for place in range(14)] + ["zqother", "zqanna"]
    forms = [form for each in said for form in (each, each.capitalize())]
    found = [form.encode(encoding) for form in forms for encoding in ("utf-8", "utf-16-le", "utf-16-be")]
    return found + [form.encode().hex().encode() for form in forms]


def test_without_switch_consent_or_with_an_opt_out_not_a_word_and_not_a_sample_is_written(
    serve: Callable[[bool], Running], folder: Path
) -> None:
    """Every wire and every upload, a shadow included; all bytes of all folders that the server writes."""
    server = serve(True)
    put(server, SHADOW, release(2, OtherEngine), share=1.0)
    for query in ("x-unused=", "consent=", f"{AGREES}&mip_opt_out=true", f"{AGREES}&consent=another"):
        query = query.replace("x-unused=", "client_id=z")
        listen(server, query)
        listen(server, query, "/v2/listen")
        realtime(server, query)
        jambonz(server, query)
    wyoming(server)
    upload(server, "/v1/listen")
    eventually(lambda: server.service.observer is not None and not server.service.observer._shadow._heard)
    server.stop()
    found = written(folder)
    assert b"SQLite" in found
    assert not [one for one in words() + sounds() if one in found]
    assert list(ClipStore(folder / "clips").clips()) == []


def test_with_the_switch_off_a_consent_keeps_nothing(serve: Callable[[bool], Running], folder: Path) -> None:
    server = serve(False)
    listen(server, AGREES)
    realtime(server, AGREES)
    server.stop()
    found = written(folder)
    assert not [one for one in words() + sounds() if one in found]
    assert not (folder / "clips").exists()


def test_the_search_finds_what_is_kept_by_consent_over_every_wire_that_can_give_one(
    serve: Callable[[bool], Running], folder: Path
) -> None:
    """So the tests above can fail. The clip has the very samples and words, and the shadow's text."""
    server = serve(True)
    put(server, SHADOW, release(2, OtherEngine), share=1.0)
    store = ClipStore(folder / "clips")
    for count, send in enumerate((listen, realtime, jambonz), 1):
        send(server, AGREES)
        eventually(lambda: len({clip.stream_id for clip in store.clips()}) == count)  # noqa: B023
    first = next(store.clips()).stream_id  # the realtime client leaves before its end, so it has no second text
    eventually(lambda: all(store.second(clip) for clip in store.clips() if clip.stream_id == first))
    server.stop()
    clip = next(store.clips())
    assert clip.text.split()[0] == word(0)
    assert (clip.name, clip.release, clip.channel, clip.utterance) == ("scripted-1", 1, 0, 0)
    second = store.second(clip)
    assert second
    assert second[0] == 2
    assert "Zqother" in second[1]
    samples = soundfile.read(store.audio_file(clip), dtype="int16")[0]
    np.testing.assert_allclose(samples, NOISE[: len(samples)], atol=1)
    found = written(folder)
    assert [one for one in words() if one in found]
    assert b"zqanna" not in found
    store.forget("zqanna-7")
    found = written(folder)
    assert not [one for one in words() + sounds() if one in found]
