from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from finest.errors import ConfigError
from finest.perturb.config import Perturb, Scenario
from finest.perturb.edits import EDITS_SCHEMA
from finest.perturb.plan import deal, plan, read, write
from finest.perturb.variants import Variant
from tests.unit.written_out import dataset

DATA = dataset(
    {f"u{user}": " ".join(f"i{(user * 7 + place) % 30}" for place in range(12)) + " | i3" for user in range(20)}
)


def variants(config: Perturb, seed: int = 3) -> list[Variant]:
    return [variant for group in deal(config, seed).groups for variant in group.variants]


@given(st.integers(1, 7), st.data())
@settings(max_examples=40, deadline=None)
def test_every_group_has_a_clean_variant_first_and_a_fair_part_of_the_rest(probes: int, data: st.DataObject) -> None:
    scenarios = [Scenario(kind="deletion", seed=seed) for seed in range(probes)]
    config = Perturb(scenarios=scenarios, groups=data.draw(st.integers(1, probes + 2)))
    groups = deal(config, seed=3).groups
    assert [group.id for group in groups] == [str(number) for number in range(config.groups)]
    assert all([variant.role for variant in group.variants].index("clean") == 0 for group in groups)
    sizes = [len(group.variants) for group in groups]
    assert min(sizes) >= 2
    assert max(sizes) - min(sizes) <= 1
    assert groups[0].variants[1].name == "identity"
    others = sorted(variant.name for group in groups for variant in group.variants[1:])
    assert others == sorted(["identity", "rounding", "seed", *(scenario.name for scenario in config.scenarios)])


def test_more_groups_than_variants_to_share_out_are_an_error() -> None:
    with pytest.raises(ConfigError, match=r"perturb.groups: 4 groups, but 1 scenarios fill at most 3"):
        deal(Perturb(scenarios=[Scenario(kind="deletion")], groups=4), seed=0)


def test_all_variants_share_the_runs_seed_but_the_seed_control_and_fresh_probes() -> None:
    config = Perturb(scenarios=[Scenario(kind="deletion"), Scenario(kind="deletion", training_seed="fresh")])
    seeds = {variant.name: variant.seed for variant in variants(config)}
    shared = {name for name, seed in seeds.items() if seed == 3}
    assert shared == {"clean", "identity", "rounding", "random-deletion-0.001-s0"}
    assert len({seeds["seed"], seeds["random-deletion-0.001-s0-fresh"], 3}) == 3
    assert seeds == {variant.name: variant.seed for variant in variants(config)}
    assert seeds["seed"] != {variant.name: variant.seed for variant in variants(config, seed=4)}["seed"]


def test_only_the_rounding_control_is_rounded_and_only_probes_have_a_scenario() -> None:
    assert [variant.name for variant in variants(Perturb()) if variant.rounding] == ["rounding"]
    assert all((variant.scenario == variant.name) == (variant.role == "probe") for variant in variants(Perturb()))


def test_the_edits_depend_on_the_scenario_and_not_on_the_runs_seed() -> None:
    assert plan(DATA, Perturb(), seed=0)[0].equals(plan(DATA, Perturb(), seed=1)[0])


def test_every_kind_of_edit_says_what_it_does() -> None:
    kinds = [(kind, new) for kind in ("replacement", "insertion") for new in ("random", "least_popular")]
    scenarios = [Scenario(kind=kind, share=0.05, new_item=new) for kind, new in [("deletion", "random"), *kinds]]
    table, _ = plan(DATA, Perturb(scenarios=scenarios), seed=0)
    assert table.schema.equals(EDITS_SCHEMA)
    rows = table.to_pylist()
    assert len(rows) == 5 * round(0.05 * DATA.train.sum())
    fewest = DATA.item_counts[1:].min()
    for row in rows:
        assert row["old_item"] == DATA.target_ids[row["row"]]
        assert row["user"] == DATA.user_ids[DATA.user[row["row"]]]
        assert (row["new_item"] is None) == (row["kind"] == "deletion")
        assert row["new_item"] != row["old_item"]
        if row["scenario"].endswith("least_popular"):
            assert DATA.item_counts[np.flatnonzero(DATA.item_ids == row["new_item"])[0]] == fewest


def test_a_plan_is_written_whole_into_an_empty_folder_and_read_back(tmp_path: Path) -> None:
    table, groups = plan(DATA, Perturb(groups=2), seed=5)
    out = tmp_path / "edits"
    out.mkdir()
    (tmp_path / "edits.partial-0").mkdir()  # of a run that was killed
    (tmp_path / "edits.partial-0" / "half").touch()
    write(table, groups, out)
    back, again = read(out)
    assert back.equals(table)
    assert again == groups
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["edits", "edits.parquet", "plan.json"]
