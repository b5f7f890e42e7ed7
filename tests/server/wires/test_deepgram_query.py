"""The query of a stream: what is understood, what is ignored, what is refused."""

import pytest

from asr.audio.streams import AUTO, ENCODINGS
from server.wires.deepgram_query import KNOWN, LIVE_IGNORED, UNSUPPORTED, ListenOptions, ParameterError, parse_query


def test_no_query_is_a_container_without_interim_results() -> None:
    """As Deepgram: without encoding the container is looked for, and interim results must be asked for."""
    assert parse_query([]) == ListenOptions(encoding="auto", interim_results=False)


def test_every_parameter_arrives() -> None:
    """All names of the issue, with Deepgram's spellings."""
    query = {
        "encoding": "linear16", "sample_rate": "8000", "channels": "2", "language": "en-US", "model": "whisper-base",
        "interim_results": "true", "endpointing": "300", "utterance_end_ms": "1000", "vad_events": "true",
    }  # fmt: skip
    assert parse_query(query.items()) == ListenOptions(
        "linear16", 8000, 2, "whisper-base", "en-US", True, 300, 1000, True
    )


@pytest.mark.parametrize("name", sorted({*ENCODINGS} - {AUTO}))
def test_every_encoding_can_be_named(name: str) -> None:
    """All of `asr.audio.streams`. An encoding without a header needs its sample rate too."""
    assert parse_query([("encoding", name), ("sample_rate", "48000")]).encoding == name
    if ENCODINGS[name].has_header:
        assert parse_query([("encoding", name)]).encoding == name
    else:
        with pytest.raises(ParameterError, match=f"encoding={name} has no header; give sample_rate"):
            parse_query([("encoding", name)])


@pytest.mark.parametrize(("value", "milliseconds"), [("false", 5000), ("0", 5000), ("true", None), ("10", 10)])
def test_endpointing_is_milliseconds_or_a_switch(value: str, milliseconds: int | None) -> None:
    """Off is the longest pause there is; on is the server's own."""
    assert parse_query([("endpointing", value)]).endpointing == milliseconds


def test_channels_may_be_kept_apart() -> None:
    """The stream is asked for them, not only the messages."""
    query = [("encoding", "linear16"), ("sample_rate", "8000"), ("channels", "2"), ("multichannel", "true")]
    assert parse_query(query).stream.multichannel
    assert not parse_query(query[:3]).stream.multichannel


def test_hotwords_may_be_given_again_in_both_of_deepgrams_ways() -> None:
    """A boost is not read; a colon that is none belongs to the word."""
    query = [("keyterm", "Ada Lovelace"), ("keywords", "Babbage:2.5"), ("keywords", "ratio 3:a"), ("prompt", "So, ")]
    options = parse_query(query)
    assert options.hotwords == ("Ada Lovelace", "Babbage", "ratio 3:a")
    assert options.prompt == "So, "
    with pytest.raises(ParameterError, match="found 101 hotwords, wanted at most 100"):
        parse_query([("keyterm", "x")] * 101)


@pytest.mark.parametrize("name", LIVE_IGNORED)
def test_what_changes_nothing_is_accepted(name: str) -> None:
    """Clients send these out of habit."""
    assert parse_query([(name, "true"), (name, "x")]) == ListenOptions()


@pytest.mark.parametrize("name", sorted(KNOWN))
def test_a_parameter_without_a_value_is_not_given(name: str) -> None:
    """Templates write `language=` where nothing was chosen."""
    assert parse_query([(name, "")]) == ListenOptions()


def test_what_is_true_anyway_is_accepted() -> None:
    """One alternative; a language that is detected; flags as numbers."""
    query = [("alternatives", "1"), ("detect_language", "true"), ("interim_results", "1"), ("diarize", "0")]
    assert parse_query(query) == ListenOptions(interim_results=True)


@pytest.mark.parametrize("name", UNSUPPORTED)
def test_what_is_not_done_here_is_refused_unless_switched_off(name: str) -> None:
    """Nobody is left believing that a promise was made."""
    assert parse_query([(name, "false")]) == ListenOptions()
    with pytest.raises(ParameterError, match=f"{name}=true is not supported here"):
        parse_query([(name, "true")])


@pytest.mark.parametrize(
    ("query", "sentence"),
    [
        ("nonsense=1", "unknown parameter 'nonsense'"),
        ("encoding=mp7&sample_rate=8000", "encoding: found 'mp7', wanted one of linear16"),
        ("encoding=linear16", "give sample_rate"),
        ("encoding=linear16&sample_rate=0", "sample_rate: found '0', wanted a whole number from 8000 to 48000"),
        ("encoding=linear16&sample_rate=-8000", "sample_rate: found '-8000'"),
        ("encoding=linear16&sample_rate=1e4", "sample_rate: found '1e4'"),
        ("encoding=linear16&sample_rate=٨٠٠٠", "sample_rate: found"),
        ("encoding=linear16&sample_rate=99999999999999999999", "sample_rate: found"),
        ("channels=0", "channels: found '0', wanted a whole number from 1 to 8"),
        ("encoding=opus&sample_rate=48000&channels=3", "channels: found 3, wanted 1 to 2 with encoding=opus"),
        ("interim_results=yes", "interim_results: found 'yes', wanted true or false"),
        ("endpointing=soon", "endpointing: found 'soon', wanted a whole number from 10 to 5000 milliseconds, true or"),
        ("utterance_end_ms=10", "utterance_end_ms: found '10', wanted a whole number from 1000 to 5000"),
        ("model=\0", "model: found"),
        ("nonsense=", "unknown parameter 'nonsense'"),
        ("alternatives=2", "alternatives=2 is not supported here"),
        ("language=a&language=b", "language is given twice"),
        ("keywords=x:-2", "keywords: found 'x:-2', wanted a word to expect"),
        ("prompt=" + "x" * 4001, "prompt: found 4001 characters, wanted at most 4000"),
    ],
)
def test_what_is_wrong_is_said_in_one_sentence(query: str, sentence: str) -> None:
    """What was found and what is wanted."""
    with pytest.raises(ParameterError) as caught:
        parse_query([tuple(pair.split("=", 1)) for pair in query.split("&")])  # type: ignore[misc]
    assert sentence in str(caught.value)
    assert "\n" not in str(caught.value)
