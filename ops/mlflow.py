"""The ledger's mirror in MLflow's model registry, and a door back.

Each model with releases is a registered model, each release a version, each alias an alias. The ledger decides: a move
of an alias in MLflow is a *request*. It is granted if it passes the gate that `asr models promote` asks for, or undone.

    request for         granted
    champion            with a passed gate beside today's champion, or back to the champion before (a rollback)
    canary              with a passed gate: clients hear it, and a move in MLflow carries no reason
    shadow              always: its words reach nobody
    no canary, shadow   always: to stop needs no proof

What was mirrored last stands in a tag of the registered model. So a difference is known to come from the ledger or from
MLflow, also after this process was killed at any moment. The server never imports this module.
"""

import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from asr.aliases import ALIASES, CANARY, CHAMPION, DEFAULT_SHARE, DEFAULT_WEIGHT, SHADOW, SHARE, WEIGHT
from asr.errors import CallerError, LedgerError
from asr.ledger import Ledger, Release, evidence_for, previous_champion
from eval.report.mlflow import check_installed, store_address

LEDGER_TAG, MIRRORED_TAG = "steadyword.ledger", "steadyword.mirrored"
RELEASE_TAG, SHA256_TAG = "steadyword.release", "steadyword.sha256"
BY = "mlflow"
OPTIONS: Mapping[str, Mapping[str, float]] = {
    CHAMPION: {},
    CANARY: {WEIGHT: DEFAULT_WEIGHT},
    SHADOW: {SHARE: DEFAULT_SHARE},
}
"""What an alias that was moved in MLflow starts with, as on the command line."""
REQUESTS = {"MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1", "MLFLOW_HTTP_REQUEST_TIMEOUT": "20"}
"""MLflow's client tries a server that is down for over four minutes without a word. `asr models mirror` looks again by
itself, so it reports that soon. Values in the environment count more."""


def synchronise(ledger: Ledger, uri: str) -> list[str]:
    """Makes MLflow show what the ledger holds, and answers requests; returns a sentence for each.

    `uri` is a registry: a server's address, ``sqlite:///FILE``, or a folder. Raises `ConfigError` where MLflow is not
    installed, `CallerError` where the registry cannot be used, `LedgerError`.
    """
    check_installed()
    for name, value in REQUESTS.items():
        os.environ.setdefault(name, value)
    from mlflow import MlflowClient
    from mlflow.exceptions import MlflowException

    try:
        client = MlflowClient(tracking_uri=store_address(uri), registry_uri=store_address(uri))
        return [sentence for name in ledger.names() for sentence in _synchronise(ledger, client, name)]
    except (MlflowException, OSError) as error:
        reason = " ".join(str(error).split())[:200]
        wanted = "wanted a server's address, sqlite:///FILE or a folder"
        raise CallerError(f"MLflow's registry {uri} cannot be used ({reason}); {wanted}") from None


@dataclass
class Mirror:
    """One registered model. ``versions`` has MLflow's version of each release, ``mirrored`` the release that each alias
    was on when it was mirrored last."""

    client: Any
    name: str
    versions: dict[int, str] = field(default_factory=dict)
    aliases: dict[str, str] = field(default_factory=dict)
    mirrored: dict[str, int] = field(default_factory=dict)

    @property
    def releases(self) -> dict[str, int]:
        """MLflow's version -> the release that it shows."""
        return {version: number for number, version in self.versions.items()}

    def add(self, release: Release) -> None:
        """Shows a release as a version."""
        tags = {RELEASE_TAG: release.ref, SHA256_TAG: release.sha256, "by": release.by, "why": release.why}
        source = f"steadyword:/{release.sha256}"  # a server refuses paths of this machine
        made = self.client.create_model_version(self.name, source, tags=tags, description=str(release.folder))
        self.versions[release.number] = str(made.version)

    def put(self, alias: str, number: int | None) -> None:
        """Puts MLflow's alias on a release, or takes it away; then remembers that."""
        if number is None:
            if alias in self.aliases:
                self.client.delete_registered_model_alias(self.name, alias)
        elif self.aliases.get(alias) != self.versions[number]:
            self.client.set_registered_model_alias(self.name, alias, self.versions[number])
        if self.mirrored.get(alias) != number:
            if number is None:
                del self.mirrored[alias]
            else:
                self.mirrored[alias] = number
            self.client.set_registered_model_tag(self.name, MIRRORED_TAG, json.dumps(self.mirrored))


def _synchronise(ledger: Ledger, client: Any, name: str) -> Iterator[str]:
    mirror = _mirror(ledger, client, name)
    if mirror is None:
        yield f"MLflow's model {name} is not a mirror of this ledger and was left alone; wanted a registry without it"
        return
    for release in ledger.releases(name):
        if release.number not in mirror.versions:
            mirror.add(release)
    for alias in ALIASES:
        yield from _synchronise_alias(ledger, mirror, alias)


def _mirror(ledger: Ledger, client: Any, name: str) -> Mirror | None:
    """The registered model, which is created where it is missing; None for one that somebody else made."""
    found = {model.name: model for model in client.search_registered_models(f"name = '{name}'")}
    if name not in found:
        client.create_registered_model(name, tags={LEDGER_TAG: ledger.where})
        return Mirror(client, name)
    model = client.get_registered_model(name)
    if LEDGER_TAG not in model.tags:
        return None
    aliases = {alias: str(version) for alias, version in model.aliases.items()}
    mirrored = json.loads(model.tags.get(MIRRORED_TAG, "{}"))
    mirror = Mirror(client, name, aliases=aliases, mirrored=mirrored)
    numbers = {f"{name}/{release.number}": release.number for release in ledger.releases(name)}
    for version in client.search_model_versions(f"name = '{name}'"):
        if (ref := version.tags.get(RELEASE_TAG)) in numbers:
            mirror.versions[numbers[ref]] = str(version.version)
    return mirror


def _synchronise_alias(ledger: Ledger, mirror: Mirror, alias: str) -> Iterator[str]:
    """Mirrors the ledger's alias; first grants or refuses a move that was made in MLflow."""
    now = ledger.aliases(mirror.name).get(alias)
    number = None if now is None else now.number
    version = mirror.aliases.get(alias)
    wanted = None if version is None else mirror.releases.get(version, -1)
    if wanted not in (number, mirror.mirrored.get(alias)):
        shown = "no release" if wanted is None else f"version {version}" if wanted == -1 else f"{mirror.name}/{wanted}"
        try:
            _grant(ledger, mirror, alias, number, wanted)
            number = wanted
            yield f"{mirror.name}@{alias} was moved in MLflow to {shown}, and in the ledger too"
        except LedgerError as error:
            yield f"{mirror.name}@{alias} was moved in MLflow to {shown} and put back: {error}"
    mirror.put(alias, number)


def _grant(ledger: Ledger, mirror: Mirror, alias: str, number: int | None, wanted: int | None) -> None:
    """Moves the ledger's alias as asked. Raises `LedgerError` with the reason why not."""
    name = mirror.name
    if mirror.mirrored.get(alias) != number:
        raise LedgerError("the ledger's alias moved at the same time, and it counts")
    why, evidence = "taken away in MLflow", dict[str, Any]()
    if wanted is None:
        if alias == CHAMPION:
            raise LedgerError("a champion is replaced, never taken away")
    else:
        if wanted == -1:
            raise LedgerError("that version is no release; wanted one that `asr models add` made")
        ledger.verified_folder(ledger.release(name, wanted))
        why, evidence = _reason(ledger, name, alias, wanted)
    options = OPTIONS[alias] if wanted is not None else {}
    ledger.move(name, alias, expected=number, to=wanted, by=BY, why=why, evidence=evidence, options=options)


def _reason(ledger: Ledger, name: str, alias: str, wanted: int) -> tuple[str, dict[str, Any]]:
    """Why the alias may move there, and the evidence. Raises `LedgerError` if it may not."""
    if alias == SHADOW:
        return "moved in MLflow", {}
    if alias == CHAMPION and previous_champion(ledger.moves(name)) == wanted:
        return "rolled back in MLflow", {}
    evidence = evidence_for(ledger, name, wanted)
    if not evidence:
        raise LedgerError(
            f"{name}/{wanted} has no passed gate beside today's champion; wanted `asr models gate {name}/{wanted}` "
            f'first, or `asr models {"promote" if alias == CHAMPION else alias} {name}/{wanted} --because "..."`'
        )
    return "moved in MLflow, its gate passed", evidence
