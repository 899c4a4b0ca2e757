"""Defines the config of pretraining and of FINEST fine-tuning."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from finest.memory.config import MemoryConfig
from finest.models.config import ModelConfig
from finest.models.registry import MODELS
from finest.registry import Named
from finest.section import Section, SectionOrOff
from finest.training.losses.base import LossConfig
from finest.training.losses.registry import LOSSES
from finest.training.regularisers.base import RegulariserConfig
from finest.training.regularisers.registry import REGULARISERS

EPOCHS = 12
"""Passes over the training targets where a config does not say how long to train."""


class Pretrain(Section):
    """Training from random weights, all variants equally long: one that stopped early would confound stability."""

    model: Annotated[ModelConfig, Named(MODELS, default="sasrec")] = Field(default="sasrec", validate_default=True)
    """The recommender and its size; each has keys of its own."""
    loss: Annotated[LossConfig, Named(LOSSES, default="cross_entropy")] = Field(
        default="cross_entropy", validate_default=True
    )
    """What pretraining minimises, and fine-tuning beside its regulariser: `cross_entropy` over the whole catalogue, or
    against drawn items `sampled_softmax` or `gbce`. A name, or a section with the name and its options."""
    epochs: int | None = Field(default=None, ge=1)
    """Passes over the training targets; unset: 12, where `steps` does not say how long to train."""
    steps: Annotated[int, Field(ge=1)] | Literal["auto"] | None = None
    """Number of optimizer steps, in place of `epochs`. `auto`: the clean variant is trained on a validation cut for as
    long as it improves, and all variants train that long, by the number of windows."""
    patience: int = Field(default=300, ge=1)
    """`steps: auto`: number of steps without a better MRR on the validation cut after which training there ends; where
    the best one took more than three times as many, a third of its own number."""
    max_epochs: int = Field(default=100, ge=1)
    """`steps: auto`: largest number of passes over the training targets."""
    remeasure_nights: int = Field(default=7, ge=1)
    """Age, in days of the data, from which on a champion's number of steps is measured again. On the nights in between
    it is kept, by the number of windows, and a memory's weights are fitted to the champion's scores on training rows
    that the champion has not seen, where these are enough, without a training on a validation cut."""
    batch_size: int = Field(default=32, ge=1)
    """Windows in a batch; where they are bucketed, on average."""
    bucketed: bool | None = None
    """Whether the windows of short histories, in batches of their own, are computed only as far as they are filled.
    Unset: where that saves a quarter of all positions. It decides who shares a batch, and with that the weights. A
    batch then has `batch_size` windows on average: more short ones, fewer long ones."""
    shifted: bool | None = None
    """Whether pretraining's windows begin elsewhere in every epoch, as many targets earlier for all users, so that a
    target is read after histories of many lengths: more accurate where histories are long (docs/choices.md).
    Pretraining then has no buckets, and a user whose rows fit one window has two, of which one is often empty. Unset:
    where users have half a window of training rows on average, and buckets are not asked for."""
    lr: float = Field(default=2e-3, gt=0)
    """Learning rate, constant."""
    weight_decay: float = Field(default=0.5, ge=0)
    """AdamW's decoupled weight decay. Steadies lists on its own, and costs coverage: docs/choices.md."""
    ema_decay: float = Field(default=0.99, ge=0, lt=1)
    """Decay of the exponential average of the weights that is the model: min(ema_decay, (1 + t) / (10 + t)) at step t.
    """
    max_grad_norm: float = Field(default=5.0, gt=0)
    """Largest norm of a gradient, over all weights."""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """`auto`: CUDA where there is a device, else the CPU."""
    amp: bool = True
    """bfloat16 autocast on CUDA. Nothing on the CPU."""
    processes: int | None = Field(default=None, ge=1)
    """CPU: variants trained at a time, each in a process of one thread; as many as cores where unset. With 1, there is
    no further process, and less memory is used."""
    data_parallel: int = Field(default=1, ge=1)
    """GPUs of the pod that share each training, a part of every batch each (on a CPU: processes). For data that keeps
    one busy too long; variants then train one after the other."""
    replicas: Literal["auto", "stacked", "separate"] = "auto"
    """`stacked`: a group's variants train as one, which pays where one alone leaves the device idle; `separate`: each
    alone; `auto`: on a GPU what a trial of a few steps finds faster by a quarter, each alone on a CPU. `group.json`
    and the log say what it found."""

    memory: SectionOrOff[MemoryConfig] = MemoryConfig()
    """What is counted beside the network and served with it: what follows what, who uses what, each user's own history.
    Weights are fitted, and whether the network is worth its noise is decided, on a validation cut."""

    def passes(self, batches: int) -> float:
        """Returns the known length of a training in epochs, which have so many steps each."""
        if self.epochs is not None:
            return self.epochs
        assert isinstance(self.steps, int), "how long to train must be found first"
        return self.steps / batches

    ALTERNATIVES = (frozenset({"epochs", "steps"}),)

    @model_validator(mode="before")
    @classmethod
    def _one_length(cls, values: Any) -> Any:
        if not isinstance(values, Mapping):
            return values
        epochs, steps = values.get("epochs"), values.get("steps")
        if epochs is not None and steps is not None:
            raise ValueError("epochs and steps exclude each other: unset one of the two")
        return {**values, "epochs": EPOCHS} if epochs is None and steps is None else values

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        if self.shifted and self.bucketed:
            raise ValueError("shifted and bucketed exclude each other: unset one of the two")
        return self


class Finetune(Section):
    """FINEST (arXiv 2402.03481): `pretrain.loss` on simulated perturbations, and a regulariser that keeps lists."""

    epochs: int = Field(default=5, ge=1)
    """Passes over the training targets."""
    lr: float = Field(default=1e-3, gt=0)
    """Learning rate at the start; falls to zero along a cosine."""
    regulariser: Annotated[RegulariserConfig, Named(REGULARISERS, default="rank_hinge")] = Field(
        default="rank_hinge",
        validate_default=True,
    )
    """What keeps the reference lists: `rank_hinge`, the paper's, with its `margin`; the same with more weight at the
    top (`weighted_hinge`), a differentiable RBO (`soft_rbo`), the likelihood of the list (`list_mle`) or a divergence
    from its ranks (`kl`), as docs/method.md has them; `none` is the loss and simulation alone, the baseline that FINEST
    must beat. A name, or a section with the name and its options."""
    alpha: float = Field(default=1.0, ge=0)
    """Weight of the regulariser against the loss; independent of the batch size."""
    top_k: int = Field(default=100, ge=2)
    """K: items of a reference list whose order is kept; as many again are kept below them. Paper: 100."""
    simulated_share: float = Field(default=0.01, ge=0, lt=1)
    """Share of the training rows edited anew in every epoch. Paper: 1%."""
    protocol: Literal["anchored", "independent", "both"] = "anchored"
    """Whose reference lists a probe keeps: the clean variant's (or the champion's), or its own base model's. `both`
    trains each."""
    reference: Literal["base", "champion"] = "base"
    """`champion`: reference lists come from the model in production, matched by item id, so that its lists survive;
    base without one."""

    @property
    def list_length(self) -> int:
        """Returns the number of items that a reference list must hold for the regulariser; 0 where it needs none."""
        return REGULARISERS[self.regulariser.name].list_length(self.top_k)
