"""The default model, a real server and a real peer, on a recording that comes with a package."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import pytest_audioeval

from asr.engine import Engine
from asr.normalisation.normalise import normalise
from eval.bench.peers.transcribers import faster_whisper
from eval.data.dataset import read
from eval.data.types import Clip, Recording, Utterance
from eval.metrics.scored_trace import ScoredTrace
from eval.metrics.summary import lost_ends
from eval.metrics.word_errors import count
from eval.runs.live import Target, run_load
from eval.runs.local_server import serving
from eval.runs.process_usage import process_cpu_s
from eval.runs.replay import offline, replay
from eval.trace import Trace
from server.client.protocol import pcm16

CLIPS = Path(next(iter(pytest_audioeval.__path__))) / "samples" / "audio" / "en"
MODEL = "whisper-tiny.en"


@pytest.fixture(scope="module")
def engine(whisper_tiny: Engine) -> Engine:
    return whisper_tiny


@pytest.fixture(scope="module")
def recording() -> Recording:
    """As the wire carries it: 16-bit samples, which is what a server hears."""
    path = CLIPS / "quick_brown_fox.wav"
    clip = Clip(path, path.with_suffix(".txt").read_text(encoding="utf-8").strip(), 1.0)
    spoken = read(Utterance("fox", "package", (clip,), "en"))
    heard = np.frombuffer(pcm16(spoken.samples), "<i2").astype(np.float32) / 32768
    return replace(spoken, samples=heard)


@pytest.mark.slow
def test_live_is_replay(engine: Engine, recording: Recording) -> None:
    """The same audio over a real socket and in process: the same committed words, so the difference between the two
    traces is the server's own cost; the server's process is seen to work."""
    traces: list[Trace] = []
    with serving(MODEL) as server:
        assert server.pid is not None
        before_s = process_cpu_s(server.pid)
        # 32767 there and back is not 32768: the wire must carry the very samples that replay gets
        sent = replace(recording, samples=recording.samples * np.float32(32768 / 32767))
        run_load(Target(server.url, MODEL), [sent], 1, traces.append)
        assert process_cpu_s(server.pid) > before_s
    (live,) = traces
    assert live.error == ""
    assert live.text == replay(recording, engine).text
    assert live.weights_sha256 == engine.weights_sha256


def test_streaming_loses_no_last_word(engine: Engine, recording: Recording) -> None:
    """Against the one-shot text of the same model, which is near the reference."""
    whole, streamed = offline(recording, engine), replay(recording, engine)
    assert lost_ends([ScoredTrace(whole)], [ScoredTrace(streamed)]) == ()
    rate = count(normalise(recording.utterance.text, "en"), normalise(whole.text, "en"), "en").rate
    assert rate is not None
    assert rate < 0.5


@pytest.mark.model
def test_the_peer_reads_the_same_weights(recording: Recording) -> None:
    """faster-whisper on the files of our package says the same sentence, give or take punctuation."""
    with faster_whisper(MODEL, threads=1) as peer:
        text = peer(recording.utterance.clips[0].audio, "en", recording.duration_s)
    rate = count(normalise(recording.utterance.text, "en"), normalise(text, "en"), "en").rate
    assert rate is not None
    assert rate < 0.5
