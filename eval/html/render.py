"""Fills the templates in `eval/html/templates`: the one Jinja environment of all pages."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from eval.html.formatting import between, memory, minutes, p_value, plain, plural, significant

TEMPLATES = Path(__file__).parent / "templates"

FUNCTIONS: Mapping[str, Callable[..., str]] = {
    function.__name__: function for function in (between, memory, minutes, p_value, plain, plural, significant)
}
"""What every template may call, as a function or as a filter."""


def render(template: str, **values: Any) -> str:
    """A template filled with values, which are escaped in HTML. Raises Jinja's error for a name that is not given."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=template.endswith(".html"),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals |= FUNCTIONS
    environment.filters |= FUNCTIONS
    return environment.get_template(template).render(**values)


def script_json(data: Any) -> str:
    """JSON that is safe inside a script element: no text in it can end the element."""
    return json.dumps(data, ensure_ascii=False, separators=(",", ":")).replace("<", "\\u003c")
