"""What an audit finds: findings, the forms that one thing is written in, and the examples that show it."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from eval.data.types import Utterance

EXAMPLES = 5
"""Shown of each form; counts are of all."""
GROUPS = 25
"""Shown of each finding, the most frequent first; `count` is of all."""


@dataclass(frozen=True, slots=True)
class Example:
    """One utterance that shows it. ``note``: what is to be seen there, where the text does not say it."""

    dataset: str
    utterance: str
    text: str
    note: str = ""


@dataclass(frozen=True, slots=True)
class Form:
    """One way to write a thing, in how many utterances, and some of them."""

    text: str
    count: int
    examples: tuple[Example, ...] = ()


@dataclass(frozen=True, slots=True)
class Group:
    """One thing and the ways in which it is written, the commonest first; ``rule``: which one to keep."""

    forms: tuple[Form, ...]
    rule: str = ""


@dataclass(frozen=True, slots=True)
class Finding:
    """One kind of trouble: ``count`` times ``what``, which is a name for several things; ``by_set``: in which sets.

    ``grave``: it makes scores wrong (a label that is not what was said, a recording in two sets), where the others make
    them blurred.
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
        return f"{self.what[0].upper()}{self.what[1:]}: {self.count}."

    @property
    def unseen(self) -> int:
        """How many more there are than are shown."""
        shown = len(self.examples) or len(self.groups)
        return self.count - shown if self.examples or shown == GROUPS else 0

    @property
    def glance(self) -> tuple[str, ...]:
        """The first few in short."""
        if self.groups:
            return tuple(" / ".join(f"{f.text[:40]} {f.count}" for f in group.forms[:4]) for group in self.groups[:4])
        return tuple(dict.fromkeys(one.note for one in self.examples[:6] if one.note))[:4]


Written = tuple[str, str, Utterance]
"""A key that is the same for one thing however it is written, the form that was found, and where."""


def example(utterance: Utterance, note: str = "") -> Example:
    return Example(utterance.dataset, utterance.id, utterance.text, note)


def examples(utterances: Iterable[Utterance], limit: int = EXAMPLES) -> tuple[Example, ...]:
    """The first few, each utterance once."""
    return tuple(map(example, list(dict.fromkeys(utterances))[:limit]))


def grouped(written: Iterable[Written], rule: str = "write “{}” everywhere") -> tuple[Group, ...]:
    """Things that were written in more than one form, those of the most utterances beside the main form first."""
    found: dict[str, dict[str, dict[Utterance, None]]] = defaultdict(lambda: defaultdict(dict))
    for key, form, utterance in written:
        found[key][form][utterance] = None
    groups = [_group(forms, rule) for forms in found.values() if len(forms) > 1]
    return tuple(sorted(groups, key=lambda group: -sum(form.count for form in group.forms[1:])))


def _group(found: Mapping[str, Iterable[Utterance]], rule: str) -> Group:
    forms = [Form(text, len(list(where)), examples(where)) for text, where in found.items()]
    forms.sort(key=lambda form: (-form.count, form.text))
    even = len(forms) > 1 and forms[0].count == forms[1].count
    return Group(tuple(forms), "choose one: as many labels have each" if even else rule.format(forms[0].text))


def of_groups(
    area: str, kind: str, what: str, groups: tuple[Group, ...], grave: bool = False, minority: bool = False
) -> list[Finding]:
    """One finding, or none where there are no groups; counts them, with ``minority`` what is not in the main form."""
    if not groups:
        return []
    count = sum(form.count for group in groups for form in group.forms[1:]) if minority else len(groups)
    return [Finding(area, kind, what, count, groups=groups[:GROUPS], grave=grave)]


def of_examples(
    area: str,
    kind: str,
    what: str,
    found: tuple[Example, ...],
    rule: str = "",
    grave: bool = False,
    limit: int = GROUPS,
) -> list[Finding]:
    """One finding that counts the examples, or none where there is none."""
    if not found:
        return []
    sets = tuple(Counter(one.dataset for one in found).most_common())
    return [Finding(area, kind, what, len(found), rule, examples=found[:limit], grave=grave, by_set=sets)]
