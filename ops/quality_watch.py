"""The watcher of quality: draws utterances for labels, and raises alarms when labels prove that a release got worse."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from asr.aliases import CHAMPION
from asr.ledger import Alarm, Draw, Draws, Ledger, VitalsRow
from asr.normalisation.normalise import normalise, units
from eval.betting import draw_probability, largest
from eval.estimate import ErrorModel
from ops.quality import (
    CONCEPT_POINTS,
    LOG_LIMIT,
    accepted_lately,
    accepted_rates,
    calm_until,
    log_concept,
    log_harm,
    model_file,
    model_of,
    speech,
)
from ops.raised import Raised
from server.canary import point
from server.clips.names import ClipNames
from server.clips.store import Clip, ClipStore

GRACE_S = 60.0
"""A clip may be written so much later than its vitals."""
PAGE_ROWS = 20_000
WER, RESIDUAL = "wer", "labelled_residual"


@dataclass(slots=True)
class State:
    """What was read of one model. ``stamp`` is that of the file of its model of errors."""

    stamp: tuple[int, int]
    model: ErrorModel
    read_id: int
    draws: list[Draw] = field(default_factory=list)
    labels: dict[tuple[str, int], tuple[int, int]] = field(default_factory=dict)
    label_id: int = 0


class QualityWatcher:
    """Draws utterances whose clips are kept (none without ``clips``), and looks at the labels of those drawn before."""

    def __init__(self, clips: Path | None = None) -> None:
        self._clips = clips
        self._states: dict[str, State] = {}
        self._names = ClipNames(clips) if clips is not None else None

    def look(self, ledger: Ledger, name: str, now_s: float) -> Iterator[Raised]:
        """Reads the new rows of a model and adds draws and alarms. Raises `AsrError`."""
        state = self._state(ledger, name)
        if state is None:
            return
        if self._clips is not None and self._names is not None:
            _draw(ledger, name, state, ClipStore(self._clips), self._names, now_s)
        draws = Draws(ledger).of_model(name, state.draws[-1].id if state.draws else 0)
        labels = ledger.labels(name, state.label_id)
        if not draws and not labels and self._is_quiet(state, now_s):
            return
        state.draws += draws
        state.labels.update({(label.stream_id, label.release): (label.errors, label.words) for label in labels})
        state.label_id = labels[-1].id if labels else state.label_id
        champion = ledger.aliases(name).get(CHAMPION)
        if champion is not None:
            yield from _alarms(ledger, name, champion.number, state, now_s)

    def _state(self, ledger: Ledger, name: str) -> State | None:
        file = model_file(ledger, name)
        try:
            found = file.stat()
        except OSError:
            return None
        stamp = (found.st_mtime_ns, found.st_size)
        state = self._states.get(name)
        if state is None or state.stamp != stamp:
            model = model_of(ledger, name)
            if model is None:
                return None
            draws = Draws(ledger).of_model(name)
            state = State(stamp, model, draws[-1].row if draws else 0)
            self._states[name] = state
        return state

    @staticmethod
    def _is_quiet(state: State, now_s: float) -> bool:
        """Whether nothing can have changed: time alone moves what waits for a label, once a day."""
        return not any(draw.is_drawn and (draw.label_id, draw.release) not in state.labels for draw in state.draws)


def _draw(ledger: Ledger, name: str, state: State, store: ClipStore, names: ClipNames, now_s: float) -> None:
    """Adds the candidates among the new rows to the ledger, drawn or not."""
    is_fresh = False
    while rows := ledger.vitals(name, state.read_id, PAGE_ROWS):
        due = [row for row in rows if row.at_s <= now_s - GRACE_S]
        if due:
            if not is_fresh:
                names.refresh()
                is_fresh = True
            Draws(ledger).add(list(_draws_of(state.model, due, names, store, now_s)))
            state.read_id = due[-1].id
        if len(due) < len(rows):
            return


def _draws_of(
    model: ErrorModel,
    rows: Sequence[VitalsRow],
    kept: Mapping[str, Sequence[Path]],
    store: ClipStore,
    now_s: float,
) -> Iterator[Draw]:
    """Of streams with one channel: those of several count their utterances through all of them, clips do not."""
    found: list[tuple[VitalsRow, Clip]] = []
    for row in rows:
        clips = store.clips_of(row.stream_id, kept) if speech(row) else []
        if not any(clip.channel for clip in clips):
            found += [(row, clip) for clip in clips if clip.utterance == row.utterance]
    if not found:
        return
    numbers = np.array([row.numbers for row, _ in found])
    estimate = model.estimate(numbers, np.array([row.words for row, _ in found], float))
    scale = float(model.about["draw_scale"])
    for number, (row, clip) in enumerate(found):
        most = float(estimate.most[number])
        probability = float(draw_probability(np.array(most), scale))
        yield Draw(
            at_s=row.at_s,
            name=row.name,
            release=row.release,
            stream_id=row.stream_id,
            utterance=row.utterance,
            client=row.client,
            language=row.language,
            condition=model.conditions[int(estimate.condition[number])],
            words=len(units(normalise(clip.text, clip.language), clip.language)),
            expected_errors=min(float(estimate.errors[number]), most),
            most_errors=most,
            draw_probability=probability,
            is_drawn=point("label", row.stream_id, str(row.utterance)) < probability,
            scale=scale,
            row=row.id,
        )


def _alarms(ledger: Ledger, name: str, release: int, state: State, now_s: float) -> Iterator[Raised]:
    draws = [draw for draw in state.draws if draw.release == release]
    if not any((draw.label_id, release) in state.labels for draw in draws):
        return
    known = {alarm.signal for alarm in ledger.alarms(name) if alarm.evidence.get("release") == release}
    calm = calm_until(ledger, name, draws)
    accepted = accepted_rates(state.model, draws, calm)
    tests = (
        (
            WER,
            "harm",
            largest(log_harm(draws, state.labels, now_s, accepted, calm)),
            _harm_sentence(name, release, accepted_lately(state.model, draws, accepted)),
        ),
        (RESIDUAL, "concept confirmed", log_concept(draws, state.labels, now_s), _concept_sentence()),
    )
    for signal, kind, value, sentence in tests:
        if signal in known:
            continue
        if value >= LOG_LIMIT:
            labels = sum((draw.label_id, release) in state.labels for draw in draws)
            found = {"release": release, "log_evidence": round(value, 3), "labels": labels, "draws": len(draws)}
            alarm = Alarm(now_s, name, kind, signal, sentence, found)
            if added := ledger.add_alarm(alarm, f"release {release} {signal}"):
                yield Raised(added)


def _harm_sentence(name: str, release: int, accepted: float) -> str:
    return f"labels prove that the WER of {name}/{release} is above the accepted {100 * accepted:.1f} %"


def _concept_sentence() -> str:
    return f"labels show over {CONCEPT_POINTS:g} errors in 100 words more than the sound and the model explain"
