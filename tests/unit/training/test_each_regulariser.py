"""Every regulariser: its gradient, where it is least, what changes nothing, and scores that nobody expects."""

import math
from collections.abc import Callable

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from finest.testing import check_regulariser
from finest.training.regularisers.base import Regulariser
from finest.training.regularisers.registry import REGULARISERS

NAMES = [name for name in REGULARISERS if REGULARISERS[name].terms]
HINGES = ["rank_hinge", "weighted_hinge"]


def made(name: str, **options: float) -> Regulariser:
    return REGULARISERS[name](REGULARISERS[name].Config.model_validate({"name": name, **options}))


def value(regulariser: Regulariser, scores_ML: Tensor) -> Tensor:
    """The penalty of each list."""
    terms, _ = regulariser(scores_ML, 1, 1.0)
    return torch.stack(terms).sum(0)


def drawn(seed: int, lists: int, length: int, scale: float = 1.0) -> Tensor:
    return scale * torch.randn(lists, length, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@pytest.mark.parametrize("name", list(REGULARISERS))
def test_it_does_what_every_regulariser_must(name: str) -> None:
    check_regulariser(name)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("length", [4, 6, 40])
def test_the_gradient_that_it_gives_is_that_of_its_value(name: str, length: int) -> None:
    regulariser = made(name)

    class Whole(torch.autograd.Function):
        @staticmethod
        def forward(ctx: torch.autograd.function.FunctionCtx, scores_ML: Tensor) -> Tensor:
            terms, gradient = regulariser(scores_ML, 3, 0.7)
            ctx.save_for_backward(gradient)
            return 0.7 * torch.stack(terms).sum()

        @staticmethod
        def backward(ctx: torch.autograd.function.FunctionCtx, *upstream: Tensor) -> Tensor:
            (gradient,) = ctx.saved_tensors  # type: ignore[attr-defined]
            scaled: Tensor = upstream[0] * gradient
            return scaled

    assert torch.autograd.gradcheck(Whole.apply, drawn(1, 3, length).requires_grad_())


@given(st.sampled_from(["soft_rbo", "list_mle", "kl"]), st.integers(0, 10**6), st.integers(2, 16))
@settings(max_examples=100, deadline=None)
def test_of_all_ways_to_deal_out_the_scores_the_reference_order_costs_least(name: str, seed: int, half: int) -> None:
    scores = drawn(seed, 1, 2 * half).sort(1, descending=True).values
    other = scores[:, torch.randperm(2 * half, generator=torch.Generator().manual_seed(seed))]
    regulariser = made(name)
    assert value(regulariser, scores) <= value(regulariser, other) + 1e-12


@given(st.sampled_from(NAMES), st.integers(0, 10**6), st.integers(2, 16), st.floats(-100, 100))
@settings(max_examples=60, deadline=None)
def test_a_number_that_is_added_to_all_scores_changes_nothing(name: str, seed: int, half: int, shift: float) -> None:
    scores, regulariser = drawn(seed, 2, 2 * half), made(name)
    assert torch.allclose(value(regulariser, scores), value(regulariser, scores + shift), atol=1e-9)
    _, gradient = regulariser(scores, 2, 1.0)
    assert torch.allclose(gradient.sum(1), gradient.new_zeros(2), atol=1e-9)


SCORES: dict[str, Callable[[int], Tensor]] = {
    "ties": torch.zeros,
    "huge": lambda length: 1e30 * torch.arange(length).cos(),
    "steep": lambda length: -1e4 * torch.arange(length),
    "steep the other way": lambda length: 1e4 * torch.arange(length),
    "one far above": lambda length: torch.nn.functional.one_hot(torch.tensor(length - 1), length) * 1e8,
    "tiny": lambda length: 1e-38 * torch.arange(length),
}


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("scores", SCORES)
@pytest.mark.parametrize("length", [4, 6, 200, 4000])
def test_value_and_gradient_are_finite_for_any_scores_and_any_number_of_items(
    name: str, scores: str, length: int
) -> None:
    terms, gradient = made(name)(SCORES[scores](length).float()[None], 1, 1.0)
    assert all(torch.isfinite(term).all() for term in terms) and torch.isfinite(gradient).all()
    assert gradient.abs().sum() < 50  # a step of a bounded size, whatever is wrong
    assert all((term >= -1e-3).all() for term in terms)


@pytest.mark.parametrize("name", [name for name in NAMES if name != "rank_hinge"])
@pytest.mark.parametrize("length", [1, 2, 3, 5])
def test_a_catalogue_of_hardly_any_items_is_no_matter(name: str, length: int) -> None:
    terms, gradient = made(name)(drawn(0, 3, length), 3, 1.0)
    assert all(torch.isfinite(term).all() for term in terms) and torch.isfinite(gradient).all()


@pytest.mark.parametrize("name", [name for name in NAMES if name != "rank_hinge"])
def test_a_list_of_one_item_costs_nothing(name: str) -> None:
    terms, gradient = made(name)(torch.tensor([[3.0]]), 1, 1.0)
    assert not any(term.any() for term in terms) and not gradient.any()


@pytest.mark.parametrize("name", HINGES)
def test_a_hinge_lets_go_where_every_gap_is_wider_than_its_margin(name: str) -> None:
    scores = -0.2 * torch.arange(12)[None]
    assert value(made(name), scores) == 0 and value(made(name), scores / 4) > 0


def test_the_weighted_hinge_without_weights_is_the_hinge() -> None:
    scores = drawn(2, 4, 10)
    ours, its = made("weighted_hinge", p=1.0)(scores, 4, 0.5), made("rank_hinge")(scores, 4, 0.5)
    assert all(torch.allclose(one, other) for one, other in zip([*ours[0], ours[1]], [*its[0], its[1]], strict=True))


@pytest.mark.parametrize("name", ["weighted_hinge", "soft_rbo", "kl"])
def test_what_is_wrong_at_the_top_costs_more(name: str) -> None:
    def swapped(place: int) -> Tensor:
        order = list(range(12))
        order[place], order[place + 1] = order[place + 1], order[place]
        return -0.5 * torch.tensor(order, dtype=torch.float64)[None]

    cost = [value(made(name, p=0.9), swapped(place)).item() for place in range(5)]
    assert cost == sorted(cost, reverse=True) and cost[0] > cost[4]


@pytest.mark.parametrize("seed", range(5))
def test_a_cold_soft_rbo_is_one_minus_the_rbo_of_the_list_and_its_items_by_score(seed: int) -> None:
    scores, p, depth = drawn(seed, 1, 20), 0.8, 10
    order = scores[0].argsort(descending=True).tolist()
    overlap = [len(set(order[:d]) & set(range(d))) / d for d in range(1, depth + 1)]
    rbo = (1 - p) / (1 - p**depth) * sum(p ** (d - 1) * overlap[d - 1] for d in range(1, depth + 1))
    assert value(made("soft_rbo", tau=1e-9, p=p), scores).item() == pytest.approx(1 - rbo)


def test_list_mle_is_minus_the_log_probability_of_drawing_the_top_in_order() -> None:
    scores = [0.3, -1.0, 0.8, 0.1, 2.0, -0.4]
    weights = [math.exp(score) for score in scores]
    likely = math.prod(weights[k] / sum(weights[k:]) for k in range(3))
    assert value(made("list_mle"), torch.tensor([scores]).double()).item() == pytest.approx(-math.log(likely) / 3)


def test_the_divergence_is_none_where_scores_fall_as_the_ranks_say() -> None:
    scores = math.log(0.98) * torch.arange(40, dtype=torch.float64)[None]
    terms, gradient = made("kl")(scores, 1, 1.0)
    assert terms[0].item() == pytest.approx(0, abs=1e-12) and gradient.abs().max() < 1e-12
