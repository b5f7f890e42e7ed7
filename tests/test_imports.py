"""Who may import whom. All rules are tables here, checked against every `import` in the sources.

The sources are parsed, not run: an import inside a function and one under `if TYPE_CHECKING` count like any other. A
violation that still stands is listed in `KNOWN`; whoever mends it must delete its line there.
"""

import ast
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[1]

PACKAGES: Mapping[str, set[str]] = {
    "ops": {"train", "eval", "batch", "server", "asr"},
    "train": {"eval", "batch", "server", "asr"},
    "eval": {"batch", "server", "asr"},
    "batch": {"server", "asr"},
    "server": {"asr"},
    "asr": set(),
    "steadyword": {"asr"},
}
"""Each package, and the packages that it may import."""

IMPURE = {
    "asyncio", "concurrent", "datetime", "logging", "multiprocessing", "queue", "sched", "selectors", "signal",
    "socket", "subprocess", "threading", "time",
}  # fmt: skip
"""`asr/` imports none of these: no socket, thread, process, clock or log. Callers own those, so the core is the same in
a server, a batch job and a test."""

FOUNDATION = {
    "asr.aliases",
    "asr.collection",
    "asr.config",
    "asr.errors",
    "asr.events",
    "asr.installing",
    "asr.languages",
    "asr.text_files",
    "asr.word_boundaries",
}
MODELS = {"asr.models.base", "asr.models.linear", "asr.models.layers", "asr.models.torchscript"}
"""What the networks and searches of the architectures share."""
ARCHITECTURES = {
    f"asr.models.{path.name}" for path in (ROOT / "asr" / "models").iterdir() if (path / "architecture.py").is_file()
}
LOADING = ("architecture", "files", "converted_copy")
"""The modules of an architecture's folder that read files. Its network and its search do not know any file."""
ENGINE = {"asr.engine", "asr.streaming", "asr.model_files", "asr.models.registry", *MODELS}

ROOMS: Mapping[str, set[str]] = {
    "asr.aliases": set(),
    "asr.collection": set(),
    "asr.errors": set(),
    "asr.installing": set(),
    "asr.events": set(),
    "asr.languages": {"asr.errors"},
    "asr.text_files": set(),
    "asr.word_boundaries": set(),
    "asr.config": {"asr.errors", "asr.text_files"},
    "asr.audio": FOUNDATION,
    **dict.fromkeys(MODELS, FOUNDATION | MODELS),
    "asr.model_files": FOUNDATION,
    "asr.options": set(),
    "asr.vitals": FOUNDATION | {"asr.models.base"},
    "asr.ledger": FOUNDATION | {"asr.model_files", "asr.vitals"},
    "asr.released": {"asr.errors", "asr.ledger", "asr.model_files", "asr.options"},
    "asr.models.architecture": FOUNDATION | {"asr.models.base", "asr.model_files"},
    **dict.fromkeys(ARCHITECTURES, FOUNDATION | MODELS),
    **{
        f"{architecture}.{module}": FOUNDATION
        | {"asr.models.architecture", "asr.model_files", architecture}
        | {f"{architecture}.{other}" for other in (*LOADING, "silence_copy")}
        for architecture in ARCHITECTURES
        for module in LOADING
    },
    "asr.models.whisper.silence_copy": FOUNDATION
    | MODELS
    | {"asr.model_files", "asr.models.whisper"}
    | {f"asr.models.whisper.{module}" for module in LOADING},
    "asr.models.registry": FOUNDATION
    | {"asr.models.architecture", "asr.models.base", "asr.model_files", "asr.released"}
    | {f"{architecture}.architecture" for architecture in ARCHITECTURES},
    "asr.streaming": FOUNDATION | {"asr.models.base", "asr.vitals"},
    "asr.engine": FOUNDATION | ENGINE,
    "asr.normalisation": {"asr.languages"},
    "asr.transcripts": FOUNDATION | ENGINE | {"asr.audio"},
    "asr.self_test": FOUNDATION | ENGINE | {"asr.transcripts"},
    "asr.align": FOUNDATION | ENGINE | {"asr.audio", "asr.transcripts"},
    "asr.api": FOUNDATION | ENGINE | {"asr.audio", "asr.transcripts"},
    "asr": {"asr.api", "asr.engine"},
    "asr.__main__": {"asr.cli"},
    "asr.console": {"asr.errors"},
    "asr.quick_start": {"asr.collection"},
    "asr.ray_connection": {"asr.errors"},
    "asr.own_packages": set(),
    "asr.cli": {"asr.console", "asr.errors", "asr.own_packages", "asr.quick_start"},
    "asr.model_commands": FOUNDATION
    | ENGINE
    | {"asr.console", "asr.ledger", "asr.options", "asr.released", "asr.self_test"},
    "asr.ledger_commands": FOUNDATION | {"asr.ledger"},
    "asr.commands": FOUNDATION
    | ENGINE
    | {"asr.align", "asr.console", "asr.ledger_commands", "asr.model_commands", "asr.options", "asr.transcripts"},
}
"""Each room of `asr/`, and the other rooms that it may import: audio knows no model, streaming no architecture, an
architecture no other architecture and no session, the files of models no model code, and only the registry knows every
architecture."""

KNOWN: set[str] = set()
"""Violations still to be mended."""


def test_packages_import_only_packages_below_them() -> None:
    """ops -> train -> eval -> batch -> server -> asr; nothing that ships imports the tests or the scripts."""
    expect(
        f"{module} imports {target}"
        for module, target in imports()
        if package(module) in PACKAGES
        and package(target) in {*PACKAGES, "tests", "scripts"} - {package(module)} - PACKAGES[package(module)]
    )


def test_the_core_has_no_socket_thread_process_clock_or_log() -> None:
    """`asr/` takes bytes, samples and options, and returns values."""
    expect(
        f"{module} imports {target}"
        for module, target in imports()
        if package(module) == "asr" and package(target) in IMPURE
    )


def test_rooms_of_the_core_import_only_rooms_below_them() -> None:
    """A module added to `asr/` belongs to a room of `ROOMS`; a room that it may not import fails here."""
    expect(
        f"{module} imports {target}"
        for module, target in imports()
        if package(module) == package(target) == "asr" and room(target) not in {room(module), *ROOMS[room(module)]}
    )


def test_no_modules_import_each_other_in_a_circle() -> None:
    """If two modules need each other, the shared thing belongs into a third."""
    expect(f"cycle: {', '.join(sorted(cycle))}" for cycle in cycles())


def test_test_modules_are_imported_by_nobody() -> None:
    """What tests share lies in helper modules: importing a test module runs its fixtures and its skips."""
    expect(
        f"{module} imports {target}" for module, target in imports() if target.rpartition(".")[2].startswith("test_")
    )


def test_no_known_violation_is_out_of_date() -> None:
    """A mended violation is deleted from `KNOWN`, so that it cannot come back."""
    found = {f"{module} imports {target}" for module, target in imports()}
    found |= {f"cycle: {', '.join(sorted(cycle))}" for cycle in cycles()}
    assert KNOWN - found == set()


def expect(violations: Iterator[str]) -> None:
    assert set(violations) - KNOWN == set()


def package(module: str) -> str:
    return module.partition(".")[0]


def room(module: str) -> str:
    """The longest name in `ROOMS` that holds the module: `asr.models.ctc.search` -> `asr.models.ctc`."""
    names = [name for name in ROOMS if f"{module}.".startswith(f"{name}.") and (name != "asr" or module == "asr")]
    assert names, f"{module} is in no room; add it to ROOMS"
    return max(names, key=len)


@cache
def imports() -> list[tuple[str, str]]:
    """Every (module, imported module) of the repository, each once."""
    known = modules()
    return sorted({(name, target) for name, path in known.items() for target in targets(path, known)})


@cache
def modules() -> dict[str, Path]:
    """Module name -> file, of the packages, the tests and the scripts."""
    files = (path for top in (*PACKAGES, "tests", "scripts") for path in (ROOT / top).rglob("*.py"))
    return {name_of(path): path for path in files}


def name_of(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def targets(path: Path, known: Mapping[str, Path]) -> Iterator[str]:
    """The modules that a file imports; ``from a import b`` is `a.b` where that is a module, else `a`."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}:{node.lineno}: a relative import; wanted the full name"
            names = [f"{node.module}.{alias.name}" for alias in node.names]
            yield from (name if name in known else str(node.module) for name in names)


def cycles() -> list[set[str]]:
    """The sets of modules that import each other, directly or by way of others (strongly connected components)."""
    graph: dict[str, set[str]] = {name: set() for name in modules()}
    for module, target in imports():
        if target in graph:
            graph[module].add(target)
    reach = {module: reachable(graph, module) for module in graph}
    rings = {frozenset(other for other in reach[module] if module in reach[other]) for module in graph}
    return [set(ring) for ring in rings if ring]


def reachable(graph: Mapping[str, set[str]], start: str) -> set[str]:
    """All modules that `start` imports, directly or by way of others; `start` itself only where it lies on a cycle."""
    seen: set[str] = set()
    waiting = [start]
    while waiting:
        for target in graph[waiting.pop()] - seen:
            seen.add(target)
            waiting.append(target)
    return seen
