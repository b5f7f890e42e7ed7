"""Peers' wires and traces: their text is scored like ours."""

import asyncio
import json
from pathlib import Path

import pytest
from websockets.asyncio.server import ServerConnection

from asr.errors import ConfigError
from asr.events import Ended, Final, Partial
from eval.bench.peers.load import peer_stream
from eval.bench.peers.serving import peer_python, peer_version
from eval.bench.peers.wires import WhisperLiveKitWire, WhisperLiveWire, wire_of
from eval.runs.live import Target
from eval.trace import Trace
from server.client.protocol import StreamError
from tests.eval.fakes import recording
from tests.server.scripted_server import Handler, listening


def segments(*texts: str, open_text: str = "") -> str:
    """As `whisper_live/backend/base.py` formats them: times are strings of three places."""
    said = [
        {"start": f"{i}.000", "end": f"{i + 1}.000", "text": text, "completed": True} for i, text in enumerate(texts)
    ]
    tail = [{"start": "9.000", "end": "9.500", "text": open_text, "completed": False}] if open_text else []
    return json.dumps({"uid": "u", "segments": said + tail})


def lines(*texts: str, buffer: str = "") -> str:
    """As `whisperlivekit/timed_objects.py` serialises `FrontData`; a pause is a line of speaker -2 without text."""
    listed = [{"speaker": 1, "text": text, "start": "0:00:00", "end": "0:00:01"} for text in texts]
    silence = {"speaker": -2, "text": "", "start": "0:00:01", "end": "0:00:02"}
    return json.dumps({"status": "active_transcription", "lines": [*listed, silence], "buffer_transcription": buffer})


def test_whisper_live_is_read_as_its_own_client_reads_it() -> None:
    """Completed segments stay when they are no longer among the newest ten; the open one is replaced."""
    wire = WhisperLiveWire("en", "/model")
    assert json.loads(wire.hello)["model"] == "/model"
    assert wire.is_ready('{"uid": "u", "message": "SERVER_READY", "backend": "faster_whisper"}')
    assert wire.receive(segments(" one two", open_text=" thre")) == ("one", "two", "thre")
    assert wire.receive(segments(" one two", " three", open_text=" four")) == ("one", "two", "three", "four")
    later = json.dumps({"segments": [{"start": "7.0", "end": "8.0", "text": " five", "completed": True}]})
    assert wire.receive(later) == ("one", "two", "three", "five")
    assert wire.receive('{"uid": "u", "language": "en"}') is None
    with pytest.raises(StreamError, match="Failed to load"):
        wire.receive('{"uid": "u", "status": "ERROR", "message": "Failed to load model"}')


def test_whisperlivekit_is_read_as_its_own_page_reads_it() -> None:
    """Lines, then the text that may change; the server itself ends the stream."""
    wire = WhisperLiveKitWire("en")
    assert wire.is_ready('{"type": "config", "useAudioWorklet": true, "mode": "full"}')
    assert wire.receive(lines("one two", buffer=" three")) == ("one", "two", "three")
    assert wire.is_over('{"type": "ready_to_stop"}')
    assert not wire.is_over(lines("one"))
    with pytest.raises(StreamError, match="no model"):
        wire.receive('{"status": "error", "error": "no model", "lines": []}')


@pytest.mark.parametrize("message", ["no json", "[]"])
def test_what_is_not_the_peers_json_is_an_error(message: str) -> None:
    """Not scored as silence."""
    with pytest.raises(StreamError, match="wanted"):
        wire_of("whisper-live", "en", "/model").receive(message)


def trace_over(handler: Handler, wire: WhisperLiveWire | WhisperLiveKitWire) -> Trace:
    with listening(handler) as url:
        return asyncio.run(peer_stream(Target(url, "peer", chunk_s=0.05), recording(0.4), wire))


async def live_kit(socket: ServerConnection) -> None:
    """Sends a word that it changes afterwards, and another word at the end."""
    await socket.send('{"type": "config"}')
    said = [lines(buffer="rad"), lines(buffer="red"), lines(buffer="red")]
    async for message in socket:
        if not message:
            await socket.send(lines("red green"))
            await socket.send('{"type": "ready_to_stop"}')
            return
        if said:
            await socket.send(said.pop(0))


def test_a_peers_last_text_becomes_final() -> None:
    """Each change is a partial of the whole text; a message without a change is no event."""
    streamed = trace_over(live_kit, WhisperLiveKitWire("en"))
    assert [type(entry.event) for entry in streamed.entries] == [Partial, Partial, Final, Ended]
    assert (streamed.text, streamed.error, streamed.mode, streamed.model) == ("red green", "", "live", "peer")
    assert streamed.end_wall_s >= 0.4


async def whisper_live(socket: ServerConnection) -> None:
    assert json.loads(await socket.recv())["task"] == "transcribe"
    await socket.send('{"message": "SERVER_READY"}')
    await socket.send(segments(open_text=" red"))
    async for message in socket:
        if message == b"END_OF_AUDIO":
            return


def test_a_peer_that_does_not_end_its_stream_is_left_when_it_is_silent() -> None:
    """The wait is not counted: the last word was final when it arrived."""
    wire = WhisperLiveWire("en", "/model")
    wire.quiet_s = 1.0
    streamed = trace_over(whisper_live, wire)
    assert (streamed.text, streamed.error) == ("red", "")
    assert streamed.entries[-1].wall_s < streamed.end_wall_s


async def break_off(socket: ServerConnection) -> None:
    await socket.send('{"type": "config"}')
    await socket.recv()
    socket.transport.abort()


def test_a_peer_that_breaks_is_a_trace_with_its_error() -> None:
    """It counts as failed."""
    streamed = trace_over(break_off, WhisperLiveKitWire("en"))
    assert "ConnectionClosed" in streamed.error
    assert streamed.entries == ()


def test_a_peer_without_an_environment_is_an_error_with_the_command_that_creates_it(tmp_path: Path) -> None:
    """Not with a traceback of a process that could not start."""
    with pytest.raises(ConfigError, match="make peer-whisper-live"):
        peer_python("whisper-live", tmp_path / "python")
    import sys

    with pytest.raises(ConfigError, match="has no package whisper-live"):
        peer_version("whisper-live", Path(sys.executable))
