"""Registers what was judged, and promotes what passed: by an entry of the ledger first, and an alias then."""

import logging
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from finest.data.schema import Manifest
from finest.errors import FinestError
from finest.gate.verdict import Verdict
from finest.gate.verdict_file import digest_of
from finest.models.registry import MODELS
from finest.models.signature import PRIVATE
from tracking import approval, awaiting, ledger, standing
from tracking import sample as samples
from tracking.answer import one_line
from tracking.canary.bounds import Measured
from tracking.canary.version import Canary
from tracking.entries import Log, Written
from tracking.package import log_package
from tracking.records import note
from tracking.registry import HEADLINES, MANIFEST, REFUSED, VERIFIED, Version, get, list_versions
from tracking.runs import Run, kfp_run_id, trained_on

logger = logging.getLogger(__name__)

DESCRIPTION_LENGTH = 5000
"""Number of characters that a server keeps of a version's description: PostgreSQL refuses more."""


@dataclass(frozen=True)
class Judged:
    """Holds a candidate and what was found about it."""

    model: Path
    """Folder of the model."""
    verdict: Verdict
    manifest: Manifest
    """Manifest of its data set."""
    sample: samples.Sample
    """Some of its lists, which the registered version must serve."""


@dataclass(frozen=True)
class Before:
    """Says what was in production when the night began, which the gate compared with."""

    champion: str
    """Version of the champion; empty for none."""
    entry: int
    """Number of the move that had made it that; 0 for none."""

    def as_parameter(self) -> dict[str, str]:
        """Returns it as a pipeline parameter: text, since kfp makes floats of integers."""
        return {"champion": self.champion, "entry": str(self.entry)}

    @classmethod
    def of_parameter(cls, given: Mapping[str, str]) -> "Before":
        """Returns what `as_parameter` gave."""
        return cls(given["champion"], int(given["entry"]))


@dataclass(frozen=True)
class Person:
    """Says whether a person is to decide."""

    why: str
    """Why one is; empty where a candidate that passed goes into production by itself."""
    hours: float
    """How long it waits for one, also where something else than `why` asks for that."""


NOBODY = Person("", 24.0)


def register(run: Run, name: str, judged: Judged) -> Version:
    """Registers a complete version with its tags. No alias moves.

    If an earlier attempt of this pipeline run has registered one, returns that one.
    """
    from mlflow.exceptions import MlflowException

    from finest.models.saved import read_facts

    client, verdict, manifest = run.client, judged.verdict, judged.manifest
    if (earlier := next((one for one in list_versions(name) if one.kfp_run_id == kfp_run_id()), None)) is not None:
        return earlier
    try:
        client.create_registered_model(
            name, description="Sequential recommender, retrained under FINEST's stability gate."
        )
    except MlflowException as error:
        if error.error_code != "RESOURCE_ALREADY_EXISTS":
            raise
    packaged = log_package(run, name, judged.model, verdict, manifest, judged.sample)
    if not packaged.signed:
        logger.info("the package is not signed: there is no key in %s", PRIVATE)
    tags = {"kfp_run_id": kfp_run_id(), "data_fingerprint": manifest.fingerprint, "verdict": verdict.verdict}
    tags[ledger.HEAD] = name + ledger.SUFFIX
    tags |= {"last_timestamp": str(manifest.last_timestamp), "model": (model := read_facts(judged.model).model.name)}
    tags[MANIFEST] = packaged.manifest
    tags |= {"package": package} if (package := MODELS.package_of(model)) else {}
    tags |= {key: str(verdict.metrics[key]) for key in HEADLINES if key in verdict.metrics}
    tags |= trained_on(client, run.parent, manifest)
    card = note(packaged.card, DESCRIPTION_LENGTH)
    made = client.create_model_version(
        name,
        source=f"models:/{packaged.model_id}",
        run_id=run.parent,
        tags=tags,
        description=card,
        model_id=packaged.model_id,
    )
    return get(name, str(made.version))


def promote(run: Run, name: str, judged: Judged, before: Before, canary: Canary, person: Person = NOBODY) -> Version:
    """Registers the candidate that passed, tries whether it serves the judged lists, makes it champion.

    Or leaves it waiting, where a person is to decide: since `person` says so, or something was rolled back.

    Args:
        run: The step's run.
        name: Name of the registered model.
        judged: The candidate.
        before: What was in production when the night began.
        canary: Tries what was registered.
        person: Whether a person is to decide.

    Raises:
        FinestError: Something is wrong. No alias of production has moved, and the version says why in its tag
            `refused`.
    """
    verdict = judged.verdict
    if verdict.verdict != "pass":
        raise FinestError(
            f"only a candidate that passed is promoted; the verdict is {verdict.verdict}: {verdict.reason}"
        )
    log, digest = ledger.begin(name), digest_of(verdict)
    if mine := [one for one in log.moves if one in log.of_run(kfp_run_id(), "promotion")]:
        return _promoted_before(name, log, mine[-1])
    if asked := log.of_run(kfp_run_id(), "request"):
        return _asked_before(name, log, asked[-1])
    made = register(run, name, judged)
    try:
        if (measured := canary(made, judged.sample, _compared(name, verdict))) is not None:
            _log(run, measured)
        run.client.set_model_version_tag(name, made.version, VERIFIED, digest)
        log = standing.check(name).log
        _unchanged(log, before)
    except Exception as error:
        run.client.set_model_version_tag(name, made.version, REFUSED, one_line(error))
        refuse(name, one_line(error), digest, made.version)
        raise
    if made.refused:  # by an earlier attempt, for what was over by this one
        run.client.delete_model_version_tag(name, made.version, REFUSED)
    why = "; ".join(filter(None, [person.why, approval.doubts(log, judged.manifest.fingerprint, verdict)]))
    entry = ledger.entry(
        "request" if why else "promotion",
        why or verdict.reason,
        run=kfp_run_id(),
        verdict=digest,
        manifest=made.manifest,
        from_version=log.champion,
        to_version=made.version,
        after=log.last.number if log.last else 0,
        data=judged.manifest.fingerprint,
        until=datetime.now(UTC) + timedelta(hours=person.hours) if why else None,
    )
    if why:
        return approval.ask(made, log, entry)
    number, log = ledger.append(name, entry, log)
    if (lost := log.lost(number)) is not None:
        run.client.set_model_version_tag(name, made.version, REFUSED, lost)
        raise FinestError(lost)
    awaiting.tidy(standing.settle(name).log)
    return get(name, made.version)


def _compared(name: str, verdict: Verdict) -> Version | None:
    """Returns the champion that the gate compared with; None for none, or where it has vanished since."""
    version = str(verdict.ids.get("champion", ""))
    return get(name, version) if version in standing.stand(name).versions else None


def _log(run: Run, measured: Measured) -> None:
    """Logs on the step's run what serving takes."""
    from mlflow.entities import Metric

    now = int(time.time() * 1000)
    found = [Metric(key, value, now, 0) for key, value in measured.metrics().items()]
    run.client.log_batch(run.id, metrics=found)


def _asked_before(name: str, log: Log, mine: Written) -> Version:
    """Finishes what an earlier attempt of this step has begun; what a person has said since stays so."""
    version = get(name, mine.entry.to_version if mine.entry else "")
    awaiting.show(version, log)
    if why := log.over(version.version):
        logger.warning(
            "this run has asked for approval of version %s of %s already (entry %d of the ledger), and that is over "
            "(%s): nothing is done",
            version.version,
            name,
            mine.number,
            why,
        )
    return get(name, version.version)


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


def register_rejected(run: Run, name: str, judged: Judged) -> Version:
    """Registers a candidate that the gate refused as challenger, so that people can look at it."""
    made = register(run, name, judged)
    standing.challenge(name, made.version)
    return get(name, made.version)


def _unchanged(log: Log, before: Before) -> None:
    """Raises FinestError where the champion is another one, or the same one again after others had been that."""
    compared = f"with version {before.champion}" if before.champion else "with no champion"
    if log.champion != before.champion:
        said = f"version {log.champion}" if log.champion else "gone"
        raise FinestError(
            f"the champion of {log.line} is {said}, but the gate compared {compared}; nothing was promoted, run again"
        )
    # What a new ledger adopts was in production all the time.
    since = [one.entry for one in log.moves if one.entry and one.number > before.entry]
    if any((one.kind, one.to_version) != ("adoption", before.champion) for one in since):
        raise FinestError(
            f"the champion of {log.line} was moved since the gate compared {compared}, and back again "
            f"({'; '.join(one.line() for one in since)}); nothing was promoted: look at `finest models history`"
        )
