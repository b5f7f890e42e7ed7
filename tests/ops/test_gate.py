"""The gate of releases: made-up runs, a real ledger; its looks are shared, and a pass is the shadow's evidence."""

import json
from pathlib import Path

import pytest

from asr.aliases import CHAMPION, SHADOW
from asr.errors import ConfigError, LedgerError, MoveConflict
from eval.report.gate import GateError, Limits
from ops.gate import LOOKS, judge, releases
from tests.eval.run_folders import spoken, write_run
from tests.ops.trials import NAME, NEW, ledger_with_two


def test_a_release_that_passes_becomes_the_shadow_with_its_evidence(tmp_path: Path) -> None:
    """The move holds the checks; the look is counted once however often the same runs are judged."""
    ledger = ledger_with_two(tmp_path)
    gated = releases(ledger, f"{NAME}/{NEW}")
    write_run(gated.run_of(gated.champion, tmp_path), spoken("m/1"))
    write_run(gated.run_of(gated.new, tmp_path), spoken("m/2"))
    assert judge(ledger, gated, tmp_path, Limits(wer=1.0), None, None).has_passed
    assert SHADOW not in ledger.aliases(NAME)
    gate = judge(ledger, gated, tmp_path, Limits(wer=1.0), None, 0.2)
    assert "WER" in gate.evidence["checks"][0]
    assert ledger.moves(NAME)[-1].evidence == gate.evidence
    assert ledger.options(NAME, SHADOW) == {"share": 0.2}
    assert ledger.aliases(NAME)[SHADOW].number == NEW
    looks = (ledger.releases_folder.parent / LOOKS).read_text().splitlines()
    assert [json.loads(line)["sets"] for line in looks] == [["d"]]
    with pytest.raises(MoveConflict):
        judge(ledger, gated, tmp_path, Limits(wer=1.0), None, 0.2)


def test_a_worse_release_stays_where_it_is(tmp_path: Path) -> None:
    """One sentence, and no alias moves."""
    ledger = ledger_with_two(tmp_path)
    gated = releases(ledger, f"{NAME}/{NEW}")
    write_run(gated.run_of(gated.champion, tmp_path), spoken("m/1"))
    write_run(gated.run_of(gated.new, tmp_path), spoken("m/2", every=2))
    with pytest.raises(GateError, match="is worse than"):
        judge(ledger, gated, tmp_path, Limits(wer=1.0), None, 0.2)
    assert SHADOW not in ledger.aliases(NAME)
    assert [gate.has_passed for gate in ledger.gates(NAME)] == [False]


def test_a_rise_above_the_limit_that_chance_may_explain_is_no_pass(tmp_path: Path) -> None:
    """Three wrong words of 320 among twelve speakers. A promotion by hand would rest on the pass."""
    ledger = ledger_with_two(tmp_path)
    gated = releases(ledger, f"{NAME}/{NEW}")
    write_run(gated.run_of(gated.champion, tmp_path), spoken("m/1"))
    write_run(gated.run_of(gated.new, tmp_path), spoken("m/2", every=16))
    with pytest.raises(ConfigError, match=r"cannot be said to be as good as m/1.*wanted more recordings"):
        judge(ledger, gated, tmp_path, Limits(wer=0.5), None, 0.2)
    assert SHADOW not in ledger.aliases(NAME)
    assert [gate.has_passed for gate in ledger.gates(NAME)] == [False]
    assert judge(ledger, gated, tmp_path, Limits(wer=1.0), None, None).has_passed, "the rise is within this limit"


def test_what_cannot_be_gated_gets_a_sentence(tmp_path: Path) -> None:
    """An unknown name, an unknown number, the champion itself, and a model without a champion."""
    ledger = ledger_with_two(tmp_path)
    for ref, sentence in (("other/1", "no release"), ("m/9", "no release m/9"), ("m/1", "m/1 is the champion")):
        with pytest.raises(LedgerError, match=sentence):
            releases(ledger, ref)
    ledger.move(NAME, CHAMPION, expected=1, to=None, by="test", why="test")
    with pytest.raises(LedgerError, match="has no champion"):
        releases(ledger, "m/2")
