"""Tells who awaits approval, by the ledger, and makes tags and names of runs say so.

A request is an entry of the ledger, and an approval a move that takes effect only while its request is the newest, no
other move came after it, and nobody has refused its version. Nothing waits in between but the entry.
"""

from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial

from tracking import ledger, registry, standing
from tracking.entries import Log
from tracking.registry import AWAITING, REFUSED, Version
from tracking.runs import name_approval
from tracking.store import connect

MINUTE = "%Y-%m-%d %H:%M UTC"


@dataclass(frozen=True)
class Waiting:
    """Holds a version that awaits approval."""

    line: str
    version: str
    run: str
    """Id of the pipeline run whose candidate it was."""
    until: datetime
    why: str

    @property
    def said(self) -> str:
        """Returns that in words, with what to type."""
        return (
            f"version {self.version} awaits approval until {self.until:{MINUTE}} ({self.why}): "
            f"finest models approve {self.version} --name {self.line} --reason WHY"
        )

    def facts(self) -> dict[str, str]:
        """Returns that for programs."""
        return {"version": self.version, "until": self.until.isoformat(timespec="seconds"), "why": self.why}


def waiting(log: Log, now: datetime | None = None) -> Waiting | None:
    """Returns the version that a person can approve; None where there is none, or the time for that is over."""
    found = log.awaiting.entry if log.awaiting else None
    if found is None or found.until is None or (now or datetime.now(UTC)) > found.until:
        return None
    return Waiting(log.line, found.to_version, found.run, found.until, found.why)


def over(log: Log, version: str, now: datetime | None = None) -> str:
    """Returns why a version can no longer be approved; empty where it can, or never awaited that."""
    found = log.awaiting.entry if log.awaiting else None
    if found and found.until and found.to_version == version and waiting(log, now) is None:
        return f"nobody had approved it by {found.until:{MINUTE}}"
    return log.over(version)


def show(version: Version, log: Log) -> None:
    """Makes alias, tags and the run's name say what the ledger says of a version that was asked for."""
    client, found = connect(), waiting(log)
    if found and found.version == version.version:
        standing.challenge(version.name, version.version)
        tag = f"until {found.until:{MINUTE}}: {found.why}"
        client.set_model_version_tag(version.name, version.version, AWAITING, tag)
        name_approval(client, version.mlflow_run_id, "awaiting")
    tidy(log)


def tidy(log: Log) -> None:
    """Takes the tag of those that no longer await approval, and says why."""
    client, champions = connect(), {one.entry.to_version for one in log.moves if one.entry}
    for version in registry.list_versions(log.line):
        if version.awaiting and (why := over(log, version.version)):
            approved = version.version in champions
            if not approved:
                ledger.contended(partial(client.set_model_version_tag, log.line, version.version, REFUSED, why))
            name_approval(client, version.mlflow_run_id, "approved" if approved else "refused")
            client.delete_model_version_tag(log.line, version.version, AWAITING)
