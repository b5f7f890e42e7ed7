"""What the checks find: a finding, the forms in which one thing is written, and examples."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from eval.data.types import Utterance

EXAMPLES = 5
"""Examples kept of each form; counts are of all."""
GROUPS = 25
"""Groups or examples kept of each finding, the most frequent first; `count` is of all."""


@dataclass(frozen=True, slots=True)
class Example:
    """One utterance. ``note`` points out what to look at if the text alone does not show it."""

    dataset: str
    utterance: str
    text: str
    note: str = ""
    language: str = ""


@dataclass(frozen=True, slots=True)
class Form:
    """One way to write a thing, the number of utterances that write it so, and some of them."""

    text: str
    count: int
    examples: tuple[Example, ...] = ()


@dataclass(frozen=True, slots=True)
class Group:
    """One thing and the forms in which it is written, the most frequent first. ``rule`` says which form to keep."""

    forms: tuple[Form, ...]
    rule: str = ""


@dataclass(frozen=True, slots=True)
class Finding:
    """One kind of trouble that occurs ``count`` times; ``what`` names it in the plural; ``by_set`` counts per set.

    A ``grave`` finding makes scores wrong (a label that does not match the audio, a recording in two sets). The others
    make them less precise.
    """

    area: str
    kind: str
    what: str
    count: int
    rule: str = ""
    groups: tuple[Group, ...] = ()
    examples: tuple[Example, ...] = ()
    grave: bool = False
    by_set: tuple[tuple[str, int], ...] = ()

    @property
    def sentence(self) -> str:
        """The finding and its count as a sentence."""
        return f"{self.what[0].upper()}{self.what[1:]}: {self.count}."

    @property
    def not_shown(self) -> int:
        """How many cases are neither among the examples nor the groups."""
        shown = len(self.examples) or len(self.groups)
        return self.count - shown if self.examples or shown == GROUPS else 0

    @property
    def preview(self) -> tuple[str, ...]:
        """The first few cases, abbreviated."""
        if self.groups:
            return tuple(" / ".join(f"{f.text[:40]} {f.count}" for f in group.forms[:4]) for group in self.groups[:4])
        return tuple(dict.fromkeys(one.note for one in self.examples[:6] if one.note))[:4]


Written = tuple[str, str, Utterance]
"""A key that is equal for all forms of one thing, the form, and the utterance that uses it."""


def example(utterance: Utterance, note: str = "") -> Example:
    """The utterance as an example."""
    return Example(utterance.dataset, utterance.id, utterance.text, note, utterance.language)


def examples(utterances: Iterable[Utterance], limit: int = EXAMPLES) -> tuple[Example, ...]:
    """The first `limit` utterances, each once."""
    return tuple(map(example, list(dict.fromkeys(utterances))[:limit]))


def grouped(written: Iterable[Written], rule: str = "write “{}” everywhere") -> tuple[Group, ...]:
    """The things written in several forms, sorted by the number of utterances that do not use the main form."""
    by_key: dict[str, dict[str, dict[Utterance, None]]] = defaultdict(lambda: defaultdict(dict))
    for key, form, utterance in written:
        by_key[key][form][utterance] = None
    groups = [_group(forms, rule) for forms in by_key.values() if len(forms) > 1]
    return tuple(sorted(groups, key=lambda group: -sum(form.count for form in group.forms[1:])))


def _group(utterances_of: Mapping[str, Iterable[Utterance]], rule: str) -> Group:
    forms = [Form(text, len(list(users)), examples(users)) for text, users in utterances_of.items()]
    forms.sort(key=lambda form: (-form.count, form.text))
    is_tie = len(forms) > 1 and forms[0].count == forms[1].count
    return Group(tuple(forms), "choose one: equally many labels have each" if is_tie else rule.format(forms[0].text))


def of_groups(
    area: str, kind: str, what: str, groups: tuple[Group, ...], grave: bool = False, minority: bool = False
) -> list[Finding]:
    """One finding that counts the groups; with ``minority`` the utterances not in the main form. [] if no groups."""
    if not groups:
        return []
    count = sum(form.count for group in groups for form in group.forms[1:]) if minority else len(groups)
    return [Finding(area, kind, what, count, groups=groups[:GROUPS], grave=grave)]


def of_examples(
    area: str,
    kind: str,
    what: str,
    all_examples: tuple[Example, ...],
    rule: str = "",
    grave: bool = False,
    limit: int = GROUPS,
) -> list[Finding]:
    """One finding that counts the examples and keeps the first `limit`. [] if there are none."""
    if not all_examples:
        return []
    sets = tuple(Counter(one.dataset for one in all_examples).most_common())
    kept = all_examples[:limit]
    return [Finding(area, kind, what, len(all_examples), rule, examples=kept, grave=grave, by_set=sets)]
