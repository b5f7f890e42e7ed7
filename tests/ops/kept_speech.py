"""Live utterances of a model whose errors are estimated. What is unreal: nobody spoke, and all are alike."""

from dataclasses import replace
from pathlib import Path

import numpy as np

from asr.ledger import Draws, Label, Ledger, Pair, VitalsRow
from asr.normalisation.normalise import normalise, units
from asr.vitals import NAMES
from asr.vitals.names import ACOUSTIC
from eval.estimate import FEATURES, ErrorModel, Place, Trees, save
from ops.quality import model_file
from server.clips.store import Clip, ClipStore, ClipWord
from tests.asr.ledger.releases import VITALS
from tests.ops.trials import NAME, NEW, OLD, ledger_with_two

NOW_S = 10_000.0
TOKEN = "t" * 32
TEXT = "they said that some of the words are very good"


def ledger_with_estimate(folder: Path) -> Ledger:
    """With a model that expects 1 error in the 10 words of every utterance."""
    ledger = ledger_with_two(folder)
    leaf, width = np.zeros(1, int), len(ACOUSTIC)
    trees = Trees(float(np.log(0.1)), leaf, leaf - 1, leaf * 0.0, leaf > 0, leaf, leaf, leaf * 0.0)
    place = Place(np.zeros(width), np.ones(width), np.eye(width), 1e9, np.zeros((1, width)), np.zeros(1))
    about = {"accepted_wer": 0.12, "draw_scale": 10.0, "features": list(FEATURES)}
    save(model_file(ledger, NAME), ErrorModel(about, ("",), trees, place, 1.0, 1.0, 0.02, 0.01, 1.0))
    return ledger


def speak(ledger: Ledger, store: ClipStore | None, count: int, first: int = 0) -> list[VitalsRow]:
    """Streams of one utterance each, of seven clients. Their clips are kept if there is a store."""
    numbers = np.full(len(NAMES), 0.5, np.float32)
    row = replace(VITALS, name=NAME, release=OLD, utterance=0, words=len(TEXT.split()), numbers=numbers)
    rows = [replace(row, at_s=1000.0 + i, stream_id=f"s{i}", client=f"c{i % 7}") for i in range(first, first + count)]
    ledger.add_vitals(rows)
    for each in rows if store else ():
        assert store
        keep(store, each)
    return rows


def keep(store: ClipStore, row: VitalsRow, consent: str = "anna", channel: int = 0, text: str = TEXT) -> Clip:
    """A second of sound and the text, as the server keeps them."""
    words = tuple(ClipWord(f" {w}", i / 10, i / 10 + 0.1, 0.9) for i, w in enumerate(text.split()))
    who = (store.hash_of(consent), row.at_s, NAME, row.release, row.stream_id, row.client)
    clip = Clip(*who, channel, row.utterance, "en", 0.0, 1.0, words)
    sound = 8000 * np.sin(np.arange(16_000) * 0.05 * (1 + row.utterance))
    assert store.add(clip, sound.astype(np.int16))
    return clip


def label(ledger: Ledger, errors: int) -> None:
    """Labels all that were drawn and have no label."""
    known = {each.stream_id for each in ledger.labels(NAME)}
    drawn = [draw for draw in Draws(ledger).of_model(NAME) if draw.is_drawn and draw.label_id not in known]
    words = len(TEXT.split())
    ledger.add_labels([Label(draw.label_id, NOW_S, NAME, OLD, words, errors, "ann") for draw in drawn])


def paired(ledger: Ledger, store: ClipStore, seconds: tuple[str, ...], consent: str = "anna") -> list[Clip]:
    """A stream of as many utterances that a second release heard otherwise, drawn for a rollout."""
    [row] = speak(ledger, None, 1, first=900)
    clips = []
    for number in range(len(seconds)):
        words = tuple(ClipWord(f" {w}", 0.1, 0.2, 0.9) for w in TEXT.split())
        who = (store.hash_of(consent), row.at_s, NAME, OLD, row.stream_id, row.client)
        clip = Clip(*who, 0, number, "en", 2.0 * number, 2.0 * number + 1, words)
        store.add(clip, np.zeros(1600, np.int16))
        clips.append(clip)
    theirs = [ClipWord(f" {w}", 2.0 * i + 0.4, 2.0 * i + 0.5, 1) for i, t in enumerate(seconds) for w in t.split()]
    store.add_second(clips[0].consent, row.stream_id, NEW, [theirs])
    words_of = len(units(normalise(" ".join([TEXT] * len(seconds)), "en"), "en"))
    ledger.add_pairs([Pair(1.0, NAME, OLD, NEW, row.stream_id, "c", "en", 4.0, words_of, words_of, 3, 0.3, True)])
    return clips
