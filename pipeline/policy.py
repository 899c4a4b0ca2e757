"""Gives steps what they have besides inputs: a title, a time limit, retries, caching, resources, a place to run."""

import inspect
from collections.abc import Callable
from typing import Annotated, Any, Literal, NamedTuple

from kfp import dsl, kubernetes
from kfp.dsl import PipelineTask
from pydantic import Field

from components.config import Steps
from finest.models.signature import PRIVATE, PUBLIC
from finest.section import Section, Written


class Policy(NamedTuple):
    """Holds a row of POLICIES."""

    title: str
    """The step's name for people."""
    minutes: int
    """Longest time that an attempt may take, without what it waits for services that are away."""
    size: Literal["small", "data", "training"] = "small"
    """Which of the placement's resources it gets."""
    retries: int = 2
    """Number of attempts after the first. A bad config or bad data fails once all the same: components.failures keeps
    an attempt from repeating what cannot end differently."""
    cached: bool = False
    """Whether a backend may take its outputs from an earlier run with the same inputs."""


POLICIES = {
    "preflight": Policy("Check before spending", 10),
    "ingest": Policy("Read, clean, split", 120, "data", cached=True),
    "champion": Policy("Score what must be beaten", 120, "training", cached=True),
    "perturb": Policy("Plan perturbations", 60, "data", cached=True),
    "calibrate": Policy("Calibrate on a validation cut", 720, "training", retries=3, cached=True),
    "pretrain": Policy("Train", 720, "training", retries=3, cached=True),
    "finetune": Policy("Fine-tune (FINEST)", 720, "training", retries=3, cached=True),
    "gate": Policy("Judge stability", 120, "data"),
    "promote": Policy("Promote", 30, "data"),
    "recommend": Policy("Recommend to all users", 720, "data"),
    "reject": Policy("Reject", 20),
    "skip": Policy("Skip", 10),
    "tune": Policy("Search for a better config", 1440, "training", retries=3),
    "grid": Policy("Lay out the experiment", 20, "data"),
    "cell": Policy("Measure a cell", 1440, "training", retries=3),
    "tabulate": Policy("Put the table together", 20, "data"),
    "notify": Policy("Notify", 10),
}
"""A row for every component, in the order in which they run."""
SEARCH = ("tune",)
"""Steps that only the pipeline of `finest tune` has."""
EXPERIMENT = ("grid", "cell", "tabulate")
"""Steps that only the pipeline of `finest experiment` has."""
WHERE_ASKED = ("recommend",)
"""Steps that a night's pipeline has where the config that it is compiled with asks for them."""

PACKAGES = {"preflight": False, "champion": False, "promote": True, "reject": True}
"""Steps that take packages of models from the store, and whether they sign some."""

ABSENCES = 2
"""Number of times that an attempt has time to wait for a service to the limit, besides its work."""
BACKOFF_SECONDS = 60
"""Time before the second attempt; doubles with each."""


QUEUE = "a queue's name: lower-case letters, digits and '-', with a letter or a digit at both ends"


class Cluster(Section):
    """Holds what the compiled pipeline takes for granted on a cluster.

    A KFP backend takes most of it from the compiled file alone.
    """

    queue: Annotated[str, Written(r"^([a-z0-9]([-a-z0-9]*[a-z0-9])?)?$", QUEUE)] = Field(default="", max_length=63)
    """Kueue's local queue that admits the steps; empty where there is no Kueue."""
    endpoints: str = Field(default="finest-endpoints", min_length=1)
    """ConfigMap of addresses: MLFLOW_TRACKING_URI, and those of ADDRESSES that are needed."""
    mlflow_secret: str = Field(default="finest-mlflow", min_length=1)
    """Secret with `username` and `password` for MLflow; may be missing where the server asks for none."""
    s3_secret: str = Field(default="finest-s3", min_length=1)
    """Secret with AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY; missing where the service account's role gives access
    (IRSA)."""
    azure_secret: str = Field(default="finest-azure", min_length=1)
    """Secret with AZURE_STORAGE_KEY or AZURE_STORAGE_SAS_TOKEN; missing where workload identity gives access, or where
    nothing lies on abfs://."""
    signing_secret: str = Field(default="finest-signing", min_length=1)
    """Secret with FINEST_SIGNING_KEY and FINEST_VERIFYING_KEY in PEM, by which packages are signed and checked; may
    be missing."""
    webhook_secret: str = Field(default="finest-webhook", min_length=1)
    """Secret whose `url` is told of every verdict; may be missing."""
    user: int = Field(default=10001, ge=1)
    """User and group that steps run as; the image's own."""
    shared_memory: Annotated[str, Written(r"^[0-9]+[KMG]i$", "a whole number of Ki, Mi or Gi, like 2Gi")] = "2Gi"
    """Size of /dev/shm of training steps, part of their memory."""
    deadline_hours: int = Field(default=36, ge=1)
    """Longest time that a run may take, in hours, so that one that hangs cannot keep the next nights from starting."""
    keep_days: int = Field(default=7, ge=0)
    """Time that the workflow and its pods stay after a run, in days; KFP's and MLflow's records stay longer."""


ADDRESSES = (
    "AWS_ENDPOINT_URL",
    "AWS_DEFAULT_REGION",
    "AWS_REQUEST_CHECKSUM_CALCULATION",
    "AZURE_STORAGE_ACCOUNT",
    "KFP_HOST",
    "FINEST_MLFLOW_URL",
)
"""Optional keys of the ConfigMap of addresses, each also the environment variable's name."""
STEP_LABEL = "app.kubernetes.io/name", "finest-step"
"""Label of the pods of all steps, and its value."""
AZURE_LABEL = "azure.workload.identity/use", "true"
"""Label without which Azure's workload identity gives a pod nothing; means nothing elsewhere."""
QUEUE_LABEL = "kueue.x-k8s.io/queue-name"
"""Label with the name of Kueue's local queue."""


def pipeline_config(cluster: Cluster | None) -> dsl.PipelineConfig | None:
    """Returns how long a run may take, and how long its pods are kept; None for a local run."""
    if cluster is None:
        return None
    return dsl.PipelineConfig(
        ttl_seconds_after_finished=cluster.keep_days * 86400, active_deadline_seconds=cluster.deadline_hours * 3600
    )


def stepper(image: str, placement: Any, steps: Steps, cluster: Cluster | None) -> Callable[..., PipelineTask]:
    """Returns the function that the DAG makes its tasks with.

    Args:
        image: Image of the steps.
        placement: Has the pipeline's parameters of placement as attributes; Placement says what they mean.
        steps: What all steps get in their environment.
        cluster: The cluster. Without one, for a local run, a task gets its title and image alone: its environment is
            that of the run.
    """

    def step(component: Any, **inputs: Any) -> PipelineTask:
        policy, task = POLICIES[component.name], component(**inputs)
        task.set_display_name(policy.title).set_container_image(image).set_caching_options(
            policy.cached and digest(image) != ""
        )
        if cluster is not None:
            _limit(task, policy, steps)
            _place(task, policy, placement, cluster)
            _configure(task, image, steps, cluster)
            for secret, variables in _secrets(component.name, cluster).items():
                kubernetes.use_secret_as_env(task, secret, variables, optional=True)
        return task

    return step


def digest(image: str) -> str:
    """Returns the image's digest; empty where it goes by a tag.

    A tag may name another image tomorrow, so nothing is cached then.

    >>> digest("registry/finest@sha256:0123"), digest("finest:0.1.0")
    ('sha256:0123', '')
    """
    return image.partition("@")[2]


def _limit(task: PipelineTask, policy: Policy, steps: Steps) -> None:
    longest = round(60 * (policy.minutes + ABSENCES * steps.patience_minutes))
    kubernetes.set_timeout(task, longest)
    # The window counts from the first attempt's start, and its default of an hour never retries a step that is longer.
    window = (longest + 600) * (policy.retries + 1)
    backoff = {"backoff_duration": f"{BACKOFF_SECONDS}s", "backoff_factor": 2, "backoff_max_duration": f"{window}s"}
    task.set_retry(policy.retries, **backoff, **retry_policy(task.set_retry))


def retry_policy(set_retry: Callable[..., Any]) -> dict[str, str]:
    """Returns the policy by which failed containers and lost pods are retried, as keyword arguments.

    A kfp that has no such argument leaves it to Argo's defaults (pipeline/cluster/retries.yaml).
    """
    return {"policy": "Always"} if "policy" in inspect.signature(set_retry).parameters else {}


def _place(task: PipelineTask, policy: Policy, placement: Any, cluster: Cluster) -> None:
    training = policy.size == "training"
    cpu, memory = {
        "training": (placement.cpu, placement.memory),
        "data": (placement.data_cpu, placement.data_memory),
        "small": (placement.small_cpu, placement.small_memory),
    }[policy.size]
    task.set_cpu_request(cpu).set_cpu_limit(cpu).set_memory_request(memory).set_memory_limit(memory)
    used = [cpu, memory]
    if training:
        task.set_accelerator_type(placement.accelerator).set_accelerator_limit(placement.accelerators)
        used += [placement.accelerator, placement.accelerators]
        kubernetes.empty_dir_mount(task, "shared-memory", "/dev/shm", medium="Memory", size_limit=cluster.shared_memory)
    # kfp 2.17 forgets the parameters of resources where the task is in a group (ExitHandler, ParallelFor).
    task.register_pipeline_channels(used)
    kubernetes.add_toleration_json(task, placement.tolerations if training else placement.other_tolerations)
    kubernetes.add_node_selector_json(task, placement.node_selector if training else placement.other_node_selector)
    kubernetes.add_pod_label(task, *STEP_LABEL)
    kubernetes.add_pod_label(task, *AZURE_LABEL)
    if cluster.queue:
        kubernetes.add_pod_label(task, QUEUE_LABEL, cluster.queue)
    kubernetes.set_security_context(task, run_as_user=cluster.user, run_as_group=cluster.user, run_as_non_root=True)


def _configure(task: PipelineTask, image: str, steps: Steps, cluster: Cluster) -> None:
    for name, value in {"HOME": "/tmp", **steps.environment()}.items():
        task.set_env_variable(name, value)
    if known := digest(image):
        task.set_env_variable("IMAGE_DIGEST", known)
    kubernetes.use_field_path_as_env(task, "KFP_RUN_ID", "metadata.labels['pipeline/runid']")
    kubernetes.use_config_map_as_env(task, cluster.endpoints, {"MLFLOW_TRACKING_URI": "MLFLOW_TRACKING_URI"})
    kubernetes.use_config_map_as_env(task, cluster.endpoints, {name: name for name in ADDRESSES}, optional=True)


def _secrets(component: str, cluster: Cluster) -> dict[str, dict[str, str]]:
    """Returns variables of a step by Secret and key.

    Every step reaches MLflow and the checkpoints, where errors that are final are remembered; the webhook is notify's
    alone, and keys that sign or verify packages are for the steps that do so.
    """
    secrets = {
        cluster.mlflow_secret: {"username": "MLFLOW_TRACKING_USERNAME", "password": "MLFLOW_TRACKING_PASSWORD"},
        cluster.s3_secret: {name: name for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")},
        cluster.azure_secret: {name: name for name in ("AZURE_STORAGE_KEY", "AZURE_STORAGE_SAS_TOKEN")},
    }
    if component == "notify":
        secrets[cluster.webhook_secret] = {"url": "FINEST_WEBHOOK"}
    if component in PACKAGES:
        keys = [PRIVATE, PUBLIC] if PACKAGES[component] else [PUBLIC]
        secrets[cluster.signing_secret] = {name: name for name in keys}
    return secrets
