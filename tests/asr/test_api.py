"""`import asr; asr.transcribe(...)`: three lines, and nothing loaded before they are run."""

import asyncio
import io
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

import asr
from asr.engine import Engine
from asr.errors import AudioError, ConfigError, ModelError, SessionError
from asr.events import Ended, Final, Partial
from asr.transcripts.recording import transcribe as transcribe_recording
from tests.speech import RATE_HZ, clip

pytestmark = pytest.mark.model


def test_a_path_an_open_file_and_samples_give_the_transcript(tmp_path: Path) -> None:
    """The transcript of the command line: the same code."""
    samples = clip("quick_brown_fox")
    path = tmp_path / "fox.wav"
    soundfile.write(path, samples, RATE_HZ, subtype="FLOAT")
    transcript = asr.transcribe(path)
    assert "brown fox" in transcript.text
    assert transcript == asr.transcribe(str(path), model="whisper-tiny.en") == asr.transcribe(samples, language="en")
    with path.open("rb") as file:
        assert asr.transcribe(file) == transcript
    engine = Engine.load()
    assert asr.transcribe(samples, engine) == transcribe_recording(samples, engine)


def test_errors_are_sentences(tmp_path: Path) -> None:
    """The error classes are those of the rest of the package."""
    with pytest.raises(AudioError, match="found no file"):
        asr.transcribe(tmp_path / "none.wav")
    with pytest.raises(ModelError, match="no model named"):
        asr.transcribe(clip("quick_brown_fox"), model="whisper-enormous")
    with pytest.raises(ConfigError, match="does not know language 'de'"):
        asr.transcribe(clip("quick_brown_fox"), language="de")
    with pytest.raises(ConfigError, match="found language 'xx', wanted a code"):
        asr.transcribe(clip("quick_brown_fox"), language="xx")
    with pytest.raises(ConfigError, match="found hotwords 'fox', wanted a list of them"):
        asr.transcribe(clip("quick_brown_fox"), hotwords="fox")
    with pytest.raises(ConfigError, match="beam_size: found 0, wanted 1 or more"):
        asr.transcribe(clip("quick_brown_fox"), beam_size=0)


def test_what_the_command_prints_about_a_recording_is_a_warning(tmp_path: Path) -> None:
    """Here that its two channels cancel each other out; the sentences themselves have their own tests."""
    path, samples = tmp_path / "fox.wav", clip("quick_brown_fox")
    soundfile.write(path, np.stack([samples, -samples], axis=1), RATE_HZ)
    with pytest.warns(UserWarning, match="channel") as warned:
        assert "quick" in asr.transcribe(path).text
    assert [one.filename for one in warned if "channel" in str(one.message)] == [__file__]


def test_the_function_stays_whatever_else_is_imported() -> None:
    """No module of its name may take its place, and importing the package loads nothing heavy."""
    program = (
        "import sys, asr; assert 'torch' not in sys.modules; "
        "import asr.cli, asr.transcripts.recording, batch.job, asr.commands; assert callable(asr.transcribe); "
        "from asr import transcribe; assert transcribe is asr.transcribe"
    )
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0


def test_bytes_are_a_recording_and_segments_come_one_by_one(tmp_path: Path) -> None:
    """The segments are the transcript's, and the first is there before the recording has been read."""
    path = tmp_path / "fox.wav"
    soundfile.write(path, np.tile(clip("quick_brown_fox"), 60), RATE_HZ, subtype="PCM_16")
    whole = asr.transcribe(path.read_bytes())
    assert whole == asr.transcribe(path)
    with path.open("rb") as file:
        segments = asr.segments(file)
        first = next(segments)
        assert file.tell() < path.stat().st_size
        assert (first, *segments) == whole.segments
    with pytest.raises(ConfigError, match="does not know language 'de'"):
        asr.segments(path, language="de")


def test_a_stream_gives_each_word_once_and_the_text_of_a_session() -> None:
    """However it is cut into blocks, and as floats, as int16 or as bytes."""
    samples = (clip("quick_brown_fox") * 32_767).astype(np.int16)
    with asr.open() as stream:
        words = list(stream.words(np.array_split(samples, 37)))
        assert "".join(word.text for word in words).strip() == stream.text
        assert "brown fox" in stream.text
        assert stream.finish() == []
        with pytest.raises(SessionError, match=r"found audio after finish\(\)"):
            stream.feed(samples)
    for blocks in (
        samples,
        samples.tobytes(),
        [samples.tobytes()],
        np.array_split(samples.astype(np.float32) / 32_768, 5),
    ):
        assert list(asr.open().words(blocks)) == words


def test_a_stream_shows_words_early_and_ends_a_turn_when_asked() -> None:
    """`feed` returns what is heard so far, `finalize` makes it final, the stream goes on."""
    samples = clip("quick_brown_fox")
    stream = asr.open(language="en")
    events = [event for block in np.array_split(samples, 30) for event in stream.feed(block)]
    assert any(isinstance(event, Partial) and event.words for event in events)
    finals = [event for event in stream.finalize() if isinstance(event, Final)]
    assert finals[-1].from_finalize
    assert "fox" in stream.text
    assert isinstance(stream.finish()[-1], Ended)


def test_a_stream_in_an_event_loop() -> None:
    """As the docstring says: off the loop."""

    async def run() -> str:
        stream = asr.open()
        await asyncio.to_thread(stream.feed, clip("quick_brown_fox"))
        await asyncio.to_thread(stream.finish)
        return stream.text

    assert "brown fox" in asyncio.run(run())


def test_another_rate_is_resampled() -> None:
    """48 kHz, as a browser's or a sound card's blocks."""
    samples = np.repeat(clip("quick_brown_fox"), 3)
    assert "brown fox" in "".join(word.text for word in asr.open(sample_rate_hz=48_000).words([samples]))


@pytest.mark.parametrize(
    ("samples", "sentence"),
    [
        (b"123", "found 3 bytes, wanted whole samples"),
        (np.zeros((2, 100), np.float32), r"found an array of shape \(2, 100\), wanted mono"),
        (np.array([0.1, np.nan, np.inf], np.float32), "found samples that are NaN or infinite"),
        (np.zeros(100, np.int32), "found samples of type int32, wanted floats"),
        (np.array([0.1, -20_000.0]), "found samples up to 2e\\+04, wanted floats from -1 to 1"),
        ([0.0, 0.1], "found list, wanted mono samples"),
    ],
)
def test_what_is_no_audio_is_refused_with_a_sentence(samples: Any, sentence: str) -> None:
    """And the stream goes on."""
    stream = asr.open()
    with pytest.raises(AudioError, match=sentence):
        stream.feed(samples)
    stream.feed(clip("quick_brown_fox"))
    stream.finish()
    assert "brown fox" in stream.text


@pytest.mark.parametrize(
    ("source", "sentence"),
    [
        (None, "found NoneType, wanted a path"),
        (1, "found int, wanted a path"),
        (["talk.mp3"], "found list, wanted a path"),
        (io.StringIO("talk"), "found a file opened as text, wanted a path"),
        (np.zeros((2, 100)), r"found an array of shape \(2, 100\), wanted mono"),
        (np.zeros(100, np.int32), "found samples of type int32, wanted floats"),
        (np.array([0.1, -20_000.0]), "found samples up to 2e\\+04, wanted floats from -1 to 1"),
        ("https://example.com/talk.mp3", "found the URL https://example.com/talk.mp3, wanted a file on this machine"),
        (np.array([0.1, np.nan]), "found NaN or infinite samples"),
    ],
)
def test_what_is_no_recording_is_refused_with_a_sentence(source: Any, sentence: str) -> None:
    """Whatever its type."""
    with pytest.raises(AudioError, match=sentence):
        asr.transcribe(source)
    with pytest.raises(AudioError, match=sentence):
        list(asr.segments(source))


def test_samples_and_bytes_of_every_usual_type_are_taken() -> None:
    """`soundfile.read` gives float64, `scipy.io.wavfile` int16; a memory map's bytes are a memoryview."""
    samples = clip("quick_brown_fox")
    expected = asr.transcribe(samples).text
    assert "brown fox" in expected
    assert asr.transcribe(samples.astype(np.float64)).text == expected
    pcm = (samples * 32_767).astype(np.int16)
    assert asr.transcribe(pcm).text == expected
    wav = io.BytesIO()
    soundfile.write(wav, pcm, RATE_HZ, format="WAV")
    assert asr.transcribe(memoryview(wav.getvalue())).text == expected


def test_the_package_lists_its_names_and_runs_as_a_module() -> None:
    """For completion, type checkers and `python -m asr`."""
    assert {"transcribe", "segments", "open", "Engine"} <= set(dir(asr))
    assert (Path(asr.__file__).parent / "py.typed").is_file()
    command = [sys.executable, "-m", "asr", "--version"]
    assert subprocess.run(command, capture_output=True, check=True).stdout.startswith(b"steadyword ")
