"""`asr models gate NAME/7`: a release against the champion on standing sets, before any live stream meets it.

Both are run on the same data (`asr eval run`), and checked as `asr eval gate` does. All releases of a ledger share one
file of looks: however many releases are tried on a set, 5 % is the chance that one is called worse by mistake. Each
result is a row of the ledger, which `asr models promote` rests on; a release that passes may become the shadow at once.
"""

from dataclasses import dataclass
from pathlib import Path

from asr.aliases import CHAMPION, SHADOW, SHARE
from asr.errors import ConfigError, LedgerError
from asr.ledger import Ledger, Release
from asr.ledger.ledger import resolve
from asr.ledger.values import Gate
from eval.report.command import GateFiles
from eval.report.command import gate as check
from eval.report.gate import GateError, Limits

BY = "asr models gate"
LOOKS = "looks.jsonl"
"""Beside the folder of the ledger's releases."""


@dataclass(frozen=True, slots=True)
class Gated:
    """A release and the champion that it is compared with."""

    new: Release
    champion: Release

    def run_of(self, release: Release, out: Path) -> Path:
        """The folder of this release's run. The hash is in its name: another release never continues it."""
        return out / f"{release.name}-{release.number}-{release.sha256[:12]}"


def releases(ledger: Ledger, ref: str) -> Gated:
    """The release of this name and the champion. Raises `LedgerError` where one is missing or they are the same."""
    new = resolve(ref, ledger)
    if new is None:
        raise LedgerError(f"the ledger has no release {ref}; wanted one such as NAME/7: asr models add NAME FOLDER")
    champion = ledger.aliases(new.name).get(CHAMPION)
    if champion is None:
        raise LedgerError(f"{new.name} has no champion to compare with; wanted one: asr models promote {new.ref}")
    if champion.number == new.number:
        raise LedgerError(f"{new.ref} is the champion; wanted another release, to be compared with it")
    return Gated(new, champion)


def judge(ledger: Ledger, gated: Gated, out: Path, limits: Limits, junit: Path | None, share: float | None) -> Gate:
    """Checks the runs of both releases in ``out``, records the result, and makes the release the shadow if ``share``.

    Raises `GateError` where it is worse and `ConfigError` where that cannot be said: then nothing moves.
    """
    new, looks = gated.new, ledger.releases_folder.parent / LOOKS
    files = GateFiles(gated.run_of(new, out), gated.run_of(gated.champion, out), looks, junit)
    try:
        results = check(files, limits, None)
        if rose := "; ".join(f"{each.system}: {each.sentence}" for each in results if each.rose):
            raise ConfigError(
                f"{new.ref} cannot be said to be as good as {gated.champion.ref}: the data are too few to tell a rise "
                f"from chance; wanted more recordings ({rose})"
            )
    except (GateError, ConfigError) as error:
        ledger.add_gate(new.name, new.number, has_passed=False, by=BY, evidence={"why": str(error)})
        raise
    evidence = {"checks": [f"{each.system}: {each.sentence}" for each in results]}
    gate = ledger.add_gate(new.name, new.number, has_passed=True, by=BY, evidence=evidence)
    if share is not None:
        why = f"passed the gate against {gated.champion.ref}"
        ledger.move(
            new.name, SHADOW, expected=None, to=new.number, by=BY, why=why, evidence=evidence, options={SHARE: share}
        )
    return gate
