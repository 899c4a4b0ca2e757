"""Checks of regularisers, for the tests of who writes one."""

import torch
from torch import Tensor

from finest.training.chunked import chunked_loss
from finest.training.objective import Penalty, loss, stacked_loss
from finest.training.reference_lists import StoredLists
from finest.training.regularisers.base import Regulariser, RegulariserConfig
from finest.training.regularisers.registry import REGULARISERS

TARGETS, ITEMS, LISTS, HIDDEN, TOP_K = 24, 60, 10, 6, 4
"""Sizes of the made-up batch: targets, items, reference lists, hidden units, and items whose order is kept."""
ALPHA = 0.7
"""Weight of the regulariser in the loss."""
STEP = 1e-6
"""Step of the numerical gradient."""


def check_regulariser(regulariser: type[Regulariser] | str, config: RegulariserConfig | None = None) -> None:
    """Checks that a regulariser does what every regulariser must.

    It gives a finite value a list for each of its terms, and a gradient that is that of `alpha` times their sum. Terms
    of the parts of a batch add up to those of the whole, and a row that stands for no list adds nothing. The loss with
    it is one and the same in chunks, at once, alone and stacked.

    >>> check_regulariser("rank_hinge")

    Args:
        regulariser: The class, or its name where it is registered.
        config: Its section of the config; its defaults where left out.

    Raises:
        AssertionError: It does not; the text says what.
    """
    of_class = REGULARISERS[regulariser] if isinstance(regulariser, str) else regulariser
    made = of_class(config or of_class.Config.model_validate({}))
    name, length = of_class.__name__, of_class.list_length(TOP_K)
    assert 0 <= length <= ITEMS, f"{name}: list_length({TOP_K}) is {length}"
    assert bool(length) == bool(of_class.terms), (
        f"{name}: a regulariser without lists has no terms, and one with lists has some"
    )
    if length:
        _check_gradient(name, made, length)
        _check_parts(name, made, length)
        _check_losses(name, made, length)


def _scores(length: int, seed: int = 0) -> Tensor:
    return torch.randn(LISTS, length, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def _check_gradient(name: str, made: Regulariser, length: int) -> None:
    scores = _scores(length)
    terms, gradient = made(scores, LISTS, ALPHA)
    assert len(terms) == len(made.terms), f"{name}: {len(terms)} terms, but it names {len(made.terms)}"
    for term, values in zip(made.terms, terms, strict=True):
        assert values.shape == (LISTS,), f"{name}: term {term} has shape {tuple(values.shape)}, not a value a list"
        assert torch.isfinite(values).all(), f"{name}: term {term} is not finite"
    assert gradient.shape == scores.shape, f"{name}: its gradient has shape {tuple(gradient.shape)}"
    numerical = torch.zeros_like(scores)
    for place in range(scores.numel()):
        up, down = scores.clone(), scores.clone()
        up.view(-1)[place] += STEP
        down.view(-1)[place] -= STEP
        change = sum(term.sum() for term in made(up, LISTS, ALPHA)[0]) - sum(
            term.sum() for term in made(down, LISTS, ALPHA)[0]
        )
        numerical.view(-1)[place] = ALPHA * change / (2 * STEP)
    assert torch.allclose(gradient, numerical, atol=1e-6), f"{name}: its gradient is not that of its terms"


def _check_parts(name: str, made: Regulariser, length: int) -> None:
    scores, count = _scores(length), torch.full((LISTS, 1), float(LISTS), dtype=torch.float64)
    whole, gradient = made(scores, count, ALPHA)
    parts = [made(scores[part], LISTS, ALPHA) for part in (slice(0, 3), slice(3, LISTS))]
    for number, term in enumerate(made.terms):
        both = torch.cat([terms[number] for terms, _ in parts])
        assert torch.allclose(whole[number], both), f"{name}: {term} of a list depends on the lists beside it"
    assert torch.allclose(gradient, torch.cat([part for _, part in parts])), (
        f"{name}: a gradient depends on other lists"
    )
    terms, gradient = made(scores, torch.full_like(count, torch.inf), ALPHA)
    assert not any(term.any() for term in terms) and not gradient.any(), f"{name}: a row without a list counts"


def _check_losses(name: str, made: Regulariser, length: int) -> None:
    generator = torch.Generator().manual_seed(1)
    shapes = (TARGETS, HIDDEN), (ITEMS + 1, HIDDEN), (ITEMS + 1,)
    hidden, embedding, bias = (torch.randn(*shape, generator=generator, dtype=torch.float64) for shape in shapes)
    target = torch.randint(1, ITEMS + 1, (TARGETS,), generator=generator)
    lists = torch.stack([torch.randperm(ITEMS, generator=generator)[:length] for _ in range(LISTS)]).int()
    of_row = torch.randint(-1, LISTS, (TARGETS,), generator=generator)
    ids, penalty = torch.arange(TARGETS), Penalty(made, StoredLists(lists, of_row), ALPHA)

    def scores() -> Tensor:
        return torch.addmm(bias[1:], hidden, embedding[1:].t())

    at_once = loss(scores(), target, ids, penalty)
    assert torch.allclose(at_once[0], loss(scores(), target, ids, None)[0] + ALPHA * at_once[1:].sum()), (
        f"{name}: the loss is not the cross-entropy plus alpha times its terms"
    )
    in_chunks = chunked_loss(hidden, embedding, bias, target, ids, penalty, chunk=5)
    assert torch.allclose(at_once, in_chunks), f"{name}: the loss in chunks is another one"
    counts, held = torch.tensor([float(TARGETS)] * 2, dtype=torch.float64), penalty.lists.held(ids).sum().expand(2)
    both = stacked_loss(
        scores().expand(2, -1, -1).contiguous(), target.expand(2, -1), ids.expand(2, -1), counts, penalty, held
    )
    assert torch.allclose(both, at_once.expand(2, -1)), f"{name}: the loss in a stack is another one"
