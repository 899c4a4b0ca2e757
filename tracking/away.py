"""MLflow away: what says so, and a client that waits until it is back."""

import re
import sqlite3
import uuid
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, TypeVar

from finest.patience import patiently

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run
    from mlflow.entities.model_registry import ModelVersion

T = TypeVar("T")

ANSWERED = re.compile(r"too many (\d+) error responses")
"""requests' word for a server that has answered with an error, again and again."""
FOR_GOOD = re.compile(r"authentication failed|does not exist|no pg_hba\.conf entry|certificate|Unknown database|Access denied")
"""What a database says that will say the same in a minute."""
ADDRESS = re.compile(r"host='([^']*)', port=(\d+)")
CAUSES = {
    "NameResolutionError|Name or service not known|name resolution|No address associated": "its name does not resolve",
    "Connection refused": "refused",
    "timed out": "no answer in time",
    "No route to host|Network is unreachable": "no route to it",
    "Connection reset|Connection aborted|RemoteDisconnected": "broken off",
}
"""What is in the text of an error, and what it means."""
OPENED = "opened"
"""Tag by which a run is found that a broken connection has kept quiet about."""


def away(error: BaseException | None) -> str | None:
    """Why the store may answer in a minute, in words without credentials; None where it will not, or did answer."""
    import requests  # type: ignore[import-untyped]
    import sqlalchemy.exc
    from mlflow.exceptions import MlflowException

    said: str | None = None
    while error is not None:
        if isinstance(error, requests.exceptions.SSLError) or FOR_GOOD.search(str(error)):
            return None
        if isinstance(error, requests.exceptions.RetryError):
            found = ANSWERED.search(str(error))
            return f"its server answers {found[1]}" if found else "its server answers with errors"
        if isinstance(error, (requests.Timeout, requests.ConnectionError)):
            return no_connection(error)
        if isinstance(error, (requests.exceptions.ChunkedEncodingError, requests.exceptions.ContentDecodingError)):
            return "its answer was cut off"
        if isinstance(error, sqlalchemy.exc.OperationalError) and not isinstance(error.orig, sqlite3.Error):
            return "no connection to its database"
        if isinstance(error, MlflowException) and error.error_code == "TEMPORARILY_UNAVAILABLE" and said is None:
            said = "its server's database does not answer"
        if isinstance(error, sqlite3.Error) and "locked" not in str(error):
            return None
        error = error.__cause__ or error.__context__
    return said


def no_connection(error: BaseException) -> str:
    """Where there is no connection to, and why: the name, a refusal, or whatever else the socket said. Takes urllib3's errors too."""
    text = str(error)
    place = ADDRESS.search(text)
    meaning = next((meaning for pattern, meaning in CAUSES.items() if re.search(pattern, text)), type(error).__name__)
    return f"no connection to {place[1]}:{place[2]}, {meaning}" if place else f"no connection, {meaning}"


class Patient:
    """An MlflowClient every call of which waits for a store that is away, as long as `finest.patience` says.

    A call whose answer was lost is made again: what it sets is set to the same, and what it creates is looked for first.
    """

    def __init__(self, client: "MlflowClient", service: str):
        self._client, self._service = client, service

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._client, name)
        if not callable(found):
            return found
        return lambda *arguments, **keywords: self.wait(lambda: found(*arguments, **keywords))

    def wait(self, call: Callable[[], T]) -> T:
        """The call's answer, once the store is there."""
        return patiently(self._service, call, away)

    def create_run(self, experiment_id: str, *, tags: Mapping[str, str] | None = None, **more: Any) -> "Run":
        """As MlflowClient's."""
        token = uuid.uuid4().hex

        def known() -> "Run | None":
            return next(iter(self._client.search_runs([experiment_id], f"tags.{OPENED} = '{token}'", max_results=1)), None)

        return self._once(known, lambda: self._client.create_run(experiment_id, tags={**(tags or {}), OPENED: token}, **more))

    def create_model_version(self, name: str, source: str, **more: Any) -> "ModelVersion":
        """As MlflowClient's; there is one version of a name and a source."""

        def known() -> "ModelVersion | None":
            return next((one for one in self._client.search_model_versions(f"name = '{name}'") if one.source == source), None)

        return self._once(known, lambda: self._client.create_model_version(name, source, **more))

    def _once(self, known: Callable[[], T | None], create: Callable[[], T]) -> T:
        tried = False

        def attempt() -> T:
            nonlocal tried
            found = known() if tried else None
            tried = True
            return create() if found is None else found

        return self.wait(attempt)
