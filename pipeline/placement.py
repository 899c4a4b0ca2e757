"""Config of where steps run on a cluster, and what they may use; every key is a parameter of the pipeline."""

from typing import Annotated, Any

from pydantic import Field, field_validator

from finest.section import Section, Written

Cpu = Annotated[str, Written(r"^[0-9]+(\.[0-9]+)?m?$", "CPUs as Kubernetes writes them, like 3 or 500m")]
"""CPUs as Kubernetes writes them, like `3` or `500m`."""
Memory = Annotated[
    str, Written(r"^[0-9]+(E|Ei|P|Pi|T|Ti|G|Gi|M|Mi|K|Ki)?$", "bytes as Kubernetes writes them, like 600Mi or 10Gi")
]
"""Bytes as Kubernetes writes them, like `10Gi`."""


class Placement(Section):
    """Says where steps run on a cluster and what they may use. What a step asks for is also its limit.

    Quantities are text, as Kubernetes writes them, since a KFP backend reads a number here as empty. The defaults fit a
    node of 4 cores and 16 GB as clouds offer it, where the system and DaemonSets have taken their part: 3.3 CPUs and 11
    GiB or more are left on GKE's e2-standard-4, AKS' D4s and EKS' m5.xlarge.
    """

    accelerator: str = "nvidia.com/gpu"
    """Resource name of the GPUs of training steps; empty for none."""
    accelerators: Annotated[str, Written(r"^[0-9]+$", "a whole number, like 1")] = "1"
    """Number of GPUs of a training step: one group trains on one."""
    cpu: Cpu = "3"
    """CPUs of a training step."""
    memory: Memory = "10Gi"
    """Memory of a training step, /dev/shm included; docs/sizing.md says from how many interactions on it takes
    more."""
    tolerations: list[dict[str, Any]] = Field(default=[])
    """Tolerations of training steps, as in a pod's `tolerations`."""
    node_selector: dict[str, str] = Field(default={})
    """Node labels that training steps need, as in a pod's `nodeSelector`."""
    data_cpu: Cpu = "3"
    """CPUs of a step that works on the whole data, ingest, perturb, gate, or serves: promote."""
    data_memory: Memory = "8Gi"
    """Memory of such a step: ingest of 60 million interactions took 2.3 GiB."""
    small_cpu: Cpu = "500m"
    """CPUs of every other step."""
    small_memory: Memory = "2Gi"
    """Memory of every other step; reject loads the model."""
    other_tolerations: list[dict[str, Any]] = Field(default=[])
    """Tolerations of all steps but training."""
    other_node_selector: dict[str, str] = Field(default={})
    """Node labels that all steps but training need."""

    @field_validator("accelerators", "cpu", "data_cpu", "small_cpu", mode="before")
    @classmethod
    def _as_text(cls, value: Any) -> Any:
        """Takes a number too: YAML reads `cpu: 4` as one."""
        return f"{value:g}" if isinstance(value, (int, float)) and not isinstance(value, bool) else value
