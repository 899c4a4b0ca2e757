"""FINEST on the network alone or on what is served: `python -m benchmarks.stacked_reference ml-100k`, 10 minutes.

With a memory, lists are ranked by w_m x log-softmax(network) + what is counted, while fine-tuning keeps lists of the
network's own scores. Here it keeps lists of the served scores too: the hinge then sees the network's logits plus what
the memory adds to each listed item, a constant of the row, over w_m.

Three trainings: the clean one, one under another seed, and one without 0.1% of the rows, all anchored to lists of the
clean base model. The weights are the stack's, even where calibration would serve counts alone. Lists are those of the
instances: the last tenth of each user's training rows, or with `--test` the test rows. Columns: MRR of the clean
variant, and rbo (p = .9) and Jaccard@10 of its lists with those of the two others. Then the same with half the weight
of the network, and without it.
"""

import argparse
import json
import tempfile
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from benchmarks.validation import CPU, clean, ingested, ml_100k
from finest.data.config import Ingest
from finest.data.cuts import validation
from finest.data.dataset import Dataset, Ints, Rows
from finest.histories import Histories
from finest.memory.config import MemoryConfig
from finest.memory.counts import counted
from finest.memory.features import Memory
from finest.memory.fit import part_of
from finest.memory.fitting import Fitting
from finest.memory.seen import Floats
from finest.metrics.accuracy import reciprocal_rank
from finest.metrics.overlaps import overlaps
from finest.models.ranking import rank, scored, top
from finest.models.recommender import Recommender
from finest.perturb.config import Scenario
from finest.perturb.edits import ScenarioEdits, apply, draw
from finest.perturb.plan import Variant
from finest.training import unit as units
from finest.training.calibrate import fitted
from finest.training.checkpoint import Checkpoint, key
from finest.training.config import Finetune, Pretrain
from finest.training.device import THREADS, prepare
from finest.training.facts import weight_facts
from finest.training.finetune import settings
from finest.training.objective import Penalty
from finest.training.pretrain import pretrained
from finest.training.reference_lists import ReferenceLists
from finest.training.references import CHUNK
from finest.training.regularisers.rank_hinge import RankHinge, RankHingeConfig
from finest.training.simulate import simulate
from finest.training.trial import Trial
from finest.training.unit import TrainUnit
from finest.training.unseen import PARTS, of_cut
from finest.training.windows import fill, plan_windows
from storage import checkpoint_store

Doubles = npt.NDArray[np.float64]

DEPTH = 100
"""Number of items in a list."""
FOLDS = 5
"""Number of folds of users, each scored by counts of the others."""
SHARES = {"full": 1.0, "half": 0.5, "none": 0.0}
"""Shares of the network's fitted weight."""


@dataclass(frozen=True)
class Way:
    """Says what is kept in fine-tuning."""

    served: bool = True
    """Whether lists are of the served scores, and the hinge acts on these; else of the network's."""
    unseen: bool = False
    """Whether lists leave out the items of the history, where served ones do."""
    folds: bool = False
    """Whether a user's lists are by counts of other users alone, which know nothing of the targets."""
    last: bool = False
    """Whether only each user's last training row has a list."""
    logits: bool = True
    """Whether the margin and the weight of the hinge are in the network's logits; else in the served scores."""
    alpha: float = 1.0


WAYS = {
    "network": Way(served=False),
    "network, unseen": Way(served=False, unseen=True),
    "served, all": Way(),
    "served": Way(unseen=True),
    "served, folds": Way(unseen=True, folds=True),
    "served, last": Way(unseen=True, last=True),
    "served, scaled": Way(unseen=True, logits=False),
    "network, alpha 3": Way(served=False, alpha=3.0),
    "served, alpha 3": Way(unseen=True, alpha=3.0),
}


@dataclass
class Kept(ReferenceLists):
    """Gives reference lists, and holds what the memory adds to the scores of those that it gave last."""

    lists: Tensor
    """[N, L]"""
    offsets: Tensor
    """[N, L] in units of the network's logits."""
    of_row: Tensor
    """[largest row id + 1] number of a row's list; -1 for none."""
    given_ML: Tensor = field(default_factory=lambda: torch.zeros(0, 0))
    """[M, L] offsets of the lists that were given last and are still to be asked for."""

    def lists_of(self, ids_N: Tensor) -> tuple[Tensor, Tensor]:
        """Returns which targets have a list, and the lists."""
        number_N = self._number(ids_N)
        held_M = torch.nonzero(number_N >= 0)[:, 0]
        self.given_ML = self.offsets[number_N[held_M]]
        return held_M, self.lists[number_N[held_M]].long()

    def next_offsets(self, count: int) -> Tensor:
        """Returns the offsets of the next lists of those that were given last: a loss may go through them in parts."""
        part_ML, self.given_ML = self.given_ML[:count], self.given_ML[count:]
        return part_ML

    def held(self, ids: Tensor) -> Tensor:
        """Returns whether each target has a list."""
        return self._number(ids) >= 0

    def to(self, device: torch.device | str) -> "Kept":
        """Returns these lists; all is on the CPU."""
        return self

    def _number(self, ids: Tensor) -> Tensor:
        return torch.where(ids >= 0, self.of_row[ids.clamp(min=0)], -1)


class ServedHinge(RankHinge):
    """Penalises by the served scores of a list's items."""

    def __init__(self, kept: Kept, scale: float):
        """Makes the hinge.

        Args:
            kept: Gives the lists, and what is added to their scores.
            scale: What the sum is multiplied with before the margin is looked at.
        """
        super().__init__(RankHingeConfig())
        self.kept, self.scale = kept, scale

    def __call__(self, scores_ML: Tensor, lists: Tensor | int, alpha: float) -> tuple[tuple[Tensor, ...], Tensor]:
        """Computes both terms and their gradient by the network's scores."""
        served_ML = self.scale * (scores_ML + self.kept.next_offsets(len(scores_ML)))
        terms, gradient_ML = super().__call__(served_ML, lists, alpha)
        return terms, self.scale * gradient_ML


class Study:
    """Trains and compares on one data set."""

    def __init__(self, data: Dataset, seed: int, state: Path):
        """Fits the weights of the stack, and trains the base models; goes on from what is in `state`."""
        self.data, self.recipe, self.store = (
            data,
            Pretrain(memory=MemoryConfig(), device="cpu"),
            checkpoint_store(str(state)),
        )
        self.rows, self.exclude = data.training_rows(), data.manifest.exclude_seen
        weights = state / f"weights-{data.manifest.fingerprint}-{seed}.json"
        if not weights.exists():
            trained = Trial(data, self.recipe, seed, None).train(self.store, lambda progress: None)
            weights.write_text(json.dumps(stack_weights(of_cut(trained.model, trained.cut, MemoryConfig(), seed))))
        self.weights: dict[str, float] = json.loads(weights.read_text())
        edits = draw(data, Scenario.model_validate({"kind": "deletion", "seed": seed}))
        probe = Variant(name="deletion", role="probe", seed=seed)
        self.units = [alone(clean(seed), None), alone(clean(seed + 1), None), alone(probe, edits)]
        memories = [self.memory(self.rows), self.memory(apply(self.rows, edits))]
        self.memories = [memories[0], memories[0], memories[1]]
        of = data.instances()
        self.of, self.counted = of, {id(memory): everything(memory, data, of.row) for memory in memories}

    def memory(self, rows: Rows) -> Memory:
        """Counts rows, and returns a memory of the stack's weights."""
        assert self.recipe.memory != "off"
        return Memory(counted(self.data, rows, self.recipe.memory, THREADS), self.weights)

    def base(self, unit: TrainUnit) -> Recommender:
        """Returns a unit's base model."""
        name = key({"stage": "pretrain", **weight_facts(self.data, unit, self.recipe, CPU)})
        return pretrained(self.data, unit, self.recipe, CPU, Checkpoint(self.store, name), nothing)[0][0]

    def tuned(self, unit: TrainUnit, kept: Kept, name: str, way: Way) -> tuple[Recommender, float]:
        """Returns a unit's tuned model, and the CPU seconds of an epoch."""
        model, config = self.base(unit), Finetune(alpha=way.alpha)
        hinge = ServedHinge(kept, 1.0 if way.logits else self.weights["network"])
        edits, variant = unit.edits[0], unit.variants[0]
        mine = apply(self.rows, edits) if edits else self.rows
        plan = plan_windows(self.rows, self.recipe.model.max_length, self.recipe.bucketed)

        def windows(epoch: int) -> Any:
            share, counts = config.simulated_share, self.data.item_counts
            return fill(simulate(mine, self.rows, counts, share, variant.seed, epoch), plan)

        facts = {"stage": "finetune", "way": name, **weight_facts(self.data, unit, self.recipe, CPU)}
        penalty, checkpoint = Penalty(hinge, kept, way.alpha), Checkpoint(self.store, key(facts))
        (history,) = units.fit(
            unit, [model], plan, [windows], settings(self.recipe, config, plan), penalty, checkpoint, nothing
        )
        return model, float(np.mean([epoch["cpu_seconds"] for epoch in history]))

    @torch.no_grad()
    def kept(self, model: Recommender, way: Way) -> Kept:
        """Takes the lists of a way to tune, by the clean base model and the clean rows."""
        windows = fill(self.rows, plan_windows(self.rows, model.max_length))
        fold = self.data.user % FOLDS if way.folds else np.zeros_like(self.data.user)
        memories = [
            self.memory(only(self.rows, fold[self.rows.id] != number) if way.folds else self.rows)
            for number in np.unique(fold)
        ]
        last = np.r_[self.rows.user[1:] != self.rows.user[:-1], True]
        able = np.zeros(len(self.data.user), bool)
        able[self.rows.id[last] if way.last else self.rows.id] = True
        lists, offsets, of_row, done = [], [], np.full(len(able), -1), 0
        for number, memory in enumerate(memories):
            inside = (windows.ids >= 0) & able[windows.ids] & (fold[windows.ids] == number)
            some = np.flatnonzero(inside.any(1))
            for first in range(0, len(some), CHUNK):
                part = some[first : first + CHUNK]
                place, ids = torch.from_numpy(np.flatnonzero(inside[part])), windows.ids[part][inside[part]]
                hidden_WTD = model.states(torch.from_numpy(windows.inputs[part]))
                scores_NI = model.scores(hidden_WTD.flatten(0, 1)[place]).log_softmax(1)
                histories = self.data.histories(ids)
                offset_NI = torch.zeros_like(scores_NI)
                if way.served:
                    offset_NI = torch.from_numpy(added(memory, histories)) / self.weights["network"]
                    scores_NI += offset_NI
                if way.unseen and self.exclude:
                    scores_NI[histories.row, histories.item - 1] = -torch.inf
                best_NL = scores_NI.topk(Finetune().list_length).indices
                lists.append(best_NL.int())
                offsets.append(offset_NI.gather(1, best_NL))
                of_row[ids] = np.arange(done, done + len(ids))
                done += len(ids)
        return Kept(torch.cat(lists), torch.cat(offsets), torch.from_numpy(of_row))

    @torch.no_grad()
    def served(self, model: Recommender, memory: Memory, shares: Iterable[float]) -> list[tuple[Ints, Doubles]]:
        """Returns the instances' lists [M, DEPTH] and ranks [M] by each of some shares of the network's weight."""
        found = [(np.empty((len(self.of), DEPTH), np.int64), np.empty(len(self.of))) for _ in shares]
        for part, scores_BI in scored(model, lambda part: self.data.histories(self.of.row[part]), len(self.of), False):
            histories = self.data.histories(self.of.row[part])
            scores_BI, counts_BI = scores_BI.log_softmax(1), torch.from_numpy(self.counted[id(memory)][part])
            for (items, ranks), share in zip(found, shares, strict=True):
                total_BI = counts_BI + share * self.weights["network"] * scores_BI
                if self.exclude:
                    total_BI[histories.row, histories.item - 1] = -torch.inf
                items[part], ranks[part] = top(total_BI, DEPTH)[0], rank(total_BI, self.of.target[part])
        return found

    def compare(self, name: str, models: Sequence[Recommender], shares: Sequence[str], note: str = "") -> None:
        """Prints a line a share: the clean, the other seed's and the probe's model compared."""
        found = [
            self.served(model, memory, [SHARES[share] for share in shares])
            for model, memory in zip(models, self.memories, strict=True)
        ]
        for share, (own, ranks), *others in zip(shares, *found, strict=True):
            text = f"{name:16} {share:5} {reciprocal_rank(ranks).mean():.4f}"
            for other, _ in others:
                near = overlaps(own, other)
                text += f"   {near.rbo.mean():.3f} {near.jaccard.mean():.3f}"
            print(f"{text}   {note}", flush=True)


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("source", help="ml-100k, or a file of interactions")
    parser.add_argument("--repeats", action="store_true", help="lists may hold items of the history")
    parser.add_argument("--test", action="store_true", help="instances are the test rows")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--state", help="folder of checkpoints, to go on from")
    parser.add_argument("--ways", default=";".join(WAYS), help="what to compare, by name, between semicolons")
    given = parser.parse_args()
    prepare(CPU)
    config = Ingest.model_validate({"evaluation": {"exclude_seen": not given.repeats}})
    data = ml_100k() if given.source == "ml-100k" else ingested(Path(given.source), config)
    with tempfile.TemporaryDirectory() as folder:
        state = Path(given.state or folder, "test" if given.test else "validation")
        study = Study(data if given.test else validation(data), given.seed, state)
        print(f"{given.source}, {state.name}, {len(study.of)} instances; weights {study.weights}")
        print(f"{'kept':16} {'w_m':5} {'MRR':6}   {'seed: rbo, J':11}   deletion: rbo, J")
        bases = [study.base(unit) for unit in study.units]
        study.compare("-", bases, list(SHARES))
        for name in filter(None, given.ways.split(";")):
            began = time.process_time()
            kept = study.kept(bases[0], WAYS[name])
            seconds = time.process_time() - began
            models, epochs = zip(*[study.tuned(unit, kept, name, WAYS[name]) for unit in study.units], strict=True)
            note = f"{len(kept.lists)} lists in {seconds:.1f} CPU s, an epoch {np.mean(epochs):.2f}"
            study.compare(name, models, ["full", "half"], note)


def stack_weights(fitting: Fitting) -> dict[str, float]:
    """Fits the weights of network and counts together, as calibration does before it chooses."""
    chosen = part_of(fitting.user, PARTS)
    return fitted(fitting.only(chosen), fitting.only(~chosen), None, 0).weights


def added(memory: Memory, histories: Histories) -> Floats:
    """Returns what a memory adds to the scores of all items [B, I]."""
    scores = np.repeat(memory.everywhere[None], len(histories), 0)
    for pairs, values in memory.sparse(histories):
        scores[pairs.history, pairs.item - 1] += values
    return scores


def everything(memory: Memory, data: Dataset, row: Ints) -> Floats:
    """Returns what a memory adds to the scores of all items before each of M rows [M, I]."""
    return np.concatenate(
        [added(memory, data.histories(row[first : first + CHUNK])) for first in range(0, len(row), CHUNK)]
    )


def only(rows: Rows, chosen: npt.NDArray[np.bool_]) -> Rows:
    """Returns some of the rows."""
    return Rows(rows.user[chosen], rows.item[chosen], rows.id[chosen], rows.anchor[chosen], rows.timestamp[chosen])


def alone(variant: Variant, edits: ScenarioEdits | None) -> TrainUnit:
    """Returns a unit of one variant that trains by itself."""
    return TrainUnit((variant,), (edits,), 1, stacked=False)


def nothing(event: Any) -> None:
    """Listens to a training, and says nothing."""


if __name__ == "__main__":
    main()
