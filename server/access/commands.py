"""The subcommands `asr keys add`, `list` and `remove`. A running server notices the change by itself."""

from pathlib import Path
from typing import Annotated

import typer

from asr.cli import say
from asr.errors import ConfigError

ConfigOption = Annotated[Path | None, typer.Option(help="The server's settings; their keys_file is changed.")]


def register(app: typer.Typer) -> None:
    """Adds the group `keys` to the command `asr`."""
    keys = typer.Typer(help="Keys of the server: make, list and remove them.", rich_markup_mode=None)
    keys.command()(add)
    keys.command(name="list")(list_keys)
    keys.command()(remove)
    app.add_typer(keys, name="keys")


def add(
    name: Annotated[str, typer.Argument(help="Whose key it is: letters, digits and .-_")],
    scopes: Annotated[
        str, typer.Option(help="What it may do: of listen, transcribe, grant, metrics, operate.")
    ] = "listen,transcribe",
    max_streams: Annotated[int, typer.Option(help="Streams and uploads at the same time; 0: no limit.")] = 0,
    audio_s_per_day: Annotated[float, typer.Option(help="Seconds of audio in a day (UTC); 0: no limit.")] = 0.0,
    expires: Annotated[str, typer.Option(help="A date or time such as 2027-01-31, in UTC; else never.")] = "",
    config: ConfigOption = None,
) -> None:
    """Make a key, and print it. It is shown this once: only its SHA-256 is kept."""
    from server.access.keys import Key, add_key, digest, new_key

    secret, file = new_key(), _file(config)
    wanted = tuple(dict.fromkeys(scope.strip() for scope in scopes.split(",") if scope.strip()))
    key = Key(name, digest(secret.encode()).hex(), wanted, max_streams, audio_s_per_day, expires)
    add_key(file, key)
    say(f"added {name} to {file}; this is its key, shown only now:")
    typer.echo(secret)


def list_keys(config: ConfigOption = None) -> None:
    """List the keys: name, scopes, limits. The keys themselves are stored nowhere."""
    from server.access.keys import read_keys

    file = _file(config)
    for key in read_keys(file) if file.exists() else ():
        limits = {"max_streams": key.max_streams, "audio_s_per_day": f"{key.audio_s_per_day:g}", "expires": key.expires}
        shown = [f"{name}={value}" for name, value in limits.items() if value not in (0, "0", "")]
        typer.echo("\t".join([key.name, ",".join(key.scopes), *shown]))


def remove(
    name: Annotated[str, typer.Argument(help="As `asr keys list` shows it.")], config: ConfigOption = None
) -> None:
    """Remove a key. Its tokens end with it, and so do its streams at their next audio."""
    from server.access.keys import read_keys, remove_key

    file = _file(config)
    remove_key(file, name)
    say(f"removed {name} from {file}")
    if not read_keys(file):
        say("no key is left: the server refuses everybody; delete the file to serve without keys")


def _file(config: Path | None) -> Path:
    from server.access.keys import default_file
    from server.config import load_settings

    named = load_settings(config).keys_file
    file = Path(named).expanduser() if named else default_file()
    if file is None:
        raise ConfigError("STEADYWORD_KEYS is empty; wanted the file of keys, or no such variable")
    return file
