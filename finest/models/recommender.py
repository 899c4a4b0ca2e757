"""The contract of a sequential recommender.

A model that reads a window from left to right implements `encode` alone. One that reads both ways, such as BERT4Rec,
says `causal = False` and also implements `task`, what it is trained to predict, and `summary`, how it scores a history.
One that reads when interactions happened, such as TiSASRec, says `timed = True`, and has the times beside the codes.

Shapes in this folder: B windows, T positions, D hidden units, N positions that are scored, I items, S dropout sites,
H heads. A stack of R replicas (`finest.training.replicas`) has R in front of every weight and of every shape but the
sites'.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any, ClassVar, NamedTuple, assert_never

import torch
from torch import Tensor, nn

from finest.errors import FinestError
from finest.keys import key, torch_generator
from finest.models.config import ModelConfig
from finest.models.layers import Start, parameter


class Task(NamedTuple):
    """Holds what a training step reads and predicts, each tensor `[B, T]`."""

    inputs: Tensor
    """Item codes that the model reads, padded behind with 0; codes beyond the catalogue may stand for masks. For a
    timed model `[B, T, 2]`, with the times."""
    targets: Tensor
    """Item code that each position predicts; 0 for none."""
    ids: Tensor
    """Clean row id of the target, by which its reference list is found; -1 for a target that keeps none."""


class Recommender(nn.Module, ABC):
    """Encodes windows of item codes; scores the whole catalogue with the item embedding that it reads, and a bias.

    Windows are padded behind (code 0), and padding reaches nothing that is scored. Modules of torch can be used as they
    are, and everything in the state dict is saved: but dropout comes from the masks that `encode` gets, since torch's
    own would not be the same in two trainings that are to be compared, and nothing may mix a batch's windows.
    """

    Config: ClassVar[type[ModelConfig]]
    """The model's section of the config."""
    sites: int = 0
    """Number of places where dropout acts; `encode` gets a mask for each."""
    layer_copies: int = 14
    """Size of a layer's activations that the backward pass needs, in windows' hidden states, estimated from above: a
    stack is as large as memory allows."""
    stackable: ClassVar[bool] = False
    """Whether replicas with a leading axis on every weight and persistent buffer can compute as one."""
    causal: ClassVar[bool] = True
    """Whether the hidden state of each position depends on the window up to this position alone."""
    timed: ClassVar[bool] = False
    """Whether it reads times. All windows that it gets are then `[B, T, 2]`: item code, and the time of the interaction
    in whole seconds since 1970 (UTC), as int64. A request may know no times: then all of a history's are UNKNOWN
    (`finest.histories`). At padding the time is 0."""
    without_times: ClassVar[str] = ""
    """What a timed model does with a history of unknown times, for people: `takes all gaps to be equal`."""

    def __init__(self, config: Any, items: int):
        """Makes the embedding.

        Args:
            config: Section of the model, a `Config`.
            items: Number of items of the catalogue, I; their codes count from 1.
        """
        super().__init__()
        self.max_length: int = config.max_length
        self.items = items
        self.embedding = parameter("normal", items + 1, config.hidden_size)
        self.bias = parameter("zeros", items + 1)

    def __init_subclass__(cls, **options: Any):
        """Refuses a class that contradicts itself."""
        super().__init_subclass__(**options)
        if cls.scores is not Recommender.scores:
            raise TypeError(f"{cls.__name__} must leave scores as they are: a loss in chunks computes them by itself")
        own_task = cls.task is not Recommender.task
        if not cls.causal and not (own_task and cls.summary is not Recommender.summary):
            raise TypeError(f"{cls.__name__} is not causal: it must define task and summary")
        if cls.stackable and own_task:
            raise TypeError(f"{cls.__name__} has a task of its own: it cannot be stackable")
        if cls.timed and (cls.stackable or not cls.without_times):
            raise TypeError(f"{cls.__name__} is timed: it must say what it does without_times, and cannot be stackable")

    @abstractmethod
    def encode(self, inputs_BT: Tensor, masks_SBTD: Tensor | None) -> Tensor:
        """Returns hidden states `[B, T, D]`.

        Args:
            inputs_BT: Item codes; T is up to `max_length`.
            masks_SBTD: Numbers that activations are multiplied by (see `dropped`); None outside training.
        """

    def codes(self, windows_BT: Tensor) -> Tensor:
        """Returns the item codes `[B, T]` of windows as the model reads them, with times or without."""
        return windows_BT[..., 0] if self.timed else windows_BT

    def scores(self, hidden_ND: Tensor) -> Tensor:
        """Returns scores `[N, I]` of all items; column c - 1 is the item of code c."""
        if self.bias.dim() == 2:
            return torch.baddbmm(self.bias[:, None, 1:], hidden_ND, self.embedding[:, 1:].transpose(1, 2))
        return torch.addmm(self.bias[1:], hidden_ND, self.embedding[1:].t())

    def task(self, window: Task, draw: Callable[[], Tensor]) -> Task:
        """Returns what a training step reads and predicts: the item after each position, if not overridden.

        Args:
            window: `inputs` and, at each position, the item that comes next as its target. A masked model reads
                the targets instead, some of them hidden, and predicts these.
            draw: Returns uniform random numbers `[B, T]` in [0, 1), others in every call. They depend on seed, epoch
                and slot, so that all variants of a seed draw alike.
        """
        return window

    def summary(self, histories_BT: Tensor) -> Tensor:
        """Returns the hidden states `[B, D]` that score the item after each history: its last one, if not overridden.

        Args:
            histories_BT: Item codes, oldest first, padded behind with 0; T is up to `max_length`. An empty history may
                get anything.
        """
        last_B = ((self.codes(histories_BT) > 0).sum(1) - 1).clamp_(min=0)
        return self.encode(histories_BT, None)[torch.arange(len(histories_BT), device=histories_BT.device), last_B]

    def states(self, windows_BT: Tensor) -> Tensor:
        """Returns hidden states `[B, T, D]` of which each scores the item after the window up to its position.

        These give reference lists. A model that is not causal summarises every beginning of a window on its own.
        """
        if self.causal:
            return self.encode(windows_BT, None)
        lengths = range(1, windows_BT.shape[1] + 1)
        place_T = torch.arange(windows_BT.shape[1], device=windows_BT.device).view(-1, *[1] * self.timed)
        return torch.stack([self.summary(windows_BT * (place_T < length)) for length in lengths], 1)

    @torch.no_grad()
    def initialise(self, seed: int, scale: float = 0.02) -> None:
        """Sets every weight from a stream of its own, so that one tensor's shape does not move another's values.

        A parameter that says how it starts (`finest.models.layers.parameter`) starts so. Any other belongs to a module
        with a `reset_parameters`, as torch's modules are, which starts it; inner modules first, as constructors do.

        Args:
            seed: Decides all weights, with their names.
            scale: Standard deviation of parameters that start as normal numbers.

        Raises:
            FinestError: The model has a parameter that nothing starts, or a module that cannot be trained comparably.
        """
        for path, module in reversed(list(self.named_modules())):
            _refuse_uncommon_chance(path, module)
            reset = getattr(module, "reset_parameters", None) or getattr(module, "_reset_parameters", None)
            for leaf, weight in module.named_parameters(recurse=False):
                name = f"{path}.{leaf}" if path else leaf
                start: Start | None = getattr(weight, "start", None)
                if start == "normal":
                    weight.normal_(0.0, scale, generator=torch_generator("weights", seed, name))
                elif start == "ones" or start == "zeros":
                    weight.fill_(1.0 if start == "ones" else 0.0)
                elif start is not None:
                    assert_never(start)
                elif not reset:
                    raise FinestError(
                        f"{type(self).__name__}: {name} must say how it starts: make it with "
                        f"finest.models.layers.parameter, or give {type(module).__name__} a method reset_parameters"
                    )
            if reset:
                with torch.random.fork_rng(devices=[]):
                    torch.default_generator.manual_seed(key("weights", seed, path))
                    reset()

    def trained(self) -> dict[str, Tensor]:
        """Returns the parameters that training moves, by name."""
        return {name: weight for name, weight in self.named_parameters() if weight.requires_grad}

    def untrained(self) -> dict[str, Tensor]:
        """Returns the rest of the state, by name: persistent buffers, and parameters that are frozen."""
        return {name: tensor for name, tensor in self.state_dict(keep_vars=True).items() if not tensor.requires_grad}


def dropped(x_BTD: Tensor, masks_SBTD: Tensor | None, site: int) -> Tensor:
    """Returns `x_BTD` under the mask of its dropout site, counted from 0; unchanged outside training."""
    return x_BTD if masks_SBTD is None else x_BTD * masks_SBTD[site]


def _refuse_uncommon_chance(path: str, module: nn.Module) -> None:
    """Raises FinestError for a module of torch's kind whose result depends on chance or on a batch's others."""
    share: Any = 0
    if isinstance(module, nn.modules.dropout._DropoutNd):
        share = module.p
    elif type(module).__module__.startswith("torch."):  # of others, it may be anything
        share = getattr(module, "dropout", 0)
    if isinstance(share, (int, float)) and share:
        raise FinestError(
            f"{path}: torch's dropout differs between trainings that are to be compared; leave it at 0 and use "
            "finest.models.recommender.dropped with the masks that encode gets"
        )
    if isinstance(module, nn.modules.batchnorm._BatchNorm):
        raise FinestError(f"{path}: batch normalisation mixes a batch's windows; use layer normalisation")
