"""Computes what a ledger's entries come to: which moves took effect, who is champion, and what was changed since."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import Literal

from pydantic import BaseModel, ConfigDict

Kind = Literal["adoption", "promotion", "rollback", "request", "approval", "refusal", "hand"]
MOVES = ("adoption", "promotion", "rollback", "approval")
"""Kinds of entries that move the champion. A request asks for an approval, which moves it only while the request is the
newest and its version not refused; the others are for the record."""


class Entry(BaseModel):
    """Holds what one entry says."""

    model_config = ConfigDict(frozen=True)

    kind: Kind
    who: str
    when: datetime
    why: str
    run: str = ""
    """Id of the pipeline run; empty for what was done by hand."""
    verdict: str = ""
    """Digest of the verdict (sha256 of verdict.json); empty where there is none."""
    manifest: str = ""
    """Digest of the manifest of the package of `to_version`; empty where nobody has checked one."""
    from_version: str = ""
    """The champion before; empty for none."""
    to_version: str = ""
    """Version that the entry is about; of a move, the champion after it."""
    after: int = 0
    """Number of the move that had put `from_version` into production, as the writer saw it; 0 for none."""
    previous: str = ""
    """Of an adoption: what was the previous champion then."""
    until: datetime | None = None
    """Of a request: when it expires."""
    data: str = ""
    """Fingerprint of the data that `to_version` was trained on; empty where the writer did not know it."""
    forced: bool = False
    """Whether a person has overridden a refusal."""
    accepts: bool = False
    """Whether a person goes on from a ledger that was changed before this entry."""
    seen: int = 0
    """Number of the newest entry that the writer saw."""
    chain: str = ""
    """Digest of all entries up to `seen`."""

    def line(self) -> str:
        """Returns the entry in one line, for people."""
        moved = f" from {named(self.from_version)} to {named(self.to_version)}" if self.kind in MOVES else ""
        about = f" of version {self.to_version}" if not moved and self.to_version else ""
        return f"{self.kind}{moved}{about} by {self.who}{', forced' if self.forced else ''}: {self.why}"


def named(version: str) -> str:
    """Returns a version in a sentence."""
    return f"version {version}" if version else "no champion"


@dataclass(frozen=True)
class Written:
    """Holds an entry as the store has it."""

    number: int
    text: str | None
    """Content, as it was written; None where the store's version holds none."""
    entry: Entry | None
    """None where the text is no entry that this version of finest can read."""
    done: bool
    """Whether the alias has followed."""


@dataclass(frozen=True)
class _Followed:
    """Holds what a ledger's entries come to."""

    moves: tuple[Written, ...]
    request: Written | None
    ended: Mapping[str, Written]
    """By version, the entry that ended its newest request."""


@dataclass(frozen=True)
class Log:
    """Holds a ledger as it was read, and what follows from it."""

    line: str
    exists: bool
    written: tuple[Written, ...]
    """All entries, oldest first."""
    head: str
    """What the line's model says of the newest entry: its number and the digest up to it; empty where nothing."""

    @property
    def begun(self) -> bool:
        """Tells whether the ledger knows the line, or once did; before that the alias is all that there is."""
        return bool(self.written or self.head)

    @property
    def moves(self) -> tuple[Written, ...]:
        """Returns the moves that took effect, oldest first: each came after the one before it."""
        return self._followed.moves

    @property
    def awaiting(self) -> Written | None:
        """Returns the request that an approval would follow, expired or not; None where there is none.

        It is the newest one, no move came after it, and nobody has refused its version since.
        """
        return self._followed.request

    @cached_property
    def _followed(self) -> _Followed:
        """Follows all entries, oldest first."""
        moves: list[Written] = []
        request, ended = None, dict[str, Written]()
        for one in self.written:
            if (entry := one.entry) is None:
                continue
            asked = request.entry.to_version if request and request.entry else ""
            in_time = entry.after == (moves[-1].number if moves else 0)
            if entry.kind == "refusal" and entry.to_version == asked:
                request = None
            elif entry.kind == "request" and in_time:
                request = one
            elif entry.kind == "request" and moves:
                ended[entry.to_version] = moves[-1]
                continue
            elif entry.kind in MOVES and in_time and (entry.kind != "approval" or entry.to_version == asked):
                moves.append(one)
                request = None
            else:
                continue
            if asked:
                ended[asked] = one
            if request and request.entry:
                ended.pop(request.entry.to_version, None)
        return _Followed(tuple(moves), request, ended)

    @property
    def last(self) -> Written | None:
        """Returns the move that put the champion into production; None before the first one."""
        return self.moves[-1] if self.moves else None

    @property
    def champion(self) -> str:
        """Returns the champion's version; empty where there never was one."""
        return self.last.entry.to_version if self.last and self.last.entry else ""

    @cached_property
    def earlier(self) -> tuple[str, ...]:
        """Returns versions to roll back to, the nearest first: a rollback takes away what it left, for good."""
        stack: list[str] = []
        for entry in (one.entry for one in self.moves if one.entry):
            if entry.previous and entry.previous != entry.to_version:
                stack.append(entry.previous)
            if entry.kind == "rollback":
                there = entry.to_version in stack
                stack = stack[: len(stack) - 1 - stack[::-1].index(entry.to_version)] if there else stack[:-1]
            if not stack or stack[-1] != entry.to_version:
                stack.append(entry.to_version)
        return tuple(dict.fromkeys(version for version in reversed(stack[:-1]) if version != self.champion))

    def lost(self, number: int) -> str | None:
        """Returns the line that says who was quicker than the move of that number; None where it took effect."""
        if any(one.number == number for one in self.moves):
            return None
        mine = next(one.entry for one in self.written if one.number == number and one.entry)
        quicker = [(one, one.entry) for one in self.moves if mine.after < one.number < number and one.entry]
        if not quicker:
            return f"version {mine.to_version} of {self.line} no longer awaited approval: {self.over(mine.to_version)}"
        first, entry = quicker[0]
        return (
            f"another move was quicker: entry {first.number} of the ledger of {self.line} is "
            f"a{'n' * entry.kind.startswith('a')} {entry.line()}; "
            f"this one, entry {number}, has no effect: look at `finest models history`, then decide anew"
        )

    def ended(self, version: str) -> int:
        """Returns the number of the entry by which a version no longer awaits approval; 0 for none."""
        found = self._followed.ended.get(version)
        return found.number if found else 0

    def over(self, version: str) -> str:
        """Returns why a version no longer awaits approval; empty where it does, or never did."""
        found = self._followed.ended.get(version)
        if found is None or found.entry is None:
            return ""
        entry, number = found.entry, f"(entry {found.number})"
        if entry.kind == "refusal":
            return f"{entry.who} has refused it: {entry.why} {number}"
        if entry.kind == "request":
            return f"superseded by version {entry.to_version} {number}"
        if entry.to_version == version:
            return f"it became champion {number}"
        return f"the champion is no longer the one that it was judged against: {entry.line()} {number}"

    def unapproved(self, version: str) -> str:
        """Returns why a version goes into production by an approval alone; empty where it may do so otherwise."""
        if any(one.entry.to_version == version for one in self.moves if one.entry):
            return ""
        if self.awaiting and self.awaiting.entry and self.awaiting.entry.to_version == version:
            return f"it awaits approval: finest models approve {version}"
        return self.over(version)

    def has_proven(self, version: str, digest: str) -> bool:
        """Tells whether an entry says that the version was loaded and served what was judged under that verdict.

        What was in production before the ledger began was loaded then.
        """
        entries = [one.entry for one in self.written if one.entry]
        adopted = any(one.kind == "adoption" and version in (one.to_version, one.previous) for one in entries)
        return adopted or any((one.to_version, one.verdict) == (version, digest) for one in entries if digest)

    def manifest_of(self, version: str) -> str:
        """Returns the digest of the manifest of a version's package; empty where no entry says it."""
        said = (one.entry.manifest for one in self.written if one.entry and one.entry.to_version == version)
        return next(filter(None, said), "")

    def data_of(self, version: str) -> str:
        """Returns the fingerprint of a version's data; empty where no entry says it."""
        said = (one.entry.data for one in self.written if one.entry and one.entry.to_version == version)
        return next(filter(None, said), "")

    def of_run(self, run: str, kind: Kind) -> list[Written]:
        """Returns the entries of a pipeline run of that kind."""
        return [one for one in self.written if one.entry and (one.entry.run, one.entry.kind) == (run, kind)]

    @cached_property
    def chain(self) -> dict[int, str]:
        """Returns for every number the digest of all entries up to it, and of none at 0."""
        digest = hashlib.sha256(self.line.encode()).hexdigest()
        found = {0: digest}
        for one in self.written:
            digest = hashlib.sha256(f"{digest}\n{one.number}\n{one.text}".encode()).hexdigest()
            found[one.number] = digest
        return found

    @property
    def top(self) -> int:
        """Returns the newest entry's number; 0 where there is none."""
        return self.written[-1].number if self.written else 0

    def breaks(self) -> list[str]:
        """Returns what was changed since it was written, a line each; what a person has accepted is left out."""
        accepted = max((one.number for one in self.moves if one.entry and one.entry.accepts), default=0)
        number, _, digest = self.head.partition(" ")
        newest = int(number) if number.isdecimal() else 0
        missing = sorted(set(range(1, max(self.top, newest) + 1)) - set(self.chain))
        found = [(missing[-1], f"{_numbers(missing)} deleted")] if missing else []
        good = 0
        for one in self.written:
            if one.entry is None:
                found.append((one.number, f"entry {one.number} is none that this version of finest can read"))
            elif self.chain.get(one.entry.seen) == one.entry.chain:
                good = max(good, one.entry.seen)
            else:
                changed = list(range(good + 1, one.entry.seen + 1)) or [one.entry.seen]
                found.append((one.number, f"{_numbers(changed)} changed since entry {one.number} was written"))
        found = [(number, text) for number, text in found if number >= accepted]
        if self.head and newest <= self.top and self.chain.get(newest) != digest:
            changed = list(range(good + 1, newest + 1)) or [newest]
            found.append((newest, f"{_numbers(changed)} changed since the newest one was written"))
        return [text for _, text in found]


def _numbers(numbers: list[int]) -> str:
    """Returns entries as the beginning of a sentence.

    >>> _numbers([4]), _numbers([2, 3, 4]), _numbers([2, 9])
    ('entry 4 was', 'entries 2 to 4 were', 'entries 2, 9 were')
    """
    if len(numbers) == 1:
        return f"entry {numbers[0]} was"
    whole = numbers == list(range(numbers[0], numbers[-1] + 1))
    return f"entries {f'{numbers[0]} to {numbers[-1]}' if whole else ', '.join(map(str, numbers))} were"
