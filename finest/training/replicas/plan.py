"""Decides whether variants train as one or each alone, and how many fit into a stack."""

import logging
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any, TypeVar, assert_never

import torch

from finest.models.registry import MODELS, build
from finest.training.config import Pretrain
from finest.training.loop import Settings, Trainer
from finest.training.replicas.stack import Stack
from finest.training.single import Single
from finest.training.windows import WindowPlan, Windows

GAIN = 1.25
"""How many times faster than variants alone a stack must be in the trial: the choice is part of what decides weights,
so noise must not make it."""
STEPS = 3
"""Number of timed steps of a trial, after one that warms up."""
MEMORY_SHARE = 0.8
"""Share of the free memory that a stack may take."""
SCORE_COPIES = 3
"""Number of buffers of a part's scores at the largest moment: the scores, their gradient, and what a product of it
needs."""
STATE_COPIES = 6
"""Number of copies of the weights: themselves, gradient, two moments, average, and the checkpoint's copy."""

logger = logging.getLogger(__name__)
Item = TypeVar("Item")


@dataclass(frozen=True)
class Arrangement:
    """Holds how a group's variants train; recorded in its facts."""

    size: int
    """Number of replicas of a stack; 0: each variant trains alone."""
    why: str
    alone_ms: float | None = None
    """Milliseconds of a step of one variant, measured by the trial."""
    stacked_ms: float | None = None
    """Milliseconds of a step of the stack, measured by the trial."""

    def facts(self) -> dict[str, Any]:
        """Returns the arrangement as `group.json` holds it."""
        return asdict(self)

    def units(self, variants: Sequence[Item]) -> list[list[Item]]:
        """Returns the variants that each trainer trains.

        Stacks have equal sizes, filled up with the first variant, which is clean.

        >>> Arrangement(3, "").units(["clean", "a", "b", "c"])
        [['clean', 'a', 'b'], ['c', 'clean', 'clean']]
        """
        if not self.size:
            return [[variant] for variant in variants]
        units = [list(variants[first : first + self.size]) for first in range(0, len(variants), self.size)]
        units[-1] += [variants[0]] * (self.size - len(units[-1]))
        return units


def arrange(
    variants: int,
    config: Pretrain,
    settings: Settings,
    items: int,
    window_plan: WindowPlan,
    windows: Windows,
    device: torch.device,
    processes: int,
) -> Arrangement:
    """Decides how variants train, by `pretrain.replicas`.

    `auto`: on a GPU what a trial of both ways finds; on a CPU each alone, without a trial. There a stack takes longer
    (on two cores and ml-100k: 8 variants as one take 2.6 times the seconds of two processes), and where it would not,
    for models that do not fill a core, noise would decide about the weights' last bits.

    Args:
        variants: Number of variants of the group.
        config: Section `pretrain`.
        settings: Settings of pretraining.
        items: Number of items of the catalogue.
        window_plan: Slots of the clean windows.
        windows: Clean windows, for the trial.
        device: Device of the trainings.
        processes: Number of trainings at a time on a CPU.
    """
    if not MODELS[config.model.name].stackable:
        return Arrangement(0, f"{config.model.name} has no stacked form")
    if config.data_parallel > 1:
        return Arrangement(0, f"each training takes {config.data_parallel} devices")
    if config.replicas == "separate":
        return Arrangement(0, "as configured")
    if config.replicas == "auto" and variants == 1:
        return Arrangement(0, "a single variant")
    if config.replicas == "auto" and device.type == "cpu":
        return Arrangement(0, "on a CPU, where a stack takes longer")
    fits = max(1, min(variants, int(MEMORY_SHARE * free_bytes(device) // replica_bytes(config, items, window_plan))))
    stacks = -(-variants // fits)
    size = -(-variants // stacks)
    if config.replicas == "stacked":
        return Arrangement(size, "as configured")
    if config.replicas == "auto":
        return trial(variants, size, config, settings, items, window_plan, windows, device, processes)
    assert_never(config.replicas)


def trial(
    variants: int,
    size: int,
    config: Pretrain,
    settings: Settings,
    items: int,
    window_plan: WindowPlan,
    windows: Windows,
    device: torch.device,
    processes: int,
) -> Arrangement:
    """Times steps of one variant and of a stack of `size` on the real windows; nothing of it is kept."""

    def model() -> Any:
        made = build(config.model, items)
        made.initialise(settings.seed)
        return made.to(device)

    def given(epoch: int) -> Windows:
        return windows

    alone = _step_seconds(Single("trial", model(), window_plan, given, settings, None), settings)
    names, seeds = ["trial"] * size, [settings.seed] * size
    stacked = _step_seconds(
        Stack(names, [model() for _ in range(size)], window_plan, [given] * size, seeds, settings, None), settings
    )
    at_once = 1 if device.type == "cuda" else min(processes, variants)
    one_by_one, as_one = alone * -(-variants // at_once), stacked * -(-variants // size)
    faster = one_by_one / as_one
    why = f"stacks of {size} take {1 / faster:.2f} times the seconds of variants alone, {at_once} at a time"
    logger.info("replicas: %s (a step: %.1f ms alone, %.1f ms stacked)", why, 1e3 * alone, 1e3 * stacked)
    return Arrangement(size if faster >= GAIN else 0, why, round(1e3 * alone, 2), round(1e3 * stacked, 2))


def _step_seconds(trainer: Trainer, settings: Settings) -> float:
    trainer.load(0)
    batches = trainer.window_plan.batches(settings.batch_size)
    wait: Callable[[], None] = torch.cuda.synchronize if trainer.device.type == "cuda" else lambda: None
    optimizer = torch.optim.AdamW(trainer.weights.values(), fused=True)
    began = 0.0
    for number in range(1 + STEPS):
        if number == 1:
            wait()
            began = time.perf_counter()
        trainer.step(number % batches)
        trainer.clip(settings.max_grad_norm)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
    wait()
    return (time.perf_counter() - began) / STEPS


def free_bytes(device: torch.device) -> int:
    """Returns the free memory of the device, in bytes."""
    if device.type == "cuda":
        return torch.cuda.mem_get_info(device)[0]
    return os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")


def replica_bytes(config: Pretrain, items: int, window_plan: WindowPlan) -> int:
    """Estimates from above what one replica of a stack takes, in bytes."""
    model = config.model
    positions = config.batch_size * model.max_length
    with torch.device("meta"):
        built = build(model, items)
        weights = sum(weight.numel() for weight in built.parameters())
    scores, hidden = (
        SCORE_COPIES * positions * items,
        (built.layer_copies * model.num_layers + 4) * positions * model.hidden_size,
    )
    windows = 3 * window_plan.count * model.max_length
    return 4 * (STATE_COPIES * weights + scores + hidden + windows)
