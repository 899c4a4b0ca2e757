"""The plan of a run: every scenario's edits, and which variants are trained in which group."""

from collections.abc import Mapping
from pathlib import Path
from typing import Literal, assert_never

import pyarrow as pa
from pydantic import Field

from finest import atomic, documents, parquet, sealed
from finest.data.dataset import Dataset
from finest.errors import ConfigError
from finest.keys import key
from finest.perturb import given
from finest.perturb.config import AnyScenario, EditFile, Perturb
from finest.perturb.edits import ScenarioEdits, draw, to_table
from finest.section import Section

EDITS_FILE = "edits.parquet"
"""Name of the file with the edit table, in a plan's folder."""
PLAN_FILE = "plan.json"
"""Name of the file with the variants and their groups, in a plan's folder."""


class Variant(Section):
    """Describes one whole training, pretraining and fine-tuning."""

    name: str
    """`clean`, `identity`, `rounding`, `seed`, or the scenario's name."""
    role: Literal["clean", "probe", "control"]
    """`clean`: on the data as it is. `probe`: on a scenario's edits of it. `control`: says what the probes' numbers are
    worth."""
    scenario: str | None = None
    """Of a probe: the name of the scenario whose edits its training rows get."""
    seed: int
    """Seed of initial weights, order of batches, dropout and simulation."""
    rounding: bool = False
    """Whether every initial weight gets a standard normal number added, times 1e-7 of the root mean square of its
    tensor."""


class Group(Section):
    """Holds variants that are trained together; the first is clean, and the others are compared with it."""

    id: str
    variants: list[Variant]


class Plan(Section):
    """Holds all trainings of a run. The first group's clean variant is the candidate."""

    seed: int
    groups: list[Group]
    edit_files: dict[str, str] = Field(default={})
    """sha256 of the file that a scenario's edits are from, by the scenario's name; those that are drawn have none."""

    def group(self, id: str) -> Group:
        """Returns the group with this id."""
        return next(group for group in self.groups if group.id == id)


def plan(
    data: Dataset, config: Perturb, seed: int, files: Mapping[str, pa.Table] | None = None
) -> tuple[pa.Table, Plan]:
    """Draws every scenario's edits and deals the variants to groups.

    Args:
        data: The data set.
        config: The scenarios and the number of groups.
        seed: Seed of the run: edits do not depend on it, trainings do.
        files: Of each scenario that is read from a file, by name, its rows, as `given.read` returns them.

    Returns:
        The edits in EDITS_SCHEMA, and the groups.

    Raises:
        ConfigError: There are more groups than variants to share out, a scenario asks for more rows than there are, or
            a file has the edits of another scenario.
        DataError: The edits of a file do not fit the data.
    """
    groups = deal(config, seed)
    edits = {
        scenario.name: given.edits((files or {})[scenario.name], scenario, data)
        if isinstance(scenario, EditFile)
        else draw(data, scenario)
        for scenario in config.scenarios
    }
    _check_no_copies(config, edits, data)
    return to_table(edits, data), groups


def _check_no_copies(config: Perturb, edits: Mapping[str, ScenarioEdits], data: Dataset) -> None:
    """Raises ConfigError where a file has the edits of another scenario: the gate would refuse both as copies."""
    alike = [scenario.name for scenario in config.scenarios if scenario.training_seed == "shared"]
    tables = {name: to_table({"": edits[name]}, data).sort_by("row") for name in alike} if config.files else {}
    for file in (of.name for of in config.files if of.name in alike):
        for other in (name for name in alike if name != file and tables[name].equals(tables[file])):
            raise ConfigError(f"perturb.scenarios: {file} has the very edits of {other}; leave one of them out")


def deal(config: Perturb, seed: int) -> Plan:
    """Deals the variants to groups of equal size, or one more; each has a clean variant to compare with.

    >>> [[variant.name[:8] for variant in group.variants] for group in deal(Perturb(groups=3), 0).groups]
    [['clean', 'identity', 'random-d', 'random-d'], ['clean', 'rounding', 'random-r', 'random-r'], \
['clean', 'seed', 'random-i', 'random-i']]
    """
    most = len(config.scenarios) + 2
    if config.groups > most:
        raise ConfigError(
            f"perturb.groups: {config.groups} groups, but {len(config.scenarios)} scenarios fill at most {most};"
            " use fewer"
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
    return Plan(seed=seed, groups=groups, edit_files={scenario.name: scenario.sha256 for scenario in config.files})


def _probe(scenario: AnyScenario, seed: int) -> Variant:
    if scenario.training_seed == "fresh":
        seed = _fresh(seed, scenario.name)
    elif scenario.training_seed != "shared":
        assert_never(scenario.training_seed)
    return Variant(name=scenario.name, role="probe", scenario=scenario.name, seed=seed)


def _fresh(seed: int, use: str) -> int:
    return key("training seed", seed, use) % 2**31


def write_plan(table: pa.Table, plan: Plan, folder: Path) -> None:
    """Writes a plan to `folder`, which may exist if it is empty: whole or not at all."""
    with atomic.folder(folder) as partial:
        parquet.write(table, partial / EDITS_FILE)
        (partial / PLAN_FILE).write_text(plan.model_dump_json(indent=2))
        sealed.seal(partial)


def read_plan(folder: Path) -> tuple[pa.Table, Plan]:
    """Returns the edits and the plan that `write_plan` wrote to `folder`. Raises DamagedError where it did not."""
    sealed.check(folder)
    plan = documents.read(folder / PLAN_FILE, Plan, "run the step perturb again")
    return parquet.read(folder / EDITS_FILE), plan
