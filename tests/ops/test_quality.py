"""Quality: utterances are drawn once with their probability, and labels raise an alarm when the words got worse."""

import json
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from asr.ledger import Draws, Ledger
from eval.estimate import save
from ops.quality import accepted_rates, lines, model_file, model_of, report
from ops.quality_watch import QualityWatcher
from server.clips.store import ClipStore
from tests.ops.kept_speech import NOW_S, keep, label, ledger_with_estimate, speak
from tests.ops.trials import NAME


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    return ledger_with_estimate(tmp_path)


@pytest.fixture
def store(tmp_path: Path) -> ClipStore:
    return ClipStore(tmp_path / "clips")


def test_utterances_with_clips_are_drawn_once_with_their_probability(ledger: Ledger, store: ClipStore) -> None:
    """Not those without consent; a second monitor finds the same draws, and adds none."""
    speak(ledger, None, 5)
    speak(ledger, store, 300, first=100)
    for _ in range(2):
        assert not list(QualityWatcher(store.folder).look(ledger, NAME, NOW_S))
        draws = Draws(ledger).of_model(NAME)
        assert [draw.stream_id for draw in draws] == [f"s{100 + i}" for i in range(300)]
    assert {(draw.words, round(draw.expected_errors, 6), draw.most_errors) for draw in draws} == {(10, 1.0, 5.0)}
    assert {draw.draw_probability for draw in draws} == {0.5}
    assert 110 < sum(draw.is_drawn for draw in draws) < 190


def test_nothing_is_drawn_without_a_folder_of_clips(ledger: Ledger, store: ClipStore) -> None:
    speak(ledger, store, 20)
    list(QualityWatcher().look(ledger, NAME, NOW_S))
    assert not Draws(ledger).of_model(NAME)


def test_streams_with_several_channels_are_not_drawn(ledger: Ledger, store: ClipStore) -> None:
    """Their vitals count utterances through all channels, and clips do not."""
    for row in speak(ledger, store, 20):
        keep(store, row, channel=1)
    list(QualityWatcher(store.folder).look(ledger, NAME, NOW_S))
    assert not Draws(ledger).of_model(NAME)


def test_a_clip_may_come_a_little_after_its_vitals(ledger: Ledger, store: ClipStore) -> None:
    """A row waits a minute for it."""
    [row] = speak(ledger, None, 1)
    watcher = QualityWatcher(store.folder)
    list(watcher.look(ledger, NAME, row.at_s + 10))
    keep(store, row)
    list(watcher.look(ledger, NAME, row.at_s + 70))
    assert len(Draws(ledger).of_model(NAME)) == 1


def test_labels_with_many_errors_are_harm_and_confirm_that_the_concept_moved(ledger: Ledger, store: ClipStore) -> None:
    """Each alarm once, also by a new monitor; it names the release and how many labels it rests on."""
    speak(ledger, store, 600)
    watcher = QualityWatcher(store.folder)
    list(watcher.look(ledger, NAME, NOW_S))
    label(ledger, 4)
    found = list(watcher.look(ledger, NAME, NOW_S))
    assert [(each.alarm.kind, each.alarm.signal) for each in found] == [
        ("harm", "wer"),
        ("concept confirmed", "labelled_residual"),
    ]
    assert "m/1 is above the accepted 12.0 %" in str(found[0])
    assert found[0].alarm.evidence["labels"] > 200
    assert not list(watcher.look(ledger, NAME, NOW_S))
    assert not list(QualityWatcher(store.folder).look(ledger, NAME, NOW_S))


def test_few_speakers_may_be_hard_without_an_alarm(ledger: Ledger, store: ClipStore) -> None:
    """The same labels of seven clients are harm where speakers are alike, and none where they lie far apart."""
    speak(ledger, store, 600)
    list(QualityWatcher(store.folder).look(ledger, NAME, NOW_S))
    label(ledger, 4)
    model = model_of(ledger, NAME)
    assert model
    for spread, kinds in ((0.8, ["concept confirmed"]), (0.05, ["harm"])):
        about = model.about | {"speaker_spread": spread, "speakers": 50}
        save(model_file(ledger, NAME), replace(model, about=about))
        found = list(QualityWatcher(store.folder).look(ledger, NAME, NOW_S))
        assert [each.alarm.kind for each in found] == kinds


def test_the_accepted_rate_grants_the_luck_of_who_spoke_lately() -> None:
    """Five speakers have more of it than 200, and those of long ago do not count; without a spread there is none."""
    about = {"accepted_wer": 0.2, "speaker_spread": 0.15, "speakers": 100}
    few, many = [f"a{i % 5}" for i in range(200)], [f"b{i}" for i in range(200)]
    words = np.full(400, 8)
    rates = accepted_rates(about, many + few, words)
    assert rates[199] == pytest.approx(0.2 + 0.15 * math.sqrt(1 / 100 + 1 / 200))
    assert rates[399] == pytest.approx(0.2 + 0.15 * math.sqrt(1 / 100 + 1 / 5))
    assert (accepted_rates({"accepted_wer": 0.2}, many + few, words) == 0.2).all()


def test_labels_as_expected_are_no_alarm(ledger: Ledger, store: ClipStore) -> None:
    speak(ledger, store, 400)
    watcher = QualityWatcher(store.folder)
    list(watcher.look(ledger, NAME, NOW_S))
    label(ledger, 1)
    assert not list(watcher.look(ledger, NAME, NOW_S))


def test_the_report_has_the_estimate_the_labels_and_slices(ledger: Ledger, store: ClipStore) -> None:
    """10 % by the estimate; labels with 30 % errors say that it is wrong."""
    speak(ledger, store, 400)
    list(QualityWatcher(store.folder).look(ledger, NAME, NOW_S))
    label(ledger, 3)
    found = report(ledger, NAME, NOW_S, 1000)
    assert found
    whole = found.slices[0]
    assert (whole.utterances, round(whole.wer, 3)) == (400, 0.1)
    assert whole.labelled
    assert whole.labelled.labels > 150
    assert 0.2 < whole.labelled.low < 0.3 < (whole.labelled.high or 1)
    clients = [each for each in found.slices if each.by == "client"]
    assert len(clients) == 7
    assert all(each.utterances >= 57 and each.labelled for each in clients)
    text = "\n".join(lines(found))
    assert "400 utterances, accepted WER 12.0 %" in text
    json.dumps(found.as_dict())


def test_the_sequence_waits_for_labels_that_may_still_come(ledger: Ledger, store: ClipStore) -> None:
    """Up to the first drawn utterance without one; after two weeks it counts as the worst."""
    speak(ledger, store, 200)
    list(QualityWatcher(store.folder).look(ledger, NAME, NOW_S))
    label(ledger, 3)
    speak(ledger, store, 50, first=500)
    list(QualityWatcher(store.folder).look(ledger, NAME, NOW_S))
    before, later = (report(ledger, NAME, at_s, 1000) for at_s in (NOW_S, NOW_S + 20 * 86_400))
    assert before
    assert later
    one, other = before.slices[0].labelled, later.slices[0].labelled
    assert one
    assert other
    assert one.labels == other.labels
    assert one.waiting == other.waiting > 10
    assert other.low <= one.low
    assert (other.high or 1) >= (one.high or 1)
