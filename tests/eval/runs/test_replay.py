"""Sessions in process, on two clocks."""

from dataclasses import replace

import numpy as np
import pytest

from asr.config import SessionSettings, StreamSettings
from asr.events import Final, Partial
from eval.runs.replay import chunks, offline, replay
from eval.trace import Span
from tests.eval.fakes import ScriptedEngine, recording


def test_chunks_are_the_recording_and_arrive_when_they_were_spoken() -> None:
    """The last may be shorter."""
    samples = np.arange(4000, dtype=np.float32)
    pieces = list(chunks(samples, 0.1))
    assert [arrival for _, arrival in pieces] == [0.1, 0.2, 0.25]
    assert np.array_equal(np.concatenate([piece for piece, _ in pieces]), samples)


def test_an_event_is_said_when_its_step_ends(engine: ScriptedEngine) -> None:
    """Steps of 0.25 s, started at 0.5, 1.0, 1.5 ... as the audio arrives; audio time is the audio received."""
    told = replay(recording(2.0), engine, timer=engine.timer)
    partials = [(e.audio_s, e.wall_s) for e in told.entries if isinstance(e.event, Partial)]
    assert partials == [(0.5, 0.75), (1.0, 1.25), (1.5, 1.75), (2.0, 2.25)]
    assert told.end_wall_s == 2.0
    assert told.entries[-1].wall_s == 2.5  # the step after the end waits for the one before it


def test_a_worker_that_is_too_slow_falls_behind() -> None:
    """Steps of 0.75 s every 0.5 s: each begins when the one before it ended. The text stays the same."""
    slow, fast = ScriptedEngine(step_s=0.75), ScriptedEngine(step_s=0.0)
    late, prompt = replay(recording(2.0), slow, timer=slow.timer), replay(recording(2.0), fast, timer=fast.timer)
    partials = [e.wall_s for e in late.entries if isinstance(e.event, Partial)]
    assert partials == [1.25, 2.0, 2.75, 3.5]
    assert late.text == prompt.text
    assert late.busy_s == pytest.approx(5 * 0.75)


@pytest.mark.parametrize("chunk_s", [0.02, 0.1, 1.0])
def test_the_text_does_not_depend_on_the_chunks(chunk_s: float, engine: ScriptedEngine) -> None:
    """Fed in pieces equals fed in one call."""
    assert replay(recording(2.0), engine, chunk_s=chunk_s).text == offline(recording(2.0), engine).text


def test_offline_has_no_partials_and_the_settings_of_files(engine: ScriptedEngine) -> None:
    """The one-shot text is what `asr transcribe` gives."""
    told = offline(recording(2.0), engine)
    assert not any(isinstance(e.event, Partial) for e in told.entries)
    settings = engine.opened[0]["settings"]
    assert isinstance(settings, SessionSettings)
    assert settings.vad.endpoint_ms == SessionSettings().vad.file_endpoint_ms
    assert engine.opened[0]["partials"] is False


def test_a_trace_has_the_segments_of_a_recording_that_is_more_than_one(engine: ScriptedEngine) -> None:
    """The only one of a recording says nothing that its length does not."""
    whole = recording(2.0)
    parts = (Span("red", 0.0, 1.0), Span("green blue", 1.0, 2.0))
    assert replay(whole, engine).reference_segments == ()
    assert replay(replace(whole, segments=parts), engine).reference_segments == parts


def test_settings_and_language_reach_the_session(engine: ScriptedEngine) -> None:
    """The language without its region; none when the data does not tell."""
    settings = SessionSettings(stream=StreamSettings(update_ms=123))
    replay(recording(1.0, language="zh-CN"), engine, settings)
    replay(recording(1.0, language=""), engine)
    assert engine.opened[0] == {"settings": settings, "language": "zh", "partials": True}
    assert engine.opened[1]["language"] is None


def test_a_trace_knows_its_utterance_and_cost(engine: ScriptedEngine) -> None:
    """What scoring needs is in it."""
    told = replay(recording(2.0, text="red green blue"), engine, timer=engine.timer)
    assert (told.utterance, told.reference, told.mode, told.model) == ("u", "red green blue", "replay", "scripted")
    assert told.duration_s == 2.0
    assert told.cpu_s is not None
    assert told.text == "red green blue"
    assert isinstance(told.entries[-2].event, Final)


def test_a_trace_has_the_attributes_of_its_utterance(engine: ScriptedEngine) -> None:
    """Reports slice by it."""
    spoken = recording(2.0)
    told = (("device", "telephone"), ("gender", "female"))
    spoken = replace(spoken, utterance=replace(spoken.utterance, attributes=told))
    assert offline(spoken, engine).attributes == replay(spoken, engine).attributes == told
