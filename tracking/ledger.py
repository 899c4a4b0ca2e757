"""Keeps the ledger of a line: an append-only list of who moved the champion, from where to where, when and why.

A line is a registered model. Its ledger is a registered model of its own, `NAME.ledger`, whose versions are the
entries: the store numbers them one after another, each exactly once, which is all that is asked of it. An entry says
which move it came after, and takes effect only where no other has taken effect in between; so of many that are written
at once the lowest wins, everybody finds the same one by reading the list, and no lock is needed.

Every entry holds a digest of all entries that its writer saw, and the line's registered model one of the newest: an
entry that is changed or deleted afterwards is found by whoever reads the list.
"""

import getpass
import os
import random
import re
import socket
import time
import uuid
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, TypeVar

from pydantic import ValidationError

from finest.errors import FinestError
from finest.secrets import masked
from tracking.entries import Entry, Kind, Log, Written
from tracking.store import connect

if TYPE_CHECKING:
    from mlflow import MlflowClient

T = TypeVar("T")

CHAMPION, PREVIOUS, CHALLENGER = "champion", "previous", "challenger"
"""Names of aliases: what is in production, what was before, and what was judged since and is not in production."""
SUFFIX = ".ledger"
"""End of a ledger's name; no line's name may hold a point."""
ENTRY, DONE, HEAD = "entry", "done", "ledger"
"""Names of tags: an entry's content; when the alias had followed it; on the line's model, the newest entry's number and
the digest up to it."""
WHY_LENGTH, WHO_LENGTH = 1000, 100
"""Number of characters that an entry keeps of its reason and of a name; a store's tags hold 5000."""
TRIES = 30
"""Number of times that an entry is tried whose number others took first."""


def read(line: str) -> Log:
    """Returns the ledger of a line. A store that answers late shows an older one, never one with holes."""
    return beside(line)[0]


def beside(line: str) -> tuple[Log, Mapping[str, str]]:
    """Returns the ledger of a line, and the line's versions by alias as they were just before it was read."""
    client = connect()
    # The head first: an entry that comes in between must be in the list that is held against it.
    model = _model(client, line)
    head = model.tags.get(HEAD, "") if model else ""
    found: list[Any] = []
    token = None
    while True:
        page = client.search_model_versions(f"name = '{line}{SUFFIX}'", page_token=token)
        found += page
        if not (token := page.token):
            break
    exists = bool(found) or _model(client, line + SUFFIX) is not None
    return Log(line, exists, tuple(sorted(map(_written, found), key=lambda one: one.number)), head), _aliases(model)


def _model(client: "MlflowClient", name: str) -> Any:
    """Returns a registered model; None where there is none of that name."""
    from mlflow.exceptions import MlflowException

    try:
        return client.get_registered_model(name)
    except MlflowException as error:
        _only(error, "RESOURCE_DOES_NOT_EXIST")
        return None


def _aliases(model: Any) -> dict[str, str]:
    return {alias: str(version) for alias, version in model.aliases.items()} if model else {}


def _written(raw: Any) -> Written:
    text = raw.tags.get(ENTRY)
    entry = None
    with suppress(ValidationError):
        entry = Entry.model_validate_json(text) if text else None
    return Written(int(raw.version), text, entry, DONE in raw.tags)


def begin(line: str) -> Log:
    """Makes the ledger where there is none, whose first entry adopts the champion of the time before it.

    Returns it as it is then.
    """
    log = read(line)
    if not log.exists and not log.head:
        create(line)
    if not log.begun and (now := aliases(connect(), line)).get(CHAMPION):
        why = "in production before the ledger began"
        adopted = entry("adoption", why, to_version=now[CHAMPION], previous=now.get(PREVIOUS, ""))
        _, log = append(line, adopted, log)
    return log


def create(line: str) -> None:
    """Makes an empty ledger where there is none."""
    from mlflow.exceptions import MlflowException

    said = (
        f"Ledger of {line}: its versions are the entries. Never change or delete one; finest models history shows it."
    )
    try:
        connect().create_registered_model(line + SUFFIX, description=said)
    except MlflowException as error:
        _only(error, "RESOURCE_ALREADY_EXISTS")


def append(line: str, entry: Entry, log: Log) -> tuple[int, Log]:
    """Writes an entry; returns its number, and the ledger with it.

    Args:
        line: The registered model.
        entry: What it says; `seen` and `chain` are filled in.
        log: The ledger that its writer has read.

    Raises:
        FinestError: The ledger was changed and the entry does not accept that: it would vouch for what it never saw.
    """
    from mlflow.exceptions import MlflowException

    if not entry.accepts:
        unbroken(log)
    client = connect()
    entry = entry.model_copy(update={"seen": log.top, "chain": log.chain[log.top]})
    tags, source = {ENTRY: entry.model_dump_json()}, f"finest-ledger:/{uuid.uuid4().hex}"
    made = contended(
        lambda: client.create_model_version(line + SUFFIX, source, tags=tags, description=entry.line()[:WHY_LENGTH])
    )
    now = read(line)
    try:
        client.set_registered_model_tag(line, HEAD, f"{now.top} {now.chain[now.top]}")
    except MlflowException as error:
        _only(error, "RESOURCE_DOES_NOT_EXIST")  # a line whose first nights were refused has no model yet
    return int(made.version), now


def unbroken(log: Log) -> None:
    """Raises FinestError where the ledger is not what was written."""
    if found := log.breaks():
        more = f" ({len(found) - 1} more)" if len(found) > 1 else ""
        raise FinestError(
            f"the ledger of {log.line} was changed: {found[0]}{more}; nobody can say by it what is in production. Look "
            "at `finest models verify` and at who may write to MLflow, then go on with `finest models repair --accept "
            "--reason WHY`, which takes the champion that the alias names now"
        )


def entry(kind: Kind, why: str, **more: Any) -> Entry:
    """Returns an entry of this process and moment, without line breaks."""
    one = re.sub(r"\s+", " ", masked(why)).strip()
    return Entry(kind=kind, who=who()[:WHO_LENGTH], when=datetime.now(UTC), why=one[:WHY_LENGTH], **more)


def mark_done(log: Log) -> None:
    """Notes that the alias has followed the last move."""
    if log.last and not log.last.done:
        now = datetime.now(UTC).isoformat(timespec="seconds")
        connect().set_model_version_tag(log.line + SUFFIX, str(log.last.number), DONE, now)


def aliases(client: "MlflowClient", name: str) -> dict[str, str]:
    """Returns versions by alias; none if the model is not registered yet."""
    return _aliases(_model(client, name))


def who() -> str:
    """Returns who writes: the pipeline, or a person by the names that MLflow and the system know."""
    if os.environ.get("KFP_RUN_ID"):
        return "pipeline"
    try:
        user = getpass.getuser()
    except (KeyError, OSError):  # a container's user without a name
        user = f"uid {os.getuid()}"
    signed_in = os.environ.get("MLFLOW_TRACKING_USERNAME")
    return f"{signed_in}, " * bool(signed_in) + f"{user}@{socket.gethostname()}"


def contended(call: Callable[[], T]) -> T:
    """Returns what the call returns; it is made again where the store says that others wrote at the same moment."""
    from mlflow.exceptions import MlflowException

    for left in reversed(range(TRIES)):
        try:
            return call()
        except MlflowException as error:
            if not left or not re.search(
                r"version creation error|IntegrityError|UNIQUE|duplicate key|is locked", str(error)
            ):
                raise
            time.sleep(random.uniform(0.05, 0.3))
    raise FinestError("unreachable")


def _only(error: Exception, code: str) -> None:
    if getattr(error, "error_code", None) != code:
        raise error
