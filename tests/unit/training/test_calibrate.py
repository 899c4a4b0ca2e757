"""What is served: network, counts or both, by what they gain on rows that nothing was fitted on."""

from typing import Literal

import numpy as np
import pytest

from finest.memory.fit import Fitting
from finest.training.calibrate import choose_among, difference
from tests.unit.memory.test_fit import ITEMS, M, made_up


def knowing(fitting: Fitting, share: float, seed: int) -> Fitting:
    """The instances with a network that knows the target in so many cases."""
    rng = np.random.default_rng(seed)
    scores = rng.normal(size=(M, ITEMS)).astype(np.float32)
    known = rng.random(M) < share
    scores[known, fitting.target[known] - 1] += 6
    logp = scores - np.log(np.exp(scores).sum(1, keepdims=True))
    return Fitting(
        fitting.counts, fitting.histories, fitting.target, fitting.user, logp, fitting.excluded, fitting.names
    )


@pytest.mark.parametrize(
    ("follows", "knows", "chosen"),
    [(0.8, 0.0, {"memory"}), (0.5, 0.6, {"stack"}), (0.0, 0.7, {"network", "stack"})],
)
def test_what_brings_nothing_is_left_out_in_most_cases(follows: float, knows: float, chosen: set[str]) -> None:
    """A gain of a standard error comes by chance in one case of six."""
    recipes = [choose_among(knowing(made_up(follows, seed=seed), knows, 100 + seed)) for seed in range(8)]
    assert sum(recipe.chosen in chosen for recipe in recipes) >= 6
    for recipe in recipes:
        assert (recipe.weights is None) == (recipe.chosen == "network")
        assert recipe.weights is None or ("network" in recipe.weights) == (recipe.chosen == "stack")
        assert recipe.mrr.keys() == {"stack", "memory", "network"} and 0 < recipe.instances < M


def test_users_are_what_is_drawn() -> None:
    one, other = np.array([1.0, 1, 1, 0, 0, 0]), np.zeros(6)
    mean, apart = difference(one, other, np.arange(6))
    _, together = difference(one, other, np.array([0, 0, 0, 1, 1, 1]))
    assert (
        mean == 0.5
        and apart == pytest.approx(np.sqrt(6 * 0.25) / 6)
        and together == pytest.approx(np.sqrt(2 * 2.25) / 6)
    )


def test_what_the_champion_has_stays_unless_it_loses() -> None:
    """A network that knows next to nothing: neither choice is clearly better."""
    given = [knowing(made_up(0.6, seed=seed), 0.02, 50 + seed) for seed in range(6)]
    having = {"network": 1.0, "popularity": 0.0, "follows": 0.5, "alike_linear": 0.5}
    lacking = {name: weight for name, weight in having.items() if name != "network"}
    with_, without = (sum(choose_among(one, old).chosen == "stack" for one in given) for old in (having, lacking))
    assert with_ > without


def test_weights_drawn_to_the_champions_move_less() -> None:
    old = choose_among(knowing(made_up(0.5, seed=1), 0.6, 1)).weights
    assert old is not None
    today = knowing(made_up(0.5, seed=2), 0.6, 2)
    moved = []
    for pull in (0.0, 1.0):
        weights = choose_among(today, old, pull).weights
        assert weights is not None and weights.keys() == old.keys()
        moved.append(sum((weights[name] - old[name]) ** 2 for name in ("network", "follows", "alike_linear")))
    assert moved[1] < 0.5 * moved[0]


def test_what_is_configured_is_served_and_said_to_be() -> None:
    """Each made-up part is what the other would be chosen over."""
    cases: list[tuple[float, float, Literal["stack", "memory"]]] = [(0.8, 0.0, "stack"), (0.5, 0.6, "memory")]
    for follows, knows, serve in cases:
        recipe = choose_among(knowing(made_up(follows, seed=3), knows, 103), serve=serve)
        assert recipe.chosen == serve and "as pretrain.memory.serve says" in recipe.sentence
        assert recipe.weights is not None and ("network" in recipe.weights) == (serve == "stack")
