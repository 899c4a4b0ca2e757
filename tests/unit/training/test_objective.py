import torch
from torch import Tensor
from torch.nn import functional as F

from finest.training.objective import Penalty, loss
from finest.training.reference_lists import StoredLists
from tests.unit.training.parts import stored

N, I, K, ALPHA, MARGIN = 7, 30, 5, 0.7, 0.1


def example(seed: int = 0) -> tuple[Tensor, Tensor, Tensor, Penalty]:
    generator = torch.Generator().manual_seed(seed)
    scores = torch.randn(N, I, generator=generator, dtype=torch.float64)
    target = torch.randint(1, I + 1, (N,), generator=generator)
    lists = torch.stack([torch.randperm(I, generator=generator)[: 2 * K] for _ in range(4)]).int()
    of_row = torch.tensor([-1, 0, 1, 2, 3])  # clean row 0 has no list
    ids = torch.tensor([4, -1, 0, 1, 3, 2, -1])  # -1: simulated rows
    return scores, target, ids, stored(lists, of_row, ALPHA, MARGIN)


def written_out(scores: Tensor, target: Tensor, ids: Tensor, penalty: Penalty) -> tuple[Tensor, Tensor, Tensor]:
    """The formulas of the loss, term by term, left to autograd."""
    kept = penalty.lists
    assert isinstance(kept, StoredLists)
    orders, tops = [], []
    for n, id in enumerate(ids.tolist()):
        if id < 0 or kept.of_row[id] < 0:
            continue
        s = scores[n][kept.lists[kept.of_row[id]].long()]
        orders.append(torch.stack([(MARGIN - (s[k] - s[k + 1])).clamp_min(0) for k in range(K - 1)]).mean())
        tops.append(torch.stack([(MARGIN - (s[k] - s[K + k])).clamp_min(0) for k in range(K)]).mean())
    order, top = torch.stack(orders).mean(), torch.stack(tops).mean()
    return F.cross_entropy(scores, target - 1) + ALPHA * (order + top), order, top


def test_value_and_gradient_are_those_of_the_formulas() -> None:
    scores, target, ids, penalty = example()
    ours, theirs = scores.clone().requires_grad_(), scores.clone().requires_grad_()
    terms, expected = loss(ours, target, ids, penalty), written_out(theirs, target, ids, penalty)
    torch.testing.assert_close(terms, torch.stack(expected))
    terms[0].backward()
    expected[0].backward()
    torch.testing.assert_close(ours.grad, theirs.grad)


def test_without_a_hinge_it_is_cross_entropy() -> None:
    scores, target, ids, _ = example(1)
    ours, theirs = scores.clone().requires_grad_(), scores.clone().requires_grad_()
    loss(ours, target, ids, None)[0].backward()
    F.cross_entropy(theirs, target - 1).backward()
    torch.testing.assert_close(ours.grad, theirs.grad)


def test_the_regularisers_weight_does_not_depend_on_the_batch() -> None:
    scores, target, ids, penalty = example(2)
    once, twice = (
        loss(scores, target, ids, penalty),
        loss(scores.repeat(2, 1), target.repeat(2), ids.repeat(2), penalty),
    )
    torch.testing.assert_close(once, twice)


def test_a_batch_of_simulated_rows_alone_has_no_regulariser() -> None:
    scores, target, _, penalty = example(3)
    terms = loss(scores, target, torch.full((N,), -1), penalty)
    torch.testing.assert_close(
        terms, torch.stack([F.cross_entropy(scores, target - 1), torch.zeros(()), torch.zeros(())]).to(terms)
    )


def test_scores_in_the_reference_order_beyond_the_margin_cost_nothing() -> None:
    _, target, ids, penalty = example(4)
    kept, scores = penalty.lists, torch.zeros(N, I, dtype=torch.float64)
    assert isinstance(kept, StoredLists)
    for n, id in enumerate(ids.tolist()):
        if id >= 0 and kept.of_row[id] >= 0:
            scores[n, kept.lists[kept.of_row[id]].long()] = torch.linspace(5, 1, 2 * K, dtype=torch.float64)
    assert loss(scores, target, ids, penalty)[1:].tolist() == [0.0, 0.0]
