"""Templates."""

import json

import pytest

from eval.html.render import environment_of, render, script_json


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
