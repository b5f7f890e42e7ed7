"""The models of the settings that the ledger has releases of, and how one of those is loaded."""

import functools
from collections.abc import Sequence

from asr.aliases import CHAMPION
from asr.errors import ModelError
from asr.ledger import Ledger, Release, resolve
from server.config import ServerSettings
from server.roster.follow import Follower, Served
from server.workers.remote import RemoteEngine, ServedRelease, await_all, start_engines


def followed_names(settings: ServerSettings, ledger: Ledger) -> list[str]:
    """The models whose champion the server follows: NAME or NAME@champion. Raises `LedgerError`.

    A model of this machine that has releases and no champion yet serves itself, under its bare name.
    """
    known = ledger.names()
    names = [(model, model.removesuffix(f"@{CHAMPION}")) for model in settings.models]
    return [name for model, name in names if name in known and (model != name or _is_followed(name, ledger))]


def _is_followed(name: str, ledger: Ledger) -> bool:
    if CHAMPION in ledger.aliases(name):
        return True
    from asr.models.registry import find_installed  # imports the architectures

    try:
        find_installed(name)
    except ModelError:  # nothing else has this name: its first champion is waited for
        return True
    return False


def pinned_releases(settings: ServerSettings, ledger: Ledger) -> dict[str, Release]:
    """The models that are one release for ever, such as NAME/7. Raises `LedgerError` if there is no such release."""
    followed = followed_names(settings, ledger)
    others = [model for model in settings.models if model.removesuffix(f"@{CHAMPION}") not in followed]
    return {model: release for model in others if (release := resolve(model, ledger))}


def start_release(
    settings: ServerSettings, ledger: Ledger, release: Release, *, name: str = "", is_beside: bool = False
) -> Sequence[RemoteEngine]:
    """Its workers, started, after its files were compared with its hash. Raises `LedgerError`.

    Each process that is started later, in place of one that died, is compared again. `name` is the model's for clients,
    if not the release's own. `is_beside`: there are live streams.
    """
    check = functools.partial(ledger.verified_folder, release)
    served = ServedRelease(name or release.name, release.ref, check, check())
    return start_engines(str(served.folder), settings, served, is_beside=is_beside)


def load_all(settings: ServerSettings, ledger: Ledger) -> list[RemoteEngine]:
    """The workers of all models but those that are followed, loaded side by side. Raises as `load_engines`."""
    pinned, followed = pinned_releases(settings, ledger), followed_names(settings, ledger)
    led = {*pinned, *followed, *(f"{name}@{CHAMPION}" for name in followed)}
    others = [model for model in settings.models if model not in led]
    engines = [engine for model in others for engine in start_engines(model, settings)]
    for model, release in pinned.items():
        engines += start_release(settings, ledger, release, name=model)
    return await_all(engines)


def follower(settings: ServerSettings, ledger: Ledger, served: Served) -> Follower:
    """Follows the ledger for the models that it has releases of, and notes their streams there."""
    served.observe(ledger)
    return Follower(
        served,
        ledger,
        followed_names(settings, ledger),
        lambda release, is_beside: start_release(settings, ledger, release, is_beside=is_beside),
        keep_warm_s=settings.keep_warm_s,
        load_timeout_s=settings.start_timeout_s,
    )
