"""Holds the alias `champion` against the ledger, of which it is a shadow, and makes it follow.

A move is an entry first and an alias then. Whoever finds an entry that its alias has not followed, since its writer was
killed in between, lets it follow; an alias that no entry explains was moved by hand.
"""

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from finest.errors import FinestError
from tracking import ledger
from tracking.entries import Log, named
from tracking.ledger import CHALLENGER, CHAMPION, PREVIOUS
from tracking.store import connect

if TYPE_CHECKING:
    from mlflow import MlflowClient

logger = logging.getLogger(__name__)

ROUNDS = 20
"""Number of times that aliases are set again since another move came in between."""


@dataclass(frozen=True)
class Standing:
    """Holds a line's ledger beside its aliases and versions."""

    log: Log
    aliases: Mapping[str, str]
    versions: Mapping[str, Mapping[str, str]]
    """Tags of the versions that there are."""

    @property
    def champion(self) -> str:
        """Returns the champion's version by the ledger, or the alias in a line without one; empty for none."""
        return self.log.champion if self.log.begun else self.aliases.get(CHAMPION, "")

    @property
    def served(self) -> str:
        """Returns the version that the alias names; empty for none."""
        return self.aliases.get(CHAMPION, "")

    @property
    def unfinished(self) -> bool:
        """Tells whether the alias has yet to follow the last move."""
        last = self.log.last
        if last is None or last.entry is None or last.done or self.champion not in self.versions:
            return False
        return self.served in ("", last.entry.from_version, self.champion)

    @property
    def gone(self) -> str | None:
        """Returns the line that says that the champion has vanished; None where it has not, or there never was one."""
        name, ways = self.log.line, "; choose one: `finest models rollback`, `finest models promote VERSION`"
        if self.log.moves and self.champion not in self.versions:
            entry = f"entry {self.log.last.number} of the ledger" if self.log.last else "the ledger"
            left = ways if self.versions else "; no version is left: start a line of another name"
            return f"the champion of {name} is version {self.champion} by {entry}, and that version was deleted{left}"
        if not self.champion and not self.served:
            passed = [version for version, tags in self.versions.items() if _once_served(tags)]
            if passed:
                newest = max(passed, key=int)
                why = f"version {newest} passed before there was a ledger: its alias was removed"
                return f"{name} has no champion, but {why}{ways}"
        return None

    @property
    def moved(self) -> str | None:
        """Returns the line that says that the alias is not where the ledger has put it; None where all is well."""
        if self.gone or self.unfinished or self.served == self.champion:
            return None
        name, last = self.log.line, self.log.last
        now = f"on version {self.served}" if self.served else "gone"
        meant = (
            f"by entry {last.number} of the ledger it is version {self.champion}"
            if last
            else "the ledger has made none"
        )
        keep = f"; `finest models promote {self.served}` makes that the champion" if self.served else ""
        return (
            f"the alias {CHAMPION} of {name} is {now}, but {meant}: somebody has moved it by hand; "
            f"`finest models repair` puts it back{keep}"
        )

    @property
    def previous(self) -> str:
        """Returns what the alias `previous` has to name; empty for none."""
        return next((version for version in self.log.earlier if version in self.versions), "")

    @property
    def stale(self) -> bool:
        """Tells whether the alias `challenger` names the champion, or a version that was judged before it."""
        challenger = self.aliases.get(CHALLENGER, "")
        return bool(challenger and self.champion) and int(challenger) <= int(self.champion)


def _once_served(tags: Mapping[str, str]) -> bool:
    """Tells whether a version was promoted before there were ledgers; those since say so in theirs."""
    return tags.get("verdict") == "pass" and not tags.get("refused") and ledger.HEAD not in tags


def stand(line: str) -> Standing:
    """Returns how a line stands; nothing is written.

    Aliases are believed only where the ledger was the same before and after they were read.
    """
    client, log = connect(), ledger.read(line)
    for _ in range(ROUNDS):
        found = {str(raw.version): dict(raw.tags) for raw in client.search_model_versions(f"name = '{line}'")}
        before, (log, now) = log, ledger.beside(line)
        if before.moves == log.moves:
            break
    return Standing(log, now, found)


def check(line: str) -> Standing:
    """Returns how a line stands, once the alias has followed what a crash has left.

    Raises:
        FinestError: The ledger was changed, the champion has vanished, or the alias was moved by hand: a person must
            say what is meant to be in production.
    """
    now = stand(line)
    ledger.unbroken(now.log)
    if now.unfinished:
        logger.warning("%s: the alias follows entry %d of the ledger", line, now.log.top)
        now = settle(line)
    if problem := now.gone or now.moved:
        raise FinestError(problem)
    _retire(connect(), now)  # as an earlier release has left it
    return now


def settle(line: str) -> Standing:
    """Makes the aliases follow the ledger, also where other moves come in between; returns how the line stands then.

    The last alias that anybody sets is that of the last move: whoever sets one reads the ledger again afterwards.
    """
    client, now = connect(), stand(line)
    for _ in range(ROUNDS):
        if not now.log.begun or now.gone:
            return now
        _set(client, line, CHAMPION, now.champion, now.served)
        _set(client, line, PREVIOUS, now.previous, now.aliases.get(PREVIOUS, ""))
        _retire(client, now)
        before, now = now, stand(line)
        if now.log.champion == now.served and now.log.top == before.log.top and not now.stale:
            ledger.mark_done(now.log)
            return now
    raise FinestError(
        f"the alias {CHAMPION} of {line} is {named(now.served)} and was moved by others {ROUNDS} times while it was to "
        f"follow the ledger to version {now.champion}; see who does that, then `finest models repair`"
    )


def challenge(line: str, version: str) -> None:
    """Makes a version the challenger; not one that is champion by now, whoever has made it that in between."""
    client = connect()
    ledger.contended(lambda: client.set_registered_model_alias(line, CHALLENGER, version))
    _retire(client, stand(line))


def _retire(client: "MlflowClient", now: Standing) -> None:
    """Takes the alias `challenger` from the champion, and from what was judged before it."""
    if now.stale:
        ledger.contended(lambda: client.delete_registered_model_alias(now.log.line, CHALLENGER))


def _set(client: "MlflowClient", line: str, alias: str, version: str, now: str) -> None:
    if version and version != now:
        ledger.contended(lambda: client.set_registered_model_alias(line, alias, version))
    elif now and not version:
        ledger.contended(lambda: client.delete_registered_model_alias(line, alias))
