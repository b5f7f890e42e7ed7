"""The five properties that hold for every engine: a stream's words depend on its audio and nothing else.

Fed in pieces is fed at once, batched is alone, committed text is never taken back, finals hold whole words, live is
replay. Each asserts
one of them for the engine that it is given: every architecture is held to the same.
"""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from asr.engine import Engine
from asr.events import Event, Final, Partial
from asr.streaming.session import Session
from tests.speech import RATE_HZ, clip, silence, speech

if TYPE_CHECKING:
    from eval.trace import Trace

Open = Callable[[], Session]
"""A new session of the engine in question, with the settings in question."""
CHUNK = 1600


def run(engine: Engine, samples: np.ndarray, session: Session, chunk: int = CHUNK) -> list[Event]:
    """All events of one stream, fed in chunks, to its end."""
    events: list[Event] = []
    for start in range(0, len(samples), chunk):
        session.receive_audio(samples[start : start + chunk])
        while session.ready:
            engine.step([session])
        events += session.take_events()
    return events + finish(engine, session)


def finish(engine: Engine, session: Session) -> list[Event]:
    """What comes after the end of the audio."""
    session.receive_end()
    while not session.ended:
        engine.step([session])
    return session.take_events()


def fed_in_pieces_equals_fed_at_once(engine: Engine, new: Open, chunk: int) -> None:
    """Every event is the same, partials and times too, however the audio was cut."""
    assert run(engine, speech(), new(), chunk) == run(engine, speech(), new())


def batched_equals_alone(engine: Engine, new: Open) -> None:
    """Streams of different length and moment in one step, some ending sooner, say what each says alone."""
    streams = [speech(), speech()[RATE_HZ:], clip("counting"), np.concatenate([silence(0.7), clip("quick_brown_fox")])]
    for events, samples in zip(_together(engine, new, streams), streams, strict=True):
        assert [_said(event) for event in events] == [_said(event) for event in run(engine, samples, new())]


def _together(engine: Engine, new: Open, streams: list[np.ndarray]) -> list[list[Event]]:
    sessions = [new() for _ in streams]
    together: list[list[Event]] = [[] for _ in streams]
    for start in range(0, max(map(len, streams)) + CHUNK, CHUNK):
        for session, samples in zip(sessions, streams, strict=True):
            if start < len(samples):
                session.receive_audio(samples[start : start + CHUNK])
            elif start < len(samples) + CHUNK:
                session.receive_end()
        while any(session.ready for session in sessions):
            engine.step(sessions)
        for events, session in zip(together, sessions, strict=True):
            events += session.take_events()
    assert all(session.ended for session in sessions)
    return together


def _said(event: Event) -> tuple[object, ...]:
    """An event without its confidences, whose last digits depend on how a product of matrices was split."""
    if isinstance(event, Final | Partial):
        return (type(event), event.text, [(round(w.start_s, 2), round(w.end_s, 2)) for w in event.words])
    return (event,)


def committed_text_is_never_taken_back(events: list[Event]) -> None:
    """Finals only ever add words, in order of time; a partial never covers what is final."""
    committed_end_s = 0.0
    for event in events:
        if isinstance(event, Final | Partial):
            starts = [word.start_s for word in event.words]
            assert starts == sorted(starts)
            assert all(start >= committed_end_s - 0.02 for start in starts)
        if isinstance(event, Final) and event.words:
            committed_end_s = event.words[-1].end_s
    assert committed_end_s > 0


def finals_hold_whole_words(events: list[Event]) -> None:
    """Joined with a space or without, the finals give the same words."""
    finals = [event.text for event in events if isinstance(event, Final) and event.words]
    assert len(finals) > 1
    assert "".join(finals).split() == " ".join(finals).split()


def live_is_replay(engine: Engine, model: str, samples: np.ndarray) -> "Trace":
    """The same audio over a real socket and in process: the same committed words. Returns the live trace."""
    from eval.data.types import Clip, Recording, Utterance
    from eval.runs.live import Target, run_load
    from eval.runs.local_server import serving
    from eval.runs.replay import replay
    from eval.trace import Trace
    from server.client.protocol import pcm16

    heard = np.frombuffer(pcm16(samples), "<i2").astype(np.float32) / 32768
    spoken = Utterance("speech", "package", (Clip(Path("speech.wav"), "x", len(heard) / RATE_HZ),), "en")
    # 32767 there and back is not 32768: the wire must carry the very samples that replay gets
    sent = Recording(spoken, heard * np.float32(32768 / 32767), (), ())
    traces: list[Trace] = []
    with serving(model) as server:
        run_load(Target(server.url, model), [sent], 1, traces.append)
    replayed = replay(Recording(spoken, heard, (), ()), engine)
    assert (traces[0].error, traces[0].text) == ("", replayed.text)
    assert replayed.text
    return traces[0]
