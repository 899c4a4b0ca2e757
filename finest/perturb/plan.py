"""The plan of a run: every scenario's edits, and which variants are trained in which group."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from finest import atomic
from finest.data.dataset import Dataset
from finest.errors import ConfigError
from finest.keys import key, numpy_generator
from finest.perturb import items
from finest.perturb.config import Perturb, Scenario
from finest.perturb.edits import Edits, to_table
from finest.perturb.select import select
from finest.perturb.variants import Group, Plan, Variant

EDITS = "edits.parquet"
PLAN = "plan.json"


def plan(data: Dataset, config: Perturb, seed: int) -> tuple[pa.Table, Plan]:
    """The edits of every scenario, in EDITS_SCHEMA, and the groups. `seed` is the run's: edits do not depend on it, trainings do.

    Raises ConfigError where there are more groups than variants to share out, or a scenario asks for more rows than there are.
    """
    groups = deal(config, seed)
    return to_table(
        {scenario.name: draw(data, scenario, config.look_back) for scenario in config.scenarios}, data
    ), groups


def draw(data: Dataset, scenario: Scenario, look_back: int) -> Edits:
    """The scenario's edits of the training rows."""
    row = select(data, scenario, look_back)
    if scenario.kind == "deletion":
        return Edits(scenario.kind, row, np.zeros(len(row), dtype=np.int64))
    generator = numpy_generator("new item", scenario.seed, scenario.family, scenario.kind)
    old = data.item[row]
    if scenario.new_item == "random":
        return Edits(scenario.kind, row, items.random(data.items, old, generator))
    return Edits(scenario.kind, row, items.least_popular(data.item_counts, old, generator))


def deal(config: Perturb, seed: int) -> Plan:
    """Variants in groups of equal size, or one more; every group has a clean variant of its own to compare with.

    >>> [[variant.name[:8] for variant in group.variants] for group in deal(Perturb(groups=2), 0).groups]
    [['clean', 'identity', 'seed', 'random-r'], ['clean', 'rounding', 'random-d', 'random-i']]
    """
    most = len(config.scenarios) + 2
    if config.groups > most:
        raise ConfigError(
            f"perturb.groups: {config.groups} groups, but {len(config.scenarios)} scenarios fill at most {most}; use fewer"
        )
    others = [
        Variant(name="identity", role="control", seed=seed),
        Variant(name="rounding", role="control", seed=seed, rounding=True),
        Variant(name="seed", role="control", seed=_fresh(seed, "seed")),
        *(_probe(scenario, seed) for scenario in config.scenarios),
    ]
    clean = Variant(name="clean", role="clean", seed=seed)
    groups = [
        Group(id=str(number), variants=[clean, *others[number :: config.groups]]) for number in range(config.groups)
    ]
    return Plan(seed=seed, groups=groups)


def _probe(scenario: Scenario, seed: int) -> Variant:
    return Variant(
        name=scenario.name,
        role="probe",
        scenario=scenario.name,
        seed=_fresh(seed, scenario.name) if scenario.training_seed == "fresh" else seed,
    )


def _fresh(seed: int, use: str) -> int:
    return key("training seed", seed, use) % 2**31


def write(table: pa.Table, plan: Plan, folder: Path) -> None:
    """Writes `folder`, which may be there if it is empty: whole or not at all."""
    with atomic.folder(folder) as partial:
        pq.write_table(table, partial / EDITS)
        (partial / PLAN).write_text(plan.model_dump_json(indent=2))


def read(folder: Path) -> tuple[pa.Table, Plan]:
    """What `write` wrote."""
    return pq.read_table(folder / EDITS), Plan.model_validate_json((folder / PLAN).read_text())
