"""Waits for an MLflow store that is away: tells what says that it is, and wraps the client."""

import re
import sqlite3
import uuid
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, TypeVar

from finest import causes
from finest.patience import patiently

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run
    from mlflow.entities.model_registry import ModelVersion

T = TypeVar("T")

ANSWERED = re.compile(r"too many (\d+) error responses")
"""Pattern of requests' message about a server that has answered with an error, again and again."""
FOR_GOOD = re.compile(r"authentication failed|does not exist|no pg_hba\.conf entry|Unknown database|Access denied")
"""Pattern of a database's messages that will be the same in a minute."""
OPENED = "opened"
"""Name of the tag by which a run is found again whose creation a broken connection has not confirmed."""


def away(error: BaseException) -> str | None:
    """Returns why the store may answer in a minute, without credentials; None if it will not, or has answered."""
    links = list(causes.chain(error))
    if any(FOR_GOOD.search(str(link)) for link in links):
        return None
    return next((why for link in links if (why := _away(link))), None)


def _away(link: BaseException) -> str | None:
    import requests  # type: ignore[import-untyped]
    import sqlalchemy.exc
    from mlflow.exceptions import MlflowException

    if isinstance(link, requests.exceptions.RetryError):
        found = ANSWERED.search(str(link))
        return f"its server answers {found[1]}" if found else "its server answers with errors"
    if isinstance(link, (requests.Timeout, requests.ConnectionError)):
        cause = causes.find(link)
        return None if cause.kind in ("certificate", "tls") else cause.words
    if isinstance(link, (requests.exceptions.ChunkedEncodingError, requests.exceptions.ContentDecodingError)):
        return "its answer was cut off"
    if isinstance(link, sqlalchemy.exc.OperationalError):
        if not isinstance(link.orig, sqlite3.Error):
            return "its database does not answer"
        return "its database is locked by another program" if "locked" in str(link) else None
    if isinstance(link, MlflowException) and link.error_code == "TEMPORARILY_UNAVAILABLE" and link.__cause__ is None:
        return "its server's database does not answer"
    return None


class Patient:
    """Wraps an MlflowClient so that every call waits for a store that is away, as long as `finest.patience` says.

    A call whose answer was lost is made again: what it sets is set to the same value, and what it creates is looked for
    first.
    """

    def __init__(self, client: "MlflowClient", service: str):
        self._client, self._service = client, service

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._client, name)
        if not callable(found):
            return found
        return lambda *arguments, **keywords: self.wait(lambda: found(*arguments, **keywords))

    def wait(self, call: Callable[[], T]) -> T:
        """Returns the call's answer, once the store is there."""
        return patiently(self._service, call, away)

    def create_run(self, experiment_id: str, *, tags: Mapping[str, str] | None = None, **more: Any) -> "Run":
        """Creates a run like MlflowClient does, once, however often it has to be tried."""
        token = uuid.uuid4().hex

        def known() -> "Run | None":
            return next(
                iter(self._client.search_runs([experiment_id], f"tags.{OPENED} = '{token}'", max_results=1)), None
            )

        return self._once(
            known, lambda: self._client.create_run(experiment_id, tags={**(tags or {}), OPENED: token}, **more)
        )

    def create_model_version(self, name: str, source: str, **more: Any) -> "ModelVersion":
        """Creates a version like MlflowClient does; there is one version of a name and a source."""

        def known() -> "ModelVersion | None":
            return next(
                (one for one in self._client.search_model_versions(f"name = '{name}'") if one.source == source), None
            )

        return self._once(known, lambda: self._client.create_model_version(name, source, **more))

    def _once(self, known: Callable[[], T | None], create: Callable[[], T]) -> T:
        tried = False

        def attempt() -> T:
            nonlocal tried
            found = known() if tried else None
            tried = True
            return create() if found is None else found

        return self.wait(attempt)
