import torch
from torch.nn import functional as F

from finest.training.objective import loss
from tests.unit.training.penalties import stored

N, I, K, ALPHA, MARGIN = 7, 30, 5, 0.7, 0.1


def example(seed: int = 0):
    generator = torch.Generator().manual_seed(seed)
    scores = torch.randn(N, I, generator=generator, dtype=torch.float64)
    target = torch.randint(1, I + 1, (N,), generator=generator)
    lists = torch.stack([torch.randperm(I, generator=generator)[: 2 * K] for _ in range(4)]).int()
    of_row = torch.tensor([-1, 0, 1, 2, 3])  # clean row 0 has no list
    ids = torch.tensor([4, -1, 0, 1, 3, 2, -1])  # -1: simulated rows
    return scores, target, ids, stored(lists, of_row, ALPHA, MARGIN)


def written_out(scores, target, ids, penalty):
    """The formulas of the loss, term by term, left to autograd."""
    order, top = [], []
    for n, id in enumerate(ids.tolist()):
        if id < 0 or penalty.lists.of_row[id] < 0:
            continue
        s = scores[n][penalty.lists.lists[penalty.lists.of_row[id]].long()]
        order.append(torch.stack([(MARGIN - (s[k] - s[k + 1])).clamp_min(0) for k in range(K - 1)]).mean())
        top.append(torch.stack([(MARGIN - (s[k] - s[K + k])).clamp_min(0) for k in range(K)]).mean())
    order, top = torch.stack(order).mean(), torch.stack(top).mean()
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
    scores = torch.zeros(N, I, dtype=torch.float64)
    for n, id in enumerate(ids.tolist()):
        if id >= 0 and penalty.lists.of_row[id] >= 0:
            scores[n, penalty.lists.lists[penalty.lists.of_row[id]].long()] = torch.linspace(
                5, 1, 2 * K, dtype=torch.float64
            )
    assert loss(scores, target, ids, penalty)[1:].tolist() == [0.0, 0.0]
