"""The page of `asr ops serve`: one JSON route with what is live and what moved, actions only for who may act."""

import json
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import uvicorn
from playwright.sync_api import Page, expect, sync_playwright
from starlette.testclient import TestClient

from asr.aliases import CHAMPION
from asr.ledger import Label, Ledger
from asr.ledger.labelled import Wer, labelled_wer
from ops.drift.reference import drift_folder
from ops.page.actions import Operator
from ops.page.app import create_app
from ops.page.overview import estimated, trend
from ops.quality import model_file
from ops.quality_watch import QualityWatcher
from server.clips.store import ClipStore
from tests.ops.kept_speech import NOW_S, label, ledger_with_estimate, speak
from tests.ops.page_ledger import DAY_S, watched_ledger
from tests.ops.pipelines import written
from tests.ops.trials import NAME, NEW, OLD, pairs
from tests.server.static.browser import CHROMIUM, NEEDS_CHROMIUM, QUIET

HOST = "http://127.0.0.1:8300"


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    return watched_ledger(tmp_path, time.time())


@pytest.fixture
def reader(ledger: Ledger) -> TestClient:
    return TestClient(create_app(ledger), HOST)


def post(client: TestClient, token: str, body: Any) -> tuple[int, str]:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    answer = client.post("/v1/actions", content=content, headers={"authorization": f"Bearer {token}"})
    table = answer.json()
    return answer.status_code, table.get("done") or table["error"]


def test_the_overview_has_what_the_ledger_has(reader: TestClient) -> None:
    """Live release, labelled errors with their trend, the alarm with its bar, the trial, labels, the non-trigger."""
    table = reader.get("/v1/overview").json()
    [model] = table["models"]
    assert (model["live"]["release"], model["live"]["by"]) == (OLD, "test")
    assert model["on_trial"] == {"shadow": {"release": NEW, "share": 0.2}}
    assert "no verdict yet" in model["decision"]["why"]
    labelled = model["quality"]["labelled"]
    assert (labelled["trend"], round(labelled["now"]["wer"]), round(labelled["before"]["wer"])) == ("worse", 20, 10)
    [first, *others] = model["drift"]["signals"]
    assert (first["signal"], first["alarm"], first["share"] > 1) == ("snr_db", True, True)
    assert not any(one["alarm"] for one in others)
    assert model["drift"]["month"] == 1
    assert model["labels"] == {"waiting": 8, "done": 120}
    assert [step["step"] for step in model["pipeline"]["steps"]] == ["gate"]
    assert "alone starts nothing" in model["pipeline"]["triggers"][0]["why"]
    assert table["monitor"]["every_s"] == 10
    assert table["operate"] is None


def test_an_empty_ledger_and_broken_files_are_shown_too(ledger: Ledger, reader: TestClient) -> None:
    """A broken reference is a sentence in its place, a broken sign of life as good as none."""
    (drift_folder(ledger) / f"{NAME}.json").write_text("{")
    (drift_folder(ledger).parent / "monitor.json").write_text('{"at_s": "x"}')
    table = reader.get("/v1/overview").json()
    assert "is no reference; wanted a new one" in table["models"][0]["drift"]["fault"]
    assert table["monitor"] is None


def test_labels_of_drawn_pairs_do_not_count(ledger: Ledger) -> None:
    """They are drawn because two releases differ in them: harder speech than the rest."""
    now_s = time.time()
    before = labelled_wer(ledger, NAME, OLD, 0)
    ledger.add_labels(
        [Label(pair.stream_id, now_s, NAME, OLD, 10, 10, "ann") for pair in pairs([0] * 40 + [2] * 8)[40:]]
    )
    assert labelled_wer(ledger, NAME, OLD, 0) == before
    assert labelled_wer(ledger, NAME, OLD, 0, now_s - 20 * DAY_S).streams == 60


def test_the_interval_of_the_word_error_rate_covers(ledger: Ledger) -> None:
    """Of 60 draws of 40 streams from a known rate, 95 % intervals cover it in 51 or more (p < 0.002 below)."""
    generator, covered = np.random.default_rng(1), 0
    for draw in range(60):
        words = generator.integers(5, 60, 40)
        errors = generator.binomial(words, 0.15)
        at_s = 1e6 + 1000.0 * draw
        ledger.add_labels(
            [Label(f"{draw}-{i}", at_s, NAME, NEW, int(words[i]), int(errors[i]), "ann") for i in range(40)]
        )
        found = labelled_wer(ledger, NAME, NEW, at_s, at_s + 1)
        assert found.low is not None
        assert found.high is not None
        covered += found.low <= 15.0 <= found.high
    assert covered >= 51


def test_a_trend_is_a_difference_beyond_chance() -> None:
    base = Wer(50, 1000, 10.0, 8.0, 12.0, 1.0)
    assert trend(base, base) == "same"
    assert trend(Wer(50, 1000, 14.0, 12.0, 16.0, 1.0), base) == "worse"
    assert trend(Wer(50, 1000, 6.0, 4.0, 8.0, 1.0), base) == "better"
    assert trend(base, Wer(3, 60)) == "unknown"


def test_the_estimate_and_what_labels_prove_are_shown(tmp_path: Path) -> None:
    """In per cent, of the last utterances; labels with 30 % errors contradict an estimate of 10 %."""
    ledger, store = ledger_with_estimate(tmp_path), ClipStore(tmp_path / "clips")
    assert estimated(ledger, NAME, NOW_S) is None
    speak(ledger, store, 400)
    list(QualityWatcher(store.folder).look(ledger, NAME, NOW_S))
    label(ledger, 3)
    found = estimated(ledger, NAME, NOW_S)
    assert found
    assert (found["utterances"], round(found["wer"], 1), round(found["accepted"], 1)) == (200, 10.0, 12.0)
    assert 20 < found["proven"]["low"] < 30 < found["proven"]["high"]
    model_file(ledger, NAME).write_text("{")
    assert "wanted" in (estimated(ledger, NAME, NOW_S) or {})["fault"]


def test_a_page_that_only_reads_does_nothing(ledger: Ledger, reader: TestClient) -> None:
    moves = ledger.moves(NAME)
    status, sentence = post(reader, "", {"action": "rollback", "name": NAME, "why": "no"})
    assert (status, sentence) == (403, "this page only reads; wanted asr ops serve --operate")
    assert reader.get("/v1/actions").status_code == 405
    assert ledger.moves(NAME) == moves


def test_who_has_the_token_acts_with_a_reason(ledger: Ledger) -> None:
    """Promotes and rolls back by the rules of the command line; the history has the name and the reason."""
    operator = Operator("ann")
    client = TestClient(create_app(ledger, operator), HOST)
    wanted: dict[str, Any] = {"action": "promote", "name": NAME, "release": NEW, "why": "it is better"}
    assert post(client, "another", wanted)[0] == 401
    assert post(client, operator.token, wanted) == (200, f"{NAME}/{NEW} is live")
    assert post(client, operator.token, wanted) == (400, f"{NAME}/{NEW} is the champion already")
    assert post(client, operator.token, {"action": "rollback", "name": NAME, "why": "it is not"})[0] == 200
    last = ledger.moves(NAME)[-1]
    assert (last.alias, last.to_number, last.by, last.why) == (CHAMPION, OLD, "ann (page)", "it is not")


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        (b"{", "found no JSON object"),
        ([1], "found no JSON object"),
        ({"action": "delete", "name": NAME, "why": "x"}, "found the action 'delete'"),
        ({"action": ["promote"], "name": NAME, "why": "x"}, "found the action"),
        ({"action": "promote", "name": NAME, "release": NEW, "why": "  "}, "found no reason"),
        ({"action": "promote", "name": NAME, "release": NEW, "why": "x" * 501}, "found a reason of 501 characters"),
        ({"action": "promote", "name": NAME, "release": "2", "why": "x"}, "found the release '2'"),
        ({"action": "promote", "name": NAME, "release": True, "why": "x"}, "found the release True"),
        ({"action": "promote", "name": NAME, "release": 99, "why": "x"}, f"has no release {NAME}/99"),
        ({"action": "promote", "name": "../m", "release": 1, "why": "x"}, "found the model '../m'"),
        ({"action": "pipeline", "name": NAME, "why": "x"}, f"found no pipeline for {NAME}"),
        ({"action": "rollback", "name": NAME, "why": "x"}, "had no other champion before"),
        (b"[" * 4000, "found no JSON object"),
    ],
)
def test_wrong_requests_get_a_sentence_and_change_nothing(ledger: Ledger, body: Any, sentence: str) -> None:
    operator, moves = Operator("ann"), ledger.moves(NAME)
    status, said = post(TestClient(create_app(ledger, operator), HOST), operator.token, body)
    assert status == 400
    assert sentence in said
    assert ledger.moves(NAME) == moves


def test_a_long_request_is_not_read_to_its_end(ledger: Ledger) -> None:
    operator = Operator("ann")
    assert post(TestClient(create_app(ledger, operator), HOST), operator.token, b"x" * 5000)[0] == 413


def test_the_pipeline_is_started_once_for_a_request(
    ledger: Ledger, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is a trigger by hand with the reason, and the process is the one that the monitor would start."""
    started: list[Any] = []
    monkeypatch.setattr("ops.page.actions.start", lambda *of: started.append(of[4]))
    operator = Operator("ann", (written(tmp_path),))
    client = TestClient(create_app(ledger, operator), HOST)
    assert client.get("/v1/overview").json()["operate"] == {"pipelines": [NAME]}
    wanted = {"action": "pipeline", "name": NAME, "why": "new data"}
    assert post(client, operator.token, wanted) == (200, f"the pipeline of {NAME} has started")
    [trigger] = client.get("/v1/overview").json()["models"][0]["pipeline"]["triggers"][:1]
    assert (trigger["kind"], trigger["why"], started) == ("hand", "ann (page): new data", [trigger["id"]])


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1.evil.example:8300"])
def test_other_host_names_get_nothing(reader: TestClient, host: str) -> None:
    """So no page can read it under its own name (DNS rebinding)."""
    assert reader.get("/v1/overview", headers={"host": host}).status_code == 403


def test_every_answer_forbids_other_origins_and_inline_code(reader: TestClient) -> None:
    for path in ("/", "/static/page.js", "/static/page.css", "/static/palette.css", "/v1/overview", "/none"):
        headers: Mapping[str, str] = reader.get(path).headers
        assert "default-src 'self'" in headers["content-security-policy"]
        assert headers["x-content-type-options"] == "nosniff"
        assert "access-control-allow-origin" not in headers


@pytest.mark.slow
def test_the_command_serves_the_page_on_this_machine(ledger: Ledger) -> None:
    """It prints an address of this machine, with a token where it operates, and answers there."""
    command = [sys.executable, "-m", "asr", "ops", "serve", "--port", "0", "--operate", "--ledger", ledger.where]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        line = process.stdout.readline()
        try:
            url, _, token = line.partition("/#token=")
            assert url.startswith("http://127.0.0.1:")
            assert len(token.split()[0]) >= 32
            with urllib.request.urlopen(f"{url}/v1/overview", timeout=60) as answer:
                assert json.load(answer)["models"][0]["name"] == NAME
        finally:
            process.send_signal(signal.SIGINT)
        process.wait(60)


@pytest.fixture
def address(ledger: Ledger, operator: Operator) -> Iterator[str]:
    """The page on a port of this machine."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        server = uvicorn.Server(uvicorn.Config(create_app(ledger, operator), log_level="warning"))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
        thread.start()
        yield f"http://127.0.0.1:{listening.getsockname()[1]}/"
        server.should_exit = True
        thread.join(20)


@pytest.fixture
def operator() -> Operator:
    return Operator("ann")


@pytest.fixture
def page(address: str) -> Iterator[Page]:
    """A new browser; fails at the end if there was an error in its console, or a request to another host."""
    errors, hosts = list[str](), set[str]()
    expect.set_options(timeout=60_000)
    assert CHROMIUM, "CI needs chromium: .ci/run installs it"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=QUIET)
        opened = browser.new_page(viewport={"width": 390, "height": 800}, color_scheme="dark")
        opened.set_default_timeout(60_000)
        opened.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
        opened.on("pageerror", lambda error: errors.append(str(error)))
        opened.on("request", lambda request: hosts.add(request.url.partition("//")[2].partition("/")[0]))
        yield opened
        browser.close()
    assert errors == []
    assert hosts <= {address.partition("//")[2].rstrip("/")}


@NEEDS_CHROMIUM
@pytest.mark.browser
@pytest.mark.slow
def test_a_person_reads_and_acts_by_keyboard_on_a_phone(
    page: Page, address: str, operator: Operator, ledger: Ledger
) -> None:
    """All parts are there, nothing is wider than the screen, and a promotion needs a reason. Text is text."""
    ledger.add_release(NAME, _other(ledger), by="<b>ann</b>", why="<img src=x onerror=alert(1)>")
    page.goto(f"{address}#token={operator.token}")
    page.wait_for_selector("body[data-ready]")
    assert operator.token not in page.url
    expect(page.locator(".summary")).to_contain_text("Release 1 is live. It got worse. Live speech moved: 1 alarm")
    expect(page.get_by_role("region", name="Word error rate")).to_contain_text("20.0 %")
    expect(page.get_by_role("img", name="snr_db: ")).to_be_visible()
    expect(page.get_by_role("status")).to_contain_text("The monitor looked")
    for width in (390, 1280):
        page.set_viewport_size({"width": width, "height": 800})
        assert page.evaluate("document.documentElement.scrollWidth") <= width
    page.get_by_role("button", name="Promote 3").focus()
    page.keyboard.press("Enter")
    page.keyboard.press("Enter")
    expect(page.get_by_role("dialog")).to_be_visible()
    page.keyboard.type("<i>better</i>")
    page.keyboard.press("Enter")
    expect(page.get_by_role("dialog")).to_be_hidden()
    expect(page.locator(".summary")).to_contain_text("Release 3 is live.")
    expect(page.get_by_role("region", name="Live", exact=True)).to_contain_text("<i>better</i>")
    assert ledger.moves(NAME)[-1].why == "<i>better</i>"


@NEEDS_CHROMIUM
@pytest.mark.browser
@pytest.mark.slow
def test_without_the_token_there_is_no_button(page: Page, address: str) -> None:
    page.goto(address)
    page.wait_for_selector("body[data-ready]")
    expect(page.get_by_role("region", name="Live", exact=True)).to_be_visible()
    expect(page.get_by_role("button")).to_have_count(0)


def _other(ledger: Ledger) -> Path:
    """The files of a release with one file more."""
    folder = ledger.releases(NAME)[0].folder
    copy = ledger.releases_folder.parent / "other"
    copy.mkdir()
    for file in folder.iterdir():
        (copy / file.name).write_bytes(file.read_bytes())
    (copy / "note.txt").write_text("another")
    return copy
