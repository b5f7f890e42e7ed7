"""Reads tables of recordings with a header line: CSV, and the TSV of Common Voice."""

import csv
import io
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from asr.text_files import decoded, fault
from eval.data.rows import SourceRow, SourceRows
from eval.data.types import DataError, Problem

COMMON_VOICE = ("validated.tsv", "train.tsv", "dev.tsv", "test.tsv")
"""Tables of a Common Voice folder: the first that exists is read; name another by its path."""

COLUMNS: Mapping[str, tuple[str, ...]] = {
    "audio_filepath": ("path", "audio_filepath", "audio", "file", "filename", "wav"),
    "text": ("text", "sentence", "transcript", "transcription"),
    "speaker": ("speaker", "client_id", "speaker_id"),
    "language": ("language", "locale", "lang"),
    "accent": ("accent", "accents"),
}
"""Column names accepted for each field, in tables and saved data sets. The first non-empty column counts."""


def table_rows(table: Path) -> SourceRows:
    """Audio lies next to the table, or in `clips` next to it. Raises `DataError` if a required column is missing."""
    text = decoded(table.read_bytes())
    lines = _tsv_lines(text) if table.suffix == ".tsv" else _csv_lines(text, table)
    line, names = next(lines, (1, []))
    if isinstance(names, Problem):
        raise DataError(str(names))
    if wrong := fault("".join(names)):
        raise DataError(f"{table}:{line}: {wrong}")
    names = _without_empty_end([name.strip().lower() for name in names])
    for field in ("audio_filepath", "text"):
        if not set(COLUMNS[field]) & set(names):
            raise DataError(f"found columns {', '.join(names) or '(none)'} in {table}, wanted {COLUMNS[field][0]}")
    for number, cells in lines:
        yield _row(table, number, names, cells)


def renamed(row: Mapping[str, Any]) -> dict[str, Any]:
    """The row with its columns renamed to fields; other columns keep their names."""
    fields = {name: value for name, value in row.items() if not any(name in names for names in COLUMNS.values())}
    for field, names in COLUMNS.items():
        fields[field] = next((row[name] for name in names if row.get(name) not in (None, "")), None)
    return fields


def _row(table: Path, number: int, names: list[str], cells: list[str] | Problem) -> SourceRow | Problem:
    if isinstance(cells, Problem):
        return cells
    cells = [*cells[: len(names)], *_without_empty_end(cells[len(names) :])]
    if len(cells) != len(names):
        return Problem(table, number, f"found {len(cells)} columns, wanted {len(names)}")
    fields = _typed(renamed(dict(zip(names, cells, strict=True))))
    return SourceRow(table, number, fields, (table.parent, table.parent / "clips"))


def _without_empty_end(cells: list[str]) -> list[str]:
    """Without the empty cells at the end that spreadsheets write, a comma for each."""
    return cells[: max((place for place, cell in enumerate(cells, start=1) if cell.strip()), default=0)]


def _typed(fields: dict[str, Any]) -> dict[str, Any]:
    """Parses the seconds. What is no number stays text: `eval.data.rows` refuses it and names the field."""
    for key in ("duration", "offset"):
        try:
            fields[key] = float(fields[key]) if fields.get(key) else None
        except ValueError:
            continue
    return fields


def _csv_lines(text: str, table: Path) -> Iterator[tuple[int, list[str] | Problem]]:
    """Cells, and the line they begin in. Stops after a broken quotation: cells cannot be separated from there on."""
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    while True:
        number = reader.line_num + 1
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            yield number, Problem(table, number, f"found no line of a table ({error}); the rest is not read")
            return
        if any(cell.strip() for cell in cells):
            yield number, cells


def _tsv_lines(text: str) -> Iterator[tuple[int, list[str] | Problem]]:
    for number, line in enumerate(io.StringIO(text, newline=None), start=1):
        if line.strip():
            yield number, [_unquoted(cell) for cell in line.rstrip("\n").split("\t")]


def _unquoted(cell: str) -> str:
    """The cell without the quotes that older versions of Common Voice put around it.

    Newer versions do not quote cells, but a sentence may itself be a quotation from end to end. So only a cell with
    doubled quotes inside counts as quoted.
    """
    inside = cell[1:-1]
    quoted = len(cell) > 2 and cell[0] == cell[-1] == '"' and '""' in inside and '"' not in inside.replace('""', "")
    return inside.replace('""', '"') if quoted else cell
