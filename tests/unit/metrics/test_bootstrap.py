import numpy as np
import pytest

from finest.metrics import bootstrap


def test_the_standard_error_of_independent_users_is_the_textbooks() -> None:
    values = np.random.default_rng(0).normal(size=800)
    found = bootstrap.mean(np.arange(800), values, draws=2000, seed=0)
    assert found.value == pytest.approx(values.mean())
    assert found.error == pytest.approx(values.std() / np.sqrt(800), rel=0.06)
    assert found.high - found.value == pytest.approx(1.645 * found.error, rel=0.1)
    assert found.value - found.low == pytest.approx(1.645 * found.error, rel=0.1)


def test_instances_of_one_user_do_not_count_as_independent() -> None:
    of_users = np.random.default_rng(0).normal(size=100)
    clustered = bootstrap.mean(np.repeat(np.arange(100), 20), np.repeat(of_users, 20), draws=1000, seed=0)
    alone = bootstrap.mean(np.arange(100), of_users, draws=1000, seed=0)
    assert clustered.error == pytest.approx(alone.error)


def test_a_ratio_is_paired_so_equal_models_differ_by_nothing() -> None:
    values = np.random.default_rng(0).random(300)
    found = bootstrap.ratio(np.arange(300) // 3, values * 0.9, values, draws=200, seed=0)
    assert (found.value, found.low, found.high) == pytest.approx((0.9, 0.9, 0.9))


def test_a_ratio_of_nothing_to_nothing_is_not_a_number() -> None:
    assert np.isnan(bootstrap.ratio(np.arange(3), np.zeros(3), np.zeros(3), draws=100, seed=0).value)


def test_draws_depend_on_the_seed_alone() -> None:
    user, values = np.arange(50) // 2, np.random.default_rng(0).random((50, 3))
    first = bootstrap.mean_draws(user, values, draws=64, seed=3)
    assert np.array_equal(first, bootstrap.mean_draws(user, values, draws=64, seed=3))
    assert not np.array_equal(first, bootstrap.mean_draws(user, values, draws=64, seed=4))


def test_all_columns_see_the_same_users_drawn() -> None:
    values = np.random.default_rng(0).random(40)
    drawn = bootstrap.mean_draws(np.arange(40), np.stack([values, 1 - values], axis=1), draws=100, seed=0)
    assert drawn.sum(axis=1) == pytest.approx(np.ones(100))


def test_draws_do_not_depend_on_the_size_of_the_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    user, values = np.arange(30), np.random.default_rng(0).random((30, 1))
    whole = bootstrap.mean_draws(user, values, draws=50, seed=0)
    monkeypatch.setattr(bootstrap, "CHUNK", 70)
    assert bootstrap.mean_draws(user, values, draws=50, seed=0) == pytest.approx(whole)
