import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rbo import RankingSimilarity

from finest.metrics.overlaps import P, overlaps
from finest.metrics.similarity import rbo, similarities

SIMILARITIES = ["rbo", "frbo", "jaccard_at_10", "top1_agreement"]


@st.composite
def pairs(draw: st.DrawFn, short: bool = True) -> tuple[np.ndarray, np.ndarray]:
    """X and Y [M, D] over a vocabulary that may be much larger than the lists, some of them short or empty."""
    M, D = draw(st.integers(1, 5)), draw(st.integers(1, 14))
    vocabulary = draw(st.sampled_from([D, D + 3, 4 * D, 50_000]))
    generator = np.random.default_rng(draw(st.integers(0, 2**32)))
    X, Y = (np.stack([generator.choice(vocabulary, D, replace=False) for _ in range(M)]) for _ in range(2))
    if short:
        for of in (X, Y):
            of[np.arange(D) >= generator.integers(0, 2 * D, M)[:, None]] = -1
    return X, Y


def without_padding(row: np.ndarray) -> list[int]:
    return [int(item) for item in row if item >= 0]


def extrapolated(x: list[int], y: list[int], p: float) -> float:
    """Equation 32 of Webber et al., word by word; an empty list has nothing in common with any but another one."""
    short, long = sorted((x, y), key=len)
    s, l = len(short), len(long)
    if not s:
        return float(not l)
    X = [len(set(short[:d]) & set(long[:d])) for d in range(l + 1)]
    first = sum(X[d] / d * p**d for d in range(1, l + 1))
    second = sum(X[s] * (d - s) / (s * d) * p**d for d in range(s + 1, l + 1))
    return (1 - p) / p * (first + second) + ((X[l] - X[s]) / l + X[s] / s) * p**l


def reference(x: list[int], y: list[int], p: float) -> dict[str, float]:
    """The definitions, word by word."""
    n = min(len(x), len(y))
    equal = float(len(x) == len(y))
    agreement = [len(set(x[:d]) & set(y[:d])) / d for d in range(1, n + 1)]
    weighted = sum(p ** (d - 1) * agreement[d - 1] for d in range(1, n + 1))
    either = set(x[:10]) | set(y[:10])
    return {
        "rbo": extrapolated(x, y, p),
        "frbo": (1 - p) / (1 - p**n) * weighted if n else equal,
        "jaccard_at_10": len(set(x[:10]) & set(y[:10])) / len(either) if either else 1.0,
        "top1_agreement": float(x[:1] == y[:1]),
    }


@given(pairs())
@settings(max_examples=60, deadline=None)
def test_every_similarity_equals_its_definition_in_plain_python(pair: tuple[np.ndarray, np.ndarray]) -> None:
    X, Y = pair
    found = similarities(X, Y)
    for row in range(len(X)):
        expected = reference(without_padding(X[row]), without_padding(Y[row]), P)
        for name in SIMILARITIES:
            assert found[name][row] == pytest.approx(expected[name], abs=1e-12), name


@given(pairs(), st.floats(0.1, 0.99))
@settings(max_examples=40, deadline=None)
def test_rbo_equals_the_rbo_packages_rbo_ext(pair: tuple[np.ndarray, np.ndarray], p: float) -> None:
    X, Y = pair
    expected = [
        RankingSimilarity(without_padding(x), without_padding(y)).rbo_ext(p=p) for x, y in zip(X, Y, strict=True)
    ]
    assert rbo(X, Y, p) == pytest.approx(expected, abs=1e-12)


def test_lists_of_other_lengths_are_extrapolated_and_other_instances_refused() -> None:
    assert rbo(np.array([[1, 2, 3, 4]]), np.array([[2, -1, -1, -1]]))[0] == pytest.approx(0.254, abs=5e-4)
    assert np.array_equal(
        rbo(np.array([[1, 2, 3]]), np.array([[2]])), rbo(np.array([[1, 2, 3]]), np.array([[2, -1, -1]]))
    )
    with pytest.raises(ValueError, match=r"shapes \(2, 2\) and \(1, 2\): both must be \[M, D\]"):
        rbo(np.array([[1, 2], [3, 4]]), np.array([[1, 2]]))
    for p in (0.0, 1.0, float("nan")):
        with pytest.raises(ValueError, match="over 0 and below 1"):
            rbo(np.array([[1, 2]]), np.array([[1, 2]]), p)


@given(pairs())
@settings(max_examples=40, deadline=None)
def test_codes_of_four_bytes_are_compared_as_those_of_eight(pair: tuple[np.ndarray, np.ndarray]) -> None:
    wide, narrow = similarities(*pair), similarities(*(codes.astype(np.int32) for codes in pair))
    assert all(np.array_equal(wide[name], narrow[name]) for name in SIMILARITIES)


@given(pairs())
@settings(max_examples=40, deadline=None)
def test_similarities_are_symmetric_and_between_0_and_1(pair: tuple[np.ndarray, np.ndarray]) -> None:
    X, Y = pair
    there, back = similarities(X, Y), similarities(Y, X)
    for name in SIMILARITIES:
        assert np.array_equal(there[name], back[name])
        assert there[name].min() >= 0
        assert there[name].max() <= 1


@given(pairs())
@settings(max_examples=40, deadline=None)
def test_equal_lists_score_exactly_1(pair: tuple[np.ndarray, np.ndarray]) -> None:
    X, _ = pair
    for name, values in similarities(X, X.copy()).items():
        assert (values == 1).all(), name


@given(pairs(short=False))
@settings(max_examples=30, deadline=None)
def test_disjoint_lists_score_exactly_0(pair: tuple[np.ndarray, np.ndarray]) -> None:
    X, Y = pair
    for name, values in similarities(X, Y + X.max() + 1).items():
        assert (values == 0).all(), name


@given(pairs(), st.integers(0, 2**32))
@settings(max_examples=40, deadline=None)
def test_renaming_the_items_changes_nothing(pair: tuple[np.ndarray, np.ndarray], seed: int) -> None:
    X, Y = pair
    renamed = np.r_[np.random.default_rng(seed).permutation(max(X.max(), Y.max()) + 1), -1]  # the last one is for -1
    before, after = similarities(X, Y), similarities(renamed[X], renamed[Y])
    for name in SIMILARITIES:
        assert np.array_equal(before[name], after[name])


@given(pairs(short=False))
@settings(max_examples=40, deadline=None)
def test_putting_one_more_of_the_others_items_on_top_never_lowers_the_rank_biased_overlap(
    pair: tuple[np.ndarray, np.ndarray],
) -> None:
    X, Y = pair
    closer = X.copy()
    for row in range(len(X)):  # X with Y's first item moved, or put, to the top
        rest = [item for item in X[row] if item != Y[row, 0]]
        closer[row] = [Y[row, 0], *rest][: X.shape[1]]
    after, before = overlaps(closer, Y), overlaps(X, Y)
    assert (after.rbo >= before.rbo - 1e-12).all() and (after.frbo >= before.frbo - 1e-12).all()


def test_values_do_not_depend_on_what_else_is_compared() -> None:
    generator = np.random.default_rng(1)
    X, Y = (np.stack([generator.permutation(40)[:20] for _ in range(1500)]) for _ in range(2))
    Y[::7, 12:] = -1
    together = similarities(X, Y)
    for row in (0, 511, 512, 1499):
        alone = similarities(X[[row]], Y[[row]])
        assert {name: values[row] for name, values in together.items()} == {
            name: values[0] for name, values in alone.items()
        }


def test_values_do_not_depend_on_what_else_is_compared_when_the_table_is_used_up_and_filled_again() -> None:
    generator = np.random.default_rng(2)
    X, Y = (np.stack([generator.permutation(6000)[:5000] for _ in range(700)]) for _ in range(2))
    together, alone = similarities(X, Y), similarities(X[-5:], Y[-5:])
    for name in SIMILARITIES:
        assert np.array_equal(together[name][-5:], alone[name])


def test_no_instances_give_no_values() -> None:
    nothing = np.zeros((0, 5), dtype=np.int64)
    assert {name: len(values) for name, values in similarities(nothing, nothing).items()} == dict.fromkeys(
        SIMILARITIES, 0
    )
