"""Reads pipeline runs of the past, newest first."""

import tempfile
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import yaml

from finest.data.compared import NightData
from finest.data.unusual import Earlier
from finest.errors import DataError, FinestError, one_line
from finest.gate import verdict_file
from finest.gate.verdict import Night, Verdict
from finest.secrets import masked
from tracking import registry
from tracking.answer import asked
from tracking.registry import list_versions
from tracking.runs import APPROVAL, APPROVALS, KFP_RUN, LINE, NIGHT, NIGHT_DATA, NIGHT_ENTRY, REBASE, kfp_run_id
from tracking.store import connect, find_runs, uri

PAGE = 50
NIGHTS = 60
"""Number of judged nights that the gate looks back on."""


@dataclass(frozen=True)
class Past:
    """Describes a past pipeline run, by its parent run in MLflow."""

    kfp_run: str
    name: str
    status: str
    """Status as MLflow has it: RUNNING, FINISHED, FAILED or KILLED."""
    verdict: str | None
    """`pass`, `fail`, `broken` or `skipped`; None if there is none, or none yet."""
    started: datetime
    ended: datetime | None
    metrics: dict[str, float]
    tags: dict[str, str]

    @property
    def judged(self) -> datetime | None:
        """Returns when the verdict came, or a little later: what follows it in a run takes seconds."""
        return None if self.verdict is None else self.ended or self.started


def past_runs(count: int, line: str = "") -> list[Past]:
    """Returns the last `count` pipeline runs, by their start; of a line, or of all where none is named."""
    return [_past(run) for run in _newest(_of_line(line, f"tags.{KFP_RUN} != ''"), count)]


def last_judged(line: str = "") -> Past | None:
    """Returns the pipeline run with the newest verdict, of a line or of all; None if no run ever had one."""
    query = _of_line(line, f"tags.verdict != '' and tags.{KFP_RUN} != ''")
    judged = [past for run in _newest(query, PAGE) if (past := _past(run)).verdict]
    return max(judged, key=lambda past: past.judged or past.started, default=None)


def read_verdict(kfp_run: str) -> Verdict:
    """Returns the verdict that the pipeline run left. Raises FinestError if there is none, or it cannot be read."""
    found = _of(kfp_run)
    if not found:
        raise FinestError(f"MLflow at {masked(uri())} has no run of the pipeline run {kfp_run}")
    with tempfile.TemporaryDirectory() as folder:
        file = Path(asked(lambda: connect().download_artifacts(found[0].info.run_id, "verdict.json", folder)))
        try:
            return verdict_file.read_verdict(file)
        except DataError:
            raise FinestError(
                f"verdict.json of the run {kfp_run} was written by another version of finest; see it in MLflow"
            ) from None


def config_of(line: str, version: str) -> dict[str, Any]:
    """Returns the config of the run that has registered a version. Raises FinestError where it cannot be read."""
    from mlflow.exceptions import MlflowException

    run = registry.get(line, version).mlflow_run_id
    with tempfile.TemporaryDirectory() as folder:
        try:
            file = Path(connect().download_artifacts(run, "config.yaml", folder))
            found = yaml.safe_load(file.read_text(encoding="utf-8"))
        except (MlflowException, OSError, yaml.YAMLError) as error:
            raise FinestError(f"config.yaml of its run {run} cannot be read ({one_line(error)})") from error
    if not isinstance(found, dict):
        raise FinestError(f"config.yaml of its run {run} is no config")
    return found


def line_of(kfp_run: str) -> str | None:
    """Returns the name of the pipeline run's line; None if the run ended before it said so."""
    found = _of(kfp_run)
    return found[0].data.tags.get(LINE) if found else None


def past_nights(champion: str, count: int = NIGHTS) -> list[Night]:
    """Returns the last `count` judged nights of this pipeline run's line, oldest first.

    A line that was started over has none from before that; so this one has none where it starts its line over.

    Args:
        champion: Version of today's champion, '' for none. It and those that it came after, each the champion that the
            next one was compared with, are the nights that count as promoted.
        count: Number of nights.

    Raises:
        FinestError: The store does not answer, or an entry cannot be read: a line without its past would be a first
            night.
    """
    own = _own()
    name = own[LINE]
    if REBASE in own:
        return []
    found = _newest(_of_line(name, f"tags.{NIGHT_ENTRY} != ''"), count)
    nights = {night.run: night for night in (_entry(run) for run in reversed(found))}
    rebased = [_entry(run).run for run in found if REBASE in run.data.tags]
    run_of = {version.version: version.kfp_run_id for version in asked(lambda: list_versions(name))} if nights else {}
    while (night := nights.get(run_of.get(champion, ""))) is not None and not night.promoted:
        nights[night.run] = night.model_copy(update={"promoted": True})
        champion = night.champion
    began = next((run for run in rebased if nights[run].promoted), None)
    kept = list(nights.values())
    return kept[list(nights).index(began) :] if began is not None else kept


def past_data(count: int = NIGHTS) -> tuple[datetime, list[Earlier]]:
    """Returns the moment that this pipeline run stands for, and the data of the last nights of its line, newest first.

    A line that was started over has none from before that; so this one has none where it starts its line over, and
    those that tried to and were not promoted do not count.

    Args:
        count: Number of nights.

    Raises:
        FinestError: The store does not answer, or an entry cannot be read.
    """
    own, found = _own(), list[Earlier]()
    as_of = datetime.fromisoformat(own[NIGHT])
    if REBASE in own:
        return as_of, found
    for run in _newest(_of_line(own[LINE], f"tags.{NIGHT_DATA} != ''"), count):
        tags = run.data.tags
        promoted = tags.get("verdict") == "pass" and APPROVALS[tags.get(APPROVAL, "approved")] == "pass"
        if REBASE not in tags or promoted:
            found.append(_data(run))
        if REBASE in tags and promoted:
            break
    return as_of, found


def _own() -> dict[str, str]:
    """Returns the tags of this pipeline run's parent. Raises FinestError where they do not say its line."""
    own: dict[str, str] = next((run.data.tags for run in _of(kfp_run_id())), {})
    if LINE not in own:
        raise FinestError(
            f"MLflow at {masked(uri())} does not say which line the pipeline run {kfp_run_id()} is of (tag {LINE}), so "
            "its history is not known; preflight writes it: run again"
        )
    return own


def _data(run: Any) -> Earlier:
    try:
        moment = datetime.fromisoformat(run.data.tags[NIGHT])
        return Earlier(moment, NightData.model_validate_json(run.data.tags[NIGHT_DATA]))
    except (KeyError, ValueError):
        raise FinestError(
            f"MLflow at {masked(uri())}: the tags {NIGHT} and {NIGHT_DATA} of run {run.info.run_name} "
            f"({run.info.run_id}) do not say what that night's data was like so that this version of finest can read "
            f"it; delete the tag {NIGHT_DATA} to go on without that night"
        ) from None


def _entry(run: Any) -> Night:
    try:
        return Night.model_validate_json(run.data.tags[NIGHT_ENTRY])
    except ValueError:
        raise FinestError(
            f"MLflow at {masked(uri())}: the tag {NIGHT_ENTRY} of run {run.info.run_name} ({run.info.run_id}) is no "
            "night's entry that this version of finest can read, so the line's history is not known; delete the tag to "
            "go on without that night"
        ) from None


def _of(kfp_run: str) -> list[Any]:
    return _newest(f"tags.{KFP_RUN} = '{kfp_run}'", 1)


def _of_line(name: str, query: str) -> str:
    return f"{query} and tags.{LINE} = '{name}'" if name else query


def _newest(query: str, count: int) -> list[Any]:
    newest_first = {"max_results": count, "order_by": ["attributes.start_time DESC"]}
    return asked(lambda: find_runs(connect(), query, **newest_first))


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
