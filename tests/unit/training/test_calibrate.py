"""What is served: network, counts or both, by what they gain on rows that nothing was fitted on."""

from dataclasses import replace
from itertools import pairwise
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pytest

from finest.data.dataset import Ints
from finest.memory.config import MemoryConfig
from finest.memory.fitting import Fitting
from finest.models.saved import Facts
from finest.training import calibrate
from finest.training.calibrate import CALMEST_FIRST, changes, choose_among, decided, difference
from finest.training.config import Pretrain
from finest.training.recipe import Choice
from finest.training.unseen import features_of
from tests.unit.memory.test_fit import ITEMS, M, made_up


def knowing(fitting: Fitting, share: float, seed: int) -> Fitting:
    """The instances with a network that knows the target in so many cases."""
    rng = np.random.default_rng(seed)
    scores = rng.normal(size=(M, ITEMS)).astype(np.float32)
    known = rng.random(M) < share
    scores[known, fitting.target[known] - 1] += 6
    logp = scores - np.log(np.exp(scores).sum(1, keepdims=True))
    return replace(fitting, network=logp)


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
    for one in given:
        recipe = choose_among(one, having)
        best = max(recipe.mrr, key=lambda way: recipe.mrr[way])
        assert recipe.incumbent == (recipe.chosen == "stack" != best)


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


def ranks(users: int = 400, **better: float) -> tuple[dict[Choice, npt.NDArray[np.float64]], Ints]:
    """Reciprocal ranks of one instance a user, each way that much above what all share, with noise of its own."""
    rng = np.random.default_rng(0)
    ways: tuple[Choice, ...] = ("stack", "memory", "network")
    noise = {name: rng.normal(size=users) for name in ways}
    return {
        name: better.get(name, 0.0) + 0.1 * (values - values.mean()) / values.std() for name, values in noise.items()
    }, np.arange(users)


def test_all_are_compared_with_the_best_and_not_in_turns() -> None:
    """Counts are noisy: about as good as both together, and no better than a network that clearly loses to both."""
    found, user = ranks(stack=0.01)
    found["memory"] = found["stack"] - 0.004 + np.where(user % 2, 0.3, -0.3)
    found["network"] = found["stack"] - 0.003 + np.where(user % 2, 0.001, -0.001)
    compared: list[tuple[Choice, Choice, bool]] = [
        ("stack", "memory", False),
        ("memory", "network", False),
        ("stack", "network", True),
    ]
    for one, other, seen in compared:
        gain, error = difference(found[one], found[other], user)
        assert (gain > error) == seen
    assert decided(found, user) == "memory"


def test_of_ways_that_are_about_as_good_the_calmest_is_taken() -> None:
    assert decided(*ranks()) == "memory"
    assert decided(*ranks(stack=0.02, network=0.02)) == "network"
    assert decided(*ranks(stack=0.02)) == "stack"


@pytest.mark.parametrize("incumbent", ["stack", "memory", "network"])
def test_the_champions_way_is_left_where_it_clearly_loses_and_not_by_chance(incumbent: Choice) -> None:
    others: list[Choice] = [name for name in CALMEST_FIRST if name != incumbent]
    error = 0.1 * np.sqrt(2 / 400)  # of the difference between two ways
    for behind, stays in ((1.7, True), (2.4, False)):
        found, user = ranks(**dict.fromkeys(others, behind * error))
        assert (decided(found, user, incumbent) == incumbent) == stays


def test_nights_of_equal_ways_seldom_change_the_way() -> None:
    rng, user = np.random.default_rng(3), np.arange(300)
    kept: list[Choice] = ["stack"]
    anew: list[Choice] = []
    for _ in range(40):
        found: dict[Choice, npt.NDArray[np.float64]] = {name: rng.normal(0.1, 0.05, 300) for name in CALMEST_FIRST}
        kept.append(decided(found, user, kept[-1]))
        anew.append(decided(found, user))
    flips = [sum(a != b for a, b in pairwise(ways)) for ways in (kept, anew)]
    assert flips[0] <= 4 < flips[1]


def test_weights_of_counts_alone_are_no_prior_for_both_together() -> None:
    """Beside a network that says the same, counts weigh less: drawn to what they weigh alone, both would be worse."""
    today = knowing(made_up(0.5, seed=2), 0.6, 2)
    alone = {"popularity": 0.0, "follows": 30.0, "alike_linear": 30.0}
    assert choose_among(today, alone, 10.0).mrr["stack"] == choose_among(today).mrr["stack"]
    beside = {"network": 1.0, **alone}
    assert choose_among(today, beside, 10.0).mrr["memory"] == choose_among(today).mrr["memory"]


def facts(memory: dict[str, float] | None, exclude_seen: bool) -> Facts:
    return Facts.model_validate(
        {
            "model": {"name": "sasrec"},
            "seed": 0,
            "data_fingerprint": "ab",
            "depth": 10,
            "exclude_seen": exclude_seen,
            "stage": "tuned",
            "memory": memory,
        }
    )


@pytest.mark.parametrize(
    ("memory", "exclude_seen", "known"),
    [
        ({"popularity": 0.3}, True, {"popularity": 0.3}),
        (None, True, {"network": 1.0}),
        ({"popularity": 0.3}, False, None),
    ],
)
def test_the_champion_counts_where_its_lists_leave_out_the_same(
    memory: dict[str, float] | None, exclude_seen: bool, known: dict[str, float] | None
) -> None:
    assert calibrate.weights_of(facts(memory, exclude_seen), exclude_seen=True) == known


def test_a_network_that_counts_would_turn_round_is_left_out_though_the_champion_has_one() -> None:
    """It knows the target by its lowest score: with a negative weight both together would be the best by far."""
    fitting = knowing(made_up(0.0, seed=4), 0.7, 104)
    assert isinstance(fitting.network, np.ndarray)
    turned = replace(fitting, network=-fitting.network)
    for before in (None, {"network": 1.0, "popularity": 0.0, "follows": 0.5, "alike_linear": 0.5}):
        recipe = choose_among(turned, before)
        assert recipe.mrr["stack"] > 2 * recipe.mrr["memory"] and recipe.chosen != "stack" and not recipe.incumbent


def test_what_is_counted_in_another_way_than_the_champions_is_said() -> None:
    config = Pretrain(memory=MemoryConfig(neighbours=50))
    assert config.memory != "off"
    facts: dict[str, Any] = {"seed": 0, "data_fingerprint": "", "depth": 20, "exclude_seen": True, "stage": "tuned"}
    weights = dict.fromkeys(["network", "popularity", *features_of(config.memory, exclude_seen=True)], 1.0)
    champion = Facts(model=config.model, memory=weights, counting=config.memory.counting, **facts)
    assert changes(champion, config, exclude_seen=True) == []
    other = Pretrain(memory=MemoryConfig(half_life_days=30, features=["alike"]))
    assert changes(champion, other, exclude_seen=True) == [
        "neighbours 100 instead of 50",
        "half_life_days 30.0 instead of null",
        'features ["alike"] instead of ["alike", "alike_linear", "follows", "follows_linear"]',
    ]
    assert changes(champion, Pretrain(memory="off"), exclude_seen=True) == []
