"""The report's first sentences: which system to choose, for what reason, and what data is missing for an answer."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from eval.html.formatting import listed, plain, plural, significant
from eval.metrics.significance import fewest_units
from eval.report.systems import Comparison

OBVIOUS_FACTOR = 1.5
"""Two runs of the same code differed by up to 1.29 in CPU time. A single run counts from this factor on."""
FRACTIONS = ((1 / 4, "a quarter of the CPU"), (1 / 3, "a third of the CPU"), (1 / 2, "half the CPU"))
NEAR = 0.08
"""A share of the CPU time that is so near to one of these has its words."""


@dataclass(frozen=True, slots=True)
class Lead:
    """A figure in which one of two systems is ahead.

    Attributes:
        of: The system that is ahead.
        subject: "accuracy", "cost" or "delay".
        ahead: What is better: "half the CPU".
        behind: The same of the other system: "twice the CPU".
        note: On what it rests: "in one run"; "" where it is beyond chance.
    """

    of: str
    subject: str
    ahead: str
    behind: str
    note: str = ""


def advice(pair: Comparison) -> str:
    """Which of two systems to choose, or that nothing speaks for either, and how far apart their errors are."""
    leads = leads_of(pair)
    winners = list(dict.fromkeys(lead.of for lead in leads))
    if pair.wer.value is None:
        return f"{pair.left} and {pair.right} have no recording in common: they cannot be compared."
    if not leads:
        return f"Neither {pair.left} nor {pair.right} is shown to be better. {_accuracy(pair, pair.left)}"
    best = winners[0]
    if pair.is_significant:
        return _for_accuracy(pair, best, leads)
    if len(winners) > 1:
        choices = " or ".join(f"{lead.of} for {lead.subject} ({lead.ahead})" for lead in leads)
        return f"Choose {choices}. {_accuracy(pair, best)}"
    return f"Choose {best}: {_of_the_other(leads, pair, best)}. {_accuracy(pair, best)}"


def advice_of_many(rates: Mapping[str, float], pairs: Sequence[Comparison], rate: str) -> str:
    """Which of three systems or more to choose; ``rates`` are their error rates on what all have, named ``rate``."""
    best = min(rates, key=lambda name: rates[name])
    between = {frozenset((pair.left, pair.right)): pair for pair in pairs}
    against = {name: between[frozenset((name, best))] for name in rates if name != best}
    beaten = [name for name, pair in against.items() if pair.is_significant]
    rivals = [name for name in against if name not in beaten]
    worse = f"; {listed(beaten)} {'is' if len(beaten) == 1 else 'are'} worse beyond chance" if beaten else ""
    lowest = f"the lowest {rate}, {rates[best]:.1f} %"
    chosen = _dominant([best, *rivals], between)
    if chosen is not None and chosen != best:
        leads = [lead.ahead for lead in leads_of(against[chosen])]
        return f"Choose {chosen}: {listed(leads)} beside {best}, which has {lowest}, {_not_shown([chosen])}{worse}."
    if not beaten and chosen is None:
        return f"None of {listed(list(rates))} is shown to be better: {best} has {lowest}. {_settle(against, rivals)}"
    shown = [f"better than {listed(beaten)} beyond chance"] if beaten else []
    leads = [_of_the_other(leads_of(against[rivals[0]]), against[rivals[0]], best)] if chosen and rivals else []
    reasons = ", ".join((lowest, *shown, *leads))
    rest = f"; against {listed(rivals)} no difference is shown" if rivals else ""
    return " ".join(part for part in (f"Choose {best}: {reasons}{rest}.", _settle(against, rivals)) if part)


def leads_of(pair: Comparison) -> list[Lead]:
    """In which figures one is ahead beyond chance: errors, then cost, then delay."""
    return [*_wer_lead(pair), *_cost_lead(pair), *_delay_lead(pair)]


def more_data_text(pair: Comparison) -> str:
    """What would settle an open comparison: "about 400 more recordings of 80 more speakers"; "" for nothing."""
    more = pair.more
    if more is None or more.recordings == 0:
        return ""
    if more.recordings is None or more.speakers is None:
        return "more recordings than anybody has"
    recordings = f"about {plural(_rounded(more.recordings), 'more recording')}"
    return recordings if pair.unknown else f"{recordings} of {plural(_rounded(more.speakers), 'more speaker')}"


def _for_accuracy(pair: Comparison, best: str, leads: Sequence[Lead]) -> str:
    """The advice where one has fewer errors beyond chance."""
    other = pair.right if best == pair.left else pair.left
    mine = [lead for lead in leads if lead.of == best]
    against = [lead.behind for lead in leads if lead.of != best]
    if against:
        return (
            f"Choose {best} if accuracy counts most: {_of_the_other(mine, pair, best)}, but {listed(against)}; "
            f"{other} otherwise."
        )
    return f"Choose {best}: {_of_the_other(mine, pair, best)}."


def _of_the_other(leads: Sequence[Lead], pair: Comparison, best: str) -> str:
    """The leads as a phrase that names the other system once."""
    other = pair.right if best == pair.left else pair.left
    first, *rest = leads
    than = "of" if first.subject == "cost" else "than"
    return ", ".join((f"{first.ahead} {than} {other}{first.note}", *(lead.ahead + lead.note for lead in rest)))


def _accuracy(pair: Comparison, name: str) -> str:
    """What is known of the errors of ``name`` against the other's where no difference is shown."""
    rate = "CER" if pair.unit == "characters" else "WER"
    if pair.has_too_few_speakers:
        needed = fewest_units(pair.comparisons)
        return f"Too few speakers to tell which has fewer errors: {pair.speakers}, wanted {needed} or more."
    value = pair.wer.value or 0.0
    if pair.wer.tied or not value:
        return f"Both have the same {rate} here{_which_is_open(pair)}."
    is_lower = (value < 0) == (name == pair.left)
    apart = f"The {rate} of {name} is {abs(value):.1f} points {'lower' if is_lower else 'higher'}, which may be chance"
    return f"{apart}{_which_is_open(pair)}."


def _which_is_open(pair: Comparison) -> str:
    """What data would settle it, after a colon; that this data would have shown more, where it would have."""
    wanted = more_data_text(pair)
    if wanted:
        return f": {wanted} would settle it"
    return f"; this data would have shown {significant(pair.more.points)} points" if pair.more else ""


def _settle(against: Mapping[str, Comparison], rivals: Sequence[str]) -> str:
    """The data that would settle the nearest open comparison; "" where none is known."""
    texts = [(pair.more.recordings, name, more_data_text(pair)) for name in rivals if (pair := against[name]).more]
    found = [(count, name, text) for count, name, text in texts if count]
    if not found:
        return ""
    _, name, text = min(found)
    return f"{text[0].upper()}{text[1:]} would settle {name} as the first."


def _not_shown(names: Sequence[str]) -> str:
    return f"but is not shown to be better than {listed(list(names))}"


def _dominant(names: Sequence[str], between: Mapping[frozenset[str], Comparison]) -> str | None:
    """The one that is ahead of each other in cost or delay and behind none in anything; None where there is none."""
    for name in names:
        others = [leads_of(between[frozenset((name, other))]) for other in names if other != name]
        if others and all(leads and all(lead.of == name for lead in leads) for leads in others):
            return name
    return None


def _wer_lead(pair: Comparison) -> Iterator[Lead]:
    value = pair.wer.value
    if value is None or not pair.is_significant:
        return
    rate = "CER" if pair.unit == "characters" else "WER"
    best = pair.left if value < 0 else pair.right
    yield Lead(best, "accuracy", f"{abs(value):.1f} points less {rate}", f"{abs(value):.1f} points more {rate}")


def _cost_lead(pair: Comparison) -> Iterator[Lead]:
    ratio = pair.cost.value
    if not ratio:
        return
    is_judged = pair.cost.low is not None
    share = min(ratio, 1 / ratio)
    if not (pair.cost.excludes(1) if is_judged else share * OBVIOUS_FACTOR < 1):
        return
    note = "" if is_judged else " in one run" if pair.rounds == 1 else f" in {pair.rounds} runs"
    best = pair.left if ratio < 1 else pair.right
    yield Lead(best, "cost", _cpu(share), f"{_times(1 / share)} the CPU", note)


def _delay_lead(pair: Comparison) -> Iterator[Lead]:
    delay = pair.delay
    if delay is None or delay.value is None or not delay.excludes_zero:
        return
    best = pair.left if delay.value < 0 else pair.right
    seconds = f"words {significant(abs(delay.value))} s"
    yield Lead(best, "delay", f"{seconds} earlier", f"{seconds} later")


def _cpu(share: float) -> str:
    """A share of the CPU time in words: "half the CPU", "0.71 times the CPU"."""
    near = (words for fraction, words in FRACTIONS if abs(share / fraction - 1) <= NEAR)
    return next(near, f"{plain(share, 2)} times the CPU")


def _times(factor: float) -> str:
    return "twice" if abs(factor / 2 - 1) <= NEAR else f"{significant(factor)} times"


def _rounded(count: int) -> int:
    """With one significant digit, two from 20 on: an estimate of an estimate."""
    size: int = 10 ** max(0, len(str(count)) - (1 if str(count)[0] >= "5" else 2))
    return -(-count // size) * size
