"""Whether MLflow's store answers, within seconds, and one line that says why where it does not."""

import logging
import os
import re
import shutil
import sqlite3
import tempfile
import threading
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from finest import causes, errors, patience
from finest.errors import FinestError, UnavailableError
from tracking import embedded
from tracking.away import away
from tracking.describe import cut
from tracking.store import PRESIGNED, connect, experiment_id, service, uri

if TYPE_CHECKING:
    from mlflow import MlflowClient

T = TypeVar("T")

ANSWER_SECONDS = 5
"""Seconds that `check` lets one HTTP request take."""
CHECK_SECONDS = 30
"""Seconds that `check` of a server takes at most: some drivers wait for minutes."""


def check(line: str) -> None:
    """Writes, reads and deletes a small artifact in a line's experiment, creating database and experiment on first use.

    Args:
        line: Name of the line.

    Raises:
        UnavailableError: The store does not answer but may in a minute, and has been waited for as long as
            `finest.patience` says.
        FinestError: The store does not keep artifacts. Of a server, this is known within half a minute.
    """
    patience.patiently(
        service(), lambda: _check_once(line), lambda error: error.why if isinstance(error, _NoAnswerError) else None
    )


class _NoAnswerError(UnavailableError):
    """The store does not answer, and may in a minute."""

    def __init__(self, why: str):
        super().__init__(f"{service()} cannot be used: {why}; {_advice(why)}")
        self.why = why


def _check_once(line: str) -> None:
    problem: list[BaseException] = []
    file = embedded.file_of(uri())
    if file is not None:
        _made_ready()

    def probe() -> None:
        try:
            with patience.at_most(0), _impatient():
                client = connect()
                _probe_artifacts(client, experiment_id(client, line))
        except Exception as error:  # noqa: BLE001 - whatever a driver raises is what the user must hear
            problem.append(error)

    # A thread of its own, because database drivers and object stores have no common timeout; a daemon, so that it
    # cannot hold the process.
    thread = threading.Thread(target=probe, daemon=True, name="mlflow-check")
    with _overheard() as broken:
        thread.start()
        thread.join(CHECK_SECONDS if file is None else None)  # a slow disk is no reason to give up
    if thread.is_alive():
        raise _NoAnswerError(f"no answer within {CHECK_SECONDS} s{_seen(broken)}")
    # The cause is not chained: its text may hold the URI's credentials, and a log prints it.
    if problem:
        raise problem[0] if isinstance(problem[0], FinestError) else _refusal(problem[0], broken) from None


def _made_ready() -> None:
    try:
        connect()
    except FinestError:
        raise
    except Exception as error:  # noqa: BLE001 - a disk says it in many ways
        raise _refusal(error, []) from None


def asked(question: Callable[[], T]) -> T:
    """Returns what the store answers; writes nothing.

    Raises FinestError in seconds if it does not answer, unlike MLflow's own many minutes.
    """

    def ask() -> T:
        with _overheard() as broken:
            try:
                with patience.at_most(0), _impatient():
                    return question()
            except FinestError:
                raise
            except Exception as error:  # noqa: BLE001 - whatever a driver raises is what the user must hear
                raise _refusal(error, broken) from None

    return patience.patiently(service(), ask, lambda error: error.why if isinstance(error, _NoAnswerError) else None)


def _refusal(error: BaseException, broken: list[BaseException]) -> FinestError:
    if why := away(error):
        return _NoAnswerError(why)
    why = _reason(error) + _seen(broken)
    return FinestError(f"{service()} cannot be used: {why}; {_advice(why)}")


def _seen(broken: list[BaseException]) -> str:
    """Returns what broke the last connection, for the end of a sentence."""
    return f": {causes.find(broken[-1]).words}" if broken else ""


@contextmanager
def _overheard() -> Iterator[list[BaseException]]:
    """Collects what breaks urllib3's connections while it tries them again.

    That is the cause of a call that takes too long to say it itself.
    """
    broken: list[BaseException] = []

    class Listener(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            found = [one for one in record.args or () if isinstance(one, BaseException)]
            # The message is a text alone if MLflow has masked a signature in it.
            broken.extend(found or [RuntimeError(record.getMessage())])

    listener, urllib3 = Listener(), logging.getLogger("urllib3.connectionpool")
    level, propagate = urllib3.level, urllib3.propagate
    urllib3.addHandler(listener)
    urllib3.setLevel(logging.WARNING)
    urllib3.propagate = False  # commands and steps show its errors alone; warnings are for us, not for the screen
    try:
        yield broken
    finally:
        urllib3.removeHandler(listener)
        urllib3.setLevel(level)
        urllib3.propagate = propagate


def _advice(why: str) -> str:
    elsewhere = re.search(r" (to|from) \S+:[0-9]+", why) and causes.host_and_port(uri()) not in why
    if elsewhere and os.environ.get(PRESIGNED, "").lower() in ("true", "1"):
        return (
            f"unset {PRESIGNED}: it sends clients past the server to its own store, which cannot be reached from here"
        )
    if "locked" in why:
        return "end the program that has locked the database, or wait for it"
    if "exceeds the maximum length" in why and "MLFLOW_EXPERIMENT_NAME" in os.environ:
        return "correct MLFLOW_EXPERIMENT_NAME, or unset it: runs go to an experiment of the line's name then"
    if "File name too long" in why:
        return "give a state folder with a shorter path (--state, FINEST_STATE)"
    if (
        any(said in why for said in ("NotADirectoryError", "FileExistsError"))
        and "MLFLOW_TRACKING_URI" not in os.environ
    ):
        return "a file lies where the state folder should be: give another one (--state, FINEST_STATE)"
    if "MLFLOW_TRACKING_URI" in os.environ:
        return "start the server, or correct MLFLOW_TRACKING_URI (unset it for the embedded store)"
    return "see that the state folder (FINEST_STATE) can be written and has room"


@contextmanager
def _impatient() -> Iterator[None]:
    """Makes MLflow's HTTP requests end in seconds instead of many minutes."""
    limits = {"MLFLOW_HTTP_REQUEST_TIMEOUT": str(ANSWER_SECONDS), "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1"}
    before = {name: os.environ.get(name) for name in limits}
    os.environ.update(limits)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def _probe_artifacts(client: "MlflowClient", experiment: str) -> None:
    from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository

    location = f"{client.get_experiment(experiment).artifact_location}/probe-{uuid.uuid4().hex}"
    repository = get_artifact_repository(location, tracking_uri=client.tracking_uri)
    with tempfile.TemporaryDirectory() as folder:
        written = Path(folder, "probe.txt")
        written.write_text(location)
        repository.log_artifact(str(written))
        copy = Path(folder, "copy")
        copy.mkdir()
        read = Path(repository.download_artifacts("probe.txt", str(copy)))
        if read.read_text() != location:
            raise FinestError(
                f"{service()} cannot be used: an artifact does not read back as it was written; see what keeps its "
                "artifacts"
            )
        if (place := embedded.folder_of(location)) is not None:  # MLflow decodes a local path once too often
            shutil.rmtree(place)
        else:
            repository.delete_artifacts()


def _reason(error: BaseException) -> str:
    """Returns what went wrong: the deepest cause that says something, on one line, without credentials."""
    import sqlalchemy.exc

    chain: list[BaseException] = []
    while error is not None and error not in chain:
        chain.append(error)
        error = error.__cause__ or error.__context__  # type: ignore[assignment]
    for link in reversed(chain):
        if isinstance(link, (PermissionError, FileNotFoundError, sqlite3.Error, FinestError)):
            return one_line(link)
    for link in chain:
        if isinstance(link, sqlalchemy.exc.DBAPIError):
            return one_line(link.orig or link)
    return one_line(chain[0])


def one_line(error: BaseException, length: int = 300) -> str:
    """Returns an error's line without secrets, cut to so many characters."""
    return cut(errors.one_line(error), length)
