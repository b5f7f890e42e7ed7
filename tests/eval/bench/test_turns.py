"""`asr bench turns`: turns over a real socket, against a scripted server and against ours."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import pytest_audioeval
from websockets.asyncio.server import ServerConnection

from asr.cli import run
from asr.config import SAMPLE_RATE_HZ
from asr.errors import ConfigError
from eval.bench.tables import turns_table, turns_title
from eval.bench.turns import AFTER_S, BEFORE_S, TurnEnd, run_turns, turn_ends, turn_run, turns_among, with_silence
from eval.data.speech_bounds import speech_bounds
from eval.data.types import Dataset
from eval.metrics.scored_trace import ScoredTrace
from eval.metrics.summary import summarise
from eval.progress import Bar
from eval.runs.runner import TraceCollector
from eval.trace import Span
from tests.eval.fakes import final, partial, recording, spoken, trace, word
from tests.eval.output import json_line
from tests.server.scripted_server import listening, results

SPOKEN = Path(next(iter(pytest_audioeval.__path__))) / "samples" / "audio" / "en" / "quick_brown_fox.wav"


def collector() -> TraceCollector:
    return TraceCollector(Bar(advance=lambda _: None, say=lambda _: None))


def test_silence_around_a_turn_moves_all_its_times() -> None:
    """The speech in it is the same, later by the silence before."""
    plain = replace(spoken(0.2, 1.0, 0.1), words=(Span("red", 0.2, 0.6),))
    padded = with_silence(plain)
    assert padded.duration_s == pytest.approx(plain.duration_s + BEFORE_S + AFTER_S)
    assert padded.words == (Span("red", 0.2 + BEFORE_S, 0.6 + BEFORE_S),)
    assert padded.segments[0].start_s == BEFORE_S
    before, after = speech_bounds(plain.samples), speech_bounds(padded.samples)
    assert before is not None
    assert after is not None
    assert (after.start_s, after.end_s) == (before.start_s + BEFORE_S, before.end_s + BEFORE_S)


def test_turns_last_3_to_15_seconds_and_have_a_text() -> None:
    """Others are left out; none at all is wrong use."""
    lengths = {"a": 2.9, "b": 3.0, "c": 15.0, "d": 15.1}
    utterances = tuple(recording(seconds, name=name).utterance for name, seconds in lengths.items())
    silent = recording(5.0, text="", name="e").utterance
    (turns,) = turns_among([Dataset("d", (*utterances, silent))], limit=None)
    assert [utterance.id for utterance in turns.utterances] == ["b", "c"]
    (first,) = turns_among([Dataset("d", (*utterances, silent))], limit=1)
    assert [utterance.id for utterance in first.utterances] == ["b"]
    with pytest.raises(ConfigError, match="no utterance of 3 to 15 s"):
        turns_among([Dataset("d", (silent,))], limit=None)


def test_the_ends_that_are_compared() -> None:
    """Finalize by the client unless switched off, and each silence of the server."""
    assert turn_ends(0.2, (300, 500)) == (
        TurnEnd("Finalize after 0.2 s", finalize_after_s=0.2),
        TurnEnd("endpointing=300", endpointing_ms=300),
        TurnEnd("endpointing=500", endpointing_ms=500),
    )
    assert turn_ends(None, (300,)) == (TurnEnd("endpointing=300", endpointing_ms=300),)


class Scripted:
    """A server of the live protocol: answers the first of `Finalize` and `CloseStream` with the text."""

    def __init__(self) -> None:
        self.paths: list[str] = []
        self.finalized_at: list[int] = []
        self.received: list[int] = []

    async def __call__(self, socket: ServerConnection) -> None:
        assert socket.request is not None
        self.paths.append(socket.request.path)
        samples, answered = 0, False
        async for message in socket:
            if isinstance(message, bytes):
                samples += len(message) // 2
                continue
            kind = json.loads(message)["type"]
            if kind == "Finalize":
                self.finalized_at.append(samples)
            if not answered:
                await socket.send(results("red", "grey", is_final=True, start=0.1, speech_final=True))
                answered = True
            if kind == "CloseStream":
                self.received.append(samples)
                await socket.send(json.dumps({"type": "Metadata", "duration": samples / SAMPLE_RATE_HZ}))
                return


def test_the_client_says_finalize_at_its_time_to_the_sample() -> None:
    """Also between two chunks of audio: 0.2 s after the end of speech, which is at 0.35 + 0.4 s here."""
    server, turn = Scripted(), spoken(0.35, 0.4, 0.6)
    end = TurnEnd("Finalize", finalize_after_s=0.2)
    with listening(server) as url:
        result = run_turns([turn], end, 1, end.target(url, "m", "", 0.1), None, collector())
    assert server.finalized_at == [round((0.35 + 0.4 + 0.2) * SAMPLE_RATE_HZ)]
    assert server.received == [len(turn.samples)]
    assert "endpointing" not in server.paths[0]
    measures = {measure.name: measure for measure in result.measures}
    ttfs = measures["last final (TTFS)"]
    assert ttfs.turns == 1
    assert ttfs.p50_s is not None
    assert 0.2 <= ttfs.p50_s < 0.6 - 0.05  # after Finalize, and before the end of the stream is due
    assert ttfs.wer == 50.0
    assert result.summary.figures["cut_turns"] == 0.0


def test_the_server_is_asked_for_its_endpointing() -> None:
    """And the client says nothing before the end of the stream."""
    server = Scripted()
    end = TurnEnd("endpointing=300", endpointing_ms=300)
    with listening(server) as url:
        result = run_turns([spoken(0.1, 0.4, 0.3)], end, 1, end.target(url, "m", "", 0.1), None, collector())
    assert "endpointing=300" in server.paths[0]
    assert server.finalized_at == []
    assert {measure.name: measure.turns for measure in result.measures}["speech_final"] == 1


def test_a_recording_that_ends_too_early_is_not_finalized() -> None:
    """CloseStream comes first."""
    server = Scripted()
    end = TurnEnd("Finalize", finalize_after_s=0.2)
    with listening(server) as url:
        run_turns([spoken(0.1, 0.4, 0.1)], end, 1, end.target(url, "m", "", 0.1), None, collector())
    assert server.finalized_at == []


def test_the_table_has_counts_percentiles_and_the_paired_errors(capsys) -> None:
    """With the one-shot text of the same model beside; a measure that no turn has shows a dash."""
    from eval.runs.setup import console

    known = {"mode": "live", "reference": "red green", "speech_start_s": 0.5, "speech_end_s": 2.0}
    entries = (partial(2.1, "red"), final(2.25, word("red", 0.5, 1.0), word("green", 1.0, 2.0)))
    run = turn_run(TurnEnd("Finalize after 0.2 s"), 1, [trace(*entries, **known)])  # type: ignore[arg-type]
    whole = summarise(
        [ScoredTrace(trace(*entries, reference="red green", mode="offline"))], "tiny", "one shot", "offline"
    )
    console().print(turns_title(run))
    console().print(turns_table(run, whole))
    shown = [" ".join(line.replace("│", " ").split()) for line in capsys.readouterr().out.splitlines()]
    assert "Finalize after 0.2 s, 1 at a time: 1 turn, cut in two 0.0 %, CPU-s/audio-s -" in shown
    assert "first message 1 0.10 0.10 0.10 50.00 %" in shown
    assert "last final (TTFS) 1 0.25 0.25 0.25 0.00 %" in shown
    assert "speech_final 0 - - -" in shown
    assert "one-shot text of tiny 1 0.00 %" in shown


def test_a_set_without_turns_is_wrong_use(asr, data: Path, capsys) -> None:
    """Before any model is loaded."""
    assert asr("bench", "turns", "--data", data) == 2
    assert "no utterance of 3 to 15 s" in capsys.readouterr().err


@pytest.mark.slow
@pytest.mark.model
def test_turns_through_our_own_server(tmp_path: Path, capsys) -> None:
    """The default model over the real wire: every figure is there, and the final text is the one-shot text."""
    shutil.copy(SPOKEN, tmp_path / "fox.wav")
    text = SPOKEN.with_suffix(".txt").read_text(encoding="utf-8").strip()
    row = {"audio_filepath": "fox.wav", "text": text, "duration": 3.0, "language": "en"}
    (tmp_path / "manifest.jsonl").write_text(json.dumps(row), encoding="utf-8")
    assert run(["bench", "turns", "--data", str(tmp_path), "--threads", "1", "--workers", "1"]) == 0
    table = json_line(capsys.readouterr().out)
    assert [turn["end"]["name"] for turn in table["turns"]] == ["Finalize after 0.2 s", "endpointing=300"]
    for turn in table["turns"]:
        assert turn["summary"]["failed"] == 0
        measures = {measure["name"]: measure for measure in turn["measures"]}
        assert measures["last final (TTFS)"]["turns"] == 1
        assert measures["speech_final"]["turns"] == 1
        assert measures["first message"]["p50_s"] <= measures["last final (TTFS)"]["p50_s"]
        assert measures["last final (TTFS)"]["wer"] == table["one_shot"]["figures"]["wer"]
    assert table["turns"][0]["measures"][2]["p50_s"] > 0.2  # not before Finalize
    assert table["turns"][1]["measures"][3]["p50_s"] > 0.25  # nor before 300 ms of silence, less a frame of each side
    assert np.isfinite(table["turns"][0]["summary"]["figures"]["cpu"])
