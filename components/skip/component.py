"""Step `skip` as a component of the pipeline."""

from kfp import dsl

from components.image import step


@step
def skip(
    source: str,
    as_of: str,
    interactions: dsl.Input[dsl.Dataset],
    baselines: dsl.Input[dsl.Dataset],
    champion: str,
    verdict: dsl.Output[dsl.Artifact],
    report: dsl.Output[dsl.HTML],
) -> None:
    """Ends a run in which there is nothing to train on with the verdict `skipped`.

    Args:
        source: Where the interactions came from.
        as_of: The moment that the run stands for.
        interactions: The data set.
        baselines: Why the run is skipped, where rank lists would be.
        champion: The version in production; '' where there is none.
        verdict: Folder of `verdict.json`.
        report: The verdict for people.
    """
    import shutil
    from pathlib import Path

    from components.skip.work import write
    from components.step import running
    from finest.data.dataset import load
    from tracking.records import log_dataset, log_verdict

    with running("skip") as step:
        manifest, out = load(Path(interactions.path)).manifest, Path(verdict.path)
        found = write(manifest, Path(baselines.path), champion, as_of, out)
        shutil.copyfile(out / "report.html", report.path)
        log_dataset(step.run, manifest, source)
        log_verdict(step.run, found, {"verdict.json": out / "verdict.json", "report.html": out / "report.html"}, {})
