"""Fills the templates in `eval/html/templates`: the one Jinja environment of all pages."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from eval.html.formatting import between, memory, minutes, p_value, plain, plural, significant
from eval.html.plots import themed
from server.palette import PALETTE

if TYPE_CHECKING:
    from jinja2 import Environment

TEMPLATES = Path(__file__).parent / "templates"

FUNCTIONS: Mapping[str, Callable[..., str]] = {
    function.__name__: function for function in (between, memory, minutes, p_value, plain, plural, significant, themed)
}
"""What every template may call, as a function or as a filter."""


def render(template: str, **values: Any) -> str:
    """A template filled with values, which are escaped in HTML and in Markdown's tables.

    Raises Jinja's error for a name that is not given.
    """
    return str(environment_of(template).get_template(template).render(**values))


def environment_of(template: str) -> "Environment":
    """The templates with what they may call, escaping as the template's suffix asks."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader([TEMPLATES, PALETTE.parent]),
        autoescape=template.endswith(".html"),
        finalize=_markdown_cell if template.endswith(".md") else None,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals |= FUNCTIONS
    environment.filters |= FUNCTIONS
    return environment


def _markdown_cell(value: Any) -> Any:
    """A text that neither ends its cell nor begins a formula."""
    return " ".join(value.splitlines()).replace("|", "\\|").replace("$", "\\$") if isinstance(value, str) else value


def script_json(data: Any) -> str:
    """JSON that is safe inside a script element: no text in it can end the element."""
    return json.dumps(data, ensure_ascii=False, separators=(",", ":")).replace("<", "\\u003c")
