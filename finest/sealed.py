"""Digests of what was written, by which whoever reads it later knows that it is that still.

A folder that one step hands to the next has the digests of its files in it, in `digests.json`, which is written last. A
file that goes its own way, as a checkpoint or a rank list does, has the digest of its own bytes in it: its stamp.
"""

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from finest.errors import DamagedError

NAME = "digests.json"
"""Name of the file of digests in a folder."""
SHOWN = 12
"""Number of digits of a digest in a message."""
MARK = b"finest-sha256:"
"""Stands before a stamp's digits."""
BLANK = b"0" * 64
"""Digits of a stamp while the file's digest is computed."""
UNSTAMPED = (MARK + BLANK).decode()
"""Text that a writer puts into a file, once, where `stamp` puts its digest."""
CHUNK = 1 << 20
"""Bytes that are read at a time."""
AGAIN = (
    "run again; on a cluster, where the damaged result may be cached, with another --checkpoints once, so that nothing "
    "of the cache is used"
)
"""What to do about something that a step wrote and that is damaged."""


def text_of(content: Any) -> str:
    """Returns the only text that digests of that content may have, so that not even a blank can change unseen."""
    return json.dumps(content, indent=1, sort_keys=True, ensure_ascii=False) + "\n"


def sha256(path: Path) -> str:
    """Returns the digest of a file."""
    with path.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()


def digests(folder: Path, apart: Callable[[Path], bool] = lambda path: False) -> dict[str, str]:
    """Returns the digest of every file below a folder, by its path there.

    Args:
        folder: The folder.
        apart: Tells of a path there whether it does not count.
    """
    found = sorted(path for path in folder.rglob("*") if path.is_symlink() or path.is_file())
    paths = ((path, path.relative_to(folder)) for path in found)
    return {inner.as_posix(): sha256(path) for path, inner in paths if not apart(inner)}


def _own(path: Path) -> bool:
    return path == Path(NAME)


def seal(folder: Path) -> None:
    """Writes the digests of all files of a folder, which is whole now; what a former seal said counts no more."""
    there = digests(folder, _own)
    (folder / NAME).write_text(text_of(there), encoding="utf-8")


def sealed(folder: Path) -> bool:
    """Tells whether a folder has digests. One of an earlier version, or of somebody else, has none."""
    return (folder / NAME).exists()


def check_own(folder: Path, remedy: str = AGAIN) -> None:
    """Checks a folder as `check` does, if it has digests; one without is taken as it is."""
    if sealed(folder):
        check(folder, remedy)


def forget_missing(folder: Path) -> None:
    """Takes files that have been moved away, on purpose, out of a folder's seal; those that are left stay sealed."""
    try:
        was = json.loads((folder / NAME).read_bytes())
        left = {path: digest for path, digest in was.items() if (folder / path).exists()}
    except (ValueError, AttributeError, RecursionError):  # a damaged seal stays one, for whoever checks it
        return
    (folder / NAME).write_text(text_of(left), encoding="utf-8")


def check(folder: Path, remedy: str = AGAIN) -> None:
    """Checks that a folder holds what its writer sealed, every file and no other.

    Args:
        folder: The folder.
        remedy: What to do if it does not.

    Raises:
        DamagedError: It does not; the message names the file.
    """
    try:
        raw = (folder / NAME).read_bytes()
        was = json.loads(raw)
    except FileNotFoundError:
        raise DamagedError(f"{folder}: {NAME} is missing, by which a step seals what it hands on: {remedy}") from None
    except (ValueError, RecursionError):
        was, raw = None, b""
    if not isinstance(was, dict) or text_of(was).encode(errors="surrogatepass") != raw:
        raise DamagedError(f"{folder / NAME}: not as it was written: {remedy}")
    try:
        there = digests(folder, _own)
    except OSError as error:
        raise DamagedError(f"{error.filename}: cannot be read ({error.strerror}): {remedy}") from error
    if said := difference(was, there):
        raise DamagedError(f"{folder}: {said}, says {NAME}: {remedy}")


def difference(was: dict[str, str], there: dict[str, str], made: str = "written") -> str:
    """Returns in words the first file in which two lists of digests differ; '' where none does.

    Args:
        was: Digests by path, as they were.
        there: Digests by path, as they are.
        made: What was done with the files, in a word.

    >>> difference({"a": "1", "b": "2"}, {"a": "1", "b": "3"})
    'b has the digest 3, and was written with 2'
    """
    for path in sorted(was.keys() | there.keys()):
        before, now = was.get(path), there.get(path)
        if before == now:
            continue
        if before is None:
            return f"{path} was not {made} with it"
        if now is None:
            return f"{path} is missing"
        return f"{path} has the digest {now[:SHOWN]}, and was {made} with {str(before)[:SHOWN]}"
    return ""


def stamp(file: Path, name: str = "") -> None:
    """Puts the digest of a file's bytes in place of the `UNSTAMPED` in it.

    Args:
        file: The file.
        name: What it will be known by, where a reader is not to take another one for it.
    """
    at = _place(file)
    assert at is not None, "the writer has left room for a stamp"
    digest = _digest(file, at, name)
    with file.open("r+b") as content:
        content.seek(at)
        content.write(digest)


def stamped(file: Path, name: str = "") -> bool | None:
    """Tells whether a file's bytes are those that were stamped; None of a file without a stamp.

    Args:
        file: The file.
        name: As for `stamp`.
    """
    if (at := _place(file)) is None:
        return None
    with file.open("rb") as content:
        content.seek(at)
        stated = content.read(len(BLANK))
    return _digest(file, at, name) == stated


def _place(file: Path) -> int | None:
    """Returns where the digits of the last stamp begin; a table may hold the same text before it."""
    found, begin, kept = None, 0, b""
    with file.open("rb") as content:
        while chunk := content.read(CHUNK):
            part = kept + chunk
            if (at := part.rfind(MARK)) >= 0:
                found = begin - len(kept) + at + len(MARK)
            begin, kept = begin + len(chunk), part[-len(MARK) + 1 :]
    return found


def _digest(file: Path, at: int, name: str) -> bytes:
    """Returns the digits of the digest of a name and of a file, the stamp in which is blank."""
    digest = hashlib.sha256(name.encode() + b"\n")
    with file.open("rb") as content:
        for begin in range(0, at, CHUNK):
            digest.update(content.read(min(CHUNK, at - begin)))
        digest.update(BLANK)
        content.seek(at + len(BLANK))
        while chunk := content.read(CHUNK):
            digest.update(chunk)
    return digest.hexdigest().encode()
