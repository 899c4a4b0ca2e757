"""Promotes or rejects a judged candidate."""

from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from components.gate.candidate import LISTS, MODEL, digests
from components.promote.config import Promote
from components.promote.freeze import frozen
from finest import sealed
from finest.data.dataset import load
from finest.errors import FinestError
from finest.gate.verdict import Verdict
from finest.gate.verdict_file import digest_of, read_verdict
from finest.ranklists import file
from tracking import promotion, retention
from tracking import sample as samples
from tracking.canary.bounds import Bounds
from tracking.canary.version import Canary, tried
from tracking.promotion import Before, Judged, Person
from tracking.registry import Version
from tracking.runs import Run


def promote(
    run: Run, line: str, candidate: Path, verdict: Path, data: Path, config: Promote, before: Before
) -> Version:
    """Registers the candidate and makes it champion.

    Before that the registered version is tried in a process of its own, and the champion must still be the one that the
    candidate was judged against. Where a person is to decide, it leaves it waiting for one instead.

    Args:
        run: The step's MLflow run.
        line: Name of the line.
        candidate: Folder of the judged model and its lists.
        verdict: Folder of the verdict.
        data: Folder of the data set.
        config: Where the candidate goes.
        before: What was in production when the night began.

    Returns:
        The version that is champion now, or awaits approval.
    """
    found = _judged(candidate, verdict, data, config)
    still_judged(candidate, found.verdict)
    if (compared := found.verdict.ids["champion"]) not in ("", before.champion):
        raise FinestError(
            f"the gate compared with version {compared}, and {before.champion or 'nothing'} was in production when the "
            "night began; nothing was promoted: run again"
        )
    held = [frozen(config.freeze, datetime.now(UTC)), "promote.approval: manual" * (config.approval == "manual")]
    person = Person("; ".join(filter(None, held)), config.approval_hours)
    version = promotion.promote(run, line, found, before, canary(config), person)
    if config.keep_versions is not None:
        retention.at_the_end(line, config.keep_versions)
    return version


def canary(config: Promote) -> Canary:
    """Returns what tries a version before it may be champion."""
    bounds = Bounds(
        environment=config.canary_environment,
        patience_s=config.canary_patience_s,
        max_load_s=config.max_load_s,
        max_p95_ms=config.max_p95_ms,
        max_memory_mb=config.max_memory_mb,
        max_slowdown=None if config.max_slowdown == "off" else config.max_slowdown,
    )
    return partial(tried, bounds=bounds)


def _judged(candidate: Path, verdict: Path, data: Path, config: Promote) -> Judged:
    for folder in (candidate, verdict):
        sealed.check(folder)
    dataset = load(data)
    sample = samples.take(file.read(candidate / LISTS), dataset, config.verify_instances)
    return Judged(candidate / MODEL, read_verdict(verdict / "verdict.json"), dataset.manifest, sample)


def reject(run: Run, line: str, candidate: Path, verdict: Path, data: Path, config: Promote) -> Version | None:
    """Leaves production alone, and writes into the ledger why.

    Registers the candidate as challenger where the config, or a suspicion, asks for that.

    Args:
        run: The step's MLflow run.
        line: Name of the line.
        candidate: Folder of the judged model and its lists.
        verdict: Folder of the verdict.
        data: Folder of the data set.
        config: Where the candidate goes.

    Returns:
        The registered version; None where there is none.
    """
    sealed.check(verdict)
    judged, version = read_verdict(verdict / "verdict.json"), None
    if config.register_rejected or judged.verdict == "suspicious":
        version = promotion.register_rejected(run, line, _judged(candidate, verdict, data, config))
    promotion.refuse(line, judged.reason, digest_of(judged), version.version if version else "")
    return version


def still_judged(candidate: Path, verdict: Verdict) -> None:
    """Checks that the candidate is what the verdict is about, byte for byte.

    Raises:
        FinestError: It is not, or the verdict does not say what it is about.
    """
    for name, digest in digests(candidate / LISTS, candidate / MODEL).items():
        if (stated := verdict.judged.get(name)) != digest:
            raise FinestError(
                f"the candidate's {name} are not what was judged (sha256 {digest[:12]}, and the verdict is about "
                f"{str(stated)[:12]}); the champion stays: run the gate again"
            )
