"""Checks of losses, for the tests of who writes one."""

import torch
from torch import Tensor

from finest.training.losses.base import LossConfig, SampledLoss
from finest.training.losses.registry import LOSSES
from finest.training.sampled import sampled_loss

TARGETS, DRAWN, ITEMS, HIDDEN = 12, 9, 30, 5
"""Sizes of the made-up batch: targets, drawn items, items of the catalogue, hidden units."""


def check_loss(loss: type[SampledLoss] | str, config: LossConfig | None = None) -> None:
    """Checks that a loss against drawn items does what every such loss must.

    It gives a finite value a target, whatever the targets beside it; falls as the target's score rises, and rises with
    those of drawn items; takes one that is left out (-inf) for one that costs nothing; has the gradient of its values;
    and gives a stack what it gives each replica.

    >>> check_loss("sampled_softmax")

    Args:
        loss: The class, or its name where it is registered.
        config: Its section of the config; its defaults where left out.

    Raises:
        AssertionError: It does not; the text says what.
    """
    of_class = LOSSES[loss] if isinstance(loss, str) else loss
    assert issubclass(of_class, SampledLoss), f"{of_class.__name__}: only losses against drawn items are checked"
    made = of_class(config or of_class.Config.model_validate({}))
    name = of_class.__name__
    _check_values(name, made)
    _check_stack(name, made)


def _check_values(name: str, made: SampledLoss) -> None:
    generator = torch.Generator().manual_seed(0)
    scores = (2 * torch.randn(TARGETS, 1 + DRAWN, generator=generator, dtype=torch.float64)).requires_grad_()
    values = made(scores, ITEMS)
    assert values.shape == (TARGETS,), f"{name}: values have shape {tuple(values.shape)}, not a value a target"
    assert torch.isfinite(values).all(), f"{name}: a value is not finite"
    (gradient,) = torch.autograd.grad(values.sum(), scores)
    assert (gradient[:, 0] < 0).all(), f"{name}: a higher score of the target does not cost less"
    assert (gradient[:, 1:] > 0).all(), f"{name}: a higher score of a drawn item does not cost more"
    assert torch.autograd.gradcheck(lambda x: made(x, ITEMS), (scores,)), f"{name}: its gradient is another one"
    assert torch.allclose(made(scores[3:5], ITEMS), values[3:5]), f"{name}: a target's loss depends on those beside it"
    left_out = scores.detach().clone().index_fill_(1, torch.arange(1, 1 + DRAWN), -torch.inf).requires_grad_()
    values = made(left_out, ITEMS)
    (gradient,) = torch.autograd.grad(values.sum(), left_out)
    there = torch.isfinite(values).all() and torch.isfinite(gradient).all() and not gradient[:, 1:].any()
    assert there, f"{name}: an item that is left out (-inf) has a gradient"


def _check_stack(name: str, made: SampledLoss) -> None:
    generator = torch.Generator().manual_seed(1)

    def normal(*shape: int) -> Tensor:
        return torch.randn(2, *shape, generator=generator, dtype=torch.float64)

    hidden, embedding, bias = normal(TARGETS, HIDDEN), normal(ITEMS + 1, HIDDEN), normal(ITEMS + 1)
    target = torch.randint(1, ITEMS + 1, (2, TARGETS), generator=generator)
    drawn = torch.stack([torch.randperm(ITEMS, generator=generator)[:DRAWN] + 1 for _ in range(2)])
    count = torch.full((2, TARGETS), float(TARGETS))
    count[1, 4] = torch.inf
    both = sampled_loss(made, hidden, embedding, bias, target, drawn, count)
    for replica in range(2):
        kept = torch.isfinite(count[replica])
        alone = sampled_loss(
            made,
            hidden[None, replica, kept],
            embedding[None, replica],
            bias[None, replica],
            target[None, replica, kept],
            drawn[None, replica],
            torch.full((1, 1), float(TARGETS)),
        )
        assert torch.allclose(alone[0], both[replica], rtol=1e-5), f"{name}: the loss in a stack is another one"
