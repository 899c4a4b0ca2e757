"""Step `notify` as a component of the pipeline."""

from kfp import dsl

from components.image import step


@step
def notify(config: dict, name: str, source: str, checkpoints: str, status: dsl.PipelineTaskFinalStatus) -> None:
    """Ends the run in MLflow, tells a webhook, removes checkpoints that have served. Never fails the run.

    Args:
        config: Section `notify`.
        name: The line's name; '' for the source's own.
        source: Interactions: a URI or the name of a sample.
        checkpoints: Folder or URI of all lines' checkpoints.
        status: KFP's word for what became of the run.
    """
    from components import lines
    from components.notify.config import Notify
    from components.notify.work import finish
    from components.sections import parse
    from components.step import watched

    with watched("notify"):
        line = lines.named(name, source)
        finish(parse(Notify, config, "notify"), line, lines.checkpoints(checkpoints, line), status.state)
