"""The matrix of faults: its page is of its results, and every fault can strike somewhere."""

import json

from tests.faults.__main__ import FAULTS, PAGE, RESULTS
from tests.faults.fault import INPUTS
from tests.faults.night import STEPS
from tests.faults.page import page


def test_the_page_is_of_the_results_and_no_cell_of_it_is_wrong() -> None:
    results = json.loads(RESULTS.read_text())
    assert PAGE.read_text() == page(results, list(FAULTS.values()))
    assert [one for one in results if one["outcome"] in ("WRONG", "not struck")] == []
    assert {(one["fault"], one["step"]) for one in results} <= {
        (name, step) for name, fault in FAULTS.items() for step in fault.steps
    }


def test_the_steps_are_those_of_the_pipeline() -> None:
    from pipeline.policy import EXPERIMENT, POLICIES

    assert set(STEPS) == set(POLICIES) - {"reject", "skip", "tune", *EXPERIMENT}
    assert set(INPUTS) <= set(STEPS)
