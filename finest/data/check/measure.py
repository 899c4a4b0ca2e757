"""What ingest would make of a sample, and what of the config does not fit it."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow.fs as pafs
import pyarrow.parquet as pq

from finest.data import schema
from finest.data.check.checked import Checked, merged, settled
from finest.data.check.sample import Look, Part
from finest.data.compared import NightData
from finest.data.config import Ingest
from finest.data.ingest import MAX_SEEN_TARGETS, ingest
from finest.data.schema import Manifest
from finest.data.unusual import compare
from finest.errors import FinestError

BAD_ROWS = 3
"""Number of unusable rows that are shown."""
TIES = 0.2
"""Share of users that are cut inside of a tie from which on it is worth a warning."""
SMALLEST_DEPTH = 10
"""The least `ingest.evaluation.depth`."""


def measure(found: Checked, parts: list[tuple[Part, Look]], given: Ingest, folder: Path) -> None:
    """Reads the sample as ingest does, and says what its checks would."""
    lenient = {
        "max_quarantined_share": 1.0,
        "evaluation": {"depth": SMALLEST_DEPTH, "exclude_seen": False},
        "split": {"method": "last_fraction", "fraction": 0.1, "cut": None, "held_out_days": None},
        "window_days": None,
        "since": None,
        "until": None,
        "engine": "duckdb",
    }
    config = settled(given, merged(found.settings, lenient))
    files = [one.file for one, its in parts if its.rows]
    originals = {one.file.path: one.of.path for one, _ in parts}
    out = folder / "out"
    least, manifest, empty = given.min_user_interactions, None, list[str]()
    with _quiet():
        while manifest is None:
            try:
                manifest = ingest(pafs.LocalFileSystem(), files, config, out)
            except FinestError as error:
                message = str(error)
                for copy, path in originals.items():
                    message = message.replace(copy, path)
                if "k-core filter leaves nothing" not in message or config.min_user_interactions == 1:
                    found.mistakes += [*empty[:1], message]
                    return
                empty.append(message)
                config = config.model_copy(update={"min_user_interactions": config.min_user_interactions // 2})
    if config.min_user_interactions < least:
        said = found.mistakes if found.whole else found.notes
        found.settings["min_user_interactions"] = config.min_user_interactions
        said.append(
            f"no user and item is left of those with {least} interactions or more; set ingest.min_user_interactions="
            f"{config.min_user_interactions}"
        )
    found.manifest = manifest
    found.notes += [note.replace(str(folder), "") for note in manifest.notes]
    aside = pq.read_table(out / schema.QUARANTINE).slice(0, BAD_ROWS).to_pylist()
    found.bad_rows = [
        f"{originals.get(row['file'], row['file'])}:{row['line']}: {row['reason']}"
        f" (user {row['user']!r}, item {row['item']!r}, timestamp {row['timestamp']!r})"
        for row in aside
    ]
    _judge(found, manifest, given)


def _judge(found: Checked, manifest: Manifest, given: Ingest) -> None:
    """Says what of the config does not fit the data."""
    said = found.mistakes if found.whole else found.notes
    aside = manifest.quarantined_rows - manifest.duplicates
    if aside > given.max_quarantined_share * manifest.source_rows:
        reason = next(iter(manifest.quarantined_by_reason))
        share = min(1.0, -(-aside * 1000 // manifest.source_rows) / 1000 + 0.01)
        found.settings["max_quarantined_share"] = round(share, 3)
        said.append(
            f"{aside} of {manifest.source_rows} rows cannot be used, most often: {reason}; mend the source, or set "
            f"ingest.max_quarantined_share={share:.3g} knowingly"
        )
    seen = manifest.targets_in_history / max(manifest.instances, 1)
    if given.evaluation.exclude_seen and seen > MAX_SEEN_TARGETS:
        found.settings.setdefault("evaluation", {})["exclude_seen"] = False
        said.append(
            f"{seen:.1%} of the held-out interactions repeat an item of the user's history, which lists without seen "
            "items always miss; set ingest.evaluation.exclude_seen=false"
        )
    if manifest.items < 2 * given.evaluation.depth and found.whole:
        depth = manifest.items // 2
        if depth >= SMALLEST_DEPTH:
            found.settings.setdefault("evaluation", {})["depth"] = depth
            found.mistakes.append(
                f"{manifest.items} items, but lists of {given.evaluation.depth} need twice as many; set "
                f"ingest.evaluation.depth={depth}"
            )
        else:
            found.mistakes.append(f"{manifest.items} items: too few to be ranked, which begins at {2 * SMALLEST_DEPTH}")
    if manifest.users_cut_inside_a_tie > TIES * manifest.users:
        found.notes.append(
            f"{manifest.users_cut_inside_a_tie / manifest.users:.0%} of the users are cut between interactions of one "
            "time, whose order is no order; if the source knows it, set ingest.columns.sequence"
        )
    if found.whole and manifest.description is not None:
        alone = NightData(fingerprint=manifest.fingerprint, description=manifest.description)
        compared = compare(alone, datetime.now(UTC), (), given.expect, ordered=given.columns.sequence is not None)
        said += [f"{one.sentence.rstrip('.')}: more than ingest.expect.{one.option} allows" for one in compared.refused]
    first, last = (
        datetime.fromtimestamp(time / 1e6, UTC) for time in (manifest.first_timestamp, manifest.last_timestamp)
    )
    if first == last:
        found.notes.append(f"all interactions are of one time, {first:%Y-%m-%d %H:%M:%S}")
    elif first.year < 1975 and last.year >= 1990:
        found.notes.append(f"times are of {first:%Y-%m-%d} to {last:%Y-%m-%d}: are some of another unit?")
    elif last.year < 1990 or last > datetime.now(UTC) + timedelta(days=2):
        found.notes.append(f"times are of {first:%Y-%m-%d} to {last:%Y-%m-%d}: is ingest.timestamp_unit right?")


@contextmanager
def _quiet() -> Iterator[None]:
    """Keeps what ingest logs out: it is in the manifest's notes."""
    logger = logging.getLogger("finest")
    before = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(before)
