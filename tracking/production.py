"""Moves the champion by hand, tells what served when, and finds and mends what does not fit the ledger."""

import hashlib
import tempfile
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Literal

from finest.errors import FinestError
from tracking import awaiting, ledger, registry, standing
from tracking.canary.check import CanaryError
from tracking.canary.version import Canary
from tracking.entries import Log, named
from tracking.registry import Version
from tracking.standing import Standing
from tracking.store import connect


@dataclass(frozen=True)
class Move:
    """Holds a move that a person has in mind, after the ledger that they have seen."""

    kind: Literal["promotion", "rollback", "approval"]
    to: Version
    log: Log
    overridden: str
    """What speaks against it, which the person overrides; empty for nothing."""
    force: bool = False
    """Whether the person overrides, too, what is found once the version is tried."""


def promotion(name: str, version: str, force: bool = False) -> Move:
    """Returns the move that makes a version champion.

    Raises:
        FinestError: It is the champion already, or it was never proven and there is no `force`.
    """
    now = _begun(name)
    found = registry.get(name, version)
    if now.log.champion == version == now.served:
        raise FinestError(f"version {version} of {name} is the champion already")
    return Move("promotion", found, now.log, _overridden(found, now.log, force), force)


def rollback(name: str, to: str = "", force: bool = False) -> Move:
    """Returns the move back to a version: by default to the nearest earlier champion that is there and proven.

    Raises:
        FinestError: There is nothing to go back to, or the version was never proven and there is no `force`.
    """
    now = _begun(name)
    if not now.champion and not to:
        raise FinestError(
            f"{name} has no champion to roll back; promote a version first: finest models promote VERSION"
        )
    if to:
        if to == now.champion:
            raise FinestError(f"version {to} of {name} is the champion already")
        found = registry.get(name, to)
        return Move("rollback", found, now.log, _overridden(found, now.log, force), force)
    there = [registry.get(name, version) for version in now.log.earlier if version in now.versions]
    proven = [version for version in there if not unproven(version, now.log)]
    if not proven:
        why = f" (version {there[0].version}: {unproven(there[0], now.log)})" if there else ""
        raise FinestError(
            f"{name} has no previous champion to go back to{why}; choose a version: finest models promote VERSION"
        )
    return Move("rollback", proven[0], now.log, "", force)


def unproven(version: Version, log: Log) -> str:
    """Returns why nobody knows that a version serves what was judged and passed; empty where that is known."""
    if version.refused:
        return version.refused
    if version.verdict != "pass":
        return f"its verdict is {version.verdict or 'missing'}"
    if why := log.unapproved(version.version):
        return why
    if not log.has_proven(version.version, version.verified):
        said = "no entry of the ledger confirms its tag `verified`" if version.verified else "it is not verified"
        return f"{said}: nothing has loaded it and found that it serves the lists that were judged"
    return ""


def _overridden(version: Version, log: Log, force: bool) -> str:
    why = unproven(version, log)
    if why and not force:
        raise FinestError(
            f"version {version.version} of {version.name} stays out of production: {why}; --force promotes it all the "
            "same"
        )
    return why


def make(move: Move, why: str, canary: Canary | None = None) -> Version:
    """Makes a move and returns the new champion.

    Args:
        move: The move.
        why: Reason, for the ledger.
        canary: Tries the version before anything is written; None to try nothing.

    Raises:
        FinestError: The version is not fit to serve and there is no `force`, or another move was made since this one
            was planned.
    """
    line, log = move.to.name, move.log
    against = " and ".join(filter(None, (move.overridden, _unfit(move, canary) if canary else "")))
    if against:
        why = f"{why}; forced although {against}"
    entry = ledger.entry(
        move.kind,
        why,
        verdict=move.to.verified,
        from_version=log.champion,
        to_version=move.to.version,
        after=log.last.number if log.last else 0,
        forced=bool(against),
        data=move.to.data_fingerprint,
    )
    number, log = ledger.append(line, entry, log)
    if (lost := log.lost(number)) is not None:
        raise FinestError(lost)
    awaiting.tidy(standing.settle(line).log)
    return registry.get(line, move.to.version)


def _unfit(move: Move, canary: Canary) -> str:
    """Returns why the version is not fit to serve, which the person overrides; empty where it is."""
    line, champion = move.to.name, move.log.champion
    # What a rollback leaves may be quick and wrong.
    beside = champion if move.kind != "rollback" and champion in standing.stand(line).versions else ""
    try:
        canary(move.to, None, registry.get(line, beside) if beside else None)
    except CanaryError as error:
        if not move.force:
            raise FinestError(
                f"version {move.to.version} of {line} stays out of production: {error}; --force makes it the champion "
                "all the same"
            ) from error
        return str(error)
    return ""


def _begun(name: str) -> Standing:
    """Returns how a line stands once it has a ledger and a crash is mended; a person may move what stands wrong."""
    ledger.unbroken(ledger.begin(name))
    now = standing.stand(name)
    return standing.settle(name) if now.unfinished else now


@dataclass(frozen=True)
class Tenure:
    """Says what was champion from one moment to another."""

    version: str
    entry: int
    """Number of the move that made it champion."""
    since: datetime
    until: datetime | None
    """None for the champion of today."""


def tenures(log: Log) -> list[Tenure]:
    """Returns who was champion when, oldest first."""
    moves = [(one.number, one.entry) for one in log.moves if one.entry]
    ends = [entry.when for _, entry in moves[1:]]
    return [
        Tenure(entry.to_version, number, entry.when, until)
        for (number, entry), until in zip(moves, [*ends, None], strict=True)
    ]


def problems(name: str) -> list[str]:
    """Returns everything that does not fit, a line each; nothing is written."""
    now = standing.stand(name)
    found = [f"the ledger of {name} was changed: {text}" for text in now.log.breaks()]
    if now.unfinished and now.log.last:
        last = now.log.last
        found.append(
            f"the alias champion of {name} has yet to follow entry {last.number} of the ledger to version "
            f"{now.champion}: `finest models repair` lets it"
        )
    elif problem := now.gone or now.moved:
        found.append(problem)
    elif now.log.begun and (before := now.aliases.get(ledger.PREVIOUS, "")) != now.previous:
        found.append(
            f"the alias previous of {name} is {named(before)}, and by the ledger {named(now.previous)}: "
            "`finest models repair` puts it right"
        )
    for version, tags in sorted(now.versions.items(), key=lambda one: int(one[0])):
        digest = tags.get(registry.VERIFIED, "")
        if digest and not now.log.has_proven(version, digest):
            found.append(f"version {version} of {name} has a tag `verified` that no entry of the ledger confirms")
    return found + _damage(now) + _verdicts(now)


def _damage(now: Standing) -> list[str]:
    """Returns what is wrong with the packages of the champion and of the version that a rollback would go to."""
    found = []
    for version in (now.champion, now.previous):
        tags = now.versions.get(version, {})
        if not (now.log.manifest_of(version) or tags.get(registry.MANIFEST)):  # of an earlier release: nobody can tell
            continue
        with tempfile.TemporaryDirectory() as folder:
            try:
                registry.package(registry.get(now.log.line, version), Path(folder))
            except FinestError as error:
                found.append(str(error))
    return found


def _verdicts(now: Standing) -> list[str]:
    """Returns what is wrong with the champion's verdict: it must be the file of which the ledger holds the digest."""
    last = now.log.last.entry if now.log.last else None
    if last is None or not last.verdict or now.champion not in now.versions:
        return []
    version = registry.get(now.log.line, now.champion)
    client = connect()
    if not any(file.path == "verdict.json" for file in client.list_artifacts(version.mlflow_run_id)):
        return [
            f"version {version.version} of {version.name}: its run {version.kfp_run_id} has no verdict.json any more"
        ]
    with tempfile.TemporaryDirectory() as folder:
        file = Path(client.download_artifacts(version.mlflow_run_id, "verdict.json", folder))
        if hashlib.sha256(file.read_bytes()).hexdigest() == last.verdict:
            return []
    return [
        f"version {version.version} of {version.name}: verdict.json of its run {version.kfp_run_id} is not the verdict "
        "that the ledger names"
    ]


def repair(name: str, accept: bool = False, why: str = "") -> list[str]:
    """Makes the aliases follow the ledger; returns what was done, a line each.

    Args:
        name: The registered model.
        accept: Go on from a ledger that was changed: what the alias names now is adopted as champion.
        why: Reason, for the ledger.

    Raises:
        FinestError: The ledger was changed and nobody accepts that, or the champion has vanished.
    """
    now = standing.stand(name)
    if now.log.breaks() and accept:
        return [_accept(name, now, why)]
    ledger.unbroken(now.log)
    if now.gone:
        raise FinestError(now.gone)
    by_hand, before = now.moved, (now.served, now.aliases.get(ledger.PREVIOUS, ""))
    if by_hand:
        found = ledger.entry(
            "hand",
            f"{why or 'repair'}: the alias was on {named(now.served)} by nobody's entry, and is put back",
            from_version=now.served,
            to_version=now.champion,
        )
        ledger.append(name, found, now.log)
    now = standing.settle(name)
    after = now.served, now.aliases.get(ledger.PREVIOUS, "")
    pairs = zip(("champion", "previous"), before, after, strict=True)
    return [f"{alias}: from {named(old)} to {named(new)}" for alias, old, new in pairs if old != new]


def _accept(name: str, now: Standing, why: str) -> str:
    if not why:
        raise FinestError("say why the ledger may have been changed, with --reason; it is written into it")
    if not now.served:
        raise FinestError(
            f"the alias champion of {name} is gone, so there is nothing to go on from; set it in MLflow to the version "
            "that is meant to be in production, and try again"
        )
    ledger.create(name)
    log = ledger.read(name)
    entry = ledger.entry(
        "adoption",
        why,
        from_version=log.champion,
        to_version=now.served,
        after=log.last.number if log.last else 0,
        forced=True,
        accepts=True,
    )
    number, log = ledger.append(name, entry, log)
    if (lost := log.lost(number)) is not None:
        raise FinestError(lost)
    standing.settle(name)
    return f"the ledger is accepted as it is, with version {now.served} as champion (entry {number})"
