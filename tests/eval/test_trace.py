"""Traces as JSON lines."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asr.events import Ended, Event, Final, Partial, SpeechEnded, SpeechStarted, Word
from eval.trace import Entry, Span, Trace, TraceError, from_line, read_traces, to_line, write_traces
from tests.eval.fakes import said

seconds = st.floats(0, 1e4, allow_nan=False)
words = st.lists(st.builds(Word, st.text(), seconds, seconds, st.floats(0, 1)), max_size=3).map(tuple)
events: st.SearchStrategy[Event] = st.one_of(
    st.builds(SpeechStarted, seconds),
    st.builds(Partial, words, seconds, seconds, st.text()),
    st.builds(Final, words, seconds, seconds, st.text(), st.booleans(), st.booleans()),
    st.builds(SpeechEnded, seconds),
    st.builds(Ended, seconds),
)
traces = st.builds(
    Trace,
    *[st.text()] * 6,
    duration_s=seconds,
    end_wall_s=seconds,
    entries=st.lists(st.builds(Entry, events, seconds, seconds), max_size=4).map(tuple),
    cpu_s=st.none() | seconds,
    reference_words=st.lists(st.builds(Span, st.text(), seconds, seconds), max_size=2).map(tuple),
    reference_segments=st.lists(st.builds(Span, st.text(), seconds, seconds), max_size=2).map(tuple),
    error=st.text(),
    attributes=st.lists(st.tuples(st.text(), st.text()), max_size=2).map(tuple),
)


@given(traces)
def test_a_line_gives_its_trace_back(trace: Trace) -> None:
    """Nothing is lost or rounded, whatever the text; a line holds no line end."""
    line = to_line(trace)
    assert "\n" not in line
    assert from_line(line) == trace


def test_a_trace_written_before_segments_were_is_read() -> None:
    """Traces are dear, and kept."""
    table = json.loads(to_line(said("hello")))
    del table["reference_segments"]
    assert from_line(json.dumps(table)) == said("hello")


def test_traces_are_appended_and_read_in_order(tmp_path: Path) -> None:
    """A run writes one at a time."""
    file = tmp_path / "traces.jsonl"
    for name in ("a", "b"):
        write_traces(file, [said("hello", utterance=name)])
    assert [trace.utterance for trace in read_traces(file)] == ["a", "b"]


def test_a_line_that_is_no_trace_is_named(tmp_path: Path) -> None:
    """The error gives the file, the line and its text."""
    file = tmp_path / "traces.jsonl"
    file.write_text(to_line(said("hello")) + '\n{"dataset": 1}\n')
    with pytest.raises(TraceError, match=r"traces.jsonl:2: found '\{\"dataset\": 1\}"):
        list(read_traces(file))


def test_the_text_is_the_finals_joined() -> None:
    """Without outer spaces."""
    assert said("hello world").text == "hello world"
