import re
from collections.abc import Callable
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from packaging.version import Version

from finest.errors import FinestError
from tracking.canary import environment
from tracking.canary.bounds import Bounds, Measured, too_much
from tracking.canary.process import Answer, Columns
from tracking.canary.requests import GARBAGE, Exam
from tracking.sample import Sample

ITEMS = [f"i{number:02d}" for number in range(40)]
"""A catalogue; the score of an item is the lower, the higher its number."""
HISTORIES = [[ITEMS[number], ITEMS[(3 * number) % 40]] for number in range(20)]


def served(history: list[str], k: int) -> tuple[list[str], list[float]]:
    """What a good package serves: all unseen items by number, shifted a little by the history's length."""
    known = [item for item in history if item in ITEMS]
    if not known:
        return [], []
    items = [item for item in ITEMS if item not in known][:k]
    return items, [1.0 - ITEMS.index(item) / 100 for item in items]


def good(columns: Columns) -> Answer:
    """Answers as a good package does."""
    histories = columns.get("history")
    if not histories or not all(isinstance(one, list) and all(isinstance(x, str) for x in one) for one in histories):
        return Answer(error="ValueError: history: lists of ids are wanted")
    ks = columns.get("k", [10] * len(histories))
    if len(ks) != len(histories) or not all(isinstance(k, int) and k > 0 for k in ks):
        return Answer(error="ValueError: k: a number of items is wanted")
    lists = [served(history, k) for history, k in zip(histories, ks, strict=True)]
    return Answer([list(items) for items, _ in lists], [list(scores) for _, scores in lists])


SAMPLE = Sample(HISTORIES, [served(one, 15)[0] for one in HISTORIES], [served(one, 15)[1] for one in HISTORIES])
NONE = Sample([], [], [])


def exam(ask: Callable[[Columns], Answer], sample: Sample = SAMPLE) -> Exam:
    return Exam(ask, sample, frozenset(ITEMS), exclude_seen=True)


def test_a_good_package_passes_with_and_without_judged_lists() -> None:
    exam(good).all()
    exam(good, NONE).all()


def test_judged_lists_are_asked_for_with_the_times_that_they_were_judged_by() -> None:
    times = [[100 * number, 100 * number + 7] for number in range(len(HISTORIES))]

    def by_times(columns: Columns) -> Answer:
        answer = good(columns)
        if not answer.error and columns.get("timestamps") != [
            times[HISTORIES.index(one)] for one in columns["history"]
        ]:
            swap(answer)
        return answer

    timed = exam(by_times, replace(SAMPLE, timestamps=times))
    timed.judged()
    with pytest.raises(FinestError, match=r"not in the order|differ in batches of 1"):
        exam(by_times).judged()


def changed(when: Callable[[Columns], bool], change: Callable[[Answer], object]) -> Callable[[Columns], Answer]:
    """Answers as a good package, but for the requests of one kind, whose answer is changed."""

    def ask(columns: Columns) -> Answer:
        answer = good(columns)
        if not answer.error and when(columns) and any(answer.items):
            change(answer)
        return answer

    return ask


def swap(answer: Answer) -> None:
    for first in answer.items:
        first[:1], first[5:6] = first[5:6], first[:1]


def all_of(columns: Columns) -> bool:
    return True


def batch_of(size: int) -> Callable[[Columns], bool]:
    return lambda columns: len(columns["history"]) == size


def nan(answer: Answer) -> None:
    answer.scores[0][-1:] = [float("nan")]


def twice(answer: Answer) -> None:
    for items in answer.items:
        items[1:2] = items[:1] if len(items) > 1 else []


def seen(answer: Answer) -> None:
    answer.items[0][:1] = [HISTORIES[0][0]]


def no_list(answer: Answer) -> None:
    answer.items[:1] = [None]  # type: ignore[list-item]


def longer(answer: Answer) -> None:
    answer.items[0].append("i99")
    answer.scores[0].append(0.0)


WRONG: dict[str, tuple[Callable[[Columns], Answer], str]] = {
    "NaN": (changed(all_of, nan), "scores that are no finite numbers"),
    "an item twice": (changed(all_of, twice), "has an item twice"),
    "seen": (changed(batch_of(1), seen), "items that the history has already"),
    "an item of nobody's": (
        changed(all_of, lambda answer: answer.items[0].__setitem__(0, "odd")),
        "has the item 'odd'",
    ),
    "no ids": (changed(all_of, lambda answer: answer.items[0].__setitem__(0, [1])), r"has the item \[1\], which"),
    "no list": (
        changed(all_of, no_list),
        "a list that it serves is none: 'None'",
    ),
    "a list too few": (changed(batch_of(7), lambda answer: answer.items.pop()), "7 histories with 6 lists"),
    "too long": (
        changed(batch_of(1), longer),
        "has 16 items and 16 scores; 15 were asked for",
    ),
    "wrong in a batch": (changed(batch_of(7), swap), "is not in the order|differ in batches of 7"),
    "wrong alone": (changed(batch_of(1), swap), "differ in batches of 1, instance 0"),
    "infinite": (changed(batch_of(20), lambda answer: answer.scores[3].__setitem__(0, float("inf"))), "no finite"),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_is_wrong_with_lists_is_said(name: str) -> None:
    ask, said = WRONG[name]
    with pytest.raises(FinestError, match=said):
        exam(ask).all()


def test_an_error_to_a_good_request_is_said_in_one_line_that_can_be_printed() -> None:
    def ask(columns: Columns) -> Answer:
        return Answer(error="\n  RuntimeError: \ud800 is no item\n  more")

    with pytest.raises(FinestError, match=r"with RuntimeError: \\ud800 is no item$") as caught:
        exam(ask).all()
    assert "\n" not in str(caught.value).encode().decode()


def test_a_package_that_rolls_dice_is_found() -> None:
    generator = np.random.default_rng(0)

    def ask(columns: Columns) -> Answer:
        answer = good(columns)
        luck = generator.random()
        return Answer(answer.items, [[luck * score for score in row] for row in answer.scores], answer.error)

    with pytest.raises(FinestError, match="answers the same request twice with different lists"):
        exam(ask, NONE).all()


@pytest.mark.parametrize("number", range(len(GARBAGE)))
def test_a_package_that_garbage_spoils_is_found_by_the_next_good_request(number: int) -> None:
    spoilt = False

    def ask(columns: Columns) -> Answer:
        nonlocal spoilt
        spoilt = spoilt or columns is GARBAGE[number]
        answer = good(columns)
        if spoilt and not answer.error:
            swap(answer)
        return answer

    with pytest.raises(FinestError, match="1 of 1 lists differ after the request"):
        exam(ask).all()


def answering(request: Columns, answer: Answer) -> Callable[[Columns], Answer]:
    return lambda columns: answer if columns == request else good(columns)


def test_garbage_that_is_answered_with_lists_must_have_sound_ones() -> None:
    none: Columns = {"history": [["1"]], "k": [0]}
    with pytest.raises(FinestError, match="has 1 items and 1 scores; 0 were asked for"):
        exam(answering(none, Answer([["i01"]], [[0.5]]))).garbage()
    exam(answering(none, Answer([[]], [[]]))).garbage()
    with pytest.raises(FinestError, match="no finite numbers"):
        exam(answering({"history": [[None]]}, Answer([["i01"]], [[float("nan")]]))).garbage()


def without(odd: Callable[[list[str]], bool], instead: list[str]) -> Callable[[Columns], Answer]:
    """Answers good requests as if odd histories were other ones."""

    def ask(columns: Columns) -> Answer:
        if good(columns).error:
            return good(columns)
        return good({**columns, "history": [instead if odd(one) else one for one in columns["history"]]})

    return ask


def test_unknown_items_and_empty_histories_have_empty_lists() -> None:
    for odd in (lambda one: not one, lambda one: len(one) == 1 and one[0] not in ITEMS):
        with pytest.raises(FinestError, match="without any known item has a list, which must be empty"):
            exam(without(odd, [ITEMS[5]])).odd()
    with pytest.raises(FinestError, match="unknown items in a history change its list"):
        ask = without(lambda one: len(one) > 2 and one[0] not in ITEMS, [ITEMS[7]])
        Exam(ask, NONE, frozenset(ITEMS), exclude_seen=False).odd()


def test_a_list_of_the_whole_catalogue_holds_it_and_begins_with_the_short_ones() -> None:
    def short(columns: Columns) -> Answer:
        return good({**columns, "k": [min(k, 30) for k in columns["k"]]} if "k" in columns else columns)

    with pytest.raises(FinestError, match="whole catalogue has 30 items, and 39 can be in it"):
        exam(short).lengths()

    def other(columns: Columns) -> Answer:
        return changed(all_of, swap)(columns) if "k" not in columns else good(columns)

    with pytest.raises(FinestError, match="default length is not the beginning of the whole one"):
        exam(other).lengths()


TOOK = Measured(load_s=4.0, p50_ms=4.0, p95_ms=60.0, memory_mb=400.0)


def test_every_bound_is_kept_to_and_none_is_no_bound() -> None:
    assert too_much(TOOK, None, Bounds()) == ""
    bounds: dict[str, Any] = {"max_load_s": 4.0, "max_p95_ms": 60.0, "max_memory_mb": 400.0}
    for option, bound in bounds.items():
        assert too_much(TOOK, None, Bounds(**{option: bound})) == ""
        assert f"promote.{option} is {bound - 1:g}" in too_much(TOOK, None, Bounds(**{option: bound - 1}))


def test_a_factor_to_the_champion_counts_only_where_somebody_notices() -> None:
    quick = Measured(load_s=0.5, p50_ms=0.1, p95_ms=0.2, memory_mb=100.0)
    bounds = Bounds(max_slowdown=2.0)
    assert (
        too_much(TOOK, quick, bounds)
        == "it takes 400.0 MB, the champion's beside it 100.0 MB, and promote.max_slowdown is 2"
    )
    for name, value in {"load_s": 6.0, "p50_ms": 10.0}.items():
        found = too_much(Measured(**{**vars(quick), name: value}), quick, bounds)
        assert found.startswith(("loading", "the median")) and len(found.split(";")) == 1
    assert too_much(TOOK, TOOK, bounds) == ""


def requirements(folder: Path, *lines: str) -> list[str]:
    (folder / "requirements.txt").write_text("\n".join(lines))
    return environment.unsatisfied(folder)


def test_requirements_are_held_against_what_is_installed(tmp_path: Path) -> None:
    torch, numpy = (Version(version(name)) for name in ("torch", "numpy"))
    assert (
        requirements(tmp_path, "# made by a test", "", f"torch=={torch.public}", f"NumPy=={numpy}  # why", "pytest")
        == []
    )
    assert requirements(tmp_path, 'nothing-of-the-kind==1; python_version < "3"') == []
    assert requirements(tmp_path, "torch==0.1", "nothing-of-the-kind==1") == [
        f"torch==0.1, and {torch.public} is installed",
        "nothing-of-the-kind==1, and no nothing-of-the-kind is installed",
    ]
    assert "is no requirement of a package" in requirements(tmp_path, "--extra-index-url https://a.example")[0]


def test_a_package_that_is_not_as_required_is_refused_in_one_line_that_says_what_to_do(tmp_path: Path) -> None:
    requirements(tmp_path, "torch==0.1", "nothing-of-the-kind==1")
    with pytest.raises(FinestError, match=re.escape("requires torch==0.1, and ")) as caught:
        environment.python_for(tmp_path, "installed", tmp_path)
    assert "(1 more)" in str(caught.value) and "promote.canary_environment: virtualenv" in str(caught.value)
    (tmp_path / "requirements.txt").unlink()
    with pytest.raises(FinestError, match=r"has no requirements\.txt"):
        environment.python_for(tmp_path, "installed", tmp_path)


def test_credentials_and_the_checkout_stay_outside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    secrets = ("AWS_SECRET_ACCESS_KEY", "MLFLOW_TRACKING_PASSWORD", "MLFLOW_TRACKING_URI", "FINEST_WEBHOOK")
    for name in secrets:
        monkeypatch.setenv(name, "hunter2")
    checkout, other = tmp_path / "checkout", tmp_path / "other"
    (checkout / "finest").mkdir(parents=True)
    monkeypatch.setenv("PYTHONPATH", f"{checkout}:{other}")
    found = environment.variables(tmp_path, "/there/bin/python")
    assert "hunter2" not in str(found) and found["PYTHONPATH"] == str(other)
    assert found["PATH"].startswith(f"{tmp_path}/bin:") and found["HOME"] == str(tmp_path)
