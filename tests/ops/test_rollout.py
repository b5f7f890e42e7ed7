"""The table of states: which action follows from which stage and evidence, read from moves alone."""

import math
from dataclasses import replace
from pathlib import Path

import pytest

from asr.aliases import CANARY, CHAMPION, SHADOW
from asr.errors import ConfigError
from asr.ledger.values import Move
from ops.evidence import GuardEvidence, PairEvidence
from ops.policy import load_policy
from ops.rollout import DAY_S, Evidence, Stage, decide, situation

POLICY = load_policy()
PROOF = PairEvidence(pairs=150, units=150, benefit=math.log(25))
HARM = PairEvidence(pairs=60, units=60, harm=math.log(1000))


def history(*steps: tuple[str, int | None, float | None], at_s: float = 0.0) -> list[Move]:
    """Moves of aliases: alias, number, weight."""
    moves: list[Move] = []
    on: dict[str, int | None] = {}
    for alias, number, weight in steps:
        options = {} if weight is None else {"weight": weight}
        moves.append(Move(len(moves) + 1, at_s, "m", alias, on.get(alias), number, "test", "", {}, options))
        on[alias] = number
    return moves


LIVE = (CHAMPION, 1, None)
IN_SHADOW = (LIVE, (SHADOW, 2, None))
IN_CANARY = (*IN_SHADOW, (CANARY, 2, 0.05))
AT_THE_END = (*IN_CANARY, (CANARY, 2, 0.5))
PROMOTED = (*AT_THE_END, (CHAMPION, 2, None))
WATCHED = (*PROMOTED, (CANARY, None, None), (SHADOW, 1, None))
CLIENTS = GuardEvidence(clients=POLICY.step_clients)
FAILING = GuardEvidence(failures=math.log(400))
LATE = GuardEvidence(delays=math.log(400))
OTHER_RATIO = GuardEvidence(ratio=math.log(400))
BROKEN = GuardEvidence(broken="streams of 3 of its 3 clients failed")


@pytest.mark.parametrize(
    ("moves", "stage", "evidence", "days", "verdict", "alias", "to"),
    [
        ((), Stage.IDLE, Evidence(0), 0, "waiting", "", None),
        ((LIVE,), Stage.IDLE, Evidence(0, PROOF), 0, "waiting", "", None),
        (IN_SHADOW, Stage.SHADOW, Evidence(0), 13, "waiting", "", None),
        (IN_SHADOW, Stage.SHADOW, Evidence(0, PROOF), 0, "canary", CANARY, 2),
        (IN_SHADOW, Stage.SHADOW, Evidence(0, HARM), 0, "rejected", SHADOW, None),
        (IN_SHADOW, Stage.SHADOW, Evidence(0, replace(HARM, benefit=9.0)), 0, "rejected", SHADOW, None),
        (IN_SHADOW, Stage.SHADOW, Evidence(0), 14, "undecided", SHADOW, None),
        (IN_CANARY, Stage.CANARY, Evidence(0, PROOF), 0, "waiting", "", None),
        (IN_CANARY, Stage.CANARY, Evidence(0, PROOF, CLIENTS), 0, "step", CANARY, 2),
        (IN_CANARY, Stage.CANARY, Evidence(0, guards=CLIENTS), 0, "step", CANARY, 2),
        (IN_CANARY, Stage.CANARY, Evidence(0, HARM, CLIENTS), 0, "rolled back", CANARY, None),
        (IN_CANARY, Stage.CANARY, Evidence(0, PROOF, FAILING), 0, "rolled back", CANARY, None),
        (IN_CANARY, Stage.CANARY, Evidence(0, PROOF, LATE), 0, "rolled back", CANARY, None),
        (IN_CANARY, Stage.CANARY, Evidence(0, PROOF, OTHER_RATIO), 0, "rolled back", CANARY, None),
        (IN_CANARY, Stage.CANARY, Evidence(0, PROOF, BROKEN), 0, "rolled back", CANARY, None),
        (IN_CANARY, Stage.CANARY, Evidence(0), 14, "undecided", CANARY, None),
        (AT_THE_END, Stage.CANARY, Evidence(0, PROOF, CLIENTS), 0, "promoted", CHAMPION, 2),
        (AT_THE_END, Stage.CANARY, Evidence(0, PROOF), 0, "waiting", "", None),
        (AT_THE_END, Stage.CANARY, Evidence(0, guards=CLIENTS), 0, "waiting", "", None),
        (PROMOTED, Stage.LEFTOVER, Evidence(0), 0, "finished", CANARY, None),
        (WATCHED[:-1], Stage.LEFTOVER, Evidence(0), 0, "watch", SHADOW, 1),
        (WATCHED, Stage.WATCHED, Evidence(0), 6, "waiting", "", None),
        (WATCHED, Stage.WATCHED, Evidence(0, HARM), 0, "rolled back", CHAMPION, 1),
        (WATCHED, Stage.WATCHED, Evidence(0, guards=BROKEN), 0, "rolled back", CHAMPION, 1),
        (WATCHED, Stage.WATCHED, Evidence(0), 7, "kept", SHADOW, None),
        ((*WATCHED, (CHAMPION, 1, None)), Stage.LEFTOVER, Evidence(0), 0, "finished", SHADOW, None),
        ((*WATCHED, (CHAMPION, 1, None), (SHADOW, None, None)), Stage.IDLE, Evidence(0), 0, "waiting", "", None),
        ((*WATCHED, (SHADOW, None, None)), Stage.IDLE, Evidence(0), 0, "waiting", "", None),
        ((*AT_THE_END, (CANARY, None, None)), Stage.LEFTOVER, Evidence(0), 0, "finished", SHADOW, None),
        ((LIVE, (CHAMPION, 2, None)), Stage.LEFTOVER, Evidence(0), 0, "watch", SHADOW, 1),
        ((*IN_SHADOW, (CHAMPION, 2, None), (SHADOW, None, None)), Stage.LEFTOVER, Evidence(0), 0, "watch", SHADOW, 1),
    ],
)  # fmt: skip
def test_each_stage_and_evidence_has_one_action(
    moves: tuple[tuple[str, int | None, float | None], ...],
    stage: Stage,
    evidence: Evidence,
    days: float,
    verdict: str,
    alias: str,
    to: int | None,
) -> None:
    """The table, row by row: what stops comes first, a promotion needs proof and the last step."""
    at = situation(history(*moves))
    action = decide(at, replace(evidence, now_s=days * DAY_S), POLICY)
    assert (at.stage, action.verdict, action.alias, action.to) == (stage, verdict, alias, to)
    assert action.why


def test_each_action_leads_to_an_end() -> None:
    """From every stage, the same evidence for ever: the monitor's moves come to a stage in which it waits."""
    for evidence in (Evidence(0, PROOF, CLIENTS), Evidence(0, HARM), Evidence(99 * DAY_S), Evidence(0, guards=BROKEN)):
        for start in (IN_SHADOW, IN_CANARY, AT_THE_END, PROMOTED, WATCHED):
            steps = [*start]
            for _ in range(10):
                action = decide(situation(history(*steps)), evidence, POLICY)
                if not action.alias:
                    break
                steps.append((action.alias, action.to, action.options.get("weight")))
            assert action.verdict == "waiting", (evidence, steps)


def test_without_a_shadow_nothing_is_watched() -> None:
    """`shadow_share = 0`: after a promotion nobody listens, and the monitor does not try."""
    policy = replace(POLICY, shadow_share=0.0)
    for moves, verdict in (((LIVE, (CHAMPION, 2, None)), "waiting"), (WATCHED[:-1], "finished")):
        action = decide(situation(history(*moves)), Evidence(0), policy)
        assert (action.verdict, action.to) == (verdict, None)


def test_a_wait_says_how_many_streams_are_missing() -> None:
    """No traffic is no verdict."""
    action = decide(situation(history(*IN_SHADOW)), Evidence(0, PairEvidence(missing=153)), POLICY)
    assert "at least 153 streams missing" in action.why


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("allow_points = 0", "allow_points: wanted more than 0"),
        ("harm_alpha = 0.05", "found 0.07 together, wanted at most 0.05"),
        ("promote_alpha = 0", "wanted more than 0"),
        ("steps = [0.5, 0.25]", "wanted rising weights"),
        ("steps = [0.9]", "0.5 at most"),
        ("steps = []", "wanted rising weights"),
        ("max_days = -1", "max_days: found -1"),
        ("max_days = nan", "max_days: found nan"),
        ("allow_point = 1", "unknown key 'allow_point'"),
    ],
)
def test_a_policy_that_makes_no_sense_is_refused(tmp_path: Path, text: str, sentence: str) -> None:
    """The sentence names the key."""
    (tmp_path / "policy.toml").write_text(text)
    with pytest.raises(ConfigError, match=sentence):
        load_policy(tmp_path / "policy.toml")
