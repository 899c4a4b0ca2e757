"""Checks a source as a run would read it, on a sample, and finds all that is in its way at once."""

import tempfile
from datetime import date, timedelta
from pathlib import Path
from shlex import quote

import pyarrow.fs as pafs

from finest.data.check.checked import Checked, settled
from finest.data.check.mapping import KNOWN, Guess, guess_columns
from finest.data.check.measure import measure
from finest.data.check.sample import FILES, ROWS, Look, Part, kind_of, look, part, spread
from finest.data.columns import check as check_columns
from finest.data.config import Ingest, Partition
from finest.data.layout import shown
from finest.data.opened import require_text
from finest.data.partition import Template, guess, keyed
from finest.data.source import SourceFile
from finest.errors import FinestError, printable

PLAIN_DAYS = ("%Y/%m/%d", "%Y-%m-%d", "%Y%m%d")
"""Forms of folders that are a day by themselves."""
MAGIC = 1000
"""Bytes of a file that say what it is."""
MARKED = ("utf-8", "utf-16", "utf-32")
"""Encodings that need no word of the config: a file's first bytes say the others than UTF-8."""


def check(filesystem: pafs.FileSystem, root: str, files: list[SourceFile], given: Ingest, most: int = FILES) -> Checked:
    """Reads a sample in seconds; writes to a temporary folder alone.

    Args:
        filesystem: Where the files are.
        root: The source's folder there.
        files: The files.
        given: The config as it is; what must be other is in the result's settings.
        most: Number of files of the sample at most.

    Raises:
        FinestError: A store does not give a file; a fault of the file itself is among the mistakes.
    """
    found = Checked(len(files), sum(file.size for file in files))
    _days(found, root, files, given)
    readable = _readable(found, filesystem, files, given)
    with tempfile.TemporaryDirectory() as temporary:
        parts = _parts(found, filesystem, readable, given, Path(temporary), most)
        if parts:
            _columns(found, parts, given, Path(temporary))
            if len(found.mapping) == len(KNOWN):
                measure(found, parts, given, Path(temporary))
    for texts in (found.mistakes, found.notes, found.bad_rows):
        texts[:] = [printable(text.replace(f"{root}/", "")) for text in texts]
    return found


def _days(found: Checked, root: str, files: list[SourceFile], given: Ingest) -> None:
    """Finds the days that folders say."""
    below = [file.path.removeprefix(root).lstrip("/") for file in files]
    try:
        template = given.partition.template or guess(sorted(below))
    except FinestError as error:
        found.notes.append(str(error))
        return
    if template is None:
        for text in PLAIN_DAYS:
            if below and all(_day(Template(text), path) for path in below):
                template = Template(text)
                found.settings["partition"] = Partition(format=text).model_dump(exclude_none=True)
                break
    if template is None:
        return
    found.partition = str(template)
    found.days = sorted({day for path in below if (day := _day(template, path))})
    if found.days:
        between = (found.days[-1] - found.days[0]).days
        every = {found.days[0] + timedelta(days=number) for number in range(between + 1)}
        found.missing_days = sorted(every - set(found.days))
    found.unknown_days = sum(template.is_unknown(path) for path in below)


def _day(template: Template, path: str) -> date | None:
    try:
        return template.day_of(path)
    except ValueError:
        return None


def _readable(
    found: Checked, filesystem: pafs.FileSystem, files: list[SourceFile], given: Ingest
) -> list[tuple[SourceFile, str]]:
    """Returns the files that are data, with their formats."""
    data, other = list[tuple[SourceFile, str]](), list[SourceFile]()
    for file in files:
        if file.size == 0:
            found.mistakes.append(f"{file.path}: the file is empty, as after an upload that was cut off; remove it")
            continue
        try:
            format = given.format if given.format != "auto" else kind_of(filesystem, file)
        except FinestError as error:
            found.mistakes.append(str(error))
            continue
        if format is None:
            other.append(file)
        else:
            data.append((file, format))
    if other and not data:
        with filesystem.open_input_stream(other[0].path, compression=None) as stream:
            magic = stream.read(MAGIC)
        try:
            if not magic.startswith(b"PAR1"):
                require_text(other[0].path, magic)
        except FinestError as error:
            found.mistakes.append(str(error))
            return []
        guessed = "parquet" if magic.startswith(b"PAR1") else "text"
        found.settings["format"] = guessed
        found.mistakes.append(
            f"{other[0].path}: cannot tell the format from the ending; it looks like {guessed}: set "
            f"ingest.format={guessed}"
        )
        return [(file, guessed) for file in other]
    if other:
        what = "that file" if len(data) == 1 else "the files that are data"
        more = f" ({len(other)} such files)" if len(other) > 1 else ""
        found.mistakes.append(
            f"{other[0].path}: no data by its ending{more}; give {what} as the source, or move it away"
        )
        if len(data) == 1:
            found.only = data[0][0].path
    return data


def _parts(
    found: Checked,
    filesystem: pafs.FileSystem,
    readable: list[tuple[SourceFile, str]],
    given: Ingest,
    folder: Path,
    most: int,
) -> list[tuple[Part, Look]]:
    """Reads the sample, and what each file's start says."""
    formats = {file.path: format for file, format in readable}
    parts = list[tuple[Part, Look]]()
    for number, file in enumerate(spread([file for file, _ in readable], most)):
        try:
            one = part(filesystem, file, formats[file.path], folder, number)
            parts.append((one, look(one.file, formats[file.path], given)))
        except FinestError as error:
            if isinstance(error.__cause__, OSError) and not isinstance(filesystem, pafs.LocalFileSystem):
                raise  # the store's fault, maybe for a minute
            found.mistakes.append(str(error))
    found.sampled_files = len(parts)
    found.whole = len(parts) == len(readable) and all(one.whole for one, _ in parts)
    if not found.whole and parts:
        read = sum(min(one.file.size, one.of.size) for one, _ in parts)
        total = sum(one.rows for one, _ in parts if one.rows)
        rows = sum(min(one.rows, ROWS) for one, _ in parts if one.rows)
        of_parts = rows / total if total else read / max(sum(one.of.size for one, _ in parts), 1)
        found.share = min(1.0, of_parts * sum(one.of.size for one, _ in parts) / max(found.size, 1))
    return parts


def _columns(found: Checked, parts: list[tuple[Part, Look]], given: Ingest, folder: Path) -> None:
    """Finds columns, encoding and separator, and what of the config they ask to be other."""
    with_rows = [(one, its) for one, its in parts if its.rows]
    if not with_rows:
        found.mistakes.append(f"{parts[0][0].of.path}: the source holds no rows")
        return
    first, its = with_rows[0]
    found.columns = (
        [shown(name) for name in its.names] if its.names else [str(number) for number in range(len(its.rows[0]))]
    )
    for _, one in with_rows:
        said = (
            one.format if one.format == "parquet" else f"{one.format}, {one.separator!r} between fields, {one.encoding}"
        )
        if said not in found.formats:
            found.formats.append(said)
    if its.format != "parquet":
        odd = {one.encoding: part.of.path for part, one in with_rows if one.encoding not in MARKED}
        if given.encoding == "utf-8" and odd:
            wanted, path = next(iter(odd.items()))
            found.settings["encoding"] = wanted
            found.mistakes.append(f"{path}: is not UTF-8 but {wanted} by its bytes; set ingest.encoding={wanted}")
    roles = given.columns.roles
    named = its.names is not None and all(roles[role] in its.names for role in KNOWN if isinstance(roles[role], str))
    if named or any(isinstance(roles[role], int) for role in KNOWN):
        found.mapping = {role: Guess(roles[role], "as the config says") for role in KNOWN}
    else:
        found.mapping = guess_columns(its.names, its.rows)
        changed = {role: one.column for role, one in found.mapping.items() if one.column != roles[role]}
        if changed:
            found.settings["columns"] = changed
    if its.names is None and "columns" in found.settings:
        _without_header(found, first, given, folder)
    if its.format != "parquet" and len(its.names or its.rows[0]) == 1:
        found.mistakes.append(
            f"{first.of.path}: has one column, {found.columns[0]}, where user, item and timestamp are needed; is "
            "something else between its fields? Set ingest.separator"
        )
        return
    for role in KNOWN:
        if role not in found.mapping:
            keys = [key for key in keyed(first.of.path) if key.lower().replace("_", "") in KNOWN[role]]
            hint = (
                f"the folder's {keys[0]}= is not read as a column: write it into the files"
                if keys
                else f"set ingest.columns.{role} to one of {', '.join(found.columns[:20])}"
            )
            found.mistakes.append(f"{first.of.path}: no column looks like the {role}; {hint}")
        elif found.mapping[role].column != roles[role] and its.names is not None:
            found.mistakes.append(
                f"{first.of.path}: no column {roles[role]!r}; set "
                + quote(f"ingest.columns.{role}={found.mapping[role].column}")
            )
    for another, other in with_rows:
        if other.names != its.names:
            found.notes.append(
                f"{another.of.path}: other columns than {first.of.path}: {', '.join(other.names or ['no header'])}"
            )
            break


def _without_header(found: Checked, first: Part, given: Ingest, folder: Path) -> None:
    """Says that columns need numbers, but for a file that is read without a word, as MovieLens' are."""
    copies = folder / "copies"
    copies.mkdir()
    try:
        check_columns(
            pafs.LocalFileSystem(),
            [first.file],
            settled(given, {"encoding": found.settings.get("encoding", given.encoding)}),
            copies,
        )
    except FinestError:
        numbers = ", ".join(f"ingest.columns.{role}={one.column}" for role, one in found.mapping.items())
        found.mistakes.append(f"{first.of.path}: has no header, so that columns go by number; set {numbers}")
    else:
        del found.settings["columns"]
