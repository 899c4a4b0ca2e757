"""Copies and broken yardsticks are refused whatever rules are configured; what is honest and alike is not."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from tests.unit.gate.made_up_run import CONTROLS, PROBES, Run, failed, judged, made_up, noise, rule

TUNED = ("clean", *PROBES, *CONTROLS)
RULES = (
    ["stability", "gain", "accuracy", "collapse", "sanity", "frozen"],
    ["stability", "accuracy", "collapse", "sanity", "frozen"],
    ["collapse"],
)
"""Quickstart's, the nightly ones, and one that looks at none of this."""


def refused(run: Run, attack: Callable[[Run], None], rules: list[str], by: str, folder: Path) -> str:
    """Attacks the run, checks that it is refused by that check, and returns what it says."""
    run.config["rules"] = rules
    attack(run)
    verdict = judged(run, folder)
    assert by in failed(verdict)
    return rule(verdict, by).sentence


def every_tuned_file_is_its_base(run: Run) -> None:
    for variant in TUNED:
        run.scores[variant, "tuned"] = run.scores[variant, "base"]


def every_tuned_file_is_the_clean_base(run: Run) -> None:
    for variant in TUNED:
        run.scores[variant, "tuned"] = run.scores["clean", "base"]


def every_tuned_file_is_the_champion(run: Run) -> None:
    for variant in TUNED:
        run.scores[variant, "tuned"] = run.scores["champion", "tuned"]


def the_candidate_is_the_champion(run: Run) -> None:
    run.scores["champion", "tuned"] = run.scores["clean", "tuned"]


def the_candidate_is_a_baseline(run: Run) -> None:
    run.scores["repeat_last", "tuned"] = run.scores["clean", "tuned"]


def all_variants_load_one_checkpoint(run: Run) -> None:
    for variant in TUNED:
        for stage in ("base", "tuned"):
            run.scores[variant, stage] = run.scores["clean", stage]


def one_probe_has_three_names(run: Run) -> None:
    for probe in PROBES:
        for stage in ("base", "tuned"):
            run.scores[probe, stage] = run.scores[PROBES[0], stage]


def two_probes_are_one_after_fine_tuning(run: Run) -> None:
    run.scores[PROBES[1], "tuned"] = run.scores[PROBES[2], "tuned"]


def a_probe_is_clean(run: Run) -> None:
    run.scores[PROBES[1], "base"] = run.scores["clean", "base"]


def the_seed_control_is_clean(run: Run) -> None:
    for stage in ("base", "tuned"):
        run.scores["seed", stage] = run.scores["clean", stage]


def the_rounding_control_is_frozen_when_it_is_fine_tuned(run: Run) -> None:
    run.scores["rounding", "tuned"] = run.scores["clean", "tuned"]


@pytest.mark.parametrize("rules", RULES, ids=["all", "nightly", "one"])
@pytest.mark.parametrize(
    "attack",
    [
        every_tuned_file_is_its_base,
        every_tuned_file_is_the_clean_base,
        every_tuned_file_is_the_champion,
        the_candidate_is_the_champion,
        the_candidate_is_a_baseline,
        all_variants_load_one_checkpoint,
        one_probe_has_three_names,
        two_probes_are_one_after_fine_tuning,
        a_probe_is_clean,
        the_seed_control_is_clean,
        the_rounding_control_is_frozen_when_it_is_fine_tuned,
    ],
)
def test_copies_are_refused_under_any_rules(attack: Callable[[Run], None], rules: list[str], tmp_path: Path) -> None:
    said = refused(made_up(champion=True), attack, rules, "sanity.copies", tmp_path)
    assert "are the same, which those of two trainings never are" in said


def the_seed_control_diverged(run: Run) -> None:
    run.scores["seed", "base"] = noise(1)


def the_seed_control_learned_popularity_alone(run: Run) -> None:
    run.scores["seed", "base"] = run.scores["popularity", "tuned"] + noise(0.01)


def the_seed_control_ranks_backwards(run: Run) -> None:
    run.scores["seed", "base"] = -run.scores["clean", "base"]


def the_rounding_control_diverged(run: Run) -> None:
    run.scores["rounding", "base"] = noise(1)


def a_probe_diverged(run: Run) -> None:
    run.scores[PROBES[0], "base"] = noise(1)


def a_control_has_seen_the_targets(run: Run) -> None:
    knows = run.scores["seed", "tuned"].copy()
    knows[np.arange(len(knows)), run.target] += 5
    run.scores["seed", "tuned"] = knows


@pytest.mark.parametrize("rules", RULES, ids=["all", "nightly", "one"])
@pytest.mark.parametrize(
    "attack",
    [
        the_seed_control_diverged,
        the_seed_control_learned_popularity_alone,
        the_seed_control_ranks_backwards,
        the_rounding_control_diverged,
        a_probe_diverged,
        a_control_has_seen_the_targets,
    ],
)
def test_a_broken_yardstick_is_said_under_any_rules(
    attack: Callable[[Run], None], rules: list[str], tmp_path: Path
) -> None:
    assert "A yardstick is broken" in refused(made_up(), attack, rules, "sanity.yardsticks", tmp_path)


def test_a_training_that_is_too_short_for_rounding_to_move_a_list_is_honest(tmp_path: Path) -> None:
    run = made_up()
    for stage in ("base", "tuned"):
        run.scores["rounding", stage] = run.scores["clean", stage] * (1 + 1e-6)
    assert not {"sanity.copies", "sanity.yardsticks"} & failed(judged(run, tmp_path))


def of_counts(run: Run, claimed: str = "memory") -> Run:
    """The run where counts alone are served, which know no seed and are not fine-tuned."""
    for variant in TUNED:
        run.scores[variant, "network"] = run.scores[variant, "base"]
    for variant in TUNED:
        edited = noise(0.02, 7 + PROBES.index(variant)) if variant in PROBES else 0
        run.scores[variant, "base"] = run.scores["clean", "network"] + 0.01 + edited
        run.scores[variant, "tuned"] = run.scores[variant, "base"]
        run.described |= {(variant, stage): {"served": claimed} for stage in ("base", "tuned")}
    return run


def test_counts_that_are_served_alone_are_no_copies_where_the_network_was_trained(tmp_path: Path) -> None:
    assert not {"sanity.copies", "sanity.yardsticks"} & failed(judged(of_counts(made_up()), tmp_path))


def test_lists_that_say_they_are_of_a_stack_may_not_be_the_same(tmp_path: Path) -> None:
    assert "sanity.copies" in failed(judged(of_counts(made_up(), "stack"), tmp_path))


def test_counts_do_not_excuse_a_network_that_was_not_trained(tmp_path: Path) -> None:
    run = of_counts(made_up())
    run.scores["seed", "network"] = run.scores["clean", "network"]
    assert "sanity.copies" in failed(judged(run, tmp_path))


def test_counts_that_say_so_without_their_network_are_refused(tmp_path: Path) -> None:
    run = of_counts(made_up())
    run.scores = {name: scores for name, scores in run.scores.items() if name[1] != "network"}
    assert "sanity.copies" in failed(judged(run, tmp_path))


@pytest.mark.parametrize("claimed", ["memory", "stack"])
def test_counts_of_the_champions_own_rows_are_nothing_new_and_that_is_said(claimed: str, tmp_path: Path) -> None:
    run = of_counts(made_up(champion=True))
    run.scores["champion", "tuned"] = run.scores["clean", "tuned"]
    run.described["champion", "tuned"] = {"served": claimed}
    sentence = rule(judged(run, tmp_path), "sanity.copies").sentence
    assert ("There is nothing new to promote" in sentence) == (claimed == "memory")
    assert ("one was copied, or both were taken" in sentence) == (claimed == "stack")


def test_counts_that_do_not_follow_the_probes_edits_are_copies(tmp_path: Path) -> None:
    run = of_counts(made_up())
    for variant in PROBES:
        for stage in ("base", "tuned"):
            run.scores[variant, stage] = run.scores["clean", "base"]
    assert "sanity.copies" in failed(judged(run, tmp_path))


def test_scores_that_are_no_numbers_are_refused_under_any_rules(tmp_path: Path) -> None:
    run = made_up()
    run.scores["clean", "tuned"][0, :] = np.inf
    run.config["rules"] = ["collapse"]
    assert "sanity.finite" in failed(judged(run, tmp_path))
