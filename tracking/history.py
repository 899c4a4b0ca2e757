"""Pipeline runs of the past, newest first."""

import tempfile
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from finest.errors import DataError, FinestError
from finest.gate.verdict import Verdict, read
from tracking.runs import KFP_RUN
from tracking.store import asked, connect, experiment_id, masked, uri

PAGE = 50


@dataclass(frozen=True)
class Past:
    """A pipeline run's parent run in MLflow."""

    kfp_run: str
    name: str
    status: str
    """MLflow's: RUNNING, FINISHED, FAILED, KILLED."""
    verdict: str | None
    """`pass`, `fail` or `skipped`; None where there is none, or not yet."""
    started: datetime
    ended: datetime | None
    metrics: dict[str, float]
    tags: dict[str, str]

    @property
    def judged(self) -> datetime | None:
        """When the verdict came, to within what follows it in a run."""
        return None if self.verdict is None else self.ended or self.started


def past_runs(count: int) -> list[Past]:
    """The last `count` pipeline runs, by their start."""
    return [_past(run) for run in _newest(f"tags.{KFP_RUN} != ''", count)]


def last_judged() -> Past | None:
    """The pipeline run with the newest verdict; None where no run ever had one."""
    judged = [
        past for run in _newest(f"tags.verdict != '' and tags.{KFP_RUN} != ''", PAGE) if (past := _past(run)).verdict
    ]
    return max(judged, key=lambda past: past.judged or past.started, default=None)


def read_verdict(kfp_run: str) -> Verdict:
    """The verdict that the pipeline run left. Raises FinestError where there is none, or it cannot be read."""
    found = _of(kfp_run)
    if not found:
        raise FinestError(f"MLflow at {masked(uri())} has no run of the pipeline run {kfp_run}")
    with tempfile.TemporaryDirectory() as folder:
        file = Path(asked(lambda: connect().download_artifacts(found[0].info.run_id, "verdict.json", folder)))
        try:
            return read(file)
        except DataError:
            raise FinestError(
                f"verdict.json of the run {kfp_run} was written by another version of finest; see it in MLflow"
            ) from None


def registered_model(kfp_run: str) -> str | None:
    """The registered model that the pipeline run is of; None where it never came so far that it said so."""
    found = _of(kfp_run)
    return found[0].data.params.get("promote.registered_model") if found else None


def _of(kfp_run: str) -> list[Any]:
    return _newest(f"tags.{KFP_RUN} = '{kfp_run}'", 1)


def _newest(query: str, count: int) -> list[Any]:
    def search() -> list[Any]:
        client = connect()
        return list(
            client.search_runs(
                [experiment_id(client)], query, max_results=count, order_by=["attributes.start_time DESC"]
            )
        )

    return asked(search)


def _past(run: Any) -> Past:
    info, tags = run.info, run.data.tags
    return Past(
        kfp_run=tags.get(KFP_RUN, ""),
        name=info.run_name,
        status=info.status,
        verdict=tags.get("verdict") or None,
        started=_moment(info.start_time),
        ended=_moment(info.end_time) if info.end_time else None,
        metrics=dict(run.data.metrics),
        tags=dict(tags),
    )


def _moment(milliseconds: int) -> datetime:
    return datetime.fromtimestamp(milliseconds / 1000, UTC)
