"""Step `notify` as a component of the pipeline."""

from kfp import dsl

from components.image import step


@step
def notify(config: dict, promote: dict, checkpoints: str, status: dsl.PipelineTaskFinalStatus) -> None:
    """Ends the run in MLflow, tells a webhook, removes checkpoints that have served. Never fails the run.

    Args:
        config: Section `notify`.
        promote: Section `promote`, for the registered model's name.
        checkpoints: Folder or URI of the checkpoints.
        status: KFP's word for what became of the run.
    """
    from components.notify.config import Notify
    from components.notify.work import finish
    from components.promote.config import Promote
    from components.sections import parse
    from components.step import watched

    with watched("notify"):
        finish(
            parse(Notify, config, "notify"),
            parse(Promote, promote, "promote").registered_model,
            checkpoints,
            status.state,
        )
