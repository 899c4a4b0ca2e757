"""Promotes or rejects a judged candidate."""

from pathlib import Path

from components.gate.work import LISTS, MODEL, digests
from components.promote.config import Promote
from finest.data.dataset import load
from finest.errors import FinestError
from finest.gate.verdict import Verdict, digest_of, read_verdict
from finest.ranklists import file
from tracking import registry, sample
from tracking.runs import Run


def promote(
    run: Run, line: str, candidate: Path, verdict: Path, data: Path, config: Promote, rebased: str = ""
) -> registry.Version:
    """Registers the candidate and makes it champion.

    Before that it checks that the registered model serves the judged lists, and that the champion is still the one that
    the candidate was judged against.

    Args:
        run: The step's MLflow run.
        line: Name of the line.
        candidate: Folder of the judged model and its lists.
        verdict: Folder of the verdict.
        data: Folder of the data set.
        config: Where the candidate goes.
        rebased: Version of the champion that the line leaves behind, as it starts over; empty where it does not.

    Returns:
        The version that is champion now.
    """
    dataset, judged = load(data), read_verdict(verdict / "verdict.json")
    still_judged(candidate, judged)
    judged_lists = sample.take(file.read(candidate / LISTS), dataset, config.verify_instances)
    expected = rebased or judged.ids["champion"] or None
    return registry.promote(run, line, candidate / MODEL, judged, dataset.manifest, judged_lists, expected)


def reject(run: Run, line: str, candidate: Path, verdict: Path, data: Path, config: Promote) -> registry.Version | None:
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
    judged, version = read_verdict(verdict / "verdict.json"), None
    if config.register_rejected or judged.verdict == "suspicious":
        version = registry.register_rejected(run, line, candidate / MODEL, judged, load(data).manifest)
    registry.refuse(line, judged.reason, digest_of(judged), version.version if version else "")
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
