"""A PostgreSQL server of the system's packages, with an empty database.

It refuses to run as root: root runs it as `postgres`.
"""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.services.process import HOST, UnavailableError, free_port, running, start

INSTALLED = Path("/usr/lib/postgresql")
ACCOUNT = "postgres"
USER, PASSWORD, NAME = "finest", "finest-test-password", "mlflow"  # of a server on loopback


@dataclass(frozen=True)
class Database:
    """A database and the folder of the server's files."""

    port: int
    folder: Path

    @property
    def uri(self) -> str:
        """As SQLAlchemy reads it, whose own choice of a driver is another one."""
        return f"postgresql+psycopg2://{USER}:{PASSWORD}@{HOST}:{self.port}/{NAME}"

    @property
    def environment(self) -> dict[str, str]:
        """As PostgreSQL's own tools read it."""
        return {"PGHOST": HOST, "PGPORT": str(self.port), "PGUSER": USER, "PGPASSWORD": PASSWORD, "PGDATABASE": NAME}


def tool(name: str) -> str:
    """Path of a tool of the newest installed release. Raises UnavailableError where there is none."""
    found = sorted(INSTALLED.glob(f"*/bin/{name}"), key=lambda path: int(path.parts[-3]))
    if not found:
        raise UnavailableError("PostgreSQL is not installed; tests/services/install.sh installs it on Debian")
    return str(found[-1])


def _account() -> list[str]:
    """The start of a command line that may not run as root."""
    if os.geteuid() != 0:
        return []
    return ["setpriv", f"--reuid={ACCOUNT}", f"--regid={ACCOUNT}", "--clear-groups"]


def prepare(folder: Path) -> tuple[list[str], Database]:
    """Makes a cluster in `folder` where there is none; returns the server's command line.

    Other accounts must be able to reach the folder.
    """
    files, sockets = folder / "files", folder / "sockets"
    if not (files / "PG_VERSION").exists():
        for made in (folder, files, sockets):
            made.mkdir(parents=True, exist_ok=True)
            _hand_over(made)
        _initialise(folder, files)
    database = Database(free_port(), folder)
    settings = {"listen_addresses": HOST, "port": database.port, "unix_socket_directories": sockets, "fsync": "off"}
    options = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
    return [*_account(), tool("postgres"), "-D", str(files), *options], database


def _initialise(folder: Path, files: Path) -> None:
    password = folder / "password"
    password.write_text(PASSWORD)
    _hand_over(password)
    initdb = [
        tool("initdb"),
        "-D",
        str(files),
        "-U",
        USER,
        "--auth=scram-sha-256",
        f"--pwfile={password}",
        "--encoding=UTF8",
        "--locale=C",
    ]
    done = subprocess.run([*_account(), *initdb, "--no-sync"], capture_output=True, text=True, cwd="/")
    password.unlink()
    if done.returncode:
        raise RuntimeError(f"initdb: {done.stderr.strip()}; can {ACCOUNT} reach {folder}?")


def _hand_over(path: Path) -> None:
    if os.geteuid() == 0:
        shutil.chown(path, ACCOUNT, ACCOUNT)
    path.chmod(0o700 if path.is_dir() else 0o600)


def ready(database: Database) -> bool:
    """Whether the server takes connections."""
    return subprocess.run([tool("pg_isready"), "-q", "-h", HOST, "-p", str(database.port)]).returncode == 0


def create(database: Database, name: str = NAME) -> None:
    """Makes a database where there is none of that name."""
    environment = {**os.environ, **database.environment, "PGDATABASE": "postgres"}
    there = [tool("psql"), "-tAc", f"SELECT 1 FROM pg_database WHERE datname = '{name}'"]
    if not subprocess.run(there, env=environment, check=True, capture_output=True).stdout:
        subprocess.run([tool("createdb"), name], env=environment, check=True)


def launch(folder: Path, log: Path) -> tuple[int, Database]:
    """A server that outlives this process, with its database; its process id."""
    command, database = prepare(folder)
    process = start(command, log, lambda: ready(database))
    create(database)
    return process.pid, database


@contextmanager
def reachable_folder() -> Iterator[Path]:
    """A temporary folder that `postgres` can reach, which pytest's are not."""
    folder = Path(tempfile.mkdtemp(prefix="finest-postgres-"))
    folder.chmod(0o755)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def serve() -> Iterator[Database]:
    """A server for the length of a block."""
    with reachable_folder() as folder:
        command, database = prepare(folder / "server")
        with running(command, folder / "log", lambda: ready(database)):
            create(database)
            yield database
