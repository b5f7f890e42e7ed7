"""The documents that tests compare with the code."""

from pathlib import Path

DOCS = Path(__file__).parents[2] / "docs"
DOC = (DOCS / "PROTOCOL.md").read_text(encoding="utf-8")
CLIENTS = (DOCS / "CLIENTS.md").read_text(encoding="utf-8")
OPERATING = (DOCS / "OPERATING.md").read_text(encoding="utf-8")


def rows(heading: str, document: str = DOC) -> list[list[str]]:
    """The cells of the table under a heading."""
    section = document.split(f"# {heading}\n", 1)[1].split("\n#", 1)[0]
    table = [line for line in section.splitlines() if line.startswith("| ")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in table[1:]]
