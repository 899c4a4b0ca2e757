"""Step `tabulate` as a component of the pipeline of an experiment."""

from kfp import dsl

from components.image import step


@step
def tabulate(experiment: str, keys: list[str], source: str, checkpoints: str, table: dsl.Output[dsl.Markdown]) -> None:
    """Puts the cells together to a table, and fails where one is broken.

    Args:
        experiment: Name of the experiment.
        keys: Keys of the cells' records.
        source: Interactions: a URI or the name of a sample.
        checkpoints: Folder or URI of the records.
        table: The page.
    """
    from pathlib import Path

    from components.step import running
    from components.tabulate.work import put_together

    with running("tabulate") as step:
        put_together(experiment, keys, source, checkpoints, step.run.parent, Path(table.path))
