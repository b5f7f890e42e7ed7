"""Templates."""

import json
import re

import pytest

from eval.html.render import TEMPLATES, environment_of, render, script_json
from server.palette import PALETTE


def test_data_cannot_end_the_script_that_holds_it() -> None:
    """A label may say </script>."""
    assert "</script>" not in script_json({"a": "</script><script>alert(1)"})
    assert json.loads(script_json({"a": "</script>"})) == {"a": "</script>"}


def test_a_name_cannot_end_its_cell_in_a_markdown_table() -> None:
    """Nor begin a formula."""
    environment = environment_of("report.md")
    assert environment.from_string("| {{ name }} |").render(name="a|b\n$x$") == "| a\\|b \\$x\\$ |"


@pytest.mark.parametrize("template", ["report.md", "report.html", "sweep.html", "audit.html"])
def test_a_template_that_asks_for_an_unknown_name_fails(template: str) -> None:
    """Rather than show an empty cell."""
    with pytest.raises(Exception, match=r"undefined|no attribute"):
        render(
            template, r={}, css="", points=[{}], plot="", plots={}, js="", utterances="", recordings="", audio_note=""
        )


@pytest.mark.parametrize("page", ["report.css", "audit.html"])
def test_a_page_takes_its_colours_from_the_one_palette(page: str) -> None:
    """It may add colours, not change those of the palette, and it uses none that is in neither."""
    files = (TEMPLATES / page, PALETTE)
    text, palette = (re.sub(r"/\*.*?\*/", "", file.read_text(encoding="utf-8")) for file in files)
    own, common = (set(re.findall(r"[{;]\s*--([a-z0-9-]+):", style)) for style in (text, palette))
    used = set(re.findall(r"var\(--([a-z0-9-]+)\)", text))
    assert not own & common
    assert used - own <= common
    assert used & common >= {"paper", "ink", "quiet", "line", "accent", "sans"}
