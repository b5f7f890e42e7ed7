"""The official SDKs of Deepgram and OpenAI, pointed at this server, on the real default model."""

import base64
import re
import threading
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import openai
import pytest
import soundfile
from deepgram import DeepgramClient
from deepgram.core.events import EventType
from deepgram.environment import DeepgramClientEnvironment
from deepgram.listen.v1.types import ListenV1Metadata, ListenV1Results
from deepgram.listen.v2.types import ListenV2TurnInfo
from deepgram.types import ListenV1Response
from websockets.sync.client import connect

from server.client.protocol import pcm16
from server.http.gate import SCOPE_OF
from tests.server.running import FOX, Running, pcm, plain, transcript, until_closed
from tests.server.wires.wyoming_client import Client

OPENAIS_CONNECT = pytest.mark.filterwarnings(r"ignore:connect\(\) must be used as a context manager:DeprecationWarning")
"""openai-python 3.54 uses what websockets 17.1 deprecated."""


def pcm_of(path: Path) -> bytes:
    return pcm16(soundfile.read(path, dtype="float32")[0])


def test_the_server_is_ready(real: Running) -> None:
    """The built-in sample was really recognised."""
    assert httpx.get(real.url + "/readyz").status_code == 200


@pytest.fixture
def deepgram(real: Running) -> Iterator[DeepgramClient]:
    """Deepgram's SDK as it is, with only its addresses changed."""
    ws = real.url.replace("http", "ws")
    environment = DeepgramClientEnvironment(base=real.url, production=ws, agent=ws, agent_rest=real.url)
    with httpx.Client(timeout=60) as http:
        yield DeepgramClient(api_key="any", environment=environment, httpx_client=http)


def test_deepgrams_sdk_transcribes(deepgram: DeepgramClient, clip: Path) -> None:
    """Its event loop, its own types: the text, word by word, and the summary."""
    messages: list[Any] = []
    data = pcm_of(clip) + pcm(1.0)
    options = {"encoding": "linear16", "sample_rate": 16000, "interim_results": True, "punctuate": True}
    with deepgram.listen.v1.connect(model="nova-3", language="en-US", **options) as stream:  # type: ignore[arg-type]
        stream.on(EventType.MESSAGE, messages.append)
        listening = threading.Thread(target=stream.start_listening)
        listening.start()
        for start in range(0, len(data), 3200):
            stream.send_media(data[start : start + 3200])
        stream.send_keep_alive()
        stream.send_finalize()
        stream.send_close_stream()
        listening.join(60)
    finals = [m for m in messages if isinstance(m, ListenV1Results) and m.is_final]
    assert plain(" ".join(m.channel.alternatives[0].transcript for m in finals)) == FOX
    words = [word for m in finals for word in m.channel.alternatives[0].words]
    assert plain(" ".join(word.word for word in words)) == FOX
    assert all(a.start <= a.end <= b.end for a, b in pairwise(words))
    assert any(m.from_finalize for m in finals)
    assert isinstance(messages[-1], ListenV1Metadata)
    assert messages[-1].duration == pytest.approx(len(data) / 32_000, abs=0.01)


@pytest.mark.parametrize(("form", "subtype"), [("OGG", "OPUS"), ("WAV", "PCM_16"), ("WAV", "FLOAT")])
def test_a_container_is_found_without_an_encoding(
    real: Running, clip: Path, tmp_path: Path, form: str, subtype: str
) -> None:
    """As people stream files to Deepgram, in pieces that fit no page and no sample."""
    samples, rate = soundfile.read(clip, dtype="float32")
    soundfile.write(tmp_path / "clip", samples, rate, format=form, subtype=subtype)
    data = (tmp_path / "clip").read_bytes()
    with real.listen("") as socket:
        for start in range(0, len(data), 777):
            socket.send(data[start : start + 777])
        socket.send('{"type": "CloseStream"}')
        messages, code = until_closed(socket)
    assert (plain(transcript(messages)), code) == (FOX, 1000)


def test_committed_text_is_never_taken_back_over_the_wire(real: Running, clip: Path) -> None:
    """Finals do not overlap in time, and the silence between clips gives no words."""
    with real.listen("encoding=linear16&sample_rate=16000&interim_results=true") as socket:
        socket.send(pcm_of(clip) + pcm(2.0) + pcm_of(clip))
        socket.send('{"type": "CloseStream"}')
        messages, _ = until_closed(socket)
    assert plain(transcript(messages)) == f"{FOX} {FOX}"
    finals = [m for m in messages if m["type"] == "Results" and m["is_final"]]
    assert all(a["start"] + a["duration"] <= b["start"] + 0.001 for a, b in pairwise(finals))
    assert [m["sequence"] for m in messages] == list(range(1, len(messages) + 1))


def test_finals_may_be_joined_with_a_space_or_without(real: Running, clip: Path) -> None:
    """Also where `Finalize` comes in the middle of words; each entry of `words` is one written word."""
    data = pcm_of(clip)
    with real.listen("encoding=linear16&sample_rate=16000") as socket:
        for start in range(0, len(data), 19_000):
            socket.send(data[start : start + 19_000])
            socket.send('{"type": "Finalize"}')
        socket.send('{"type": "CloseStream"}')
        messages, _ = until_closed(socket)
    finals = [m["channel"]["alternatives"][0] for m in messages if m["type"] == "Results" and m["is_final"]]
    apart = " ".join(final["transcript"] for final in finals).split()
    assert len([final for final in finals if final["words"]]) > 2
    assert "".join(final["text"] for final in finals).split() == apart
    assert [word["punctuated_word"] for final in finals for word in final["words"]] == apart


def test_a_socket_that_vanishes_leaves_the_model_to_others(real: Running, clip: Path) -> None:
    """Mid-word, without a close frame; the next stream gets its text."""
    with real.listen() as gone:
        gone.send(pcm_of(clip)[:50_000])
        gone.socket.shutdown(2)
    with real.listen() as socket:
        socket.send(pcm_of(clip))
        socket.send('{"type": "CloseStream"}')
        assert plain(transcript(until_closed(socket)[0])) == FOX


def test_deepgrams_sdk_lists_the_models(deepgram: DeepgramClient) -> None:
    """By the same address as OpenAI's, each in its own form."""
    [model] = deepgram.manage.v1.models.list().stt or []
    assert (model.name, model.languages, model.streaming) == ("whisper-tiny.en", ["en"], True)


def test_deepgrams_sdk_follows_the_turns(deepgram: DeepgramClient, clip: Path) -> None:
    """Flux, with its own types: the turn begins with its first words and ends with its text."""
    turns: list[ListenV2TurnInfo] = []
    data = pcm_of(clip) + pcm(1.5)
    with deepgram.listen.v2.connect(
        model="flux-general-en", encoding="linear16", sample_rate=16000, eager_eot_threshold=0.4
    ) as stream:
        stream.on(EventType.MESSAGE, lambda message: turns.append(message) if message.type == "TurnInfo" else None)
        listening = threading.Thread(target=stream.start_listening)
        listening.start()
        for start in range(0, len(data), 3200):
            stream.send_media(data[start : start + 3200])
        stream.send_close_stream()
        listening.join(60)
    events = [turn.event for turn in turns]
    assert (events[0], events[-1]) == ("StartOfTurn", "EndOfTurn")
    assert plain(turns[-1].transcript) == FOX
    assert plain(" ".join(word.word for word in turns[-1].words)) == FOX


def test_deepgrams_sdk_transcribes_a_recording(deepgram: DeepgramClient, clip: Path) -> None:
    """Its own response types: the text, word by word, in paragraphs and utterances."""
    answer = deepgram.listen.v1.media.transcribe_file(
        request=clip.read_bytes(), model="nova-3", smart_format=True, utterances=True, detect_language=True
    )
    assert isinstance(answer, ListenV1Response)
    [channel] = answer.results.channels
    assert channel.alternatives
    [alternative] = channel.alternatives
    assert plain(alternative.transcript or "") == FOX
    assert plain(" ".join(word.word or "" for word in alternative.words or ())) == FOX
    assert alternative.paragraphs
    assert plain(alternative.paragraphs.transcript or "") == FOX
    assert [plain(utterance.transcript or "") for utterance in answer.results.utterances or ()] == [FOX]
    assert channel.detected_language == "en"
    assert answer.metadata.duration == pytest.approx(2.889, abs=0.01)


def test_channels_are_kept_apart(real: Running, deepgram: DeepgramClient, clip: Path, tmp_path: Path) -> None:
    """The fox on the left, later on the right: live and as a file each channel has one, mixed down there are two."""
    fox, rate = soundfile.read(clip, dtype="float32")
    silence = np.zeros(len(fox) + rate, np.float32)
    frames = np.stack([np.append(fox, silence), np.append(silence, fox)], axis=1)
    soundfile.write(tmp_path / "two.wav", frames, rate)
    data = (tmp_path / "two.wav").read_bytes()
    for multichannel, expected in ((True, [FOX, FOX]), (False, [f"{FOX} {FOX}"])):
        answer = deepgram.listen.v1.media.transcribe_file(request=data, multichannel=multichannel)
        assert isinstance(answer, ListenV1Response)
        channels = [(channel.alternatives or [])[0].transcript for channel in answer.results.channels]
        assert [plain(text or "") for text in channels] == expected
    with real.listen("channels=2&multichannel=true") as socket:
        socket.send(data)
        socket.send('{"type": "CloseStream"}')
        messages, _ = until_closed(socket)
    for index in range(2):
        assert plain(transcript([m for m in messages if m.get("channel_index") == [index, 2]])) == FOX


@pytest.fixture(scope="module")
def client(real: Running) -> openai.OpenAI:
    return openai.OpenAI(api_key="any", base_url=real.url + "/v1", max_retries=0)


def test_openais_sdk_transcribes_in_json_and_text(client: openai.OpenAI, clip: Path) -> None:
    """`whisper-1` is the default model here."""
    with clip.open("rb") as file:
        assert plain(client.audio.transcriptions.create(model="whisper-1", file=file).text) == FOX
    with clip.open("rb") as file:
        text = client.audio.transcriptions.create(model="whisper-1", file=file, response_format="text", language="en")
    assert plain(str(text)) == FOX


def test_openais_sdk_transcribes_in_subtitles(client: openai.OpenAI, clip: Path) -> None:
    """SubRip and WebVTT, each with its own way to write a time."""
    with clip.open("rb") as file:
        srt = client.audio.transcriptions.create(model="whisper-tiny.en", file=file, response_format="srt")
    with clip.open("rb") as file:
        vtt = client.audio.transcriptions.create(model="whisper-tiny.en", file=file, response_format="vtt")
    assert re.match(r"1\n00:00:0\d,\d{3} --> 00:00:0\d,\d{3}\n", str(srt))
    assert str(vtt).startswith("WEBVTT\n\n")
    assert FOX in plain(str(srt))
    assert FOX in plain(str(vtt))


def test_openais_sdk_transcribes_with_times(client: openai.OpenAI, clip: Path) -> None:
    """`verbose_json` with both granularities, in the SDK's own types; a prompt and a temperature do no harm."""
    with clip.open("rb") as file:
        answer = client.audio.transcriptions.create(
            model="whisper-1",
            file=file,
            response_format="verbose_json",
            timestamp_granularities=["word", "segment"],
            prompt="A fox and a dog.",
            temperature=0.0,
        )
    assert plain(answer.text) == FOX
    assert answer.duration == pytest.approx(2.889, abs=0.01)
    assert answer.language == "en"
    assert answer.words
    assert answer.segments
    assert plain(" ".join(word.word for word in answer.words)) == FOX
    assert plain(" ".join(segment.text for segment in answer.segments)) == FOX
    assert all(word.start <= word.end for word in answer.words)


def test_openais_sdk_reads_a_stream_of_events(client: openai.OpenAI, clip: Path) -> None:
    """Its own event types; the model that its documentation names, with logprobs."""
    with clip.open("rb") as file:
        stream = client.audio.transcriptions.create(
            model="gpt-4o-transcribe",
            file=file,
            stream=True,
            include=["logprobs"],
            chunking_strategy={"type": "server_vad"},
        )
        *deltas, done = list(stream)
    assert done.type == "transcript.text.done"
    assert plain(done.text) == FOX
    assert "".join(delta.delta for delta in deltas if delta.type == "transcript.text.delta") == done.text
    assert done.logprobs
    assert "".join(str(token.token) for token in done.logprobs) == done.text
    assert all(token.logprob is not None and token.logprob <= 0 for token in done.logprobs)


def test_openais_sdk_raises_an_error_in_a_stream(client: openai.OpenAI) -> None:
    """By status before the first word."""
    with pytest.raises(openai.BadRequestError):
        client.audio.transcriptions.create(model="gpt-4o-transcribe", file=("a.wav", b"no audio"), stream=True)


@OPENAIS_CONNECT
def test_openais_sdk_transcribes_over_realtime(client: openai.OpenAI, clip: Path) -> None:
    """Its own connection and event types; several commits under way are answered in their order."""
    events: list[Any] = []
    with client.realtime.connect(model="gpt-realtime", extra_query={"intent": "transcription"}) as connection:
        transcription = {"model": "gpt-4o-mini-transcribe", "language": "en"}
        audio_input = {"format": {"type": "audio/pcm", "rate": 16_000}, "transcription": transcription}
        manual: Any = {"type": "transcription", "audio": {"input": audio_input | {"turn_detection": None}}}
        connection.session.update(session=manual)
        for _ in range(2):
            connection.input_audio_buffer.append(audio=base64.b64encode(pcm_of(clip)).decode())
            connection.input_audio_buffer.commit()
        for event in connection:
            events.append(event)
            if sum(e.type.endswith("transcription.completed") for e in events) == 2:
                break
    assert [event.type for event in events[:2]] == ["session.created", "session.updated"]
    completed = [event for event in events if event.type == "conversation.item.input_audio_transcription.completed"]
    assert [plain(event.transcript) for event in completed] == [FOX, FOX]
    assert [event.type for event in events if event.type == "error"] == []
    for done in completed:
        deltas = [e.delta for e in events if e.type.endswith("transcription.delta") and e.item_id == done.item_id]
        assert "".join(deltas) == done.transcript


ADDRESS_OF = {
    "deepgram live": "/v1/listen",
    "deepgram live channel": "/v1/listen",
    "deepgram turns": "/v2/listen",
    "deepgram file": "/v1/listen",
    "deepgram file's channel": "/v1/listen",
    "jambonz": "/v1/jambonz",
    "openai events": "/v1/audio/transcriptions",
    "openai file": "/v1/audio/transcriptions",
    "openai commits": "/v1/realtime",
    "openai turns": "/v1/realtime",
    "wyoming": "",
}
"""The ways in that are compared below; Wyoming has a port of its own."""


def test_every_way_in_is_compared() -> None:
    """A new address for audio belongs there. Translations are other words."""
    audio = {path for path, scopes in SCOPE_OF.items() if not {"listen", "transcribe"}.isdisjoint(scopes)}
    assert audio == {*ADDRESS_OF.values()} - {""} | {"/v1/audio/translations"}


def over_sockets(real: Running, clip: Path) -> dict[str, str]:
    """The texts of the wires that need no SDK: Deepgram's live ones and jambonz'."""
    close = '{"type": "CloseStream"}'
    texts = {}
    for name, query in (("live", ""), ("live channel", "channels=1&multichannel=true")):
        with real.listen(query) as socket:
            socket.send(clip.read_bytes())
            socket.send(close)
            texts[f"deepgram {name}"] = transcript(until_closed(socket)[0])
    with connect(real.ws_url.replace("v1", "v2") + "?model=flux-general-en", compression=None) as socket:
        socket.send(clip.read_bytes())
        socket.send(close)
        texts["deepgram turns"] = until_closed(socket)[0][-1]["transcript"]
    with connect(real.ws_url.replace("listen", "jambonz"), compression=None) as socket:
        socket.send('{"type": "start", "encoding": "LINEAR16", "sampleRateHz": 16000, "interimResults": true}')
        socket.send(pcm_of(clip))
        socket.send('{"type": "stop"}')
        texts["jambonz"] = until_closed(socket)[0][-1]["alternatives"][0]["transcript"]
    return texts


def over_wyoming(real: Running, clip: Path) -> str:
    form = {"rate": 16_000, "width": 2, "channels": 1}
    client = Client(real.wyoming_port)
    try:
        client.send("audio-start", form)
        client.send("audio-chunk", form, pcm_of(clip))
        client.send("audio-stop")
        return next(str(data["text"]) for kind, data in client.until("transcript-stop") if kind == "transcript")
    finally:
        client.close()


def over_realtime(client: openai.OpenAI, clip: Path, *, turn_detection: dict[str, str] | None) -> str:
    """With the pause that ends a turn, or committed."""
    with client.realtime.connect(model="gpt-realtime-whisper", extra_query={"intent": "transcription"}) as connection:
        given = {"format": {"type": "audio/pcm", "rate": 16_000}, "turn_detection": turn_detection}
        settings: Any = {"type": "transcription", "audio": {"input": given}}
        connection.session.update(session=settings)
        connection.input_audio_buffer.append(audio=base64.b64encode(pcm_of(clip) + pcm(1.0)).decode())
        if turn_detection is None:
            connection.input_audio_buffer.commit()
        done: Any = next(event for event in connection if event.type.endswith("transcription.completed"))
        return str(done.transcript)


@OPENAIS_CONNECT
def test_one_recording_gives_the_same_words_over_every_wire(
    real: Running, deepgram: DeepgramClient, client: openai.OpenAI, clip: Path
) -> None:
    """Live, as a file, as events, in turns that the server or the client ends, over TCP: the speech core is one."""
    data = clip.read_bytes()
    texts = over_sockets(real, clip) | {"wyoming": over_wyoming(real, clip)}
    for name, is_alone in (("file", False), ("file's channel", True)):
        answer = deepgram.listen.v1.media.transcribe_file(request=data, multichannel=is_alone)
        assert isinstance(answer, ListenV1Response)
        texts[f"deepgram {name}"] = (answer.results.channels[0].alternatives or [])[0].transcript or ""
    stream = client.audio.transcriptions.create(model="whisper-1", file=("a.wav", data), stream=True)
    texts["openai events"] = next(event for event in stream if event.type == "transcript.text.done").text
    texts["openai file"] = client.audio.transcriptions.create(model="whisper-1", file=("a.wav", data)).text
    texts["openai commits"] = over_realtime(client, clip, turn_detection=None)
    texts["openai turns"] = over_realtime(client, clip, turn_detection={"type": "server_vad"})
    assert texts.keys() == ADDRESS_OF.keys()
    assert len(set(texts.values())) == 1, texts


def test_openais_sdk_raises_its_own_errors(client: openai.OpenAI, clip: Path) -> None:
    """By status, with our sentence in them; the model list is read by it too."""
    with clip.open("rb") as file, pytest.raises(openai.NotFoundError, match="this server has whisper-tiny"):
        client.audio.transcriptions.create(model="gpt-9", file=file)
    with pytest.raises(openai.BadRequestError) as refused:
        client.audio.transcriptions.create(model="whisper-1", file=("a.wav", b"no audio"))
    assert refused.value.param == "file"
    assert [model.id for model in client.models.list()] == ["whisper-tiny.en"]
