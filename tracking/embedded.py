"""Holds the embedded store's database, which is there whole or not at all, and follows the folder that it lies in.

MLflow makes and upgrades its tables in many steps, none of which can be taken back. So both are done on a file beside,
by one process at a time, which is then renamed into its place. MLflow also keeps absolute places of artifacts: where
the folder was moved or copied, they are rewritten before anything else is read.
"""

import json
import logging
import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote

import filelock

from finest import atomic, errors
from finest.errors import FinestError

logger = logging.getLogger(__name__)

ODD = re.compile(r"[?%#\x00-\x1f]")
"""Characters of a path that a URI cannot hold as they are."""
PLAIN, QUOTED = "sqlite:///", "sqlite+pysqlite:///"
"""What addresses begin with. MLflow makes a folder of the name that stands in a plain one, so one that has to be quoted
names its driver, which SQLAlchemy understands and MLflow leaves alone."""
RECORD = ".json"
"""Ending of the file beside the database that says where it lay when it was last used, and which MLflow made it."""
LOCK = ".lock"
"""Ending of the file beside the database that whoever makes, upgrades or moves it keeps locked."""
BEFORE = ".before-"
"""Stands in the name of a database that was replaced by an upgraded copy, before its revision."""
WAIT_SECONDS = 20
"""Seconds that a database may be locked by another program before it is given up, as in MLflow."""
HALF = "_alembic_tmp_"
"""What names of tables begin with that a step of an upgrade has yet to put in the place of others."""
PLACES = (
    ("experiments", "artifact_location"),
    ("runs", "artifact_uri"),
    ("logged_models", "artifact_location"),
    ("model_versions", "source"),
    ("model_versions", "storage_location"),
    ("trace_tags", "value"),
)
"""Columns in which MLflow keeps places of artifacts."""


def address(file: Path) -> str:
    """Returns the tracking URI of a database.

    >>> address(Path("/state/mlflow/mlflow.db")), address(Path("/what?/mlflow.db"))
    ('sqlite:////state/mlflow/mlflow.db', 'sqlite+pysqlite:////what%3F/mlflow.db')
    """
    return f"{QUOTED}{quote(str(file))}" if ODD.search(str(file)) else f"{PLAIN}{file}"


def file_of(uri: str) -> Path | None:
    """Returns the database that a tracking URI names; None where it names no SQLite file.

    >>> file_of("sqlite+pysqlite:////what%3F/mlflow.db"), file_of("https://mlflow.example.com")
    (PosixPath('/what?/mlflow.db'), None)
    """
    start = next((start for start in (PLAIN, QUOTED) if uri.startswith(start)), None)
    path = unquote(uri.removeprefix(start).partition("?")[0]) if start else ""
    return Path(path).absolute() if path and path != ":memory:" else None


def location(folder: Path) -> str:
    """Returns how MLflow is told of a folder of artifacts.

    >>> location(Path("/state/mlflow/artifacts")), location(Path("/50%/artifacts"))
    ('/state/mlflow/artifacts', 'file:///50%25/artifacts')
    """
    return folder.as_uri() if ODD.search(str(folder)) else str(folder)


def folder_of(location: str) -> Path | None:
    """Returns the folder that such a location means; None for one that is elsewhere.

    >>> folder_of("file:///50%25/artifacts"), folder_of("mlflow-artifacts:/1")
    (PosixPath('/50%/artifacts'), None)
    """
    if location.startswith("file://"):
        return Path(unquote(location.removeprefix("file://")))
    return Path(location) if location.startswith("/") else None


def artifacts(file: Path) -> Path:
    """Returns the folder of artifacts, which lies beside the database."""
    return file.parent / "artifacts"


def ready(file: Path) -> None:
    """Makes the database if there is none, upgrades an older one, mends one that was cut off, follows one that moved.

    There is no time limit on it. Whoever is killed in the middle leaves what was there before.

    Raises:
        FinestError: It cannot be used as it is, and holds what must not be thrown away; the line says what to do.
    """
    if _fits(file):
        return
    with _locked(file):
        if not _fits(file):
            _make_ready(file)


def _make_ready(file: Path) -> None:
    try:
        if not file.exists() or file.stat().st_size == 0:
            _make(file)
        elif not _complete(file):
            _upgrade(file)
        _follow(file)
        record = {"folder": str(file.parent), "mlflow": _release(), "revision": _revision(file)}
    except sqlite3.DatabaseError as error:
        if "locked" in str(error):
            raise FinestError(f"{file}: another program has locked it; end that program, or wait for it") from error
        if isinstance(error, sqlite3.OperationalError):  # the disk's word, not the database's
            raise
        raise FinestError(
            f"{file} is damaged ({errors.one_line(error)}); put a backup of it in its place, or move it away to begin "
            "with an empty one, without the runs and versions that it holds"
        ) from error
    with atomic.file(_beside(file, RECORD)) as partial:
        partial.write_text(json.dumps(record, indent=2), encoding="utf-8")


def _beside(file: Path, ending: str) -> Path:
    return file.with_name(file.name + ending)


@contextmanager
def _locked(file: Path) -> Iterator[None]:
    file.parent.mkdir(parents=True, exist_ok=True)
    with filelock.FileLock(_beside(file, LOCK)):
        yield


def _record(file: Path) -> dict[str, str]:
    """Returns what is recorded beside the database; nothing where that is missing or damaged."""
    try:
        found = json.loads(_beside(file, RECORD).read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError, RecursionError):
        return {}
    return {key: value for key, value in found.items() if isinstance(value, str)} if isinstance(found, dict) else {}


@cache
def _release() -> str:
    """Returns MLflow's release, which is asked for at every connection, and takes milliseconds to read."""
    return metadata.version("mlflow")


def _fits(file: Path) -> bool:
    """Tells whether the database is as it was recorded, by this MLflow, in this folder."""
    record = _record(file)
    if record.get("mlflow") != _release() or not _same(Path(record.get("folder", "/")), file.parent):
        return False
    try:
        return file.exists() and _revision(file) == record.get("revision")
    except sqlite3.OperationalError as error:
        return "locked" in str(error)  # by another program; MLflow waits for it, and says so
    except sqlite3.DatabaseError:
        return False


def _same(one: Path, other: Path) -> bool:
    try:
        return one == other or one.samefile(other)
    except OSError:
        return False


@contextmanager
def opened(file: Path) -> Iterator[sqlite3.Connection]:
    """Yields a connection to the database, in which every statement is a transaction of its own unless one is begun."""
    with closing(sqlite3.connect(file, timeout=WAIT_SECONDS, isolation_level=None)) as database:
        yield database


def _tables(database: sqlite3.Connection) -> set[str]:
    return {name for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}


def _revision(file: Path) -> str:
    """Returns the revision of the database's tables; empty where it has none."""
    with opened(file) as database:
        if "alembic_version" not in _tables(database):
            return ""
        found = database.execute("SELECT version_num FROM alembic_version").fetchone()
    return str(found[0]) if found else ""


def _complete(file: Path) -> bool:
    """Tells whether the database has all tables that this MLflow works with, and nothing half made."""
    from mlflow.store.db.base_sql_model import Base
    from mlflow.store.db.utils import _get_latest_schema_revision

    with opened(file) as database:
        tables = _tables(database)
    half = any(name.startswith(HALF) for name in tables)
    return _revision(file) == _get_latest_schema_revision() and tables >= set(Base.metadata.tables) and not half


def _engine(file: Path) -> Any:
    """Returns an engine on a file that nobody needs before it is whole, so nothing waits for the disk."""
    import sqlalchemy

    engine = sqlalchemy.create_engine(address(file))
    sqlalchemy.event.listen(engine, "connect", lambda raw, _: raw.execute("PRAGMA synchronous = OFF"))
    return engine


def _make(file: Path) -> None:
    from mlflow.store.db.utils import _initialize_tables

    for ending in ("-wal", "-shm", "-journal"):  # of one that is gone
        _beside(file, ending).unlink(missing_ok=True)
    with atomic.file(file) as partial:
        engine = _engine(partial)
        _initialize_tables(engine)
        engine.dispose()


def _upgrade(file: Path) -> None:
    """Replaces the database by an upgraded copy, or by an empty one where it cannot be upgraded and holds nothing."""
    revision = _revision(file)
    if revision and revision not in _known():
        raise FinestError(
            f"{file} was made by a newer MLflow (revision {revision}) than the {_release()} here; install that "
            "one, or use another state folder"
        )
    with opened(file) as database:
        database.execute("PRAGMA journal_mode = DELETE")  # takes up a write-ahead log
        database.execute("BEGIN IMMEDIATE")  # nobody else writes to it from here on
        held = _held(database)
        try:
            _replace(file, revision, held)
            return
        except Exception as error:
            if held:
                raise FinestError(
                    f"{file}: its tables (revision {revision or 'none'}) were left half made by a process that was "
                    f"cut off, or cannot be upgraded ({errors.one_line(error)}), and it holds {held} runs and models; "
                    f"nothing was changed; put a backup in its place ({file.name}{BEFORE}* if there is one), or move "
                    "it away to begin with an empty one"
                ) from error
    logger.warning("%s was left half made and holds no runs: it is made anew", file)
    _make(file)


def _replace(file: Path, revision: str, held: int) -> None:
    """Puts an upgraded copy in the database's place, which stays beside it."""
    from mlflow.store.db.utils import _initialize_tables, _upgrade_db

    before = _beside(file, f"{BEFORE}{revision or 'unfinished'}")
    with atomic.file(file) as partial:
        with opened(file) as database, opened(partial) as copy:
            database.backup(copy)
            _drop_half(copy)
        engine = _engine(partial)
        (_upgrade_db if revision else _initialize_tables)(engine)  # type: ignore[no-untyped-call]
        engine.dispose()
        with opened(partial) as copy:
            _check_copy(copy, held)
        before.unlink(missing_ok=True)
        before.hardlink_to(file)
    logger.warning("%s was brought from revision %s to %s; %s is the old one", file, revision, _revision(file), before)


def _known() -> set[str]:
    """Returns all revisions that this MLflow has had."""
    from alembic.script import ScriptDirectory
    from mlflow.store.db.utils import _get_alembic_config

    scripts = ScriptDirectory.from_config(_get_alembic_config(db_url=""))
    return {script.revision for script in scripts.walk_revisions()}


def _held(database: sqlite3.Connection) -> int:
    """Returns the number of runs and registered models in a database."""
    kinds = _tables(database) & {f"{half}{kind}" for half in ("", HALF) for kind in ("runs", "registered_models")}
    return sum(int(database.execute(f'SELECT count(*) FROM "{kind}"').fetchone()[0]) for kind in kinds)


def _drop_half(database: sqlite3.Connection) -> None:
    """Drops copies of tables that a step of an upgrade has not got to put in their place."""
    tables = _tables(database)
    for name in tables:
        if name.startswith(HALF) and name.removeprefix(HALF) in tables:
            database.execute(f'DROP TABLE "{name}"')


def _check_copy(database: sqlite3.Connection, held: int) -> None:
    """Raises FinestError where an upgraded copy is not sound, or lacks what the original holds."""
    from mlflow.store.db.base_sql_model import Base

    found = database.execute("PRAGMA quick_check").fetchone()[0]
    if found != "ok" or (now := _held(database)) != held:
        raise FinestError(f"the copy is not sound: {found if found != 'ok' else f'{now} of {held} rows'}")
    if missing := set(Base.metadata.tables) - _tables(database):
        raise FinestError(f"the tables {', '.join(sorted(missing))} are missing")


def _follow(file: Path) -> None:
    """Rewrites places of artifacts that lie where the folder lay before, in one transaction."""
    with opened(file) as database:
        tables, here, changed = _tables(database), location(artifacts(file)), 0
        moved = [old for old in _lay(file, database) if not _same(old, file.parent)]
        if not moved:
            return
        database.execute("BEGIN IMMEDIATE")
        for old in moved:
            for form in (str(old / "artifacts"), (old / "artifacts").as_uri()):
                for table, column in ((table, column) for table, column in PLACES if table in tables):
                    where = f"{column} = :old OR substr({column}, 1, length(:old) + 1) = :old || '/'"
                    update = f"UPDATE {table} SET {column} = :new || substr({column}, length(:old) + 1) WHERE {where}"
                    changed += database.execute(update, {"old": form, "new": here}).rowcount
            own = {"old": f":{old.parent}", "new": f":{file.parent.parent}"}
            database.execute(
                "UPDATE tags SET value = substr(value, 1, length(value) - length(:old)) || :new "
                "WHERE key = 'place' AND substr(value, -length(:old)) = :old",
                own,
            )
        database.execute("COMMIT")
    logger.warning("the state has moved from %s to %s: %d places in %s follow", moved[0], file.parent, changed, file)


def _lay(file: Path, database: sqlite3.Connection) -> list[Path]:
    """Returns the folders in which the database lay, as recorded; by its experiments where an older release made it."""
    if (recorded := _record(file).get("folder")) is not None:
        return [Path(recorded)]
    query = (
        "SELECT DISTINCT artifact_location FROM experiments JOIN experiment_tags USING (experiment_id) "
        "WHERE key = 'finest' AND value = 'lines'"
    )
    known = [str(place or "") for (place,) in database.execute(query)]
    ours = [one.parent for place in known if (one := folder_of(place)) and one.name == "artifacts"]
    return list(dict.fromkeys(one for one in ours if one.name == file.parent.name))


def replaced(file: Path) -> list[Path]:
    """Returns the databases that upgraded copies have replaced, which are kept until a run has ended well since."""
    with suppress(FileNotFoundError):
        return sorted(one for one in file.parent.iterdir() if one.name.startswith(file.name + BEFORE))
    return []
