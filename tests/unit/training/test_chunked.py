from collections.abc import Callable, Sequence

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from finest.training.chunked import catalogue_loss, chunked_loss, pays
from finest.training.objective import Penalty, loss
from tests.unit.training.parts import stored

D, K = 6, 3

Loss = Callable[[Tensor, Tensor, Tensor], Tensor]
"""Of hidden states, embedding and bias."""


def batch(
    N: int, I: int, seed: int, dtype: torch.dtype = torch.float64
) -> tuple[list[Tensor], Tensor, Tensor, Penalty]:
    """Hidden states, weights, targets, row ids (some simulated, some without a list), and a penalty."""
    generator = torch.Generator().manual_seed(seed)
    weights = [torch.randn(shape, generator=generator, dtype=dtype) for shape in ((N, D), (I + 1, D), (I + 1,))]
    target, ids = torch.randint(1, I + 1, (N,), generator=generator), torch.randint(-1, N, (N,), generator=generator)
    of_row = torch.randint(-1, 4, (N,), generator=generator)
    lists = torch.stack([torch.randperm(I, generator=generator)[: 2 * K] for _ in range(4)]).int()
    return weights, target, ids, stored(lists, of_row, 0.7, 0.1)


def terms_and_gradients(weights: Sequence[Tensor], function: Loss) -> list[Tensor]:
    """The loss's terms and the gradients of hidden states, embedding and bias, from upstream's factor 3."""
    hidden, embedding, bias = (weight.clone().requires_grad_() for weight in weights)
    terms = function(hidden, embedding, bias)
    (3 * terms[0]).backward()
    gradients = [weight.grad for weight in (hidden, embedding, bias) if weight.grad is not None]
    assert len(gradients) == 3
    return [terms.detach(), *gradients]


def whole(target: Tensor, ids: Tensor, penalty: Penalty | None) -> Loss:
    return lambda hidden, embedding, bias: loss(torch.addmm(bias[1:], hidden, embedding[1:].t()), target, ids, penalty)


def in_chunks(target: Tensor, ids: Tensor, penalty: Penalty | None, chunk: int | None) -> Loss:
    return lambda hidden, embedding, bias: chunked_loss(hidden, embedding, bias, target, ids, penalty, None, chunk)


@given(
    N=st.integers(1, 23),
    I=st.integers(2 * K, 40),
    chunk=st.integers(1, 30),
    seed=st.integers(0, 2**16),
    kept=st.booleans(),
)
@settings(max_examples=80, deadline=None)
def test_loss_and_gradients_are_those_without_chunks_for_any_chunk(
    N: int, I: int, chunk: int, seed: int, kept: bool
) -> None:
    weights, target, ids, penalty = batch(N, I, seed)
    arguments = target, ids, penalty if kept else None
    ours, theirs = (
        terms_and_gradients(weights, in_chunks(*arguments, chunk)),
        terms_and_gradients(weights, whole(*arguments)),
    )
    for one, other in zip(ours, theirs, strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=1e-6)


def test_the_same_in_float32_with_chunks_of_the_catalogues_own_choice() -> None:
    weights, target, ids, penalty = batch(300, 2000, 1, torch.float32)
    ways = in_chunks(target, ids, penalty, None), whole(target, ids, penalty)
    ours, theirs = (terms_and_gradients(weights, way) for way in ways)
    for one, other in zip(ours, theirs, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("low", [False, True])
def test_either_way_of_the_loss_is_one_call_under_autocast_too(low: bool) -> None:
    weights, target, ids, penalty = batch(60, 400, 5, torch.float32)

    def way(in_chunks: bool) -> Loss:
        return lambda hidden, embedding, bias: catalogue_loss(hidden, embedding, bias, target, ids, penalty, in_chunks)

    found = []
    for in_chunks in (False, True):
        with torch.autocast("cpu", torch.bfloat16, enabled=low):
            found.append(terms_and_gradients(weights, way(in_chunks)))
    for one, other in zip(*found, strict=True):
        assert (one - other).norm() < (0.05 if low else 1e-5) * other.norm()  # scores around 8 are bfloat16 to 0.03


def test_a_second_time_gives_the_same_bits() -> None:
    weights, target, ids, penalty = batch(40, 500, 2, torch.float32)
    first, second = (terms_and_gradients(weights, in_chunks(target, ids, penalty, 7)) for _ in range(2))
    assert all(torch.equal(one, other) for one, other in zip(first, second, strict=True))


def test_under_autocast_weights_gradients_stay_float32_and_do_not_lose_small_chunks() -> None:
    weights, target, ids, penalty = batch(400, 300, 3, torch.float32)
    exact = terms_and_gradients(weights, in_chunks(target, ids, penalty, 400))
    with torch.autocast("cpu", torch.bfloat16):
        low = terms_and_gradients(weights, in_chunks(target, ids, penalty, 5))
    for one, other in zip(low, exact, strict=True):
        assert one.dtype == torch.float32
        # bfloat16 keeps 8 bits; sums over 80 chunks in it would be off by more
        assert (one - other).norm() < 0.02 * other.norm()


def test_it_never_allocates_the_scores_of_all_targets() -> None:
    weights, target, ids, penalty = batch(256, 20_000, 4, torch.float32)
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU], profile_memory=True) as recorded:
        terms_and_gradients(weights, in_chunks(target, ids, penalty, 16))
    assert max(event.cpu_memory_usage for event in recorded.events()) < 256 * 20_000 * 4 / 4


@pytest.mark.parametrize(
    ("device", "items", "expected"),
    [("cpu", 300, False), ("cpu", 3_500, True), ("cuda", 3_500, False), ("cuda", 10**6, True)],
)
def test_chunks_pay_where_scores_leave_the_cache_or_the_budget(device: str, items: int, expected: bool) -> None:
    assert pays(32 * 50, items, torch.device(device)) is expected
