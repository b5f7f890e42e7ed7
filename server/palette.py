"""The colours and letters of every page of the project: this server's, those of `asr ops`, the report and the audit."""

from importlib.resources import files
from pathlib import Path

PALETTE = Path(str(files("server").joinpath("static/palette.css")))
