import numpy as np
import pytest

from finest.metrics import bootstrap


def test_the_standard_error_of_independent_users_is_the_textbooks() -> None:
    values = np.random.default_rng(0).normal(size=800)
    drawn = bootstrap.mean_draws(np.arange(800), values[:, None], draws=2000, seed=0)
    assert drawn.mean() == pytest.approx(values.mean(), abs=0.01)
    assert drawn.std(ddof=1) == pytest.approx(values.std() / np.sqrt(800), rel=0.06)
    low, high = np.quantile(drawn, [0.05, 0.95])
    assert high - values.mean() == pytest.approx(1.645 * drawn.std(), rel=0.1)
    assert values.mean() - low == pytest.approx(1.645 * drawn.std(), rel=0.1)


def test_instances_of_one_user_do_not_count_as_independent() -> None:
    of_users = np.random.default_rng(0).normal(size=100)
    clustered = bootstrap.mean_draws(np.repeat(np.arange(100), 20), np.repeat(of_users, 20)[:, None], 1000, seed=0)
    alone = bootstrap.mean_draws(np.arange(100), of_users[:, None], draws=1000, seed=0)
    assert clustered == pytest.approx(alone)


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
