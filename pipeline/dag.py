"""Puts the steps together to the pipeline.

    preflight -> ingest -> champion -> if there is something new:
                                           perturb, calibrate -> for every group: pretrain -> finetune
                                           gate -> if pass: promote (-> recommend), else: reject
                                       else: skip
    notify at the end, always.

A group holds variants that are trained together: a clean one and some probes. The first group's clean variant is the
candidate.

On a cluster every task has a driver pod of some ten seconds, and so has everything that tasks are nested in. So a
config with one group compiles without the loop, one without `recommend.out` without that step, and a choice is two
conditions, since an Else puts both into one more group.
"""

from collections.abc import Callable
from typing import Any

from kfp import dsl
from kfp.dsl.pipeline_channel import PipelineArtifactChannel

from components.calibrate.component import calibrate as calibrate_step
from components.champion.component import champion as champion_step
from components.config import Sections
from components.finetune.component import finetune as finetune_step
from components.gate.component import gate as gate_step
from components.ingest.component import ingest as ingest_step
from components.notify.component import notify as notify_step
from components.perturb.component import perturb as perturb_step
from components.preflight.component import preflight as preflight_step
from components.pretrain.component import pretrain as pretrain_step
from components.promote.component import promote as promote_step
from components.promote.component import reject as reject_step
from components.recommend.component import recommend as recommend_step
from components.skip.component import skip as skip_step
from pipeline.config import Config
from pipeline.inputs import pipeline_function
from pipeline.policy import Cluster, pipeline_config, stepper

NAME = "finest"
"""Name of the pipeline at a KFP backend."""
PARALLEL_GROUPS = 8
"""Number of groups that are trained at the same time, at most."""
ONLY_GROUP = "0"
"""Id of the first group, where there is no other."""


def build(config: Config, image: str, cluster: Cluster | None = None) -> Callable[..., Any]:
    """Returns the pipeline, with the config's values as its parameters' defaults.

    Args:
        config: The config of a run.
        image: Image of all steps.
        cluster: The cluster that it is for. Without one it is for a local run, which has no retries: they would hide
            errors behind waits.
    """
    fans_out, serves = config.perturb.groups > 1, bool(config.recommend.out)
    scheduled = dsl.PIPELINE_JOB_SCHEDULE_TIME_UTC_PLACEHOLDER if cluster else ""  # kfp.local does not know it

    def tasks(given: Any) -> None:
        step = stepper(image, given, config.steps, cluster)
        with dsl.ExitHandler(step(notify_step, config=given.notify, **of_line(given)), name="retrain"):
            checked, data = opening(step, given, scheduled, fans_out, serves)
            line, checkpoints = checked.outputs["line"], checked.outputs["checkpoints"]
            champion = step(
                champion_step,
                line=line,
                version=checked.outputs["champion"],
                seen=checked.outputs["seen"],
                interactions=data,
                config=given.promote,
                ingest=checked.outputs["ingest"],
                checkpoints=checkpoints,
            )

            def trained(group: Any) -> Any:
                shared = {
                    "interactions": data,
                    "edits": edits.outputs["edits"],
                    "group": group,
                    "checkpoints": checkpoints,
                    "profile": given.profile,
                }
                bases = step(pretrain_step, config=given.pretrain, recipe=recipe.outputs["recipe"], **shared).outputs[
                    "bases"
                ]
                tuned = step(
                    finetune_step,
                    pretrain=given.pretrain,
                    config=given.finetune,
                    bases=bases,
                    champion=champion.outputs["model"],
                    **shared,
                )
                return tuned.outputs["tuned"]

            new = champion.outputs["Output"]
            # A loop and what collects its outputs must stand in one condition.
            with dsl.If(new == "retrain", name="something-new"):
                edits = step(
                    perturb_step,
                    interactions=data,
                    seed=given.seed,
                    config=checked.outputs["perturb"],
                    checkpoints=checkpoints,
                )
                recipe = step(
                    calibrate_step,
                    interactions=data,
                    champion=champion.outputs["model"],
                    seed=given.seed,
                    config=given.pretrain,
                    checkpoints=checkpoints,
                ).after(edits)  # a node that holds each need not hold both
                if fans_out:
                    with dsl.ParallelFor(edits.outputs["Output"], name="groups", parallelism=PARALLEL_GROUPS) as group:
                        tuned = trained(group)
                    variants = dsl.Collected(tuned)
                else:
                    variants = alone(trained(ONLY_GROUP))
                verdict = step(
                    gate_step,
                    source=given.source,
                    as_of=checked.outputs["as_of"],
                    interactions=data,
                    edits=edits.outputs["edits"],
                    variants=variants,
                    baselines=champion.outputs["lists"],
                    champion=checked.outputs["champion"],
                    config=given.gate,
                    checkpoints=checkpoints,
                )
                judged = {name: verdict.outputs[name] for name in ("candidate", "verdict")} | {
                    "interactions": data,
                    "line": line,
                    "config": given.promote,
                }
                with dsl.If(verdict.outputs["Output"] == "pass", name="passed"):
                    promoted = step(promote_step, production=checked.outputs["production"], **judged)
                    if serves:
                        step(
                            recommend_step,
                            interactions=data,
                            line=line,
                            config=given.recommend,
                            promote=given.promote,
                            checkpoints=checkpoints,
                        ).after(promoted)
                with dsl.If(verdict.outputs["Output"] != "pass", name="failed"):
                    step(reject_step, **judged)
            with dsl.If(new != "retrain", name="nothing-new"):
                step(
                    skip_step,
                    source=given.source,
                    as_of=checked.outputs["as_of"],
                    interactions=data,
                    baselines=champion.outputs["lists"],
                    champion=checked.outputs["champion"],
                )

    pipeline: Callable[..., Any] = dsl.pipeline(
        name=NAME,
        display_name="FINEST",
        description="Retrain, measure stability, promote only if it holds.",
        pipeline_config=pipeline_config(cluster),
    )(pipeline_function(tasks, config))
    return pipeline


def opening(step: Callable[..., Any], given: Any, scheduled: str, fans_out: bool, serves: bool) -> tuple[Any, Any]:
    """Adds the steps that every pipeline begins with, and returns preflight's task and the data set that ingest writes.

    Args:
        step: Adds a step.
        given: The pipeline's parameters.
        scheduled: When the run was made, as a backend puts it; '' where none does.
        fans_out: Whether the pipeline trains any number of groups, or one.
        serves: Whether the pipeline has the step `recommend`.
    """
    checked = step(
        preflight_step,
        source=given.source,
        as_of=given.as_of,
        scheduled=scheduled,
        seed=given.seed,
        checkpoints=given.checkpoints,
        packages=given.packages,
        fans_out=fans_out,
        name=given.name,
        rebase=given.rebase,
        serves=serves,
        **sections_of(given),
    )
    ingested = step(
        ingest_step,
        source=given.source,
        listing=checked.outputs["listing"],
        items_needed=checked.outputs["items_needed"],
        config=checked.outputs["ingest"],
        checkpoints=checked.outputs["checkpoints"],
    )
    return checked, ingested.outputs["interactions"]


def of_line(given: Any) -> dict[str, Any]:
    """Returns the pipeline's parameters that say which line it is: an exit handler gets no step's outputs."""
    return {"name": given.name, "source": given.source, "checkpoints": given.checkpoints}


def sections_of(given: Any) -> dict[str, Any]:
    """Returns the sections of all steps among a pipeline's parameters, by name."""
    return {name: getattr(given, name) for name in Sections.model_fields}


def alone(output: PipelineArtifactChannel) -> PipelineArtifactChannel:
    """Returns the output as the one element of a list, as a backend and kfp.local hand it to an input of a list."""
    return PipelineArtifactChannel(output.name, output.channel_type, output.task_name, is_artifact_list=True)
