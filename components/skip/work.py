"""Ends a run that is skipped."""

from pathlib import Path

from components.champion import compare
from components.champion.work import SKIPPED
from finest import sealed
from finest.data.schema import Manifest
from finest.data.window import moment
from finest.gate.judge import skipped
from finest.gate.verdict import Verdict
from finest.gate.verdict_file import write_verdict
from finest.report.report import render
from tracking.runs import kfp_run_id


def write(manifest: Manifest, baselines: Path, champion: str, as_of: str, out: Path) -> Verdict:
    """Writes `out`/verdict.json and `out`/report.html, and returns the verdict.

    Args:
        manifest: The data set's manifest.
        baselines: Folder with the reason that the step `champion` gave.
        champion: The version in production; empty where there is none.
        as_of: The moment that the run stands for.
        out: Folder of the verdict.
    """
    sealed.check(baselines)
    ids = {"run": kfp_run_id(), "champion": champion}
    reason, compared = (baselines / SKIPPED).read_text(), compare.read(baselines)
    verdict = skipped(reason, manifest, moment(as_of), ids, compared)
    out.mkdir(parents=True, exist_ok=True)
    write_verdict(verdict, out / "verdict.json")
    render(verdict, {}, out / "report.html", f"FINEST, run {kfp_run_id()}")
    sealed.seal(out)
    return verdict
