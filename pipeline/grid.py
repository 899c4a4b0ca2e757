"""Puts the steps of an experiment together to a pipeline: a cell a pod.

    preflight -> ingest -> grid -> for every cell: cell
                                   tabulate
    notify at the end, always.

`finest experiment` itself does the same work without KFP. At a backend it is a version of the same pipeline as a
night's.
"""

from collections.abc import Callable
from typing import Any

from kfp import dsl

from components.cell.component import cell as cell_step
from components.grid.component import grid as grid_step
from components.notify.component import notify as notify_step
from components.tabulate.component import tabulate as tabulate_step
from pipeline.config import Config
from pipeline.dag import NAME, PARALLEL_GROUPS, of_line, opening
from pipeline.inputs import pipeline_function
from pipeline.policy import Cluster, pipeline_config, stepper


def build(config: Config, image: str, experiment: str, seeds: int, only: str, cluster: Cluster) -> Callable[..., Any]:
    """Returns the pipeline, with the config's values as its parameters' defaults.

    Args:
        config: The config of a run.
        image: Image of all steps.
        experiment: Name of the experiment.
        seeds: Number of seeds.
        only: Text that the name of a cell must have; empty for all cells.
        cluster: The cluster that it is for.
    """

    def tasks(given: Any) -> None:
        step = stepper(image, given, config.steps, cluster)
        sections = {name: getattr(given, name) for name in ("pretrain", "finetune", "perturb", "gate", "seed")}
        with dsl.ExitHandler(step(notify_step, config=given.notify, **of_line(given)), name="experiment"):
            # An experiment has no groups and promotes nothing: it is nothing to it what a night's pipeline can do.
            _, data = opening(step, given, scheduled="", fans_out=True, serves=True)
            laid_out = step(grid_step, interactions=data, experiment=experiment, seeds=seeds, only=only, **sections)
            with dsl.ParallelFor(laid_out.outputs["Output"], name="cells", parallelism=PARALLEL_GROUPS) as cell:
                measured = step(
                    cell_step, interactions=data, cell=cell, seeds=seeds, checkpoints=given.checkpoints, **sections
                )
            step(
                tabulate_step,
                experiment=experiment,
                keys=dsl.Collected(measured.outputs["Output"]),
                source=given.source,
                checkpoints=given.checkpoints,  # into a loop go parameters alone
            )

    pipeline: Callable[..., Any] = dsl.pipeline(
        name=NAME,
        display_name=f"FINEST experiment {experiment}",
        description="Measure the cells of an experiment, and put them together to a table.",
        pipeline_config=pipeline_config(cluster),
    )(pipeline_function(tasks, config))
    return pipeline
