"""What becomes of a judged candidate."""

from pathlib import Path

from components.gate.work import LISTS, MODEL
from components.promote.config import Promote
from finest.data.dataset import load
from finest.gate.verdict import Verdict, read
from finest.ranklists import file
from tracking import registry, sample
from tracking.runs import Run


def promote(run: Run, candidate: Path, verdict: Path, data: Path, config: Promote) -> registry.Version:
    """Registers the candidate and makes it champion, if it serves the judged lists and the champion is still the one it was judged by."""
    dataset, judged = load(data), read_verdict(verdict)
    judged_lists = sample.take(file.read(candidate / LISTS), dataset, config.verify_instances)
    expected = judged.ids["champion"] or None
    return registry.promote(
        run, config.registered_model, candidate / MODEL, judged, dataset.manifest, judged_lists, expected
    )


def reject(run: Run, candidate: Path, verdict: Path, data: Path, config: Promote) -> registry.Version | None:
    """Leaves production alone; registers the candidate as challenger where the config asks for that."""
    if not config.register_rejected:
        return None
    return registry.register_rejected(
        run, config.registered_model, candidate / MODEL, read_verdict(verdict), load(data).manifest
    )


def read_verdict(folder: Path) -> Verdict:
    """The verdict that the gate wrote."""
    return read(folder / "verdict.json")
