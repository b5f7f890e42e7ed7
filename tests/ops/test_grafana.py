"""The dashboard for Grafana: each metric that it names is one of `GET /metrics` or of `asr monitor --metrics`."""

import json
import re
import time
from pathlib import Path
from typing import Any

import pytest

from asr.errors import AsrError
from ops.metrics import write
from ops.monitor import look
from ops.policy import load_policy
from ops.watchers import watchers
from server.metrics import Metrics
from tests.ops.page_ledger import watched_ledger
from tests.ops.trials import NAME

DASHBOARD = Path(__file__).parents[2] / "examples" / "grafana.json"


@pytest.fixture(scope="module")
def board() -> dict[str, Any]:
    table: dict[str, Any] = json.loads(DASHBOARD.read_text(encoding="utf-8"))
    return table


@pytest.fixture(scope="module")
def monitored(tmp_path_factory: pytest.TempPathFactory) -> str:
    """What a monitor writes about a ledger with a release on trial and an alarm."""
    folder, now_s = tmp_path_factory.mktemp("metrics"), time.time()
    ledger = watched_ledger(folder, now_s)

    def fail(error: AsrError) -> None:
        raise error

    write(folder / "asr.prom", look(ledger, watchers(load_policy()), now_s, lambda _: None, fail), now_s, ledger)
    return (folder / "asr.prom").read_text()


def names(text: str) -> set[str]:
    """The series of an exposition: counters end with _total, histograms have three each."""
    found = set()
    for name, kind in re.findall(r"^# TYPE (\S+) (\S+)$", text, re.MULTILINE):
        found |= {f"{name}{end}" for end in (("_bucket", "_sum", "_count") if kind == "histogram" else ("",))}
    return found


def test_each_metric_exists(board: dict[str, Any], monitored: str) -> None:
    expressions = [target["expr"] for panel in board["panels"] for target in panel["targets"]]
    wanted = {name for text in expressions for name in re.findall(r"\basr_\w+", text)}
    assert len(wanted) >= 15
    assert wanted <= names(Metrics().render().decode()) | names(monitored)


def test_drift_is_in_the_monitors_metrics(monitored: str) -> None:
    assert f'asr_drift_alarms{{model="{NAME}"}} 1.0' in monitored
    [line] = [line for line in monitored.splitlines() if line.startswith("asr_drift_evidence") and '"snr_db"' in line]
    assert float(line.split()[-1]) >= 1


def test_the_dashboard_has_the_form_that_grafana_reads(board: dict[str, Any]) -> None:
    """Unique ids, panels side by side within 24 columns, and one data source that the user chooses."""
    panels = board["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    cells: set[tuple[int, int]] = set()
    for panel in panels:
        at = panel["gridPos"]
        mine = {(x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])}
        assert max(x for x, _ in mine) < 24
        assert not mine & cells, panel["title"]
        cells |= mine
        assert len({target["refId"] for target in panel["targets"]}) == len(panel["targets"])
        assert {target["datasource"]["uid"] for target in panel["targets"]} == {"${datasource}"}
    assert [each["name"] for each in board["templating"]["list"]] == ["datasource"]
    assert isinstance(board["schemaVersion"], int)
