"""Registers versions of the model, and promotes what passed: by an entry of the ledger first, and an alias then."""

import logging
import math
import tempfile
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from finest.data.schema import Manifest
from finest.errors import FinestError
from finest.gate.verdict import Verdict, digest_of
from finest.models.registry import MODELS
from tracking import ledger, standing
from tracking import sample as samples
from tracking.entries import Log, Written
from tracking.ledger import CHAMPION, PREVIOUS, aliases
from tracking.package import log_package, model_card
from tracking.records import note
from tracking.runs import Run, kfp_run_id, trained_on
from tracking.store import connect, one_line, waiting

logger = logging.getLogger(__name__)

CHALLENGER = "challenger"
VERIFIED, REFUSED = "verified", "refused"
"""Names of a version's tags: the digest of the verdict whose lists it was loaded and found to serve; why it was not
promoted."""

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
    verified: str = ""
    """Digest of the verdict (sha256) whose lists it was found to serve once it was loaded; empty if it never was."""
    source: str = ""
    """Where its data came from, without credentials; empty in versions that do not say."""


def champion(name: str) -> Version | None:
    """Returns the version in production, by the ledger; None if there never was one.

    Raises:
        FinestError: There was one, and it has vanished; or the ledger was changed.
    """
    now = standing.stand(name)
    ledger.unbroken(now.log)
    if now.gone:
        raise FinestError(now.gone)
    return get(name, now.champion) if now.champion else None


def serving(name: str) -> Version | None:
    """Returns the version in production, by the ledger; None also where it has vanished."""
    now = standing.stand(name)
    return get(name, now.champion) if now.champion in now.versions else None


def list_versions(name: str) -> list[Version]:
    """Returns all versions, newest first."""
    client = connect()
    by_alias = aliases(client, name)
    found = [_version(raw, by_alias) for raw in client.search_model_versions(f"name = '{name}'")]
    return sorted(found, key=lambda version: int(version.version), reverse=True)


def download(version: Version, folder: Path) -> Path:
    """Downloads a version into `folder`; returns its model folder (weights.safetensors, ...), which lies below.

    Raises FinestError where it holds no model.
    """
    model = _package(version, folder) / "artifacts" / "model"
    if not model.is_dir():
        raise FinestError(
            f"version {version.version} of {version.name} holds no model: its files were deleted, or something else "
            "has registered it; put another version into production: finest models rollback"
        )
    return model


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
    tags[ledger.HEAD] = name + ledger.SUFFIX
    tags |= {"last_timestamp": str(manifest.last_timestamp), "model": (model := read_facts(model_folder).model.name)}
    tags |= {"package": package} if (package := MODELS.package_of(model)) else {}
    tags |= {key: str(verdict.metrics[key]) for key in HEADLINES if key in verdict.metrics}
    tags |= trained_on(client, run.parent, manifest)
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
    log, digest = ledger.begin(name), digest_of(verdict)
    if mine := [one for one in log.moves if one in log.of_run(kfp_run_id(), "promotion")]:
        return _promoted_before(name, log, mine[-1])
    made = register(run, name, model_folder, verdict, manifest)
    try:
        with tempfile.TemporaryDirectory() as folder:
            samples.load_and_compare(_package(made, Path(folder)), sample)
        run.client.set_model_version_tag(name, made.version, VERIFIED, digest)
        log = standing.check(name).log
        _unchanged(log, expected)
    except Exception as error:
        run.client.set_model_version_tag(name, made.version, REFUSED, one_line(error))
        refuse(name, one_line(error), digest, made.version)
        raise
    if made.refused:  # by an earlier attempt, for what was over by this one
        run.client.delete_model_version_tag(name, made.version, REFUSED)
    after = log.last.number if log.last else 0
    entry = ledger.entry(
        "promotion",
        verdict.reason,
        run=kfp_run_id(),
        verdict=digest,
        from_version=log.champion,
        to_version=made.version,
        after=after,
    )
    number, log = ledger.append(name, entry, log)
    if (lost := log.lost(number)) is not None:
        run.client.set_model_version_tag(name, made.version, REFUSED, lost)
        raise FinestError(lost)
    run.client.set_registered_model_alias(name, CHALLENGER, made.version)
    standing.settle(name)
    return get(name, made.version)


def _promoted_before(name: str, log: Log, mine: Written) -> Version:
    """Finishes what an earlier attempt of this step has begun; what was replaced since stays so."""
    version = mine.entry.to_version if mine.entry else ""
    if mine is log.last:
        return get(name, standing.settle(name).champion)
    later = log.moves[log.moves.index(mine) + 1]
    logger.warning(
        "this run has promoted version %s of %s already (entry %d of the ledger), and entry %d has replaced it since "
        "(%s): nothing is done",
        version,
        name,
        mine.number,
        later.number,
        later.entry.line() if later.entry else "",
    )
    return get(name, version)


def refuse(name: str, why: str, digest: str, version: str = "") -> None:
    """Writes into the ledger, once, that this pipeline run's candidate was refused; not into one that was changed."""
    log = ledger.begin(name)
    if not log.of_run(kfp_run_id(), "refusal") and not log.breaks():
        found = ledger.entry(
            "refusal", why, run=kfp_run_id(), verdict=digest, from_version=log.champion, to_version=version
        )
        ledger.append(name, found, log)


def register_rejected(run: Run, name: str, model_folder: Path, verdict: Verdict, manifest: Manifest) -> Version:
    """Registers a candidate that the gate refused as challenger, so that people can look at it."""
    made = register(run, name, model_folder, verdict, manifest)
    run.client.set_registered_model_alias(name, CHALLENGER, made.version)
    return get(name, made.version)


def _unchanged(log: Log, expected: str | None) -> None:
    if log.champion != (expected or ""):
        said = f"version {log.champion}" if log.champion else "gone"
        compared = f"with version {expected}" if expected else "with no champion"
        raise FinestError(
            f"the champion of {log.line} is {said}, but the gate compared {compared}; nothing was promoted, run again"
        )


def _package(version: Version, folder: Path) -> Path:
    import mlflow

    connect()
    folder.mkdir(parents=True, exist_ok=True)
    uri = f"models:/{version.name}/{version.version}"
    return Path(waiting(lambda: mlflow.artifacts.download_artifacts(uri, dst_path=str(folder))))


def get(name: str, version: str) -> Version:
    """Returns a version. Raises FinestError if there is none of that number."""
    from mlflow.exceptions import MlflowException

    client = connect()
    try:
        return _version(client.get_model_version(name, version), aliases(client, name))
    except MlflowException as error:
        if error.error_code not in ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"):
            raise
        raise FinestError(f"{name} has no version {version}; `finest models list` shows them") from error


def _version(raw: Any, by_alias: dict[str, str]) -> Version:
    """Returns what a version says; nothing that others have registered under the name may break a list."""
    tags = raw.tags
    rls, mrr = (_number(tags.get(key)) for key in HEADLINES)
    last = tags.get("last_timestamp", "")
    return Version(
        name=raw.name,
        version=str(raw.version),
        aliases=tuple(alias for alias in (CHAMPION, PREVIOUS, CHALLENGER) if by_alias.get(alias) == str(raw.version)),
        verdict=tags.get("verdict", ""),
        refused=tags.get(REFUSED, ""),
        verified=tags.get(VERIFIED, ""),
        kfp_run_id=tags.get("kfp_run_id", ""),
        data_fingerprint=tags.get("data_fingerprint", ""),
        rls=rls,
        mrr=mrr,
        last_timestamp=int(last) if last.isdecimal() else None,
        created=datetime.fromtimestamp(raw.creation_timestamp / 1000, UTC),
        mlflow_run_id=raw.run_id or "",
        model=tags.get("model", ""),
        package=tags.get("package", ""),
        source=tags.get("source", ""),
    )


def _number(text: str | None) -> float | None:
    """Returns the tag's number; None where it is none."""
    with suppress(TypeError, ValueError):
        return found if math.isfinite(found := float(text)) else None  # type: ignore[arg-type]
    return None
