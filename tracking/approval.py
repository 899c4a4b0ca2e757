"""Puts a person between a candidate that passed and production: it waits, and is approved or refused."""

import tempfile
from datetime import datetime
from itertools import takewhile
from pathlib import Path

from finest.errors import FinestError
from finest.gate.better import better
from finest.gate.verdict import Verdict
from finest.gate.verdict_file import digest_of, read_verdict
from finest.models.manifest import VERDICT
from tracking import awaiting, history, ledger, registry, standing
from tracking.entries import Entry, Log
from tracking.production import Move
from tracking.registry import REFUSED, Version
from tracking.store import connect


def doubts(log: Log, fingerprint: str, verdict: Verdict) -> str:
    """Returns why a candidate that passed needs a person, by what was rolled back; empty where it needs none.

    Args:
        log: The ledger.
        fingerprint: Fingerprint of the data that it was trained on. After a rollback from a version of the same data it
            always needs one.
        verdict: Its verdict. While the last move is a rollback, it must be proven to be better than that of the version
            which was left.
    """
    rollbacks = [(one.number, one.entry) for one in log.moves if one.entry and one.entry.kind == "rollback"]
    for number, entry in reversed(rollbacks):
        if log.data_of(entry.from_version) == fingerprint:
            return f"version {entry.from_version}, of the same data, was rolled back by {entry.who} (entry {number})"
    newest = takewhile(lambda one: one.entry and one.entry.kind == "rollback", reversed(log.moves))
    for number, entry in [(one.number, one.entry) for one in newest if one.entry]:
        left = entry.from_version
        if left and not ((old := _verdict_of(log, left)) and better(verdict, old)):
            return (
                f"version {left} was rolled back by {entry.who} (entry {number}), and this verdict is not proven to be "
                "better than its"
            )
    return ""


def _verdict_of(log: Log, version: str) -> Verdict | None:
    """Returns a version's verdict, as the ledger names it; None where nobody has that any more."""
    known = {one.entry.verdict for one in log.written if one.entry and one.entry.to_version == version}
    try:
        found = history.read_verdict(registry.get(log.line, version).kfp_run_id)
    except FinestError:
        return None
    return found if digest_of(found) in known else None


def ask(made: Version, log: Log, request: Entry) -> Version:
    """Leaves a verified version waiting for a person, in the place of those that waited before; returns it.

    Args:
        made: The version.
        log: The ledger, as it was when the champion was found to be the one that it was judged against.
        request: The entry to write.

    Raises:
        FinestError: The champion was moved meanwhile, or a newer version was asked for.
    """
    _, log = ledger.append(made.name, request, log)
    if why := log.over(made.version):
        connect().set_model_version_tag(made.name, made.version, REFUSED, why)
        raise FinestError(f"version {made.version} of {made.name} passed, and does not await approval: {why}")
    awaiting.show(made, log)
    return registry.get(made.name, made.version)


def approval(name: str, version: str, held: str = "", force: bool = False, now: datetime | None = None) -> Move:
    """Returns the move that makes a version champion which awaits approval.

    Args:
        name: The line.
        version: The version.
        held: Why nothing is to go into production now, such as a freeze; empty for nothing.
        force: Go on all the same.
        now: The time; that of this machine if not given.

    Raises:
        FinestError: It does not await approval, no longer, or not now; or its package is not what was verified.
    """
    found, log, request = _requested(name, version, now)
    if held and not force:
        raise FinestError(f"version {version} of {name} is not approved now: {held}; wait, or add --force")
    with tempfile.TemporaryDirectory() as folder:
        package = registry.package(found, Path(folder))
        verdict = read_verdict(package / "artifacts" / VERDICT)
        if digest_of(verdict) != request.verdict or verdict.verdict != "pass" or found.verified != request.verdict:
            raise FinestError(
                f"version {version} of {name} does not have the verdict by which it awaits approval (sha256 "
                f"{request.verdict[:12]}, by the ledger); nothing was moved: see `finest models verify`"
            )
    return Move("approval", found, log, held, force)


def refuse(name: str, version: str, why: str, now: datetime | None = None) -> None:
    """Writes into the ledger that a person refuses a version that awaits approval.

    Raises:
        FinestError: It does not await that, or somebody was quicker.
    """
    found, log, request = _requested(name, version, now)
    entry = ledger.entry("refusal", why, verdict=request.verdict, from_version=log.champion, to_version=version)
    number, log = ledger.append(name, entry, log)
    awaiting.tidy(log)
    if log.ended(version) != number:
        raise FinestError(f"version {found.version} of {name} is not refused: {log.over(version)}")


def _requested(name: str, version: str, now: datetime | None) -> tuple[Version, Log, Entry]:
    """Returns a version that awaits approval, the ledger, and the request; raises FinestError where it does not."""
    ledger.begin(name)
    log = standing.check(name).log
    found, asked = registry.get(name, version), awaiting.waiting(log, now)
    if log.awaiting and log.awaiting.entry and asked and asked.version == version:
        return found, log, log.awaiting.entry
    if log.champion == version:
        raise FinestError(f"version {version} of {name} is the champion already")
    why = awaiting.over(log, version, now) or "nobody has asked for that"
    raise FinestError(f"version {version} of {name} does not await approval: {why}; see `finest models list`")
