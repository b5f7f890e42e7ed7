"""`GET /metrics` after real streams, read by Prometheus' own parser."""

import json
import re
from pathlib import Path

import soundfile
from prometheus_client.parser import text_string_to_metric_families

from server.client.protocol import pcm16
from server.metrics import Metrics
from tests.server.docs import OPERATING, rows
from tests.server.running import CLOSE, RAW, Running, transcript, until_closed

Sample = dict[tuple[str, tuple[tuple[str, str], ...]], float]


def scraped(server: Running) -> Sample:
    families = text_string_to_metric_families(server.get("/metrics"))
    return {(s.name, tuple(sorted(s.labels.items()))): s.value for family in families for s in family.samples}


def gained(before: Sample, after: Sample, name: str, **labels: str) -> float:
    key = (name, tuple(sorted(labels.items())))
    return after[key] - before.get(key, 0.0)


def test_a_stream_is_counted_and_none_of_its_words_shown(real: Running, clip: Path) -> None:
    """Counts, times and the model's hash, without the text."""
    before = scraped(real)
    samples, _ = soundfile.read(clip, dtype="float32")
    with real.listen(RAW + "&interim_results=true") as socket:
        socket.send(pcm16(samples))
        first = json.loads(socket.recv(timeout=60))
        during = scraped(real)
        socket.send(CLOSE)
        messages = [first, *until_closed(socket)[0]]
    after = scraped(real)
    finals = [m for m in messages if m["type"] == "Results" and m["is_final"]]
    words = sum(len(m["channel"]["alternatives"][0]["words"]) for m in finals)
    assert gained(before, after, "asr_finals_total") == len(finals)
    assert gained(before, after, "asr_word_delay_seconds_count") == words > 0
    assert gained(before, after, "asr_ended_total", code="1000") == 1
    assert abs(gained(before, after, "asr_audio_seconds_total") - len(samples) / 16_000) < 0.01
    steps = gained(before, after, "asr_step_seconds_count", model="whisper-tiny.en", release="")
    assert steps == gained(before, after, "asr_batch_size_count", model="whisper-tiny.en", release="") > 0
    assert gained(before, after, "asr_lag_seconds_count") == steps
    assert after[("asr_queue_age_seconds", (("lane", "0"), ("model", "whisper-tiny.en"), ("release", "")))] == 0.0
    load = ("asr_load", (("lane", "0"), ("model", "whisper-tiny.en"), ("release", "")))
    assert during[load] > 0.0 == after[load]
    assert during["asr_open_streams", ()] == after["asr_open_streams", ()] + 1
    info = next(labels for (name, labels), _ in after.items() if name == "asr_model_info")
    assert dict(info) == {
        "model": "whisper-tiny.en",
        "release": "",
        "weights_sha256": real.service.schedulers["whisper-tiny.en"].engine.weights_sha256,
    }
    assert transcript(messages).lower().startswith("the quick brown fox")
    assert not {"quick", "brown", "fox", "jumps", "lazy", "dog"} & set(re.findall(r"\w+", real.get("/metrics").lower()))


def test_errors_are_counted_by_kind(real: Running) -> None:
    """By the variant in the `Error` message, and by close code."""
    before = scraped(real)
    with real.listen() as socket:
        socket.send("no json")
        until_closed(socket)
    with real.listen() as socket:
        socket.send(CLOSE)
        until_closed(socket)
    after = scraped(real)
    for variant in ("DATA-0001", "DATA-0002"):
        assert gained(before, after, "asr_errors_total", kind=variant) == 1
    assert gained(before, after, "asr_ended_total", code="1008") == 2


def test_every_metric_is_documented_and_no_other() -> None:
    """In docs/OPERATING.md, with its labels."""
    written = {
        name.strip("` "): tuple(label.strip("` ") for label in labels.split(",") if label)
        for names, labels, _ in rows("Metrics", OPERATING)
        for name in names.split(",")
    }
    collectors = vars(Metrics()).items()
    assert written == {c._name: c._labelnames for name, c in collectors if name != "registry"}
