"""One thing written in several ways across labels: each finder takes utterances and tells what it found, and a rule.

Whatever differs only so is counted as an error of the model that wrote the other form.
"""

import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

from eval.audit.characters import tone_key
from eval.audit.findings import Example, Finding, Written, example, examples, grouped, of_examples, of_groups
from eval.data.types import Utterance
from eval.normalise import base_language, is_by_character, normalise

AREA = "labels"

FILLERS: Mapping[str, frozenset[str]] = {
    "en": frozenset(["uh", "um", "uhm", "umm", "er", "erm", "hm", "hmm", "mhm", "mm", "ah", "eh"]),
    "vi": frozenset(["ừm", "ờm", "ừ", "ờ", "ừa", "hử"]),
    "de": frozenset(["äh", "ähm", "öh", "öhm", "hm", "hmm"]),
    "fr": frozenset(["euh", "heu", "hum", "bah"]),
    "es": frozenset(["eh", "em", "ehm", "mmm"]),
    "ru": frozenset(["э", "ээ", "эм", "мм", "хм"]),
}
"""Sounds of hesitation as they are written, by language."""

TYPOGRAPHY: Mapping[str, tuple[str, ...]] = {
    "apostrophe": ("'", "’", "ʼ", "`", "´"),
    "quotation mark": ('"', "“", "”", "„", "«", "»", "「"),
    "dash": (" - ", "–", "—", "--"),
    "ellipsis": ("...", "…"),
}

SYMBOLS: Mapping[str, Mapping[str, tuple[str, ...]]] = {
    "%": {"en": ("percent", "per cent"), "vi": ("phần trăm",), "de": ("prozent",), "fr": ("pour cent",)},
    "&": {"en": ("and",), "vi": ("và",), "de": ("und",), "fr": ("et",)},
    "$": {"en": ("dollar", "dollars"), "vi": ("đô la",), "de": ("dollar",), "fr": ("dollar", "dollars")},
    "€": {"en": ("euro", "euros"), "vi": ("ơ rô",), "de": ("euro",), "fr": ("euro", "euros")},
    "°": {"en": ("degree", "degrees"), "vi": ("độ",), "de": ("grad",), "fr": ("degré", "degrés")},
}
"""A symbol and the words that it is spoken as; "&" counts only where there is no word for it, which there always is."""

_TAG = re.compile(r"\[[^\]]*\]|<[^>]*>|\{[^}]*\}|\([^)]*\)|\*[^*]+\*")
_ENDS = tuple(".!?…。！？;:")
_OPENING = tuple("\"“„«'‘(")
_HYPHENS = "-‐‑"


def label_findings(utterances: Sequence[Utterance]) -> list[Finding]:
    """All that this module finds, of all utterances together: what differs between sets is trouble as well."""
    labelled = [utterance for utterance in utterances if utterance.text.strip()]
    finders: tuple[Callable[[Sequence[Utterance]], list[Finding]], ...] = (
        casing_styles,
        end_punctuation,
        casing_of_words,
        hyphens,
        spellings,
        tone_marks,
        typography,
        symbols,
        fillers,
        tags,
        spaces,
    )
    return [finding for finder in finders for finding in finder(labelled)]


def bare(word: str) -> str:
    """A word without outer punctuation, its case kept; "" where it has nothing else."""
    letters = [i for i, character in enumerate(word) if character.isalnum()]
    return word[letters[0] : letters[-1] + 1] if letters else ""


def words_of(utterance: Utterance) -> list[str]:
    """The label's words without outer punctuation."""
    return [word for word in map(bare, utterance.text.split()) if word]


def windows(words: Sequence[str], longest: int) -> Iterator[tuple[str, ...]]:
    """All runs of one to `longest` words."""
    for start in range(len(words)):
        for length in range(1, min(longest, len(words) - start) + 1):
            yield tuple(words[start : start + length])


def casing_styles(utterances: Sequence[Utterance]) -> list[Finding]:
    """Labels all in capitals, all in small letters, and in both."""
    styles = [(style, utterance) for utterance in utterances if (style := _style(utterance.text))]
    groups = grouped((("", style, utterance) for style, utterance in styles), "{} in all labels")
    return of_groups(AREA, "casing of labels", "labels in another casing than most", groups, minority=True)


def _style(text: str) -> str:
    """Of scripts that have two cases and labels of more than one word; "" of others."""
    letters = [character for character in text if character.lower() != character.upper()]
    if len(text.split()) < 2 or not letters:
        return ""
    if all(character.isupper() for character in letters):
        return "ALL CAPITALS"
    return "all small letters" if all(character.islower() for character in letters) else "Mixed case"


def end_punctuation(utterances: Sequence[Utterance]) -> list[Finding]:
    """Labels of several words that end in punctuation, and labels that do not."""
    several = [u for u in utterances if len(u.text.split()) > 2 or is_by_character(u.language)]
    groups = grouped((("", _ending(utterance.text), utterance) for utterance in several), "{} for all labels")
    return of_groups(AREA, "punctuation at the end", "labels that end otherwise than most", groups, minority=True)


def _ending(text: str) -> str:
    return "with" if text.rstrip().rstrip("\"'”’»)").endswith(_ENDS) else "without"


def casing_of_words(utterances: Sequence[Utterance]) -> list[Finding]:
    """A word in several casings where neither a sentence's beginning nor a label all in one case explains it."""

    def written() -> Iterable[Written]:
        for utterance in utterances:
            if _style(utterance.text) != "Mixed case" or base_language(utterance.language) == "de":
                continue  # German writes a verb and its noun in two casings by rule
            before = "."
            for word in utterance.text.split():
                form = bare(word)
                if form.isalpha() and not _begins(before, word):
                    yield form.casefold(), form, utterance
                before = word

    groups = grouped(written(), "mostly “{}”; in another casing only in names")
    return of_groups(AREA, "casing of a word", "words in several casings", groups)


def _begins(before: str, word: str) -> bool:
    """True where a sentence or a quotation may begin with the word, by what stands before it."""
    return word.startswith(_OPENING) or before.rstrip("\"'”’»)").endswith((*_ENDS, *_OPENING, "-", "–", "—"))


def hyphens(utterances: Sequence[Utterance]) -> list[Finding]:
    """ "e-mail", "email" and "e mail": what is hyphenated somewhere, wherever it is written in another way."""
    spelled = [(utterance, [word.casefold() for word in words_of(utterance)]) for utterance in utterances]
    keys = {_closed(word) for _, words in spelled for word in words if _is_hyphenated(word)}

    def written() -> Iterable[Written]:
        for utterance, words in spelled:
            for window in windows(words, 3):
                key = _closed("".join(window))
                if key in keys and (len(window) == 1 or not any(map(_is_hyphenated, window))):
                    yield key, " ".join(window), utterance

    return of_groups(AREA, "hyphens", "words with a hyphen and without", grouped(written()))


def _is_hyphenated(word: str) -> bool:
    return any(hyphen in word for hyphen in _HYPHENS)


def _closed(word: str) -> str:
    return re.sub(f"[{_HYPHENS}]", "", word)


def spellings(utterances: Sequence[Utterance]) -> list[Finding]:
    """English words that the English normaliser makes one: colour and color, okay and ok, Mr. and Mister."""
    english = [utterance for utterance in utterances if base_language(utterance.language) == "en"]
    vocabulary = {word.casefold().rstrip(",;:!?") for utterance in english for word in utterance.text.split()}
    plain = {word: normalise(word, "en") for word in vocabulary if any(map(str.isalpha, word))}
    shared = Counter(plain.values())

    def written() -> Iterable[Written]:
        for utterance in english:
            for word in utterance.text.casefold().split():
                form = bare(word)
                key = plain.get(word.rstrip(",;:!?"), "")
                if shared[key] > 1 and not any(map(str.isdigit, key)) and key:
                    yield key, form, utterance

    return of_groups(AREA, "spelling", "words in several spellings", grouped(written()))


def tone_marks(utterances: Sequence[Utterance]) -> list[Finding]:
    """Vietnamese syllables with their tone mark on one vowel or on the other: hòa and hoà."""
    vietnamese = [utterance for utterance in utterances if base_language(utterance.language) == "vi"]
    spelled = ((word.casefold(), utterance) for utterance in vietnamese for word in words_of(utterance))
    groups = grouped((tone_key(word), _composed(word), utterance) for word, utterance in spelled)
    return of_groups(AREA, "place of the tone mark", "syllables with their tone mark in two places", groups)


def _composed(word: str) -> str:
    """In one normal form: two of them are trouble of another kind, see `eval.audit.characters`."""
    return unicodedata.normalize("NFC", word)


def typography(utterances: Sequence[Utterance]) -> list[Finding]:
    """Several characters for one mark."""

    def written() -> Iterable[Written]:
        for utterance in utterances:
            for mark, signs in TYPOGRAPHY.items():
                yield from ((mark, sign, utterance) for sign in signs if sign in utterance.text)

    groups = tuple(group for group in grouped(written(), "write {} everywhere") if not _is_pair(group.forms))
    return of_groups(AREA, "typography", "marks written with several characters", groups)


def _is_pair(forms: Iterable[object]) -> bool:
    """Opening and closing marks belong together."""
    return {getattr(form, "text", "") for form in forms} in ({"“", "”"}, {"„", "“"}, {"«", "»"})


def symbols(utterances: Sequence[Utterance]) -> list[Finding]:
    """A symbol in some labels and its word in others."""

    def written() -> Iterable[Written]:
        for utterance in utterances:
            text, language = f" {utterance.text.casefold()} ", base_language(utterance.language)
            for symbol, spoken in SYMBOLS.items():
                if symbol in text:
                    yield f"{symbol} {language}", symbol, utterance
                for form in spoken.get(language, ()):
                    if symbol != "&" and re.search(rf"\W{re.escape(form)}\W", text):
                        yield f"{symbol} {language}", form, utterance

    groups = tuple(group for group in grouped(written()) if any(form.text in SYMBOLS for form in group.forms))
    return of_groups(AREA, "symbols", "symbols that are written as words too", groups)


def fillers(utterances: Sequence[Utterance]) -> list[Finding]:
    """Labels with sounds of hesitation."""

    def noted(utterance: Utterance) -> Example | None:
        known = FILLERS.get(base_language(utterance.language), frozenset())
        heard = [word for word in words_of(utterance) if word.casefold() in known]
        return example(utterance, ", ".join(dict.fromkeys(heard))) if heard else None

    found = tuple(told for told in map(noted, utterances) if told)
    rule = "transcribe them everywhere, in one spelling each, or nowhere"
    return of_examples(AREA, "fillers", "labels with sounds of hesitation", found, rule)


def tags(utterances: Sequence[Utterance]) -> list[Finding]:
    """What stands in brackets or between asterisks: [noise], <unk>, (laughs). Whisper's normaliser drops most of it."""
    tagged = [(tag, utterance) for utterance in utterances for tag in _TAG.findall(utterance.text)]
    found = tuple(example(utterance, tag) for tag, utterance in tagged)
    rule = "one list of tags; words that are said stand in no brackets: the normaliser drops what does"
    return of_examples(AREA, "tags", "tags and remarks in brackets", found, rule)


def spaces(utterances: Sequence[Utterance]) -> list[Finding]:
    """Two spaces in a row, tabs, line ends, spaces at the beginning or at the end."""
    odd = [u for u in utterances if any(clip.text != " ".join(clip.text.split()) for clip in u.clips)]
    found = tuple(map(example, odd))
    return of_examples(AREA, "spaces", "labels with spaces where none belong", found, "one space between words")


def without_text(utterances: Sequence[Utterance]) -> list[Finding]:
    """Labels that are empty: right for noise, wrong for speech."""
    found = examples((u for u in utterances if not u.text.strip()), limit=len(utterances))
    return of_examples(AREA, "empty labels", "labels without text", found, "empty only where nothing is said")
