"""Tries a registered version, with its package from the store."""

import logging
import tempfile
from collections.abc import Callable
from pathlib import Path

from finest.errors import FinestError
from finest.models.manifest import JUDGED
from tracking import registry, sample
from tracking.canary.bounds import Bounds, Measured
from tracking.canary.check import check
from tracking.registry import Version
from tracking.sample import Sample
from tracking.store import connect

logger = logging.getLogger(__name__)

Canary = Callable[[Version, Sample | None, Version | None], Measured | None]
"""Tries a version: one that must serve a sample of judged lists (None: those in its package), beside a champion (None:
beside none). Returns what it takes, if that was measured; raises CanaryError where it is not fit to serve."""
UNJUDGED = Sample([], [], [])


def tried(version: Version, judged: Sample | None, champion: Version | None, bounds: Bounds) -> Measured:
    """Tries a version as it would serve, and notes on it what that takes.

    Args:
        version: The version.
        judged: Lists that it must serve; None for those that are in its package.
        champion: The version in production, which is timed beside it; None for none.
        bounds: What it must keep to.

    Raises:
        CanaryError: It is not fit to serve.
        FinestError: Its package is damaged or gone.
    """
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        package = registry.package(version, folder / "candidate")
        sample = judged or _packed(version, package)
        measured = check(package, bounds, sample, _champions(champion, folder / "champion"))
    client = connect()
    for name, value in measured.metrics().items():
        client.set_model_version_tag(version.name, version.version, name, f"{value:.4g}")
    return measured


def _packed(version: Version, package: Path) -> Sample:
    file = package / "artifacts" / JUDGED
    if file.exists():
        return sample.read(file)
    logger.warning(
        "version %s of %s was packed by an earlier release, without lists that were judged: all that is tried is that "
        "it loads, that its lists are sound, and that garbage does it no harm",
        version.version,
        version.name,
    )
    return UNJUDGED


def _champions(champion: Version | None, folder: Path) -> Path | None:
    """Returns the champion's package; None where it cannot be had, which is not the candidate's fault."""
    if champion is None:
        return None
    try:
        return registry.package(champion, folder)
    except FinestError as error:
        logger.warning("what the candidate takes is not compared with the champion: %s", error)
        return None
