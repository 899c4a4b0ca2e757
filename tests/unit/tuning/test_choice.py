"""Which trial is chosen, what the front is, and what page and table say."""

import csv
import io

from finest.perturb.config import Scenario
from finest.tuning.page import page, sentence, table
from finest.tuning.trial import Trial, choose, front


def made(*measured: tuple[float, float], error: float = 0.01) -> list[Trial]:
    """Finished trials with MRR and RBO."""
    return [
        Trial(
            number=number,
            values={"pretrain.lr": 0.001 * (number + 1)},
            state="finished",
            mrr=mrr,
            standard_error=error,
            rbo=rbo,
            served="network",
        )
        for number, (mrr, rbo) in enumerate(measured)
    ]


def test_the_most_stable_of_those_within_a_standard_error_of_the_best_is_chosen() -> None:
    assert choose(made((0.10, 0.7), (0.12, 0.6), (0.115, 0.8), (0.105, 0.95))).number == 2
    assert choose(made((0.10, 0.7), (0.12, 0.6), (0.115, 0.8), (0.105, 0.95), error=0.02)).number == 3
    assert choose(made((0.10, 0.7), (0.12, 0.6), (0.115, 0.8), error=0.0)).number == 1


def test_what_is_as_stable_is_chosen_by_accuracy_then_by_who_came_first() -> None:
    assert choose(made((0.10, 0.8), (0.105, 0.8), (0.105, 0.8))).number == 1


def test_a_trial_that_was_pruned_or_failed_is_never_chosen() -> None:
    others = [Trial(number=9, values={}, state=state, rungs={4: 0.9}) for state in ("pruned", "failed")]
    trials = [*made((0.1, 0.5)), *others]
    assert choose(trials).number == 0 and [one.number for one in front(trials)] == [0]


def test_the_front_has_what_no_other_trial_beats_in_both() -> None:
    assert [one.number for one in front(made((0.10, 0.9), (0.12, 0.6), (0.11, 0.6), (0.12, 0.5), (0.09, 0.9)))] == [
        1,
        0,
    ]


def test_page_and_table_begin_with_the_config_itself() -> None:
    trials = made((0.10, 0.7), (0.12, 0.6), (0.115, 0.8))
    rows = list(csv.DictReader(io.StringIO(table(trials))))
    assert [(row["trial"], row["chosen"], row["pareto"]) for row in rows] == [
        ("0", "0", "0"),
        ("1", "0", "1"),
        ("2", "1", "1"),
    ]
    lines = page(trials, Scenario(kind="deletion"), "clicks").splitlines()
    first = next(number for number, line in enumerate(lines) if line.startswith("|---"))
    assert lines[first + 1].startswith("| 0 (the config itself) | 0.1000 | 0.0100 | 0.7000 |")
    assert lines[first + 2].startswith("| 2 (**chosen**, front) |")
    assert "(0.1200, trial 1) less its standard error (0.0100)" in "\n".join(lines)


def test_where_nothing_is_better_the_config_itself_is_chosen_and_said() -> None:
    assert sentence(made((0.12, 0.9), (0.12, 0.8))).startswith("No trial is more stable than the config itself")
