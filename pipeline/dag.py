"""The pipeline, as its picture:

    preflight -> ingest -> champion -> if there is something new:
                                           perturb -> for every group: pretrain -> finetune -> gate -> if pass: promote, else: reject
                                       else: skip
    notify at the end, always.

A group holds variants that are trained together: a clean one and some probes. The first group's clean variant is the candidate.

On a cluster every task has a driver pod of some ten seconds, and so has everything that tasks are nested in. So a config with one group
compiles without the loop, and a choice is two conditions, since an Else puts both into one more group.
"""

from collections.abc import Callable
from typing import Any

from kfp import dsl
from kfp.dsl.pipeline_channel import PipelineArtifactChannel

from components.champion.component import champion as champion_step
from components.finetune.component import finetune as finetune_step
from components.gate.component import gate as gate_step
from components.ingest.component import ingest as ingest_step
from components.notify.component import notify as notify_step
from components.perturb.component import perturb as perturb_step
from components.preflight.component import preflight as preflight_step
from components.pretrain.component import pretrain as pretrain_step
from components.promote.component import promote as promote_step
from components.promote.component import reject as reject_step
from components.sections import parameters
from components.skip.component import skip as skip_step
from pipeline.config import Config, as_of_parameter
from pipeline.policy import Channels, Cluster, pipeline_config, stepper

NAME = "finest"
PARALLEL_GROUPS = 8
ONLY_GROUP = "0"
"""Id of the first group, where there is no other."""


def build(config: Config, image: str, cluster: Cluster | None = None) -> Callable[..., Any]:
    """The pipeline with the config's values as its parameters' defaults.

    Without a `cluster` it is for a local run, which has no retries: they would hide errors behind waits.
    """
    default = parameters(config)
    place = default["placement"]
    fans_out = config.perturb.groups > 1
    scheduled = dsl.PIPELINE_JOB_SCHEDULE_TIME_UTC_PLACEHOLDER if cluster else ""  # kfp.local does not know it

    @dsl.pipeline(
        name=NAME,
        display_name="FINEST",
        description="Retrain, measure stability, promote only if it holds.",
        pipeline_config=pipeline_config(cluster),
    )
    def finest(
        source: str = config.source,
        as_of: str = as_of_parameter(config),
        seed: int = config.seed,
        checkpoints: str = config.checkpoints,
        profile: bool = config.profile,
        preflight: dict = default["preflight"],
        ingest: dict = default["ingest"],
        perturb: dict = default["perturb"],
        pretrain: dict = default["pretrain"],
        finetune: dict = default["finetune"],
        gate: dict = default["gate"],
        promote: dict = default["promote"],
        notify: dict = default["notify"],
        accelerator: str = place["accelerator"],
        accelerators: str = place["accelerators"],
        cpu: str = place["cpu"],
        memory: str = place["memory"],
        tolerations: list = place["tolerations"],
        node_selector: dict = place["node_selector"],
        data_cpu: str = place["data_cpu"],
        data_memory: str = place["data_memory"],
        small_cpu: str = place["small_cpu"],
        small_memory: str = place["small_memory"],
        other_tolerations: list = place["other_tolerations"],
        other_node_selector: dict = place["other_node_selector"],
    ):
        placement = Channels(
            accelerator,
            accelerators,
            cpu,
            memory,
            tolerations,
            node_selector,
            data_cpu,
            data_memory,
            small_cpu,
            small_memory,
            other_tolerations,
            other_node_selector,
        )
        step = stepper(image, placement, config.steps, cluster)
        with dsl.ExitHandler(
            step(notify_step, config=notify, promote=promote, checkpoints=checkpoints), name="retrain"
        ):
            checked = step(
                preflight_step,
                source=source,
                as_of=as_of,
                scheduled=scheduled,
                seed=seed,
                checkpoints=checkpoints,
                config=preflight,
                ingest=ingest,
                perturb=perturb,
                pretrain=pretrain,
                finetune=finetune,
                gate=gate,
                promote=promote,
                notify=notify,
                fans_out=fans_out,
            )
            data = step(
                ingest_step,
                source=source,
                listing=checked.outputs["listing"],
                items_needed=checked.outputs["items_needed"],
                config=checked.outputs["ingest"],
                checkpoints=checkpoints,
            ).outputs["interactions"]
            champion = step(
                champion_step,
                version=checked.outputs["champion"],
                seen=checked.outputs["seen"],
                interactions=data,
                config=promote,
            )

            def trained(group: Any) -> Any:
                shared = {
                    "interactions": data,
                    "edits": edits.outputs["edits"],
                    "group": group,
                    "checkpoints": checkpoints,
                }
                shared |= {"profile": profile}
                bases = step(pretrain_step, config=pretrain, **shared).outputs["bases"]
                tuned = step(
                    finetune_step,
                    pretrain=pretrain,
                    config=finetune,
                    bases=bases,
                    champion=champion.outputs["model"],
                    **shared,
                )
                return tuned.outputs["tuned"]

            new = champion.outputs["Output"]
            # A loop and what collects its outputs must stand in one condition.
            with dsl.If(new == "retrain", name="something-new"):
                edits = step(perturb_step, interactions=data, seed=seed, config=perturb, checkpoints=checkpoints)
                if fans_out:
                    with dsl.ParallelFor(edits.outputs["Output"], name="groups", parallelism=PARALLEL_GROUPS) as group:
                        tuned = trained(group)
                    variants = dsl.Collected(tuned)
                else:
                    variants = alone(trained(ONLY_GROUP))
                verdict = step(
                    gate_step,
                    source=source,
                    as_of=checked.outputs["as_of"],
                    interactions=data,
                    edits=edits.outputs["edits"],
                    variants=variants,
                    baselines=champion.outputs["lists"],
                    champion=checked.outputs["champion"],
                    seed=seed,
                    config=gate,
                    checkpoints=checkpoints,
                )
                judged = {name: verdict.outputs[name] for name in ("candidate", "verdict")} | {
                    "interactions": data,
                    "config": promote,
                }
                with dsl.If(verdict.outputs["Output"] == "pass", name="passed"):
                    step(promote_step, **judged)
                with dsl.If(verdict.outputs["Output"] != "pass", name="failed"):
                    step(reject_step, **judged)
            with dsl.If(new != "retrain", name="nothing-new"):
                step(
                    skip_step,
                    source=source,
                    as_of=checked.outputs["as_of"],
                    interactions=data,
                    baselines=champion.outputs["lists"],
                    champion=checked.outputs["champion"],
                )

    return finest


def alone(output: PipelineArtifactChannel) -> PipelineArtifactChannel:
    """The output as the one element of a list, which is what a backend and kfp.local hand to an input that takes a list."""
    return PipelineArtifactChannel(output.name, output.channel_type, output.task_name, is_artifact_list=True)
