"""The formula of each step's memory against what whole runs took (docs/sizing.md, Memory of every step)."""

import pytest

from finest.data.check.memory import Size, steps_gib

ROWS_5K, ROWS_100K, ROWS_25K, ROWS_20M = (
    Size(rows, rows - held_out, 1_000, held_out, 100, 30, 20, 100)
    for rows, held_out in ((1e6, 5e3), (1e6, 1e5), (5e6, 25e3), (20e6, 1e5))
)
MEASURED = {
    "ingest": {ROWS_5K: 0.61, ROWS_100K: 0.61, ROWS_25K: 0.86, ROWS_20M: 1.65},
    "champion": {ROWS_5K: 0.85, ROWS_100K: 0.93, ROWS_25K: 1.63, ROWS_20M: 3.22},
    "perturb": {ROWS_5K: 0.54, ROWS_100K: 0.54, ROWS_25K: 0.99, ROWS_20M: 2.59},
    "calibrate": {ROWS_5K: 1.29, ROWS_100K: 1.27, ROWS_25K: 2.17, ROWS_20M: 5.74},
    "pretrain": {ROWS_5K: 0.89, ROWS_100K: 1.00, ROWS_25K: 1.98},
    "finetune": {ROWS_5K: 0.56, ROWS_100K: 0.77, ROWS_25K: 2.21},
    "gate": {ROWS_100K: 2.03},
}
"""GiB. A million rows under 5,000 and 100,000 lists, 5 M under 25,000, 20 M under 100,000."""


@pytest.mark.parametrize("step", MEASURED)
def test_a_step_takes_about_what_the_formula_says(step: str) -> None:
    for size, gib in MEASURED[step].items():
        assert 0.95 <= steps_gib(size)[step] / gib <= 1.3


def test_more_of_anything_never_takes_less() -> None:
    small = steps_gib(Size(1e6, 9e5, 1_000, 1e5, 100, 30, 20, 100))
    large = steps_gib(Size(2e6, 18e5, 2_000, 2e5, 200, 60, 40, 200))
    assert all(large[step] > small[step] for step in small)
