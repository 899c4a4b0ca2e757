"""A memory's weights over three nights, drawn to the champion's or not: `python -m benchmarks.drawn [FILE ...]`.

Without a file, the nights are of the made-up service of docs/nights.md (a window of 10 days, the last day held out).
Of a file (Parquet: user_id, item_id, timestamp), a night's data is all rows up to a moment: the last 3% of the rows in
three steps, of which each night holds out its own. With --by-place, for files whose times say no more than the order,
a row's time is its place in its user's history from 0 to 1, and a step is 5%. Seen items are left out of lists where
nobody has an item twice.

A network is trained once a night, and once on its validation cut. All ways of fitting share both, and go from night to
night by their own weights. Columns: counts alone, or network and counts (stack); how strongly weights are drawn to last
night's (0: they float); rbo and Jaccard@10 between last night's model and tonight's on the same histories, tonight's
held-out ones, of all instances of two pairs of nights; MRR on those; CPU seconds of one night's fit. Then, for three
seeds that each leave half of the users out, the ways to serve that are chosen night by night, with the champion's way
kept unless it clearly loses and chosen anew. One thread. Minutes: 1 for the made-up service, 5 for 134,000 rows.
"""

import argparse
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import cached_property
from itertools import pairwise
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.validation import CPU, base_model, clean, ingested
from finest.data.config import Ingest
from finest.data.dataset import Dataset, Ints
from finest.memory.config import MemoryConfig
from finest.memory.counts import counted
from finest.memory.features import Memory
from finest.memory.fit import part_of
from finest.memory.fitting import Fitting
from finest.memory.tables import Counts
from finest.metrics.accuracy import reciprocal_rank
from finest.metrics.overlaps import Overlaps, overlaps
from finest.models.recommender import Recommender
from finest.models.saved import save
from finest.ranklists import champion
from finest.ranklists.schema import RankLists
from finest.training import unseen
from finest.training.calibrate import Way, decided, fitted
from finest.training.config import Pretrain
from finest.training.device import prepare
from finest.training.facts import model_facts
from finest.training.recipe import Choice
from finest.training.trial import Trial
from storage import checkpoint_store
from tests.nights import days

NIGHTS, SEEDS = 3, (0, 1, 2)
WINDOW, USERS, ITEMS = 10, 800, 300
PULLS = (0.0, 0.01, 0.1, 1.0, 10.0)
COLUMNS = ("data", "served", "pull", "rbo", "Jaccard@10", "MRR", "CPU s")


def main() -> None:
    """Prints the table of every data set."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("files", nargs="*", type=Path, metavar="FILE")
    parser.add_argument("--by-place", action="store_true", help="a row's time is its place in its user's history")
    parser.add_argument("--users", type=int, help="take so many users at random")
    asked = parser.parse_args()
    prepare(CPU)
    print(f"| {' | '.join(COLUMNS)} |\n|{'---|' * len(COLUMNS)}", flush=True)
    for file in asked.files or [None]:
        name = file.stem if file else "made up"
        rows = cut_up(read(file, asked.by_place, asked.users), 0.05 if asked.by_place else 0.01) if file else made_up()
        nights = [Night.trained(data) for data in rows]
        for line in table(name, nights):
            print(line, flush=True)
        spent = ", ".join(f"{night.training_seconds:.0f}" for night in nights)
        print(f"\nCPU s of the two trainings and counts a night: {spent}. Served night by night:", flush=True)
        for line in choices(nights):
            print(line, flush=True)


@dataclass(frozen=True)
class Night:
    """Holds a night's data with all that weights do not change."""

    data: Dataset
    fitting: Fitting
    """Held-out instances of its validation cut."""
    network: Recommender
    """Trained on all training rows."""
    counts: Counts
    """Of all training rows."""
    training_seconds: float
    """CPU seconds of all this."""

    @classmethod
    def trained(cls, data: Dataset) -> "Night":
        """Trains and counts."""
        config, memory, began = Pretrain(processes=1, memory=MemoryConfig()), MemoryConfig(), time.process_time()
        with tempfile.TemporaryDirectory() as folder:
            trained = Trial(data, config, 0, None).train(checkpoint_store(folder), lambda progress: None)
        fitting = unseen.of_cut(trained.model, trained.cut, memory, 0)
        network, counts = base_model(data, config, 0), counted(data, data.training_rows(), memory, 1)
        return cls(data, fitting, network, counts, time.process_time() - began)

    @cached_property
    def parts(self) -> tuple[Fitting, Fitting]:
        """Returns the instances that weights are fitted on, and those of other users that they are measured on."""
        fitted_on = part_of(self.fitting.user, unseen.PARTS)
        return self.fitting.only(fitted_on), self.fitting.only(~fitted_on)

    def lists(self, way: dict[str, float] | None, of: Dataset) -> RankLists:
        """Takes lists of tonight's model for any night's instances, as a champion's are taken: matched by item id."""
        facts = model_facts(self.data, clean(0), Pretrain(), "base")
        with tempfile.TemporaryDirectory() as name:
            memory = Memory(self.counts, way) if way else None
            save(Path(name), self.network, facts, list(self.data.item_ids), memory)
            champion.write_cut(self.data, Path(name))
            return champion.score(Path(name), of, "0")[0]


def table(name: str, nights: Sequence[Night]) -> Iterator[str]:
    """Yields the rows of a data set."""
    without = [None] * len(nights)
    yield row(name, "network", "", nights, without, None)
    for served in ("memory", "stack"):
        for pull in PULLS:
            weights: list[dict[str, float] | None] = []
            began = time.process_time()
            for night in nights:
                weights.append(way_of(night.parts, served, weights[-1] if weights else None, pull).weights)
            seconds = (time.process_time() - began) / len(nights)
            yield row(name, served, f"{pull:g}", nights, weights, seconds)


def row(
    name: str,
    served: str,
    pull: str,
    nights: Sequence[Night],
    weights: Sequence[dict[str, float] | None],
    seconds: float | None,
) -> str:
    """Returns a row of the table: every night but the first beside the one before."""
    near, far, found = [], [], []
    for number in range(1, len(nights)):
        data = nights[number].data
        before = nights[number - 1].lists(weights[number - 1], data)
        now = nights[number].lists(weights[number], data)
        both = compared(before, now)
        near.append(both.rbo)
        far.append(both.jaccard)
        found.append(reciprocal_rank(now.target_rank))
    means = [f"{np.concatenate(values).mean():.{digits}f}" for values, digits in ((near, 3), (far, 3), (found, 4))]
    return f"| {' | '.join([name, served, pull, *means, '' if seconds is None else f'{seconds:.1f}'])} |"


def compared(one: RankLists, other: RankLists) -> Overlaps:
    """Compares lists of the same instances by item id."""
    ids = np.concatenate([one.vocabulary, other.vocabulary]).astype(str)
    code = np.unique(ids, return_inverse=True)[1]
    split = len(one.vocabulary)
    return overlaps(_coded(one, code[:split]), _coded(other, code[split:]))


def _coded(lists: RankLists, code: Ints) -> Ints:
    return np.where(lists.items < 0, -1, code[lists.items])


def way_of(parts: tuple[Fitting, Fitting], served: str, before: dict[str, float] | None, pull: float) -> Way:
    """Fits the weights of counts alone, or of network and counts."""
    fit_on, judge_on = parts if served == "stack" else (part.without_network() for part in parts)
    return fitted(fit_on, judge_on, before, pull)


def choices(nights: Sequence[Night]) -> Iterator[str]:
    """Yields, for every seed, what is chosen night by night of half the users: from what was before, and anew."""
    for seed in SEEDS:
        kept: list[Choice] = []
        anew: list[Choice] = []
        before: dict[Choice, dict[str, float] | None] = {"memory": None, "stack": None}
        for night in nights:
            users = int(night.data.user.max()) + 1
            half = night.fitting.only((np.random.default_rng(seed).random(users) < 0.5)[night.fitting.user])
            fitted_on = part_of(half.user, unseen.PARTS)
            parts = half.only(fitted_on), half.only(~fitted_on)
            pull = MemoryConfig().pull
            found = {served: way_of(parts, served, weights, pull) for served, weights in before.items()}
            before = {served: way.weights for served, way in found.items()}
            ranks = {served: way.reciprocal_ranks for served, way in found.items()}
            ranks["network"] = parts[1].reciprocal_ranks({"network": 1.0, **dict.fromkeys(parts[1].weights[1:], 0.0)})
            kept.append(decided(ranks, parts[1].user, kept[-1] if kept else None))
            anew.append(decided(ranks, parts[1].user))
        yield f"- seed {seed}: {', '.join(kept)}; chosen anew every night: {', '.join(anew)}"


def made_up() -> Iterator[Dataset]:
    """Yields the nights of the made-up service."""
    first = date(2026, 11, 1)
    world = list(days(first, WINDOW + NIGHTS - 1, USERS, ITEMS, seed=0))
    for number in range(NIGHTS):
        rows = pa.concat_tables([day for _, day in world[number : number + WINDOW]])
        last = first + timedelta(days=number + WINDOW - 1)
        yield night(rows, datetime.combine(last, datetime.min.time(), UTC))


def read(file: Path, by_place: bool, users: int | None) -> pa.Table:
    """Returns a file's rows, sorted by time; with `by_place`, time is a millionth of a user's history."""
    frame = pq.read_table(file, columns=["user_id", "item_id", "timestamp"]).to_pandas()
    if users is not None:
        known = np.unique(frame.user_id)
        chosen = np.random.default_rng(0).choice(known, min(users, len(known)), replace=False)
        frame = frame[frame.user_id.isin(chosen)]
    if by_place:
        frame = frame.sort_values("timestamp", kind="stable")
        of_user = frame.groupby("user_id").timestamp
        frame["timestamp"] = (1e6 * (of_user.cumcount() + 0.5) / of_user.transform("size")).astype("int64")
    return pa.Table.from_pandas(frame.sort_values("timestamp", kind="stable"), preserve_index=False)


def cut_up(rows: pa.Table, step: float) -> Iterator[Dataset]:
    """Yields nights of sorted rows: each has all of them up to a moment, and holds out the last step."""
    time_of = rows["timestamp"].to_numpy()
    moments = [time_of[round(len(rows) * (1 - step * number))] for number in range(NIGHTS, 0, -1)]
    for cut, end in pairwise([*moments, time_of[-1] + 1]):
        until = time_of < end
        yield night(rows.filter(pa.array(until)), datetime.fromtimestamp(int(cut), UTC))


def night(rows: pa.Table, cut: datetime) -> Dataset:
    """Ingests a night's rows, those from `cut` on held out."""
    pairs = rows.group_by(["user_id", "item_id"]).aggregate([([], "count_all")])
    config = {
        "split": {"method": "temporal", "cut": cut},
        "evaluation": {"exclude_seen": len(pairs) == len(rows)},
    }
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "rows.parquet"
        pq.write_table(rows, file)
        return ingested(file, Ingest.model_validate(config))


if __name__ == "__main__":
    main()
