"""Manages versions of the model and who is in production: the aliases champion, previous and challenger."""

import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from finest.data.schema import Manifest
from finest.errors import FinestError
from finest.gate.verdict import Verdict
from finest.models.registry import MODELS
from tracking import sample as samples
from tracking.package import log_package, model_card
from tracking.records import note
from tracking.runs import Run, kfp_run_id
from tracking.store import connect, one_line, waiting

if TYPE_CHECKING:
    from mlflow import MlflowClient

CHAMPION, PREVIOUS, CHALLENGER = "champion", "previous", "challenger"

HEADLINES = ("rls/rbo", "accuracy/mrr")
"""Names of metrics that a version carries as tags, so that listing versions needs no runs."""
DESCRIPTION_LENGTH = 5000
"""Number of characters that a server keeps of a version's description: PostgreSQL refuses more."""


@dataclass(frozen=True)
class Version:
    """Describes a registered version."""

    name: str
    version: str
    aliases: tuple[str, ...]
    verdict: str
    """`pass` or `fail`; empty if something else registered the version."""
    refused: str
    """Reason why the version was not promoted although it passed; else empty."""
    kfp_run_id: str
    data_fingerprint: str
    rls: float | None
    """Mean RLS of its candidate, by RBO."""
    mrr: float | None
    last_timestamp: int | None
    """Time of the newest interaction of its data, in microseconds; None in versions that do not say."""
    created: datetime
    mlflow_run_id: str
    model: str = ""
    """Registered name of its model; empty in versions that do not say."""
    package: str = ""
    """Name and version of the other package that its model comes from; empty for a model of this library."""


def champion(name: str) -> Version | None:
    """Returns the version in production; None if there is none."""
    return _by_alias(connect(), name, CHAMPION)


def list_versions(name: str) -> list[Version]:
    """Returns all versions, newest first."""
    client = connect()
    aliases = _aliases(client, name)
    found = [_version(raw, aliases) for raw in client.search_model_versions(f"name = '{name}'")]
    return sorted(found, key=lambda version: int(version.version), reverse=True)


def download(version: Version, folder: Path) -> Path:
    """Downloads a version into `folder`; returns its model folder (weights.safetensors, ...), which lies below."""
    return _package(version, folder) / "artifacts" / "model"


def register(run: Run, name: str, model_folder: Path, verdict: Verdict, manifest: Manifest) -> Version:
    """Registers a complete version with its tags. No alias moves.

    If an earlier attempt of this pipeline run has registered one, returns that one.
    """
    from mlflow.exceptions import MlflowException

    from finest.models.saved import read_facts

    client = run.client
    if (earlier := next((one for one in list_versions(name) if one.kfp_run_id == kfp_run_id()), None)) is not None:
        return earlier
    try:
        client.create_registered_model(
            name, description="Sequential recommender, retrained under FINEST's stability gate."
        )
    except MlflowException as error:
        if error.error_code != "RESOURCE_ALREADY_EXISTS":
            raise
    model_id = log_package(run, model_folder, verdict, manifest)
    tags = {"kfp_run_id": kfp_run_id(), "data_fingerprint": manifest.fingerprint, "verdict": verdict.verdict}
    tags |= {"last_timestamp": str(manifest.last_timestamp), "model": (model := read_facts(model_folder).model.name)}
    tags |= {"package": package} if (package := MODELS.package_of(model)) else {}
    tags |= {key: str(verdict.metrics[key]) for key in HEADLINES if key in verdict.metrics}
    card = note(model_card(verdict, manifest), DESCRIPTION_LENGTH)
    made = client.create_model_version(
        name, source=f"models:/{model_id}", run_id=run.parent, tags=tags, description=card, model_id=model_id
    )
    return _version(made, {})


def promote(
    run: Run,
    name: str,
    model_folder: Path,
    verdict: Verdict,
    manifest: Manifest,
    sample: samples.Sample,
    expected: str | None,
) -> Version:
    """Registers the candidate that passed, loads it back, checks that it serves the judged lists, makes it champion.

    Args:
        run: The step's run.
        name: Name of the registered model.
        model_folder: The candidate.
        verdict: Its verdict.
        manifest: Manifest of its data set.
        sample: Lists that the loaded model must reproduce.
        expected: Version that the gate compared with; None for no champion.

    Raises:
        FinestError: Something is wrong. No alias of production has moved, and the version says why in its tag
            `refused`.
    """
    if verdict.verdict != "pass":
        raise FinestError(
            f"only a candidate that passed is promoted; the verdict is {verdict.verdict}: {verdict.reason}"
        )
    if (now := champion(name)) is not None and now.kfp_run_id == kfp_run_id():
        return now  # an earlier attempt of this step got through
    made = register(run, name, model_folder, verdict, manifest)
    try:
        with tempfile.TemporaryDirectory() as folder:
            _load_and_compare(_package(made, Path(folder)), sample)
        _unchanged(name, expected)
    except Exception as error:
        run.client.set_model_version_tag(name, made.version, "refused", one_line(error))
        raise
    if made.refused:  # by an earlier attempt, for what was over by this one
        run.client.delete_model_version_tag(name, made.version, "refused")
    run.client.set_registered_model_alias(name, CHALLENGER, made.version)
    _move_champion(run.client, name, made.version)
    return _get(run.client, name, made.version)


def register_rejected(run: Run, name: str, model_folder: Path, verdict: Verdict, manifest: Manifest) -> Version:
    """Registers a candidate that the gate refused as challenger, so that people can look at it."""
    made = register(run, name, model_folder, verdict, manifest)
    run.client.set_registered_model_alias(name, CHALLENGER, made.version)
    return _get(run.client, name, made.version)


def promote_version(name: str, version: str, force: bool = False) -> Version:
    """Makes a version champion by hand. Raises FinestError if it did not pass the gate, unless by `force`."""
    client = connect()
    found = _get(client, name, version)
    if not force and (found.verdict != "pass" or found.refused):
        why = found.refused or f"its verdict is {found.verdict or 'missing'}"
        raise FinestError(
            f"version {version} of {name} stays out of production: {why}; --force promotes it all the same"
        )
    if CHAMPION in found.aliases:
        raise FinestError(f"version {version} of {name} is the champion already")
    _move_champion(client, name, version)
    return _get(client, name, version)


def rollback(name: str) -> Version:
    """Swaps champion and previous, and returns the new champion. Done twice, it changes nothing."""
    client = connect()
    aliases = _aliases(client, name)
    now, before = aliases.get(CHAMPION), aliases.get(PREVIOUS)
    if now is None:
        raise FinestError(
            f"{name} has no champion to roll back; promote a version first: finest models promote VERSION"
        )
    if before is None or before == now:
        raise FinestError(
            f"{name} has no previous champion to go back to; choose a version: finest models promote VERSION"
        )
    # Production first: a crash in between has rolled back already, and at no moment is there no champion.
    client.set_registered_model_alias(name, CHAMPION, before)
    client.set_registered_model_alias(name, PREVIOUS, now)
    return _get(client, name, before)


def _move_champion(client: "MlflowClient", name: str, version: str) -> None:
    """Moves the alias previous first: a crash in between leaves the old champion in production."""
    if (now := _aliases(client, name).get(CHAMPION)) is not None:
        client.set_registered_model_alias(name, PREVIOUS, now)
    client.set_registered_model_alias(name, CHAMPION, version)


def _unchanged(name: str, expected: str | None) -> None:
    now = champion(name)
    if (now and now.version) != expected:
        said = f"version {now.version}" if now else "gone"
        compared = f"with version {expected}" if expected else "with no champion"
        raise FinestError(
            f"the champion of {name} is {said}, but the gate compared {compared}; nothing was promoted, run again"
        )


def _load_and_compare(package: Path, sample: samples.Sample) -> None:
    import mlflow

    with _without_pickle():
        samples.compare(sample, mlflow.pyfunc.load_model(str(package)).predict)


@contextmanager
def _without_pickle() -> Iterator[None]:
    """Refuses pickle while a model is loaded, as a careful server does; the import path stays as it was."""
    before, path = os.environ.get("MLFLOW_ALLOW_PICKLE_DESERIALIZATION"), list(sys.path)
    os.environ["MLFLOW_ALLOW_PICKLE_DESERIALIZATION"] = "false"
    try:
        yield
    finally:
        sys.path[:] = path
        if before is None:
            del os.environ["MLFLOW_ALLOW_PICKLE_DESERIALIZATION"]
        else:
            os.environ["MLFLOW_ALLOW_PICKLE_DESERIALIZATION"] = before


def _package(version: Version, folder: Path) -> Path:
    import mlflow

    connect()
    folder.mkdir(parents=True, exist_ok=True)
    uri = f"models:/{version.name}/{version.version}"
    return Path(waiting(lambda: mlflow.artifacts.download_artifacts(uri, dst_path=str(folder))))


def _aliases(client: "MlflowClient", name: str) -> dict[str, str]:
    """Returns versions by alias; none if the model is not registered yet."""
    from mlflow.exceptions import MlflowException

    try:
        return {alias: str(version) for alias, version in client.get_registered_model(name).aliases.items()}
    except MlflowException as error:
        if error.error_code != "RESOURCE_DOES_NOT_EXIST":
            raise
        return {}


def _by_alias(client: "MlflowClient", name: str, alias: str) -> Version | None:
    aliases = _aliases(client, name)
    return _version(client.get_model_version(name, aliases[alias]), aliases) if alias in aliases else None


def _get(client: "MlflowClient", name: str, version: str) -> Version:
    from mlflow.exceptions import MlflowException

    try:
        return _version(client.get_model_version(name, version), _aliases(client, name))
    except MlflowException as error:
        if error.error_code not in ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"):
            raise
        raise FinestError(f"{name} has no version {version}; `finest models list` shows them") from error


def _version(raw: Any, aliases: dict[str, str]) -> Version:
    tags = raw.tags
    rls, mrr = (float(tags[key]) if key in tags else None for key in HEADLINES)
    return Version(
        name=raw.name,
        version=str(raw.version),
        aliases=tuple(alias for alias in (CHAMPION, PREVIOUS, CHALLENGER) if aliases.get(alias) == str(raw.version)),
        verdict=tags.get("verdict", ""),
        refused=tags.get("refused", ""),
        kfp_run_id=tags.get("kfp_run_id", ""),
        data_fingerprint=tags.get("data_fingerprint", ""),
        rls=rls,
        mrr=mrr,
        last_timestamp=int(tags["last_timestamp"]) if "last_timestamp" in tags else None,
        created=datetime.fromtimestamp(raw.creation_timestamp / 1000, UTC),
        mlflow_run_id=raw.run_id or "",
        model=tags.get("model", ""),
        package=tags.get("package", ""),
    )
