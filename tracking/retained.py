"""Lists what the store keeps of pipeline runs of the past, and removes that of an embedded one for good.

A server's is left to its own tools: MLflow's API marks runs as deleted, `mlflow gc` removes them.
"""

import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tracking import embedded, ledger, standing
from tracking.answer import asked
from tracking.history import past_runs
from tracking.ledger import SUFFIX
from tracking.runs import LINE, PIPELINE_RUN, REBASE, parent_of
from tracking.store import connect, experiments, find_runs, uri

if TYPE_CHECKING:
    from mlflow import MlflowClient

MOST = 50_000
"""Number of runs that MLflow gives out at once, at most."""


@dataclass(frozen=True)
class Held:
    """Says which version of a line holds on to a pipeline run."""

    line: str
    version: str
    serves: bool
    """Whether an alias names it, or the ledger has it as champion, as the one before, or as what awaits approval."""

    def __str__(self) -> str:
        return f"{self.line} version {self.version}"


@dataclass(frozen=True)
class Retained:
    """Describes what the store keeps of a pipeline run."""

    kfp_run: str
    line: str
    started: datetime
    status: str
    verdict: str
    """Empty where it has none."""
    rebased: bool
    """Whether the run started its line over, which ends what the gate looks back on."""
    members: tuple[str, ...]
    """Ids of its MLflow runs, the parent last."""
    models: tuple[str, ...]
    """Ids of its logged models."""
    places: tuple[Path, ...]
    """Folders of its artifacts, as far as they are on this machine."""


def retained() -> list[Retained]:
    """Returns what the store keeps of all pipeline runs, newest first."""
    client = asked(connect)
    children: dict[str, list[Any]] = {}
    for run in asked(lambda: find_runs(client, f"tags.{PIPELINE_RUN} != ''", max_results=MOST)):
        children.setdefault(run.data.tags[PIPELINE_RUN], []).append(run)
    models: dict[str, list[Any]] = {}
    for model in _logged_models(client):
        models.setdefault(model.source_run_id, []).append(model)
    found = []
    for past in past_runs(MOST):
        id = parent_of(client, past.kfp_run) or ""
        runs = [*children.get(id, []), client.get_run(id)]
        of_run = models.get(id, [])
        folders = [embedded.folder_of(run.info.artifact_uri) for run in runs]
        folders = [place and place.parent for place in folders]  # <run>/artifacts
        folders += [place and place.parent for place in (embedded.folder_of(one.artifact_location) for one in of_run)]
        found.append(
            Retained(
                kfp_run=past.kfp_run,
                line=past.tags.get(LINE, ""),
                started=past.started,
                status=past.status,
                verdict=past.verdict or "",
                rebased=REBASE in past.tags,
                members=tuple(run.info.run_id for run in runs),
                models=tuple(one.model_id for one in of_run),
                places=tuple(place for place in folders if place is not None),
            )
        )
    return found


def _logged_models(client: "MlflowClient") -> list[Any]:
    if not (places := experiments(client)):
        return []
    found, token = list[Any](), None
    while True:
        page = client.search_logged_models(experiment_ids=places, page_token=token)
        found += page
        if not (token := page.token):
            return found


def held() -> Mapping[str, list[Held]]:
    """Returns the registered versions of every pipeline run that has any."""
    client = asked(connect)
    found: dict[str, list[Held]] = {}
    for model in client.search_registered_models(max_results=1000):
        if model.name.endswith(SUFFIX):
            continue
        now = standing.stand(model.name)
        serving = {*ledger.aliases(client, model.name).values(), now.champion, now.previous}
        if now.log.awaiting and now.log.awaiting.entry:
            serving.add(now.log.awaiting.entry.to_version)
        for version, tags in now.versions.items():
            if run := tags.get("kfp_run_id"):
                found.setdefault(run, []).append(Held(model.name, version, version in serving))
    return found


def remove(run: Retained) -> None:
    """Removes a pipeline run, its steps' runs, its logged models and their artifacts from the embedded store.

    Its versions must be gone. Artifacts go first: whoever is killed in between removes the rest the next time.
    """
    file = embedded.file_of(uri())
    if file is None:
        raise ValueError("runs of a server are not removed from here")
    for place in run.places:
        if place.is_relative_to(embedded.artifacts(file)):
            shutil.rmtree(place, ignore_errors=True)
    from mlflow import MlflowClient

    # What `mlflow gc` calls; the API marks runs as deleted and keeps all that they hold.
    connect()
    store: Any = MlflowClient(tracking_uri=uri())._tracking_client.store
    for model in run.models:
        store._hard_delete_logged_model(model)
    for member in run.members:
        store._hard_delete_run(member)
