"""`asr models add`, `show`, `shadow`, `canary`, `promote`, `rollback`, and releases wherever a model is named."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from asr import cli
from asr.aliases import CANARY, CHAMPION, SHADOW
from asr.ledger import Ledger
from asr.models.registry import find_model
from asr.released import pinned
from asr.self_test import SAMPLE
from tests.asr.ledger.conftest import ledger as ledger
from tests.asr.ledger.releases import add_releases
from train.ctc_task import start_folder


@pytest.fixture
def asr(ledger: Ledger, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> "Command":
    """The command `asr` with that ledger."""
    monkeypatch.setenv("ASR_LEDGER", ledger.where)
    return Command(capsys)


class Command:
    """Runs a command line; returns the exit code, standard output, and the sentence on standard error."""

    def __init__(self, capsys: pytest.CaptureFixture[str]) -> None:
        self._capsys = capsys

    def __call__(self, *arguments: str) -> tuple[int, str, str]:
        code = cli.run(arguments)
        out, err = self._capsys.readouterr()
        return code, out, err


def champion(ledger: Ledger) -> int:
    return ledger.aliases("m")[CHAMPION].number


def test_a_promotion_without_evidence_needs_a_reason(asr: Command, ledger: Ledger, tmp_path: Path) -> None:
    """Nothing moves without; with one, it stands in the history."""
    add_releases(ledger, tmp_path, 1)
    code, _, err = asr("models", "promote", "m/1")
    assert (code, ledger.version()) == (2, 0)
    assert "m/1 has no passed gate beside today's champion; wanted `asr models gate m/1` first, or a reason" in err
    assert asr("models", "promote", "m/1", "--because", "the first")[:2] == (
        0,
        "m@champion: no release -> m/1 (the first)\n",
    )
    assert ledger.moves("m")[0].why == "the first"
    assert asr("models", "promote", "m/1", "--because", "again")[2] == "asr: m/1 is the champion already\n"


def test_a_passed_gate_is_evidence_while_its_champion_is_the_champion(
    asr: Command, ledger: Ledger, tmp_path: Path
) -> None:
    """A gate that failed is none, nor one beside a release that is no longer live."""
    add_releases(ledger, tmp_path, 3)
    asr("models", "promote", "m/1", "--because", "the first")
    ledger.add_gate("m", 2, has_passed=False, by="ci", evidence={"wer": 0.2})
    assert asr("models", "promote", "m/2")[0] == 2
    ledger.add_gate("m", 2, has_passed=True, by="ci", evidence={"wer": 0.1})
    ledger.add_gate("m", 3, has_passed=True, by="ci", evidence={"wer": 0.1})
    assert asr("models", "promote", "m/2")[0] == 0
    assert ledger.moves("m")[-1].evidence == {"gate": 2, "wer": 0.1}
    assert asr("models", "promote", "m/3")[0] == 2
    assert champion(ledger) == 2


@pytest.mark.parametrize(
    "arguments",
    [
        ["models", "show", "m"],
        ["models", "promote", "m/1", "--because", "x"],
        ["models", "rollback", "m"],
        ["models", "shadow", "m/1"],
        ["models", "canary", "m/1", "--off"],
    ],
)
def test_a_ledger_that_is_gone_is_one_sentence_and_none_is_made_in_its_place(
    asr: Command, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, arguments: list[str]
) -> None:
    """As when its disk is not mounted. A server would take an empty one for the ledger."""
    gone = tmp_path / "gone" / "ledger.db"
    monkeypatch.setenv("ASR_LEDGER", str(gone))
    code, out, err = asr(*arguments)
    assert (code, out) == (1, "")
    assert err == f"asr: there is no ledger at {gone}; wanted one: asr models add NAME FOLDER\n"
    assert pinned("m") == "m"
    assert not gone.parent.exists()


def test_rollbacks_go_back_one_champion_each(asr: Command, ledger: Ledger, tmp_path: Path) -> None:
    """Not to and fro; a promotion after a rollback counts from there."""
    add_releases(ledger, tmp_path, 4)
    for number in (1, 2, 3):
        asr("models", "promote", f"m/{number}", "--because", "better")
    assert asr("models", "rollback", "m")[1] == "m@champion: m/3 -> m/2 (rolled back by hand)\n"
    asr("models", "promote", "m/4", "--because", "better")
    seen = []
    for _ in range(2):
        asr("models", "rollback", "m")
        seen.append(champion(ledger))
    assert seen == [2, 1]
    code, _, err = asr("models", "rollback", "m")
    assert (code, err) == (1, "asr: m had no other champion before; wanted `asr models promote m/NUMBER`\n")


def test_challengers_are_set_changed_promoted_and_taken_away(asr: Command, ledger: Ledger, tmp_path: Path) -> None:
    """A challenger that becomes the champion is no longer one."""
    add_releases(ledger, tmp_path, 3)
    asr("models", "promote", "m/1", "--because", "the first")
    asr("models", "shadow", "m/2")
    asr("models", "canary", "m/2", "--weight", "0.1")
    assert ledger.options("m", SHADOW) == {"share": 0.2}
    assert ledger.options("m", CANARY) == {"weight": 0.1}
    assert asr("models", "canary", "m/3", "--off")[2] == "asr: m@canary is on m/2, wanted m/3 to take it away\n"
    asr("models", "shadow", "m/2", "--off")
    assert set(ledger.aliases("m")) == {CHAMPION, CANARY}
    asr("models", "promote", "m@canary", "--because", "good")
    assert {alias: release.ref for alias, release in ledger.aliases("m").items()} == {CHAMPION: "m/2"}


@pytest.mark.parametrize("weight", ["0", "-0.1", "1.5", "nan"])
def test_a_weight_is_a_share(asr: Command, ledger: Ledger, tmp_path: Path, weight: str) -> None:
    """More than 0, at most 1."""
    add_releases(ledger, tmp_path, 1)
    code, _, err = asr("models", "canary", "m/1", "--weight", weight)
    assert code == 2
    assert "wanted more than 0 and at most 1" in err
    assert ledger.version() == 0


def test_the_history_and_the_releases_are_shown(asr: Command, ledger: Ledger, tmp_path: Path) -> None:
    """`asr models NAME` is `asr models show NAME`; as JSON for scripts."""
    add_releases(ledger, tmp_path, 2)
    asr("models", "promote", "m/2", "--because", "better [vad]")
    for arguments in (("models", "m"), ("models", "show", "m")):
        assert "champion" in next(line for line in asr(*arguments)[1].splitlines() if "m/2" in line)
    assert "better [vad]" in asr("models", "m", "--history")[1]
    assert [row["number"] for row in json.loads(asr("models", "m", "--json")[1])] == [1, 2]
    assert json.loads(asr("models", "m", "--history", "--json")[1])[0]["why"] == "better [vad]"
    assert "m: m/2 champion" in asr("models")[1]
    assert (
        asr("models", "nosuch")[2] == f"asr: the ledger {ledger.where} has no releases of nosuch; it has those of: m\n"
    )


@pytest.mark.parametrize("ref", ["m", "m/9", "m@canary", "nosuch/1", "m/x", "m/-1"])
def test_what_is_no_release_moves_nothing(asr: Command, ledger: Ledger, tmp_path: Path, ref: str) -> None:
    """The sentence names the releases that there are."""
    add_releases(ledger, tmp_path, 2)
    code, _, err = asr("models", "promote", ref, "--because", "typo")
    assert code == 1
    assert "m/1, m/2" in err
    assert ledger.version() == 0


def test_a_damaged_release_is_not_promoted(asr: Command, ledger: Ledger, tmp_path: Path) -> None:
    """Its files are compared with their hash before anything moves."""
    add_releases(ledger, tmp_path, 2)
    asr("models", "promote", "m/1", "--because", "the first")
    (ledger.release("m", 2).folder / "vocab.json").unlink()
    code, _, err = asr("models", "promote", "m/2", "--because", "better")
    assert code == 1
    assert "the files of m/2" in err
    assert champion(ledger) == 1


@pytest.mark.model
def test_a_release_is_named_wherever_a_model_is(asr: Command, ledger: Ledger) -> None:
    """NAME is its champion; without one, it is a sentence."""
    assert asr("models", "add", "m", "whisper-tiny.en")[:2] == (0, "m/1\n")
    code, _, err = asr("transcribe", str(SAMPLE), "--model", "m")
    assert (code, err) == (1, "asr: m has releases, but no champion; wanted m/1, or: asr models promote m/1\n")
    asr("models", "promote", "m/1", "--because", "the first")
    for name in ("m", "m@champion", "m/1"):
        assert find_model(name)[1].folder == start_folder(name) == ledger.release("m", 1).folder
        assert pinned(name) == "m/1"
    assert "seven days in a week" in asr("transcribe", str(SAMPLE), "--model", "m")[1]


@pytest.mark.model
@pytest.mark.parametrize("fault", ["no weights", "cut off", "noise", "zeros"])
def test_a_folder_that_fails_its_self_test_is_refused(asr: Command, ledger: Ledger, tmp_path: Path, fault: str) -> None:
    """It lacks a file, its weights end early, or they are no weights of a model that recognises anything."""
    folder = shutil.copytree(find_model("whisper-tiny.en")[1].folder, tmp_path / "a")
    weights = folder / "model.bin"
    content = weights.read_bytes()
    half, quarter = len(content) // 2, len(content) // 4
    if fault == "no weights":
        weights.unlink()
    elif fault == "cut off":
        weights.write_bytes(content[:half])
    elif fault == "noise":
        noise = np.random.default_rng(1).bytes(half)
        weights.write_bytes(content[:quarter] + noise + content[quarter + half :])
    else:
        weights.write_bytes(content[:half] + bytes(len(content) - half))
    code, _, err = asr("models", "add", "m", str(folder))
    assert code == 1
    assert err.startswith(f"asr: {folder} failed its self-test and was not added: ")
    assert ledger.names() == []
    assert list(ledger.releases_folder.iterdir()) == []


@pytest.mark.parametrize("named", ["option", "environment"])
def test_a_server_takes_the_ledger_of_the_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], named: str
) -> None:
    """`asr serve --ledger FILE`, or the environment's: a file that is none ends the command with its sentence."""
    file = tmp_path / "ledger.db"
    file.write_text("no ledger, but long enough for a header " * 20)
    if named == "environment":
        monkeypatch.setenv("ASR_LEDGER", str(file))
    else:
        monkeypatch.setenv("ASR_LEDGER", "")
    option = ["--ledger", str(file)] if named == "option" else []
    assert cli.run(["serve", "--port", "0", *option]) == 1
    assert f"asr: the ledger {file} is no SQLite database" in capsys.readouterr().err
