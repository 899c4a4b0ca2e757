"""Writes a training's log: where it begins, a line every half minute, and how it ended.

A record's `extra` holds the same figures by name, for whoever formats them otherwise.
"""

import logging
import math
import time
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from finest.durations import duration
from finest.training.progress import LINE_SECONDS

TOP = 10
"""Number of best items among which a target is a hit."""
HIT_TARGETS = 256
"""Number of a batch's targets that the share of hits is taken over: a batch's scores over a large catalogue would not
fit."""
WORDS = {"pretrain": "pretraining", "finetune": "fine-tuning"}
"""Names of the stages in words."""
NAMED = 2
"""Number of a stack's variants that a line names."""

logger = logging.getLogger(__name__)


class Diary:
    """Writes the lines of one training, of a variant or of a stack. Seconds are those of this process."""

    def __init__(
        self, variants: Sequence[str], stage: str, batches: int, steps: int, done: int, may_end_before: bool = False
    ):
        """Writes the first line.

        Args:
            variants: Names of the variants; "" for one that fills up a stack.
            stage: `pretrain` or `finetune`.
            batches: Number of batches of an epoch.
            steps: Number of steps in all.
            done: Number of steps that are in the checkpoint.
            may_end_before: Whether the training ends once it does not improve any more.
        """
        self.who = _who([name for name in variants if name])
        self.stage, self.batches, self.steps, self.first = stage, batches, steps, done
        self.epochs, self.most = -(-steps // batches), "at most " if may_end_before else ""
        self.began = self.last = time.monotonic()
        if done:
            place = f"resumed from step {done} of {self.most}{steps}"
        elif steps % batches:
            place = f"from the start, {self.most}{steps} steps, {batches} an epoch"
        else:
            place = f"from the start, {self.most}{self.epochs} epochs of {batches} steps"
        self._say("begins", f"{WORDS[stage]} {place}", steps_done=self.first, steps=steps)

    def due(self) -> bool:
        """Returns whether it is time for another line."""
        return time.monotonic() - self.last >= LINE_SECONDS

    def line(self, step: int, loss: float, hits: float) -> None:
        """Writes a line on the training's progress.

        Args:
            step: Number of steps taken in all.
            loss: Mean loss of the epoch so far.
            hits: What `hit_share` gave of the last batch.
        """
        self.last = time.monotonic()
        seconds, steps = self.last - self.began, self.steps
        left = seconds / (step - self.first) * (steps - step)
        epoch = (step - 1) // self.batches + 1
        share = "" if math.isnan(hits) else f", hit@{TOP} of the last batch {hits:.3f}"
        place = f"step {step} of {self.most}{steps}, epoch {epoch} of {self.most}{self.epochs}"
        text = f"{place}, loss {loss:.4f}{share}, {duration(seconds)}, {self.most or 'about '}{duration(left)} left"
        figures = {
            "epoch": epoch,
            "loss": loss,
            f"hit_at_{TOP}": None if math.isnan(hits) else hits,
            "seconds": round(seconds, 1),
        }
        self._say("trains", text, steps_done=step, steps=steps, left_seconds=round(left, 1), **figures)

    def end(self, steps: int, loss: float) -> None:
        """Writes the line after the last of so many steps."""
        seconds = time.monotonic() - self.began
        figures = {"steps_done": steps, "steps": steps, "loss": loss, "seconds": round(seconds, 1)}
        self._say(
            "trained", f"{WORDS[self.stage]} done, {steps} steps, loss {loss:.4f}, {duration(seconds)}", **figures
        )

    def _say(self, event: str, text: str, **figures: Any) -> None:
        logger.info(
            "%s: %s", self.who, text, extra={"event": event, "variant": self.who, "stage": self.stage, **figures}
        )


def hit_share(scores_NI: Tensor, target_N: Tensor) -> float:
    """Returns the share of the targets that are among the TOP items by score; nan without targets.

    Leading axes are averaged over.

    Args:
        scores_NI: Scores of all items.
        target_N: Item codes, from 1.
    """
    if not target_N.numel():
        return math.nan
    own = scores_NI.gather(-1, target_N[..., None] - 1)
    return float(((scores_NI > own).sum(-1) < TOP).to(torch.float32).mean())


def _who(names: Sequence[str]) -> str:
    if len(names) <= NAMED:
        return " and ".join(names)
    return f"{', '.join(names[:NAMED])} and {len(names) - NAMED} more as one stack"
