"""A run in which every rule holds passes; each rule alone refuses what it is there to refuse."""

import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from finest.errors import DataError
from finest.gate.config import Gate
from finest.gate.judge import judge
from finest.ranklists import file
from finest.testing.rank_lists import ITEMS, Run
from tests.unit.gate.made_up_run import CONTROLS, EACH, PROBES, USERS, failed, judged, made_up, noise, rule

TUNED = ("clean", *PROBES, *CONTROLS)


def test_a_first_model_passes_and_rules_about_a_champion_do_not_apply(tmp_path: Path) -> None:
    verdict = judged(made_up(), tmp_path)
    assert verdict.verdict == "pass"
    absent = {result.name for result in verdict.rules if result.status == "not applicable"}
    about_a_champion = {
        "segments.apart",
        "jump",
        "accuracy.champion",
        "frozen.new_data",
        "churn.rbo",
        "trend",
        "segments.champion",
    }
    assert absent == about_a_champion | {"sanity.age", "sanity.new_data", "collapse.baselines", "jump.simple"}
    assert any("There is no champion" in note for note in verdict.notes)
    assert not any(name.startswith("churn") for name in verdict.metrics)


def test_a_model_after_a_champion_passes_all_rules(tmp_path: Path) -> None:
    verdict = judged(made_up(champion=True), tmp_path)
    assert verdict.verdict == "pass"
    assert {result.name for result in verdict.rules if result.status == "not applicable"} == {
        "sanity.age",
        "sanity.new_data",
        "collapse.baselines",
        "trend",  # no history was given
        "jump.simple",
    }
    assert 0 < verdict.metrics["churn/rbo"] < 1


def test_no_rules_never_pass(tmp_path: Path) -> None:
    run = made_up()
    run.config["rules"] = []
    verdict = judged(run, tmp_path)
    assert (verdict.verdict, verdict.rules) == ("fail", [])
    assert "No rule is configured" in verdict.reason


def test_stability_refuses_lists_that_edits_move_far(tmp_path: Path) -> None:
    run = made_up()
    for seed, probe in enumerate(PROBES):
        run.scores[probe, "base"] = run.scores["clean", "base"] + noise(0.7, seed)
        run.scores[probe, "tuned"] = run.scores["clean", "tuned"] + noise(0.5, seed)
    names = {"stability.rbo", "stability.worst_rbo", "stability.jaccard_at_10", "stability.worst_jaccard_at_10"}
    assert failed(judged(run, tmp_path)) == names


@pytest.mark.parametrize(("size", "said"), [(1e-4, True), (0.05, False)])
def test_where_rounding_hardly_moves_a_network_the_scale_is_said_to_ask_more(
    tmp_path: Path, size: float, said: bool
) -> None:
    run = made_up()
    run.scores["rounding", "base"] = run.scores["clean", "base"] + noise(size)
    for seed, probe in enumerate(PROBES):
        run.scores[probe, "tuned"] = run.scores["clean", "tuned"] + noise(0.5, seed)
    verdict = judged(run, tmp_path)
    assert (verdict.metrics["ceiling/rbo"] > 0.98) is said
    for name, option in {"rbo": "min_rls_above_floor", "worst_rbo": "min_worst_rls_above_floor"}.items():
        todo = rule(verdict, f"stability.{name}").todo
        assert "give FINEST more weight" in todo and (f"set gate.{option} for this network" in todo) is said


@pytest.mark.parametrize(
    ("option", "bound", "name"),
    [
        ("min_rls_rbo", 0.93, "stability.rbo_absolute"),
        ("min_rls_jaccard", 0.9, "stability.jaccard_at_10_absolute"),
        ("min_worst_rls_rbo", 0.94, "stability.worst_rbo_absolute"),
        ("min_rls_above_floor", 0.99, "stability.rbo"),
        ("min_worst_rls_above_floor", 0.99, "stability.worst_rbo"),
    ],
)
def test_stability_holds_every_bound_that_is_set_and_names_it(
    tmp_path: Path, option: str, bound: float, name: str
) -> None:
    run = made_up()
    run.config[option] = bound
    verdict = judged(run, tmp_path)
    assert name in failed(verdict)
    assert all(result.rule == "stability" for result in verdict.rules if result.status == "fail")
    assert f"gate.{option}" in verdict.reason


def test_stability_without_any_bound_is_no_free_pass(tmp_path: Path) -> None:
    run = made_up()
    run.config |= {"min_rls_above_floor": "off", "min_worst_rls_above_floor": "off"}
    assert failed(judged(run, tmp_path)) == {"stability"}


def test_stability_is_not_judged_on_fewer_than_three_scenarios(tmp_path: Path) -> None:
    run = made_up()
    for stage in ("base", "tuned"):
        del run.scores[PROBES[0], stage]
    verdict = judged(run, tmp_path)
    assert failed(verdict) == {"stability"}
    assert "perturb.scenarios" in rule(verdict, "stability").todo


def test_stability_is_not_judged_where_rounding_costs_as_much_as_another_seed(tmp_path: Path) -> None:
    run = made_up()
    run.scores["rounding", "base"] = run.scores["clean", "base"] + noise(0.9)
    verdict = judged(run, tmp_path)
    assert "is not above the noise floor" in rule(verdict, "stability.rbo").sentence
    assert {"stability.rbo", "stability.worst_rbo"} <= failed(verdict)


def test_the_scale_is_that_of_the_network_alone_where_counts_stand_beside_it(tmp_path: Path) -> None:
    run = made_up()
    (tmp_path / "beside").mkdir()
    plain = judged(run, tmp_path)
    for variant, stage in list(run.scores):
        if stage == "base":
            run.scores[variant, "network"] = run.scores[variant, "base"]
            run.scores[variant, "base"] = run.scores[variant, "tuned"]
    verdict = judged(run, tmp_path / "beside")
    for yardstick in ("noise_floor/rbo", "ceiling/rbo", "noise_floor/jaccard_at_10", "ceiling/jaccard_at_10"):
        assert verdict.metrics[yardstick] == plain.metrics[yardstick]
    assert verdict.metrics["rls_network/rbo"] == plain.metrics["rls_unstabilised/rbo"]
    assert verdict.metrics["accuracy_network/mrr"] == plain.metrics["accuracy_base/mrr"]
    assert rule(verdict, "stability.rbo").bound == rule(plain, "stability.rbo").bound


def test_lists_of_the_network_alone_are_needed_of_all_variants_or_of_none(tmp_path: Path) -> None:
    run = made_up()
    for variant in ("clean", "rounding"):
        run.scores[variant, "network"] = run.scores[variant, "base"]
    with pytest.raises(DataError, match="lists of stage network are missing"):
        judged(run, tmp_path)


def test_churn_holds_an_absolute_bound_where_told_to(tmp_path: Path) -> None:
    run = made_up(champion=True)
    run.config["min_churn_rbo"] = 0.999
    assert failed(judged(run, tmp_path)) == {"churn.absolute"}
    first = made_up()
    first.config["min_churn_rbo"] = 0.999
    assert rule(judged(first, tmp_path), "churn.rbo").status == "not applicable"


def test_churn_refuses_lists_that_users_see_change_more_than_another_seed_would(tmp_path: Path) -> None:
    run = made_up(champion=True)
    run.scores["champion", "tuned"] = run.scores["seed", "base"] + noise(0.05)
    verdict = judged(run, tmp_path)
    assert "churn.rbo" in failed(verdict)
    assert verdict.rules[0].name == "churn.rbo" and "finetune.reference" in verdict.rules[0].todo
    run.config["max_churn_over_seed"] = "off"
    assert rule(judged(run, tmp_path), "churn.rbo").status == "not applicable"


def test_churn_cannot_be_judged_without_another_seed(tmp_path: Path) -> None:
    run = made_up(champion=True)
    run.config["rules"] = ["churn"]
    for variant in CONTROLS:
        del run.scores[variant, "base"], run.scores[variant, "tuned"]
    assert failed(judged(run, tmp_path)) == {"churn.rbo"}
    run.config |= {"max_churn_over_seed": "off", "min_churn_rbo": 0.1}
    assert failed(judged(run, tmp_path)) == set()


def test_gain_refuses_fine_tuning_that_lowers_stability(tmp_path: Path) -> None:
    run = made_up()
    for seed, probe in enumerate(PROBES):
        run.scores[probe, "base"] = run.scores["clean", "base"] + noise(0.05, seed)
    assert failed(judged(run, tmp_path)) == {"gain.rbo", "gain.jaccard_at_10"}


def test_accuracy_refuses_a_candidate_worse_than_its_base(tmp_path: Path) -> None:
    run = made_up()
    for variant in TUNED:
        run.scores[variant, "base"][np.arange(USERS * EACH), run.target] += 0.4
    verdict = judged(run, tmp_path)
    assert failed(verdict) == {"accuracy.base"}
    found = rule(verdict, "accuracy.base")
    assert found.power is not None and found.power.fails_by == "level" and "finetune.alpha" in found.todo


def test_accuracy_refuses_a_candidate_worse_than_the_champion(tmp_path: Path) -> None:
    run = made_up(champion=True)
    run.scores["champion", "tuned"][np.arange(USERS * EACH), run.target] += 1
    assert failed(judged(run, tmp_path)) == {"accuracy.champion"}


def test_accuracy_against_the_champion_counts_only_instances_after_its_cut(tmp_path: Path) -> None:
    run = made_up(champion=True)
    assert run.after_cut is not None
    known = np.arange(USERS * EACH) % EACH == 0
    run.after_cut[known] = False
    run.scores["champion", "tuned"][known, run.target[known]] += 100  # it was trained on them
    verdict = judged(run, tmp_path)
    assert verdict.verdict == "pass"
    assert any(
        f"on {2 * USERS} instances; left out are {USERS} before its own cut and 0 with a target" in note
        for note in verdict.notes
    )
    run.after_cut[:] = False
    verdict = judged(run, tmp_path)
    assert failed(verdict) == {"accuracy.champion"} and "gate.min_users" in verdict.reason


def test_collapse_refuses_lists_that_cover_less_of_the_catalogue(tmp_path: Path) -> None:
    run = made_up()
    run.config["min_coverage_ratio"] = 1.0
    for variant in TUNED:
        run.scores[variant, "tuned"][:, -1] -= 100
    assert failed(judged(run, tmp_path)) == {"collapse.coverage"}


def test_collapse_refuses_users_that_get_the_same_lists(tmp_path: Path) -> None:
    run = made_up()
    for variant in TUNED:
        run.scores[variant, "tuned"][:, :4] += 1
    run.config |= {"max_accuracy_drop_base": 0.5, "min_plasticity": 0.5}
    assert failed(judged(run, tmp_path)) == {"collapse.overlap"}


def without(run: Run, item: int, variants: Sequence[str] = TUNED, stage: str = "tuned") -> Run:
    """The run with an item that stands in no list of some variants, as a filter leaves it out."""
    for variant in variants:
        run.scores[variant, stage][:, item] -= 100
    run.config |= {"max_accuracy_drop_base": 0.5, "max_accuracy_drop_champion": 0.5, "max_segment_drop": 0.9}
    run.config |= {"max_churn_over_seed": "off", "max_flips_above_seed": 0.5, "min_users": 10}
    return run


@pytest.mark.parametrize("champion", [False, True])
def test_collapse_refuses_lists_from_which_an_item_has_vanished_that_many_were_shown(
    tmp_path: Path, champion: bool
) -> None:
    verdict = judged(without(made_up(champion), item=2), tmp_path)
    assert failed(verdict) == {"collapse.vanished"}
    found = rule(verdict, "collapse.vanished")
    assert (found.value, found.bound) == (0.0, 0.25) and "1 is shown to fewer than 25% as many" in found.sentence
    assert re.search(r"item i2: \d+ users, and 0 by the candidate\.", found.sentence) and "a filter" in found.todo


def pushed(run: Run, item: int, variants: Sequence[str] = TUNED, stage: str = "tuned") -> Run:
    """The run with an item at the first place of 20 users' lists of some variants."""
    for variant in variants:
        run.scores[variant, stage][: 20 * EACH, item] += 1000
    return run


def unknown(item: int) -> Run:
    """A run of which no model shows an item."""
    run = made_up(champion=True)
    for variants, stage in ((TUNED, "tuned"), (TUNED, "base"), (["champion"], "tuned")):
        without(run, item, variants, stage)
    return run


def test_collapse_refuses_lists_that_have_lost_several_items_which_few_users_were_shown(tmp_path: Path) -> None:
    run = made_up()
    shown = np.bincount(np.argsort(-run.scores["clean", "base"], axis=1)[:, :10].ravel(), minlength=ITEMS)
    for variant in TUNED:
        run.scores[variant, "tuned"][:, np.argsort(shown)[:4]] -= 100
    found = rule(judged(run, tmp_path), "collapse.lost")
    assert found.status == "fail" and "4 are in no top 10 of the candidate" in found.sentence
    assert found.option == "gate.min_item_ratio"


def test_collapse_refuses_lists_into_which_an_item_was_pushed(tmp_path: Path) -> None:
    found = rule(judged(pushed(unknown(2), 2), tmp_path), "collapse.pushed")
    assert (found.status, found.value, found.bound) == ("fail", 0.0, 0.25)
    assert "1 is shown to fewer than 25% as many by the base model and the champion; " in found.sentence
    assert "item i2: 20 users, and 0 by the base model and the champion." in found.sentence
    assert "a campaign" in found.todo


def test_an_item_that_the_champion_or_the_base_model_shows_too_is_not_pushed(tmp_path: Path) -> None:
    known = pushed(pushed(unknown(2), 2), 2, ["champion"])
    favoured = pushed(pushed(unknown(2), 2), 2, TUNED, "base")
    for run in (known, favoured):
        assert rule(judged(run, tmp_path), "collapse.pushed").status == "pass"


def test_an_item_that_the_champion_does_not_show_or_few_were_shown_may_vanish(tmp_path: Path) -> None:
    new = without(without(made_up(champion=True), item=2), 2, ["champion"])
    assert rule(judged(new, tmp_path), "collapse.vanished").status == "pass"
    old = without(without(made_up(champion=True), item=2), 2, TUNED, "base")
    assert rule(judged(old, tmp_path), "collapse.vanished").status == "pass"
    few = without(made_up(), item=2)
    few.config |= {"min_users": 90}
    assert rule(judged(few, tmp_path), "collapse.vanished").status == "not applicable"


def test_that_an_item_vanishes_can_be_left_out_of_the_rule(tmp_path: Path) -> None:
    run = without(made_up(), item=2)
    run.config["min_item_ratio"] = "off"
    assert not failed(judged(run, tmp_path))


@pytest.mark.parametrize("baseline", ["popularity", "repeat_last"])
def test_collapse_refuses_a_candidate_that_a_baseline_equals(tmp_path: Path, baseline: str) -> None:
    run = made_up()
    run.scores[baseline, "tuned"] = run.scores["clean", "tuned"]
    assert failed(judged(run, tmp_path)) >= {f"collapse.{baseline}", "sanity.copies"}


@pytest.mark.parametrize("stage", ["base", "tuned"])
def test_sanity_refuses_training_that_gives_one_other_list_the_second_time(tmp_path: Path, stage: str) -> None:
    run = made_up()
    best = np.argsort(-run.scores["identity", stage][17])
    run.scores["identity", stage][17, best[18:20]] = run.scores["identity", stage][17, best[[19, 18]]]
    verdict = judged(run, tmp_path)
    assert failed(verdict) == {"sanity.identity"}
    assert "Training is not reproducible" in verdict.reason


def test_sanity_refuses_scores_that_are_no_numbers(tmp_path: Path) -> None:
    run = made_up()
    run.write(tmp_path)
    path = tmp_path / "tuned" / f"{PROBES[1]}.parquet"
    lists = file.read(path)
    lists.scores[3, 5] = np.nan
    file.write(lists, path)
    verdict = judge([tmp_path], Gate())
    assert failed(verdict) == {"sanity.finite"}
    assert f"probe, {PROBES[1]}, tuned, group 0, anchored" in verdict.reason


def test_numbers_that_cannot_be_formed_refuse_and_do_not_crash(tmp_path: Path) -> None:
    made_up(champion=True).write(tmp_path)
    for path in tmp_path.rglob("*.parquet"):  # no target can be ranked: ratios of 0 to 0
        lists = file.read(path)
        unknown = np.full(len(lists), "unknown", dtype=object)
        file.write(replace(lists, target=unknown, target_rank=np.full(len(lists), np.nan)), path)
    verdict = judge([tmp_path], Gate())
    assert failed(verdict) >= {"accuracy.base", "accuracy.champion"}
    assert rule(verdict, "accuracy.base").value is None


def test_sanity_refuses_the_champions_own_data_where_new_data_is_required(tmp_path: Path) -> None:
    run = made_up(champion=True)
    run.config["require_new_data"] = True
    assert judged(run, tmp_path).verdict == "pass"
    run.described["champion", "tuned"] = {"data_fingerprint": "today"}
    assert failed(judged(run, tmp_path)) == {"sanity.new_data"}
    run.described["champion", "tuned"] = {"data_fingerprint": None}
    assert failed(judged(run, tmp_path)) == {"sanity.new_data"}


def test_sanity_cannot_judge_an_age_without_the_data(tmp_path: Path) -> None:
    run = made_up()
    run.config["max_age_hours"] = 24.0
    assert failed(judged(run, tmp_path)) == {"sanity.age"}


def test_frozen_refuses_a_candidate_that_copies_its_base(tmp_path: Path) -> None:
    run = made_up()
    for variant in ("clean", "identity"):
        run.scores[variant, "tuned"] = run.scores["clean", "base"]
    for seed, variant in enumerate((*PROBES, "rounding", "seed")):
        size = {"rounding": 0.04, "seed": 0.4}.get(variant, 0.1)
        run.scores[variant, "tuned"] = run.scores["clean", "base"] + noise(size, seed)
    run.config["max_accuracy_drop_base"] = 0.03
    assert failed(judged(run, tmp_path)) == {"frozen.reference", "sanity.copies"}


def test_frozen_refuses_a_candidate_that_copies_the_champion_it_keeps_the_lists_of(tmp_path: Path) -> None:
    run = made_up(champion=True)
    run.scores["champion", "tuned"] = run.scores["clean", "tuned"]
    run.described = {(variant, "tuned"): {"reference": "champion/3"} for variant in TUNED}
    verdict = judged(run, tmp_path)
    assert failed(verdict) == {"frozen.reference", "sanity.copies", "segments.odd"}
    assert "champion/3" in verdict.reason


def test_frozen_refuses_a_candidate_that_ignores_new_history(tmp_path: Path) -> None:
    run = made_up()
    for variant in TUNED:
        mean = run.scores[variant, "tuned"].reshape(USERS, EACH, -1).mean(axis=1)
        run.scores[variant, "tuned"] = np.repeat(mean, EACH, axis=0)
    verdict = judged(run, tmp_path)
    assert verdict.metrics["plasticity"] == 0
    assert failed(verdict) == {"frozen.plasticity", "segments.odd"}


def test_frozen_refuses_probes_that_edits_cost_less_than_rounding(tmp_path: Path) -> None:
    run = made_up()
    for seed, probe in enumerate(PROBES):  # near copies; those that are the same are the rule sanity's
        run.scores[probe, "tuned"] = run.scores["clean", "tuned"] + noise(0.001, seed)
    assert failed(judged(run, tmp_path)) == {"frozen.ceiling"}


def test_frozen_refuses_a_candidate_that_gives_up_what_its_base_gains_on_new_data(tmp_path: Path) -> None:
    run = made_up(champion=True)
    champion, base = run.scores["champion", "tuned"], run.scores["clean", "base"]
    for seed, variant in enumerate(TUNED):
        size = {"clean": 0, "identity": 0, "rounding": 0.04, "seed": 0.4}.get(variant, 0.1)
        run.scores[variant, "tuned"] = 0.9 * champion + 0.1 * base + noise(size, seed)
    run.config |= {"max_accuracy_drop_base": 0.9, "min_plasticity": 0}
    assert failed(judged(run, tmp_path)) == {"frozen.new_data"}


def of_one_instance(run: Run) -> Run:
    """The same run with each user's last instance alone, as leave-one-out holds out."""
    run.each = 1
    run.target = run.target[EACH - 1 :: EACH]
    run.scores = {name: scores[EACH - 1 :: EACH] for name, scores in run.scores.items()}
    run.after_cut = None if run.after_cut is None else run.after_cut[EACH - 1 :: EACH]
    return run


def test_plasticity_is_not_applicable_where_users_have_one_instance_and_the_other_checks_go_on(tmp_path: Path) -> None:
    verdict = judged(of_one_instance(made_up()), tmp_path)
    assert verdict.verdict == "pass" and "plasticity" not in verdict.metrics
    assert rule(verdict, "frozen.plasticity").status == "not applicable"
    assert {rule(verdict, name).status for name in ("frozen.reference", "frozen.ceiling")} == {"pass"}


def test_a_copy_of_the_champion_is_refused_where_plasticity_is_not_applicable(tmp_path: Path) -> None:
    run = made_up(champion=True)
    run.scores["champion", "tuned"] = run.scores["clean", "tuned"]
    run.described = {(variant, "tuned"): {"reference": "champion/3"} for variant in TUNED}
    refused = failed(judged(of_one_instance(run), tmp_path))
    assert refused == {"frozen.reference", "sanity.copies", "segments.odd"}


def test_variants_that_copy_each_other_are_refused_where_plasticity_is_not_applicable(tmp_path: Path) -> None:
    run = made_up()
    for seed, probe in enumerate(PROBES):  # near copies; those that are the same are the rule sanity's
        run.scores[probe, "tuned"] = run.scores["clean", "tuned"] + noise(0.001, seed)
    assert failed(judged(of_one_instance(run), tmp_path)) == {"frozen.ceiling"}


def test_lists_that_stopped_with_an_older_history_are_refused_where_plasticity_is_not_applicable(
    tmp_path: Path,
) -> None:
    run = made_up()
    for variant in TUNED:  # what the user's first instance was given, at the last one
        old = run.scores[variant, "tuned"][::EACH]
        run.scores[variant, "tuned"] = np.repeat(old, EACH, axis=0)
    assert failed(judged(of_one_instance(run), tmp_path)) >= {"accuracy.base"}


def test_counts_alone_which_know_no_rounding_have_no_noise_of_training(tmp_path: Path) -> None:
    run = made_up()
    for variant in ("clean", *PROBES, *CONTROLS):
        run.scores[variant, "network"] = run.scores[variant, "base"]
        served = run.scores["clean" if variant in CONTROLS else variant, "tuned"]
        run.scores[variant, "base"] = run.scores[variant, "tuned"] = served
        for stage in ("base", "tuned"):
            run.described[variant, stage] = {"served": "memory"}
    verdict = judged(run, tmp_path)
    assert verdict.metrics["training_noise/tuned/rbo"] == verdict.metrics["training_noise/gain/rbo"] == 0
    assert (rule(verdict, "gain.rbo").value, rule(verdict, "gain.rbo").status) == (0, "pass")
    assert verdict.verdict == "pass"
