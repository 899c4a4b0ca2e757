"""The pipeline, as its picture:

    preflight -> ingest -> champion, perturb -> for every shard: pretrain -> finetune -> gate -> if pass: promote, else: reject
    notify at the end, always.

A shard holds variants that are trained together: a clean one and some probes. The first shard's clean variant is the candidate.
"""

from collections.abc import Callable
from typing import Any

from kfp import dsl

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
from pipeline.config import Config
from pipeline.policy import Placement, stepper

PARALLEL_SHARDS = 8


def build(config: Config, image: str, retries: bool) -> Callable[..., Any]:
    """The pipeline with the config's values as its parameters' defaults.

    A local run has no `retries`: they would hide errors behind waits.
    """
    default = parameters(config)

    @dsl.pipeline(name="finest", display_name="FINEST", description="Retrain, measure stability, promote only if it holds.")
    def finest(
        source: str = config.source, seed: int = config.seed, checkpoints: str = "",
        preflight: dict = default["preflight"], ingest: dict = default["ingest"], perturb: dict = default["perturb"],
        pretrain: dict = default["pretrain"], finetune: dict = default["finetune"], gate: dict = default["gate"],
        promote: dict = default["promote"], notify: dict = default["notify"],
        accelerator: str = "nvidia.com/gpu", accelerators: str = "1", memory: str = "16Gi",
        tolerations: list = [], node_selector: dict = {},  # noqa: B006
    ):  # fmt: skip
        step = stepper(image, Placement(accelerator, accelerators, memory, tolerations, node_selector), retries)
        with dsl.ExitHandler(step(notify_step, config=notify, promote=promote, checkpoints=checkpoints), name="retrain"):
            checked = step(
                preflight_step, source=source, seed=seed, checkpoints=checkpoints, config=preflight, ingest=ingest, perturb=perturb,
                pretrain=pretrain, finetune=finetune, gate=gate, promote=promote, notify=notify,
            )  # fmt: skip
            data = step(
                ingest_step, source=source, listing=checked.outputs["listing"], items_needed=checked.outputs["items_needed"], config=ingest
            ).outputs["interactions"]
            champion = step(champion_step, version=checked.outputs["champion"], interactions=data, config=promote)
            edits = step(perturb_step, interactions=data, seed=seed, config=perturb)

            with dsl.ParallelFor(edits.outputs["Output"], name="shards", parallelism=PARALLEL_SHARDS) as shard:
                shared = {"interactions": data, "edits": edits.outputs["edits"], "shard": shard, "checkpoints": checkpoints}
                bases = step(pretrain_step, config=pretrain, **shared).outputs["bases"]
                tuned = step(
                    finetune_step, pretrain=pretrain, config=finetune, bases=bases, champion=champion.outputs["model"], **shared
                ).outputs["tuned"]

            verdict = step(
                gate_step, source=source, interactions=data, edits=edits.outputs["edits"], variants=dsl.Collected(tuned),
                baselines=champion.outputs["lists"], champion=checked.outputs["champion"], seed=seed, config=gate,
            )  # fmt: skip
            judged = {name: verdict.outputs[name] for name in ("candidate", "verdict")} | {"interactions": data, "config": promote}
            with dsl.If(verdict.outputs["Output"] == "pass", name="passed"):
                step(promote_step, **judged)
            with dsl.Else(name="failed"):
                step(reject_step, **judged)

    return finest
