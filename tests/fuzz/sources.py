"""Reads a source as a run does, and holds what came of it against what was written."""

import json
import shutil
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from random import Random
from typing import Any

import pyarrow.fs as pafs
import pyarrow.parquet as pq

import storage
from finest.data import schema
from finest.data.config import Ingest
from finest.data.ingest import ingest
from finest.data.schema import Manifest
from finest.data.source import SourceFile
from pipeline import config as configs
from tests.fuzz.kind import Good, WrongError

Row = tuple[str, str, int]
"""User, item, and microseconds since 1970."""
SECOND = 1_000_000
FIRST = 1_795_132_800
"""2026-11-20, in seconds."""
INPUT = "input.json"
"""File beside the source: its name, the config of ingest, and what is known of the result."""
OPEN = {"evaluation": {"depth": 10, "exclude_seen": False}, "min_user_interactions": 1, "max_quarantined_share": 1.0}
"""A config that leaves no row out, so that all can be looked for."""


def plain_rows(users: int = 12, each: int = 12, items: int = 30) -> list[Row]:
    """Returns rows without a fault; every third one has a timestamp of its own."""
    numbers = [(user, place) for user in range(users) for place in range(each)]
    return [
        (f"u{user:02d}", f"i{(user * 5 + place * 7) % items:03d}", (FIRST + (user + place) // 3 * 60) * SECOND)
        for user, place in numbers
    ]


def describe(folder: Path, source: str, config: dict[str, Any] | None = None, **known: Any) -> None:
    """Writes what an input is: the source's name in the folder, its config, and what is known of the result."""
    facts = {"source": source, "config": {**OPEN, **(config or {})}, **known}
    (folder / INPUT).write_text(json.dumps(facts), encoding="utf-8")


def read(folder: Path, prepared: Path) -> Good:
    """Reads the source that is described in a folder."""
    facts = json.loads((folder / INPUT).read_text(encoding="utf-8"))
    uri = str(folder / facts["source"])
    config = _config(facts["config"])
    if facts.get("check"):
        found = _checked(uri, facts["config"])
        return "clean error" if found["mistakes"] else "other input"
    source = storage.resolve(uri)
    out = folder / "out"
    try:
        manifest = ingest(source.filesystem, source.files, config, out, memory="256MB", threads=1)
        _accounted(manifest, out)
        return _as_known(manifest, out, facts)
    finally:
        shutil.rmtree(out, ignore_errors=True)
        if left := [path.name for path in folder.iterdir() if path.name.startswith("out")]:
            raise WrongError(f"ingest left {left}")


def _config(values: dict[str, Any]) -> Ingest:
    from components.sections import parse

    return parse(Ingest, values)


def _checked(uri: str, values: dict[str, Any]) -> dict[str, Any]:
    """Returns what `finest check` finds, whose texts must be lines."""
    from pipeline.check import examined

    settings = [f"ingest.{name}={json.dumps(value)}" for name, value in values.items() if name != "encoding"]
    found = examined(uri, configs.load(None, settings))
    for name in ("notes", "mistakes", "bad_rows"):
        for text in found[name]:
            if not text.strip() or len(text.splitlines()) > 1:
                raise WrongError(f"{name}: not a line: {text!r}")
    json.dumps(found, allow_nan=False)
    return found


def _accounted(manifest: Manifest, out: Path) -> None:
    kept = manifest.interactions + manifest.quarantined_rows + manifest.kcore_dropped_rows
    if manifest.source_rows != kept:
        raise WrongError(f"{manifest.source_rows} rows were read, {kept} are accounted for")
    aside = pq.read_metadata(out / schema.QUARANTINE).num_rows
    if not manifest.quarantined_rows == aside == sum(manifest.quarantined_by_reason.values()):
        raise WrongError(f"{manifest.quarantined_rows} rows were set aside, the file has {aside}")


def rows_of(out: Path) -> Counter[Row]:
    """Returns the rows of a data set."""
    table = pq.read_table(out / schema.INTERACTIONS, columns=["user", "item", "timestamp"])
    return Counter(zip(*(table[name].to_pylist() for name in table.column_names), strict=True))


def _as_known(manifest: Manifest, out: Path, facts: dict[str, Any]) -> Good:
    if (fingerprint := facts.get("fingerprint")) is not None:
        if manifest.fingerprint != fingerprint:
            raise WrongError(f"the same rows in another form: {_difference(out, facts)}")
        return "equal"
    if (untouched := facts.get("untouched")) is not None:
        lost = _counted(untouched) - rows_of(out)
        if lost:
            raise WrongError(f"{lost.total()} rows that nothing was done to are gone, the first is {next(iter(lost))}")
    if (written := facts.get("written")) is not None:
        pairs = {(user, item) for user, item in written}
        if foreign := [row for row in rows_of(out) if row[:2] not in pairs]:
            raise WrongError(f"{len(foreign)} rows were never written, the first is {foreign[0]}")
    if manifest.quarantined_rows:
        return "rows set aside"
    return "equal" if facts.get("whole") == manifest.fingerprint else "other input"


def _counted(rows: Iterable[list[Any]]) -> Counter[Row]:
    return Counter((user, item, time) for user, item, time in rows)


def _difference(out: Path, facts: dict[str, Any]) -> str:
    found, wanted = rows_of(out), Counter(plain_rows())
    return f"{(wanted - found).total()} rows are missing, {(found - wanted).total()} are new"


def fingerprint_of(rows: list[Row], folder: Path) -> str:
    """Returns the fingerprint of rows, by the plainest file that there is."""
    file = folder / "plain.csv"
    lines = [f"{user},{item},{time // SECOND}" for user, item, time in rows]
    file.write_text("\n".join(["user_id,item_id,timestamp", *lines]) + "\n")
    described = [SourceFile(str(file), file.stat().st_size, "")]
    config = _config(OPEN)
    manifest = ingest(pafs.LocalFileSystem(), described, config, folder / "plain", memory="256MB", threads=1)
    return manifest.fingerprint


def known_fingerprint(prepared: Path) -> str:
    """Returns the fingerprint that `prepare` has written."""
    return (prepared / "fingerprint").read_text()


def prepare(folder: Path) -> None:
    """Writes the fingerprint of the plain rows."""
    (folder / "fingerprint").write_text(fingerprint_of(plain_rows(), folder))


def sometimes_checked(draw: Random) -> dict[str, bool]:
    """Returns what makes `finest check` the reader, in one of five draws."""
    return {"check": True} if draw.random() < 0.2 else {}
