"""From files of interactions to one data set: read, set aside what is unusable, k-core, sort, split, write."""

import logging
import shutil
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from datetime import date, datetime, time
from pathlib import Path
from typing import assert_never

import ibis.expr.types as ir
import pyarrow as pa
import pyarrow.fs as pafs

from finest import atomic, parquet, sealed
from finest.data import clean, codes, columns, describe, duck, facts, quarantine, schema, segments, spark, window, write
from finest.data.config import Ingest
from finest.data.engine import AsItIsError, Engine
from finest.data.epoch import microseconds
from finest.data.histories import SCHEMA, histories
from finest.data.layout import Layouts
from finest.data.schema import Manifest
from finest.data.source import SourceFile
from finest.errors import DISK_FULL, ConfigError, DataError, FinestError

logger = logging.getLogger(__name__)

MAX_SEEN_TARGETS = 0.05
"""Share of instances whose target may be in the history with `exclude_seen`, where each of them counts as a miss."""


def ingest(
    filesystem: pafs.FileSystem,
    files: list[SourceFile],
    config: Ingest,
    out: Path,
    *,
    memory: str | None = "2GB",
    threads: int | None = None,
) -> Manifest:
    """Writes a data set, as finest.data.schema describes it, and returns its manifest.

    The files' content alone decides the result: not their format, layout, order or names, nor `threads` or the engine.
    Works out of core beside `out`. Nothing held out is an error, unless the days that were read go past the cut: a
    night may be empty, and its data set has no instances.

    Args:
        filesystem: Where the files are.
        files: The source's files.
        config: How to read, clean and split them, with dates in the place of days that are counted back: see
            `window.resolved`.
        out: The data set's folder, which must not exist or be empty.
        memory: What DuckDB may use, like "2GB"; None: 80% of what the machine or container has. About 1 GB is used
            beside it.
        threads: Number of DuckDB's threads; None: one a core.

    Raises:
        DataError: The source cannot be used. Nothing is left behind.
        FinestError: The disk is full, or `out` holds something. Nothing is left behind.
    """
    if config.window_days is not None or config.split.held_out_days is not None:
        raise ConfigError(
            "window_days and split.held_out_days count from a moment:"
            " give ingest what finest.data.window.resolved makes"
        )
    with _whole(out) as partial:
        absent = window.missing(files, config)
        if undated := window.unknown(files, config):
            logger.warning(
                "%d file(s) of unknown days are left out of the window, the first is %s", len(undated), undated[0].path
            )
        files = window.prune(files, config)

        def built(copied: bool) -> Manifest:
            work = partial / "work"
            work.mkdir()
            with _copies(config, work) as copies:
                source = columns.check(filesystem, files, config, copies, copied)
                opened: AbstractContextManager[Engine]
                if config.engine == "duckdb":
                    opened = duck.opened(filesystem, work, str(out), memory, threads)
                elif config.engine == "spark":
                    opened = spark.opened(filesystem, source.layouts, config, str(out))
                else:
                    assert_never(config.engine)
                with opened as engine:
                    manifest = _build(filesystem, source, absent, config, engine, partial)
            shutil.rmtree(work)
            return manifest

        try:
            manifest = built(copied=False)
        except AsItIsError:
            shutil.rmtree(partial / "work")
            manifest = built(copied=True)
        (partial / schema.MANIFEST).write_text(manifest.model_dump_json(indent=2) + "\n")
        sealed.seal(partial)
    return manifest


def _build(
    filesystem: pafs.FileSystem,
    source: columns.Source,
    absent: tuple[date, ...],
    config: Ingest,
    engine: Engine,
    out: Path,
) -> Manifest:
    """Writes everything but the manifest to `out`, which has a folder `work`, and returns the manifest."""
    layouts, notes = source.layouts, source.notes
    parsed = clean.parsed(engine.read(layouts, source.unit), config, source.unit)
    again = engine.reads_again(layouts)
    before = _state(filesystem, layouts) if again else []
    if engine.parses_apart:
        parsed = engine.keep("parsed", parsed)
    judged = clean.judged(parsed, config)
    kept = config.quarantines_duplicates or not again  # duplicates: compares all rows, once
    if kept:
        judged = engine.keep("judged", judged)
    data = codes.coded(engine, judged.filter(judged.reason.isnull()), config)
    users, items = _by_code(engine, data.users), _by_code(engine, data.items)
    if clean.uncarried(users["id"], config) or clean.uncarried(items["id"], config):
        judged = clean.judged(parsed, config, carried=False)
        if kept:
            judged = engine.keep("judged_again", judged)
        data = codes.coded(engine, judged.filter(judged.reason.isnull()), config, "_again")
        users, items = _by_code(engine, data.users), _by_code(engine, data.items)
    tally = engine.small(judged.agg(**clean.tally(judged))).to_pylist()[0]
    malformed = engine.malformed()
    source_rows = tally["rows"] + len(malformed)
    if source_rows == 0:
        files = [file.path for _, files in layouts for file in files]
        raise DataError(f"the source holds no rows: {len(files)} file(s), the first is {files[0]}")

    unusable, first = quarantine.NO_ROWS, dict[str, int]()
    if tally["unusable"]:
        unusable = engine.small(clean.quarantined(judged))
        starts = engine.small(judged.group_by("file").agg(first=judged.record.min()))
        first = dict(zip(starts["file"].to_pylist(), starts["first"].to_pylist(), strict=True))
    aside = quarantine.table(filesystem, layouts, unusable, first, malformed)
    reasons = quarantine.check(aside, source_rows, malformed, config)
    parquet.write(aside, out / schema.QUARANTINE)

    late = 0
    if config.since is not None or config.until is not None:
        began = engine.hold("starts", clean.starts([file for _, its in layouts for file in its], config))
        late = engine.small(clean.late(judged, began)).to_pylist()[0]["late"]
    if again:
        _unchanged(filesystem, layouts, before)
    notes += filter(None, (clean.looks_null(users, "user"), clean.looks_null(items, "item")))
    for note in notes:
        logger.warning("%s", note)
    user_ids, item_ids = users["id"].combine_chunks(), items["id"].combine_chunks()
    by = ["user", "time", *codes.sequence_columns(config)]
    sorted_rows, found = out / "work" / "histories.arrow", facts.FirstPass(len(item_ids))
    with pa.OSFile(str(sorted_rows), "wb") as sink, pa.ipc.new_file(sink, SCHEMA) as writer:
        for rows in histories(
            engine.batches(codes.core(engine, data, config), by, data.rows), user_ids, item_ids, config.split
        ):
            found.add(rows)
            writer.write_batch(rows)
    with pa.OSFile(str(sorted_rows)) as stored:  # not mapped: its pages would count as this process's memory
        known_I = found.train_of_item > 0
        for rows in write.batches(stored):
            found.counts.update(facts.of_instances(rows, known_I))
        counts = {**dict.fromkeys(facts.COUNTED, 0), **found.counts, **found.times(), "items": int(known_I.sum())}
        counts["test_interactions"] = counts["interactions"] - counts["train_interactions"]
        _check(counts, source_rows - len(aside), config)
        until = None if config.until in absent else config.until
        description = describe.describe(engine, data, users, items, config.since, until)

        left = found.users()
        write.users(user_ids, left, out / schema.USERS)
        write.items(item_ids, found.train_of_item, out / schema.ITEMS)
        in_use = write.ItemCodes(found.occurs, known_I)
        fingerprint = write.interactions(
            write.batches(stored), user_ids, item_ids, left, in_use, out / schema.INTERACTIONS
        )
        if config.columns.segments:
            found_segments = segments.found(engine, judged, data, write.batches(stored), config)
            if again:
                _unchanged(filesystem, layouts, before)
            fingerprint = segments.write(found_segments, user_ids, config, out / schema.SEGMENTS, fingerprint)
    repeated_share = counts.pop("repeats") / counts["interactions"]
    measures = {**description.measures, "repeats": round(repeated_share, 6)}
    return Manifest(
        schema_version=schema.SCHEMA_VERSION,
        fingerprint=fingerprint,
        depth=config.evaluation.depth,
        exclude_seen=config.evaluation.exclude_seen,
        source_rows=source_rows,
        quarantined_rows=len(aside),
        quarantined_by_reason=reasons,
        kcore_dropped_rows=source_rows - len(aside) - counts["interactions"],
        repeated_share=repeated_share,
        split=config.split.model_dump(mode="json", exclude_none=True),
        since=config.since,
        missing_days=absent,
        until=config.until,
        late_rows=late,
        notes=tuple(notes),
        description=description.model_copy(update={"measures": measures}),
        **counts,
    )


def _by_code(engine: Engine, ids: ir.Table) -> pa.Table:
    """Returns ids, and their rows' number, by code."""
    return engine.small(ids.order_by("code"))


@contextmanager
def _copies(config: Ingest, work: Path) -> Iterator[Path]:
    """Yields a folder for copies of files, which Spark's workers must see."""
    if config.engine == "duckdb":
        copies = work / "copies"
        copies.mkdir()
        yield copies
    else:
        with spark.shared(config, 0o755) as folder:
            yield folder


def _state(filesystem: pafs.FileSystem, layouts: Layouts) -> list[tuple[int, int]]:
    """Returns size and time of change of every file, which differ once one is written to."""
    infos = filesystem.get_file_info([file.path for _, files in layouts for file in files])
    return [(info.size, info.mtime_ns) for info in infos]


def _unchanged(filesystem: pafs.FileSystem, layouts: Layouts, before: list[tuple[int, int]]) -> None:
    """Raises DataError where a file that is read more than once is not what it was."""
    if _state(filesystem, layouts) != before:
        raise DataError("the source's files changed while they were read: run again once nothing writes there")


def _check(counts: dict[str, int], usable: int, config: Ingest) -> None:
    """Raises DataError for a data set that nothing can be trained on or judged by. `usable`: rows before the k-core."""
    if counts["interactions"] == 0:
        raise DataError(
            f"the k-core filter leaves nothing of {usable} rows: lower"
            f" ingest.min_user_interactions={config.min_user_interactions}"
            f" or ingest.min_item_interactions={config.min_item_interactions}"
        )
    depth, items = config.evaluation.depth, counts["items"]
    if counts["train_interactions"] == 0 or (counts["instances"] == 0 and not _may_be_empty(config)):
        what = "training interaction" if counts["train_interactions"] == 0 else "held-out interaction with a history"
        raise DataError(
            f"no {what} among {counts['interactions']} interactions: change ingest.split ({config.split.method})"
        )
    if items < 2 * depth:
        remedy = f"lower it to {items // 2}" if items >= 20 else "the source is too small"
        raise DataError(
            f"{items} items in the training rows, but ingest.evaluation.depth={depth} needs at least {2 * depth}:"
            f" {remedy}"
        )
    seen = counts["targets_in_history"] / max(counts["instances"], 1)
    if config.evaluation.exclude_seen and seen > MAX_SEEN_TARGETS:
        raise DataError(
            f"{seen:.1%} of the held-out interactions repeat an item of the user's history,"
            " which lists without seen items always miss: set ingest.evaluation.exclude_seen=false"
        )


def _may_be_empty(config: Ingest) -> bool:
    """Tells whether whole days that were read are held out: the data then, not the config, may leave no rows."""
    cut, until = config.split.cut, config.until
    return cut is not None and until is not None and microseconds(cut) <= microseconds(datetime.combine(until, time()))


@contextmanager
def _whole(out: Path) -> Iterator[Path]:
    """Yields a folder that becomes `out`. Raises FinestError where `out` holds something or the disk is full."""
    if out.is_dir() and any(out.iterdir()):
        raise FinestError(f"{out}: the folder exists and is not empty; choose another one or remove it")
    try:
        with atomic.folder(out) as partial:
            yield partial
    except OSError as error:
        if error.errno in DISK_FULL:
            raise FinestError(f"{out}: the disk is full; free space there or choose another folder") from error
        raise
