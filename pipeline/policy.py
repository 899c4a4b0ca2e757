"""What every step gets besides its inputs: a title, a time limit, retries, caching and a place to run."""

from collections.abc import Callable
from typing import Any, NamedTuple

from kfp import kubernetes
from kfp.dsl import PipelineTask


class Policy(NamedTuple):
    """A row of POLICIES."""

    title: str
    minutes: int
    retries: int = 0
    cached: bool = False
    gpu: bool = False


POLICIES = {
    "preflight": Policy("Check before spending", 10),
    "ingest": Policy("Read, clean, split", 120, retries=2, cached=True),
    "champion": Policy("Score what must be beaten", 120, retries=2, cached=True, gpu=True),
    "perturb": Policy("Plan perturbations", 60, retries=2, cached=True),
    "pretrain": Policy("Train", 720, retries=3, cached=True, gpu=True),
    "finetune": Policy("Fine-tune (FINEST)", 720, retries=3, cached=True, gpu=True),
    "gate": Policy("Judge stability", 120, retries=2),
    "promote": Policy("Promote", 20, retries=2),
    "reject": Policy("Reject", 10),
    "notify": Policy("Notify", 10, retries=2),
}
"""A row a component, in the order in which they run."""


class Placement(NamedTuple):
    """Where steps with a GPU run: pipeline parameters, strings but for the last two, since the backend reads an int here as empty."""

    accelerator: str
    accelerators: str
    memory: str
    tolerations: list
    node_selector: dict


def stepper(image: str, placement: Placement, retries: bool) -> Callable[..., PipelineTask]:
    """The function that the DAG makes its tasks with."""

    def step(component: Any, **inputs: Any) -> PipelineTask:
        policy, task = POLICIES[component.name], component(**inputs)
        task.set_display_name(policy.title).set_caching_options(policy.cached).set_container_image(image)
        kubernetes.set_timeout(task, policy.minutes * 60)
        kubernetes.use_field_path_as_env(task, "KFP_RUN_ID", "metadata.labels['pipeline/runid']")
        if retries and policy.retries:
            # The window counts from the first attempt's start, and its default of an hour never retries a step that is longer.
            window = (policy.minutes * 60 + 600) * (policy.retries + 1)
            task.set_retry(policy.retries, backoff_duration="60s", backoff_factor=2, backoff_max_duration=f"{window}s")
        if policy.gpu:
            task.set_accelerator_type(placement.accelerator).set_accelerator_limit(placement.accelerators).set_memory_limit(placement.memory)
            # kfp 2.17 forgets these three where the task is in a group (ExitHandler, ParallelFor).
            task.register_pipeline_channels([placement.accelerator, placement.accelerators, placement.memory])
            kubernetes.add_toleration_json(task, placement.tolerations)
            kubernetes.add_node_selector_json(task, placement.node_selector)
        return task

    return step
