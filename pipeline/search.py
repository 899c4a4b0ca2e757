"""Puts the steps of a search together to a pipeline: `finest tune` here, `finest compile --pipeline search` elsewhere.

    preflight -> ingest -> tune
    notify at the end, always.

At a KFP backend it is a version of the same pipeline as a night's.
"""

from collections.abc import Callable
from typing import Any

from kfp import dsl

from components.notify.component import notify as notify_step
from components.tune.component import tune as tune_step
from pipeline.config import Config
from pipeline.dag import NAME, of_line, opening, sections_of
from pipeline.inputs import pipeline_function
from pipeline.policy import Cluster, pipeline_config, stepper


def build(config: Config, image: str, cluster: Cluster | None = None) -> Callable[..., Any]:
    """Returns the pipeline, with the config's values as its parameters' defaults.

    Args:
        config: The config of a run.
        image: Image of all steps.
        cluster: The cluster that it is for; None for a local run.
    """

    def tasks(given: Any) -> None:
        step = stepper(image, given, config.steps, cluster)
        with dsl.ExitHandler(step(notify_step, config=given.notify, **of_line(given)), name="search"):
            # A search has no groups and promotes nothing: it is nothing to it what a night's pipeline can do.
            checked, data = opening(step, given, scheduled="", fans_out=True, serves=True)
            step(
                tune_step,
                interactions=data,
                source=given.source,
                seed=given.seed,
                config=given.tune,
                checkpoints=checked.outputs["checkpoints"],
                **sections_of(given),
            )

    pipeline: Callable[..., Any] = dsl.pipeline(
        name=NAME,
        display_name="FINEST search",
        description="Search for a more accurate or more stable config, on validation rows alone.",
        pipeline_config=pipeline_config(cluster),
    )(pipeline_function(tasks, config, searches=True))
    return pipeline
