"""Finds where MLflow keeps things, the embedded store of a laptop or a server, and whether it answers."""

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
from typing import TYPE_CHECKING, Any, TypeVar, cast

from finest import causes, errors, patience
from finest.errors import FinestError, UnavailableError
from finest.secrets import masked
from tracking import embedded
from tracking.away import Patient, away

if TYPE_CHECKING:
    from mlflow import MlflowClient

T = TypeVar("T")

OURS = {"finest": "lines"}
"""Tag of experiments that hold runs of lines."""
LINE = "line."
"""What the names of tags begin with that say which lines' runs an experiment holds."""
EXPERIMENT_TAGS = {"mlflow.experimentKind": "custom_model_development", **OURS}
"""Tags of new experiments. The first opens them in the UI's view for training runs; the other one is for prompts and
traces."""

ANSWER_SECONDS = 5
"""Seconds that `check` lets one HTTP request take."""
CHECK_SECONDS = 30
"""Seconds that `check` of a server takes at most: some drivers wait for minutes."""


def state_folder() -> Path:
    """Returns the absolute folder of everything that local runs write: FINEST_STATE, else ./state.

    It is absolute because MLflow stores paths.
    """
    return Path(os.environ.get("FINEST_STATE") or "state").absolute()


def uri() -> str:
    """Returns the tracking URI: MLFLOW_TRACKING_URI, else the embedded SQLite store in the state folder."""
    return os.environ.get("MLFLOW_TRACKING_URI") or embedded.address(state_folder() / "mlflow" / "mlflow.db")


PRESIGNED = "MLFLOW_ENABLE_PROXY_MULTIPART_DOWNLOAD"
DEFAULTS = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    # Artifacts go through the server: to go past it, a client must reach the server's own store, which is behind
    # policies and proxies, and knows nothing of the server's users. Whoever wants presigned URLs all the same sets
    # these to true.
    PRESIGNED: "false",
    "MLFLOW_ENABLE_PROXY_MULTIPART_UPLOAD": "false",
}
"""MLflow's settings unless the environment says otherwise.

There are no usage statistics, no links and progress bars, and one way to artifacts.
"""


def connect() -> "MlflowClient":
    """Returns a client of the store that `uri` names; MLflow's own functions use that store too from then on.

    Creates the embedded database on first use, and upgrades an older one. The environment is left as it was, but for
    DEFAULTS. The client waits for a store that is away as long as `finest.patience` says.
    """
    for name, value in DEFAULTS.items():
        os.environ.setdefault(name, value)
    if patience.limit():  # ours are the waits, with a line each; MLflow's would be silent
        os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "1")
        os.environ.setdefault("MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR", "0")
    import mlflow

    for name in (
        "alembic",
        "mlflow.store.db.utils",
        "mlflow.system_metrics",
        "mlflow.store.artifact",
        "mlflow.store.model_registry",
        "mlflow.pyfunc",
    ):
        logging.getLogger(name).setLevel(logging.WARNING)
    address, before = uri(), os.environ.get("MLFLOW_TRACKING_URI")
    if (file := embedded.file_of(address)) is not None:
        embedded.ready(file)
    mlflow.set_tracking_uri(address)
    if before is None:  # a later call must see a moved state folder, not what this one resolved
        os.environ.pop("MLFLOW_TRACKING_URI", None)
    return cast("MlflowClient", Patient(mlflow.MlflowClient(tracking_uri=address), service()))


def service() -> str:
    """Returns the store's name for messages."""
    return f"MLflow at {masked(uri())}"


def waiting(call: Callable[[], T]) -> T:
    """Returns what the call returns, as patiently as our client.

    For MLflow's own functions, which make clients of their own; their work is done anew each time.
    """
    return patience.patiently(service(), call, away)


def experiment_id(client: "MlflowClient", line: str) -> str:
    """Returns the id of the experiment that a line's runs go to, and creates it if needed.

    It is called as the line is, unless the environment names one for all lines.
    """
    from mlflow.exceptions import MlflowException

    if given := os.environ.get("MLFLOW_EXPERIMENT_ID"):
        try:
            return str(client.get_experiment(given).experiment_id)
        except MlflowException as error:
            if error.error_code not in ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"):
                raise
            raise FinestError(
                f"{service()} has no experiment of the id {given}; correct MLFLOW_EXPERIMENT_ID, or unset it: runs go "
                "to an experiment of the line's name then"
            ) from error
    name = os.environ.get("MLFLOW_EXPERIMENT_NAME") or line
    found = client.get_experiment_by_name(name)
    if found is None:
        try:
            return str(
                client.create_experiment(name, artifact_location=_artifacts(client.tracking_uri), tags=EXPERIMENT_TAGS)
            )
        except MlflowException:  # another step was quicker
            found = client.get_experiment_by_name(name)
            if found is None:
                raise
    if found.lifecycle_stage == "deleted":
        client.restore_experiment(found.experiment_id)
    return str(found.experiment_id)


def experiments(client: "MlflowClient") -> list[str]:
    """Returns the ids of all experiments that hold runs of lines; of the one that the environment names, if any."""
    if given := os.environ.get("MLFLOW_EXPERIMENT_ID"):
        return [given]
    if name := os.environ.get("MLFLOW_EXPERIMENT_NAME"):
        found = client.get_experiment_by_name(name)
        return [found.experiment_id] if found else []
    query, ids, token = " and ".join(f"tags.{tag} = '{value}'" for tag, value in OURS.items()), list[str](), None
    while True:
        page = client.search_experiments(filter_string=query, page_token=token)
        ids += [one.experiment_id for one in page]
        if not (token := page.token):
            return ids


def find_runs(client: "MlflowClient", query: str, **more: Any) -> list[Any]:
    """Returns what a search finds among the runs of all lines.

    Args:
        client: A client of the store.
        query: What to find, in MLflow's filter language.
        more: Further arguments of `MlflowClient.search_runs`.
    """
    return list(client.search_runs(places, query, **more)) if (places := experiments(client)) else []


def lines(client: "MlflowClient") -> list[str]:
    """Returns the names of all lines that have had a run, by name; not of those whose experiment was deleted."""
    tags = [tag for id in experiments(client) for tag in client.get_experiment(id).tags]
    return sorted({tag.removeprefix(LINE) for tag in tags if tag.startswith(LINE)})


def mark(client: "MlflowClient", experiment: str, line: str) -> None:
    """Marks an experiment as one that holds runs of a line."""
    for key, value in {**OURS, f"{LINE}{line}": "true"}.items():
        client.set_experiment_tag(experiment, key, value)


def _artifacts(address: str) -> str | None:
    """Returns the folder of artifacts, which lies beside an SQLite file; None for a server, which has its own place."""
    file = embedded.file_of(address)
    return None if file is None else embedded.location(embedded.artifacts(file))


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
    text = errors.one_line(error)
    return text if len(text) <= length else text[: length - 3] + "..."
