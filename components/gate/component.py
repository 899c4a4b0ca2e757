"""Step `gate` as a component of the pipeline."""

from kfp import dsl

from components.image import step


@step
def gate(
    source: str,
    as_of: str,
    interactions: dsl.Input[dsl.Dataset],
    edits: dsl.Input[dsl.Dataset],
    variants: dsl.Input[list[dsl.Model]],
    baselines: dsl.Input[dsl.Dataset],
    champion: str,
    config: dict,
    checkpoints: str,
    candidate: dsl.Output[dsl.Model],
    verdict: dsl.Output[dsl.Artifact],
    report: dsl.Output[dsl.HTML],
) -> str:
    """Judges the candidate by the rank lists of all groups.

    Args:
        source: Where the interactions came from.
        as_of: The moment that the run stands for; the data's age counts from it.
        interactions: The data set.
        edits: The edit table and the plan of trainings.
        variants: Every group's rank lists and histories.
        baselines: Rank lists of what must be beaten.
        champion: The version that they compare with; '' where there is none.
        config: Section `gate`.
        checkpoints: Folder or URI of the checkpoints, where errors that are final are remembered.
        candidate: The judged model and its rank lists.
        verdict: Folder of `verdict.json`.
        report: The verdict for people.

    Returns:
        Output: `pass` or `fail`, plain words that a condition can compare.

    Raises:
        BrokenGateError: The verdict is `broken`: the gate failed its own test, and neither promotes nor refuses.
    """
    import shutil
    from pathlib import Path

    from components.gate.work import decide
    from components.sections import parse
    from components.step import running
    from finest.data.dataset import load
    from finest.data.window import moment
    from finest.errors import BrokenGateError
    from finest.gate.config import Gate
    from finest.profiling.summary import PAGE
    from tracking.history import past_nights
    from tracking.records import log_dataset, log_verdict

    with running("gate", checkpoints=checkpoints) as step:
        data, out = Path(interactions.path), Path(verdict.path)
        groups, section = [Path(variant.path) for variant in variants], parse(Gate, config, "gate")
        inputs = data, Path(edits.path), groups, Path(baselines.path), champion
        found, histories = decide(*inputs, section, moment(as_of), out, Path(candidate.path), past_nights(champion))
        shutil.copyfile(out / "report.html", report.path)
        log_dataset(step.run, load(data).manifest, source)
        artifacts = {
            "verdict.json": out / "verdict.json",
            "report.html": out / "report.html",
            "edits": Path(edits.path),
        }
        artifacts |= {PAGE: out / PAGE} if (out / PAGE).exists() else {}
        log_verdict(step.run, found, artifacts, histories)
        if found.verdict == "broken":
            raise BrokenGateError(found.reason)
        return found.verdict
