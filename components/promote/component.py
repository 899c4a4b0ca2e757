"""Steps `promote` and `reject` as components of the pipeline."""

from kfp import dsl

from components.image import step


@step
def promote(
    candidate: dsl.Input[dsl.Model],
    verdict: dsl.Input[dsl.Artifact],
    interactions: dsl.Input[dsl.Dataset],
    line: str,
    production: dict,
    config: dict,
) -> None:
    """Registers the candidate, checks what was registered, and moves the alias `champion` last.

    Args:
        candidate: The judged model and its rank lists.
        verdict: Folder of `verdict.json`.
        interactions: The data set.
        line: Name of the line.
        production: What was in production when the night began: its version, and the move of the ledger that made it
            that.
        config: Section `promote`.
    """
    from pathlib import Path

    from components.promote import work
    from components.promote.config import Promote
    from components.sections import parse
    from components.step import running
    from tracking.promotion import Before

    with running("promote") as step:
        section = parse(Promote, config, "promote")
        folders = Path(candidate.path), Path(verdict.path), Path(interactions.path)
        work.promote(step.run, line, *folders, section, Before.of_parameter(production))


@step
def reject(
    candidate: dsl.Input[dsl.Model],
    verdict: dsl.Input[dsl.Artifact],
    interactions: dsl.Input[dsl.Dataset],
    line: str,
    config: dict,
) -> None:
    """Leaves the champion where it is; registers the candidate as `challenger` where the config asks for that.

    Args:
        candidate: The judged model and its rank lists.
        verdict: Folder of `verdict.json`.
        interactions: The data set.
        line: Name of the line.
        config: Section `promote`.
    """
    from pathlib import Path

    from components.promote import work
    from components.promote.config import Promote
    from components.sections import parse
    from components.step import running

    with running("reject") as step:
        section = parse(Promote, config, "promote")
        work.reject(step.run, line, Path(candidate.path), Path(verdict.path), Path(interactions.path), section)
