"""What a person heard -> labels: errors of each release in an utterance, and in a stream when all of it has a text."""

from collections.abc import Iterator, Sequence

from rapidfuzz.distance import Levenshtein

from asr.errors import CallerError
from asr.ledger import Draws, Label, Ledger, label_id
from asr.normalisation.normalise import normalise, units
from server.clips.store import Clip, ClipStore

MOST_CHARACTERS = 5_000
"""Of one utterance's text: 90 s of fast speech are below 2,000."""


class GoneError(CallerError):
    """The clip is not there any more: it is too old, or its consent was forgotten."""


def record(ledger: Ledger, store: ClipStore, clip: Clip, text: str, by: str, at_s: float) -> list[Label]:
    """Keeps the text beside its clip, and adds to the ledger what it says about releases: numbers, never a word.

    Raises `GoneError`, and `LedgerError`; the text is then kept, and the same call may be made again.
    """
    if not store.add_label(clip, text, by, at_s):
        raise GoneError(f"{clip.id} is not kept any more; wanted a clip of the queue")
    names = [(clip.release, clip.text)]
    second = store.second(clip)
    names += [second] if second is not None else []
    key = label_id(clip.stream_id, clip.utterance) if clip.channel == 0 else f"{clip.stream_id}/{_place(clip)}"
    labels = [_label(key, clip, release, [(text, recognised)], by, at_s) for release, recognised in names]
    labels += _of_stream(ledger, store, clip, by, at_s)
    ledger.add_labels(labels)
    return labels


def _place(clip: Clip) -> str:
    return f"{clip.channel}.{clip.utterance}"


def _of_stream(ledger: Ledger, store: ClipStore, clip: Clip, by: str, at_s: float) -> Iterator[Label]:
    """Labels of a stream that was drawn for a rollout, once each of its utterances has a text.

    The clips must have all of its words: one that was not kept would be counted as silence.
    """
    recognised = Draws(ledger).drawn_words(clip.name, clip.stream_id)
    clips = store.clips_of(clip.stream_id)
    texts = [store.label(each) for each in clips]
    second = store.second_of_stream(clip)
    if recognised is None or second is None or not all(texts):
        return
    channels = sorted({each.channel for each in clips})
    own = {channel: "".join(w.text for c in clips if c.channel == channel for w in c.words) for channel in channels}
    if sum(len(_units(text, clip.language)) for text in own.values()) != recognised:
        return
    said = {
        channel: " ".join(str(t["text"]) for c, t in zip(clips, texts, strict=True) if t and c.channel == channel)
        for channel in channels
    }
    release, theirs = second
    other = dict(enumerate(theirs))
    for number, spoken in ((clip.release, own), (release, other)):
        pairs = [(said.get(channel, ""), spoken.get(channel, "")) for channel in sorted({*said, *spoken})]
        yield _label(clip.stream_id, clip, number, pairs, by, at_s)


def _label(key: str, clip: Clip, release: int, pairs: Sequence[tuple[str, str]], by: str, at_s: float) -> Label:
    """By the rule by which the server compares two releases: Levenshtein's distance of the normalised units."""
    both = [(_units(text, clip.language), _units(recognised, clip.language)) for text, recognised in pairs]
    words = sum(len(reference) for reference, _ in both)
    errors = sum(Levenshtein.distance(reference, other) for reference, other in both)
    return Label(key, at_s, clip.name, release, words, errors, by)


def _units(text: str, language: str) -> tuple[str, ...]:
    return units(normalise(text, language), language)
