"""Reads the versions of a line, and takes their packages from the store: only as they were packed."""

import logging
import math
import shutil
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from finest.errors import DamagedError, FinestError
from finest.models import manifest as manifests
from finest.models import signature
from finest.models.manifest import MODEL
from tracking import ledger, standing
from tracking.ledger import CHALLENGER, CHAMPION, PREVIOUS, aliases
from tracking.store import connect, waiting

logger = logging.getLogger(__name__)

VERIFIED, REFUSED, MANIFEST, AWAITING = "verified", "refused", "manifest", "awaiting"
"""Names of a version's tags: the digest of the verdict whose lists it was loaded and found to serve; why it was not
promoted; the digest of its package's manifest; until when it awaits approval, and why."""

HEADLINES = ("rls/rbo", "accuracy/mrr", "churn/rbo")
"""Names of metrics that a version carries as tags, so that listing versions needs no runs."""


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
    churn: float | None = None
    """Mean RBO of its lists with those of the champion that it was compared with; None without one, and in versions
    that do not say."""
    model: str = ""
    """Registered name of its model; empty in versions that do not say."""
    package: str = ""
    """Name and version of the other package that its model comes from; empty for a model of this library."""
    verified: str = ""
    """Digest of the verdict (sha256) whose lists it was found to serve once it was loaded; empty if it never was."""
    source: str = ""
    """Where its data came from, without credentials; empty in versions that do not say."""
    manifest: str = ""
    """Digest of its package's manifest; empty in versions of before there was one."""
    awaiting: str = ""
    """Until when it awaits approval and why, as of when it was asked for; the ledger says whether it still does."""


def champion(name: str) -> Version | None:
    """Returns the version in production, by the ledger; None if there never was one. Raises as `champion_by`."""
    return champion_by(standing.stand(name))


def champion_by(now: standing.Standing) -> Version | None:
    """Returns the version in production by how a line stands; None if there never was one.

    Raises:
        FinestError: There was one, and it has vanished; or the ledger was changed.
    """
    ledger.unbroken(now.log)
    if now.gone:
        raise FinestError(now.gone)
    return get(now.log.line, now.champion) if now.champion else None


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

    Raises FinestError where it holds no model, or not the one that was packed.
    """
    return package(version, folder) / "artifacts" / MODEL


def package(version: Version, folder: Path) -> Path:
    """Downloads a version's package into `folder`; returns its place there, once every file is what was packed.

    Raises:
        DamagedError: One is not; or it is not signed by the key that `FINEST_VERIFYING_KEY` asks for.
        FinestError: It holds no model, or one of another line.
    """
    import mlflow

    connect()
    folder.mkdir(parents=True, exist_ok=True)
    uri = f"models:/{version.name}/{version.version}"
    found = Path(waiting(lambda: mlflow.artifacts.download_artifacts(uri, dst_path=str(folder))))
    if not (found / "artifacts" / MODEL).is_dir():
        raise FinestError(
            f"version {version.version} of {version.name} holds no model: its files were deleted, or something else "
            "has registered it; put another version into production: finest models rollback"
        )
    for compiled in list(found.rglob(manifests.COMPILED)):  # left in a store that is a folder by whoever loads from it
        shutil.rmtree(compiled)
    expected = ledger.read(version.name).manifest_of(version.version) or version.manifest
    try:
        if expected or (found / manifests.NAME).exists():
            of = manifests.check(found, expected).line
            if of != version.name:
                raise FinestError(
                    f"version {version.version} of {version.name} holds a model of the line {of}: somebody has "
                    "registered it here, and it serves here in no case"
                )
        else:
            logger.warning(
                "version %s of %s was packed by an earlier release, without a manifest: nobody can tell whether its "
                "files are as they were",
                version.version,
                version.name,
            )
        signature.verify(found)
    except DamagedError as error:
        raise DamagedError(
            f"version {version.version} of {version.name} is damaged: {error}; restore its files from a backup, or put "
            "another version into production: finest models rollback"
        ) from error
    return found


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
    rls, mrr, churn = (_number(tags.get(key)) for key in HEADLINES)
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
        churn=churn,
        last_timestamp=int(last) if last.isdecimal() else None,
        created=datetime.fromtimestamp(raw.creation_timestamp / 1000, UTC),
        mlflow_run_id=raw.run_id or "",
        model=tags.get("model", ""),
        package=tags.get("package", ""),
        source=tags.get("source", ""),
        manifest=tags.get(MANIFEST, ""),
        awaiting=tags.get(AWAITING, ""),
    )


def _number(text: str | None) -> float | None:
    """Returns the tag's number; None where it is none."""
    with suppress(TypeError, ValueError):
        return found if math.isfinite(found := float(text)) else None  # type: ignore[arg-type]
    return None
