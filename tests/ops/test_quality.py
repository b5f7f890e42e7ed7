"""Quality: utterances are drawn once with their probability, and labels raise an alarm when the words got worse."""

import json
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from asr.ledger import Alarm, Draw, Draws, Ledger
from eval.estimate import ErrorModel, save
from ops.quality import LUCK, accepted_rates, calm_until, lines, log_harm, model_file, model_of, report
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
    """The same labels of seven clients are harm where estimates are right for each, and none where they are not."""
    speak(ledger, store, 600)
    list(QualityWatcher(store.folder).look(ledger, NAME, NOW_S))
    label(ledger, 4)
    model = model_of(ledger, NAME)
    assert model
    for bias, kinds in ((0.8, ["concept confirmed"]), (0.02, ["harm"])):
        about = model.about | {"speaker_spread": 0.05, "speakers": 50}
        save(model_file(ledger, NAME), replace(model, about=about, speaker_sd=bias))
        found = list(QualityWatcher(store.folder).look(ledger, NAME, NOW_S))
        assert [each.alarm.kind for each in found] == kinds


def model_of_speakers(ledger: Ledger) -> ErrorModel:
    model = model_of(ledger, NAME)
    assert model
    about = model.about | {"accepted_wer": 0.2, "speaker_spread": 0.15, "speakers": 50}
    return replace(model, about=about, dispersion=1e-9)


def draws_of(clients: list[str], errors: list[float]) -> list[Draw]:
    """Utterances of 10 words, with this number of expected errors each."""
    return [
        Draw(float(i), NAME, 1, f"s{i}", 0, client, "en", "", 10, expected, 20.0, 0.1, False, 10.0, i + 1)
        for i, (client, expected) in enumerate(zip(clients, errors, strict=True))
    ]


def test_a_client_is_compared_with_itself(ledger: Ledger) -> None:
    """What the vitals said of it before the drift, and 2 points; of a client without a past the mean of the others."""
    model = model_of_speakers(ledger)
    clients, errors = ["easy"] * 50 + ["hard"] * 50, [1.0] * 50 + [5.0] * 50
    draws = draws_of([*clients, "easy", "hard", "new"], [*errors, 9.0, 9.0, 9.0])
    rates = accepted_rates(replace(model, speaker_sd=1e-6), draws, 100)
    assert rates[100:102] == pytest.approx([0.12, 0.52], abs=1e-4)
    assert rates[102] == pytest.approx(0.3 + 0.02 + LUCK * 0.15 / 103, abs=1e-3)
    assert rates[0] == pytest.approx(0.2 + LUCK * 0.15 * math.sqrt(2), abs=1e-4)
    fixed = replace(model, about={"accepted_wer": 0.2})
    assert (accepted_rates(fixed, draws, 100) == 0.2).all()


def test_the_accepted_rate_grants_the_luck_of_who_spoke_lately(ledger: Ledger) -> None:
    """Five clients have more of it than 200, and those of long ago do not count."""
    model = replace(model_of_speakers(ledger), speaker_sd=0.1)
    few, many = [f"a{i % 5}" for i in range(400)], [f"b{i}" for i in range(200)]
    rates = accepted_rates(model, draws_of(many + few, [1.0] * 600), 600)
    spread = math.sqrt(0.15**2 + 0.1**2)
    after_one = math.sqrt(0.15**2 + 0.1**2) * math.sqrt(0.1**2 / (spread**2 + 0.1**2))
    assert rates[199] == pytest.approx(0.12 + LUCK * after_one * math.sqrt(1 / 200), abs=1e-3)
    assert rates[599] == pytest.approx(0.12 + LUCK * after_one * math.sqrt(1 / 5), abs=1e-3)


def test_an_alarm_of_drift_makes_harm_sooner_proven(ledger: Ledger, store: ClipStore) -> None:
    """Bets wait for it with half of their wealth: they need not guess among a month's streams when a change began."""
    speak(ledger, store, 600)
    list(QualityWatcher(store.folder).look(ledger, NAME, NOW_S))
    draws = Draws(ledger).of_model(NAME)
    assert calm_until(ledger, NAME, draws) == 600
    labels = {(draw.label_id, 1): (1 if i < 300 else 2, 10) for i, draw in enumerate(draws)}
    accepted = np.full(600, 0.12)
    alarm = Alarm(NOW_S, NAME, "shift", "snr_db", "less", {"row": draws[299].row})
    before = log_harm(draws, labels, NOW_S, accepted, calm_until(ledger, NAME, draws))
    assert ledger.add_alarm(alarm, "drift")
    assert calm_until(ledger, NAME, draws) == 300
    after = log_harm(draws, labels, NOW_S, accepted, 300)
    assert (after[:300] == before[:300]).all()
    assert after[450] > before[450] + 1


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
