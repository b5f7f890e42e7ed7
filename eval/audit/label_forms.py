"""Finds words and marks that labels write in several ways, and suggests which way to keep.

If labels are inconsistent, scoring counts a model's correct word as an error because it writes the other form.
"""

import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

from asr.normalisation.canonical import is_part_of_word
from asr.normalisation.normalise import base_language, is_by_character, normalise
from eval.audit.characters import tone_key
from eval.audit.findings import Example, Finding, Written, example, examples, grouped, of_examples, of_groups
from eval.data.types import Utterance

AREA = "labels"

SAID_DIFFERENTLY = frozenset(
    {"cause", "'cause", "wanna", "kinda", "sorta", "dunno", "gotta", "gonna", "imma", "woulda", "coulda", "shoulda"}
)
"""English words that the normaliser maps to others, although they are other words to the ear."""

FILLERS: Mapping[str, frozenset[str]] = {
    "en": frozenset(["uh", "um", "uhm", "umm", "er", "erm", "hm", "hmm", "mhm", "mm", "ah", "eh"]),
    "vi": frozenset(["ừm", "ờm", "ừ", "ờ", "ừa", "hử"]),
    "de": frozenset(["äh", "ähm", "öh", "öhm", "hm", "hmm"]),
    "fr": frozenset(["euh", "heu", "hum", "bah"]),
    "es": frozenset(["eh", "em", "ehm", "mmm"]),
    "ru": frozenset(["э", "ээ", "эм", "мм", "хм"]),
}
"""Spellings of hesitation sounds, by language."""

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
"""A symbol -> its words, by language. "&" is not searched as a word, because "and" is also an ordinary word."""

_TAG = re.compile(r"\[[^\]]*\]|<[^>]*>|\{[^}]*\}|\([^)]*\)|\*[^*]+\*")
_ENDS = tuple(".!?…。！？;:")
_OPENING = tuple("\"“„«'‘(")
_HYPHENS = "-‐‑"


def label_findings(utterances: Sequence[Utterance]) -> list[Finding]:
    """All findings of this module, over all sets together: inconsistency between sets counts too."""
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
    """The word without outer punctuation, case kept; "" if nothing remains."""
    letters = [i for i, character in enumerate(word) if is_part_of_word(character)]
    return word[letters[0] : letters[-1] + 1] if letters else ""


def words_of(utterance: Utterance) -> list[str]:
    """The label's words without outer punctuation, empty ones dropped."""
    return [word for word in map(bare, utterance.text.split()) if word]


def windows(words: Sequence[str], longest: int) -> Iterator[tuple[str, ...]]:
    """All sequences of 1 to `longest` consecutive words."""
    for start in range(len(words)):
        for length in range(1, min(longest, len(words) - start) + 1):
            yield tuple(words[start : start + length])


def casing_styles(utterances: Sequence[Utterance]) -> list[Finding]:
    """Labels in capitals, in small letters and in mixed case."""
    styles = [(style, utterance) for utterance in utterances if (style := _style(utterance.text))]
    groups = grouped((("", style, utterance) for style, utterance in styles), "{} in all labels")
    return of_groups(AREA, "casing of labels", "labels in another letter case than most", groups, minority=True)


def _style(text: str) -> str:
    """The label's case; "" for a single word and for scripts without case."""
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
    return of_groups(AREA, "punctuation at the end", "labels with another ending than most", groups, minority=True)


def _ending(text: str) -> str:
    return "with" if text.rstrip().rstrip("\"'”’»)").endswith(_ENDS) else "without"


def casing_of_words(utterances: Sequence[Utterance]) -> list[Finding]:
    """Words in several letter cases, unless a sentence begins there or the whole label has one case."""

    def written() -> Iterable[Written]:
        for utterance in utterances:
            if _style(utterance.text) != "Mixed case" or base_language(utterance.language) == "de":
                continue  # German capitalises a verb that is used as a noun
            before = "."
            for word in utterance.text.split():
                form = bare(word)
                if form.isalpha() and not _begins(before, word):
                    yield form.casefold(), form, utterance
                before = word

    groups = grouped(written(), "mostly “{}”; another case only in names")
    return of_groups(AREA, "casing of a word", "words in several letter cases", groups)


def _begins(before: str, word: str) -> bool:
    """True if a sentence or quotation may begin with the word, judged by the word before it."""
    return word.startswith(_OPENING) or before.rstrip("\"'”’»)").endswith((*_ENDS, *_OPENING, "-", "–", "—"))


def hyphens(utterances: Sequence[Utterance]) -> list[Finding]:
    """ "e-mail", "email" and "e mail": words with a hyphen in one label and without in another."""
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
    """English words that the normaliser maps to one: colour and color, okay and ok, Mr. and Mister.

    Not those that are said differently ("cause" and "because"): a label writes what was said.
    """
    english = [utterance for utterance in utterances if base_language(utterance.language) == "en"]
    vocabulary = {word.casefold().rstrip(",;:!?") for utterance in english for word in utterance.text.split()}
    vocabulary -= SAID_DIFFERENTLY
    normalised = {word: normalise(word, "en") for word in vocabulary if any(map(str.isalpha, word))}
    shared = Counter(normalised.values())

    def written() -> Iterable[Written]:
        for utterance in english:
            for word in utterance.text.casefold().split():
                form = bare(word)
                key = normalised.get(word.rstrip(",;:!?"), "")
                if shared[key] > 1 and not any(map(str.isdigit, key)) and key:
                    yield key, form, utterance

    return of_groups(AREA, "spelling", "words in several spellings", grouped(written()))


def tone_marks(utterances: Sequence[Utterance]) -> list[Finding]:
    """Vietnamese syllables with the tone mark on different vowels: hòa and hoà."""
    vietnamese = [utterance for utterance in utterances if base_language(utterance.language) == "vi"]
    spelled = ((word.casefold(), utterance) for utterance in vietnamese for word in words_of(utterance))
    groups = grouped((tone_key(word), _composed(word), utterance) for word, utterance in spelled)
    return of_groups(AREA, "place of the tone mark", "syllables with the tone mark in two places", groups)


def _composed(word: str) -> str:
    """The word in NFC; `eval.audit.characters` reports differences of normal form."""
    return unicodedata.normalize("NFC", word)


def typography(utterances: Sequence[Utterance]) -> list[Finding]:
    """Marks that are written with several characters, such as ' and ’."""

    def written() -> Iterable[Written]:
        for utterance in utterances:
            for mark, signs in TYPOGRAPHY.items():
                yield from ((mark, sign, utterance) for sign in signs if sign in utterance.text)

    groups = tuple(group for group in grouped(written(), "write {} everywhere") if not _is_pair(group.forms))
    return of_groups(AREA, "typography", "marks written with several characters", groups)


def _is_pair(forms: Iterable[object]) -> bool:
    """True for an opening and its closing mark: they belong together."""
    return {getattr(form, "text", "") for form in forms} in ({"“", "”"}, {"„", "“"}, {"«", "»"})


def symbols(utterances: Sequence[Utterance]) -> list[Finding]:
    """Symbols in some labels whose words stand in others: % and percent."""

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
    return of_groups(AREA, "symbols", "symbols that are also written as words", groups)


def fillers(utterances: Sequence[Utterance]) -> list[Finding]:
    """Labels with hesitation sounds."""

    def filler_example(utterance: Utterance) -> Example | None:
        spellings = FILLERS.get(base_language(utterance.language), frozenset())
        words = [word for word in words_of(utterance) if word.casefold() in spellings]
        return example(utterance, ", ".join(dict.fromkeys(words))) if words else None

    shown = tuple(one for one in map(filler_example, utterances) if one)
    rule = "transcribe them everywhere with one spelling each, or nowhere"
    return of_examples(AREA, "fillers", "labels with hesitation sounds", shown, rule)


def tags(utterances: Sequence[Utterance]) -> list[Finding]:
    """Text in brackets or between asterisks: [noise], <unk>, (laughs). Whisper's normaliser drops most of it."""
    tagged = [(tag, utterance) for utterance in utterances for tag in _TAG.findall(utterance.text)]
    shown = tuple(example(utterance, tag) for tag, utterance in tagged)
    rule = "use one list of tags; put no spoken words in brackets, because the normaliser drops them"
    return of_examples(AREA, "tags", "tags and remarks in brackets", shown, rule)


def spaces(utterances: Sequence[Utterance]) -> list[Finding]:
    """Double spaces, tabs, line ends, spaces at the beginning or end."""
    odd = [u for u in utterances if any(clip.text != " ".join(clip.text.split()) for clip in u.clips)]
    shown = tuple(map(example, odd))
    return of_examples(AREA, "spaces", "labels with superfluous spaces", shown, "one space between words")


def without_text(utterances: Sequence[Utterance]) -> list[Finding]:
    """Empty labels: correct for noise, wrong for speech."""
    shown = examples((u for u in utterances if not u.text.strip()), limit=len(utterances))
    return of_examples(
        AREA, "empty labels", "labels without text", shown, "leave a label empty only if nothing is said"
    )
