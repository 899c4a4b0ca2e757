from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import Field, ValidationError

from components.sections import parse
from finest.data.dataset import Dataset, Ints
from finest.errors import ConfigError, FinestError
from finest.perturb.config import Perturb, Scenario
from finest.perturb.edits import EDITS_SCHEMA
from finest.perturb.plan import Variant, deal, plan, read_plan, write_plan
from finest.perturb.registry import EDITS, FAMILIES, NEW_ITEMS, Family, Options
from tests.builders import written_dataset

DATA = written_dataset(
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
    assert min(sizes) >= 2 and sum(sizes) == config.trainings
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


@pytest.mark.parametrize("family", list(FAMILIES))
@pytest.mark.parametrize("kind", list(EDITS))
def test_the_edits_depend_on_the_scenario_and_not_on_the_runs_seed(family: str, kind: str) -> None:
    options: dict[str, dict[str, object]] = {
        "casper": {"look_back": 5},
        "cold_start": {"max_interactions": 12},
        "sessions": {"gap_minutes": 1e-9},
    }
    named = {"name": family, **options.get(family, {})}
    scenarios = [Scenario(family=named, kind=kind, share=0.02, seed=seed) for seed in range(2)]
    config = Perturb(scenarios=scenarios)
    table, _ = plan(DATA, config, seed=0)
    assert table.equals(plan(DATA, config, seed=1)[0])
    assert DATA.train[table.column("row").to_numpy()].all()


class Middle(Family):
    """A family of another package, with an option of its own."""

    class Config(Options):
        skip: int = 1

    config: Config

    def select(self, data: Dataset, count: int, generator: np.random.Generator) -> Ints:
        return np.flatnonzero(data.train)[self.config.skip :][:count]


def test_a_family_of_another_package_is_planned_like_our_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(FAMILIES._things, "middle", Middle)
    config = parse(
        Perturb,
        {"scenarios": [{"family": {"name": "middle", "skip": 5}, "kind": "deletion", "share": 0.01}]},
        "perturb",
    )
    table, planned = plan(DATA, config, seed=0)
    assert table.column("row").to_pylist() == [5, 6]
    assert set(table.column("scenario").to_pylist()) == {"middle-deletion-0.01-s0-skip5"}
    assert planned.groups[0].variants[-1].name == "middle-deletion-0.01-s0-skip5"


def test_a_family_that_does_not_select_different_training_rows_is_at_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    class Broken(Middle):
        def select(self, data: Dataset, count: int, generator: np.random.Generator) -> Ints:
            return np.flatnonzero(~data.train)[:count]

    monkeypatch.setitem(FAMILIES._things, "broken", Broken)
    with pytest.raises(FinestError, match="family broken is at fault: it did not select 2 different training rows"):
        plan(DATA, Perturb(scenarios=[Scenario(family="broken", kind="deletion", share=0.01)]), seed=0)


def test_every_kind_of_edit_says_what_it_does() -> None:
    new_items = [{"name": kind, "new_item": new} for kind in ("replacement", "insertion") for new in NEW_ITEMS]
    scenarios = [Scenario(kind=kind, share=0.05) for kind in ("deletion", *new_items)]
    table, _ = plan(DATA, Perturb(scenarios=scenarios), seed=0)
    assert table.schema.equals(EDITS_SCHEMA)
    rows = table.to_pylist()
    assert len(rows) == len(scenarios) * round(0.05 * DATA.train.sum())
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
    write_plan(table, groups, out)
    back, again = read_plan(out)
    assert back.equals(table)
    assert again == groups
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["digests.json", "edits", "edits.parquet", "plan.json"]


@pytest.mark.parametrize(
    ("scenario", "name"),
    [
        ({"kind": "deletion"}, "random-deletion-0.001-s0"),
        ({"kind": {"name": "replacement", "new_item": "random"}}, "random-replacement-0.001-s0"),
        ({"kind": {"name": "insertion", "new_item": "least_popular"}}, "random-insertion-0.001-s0-least_popular"),
        ({"family": "latest", "kind": "deletion", "seed": 3, "share": 0.05}, "latest-deletion-0.05-s3"),
        ({"family": {"name": "casper", "look_back": 50}, "kind": "deletion"}, "casper-deletion-0.001-s0"),
        (
            {
                "family": {"name": "casper", "look_back": 20.0},
                "kind": {"name": "insertion", "new_item": "least_popular"},
                "training_seed": "fresh",
            },
            "casper-insertion-0.001-s0-look_back20-least_popular-fresh",
        ),
    ],
)
def test_a_scenario_is_named_after_all_that_it_does(scenario: dict[str, object], name: str) -> None:
    assert Scenario.model_validate(scenario).name == name
    assert Scenario.model_validate(Scenario.model_validate(scenario).model_dump(mode="json")).name == name


def test_options_that_make_a_name_which_no_file_can_have_are_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    class Where(Options):
        name: str = "where"
        users: list[int] = Field(default=[])

    list(FAMILIES)
    monkeypatch.setitem(FAMILIES._things, "where", type("Where", (FAMILIES["random"],), {"Config": Where}))
    with pytest.raises(ValidationError, match=r"make the name where-deletion-0.001-s0-users\[1, 2\], which files and"):
        Scenario.model_validate({"family": {"name": "where", "users": [1, 2]}, "kind": "deletion"})


def test_two_scenarios_of_a_family_may_differ_in_its_options_alone() -> None:
    scenarios = [{"family": {"name": "casper", "look_back": steps}, "kind": "deletion"} for steps in (20, 50)]
    assert len({scenario.name for scenario in Perturb.model_validate({"scenarios": scenarios}).scenarios}) == 2
    with pytest.raises(ValidationError, match=r"two scenarios are the same: casper-deletion-0.001-s0-look_back20"):
        Perturb.model_validate({"scenarios": [scenarios[0], *scenarios]})


@pytest.mark.parametrize(
    ("scenario", "said"),
    [
        ({"family": "middle", "kind": "deletion"}, r"perturb.scenarios.1.family.*no perturbation family called middle"),
        ({"kind": "swap"}, r"perturb.scenarios.1.kind.*there is no kind of edit called swap"),
        ({"kind": {"name": "deletion", "new_item": "random"}}, r"perturb.scenarios.1.kind.new_item: there is no such"),
        (
            {"kind": {"name": "insertion", "new_item": "new"}},
            r"no choice of new items called new; there are least_popular, random",
        ),
        ({"family": {"name": "random", "look_back": 20}, "kind": "deletion"}, r"1.family.look_back: there is no such"),
        (
            {"family": {"name": "casper", "lookback": 9}, "kind": "deletion"},
            r"did you mean perturb.scenarios.family.look_back",
        ),
        ({"family": {"name": "casper", "look_back": 1}, "kind": "deletion"}, r"1.family.look_back = 1: must be .* 2"),
    ],
)
def test_a_name_or_an_option_that_there_is_not_is_an_error_of_the_config(scenario: object, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        parse(Perturb, {"scenarios": [{"kind": "deletion"}, scenario]}, "perturb")


@pytest.mark.parametrize(
    ("section", "said"),
    [
        (
            {"look_back": 20},
            r"perturb.look_back is now an option of its family, as in family: {name: casper, look_back: 50}",
        ),
        (
            {"scenarios": [{"kind": "insertion", "new_item": "random"}]},
            "perturb.scenarios.0.new_item is now an option of its kind, as in kind: {name: insertion",
        ),
    ],
)
def test_keys_of_earlier_versions_are_told_where_they_are_now(section: dict[str, object], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        parse(Perturb, section, "perturb")
