"""Metrics and similarities: what each must do; a new one is in verdict, report, terminal and Markdown by itself."""

import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from finest.errors import FinestError
from finest.gate.verdict import Verdict
from finest.metrics.overlaps import Pair, Values
from finest.metrics.registry import METRICS, SIMILARITIES, Metric, Ranked, Similarity, metric, similarity
from finest.metrics.similarity import similarities
from finest.report.markdown import markdown
from finest.report.report import render
from finest.testing import check_metric, check_similarity
from pipeline.table import show
from tests.unit.gate.made_up_run import judged, made_up


@metric(label="Miss@3", form="percent", larger_is_better=False)
def miss_at_3(ranked: Ranked) -> Values:
    return np.where(ranked.target_rank <= 3, 0.0, 1.0)


@similarity(label="Same top 2")
def same_top_2(pair: Pair) -> Values:
    same: Values = (pair.X[:, :2] == pair.Y[:, :2]).all(axis=1).astype(np.float64)
    return same


@pytest.fixture
def verdict(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Verdict:
    list(METRICS), list(SIMILARITIES)
    monkeypatch.setitem(METRICS._things, "miss_at_3", miss_at_3)
    monkeypatch.setitem(SIMILARITIES._things, "same_top_2", same_top_2)
    return judged(made_up(), tmp_path)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (np.nan, r"shape \(300,\), from nan to nan"),
        (np.inf, "to inf"),
        (np.ones(3), r"shape \(3,\)"),
        (0.5, r"shape \(\)"),
    ],
)
def test_a_metric_without_a_number_for_every_instance_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, given: float | np.ndarray, said: str
) -> None:
    list(METRICS)
    whole = isinstance(given, float) and not np.isfinite(given)
    odd = metric(label="Odd")(lambda ranked: np.full(len(ranked.items), given) if whole else np.asarray(given))
    monkeypatch.setitem(METRICS._things, "odd", odd)
    with pytest.raises(FinestError, match=f"metric odd must give a finite value for each of 300 instances.*{said}"):
        judged(made_up(), tmp_path)


def test_a_similarity_above_1_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    list(SIMILARITIES)
    monkeypatch.setitem(SIMILARITIES._things, "odd", similarity(label="Odd")(lambda pair: np.full(len(pair.X), 2.0)))
    with pytest.raises(FinestError, match="list similarity odd must give a finite value up to 1 for each of 1 instan"):
        similarities(np.array([[1, 2]]), np.array([[1, 2]]))


def test_no_metric_may_take_the_place_of_what_a_verdict_has_besides() -> None:
    assert {"overlap", "plasticity", "name"} <= set(METRICS._reserved()) and not {*METRICS} & {*METRICS._reserved()}


@pytest.mark.parametrize("name", list(METRICS))
def test_every_metric_does_what_a_metric_must(name: str) -> None:
    check_metric(name)


@pytest.mark.parametrize("name", list(SIMILARITIES))
def test_every_similarity_does_what_a_similarity_must(name: str) -> None:
    check_similarity(name)


def test_a_new_one_is_everywhere_by_itself(tmp_path: Path, verdict: Verdict) -> None:
    assert {"accuracy/miss_at_3", "accuracy_base/miss_at_3", "rls/same_top_2"} <= set(verdict.metrics)
    assert verdict.model_dump()["accuracy"][0]["miss_at_3"] == verdict.metrics["accuracy/miss_at_3"]
    out = io.StringIO()
    show(Console(file=out, width=300), verdict)
    render(verdict, {}, tmp_path / "report.html", "made up")
    for text in (out.getvalue(), (tmp_path / "report.html").read_text(), markdown(verdict)):
        assert "Miss@3 (lower is better)" in text
        assert "Same top 2" in text or "| same_top_2 |" in text
        assert "%" in text


def test_a_verdict_of_another_installation_is_shown_by_its_names(
    tmp_path: Path, verdict: Verdict, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delitem(METRICS._things, "miss_at_3")
    monkeypatch.delitem(SIMILARITIES._things, "same_top_2")
    assert "| miss_at_3 |" in markdown(verdict)
    render(verdict, {}, tmp_path / "report.html", "made up")
    assert "same_top_2<br>" in (tmp_path / "report.html").read_text()


@pytest.mark.parametrize(
    ("values", "text"),
    [
        (lambda ranked: 1 / ranked.target_rank, "a value is not finite"),
        (lambda ranked: np.nan_to_num(2 / ranked.target_rank), r"not in \[0.0, 1.0\]"),
        (lambda ranked: np.arange(len(ranked.items)) / 100, "order of the instances"),
        (lambda ranked: np.where(ranked.target_rank < 5, 0.0, 1.0), "counts for less than one that is ranked last"),
    ],
)
def test_a_wrong_metric_is_found(values: Callable[[Ranked], Values], text: str) -> None:
    with pytest.raises(AssertionError, match=text):
        check_metric(Metric(values, "Wrong"))


@pytest.mark.parametrize(
    ("values", "text"),
    [
        (lambda pair: (pair.X[:, 0] < pair.Y[:, 0]) * 1.0, "swap"),
        (lambda pair: np.ones(len(pair.X)), "lists without a common item do not have 0"),
        (lambda pair: np.zeros(len(pair.X)), "equal lists do not have 1"),
    ],
)
def test_a_wrong_similarity_is_found(values: Callable[[Pair], Values], text: str) -> None:
    with pytest.raises(AssertionError, match=text):
        check_similarity(Similarity(values, "Wrong"))
