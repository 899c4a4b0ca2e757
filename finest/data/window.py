"""The days that a run reads and holds out, counted back from the moment that it stands for. Days are UTC.

Of a run of 2026-11-24T02:00 with `window_days` 3 and `held_out_days` 1, the partitions dt=2026-11-21 to dt=2026-11-23
are read (the 24th is not over), and what happened from 2026-11-23T00:00 on is held out.
"""

from collections.abc import Iterable
from datetime import UTC, date, datetime, time, timedelta

from finest.data.config import Ingest
from finest.data.partition import Template, guess
from finest.data.source import SourceFile
from finest.errors import ConfigError, DataError

CLOCK_DAYS = 1
"""Number of days after the last one read from which a row's time is believed: partitions may be cut by a local day. A
time further on would be held out for good, as the newest, and keep later nights from being newer."""


def moment(text: str) -> datetime:
    """Parses ISO 8601 to a time in UTC; without a zone it is UTC, and a day is its midnight. Raises ConfigError.

    >>> str(moment("2026-11-24")), str(moment("2026-11-24T03:30+02:00"))
    ('2026-11-24 00:00:00+00:00', '2026-11-24 01:30:00+00:00')
    """
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise ConfigError(
            f"as_of = {text!r}: must be a day or a time like 2026-11-24 or 2026-11-24T02:00:00Z"
        ) from None
    return found.astimezone(UTC) if found.tzinfo else found.replace(tzinfo=UTC)


def resolved(config: Ingest, as_of: datetime) -> Ingest:
    """Puts dates in the place of the days that `config` counts back from `as_of`: `since`, `until`, the cut.

    >>> from finest.data.config import Split
    >>> config = Ingest(window_days=14, split=Split(method="temporal", held_out_days=1))
    >>> night = resolved(config, moment("2026-11-24T02:00"))
    >>> str(night.since), str(night.until), str(night.split.cut)
    ('2026-11-10', '2026-11-23', '2026-11-23 00:00:00+00:00')
    """
    try:
        return _resolved(config, as_of.astimezone(UTC).date())
    except OverflowError:
        raise ConfigError(
            f"ingest.window_days and ingest.split.held_out_days reach from {as_of:%Y-%m-%d} back to before the first "
            "year; lower them, or set as_of to a later day"
        ) from None


def _resolved(config: Ingest, today: date) -> Ingest:
    split = config.split
    if split.held_out_days is not None:
        cut = datetime.combine(today - timedelta(days=split.held_out_days), time(), UTC)
        split = split.model_copy(update={"held_out_days": None, "cut": cut})
    if config.window_days is None:
        return config.model_copy(update={"split": split})
    days = {
        "since": today - timedelta(days=config.window_days),
        "until": today - timedelta(days=1),
        "window_days": None,
    }
    return config.model_copy(update={"split": split, **days})


def template(files: Iterable[SourceFile], config: Ingest) -> Template:
    """Returns how the files' folders say their day: as `ingest.partition` says, else as the first ones look.

    Raises:
        DataError: They say none that is known.
        ConfigError: They say two.
    """
    if (given := config.partition.template) is not None:
        return given
    paths = sorted(file.path for file in files)
    if (found := guess(paths)) is None:
        raise DataError(
            f"{paths[0] if paths else 'the source'}: in no partition dt=YYYY-MM-DD, nor another that says a day; "
            "say how its folders do with ingest.partition, or unset ingest.window_days, ingest.since and ingest.until"
        )
    return found


def partition_days(files: Iterable[SourceFile], config: Ingest) -> dict[str, date | None]:
    """Returns the day of each file's partition by path, None for the partition of unknown days.

    Raises:
        DataError: A file is in no partition.
        ConfigError: Two partitions of one file say a day.
    """
    files = list(files)
    how, found = template(files, config), dict[str, date | None]()
    for file in files:
        try:
            found[file.path] = how.day_of(file.path)
        except ValueError:
            raise DataError(
                f"{file.path}: in no partition {how}; say how its folders name a day with ingest.partition, or unset "
                "ingest.window_days, ingest.since and ingest.until"
            ) from None
    return found


def prune(files: Iterable[SourceFile], config: Ingest) -> list[SourceFile]:
    """Returns the files of the partitions between `since` and `until`, both included; None is no bound.

    Files of unknown days are left out where there is a bound.

    Raises:
        DataError: A file is outside such a partition, or no partition is left.
    """
    files, since, until = list(files), config.since, config.until
    if since is None and until is None:
        return files
    day_of = partition_days(files, config)
    kept = [
        file
        for file in files
        if (day := day_of[file.path]) is not None
        and (since is None or since <= day)
        and (until is None or day <= until)
    ]
    if not kept:
        between = f"between {since or 'the first day'} and {until or 'the last'}"
        raise DataError(
            f"none of the {len(files)} files lies in a partition {template(files, config)} {between} "
            "(ingest.window_days, since, until)"
        )
    return kept


def unknown(files: Iterable[SourceFile], config: Ingest) -> list[SourceFile]:
    """Returns the files of unknown days, which `prune` leaves out. Raises DataError as `partition_days` does."""
    if config.since is None and config.until is None:
        return []
    files = list(files)
    day_of = partition_days(files, config)
    return [file for file in files if day_of[file.path] is None]


def missing(files: Iterable[SourceFile], config: Ingest) -> tuple[date, ...]:
    """Returns the days between `since` and `until` that have no partition though an earlier day has one.

    Raises:
        DataError: There are more of them than `max_missing_days`.
    """
    if config.since is None and config.until is None:
        return ()
    files = list(files)
    there = {day for day in partition_days(files, config).values() if day is not None}
    if not there:
        return ()
    first, last = max(config.since or min(there), min(there)), config.until or max(there)
    between = (first + timedelta(days=n) for n in range((last - first).days + 1))
    absent = tuple(day for day in between if day not in there)
    if config.max_missing_days is not None and len(absent) > config.max_missing_days:
        shown = ", ".join(map(str, absent[:5])) + (", ..." if len(absent) > 5 else "")
        raise DataError(
            f"{len(absent)} days between {first} and {last} have no partition {template(files, config)} ({shown}),"
            f" more than ingest.max_missing_days={config.max_missing_days}; have them delivered, or allow more"
        )
    return absent
