"""Reads pipeline runs of the past, newest first."""

import tempfile
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from finest.errors import DataError, FinestError
from finest.gate import verdict as verdicts
from finest.gate.verdict import Verdict
from tracking.runs import KFP_RUN
from tracking.store import asked, connect, experiment_id, masked, uri

PAGE = 50


@dataclass(frozen=True)
class Past:
    """Describes a past pipeline run, by its parent run in MLflow."""

    kfp_run: str
    name: str
    status: str
    """Status as MLflow has it: RUNNING, FINISHED, FAILED or KILLED."""
    verdict: str | None
    """`pass`, `fail` or `skipped`; None if there is none, or none yet."""
    started: datetime
    ended: datetime | None
    metrics: dict[str, float]
    tags: dict[str, str]

    @property
    def judged(self) -> datetime | None:
        """Returns when the verdict came, or a little later: what follows it in a run takes seconds."""
        return None if self.verdict is None else self.ended or self.started


def past_runs(count: int) -> list[Past]:
    """Returns the last `count` pipeline runs, by their start."""
    return [_past(run) for run in _newest(f"tags.{KFP_RUN} != ''", count)]


def last_judged() -> Past | None:
    """Returns the pipeline run with the newest verdict; None if no run ever had one."""
    judged = [
        past for run in _newest(f"tags.verdict != '' and tags.{KFP_RUN} != ''", PAGE) if (past := _past(run)).verdict
    ]
    return max(judged, key=lambda past: past.judged or past.started, default=None)


def read_verdict(kfp_run: str) -> Verdict:
    """Returns the verdict that the pipeline run left. Raises FinestError if there is none, or it cannot be read."""
    found = _of(kfp_run)
    if not found:
        raise FinestError(f"MLflow at {masked(uri())} has no run of the pipeline run {kfp_run}")
    with tempfile.TemporaryDirectory() as folder:
        file = Path(asked(lambda: connect().download_artifacts(found[0].info.run_id, "verdict.json", folder)))
        try:
            return verdicts.read_verdict(file)
        except DataError:
            raise FinestError(
                f"verdict.json of the run {kfp_run} was written by another version of finest; see it in MLflow"
            ) from None


def registered_model(kfp_run: str) -> str | None:
    """Returns the name of the pipeline run's registered model; None if the run ended before it logged one."""
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
