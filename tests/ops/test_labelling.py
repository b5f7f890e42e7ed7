"""Labels by people: what waits, what a text says about releases, and what is gone is gone."""

import json
import os
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from asr.ledger import Draws, Ledger
from asr.normalisation.normalise import normalise, units
from ops.evidence import add_labels
from ops.labelling.app import create_app
from ops.labelling.exchange import exported, import_texts, is_texts, studio_task
from ops.labelling.queue import Queue
from ops.labelling.record import record
from ops.quality_watch import QualityWatcher
from server.clips import store as store_module
from server.clips.store import ClipStore
from tests.ops.kept_speech import NOW_S, TEXT, TOKEN, keep, ledger_with_estimate, paired, speak
from tests.ops.trials import NAME, NEW, OLD

HEADERS = {"authorization": f"Bearer {TOKEN}"}


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    return ledger_with_estimate(tmp_path)


@pytest.fixture
def store(tmp_path: Path) -> ClipStore:
    return ClipStore(tmp_path / "clips")


@pytest.fixture
def page(ledger: Ledger, store: ClipStore) -> TestClient:
    return TestClient(create_app(ledger, store, "ann", TOKEN), base_url="http://127.0.0.1", headers=HEADERS)


def draw(ledger: Ledger, store: ClipStore, count: int = 6) -> list[str]:
    """Speaks, has the monitor draw, and returns the ids of the clips that wait."""
    speak(ledger, store, count)
    list(QualityWatcher(store.folder).look(ledger, NAME, NOW_S))
    return [f"{each.stream_id}.0.0" for each in Draws(ledger).of_model(NAME) if each.is_drawn]


def test_what_was_drawn_waits_and_a_label_counts_its_errors(ledger: Ledger, store: ClipStore, page: TestClient) -> None:
    """The page learns nothing about releases; the ledger gets numbers and the clip's folder the text."""
    waiting = draw(ledger, store)
    task = page.get("/v1/next").json()
    assert (task["id"], task["left"], task["texts"]) == (waiting[0], len(waiting), [TEXT])
    assert "release" not in json.dumps(task)
    sound = page.get(f"/v1/audio/{task['id']}")
    assert sound.content[:4] == b"fLaC"
    assert sound.headers["cache-control"] == "no-store"
    said = TEXT.replace("very good", "quite good indeed")
    assert page.post("/v1/labels", json={"id": task["id"], "text": f" {said} "}).status_code == 200
    [label] = ledger.labels(NAME)
    assert (label.stream_id, label.release, label.errors, label.words) == ("s" + waiting[0][1:-4] + "/0", OLD, 2, 11)
    found = next(store.label(clip) for clip in store.clips() if clip.id == task["id"])
    assert found
    assert (found["text"], found["by"]) == (said, "ann")
    assert page.get("/v1/next").json()["id"] == waiting[1]
    assert page.post("/v1/labels", json={"id": task["id"], "text": said}).status_code == 410


def test_a_request_reads_what_is_new(
    ledger: Ledger, store: ClipStore, page: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However many clips are kept: the one that it shows, and the folders in which something came or went."""
    rows = speak(ledger, None, 40)
    folders = {keep(store, row, consent=f"person {i % 8}").consent for i, row in enumerate(rows)}
    list(QualityWatcher(store.folder).look(ledger, NAME, NOW_S))
    for folder in folders:
        os.utime(store.folder / folder, (NOW_S, NOW_S))
    read, listed = list[Path](), list[str]()
    clip_of, glob = store_module._clip, Path.glob
    monkeypatch.setattr(store_module, "_clip", lambda file: (read.append(file), clip_of(file))[1])
    monkeypatch.setattr(Path, "glob", lambda folder, pattern: (listed.append(folder.name), glob(folder, pattern))[1])
    task = page.get("/v1/next").json()
    assert (len(read), set(listed)) == (1, folders)
    assert page.get("/v1/next").json() == task
    assert (len(read), len(listed)) == (2, 8)
    label = page.post("/v1/labels", json={"id": task["id"], "text": TEXT})
    assert label.status_code == 200
    read.clear()
    listed.clear()
    after = page.get("/v1/next").json()
    assert (after["left"], after["id"] != task["id"]) == (task["left"] - 1, True)
    assert (len(read), len(listed)) == (1, 1)


def test_clips_come_in_the_order_in_which_they_were_spoken(ledger: Ledger, store: ClipStore) -> None:
    """The tenth utterance after the second."""
    clips = paired(ledger, store, ("very bad",) * 12)
    assert [clip.id for clip in Queue(ledger, store).waiting()] == [clip.id for clip in clips]
    assert [clip.id for clip in store.clips_of(clips[0].stream_id)] == [clip.id for clip in clips]


def test_skipped_clips_come_last(ledger: Ledger, store: ClipStore, page: TestClient) -> None:
    waiting = draw(ledger, store)
    page.post("/v1/skip", json={"id": waiting[0]})
    assert [clip.id for clip in Queue(ledger, store).waiting()] == waiting
    assert page.get("/v1/next").json()["id"] == waiting[1]


def test_a_forgotten_consent_disappears(ledger: Ledger, store: ClipStore, page: TestClient) -> None:
    """From the queue, from the sound's address, and a label for it is refused: nothing of it is kept."""
    task_id = draw(ledger, store)[0]
    assert page.get("/v1/next").json()["id"] == task_id
    store.forget("anna")
    assert page.get("/v1/next").json() == {"id": None, "left": 0}
    assert page.get(f"/v1/audio/{task_id}").status_code == 410
    assert page.post("/v1/labels", json={"id": task_id, "text": "secret"}).status_code == 410
    assert not ledger.labels(NAME)
    assert not [file for file in store.folder.rglob("*") if file.is_file() and b"secret" in file.read_bytes()]


def test_a_stream_that_two_releases_heard_counts_in_the_rollout(
    ledger: Ledger, store: ClipStore, page: TestClient
) -> None:
    """When all of its utterances have a text: one label of the stream for each release, and one comparison for each
    utterance whose texts differ, in the order in which it was shown."""
    other = TEXT.replace("some", "sum")
    paired(ledger, store, (other, TEXT))
    first = page.get("/v1/next").json()
    assert sorted(first["texts"]) == sorted([TEXT, other])
    assert page.post("/v1/labels", json={"id": first["id"], "text": TEXT}).status_code == 400
    choice = "first" if first["texts"][0] == TEXT else "second"
    assert page.post("/v1/labels", json={"id": first["id"], "text": TEXT, "choice": choice}).status_code == 200
    [found] = Draws(ledger).choices(NAME)
    assert {found.first, found.second} == {OLD, NEW}
    assert (found.first if found.choice == "first" else found.second) == OLD
    assert not [label for label in ledger.labels(NAME) if "/" not in label.stream_id]
    second = page.get("/v1/next").json()
    assert second["texts"] == [TEXT]
    page.post("/v1/labels", json={"id": second["id"], "text": TEXT})
    errors: dict[str, dict[int, int]] = {}
    add_labels(errors, ledger.labels(NAME))
    assert errors["s900"] == {OLD: 0, NEW: 1}
    assert page.get("/v1/next").json()["id"] is None


def test_a_stream_of_which_an_utterance_is_missing_is_no_label(ledger: Ledger, store: ClipStore) -> None:
    """Its words would count as wrong."""
    clips = paired(ledger, store, (TEXT, TEXT, TEXT))
    store.audio_file(clips[1]).unlink()
    for clip in (clips[0], clips[2]):
        record(ledger, store, clip, TEXT, "ann", NOW_S)
    assert {label.stream_id for label in ledger.labels(NAME)} == {"s900/0", "s900/2"}


def test_the_order_of_two_texts_is_random_and_stays(ledger: Ledger, store: ClipStore) -> None:
    """Each about as often first; the same each time it is shown."""
    clips = paired(ledger, store, tuple(TEXT.replace("some", f"word{i}") for i in range(40)))
    queue = Queue(ledger, store)
    orders = [[release for release, _ in queue.task(clip).texts] for clip in clips]
    assert orders == [[release for release, _ in queue.task(clip).texts] for clip in clips]
    assert 6 <= sum(order[0] == OLD for order in orders) <= 34


def test_only_who_has_the_token_gets_anything(ledger: Ledger, store: ClipStore, page: TestClient) -> None:
    """Neither a word, a sound nor a label; and nothing under another host's name."""
    task_id = draw(ledger, store)[0]
    for headers in ({"authorization": ""}, {"authorization": "Bearer x"}, {"authorization": "Bearer é".encode()}):
        for path in ("/v1/next", f"/v1/audio/{task_id}"):
            assert page.get(path, headers=headers).status_code == 401
        for path in ("/v1/labels", "/v1/skip"):
            assert page.post(path, json={"id": task_id, "text": "x"}, headers=headers).status_code == 401
    assert page.get("/v1/next", headers={"host": "evil.example"}).status_code == 403
    assert "script-src" not in page.get("/").headers["content-security-policy"]
    assert page.get("/").headers["content-security-policy"].startswith("default-src 'self'")


@pytest.mark.parametrize(
    "body", [b"", b"[]", b"{", b'{"id": 3}', b'{"text": 3}', b'{"text": "' + b"a" * 6000 + b'"}', b"x" * 70_000]
)
def test_bad_requests_get_a_sentence(page: TestClient, body: bytes) -> None:
    answer = page.post("/v1/labels", content=body)
    assert answer.status_code == 400
    assert "wanted" in answer.json()["error"]


@pytest.mark.parametrize("form", ["jsonl", "label-studio"])
def test_texts_go_out_and_come_back(ledger: Ledger, store: ClipStore, tmp_path: Path, form: str) -> None:
    """What waits is exported, filled in and imported; the same file again adds nothing."""
    waiting = draw(ledger, store)
    rows = list(exported(ledger, store, labelled=False))
    assert [row["id"] for row in rows] == waiting
    assert all(Path(row["audio_filepath"]).is_file() and row["recognised"] == TEXT for row in rows)
    file = tmp_path / "texts"
    if form == "jsonl":
        file.write_text("\n".join(json.dumps({"id": row["id"], "text": TEXT, "by": "bob"}) for row in rows))
    else:  # as Label Studio 1.x exports it: an array, with the annotation of the template for speech
        tasks = [studio_task(row) for row in rows]
        for task in tasks:
            task["annotations"] = [
                {"was_cancelled": True, "result": [{"type": "textarea", "value": {"text": ["cancelled"]}}]},
                {"completed_by": 1, "result": [task["predictions"][0]["result"][0]]},
                {"was_cancelled": True, "result": []},
            ]
        file.write_text(json.dumps(tasks))
    assert is_texts(file)
    assert import_texts(file, ledger, store, "ann", NOW_S) == (len(rows), 0, [])
    assert import_texts(file, ledger, store, "ann", NOW_S) == (0, len(rows), [])
    assert {label.errors for label in ledger.labels(NAME)} == {0}
    done = list(exported(ledger, store, labelled=True))
    assert [row["text"] for row in done] == [TEXT] * len(waiting)
    assert studio_task(done[0])["annotations"][0]["result"][0]["value"] == {"text": [TEXT]}


def test_texts_of_clips_that_are_not_there_are_left_out(ledger: Ledger, store: ClipStore, tmp_path: Path) -> None:
    """Each with its line and a sentence; the others are taken."""
    waiting = draw(ledger, store)
    rows = [
        {"id": "nobody", "text": "x"},
        {"id": waiting[0]},
        {"data": {"id": waiting[0]}},
        {"id": waiting[1], "text": ""},
    ]
    file = tmp_path / "texts.jsonl"
    file.write_text("\n".join(map(json.dumps, rows)))
    new, known, problems = import_texts(file, ledger, store, "ann", NOW_S)
    assert (new, known, len(problems)) == (1, 0, 3)
    assert all(f"texts.jsonl:{line}: found" in problem for line, problem in enumerate(problems, 1))
    assert ledger.labels(NAME)[0].errors == len(units(normalise(TEXT, "en"), "en"))


def test_counts_of_errors_are_no_texts(tmp_path: Path) -> None:
    """`ops.labels` takes them."""
    file = tmp_path / "counts.jsonl"
    file.write_text(json.dumps({"stream_id": "s", "name": NAME, "release": 1, "words": 3, "errors": 1, "by": "ann"}))
    assert not is_texts(file)


def test_a_clip_of_a_second_channel_has_a_label_of_its_own(ledger: Ledger, store: ClipStore) -> None:
    """Utterance 0 of channel 1 is not utterance 0 of the stream."""
    [row] = speak(ledger, None, 1)
    record(ledger, store, keep(store, row, channel=1), TEXT, "ann", NOW_S)
    assert [label.stream_id for label in ledger.labels(NAME)] == ["s0/1.0"]
