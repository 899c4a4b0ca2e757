"""Makes the files of lists of a whole batch, goes on where a killed one stopped, and moves the pointer to them last.

    current.json                 the folder that is to be read; replaced at once, once its files are all there
    7-0123456789ab/              a folder for each version, data set, length of lists, and choice of users
        part-00000.parquet ...   the lists; each file's metadata says of what they are
        _manifest.json           all files with their digests; written last
        _progress.json           the files that a batch has made so far; gone once the manifest is there

Files depend on nothing but what their folder is named after: no time, no machine's name, no number of processes. So
whoever makes them again makes the same bytes, and two batches at once do not disturb each other.
"""

import time
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import torch
from pydantic import ValidationError

from finest.documents import fault
from finest.errors import FinestError
from finest.peak import peak_bytes
from finest.sealed import sha256
from finest.section import Section
from finest.serving.lists import Of, Part, make
from finest.serving.place import Place
from finest.serving.users import Users
from finest.training import workers

CURRENT, MANIFEST, PROGRESS = "current.json", "_manifest.json", "_progress.json"
"""Names of the pointer, of a folder's manifest, and of what is there so far."""


class File(Section):
    """Describes a file of lists."""

    rows: int
    """Number of users."""
    bytes: int
    sha256: str


class Progress(Section):
    """Holds the files that are there so far."""

    of: Of
    files: dict[str, File]
    """By name within the folder."""


class Manifest(Progress):
    """Holds all files of a batch."""

    users: int
    """Number of users in them."""
    unknown_users: int
    """Number of users among them whom the data set does not have; their lists are empty."""
    created: datetime
    """When the last of the files was there."""


class Pointer(Section):
    """Says which folder is to be read."""

    folder: str
    manifest: str
    """sha256 of its manifest."""
    of: Of
    created: datetime
    """When the folder was complete."""


class Batch(NamedTuple):
    """Says what a batch came to."""

    folder: str
    """Name of the folder of its files."""
    manifest: Manifest
    made: int
    """Number of files that were made; the others were there."""
    made_rows: int
    """Number of users in those."""
    moved: bool
    """Whether the pointer was on another folder, or nowhere, before."""
    seconds: float
    """Time that looking for files and making them took."""
    peak_bytes: int
    """Most memory that all processes had: this one's peak, and the largest other one's as often as there are some."""


T = TypeVar("T", bound=Section)


class Shelf(NamedTuple):
    """Holds a place, and a folder for files on their way to and from it; it can be pickled."""

    place: Place
    where: str
    """The place as a user knows it."""
    scratch: Path

    def read(self, name: str, kind: type[T]) -> T | None:
        """Returns what a file says; None where there is none, or it is no such file."""
        file = self.scratch / "read"
        try:
            return kind.model_validate_json(file.read_bytes()) if self.place.get(name, file) else None
        except ValidationError:
            return None

    def write(self, name: str, value: Section) -> str:
        """Stores a file, unless it is there as it is, and returns its digest."""
        file = self.scratch / "written"
        file.write_text(value.model_dump_json(indent=1) + "\n")
        digest = sha256(file)
        if not self.holds(name, digest):
            self.place.put(name, file)
        return digest

    def holds(self, name: str, digest: str) -> bool:
        """Tells whether a file is there, as it was."""
        file = self.scratch / "read"
        return self.place.get(name, file) and sha256(file) == digest


def serve(
    model: Path,
    data: Path,
    of: Of,
    users: Users,
    shelf: Shelf,
    processes: int,
    report: Callable[[int], None],
    may_move: Callable[[], None],
) -> Batch:
    """Makes what is missing of a batch, and moves the pointer to it.

    Files that are there and as they were are kept, whoever made them.

    Args:
        model: Folder of the model.
        data: Folder that ingest wrote.
        of: Of what the lists are.
        users: Whose lists.
        shelf: Where they go.
        processes: Number of processes that make files.
        report: Told how many users' lists are there.
        may_move: Raises an error where the pointer must not move to this batch any more.

    Raises:
        FinestError: As `pointer` raises it.
    """
    before, began = pointer(shelf, of.line, some=bool(of.users)), time.monotonic()
    names = [f"part-{number:05d}.parquet" for number in range(-(-len(users) // of.users_a_file))]
    written = shelf.read(f"{of.folder}/{MANIFEST}", Manifest)
    known = written or shelf.read(f"{of.folder}/{PROGRESS}", Progress)
    earlier = known.files if known and known.of == of else {}
    files = {
        name: earlier[name]
        for name in names
        if name in earlier and shelf.holds(f"{of.folder}/{name}", earlier[name].sha256)
    }
    kept, peaks = len(files), [0]
    report(sum(file.rows for file in files.values()))

    def there(event: tuple[str, dict[str, Any]]) -> None:
        files[Path(event[0]).name] = File(**event[1]["file"])
        peaks.append(event[1]["peak_bytes"])
        shelf.write(f"{of.folder}/{PROGRESS}", Progress(of=of, files=dict(sorted(files.items()))))
        report(sum(file.rows for file in files.values()))

    parts = [
        Part(
            f"{of.folder}/{name}",
            of,
            users.part(number, of.users_a_file),
            data,
            model,
            shelf.place,
            shelf.scratch,
        )
        for number, name in enumerate(names)
        if name not in files
    ]
    made_rows = sum(len(part.users) for part in parts)
    jobs: list[workers.Job[None]] = [partial(make, part) for part in parts]
    workers.run(jobs, torch.device("cpu"), processes, there, "a process that makes lists")
    manifest = Manifest(
        of=of,
        files=dict(sorted(files.items())),
        users=len(users),
        unknown_users=len(users.unknown),
        created=datetime.now(UTC),
    )
    if written and written.model_copy(update={"created": manifest.created}) == manifest:
        manifest = written
    digest = shelf.write(f"{of.folder}/{MANIFEST}", manifest)
    shelf.place.delete(f"{of.folder}/{PROGRESS}")
    now = Pointer(folder=of.folder, manifest=digest, of=of, created=manifest.created)
    if now != before:
        may_move()
        shelf.write(CURRENT, now)
    others = max(peaks) * min(processes, len(jobs)) if processes > 1 else 0  # alone, it is this process that makes them
    spent = time.monotonic() - began
    return Batch(of.folder, manifest, len(files) - kept, made_rows, now != before, spent, peak_bytes() + others)


def pointer(shelf: Shelf, line: str, some: bool) -> Pointer | None:
    """Returns what a place's pointer says; None where there is none.

    Args:
        shelf: The place.
        line: The line whose lists are to go there.
        some: Whether they are those of some users, not of all.

    Raises:
        FinestError: It is another line's, or on lists of all users where these are of some, or none of ours.
    """
    file = shelf.scratch / "pointer"
    if not shelf.place.get(CURRENT, file):
        return None
    try:
        found = Pointer.model_validate_json(file.read_bytes())
    except ValidationError as error:
        raise FinestError(
            f"{shelf.where}: {CURRENT} there is not what finest writes ({fault(error)}); give another folder, or "
            "remove it"
        ) from None
    if found.of.line != line:
        raise FinestError(
            f"{shelf.where}: the lists there are those of the line {found.of.line}, not of {line}; give each line a "
            "folder of its own"
        )
    if bool(found.of.users) != some:
        there, here = ("some users", "all of them") if found.of.users else ("all users", "some of them")
        raise FinestError(
            f"{shelf.where}: who reads the lists there expects those of {there}; give those of {here} another folder"
        )
    return found
