"""Writes a hypothesis as its reference is written wherever both say the same: spaces in words, alternates, options.

The reference never changes with the hypothesis, so that all systems are scored against the same units.
"""

import re
from collections.abc import Sequence

from rapidfuzz.distance import Levenshtein

from asr.normalisation.canonical import open_digits
from asr.normalisation.normalise import normalise, units

_LONGEST = 4
"""Units of the longest compound that is joined or split."""

_MARKUP = re.compile(r"\{([^{}]*/[^{}]*)\}|[(（]([^()（）]+)[)）]")
_NOTHING = "@"
"""An alternate that stands for no word (SCTK)."""

Units = tuple[str, ...]


def plain_reference(text: str) -> str:
    """A reference without its markup: the first of alternates, without optional words."""
    return " ".join(_MARKUP.sub(lambda match: _options(match)[0], open_digits(text)).split())


def comparable_units(reference: str, hypothesis: str, language: str) -> tuple[Units, Units]:
    """The scoring units of a reference, and those of a hypothesis written in the same way.

    A reference may have SCTK's alternates ``{okay / all right / @}``, where @ is no word, and optional words ``(uh)``.
    The reference keeps its first alternate, and a hypothesis that says another one word for word counts as right. What
    stands in parentheses, which may be a remark on the sound or spoken text, counts in neither. Compounds that differ
    in spaces are one: "e mail", "email".
    """
    said = units(normalise(hypothesis, language), language)
    reference = open_digits(reference)
    if _MARKUP.search(reference):
        segments = _segments(reference, language)
        written = tuple(unit for options in segments for unit in options[0])
        said = _first_options(segments, said)
    else:
        written = units(normalise(reference, language), language)
    return written, same_spaces(written, said)


def same_spaces(reference: Sequence[str], hypothesis: Sequence[str]) -> Units:
    """`hypothesis` with the words of `reference` where the two differ in spaces only.

    Spaces are writing: "healthcare", "health care". As the compound pairs of the Open ASR Leaderboard, but the
    reference stays and a compound beside a wrong word is found too.
    """
    rewritten: list[str] = []
    done = 0
    for left, right, start, end in _differing(reference, hypothesis):
        rewritten += [*hypothesis[done:start], *_respaced(reference[left:right], hypothesis[start:end])]
        done = end
    rewritten += hypothesis[done:]
    better = Levenshtein.distance(reference, rewritten) < Levenshtein.distance(reference, hypothesis)
    return tuple(rewritten if better else hypothesis)


def _differing(reference: Sequence[str], hypothesis: Sequence[str]) -> list[tuple[int, int, int, int]]:
    """The regions without equal units, each one unit wider on both sides: (from, to) of reference and hypothesis."""
    regions: list[tuple[int, int, int, int]] = []
    for edit in Levenshtein.opcodes(reference, hypothesis):
        if edit.tag == "equal":
            continue
        left, start = max(0, edit.src_start - 1), max(0, edit.dest_start - 1)
        if regions and (left < regions[-1][1] or start < regions[-1][3]):
            left, _, start, _ = regions.pop()
        right, end = min(len(reference), edit.src_end + 1), min(len(hypothesis), edit.dest_end + 1)
        regions.append((left, right, start, end))
    return regions


def _respaced(reference: Sequence[str], hypothesis: Sequence[str]) -> list[str]:
    spans = {
        _letters(reference[start:end]): reference[start:end]
        for start in range(len(reference))
        for end in range(start + 1, min(len(reference), start + _LONGEST) + 1)
    }
    out: list[str] = []
    start = 0
    while start < len(hypothesis):
        ends = range(min(len(hypothesis), start + _LONGEST), start, -1)
        end = next((end for end in ends if _letters(hypothesis[start:end]) in spans), start + 1)
        out += spans.get(_letters(hypothesis[start:end]), hypothesis[start:end])
        start = end
    return out


def _letters(words: Sequence[str]) -> str:
    """The words without spaces, the number 1 spelled: "every 1" of "every one" is "everyone"."""
    return "".join("one" if word == "1" else word for word in words)


def _options(match: re.Match[str]) -> list[str]:
    """The ways to say a marked place, the one that the reference keeps first; "" for no word."""
    alternates, optional = match.groups()
    if optional is not None:
        return ["", optional.strip()]
    options = [option.strip().replace(_NOTHING, "") for option in alternates.split("/")]
    return sorted(options, key=bool) if "" in options else options


def _segments(reference: str, language: str) -> list[list[Units]]:
    """The reference in pieces, each with its options as units; text without markup has one option."""
    pieces: list[list[str]] = []
    end = 0
    for match in _MARKUP.finditer(reference):
        pieces += [[reference[end : match.start()]], _options(match)]
        end = match.end()
    pieces.append([reference[end:]])
    return [[units(normalise(option, language), language) for option in options] for options in pieces]


def _first_options(segments: Sequence[Sequence[Units]], said: Units) -> Units:
    """`said` with the first option where it says another one word for word; without optional words, right or wrong."""
    chosen = [options[0] for options in segments]
    for i, options in enumerate(segments):
        if len(options) > 1:
            chosen[i] = min(options, key=lambda option: Levenshtein.distance(_joined(chosen, i, option), said))
    said_at = _places(_joined(chosen), said)
    out = list(said)
    starts = [sum(map(len, chosen[:i])) for i in range(len(chosen))]
    for start, option, options in reversed(list(zip(starts, chosen, segments, strict=True))):
        if option and option != options[0]:
            place = slice(said_at[start][0], said_at[start + len(option) - 1][1])
            if said[place] == option or not options[0]:
                out[place] = options[0]
    return tuple(out)


def _joined(chosen: Sequence[Units], i: int = 0, option: Units | None = None) -> list[str]:
    return [unit for k, each in enumerate(chosen) for unit in (each if option is None or k != i else option)]


def _places(reference: Sequence[str], hypothesis: Sequence[str]) -> list[tuple[int, int]]:
    """Where the hypothesis has each reference unit in a minimal alignment: from, to; empty where it is deleted."""
    places: list[tuple[int, int]] = []
    for edit in Levenshtein.opcodes(reference, hypothesis):
        width = 0 if edit.tag == "delete" else 1
        starts = (edit.dest_start + width * i for i in range(edit.src_end - edit.src_start))
        places += [(start, start + width) for start in starts]
    return places
