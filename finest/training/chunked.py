"""Computes the loss of finest/training/objective.py without holding the scores of all targets, for large catalogues.

A chunk holds the scores of some targets over the whole catalogue. Their softmax, and so their gradient, is complete
within it: every product is computed once, as without chunks (chunks of the catalogue would need a second pass over the
scores), and what stays is of the size of the weights. Hidden states, not scores, are what autograd keeps.

Shapes: N targets, C targets of a chunk, M targets with a reference list, L items of a list, I items, D hidden units.
"""

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from finest.training.objective import Penalty, loss, terms_of, total

SCORES_BYTES = {"cpu": 2**24, "cuda": 2**30}
"""Size of a batch's scores from which they are chunked. On a CPU chunks stay in the cache: as fast from some 8 MiB on,
a tenth faster beyond, and a quarter with the hinge. On a GPU chunks cost launches, and 1 GiB, held three times in a
step (scores, softmax, its gradient), is what a small one can spare."""
CHUNK_SCORES = 2**24
"""Number of scores in a chunk, 64 MiB in float32."""
FEWEST, MOST = 64, 256
"""Least and largest number of targets in a chunk. Each chunk passes over the whole gradient of the embedding: with
fewer targets than hidden units that would take longer than the scores themselves."""


def pays(targets: int, items: int, device: torch.device) -> bool:
    """Returns whether a batch of up to `targets` targets is better chunked.

    Ask once a training, with the most that a batch can hold (windows times length), so that variants whose batches
    differ by an edit are computed alike.
    """
    return 4 * targets * items > SCORES_BYTES[device.type]


def chunk_of(items: int) -> int:
    """Returns the number of targets of a chunk.

    With 2**24 scores a chunk, 100 000 items give 167 targets; 10 000 items would give 1 677, more than MOST.

    >>> chunk_of(100_000), chunk_of(10_000), chunk_of(1_000_000)
    (167, 256, 64)
    """
    return min(max(CHUNK_SCORES // items, FEWEST), MOST)


def catalogue_loss(
    hidden_ND: Tensor,
    embedding: Tensor,
    bias: Tensor,
    target_N: Tensor,
    ids_N: Tensor,
    penalty: Penalty | None,
    in_chunks: bool,
    counts: tuple[int, int] | None = None,
    cross_entropy: bool = True,
) -> Tensor:
    """Computes `chunked_loss`, or the same loss with all scores at once."""
    if in_chunks:
        return chunked_loss(hidden_ND, embedding, bias, target_N, ids_N, penalty, counts, cross_entropy=cross_entropy)
    scores_NI = torch.addmm(bias[1:], hidden_ND, embedding[1:].t()).float()
    return loss(scores_NI, target_N, ids_N, penalty, counts, cross_entropy)


def chunked_loss(
    hidden_ND: Tensor,
    embedding: Tensor,
    bias: Tensor,
    target_N: Tensor,
    ids_N: Tensor,
    penalty: Penalty | None,
    counts: tuple[int, int] | None = None,
    chunk: int | None = None,
    cross_entropy: bool = True,
) -> Tensor:
    """Computes `objective.loss` of `recommender.scores(hidden_ND)`.

    Under autocast products are taken in its type; sums and gradients of the weights are float32.

    Args:
        hidden_ND: Hidden states at the targets.
        embedding: [I + 1, D] item embeddings, padding at 0.
        bias: [I + 1] item biases, padding at 0.
        target_N: Item codes, from 1.
        ids_N: Clean row ids of the targets; -1 for a simulated one.
        penalty: What is added to the loss.
        counts: Numbers of targets and of lists in the whole batch, where these are a part of it.
        chunk: Number of targets of a chunk; what suits the catalogue where not given.
        cross_entropy: Whether cross-entropy counts; not where another loss stands in its place.

    Returns:
        `[1 + T]`, the loss and the regulariser's terms; only the loss has a gradient.
    """
    if penalty is None:
        held_M = target_N.new_empty(0)
        lists_ML = held_M.view(0, 2)
    else:
        held_M, lists_ML = penalty.lists.lists_of(ids_N)
    targets, lists = counts or (len(target_N), len(held_M))
    device = hidden_ND.device.type
    dtype = torch.get_autocast_dtype(device) if torch.is_autocast_enabled(device) else hidden_ND.dtype
    with torch.autocast(device, enabled=False):
        chunk = chunk or chunk_of(len(embedding) - 1)
        return _Chunked.apply(
            hidden_ND, embedding, bias, target_N, held_M, lists_ML, penalty, dtype, chunk, targets, lists, cross_entropy
        )


class _Chunked(torch.autograd.Function):
    """Makes gradients on the way forward, chunk by chunk, and hands them out backward."""

    @staticmethod
    def forward(
        ctx: Any,
        hidden_ND: Tensor,
        embedding: Tensor,
        bias: Tensor,
        target_N: Tensor,
        held_M: Tensor,
        lists_ML: Tensor,
        penalty: Penalty | None,
        dtype: torch.dtype,
        chunk: int,
        targets: int,
        lists: int,
        cross_entropy: bool,
    ) -> Tensor:
        N, I = len(target_N), len(embedding) - 1
        exact = bias.dtype
        hidden_gradient = torch.empty_like(hidden_ND, dtype=exact)
        embedding_gradient, bias_gradient = torch.zeros_like(embedding), torch.zeros_like(bias)
        hidden_low, embedding_low = hidden_ND.to(dtype), embedding[1:].to(dtype)
        scores, softmax = (torch.empty(min(chunk, N), I, dtype=exact, device=bias.device) for _ in range(2))
        starts = list(range(0, N, chunk))
        bounds = torch.searchsorted(held_M, torch.tensor([*starts, N], device=held_M.device)).tolist()
        next_loss, *terms = torch.zeros(1 + len(terms_of(penalty)), dtype=exact, device=bias.device)
        alpha = penalty.alpha if penalty else 0.0
        for start, low, high in zip(starts, bounds, bounds[1:], strict=False):
            hidden_CD = hidden_low[start : start + chunk]
            scores_CI, gradient_CI = scores[: len(hidden_CD)], softmax[: len(hidden_CD)]
            _product(hidden_CD, embedding_low.t(), scores_CI)
            scores_CI += bias[1:]
            if cross_entropy:
                torch.softmax(scores_CI, 1, out=gradient_CI)
                own_C1 = (target_N[start : start + chunk] - 1)[:, None]
                next_loss = (
                    next_loss - gradient_CI.gather(1, own_C1).clamp_min(torch.finfo(exact).tiny).log().sum() / targets
                )
                gradient_CI.scatter_add_(1, own_C1, torch.full_like(own_C1, -1, dtype=exact))
                gradient_CI /= targets
            else:
                gradient_CI.zero_()
            if penalty and high > low:
                place_ML = (held_M[low:high] - start)[:, None] * I + lists_ML[low:high]
                terms_M, change_ML = penalty.regulariser(scores_CI.view(-1)[place_ML], lists, alpha)
                terms = [term + term_M.sum() for term, term_M in zip(terms, terms_M, strict=True)]
                gradient_CI.view(-1).scatter_add_(0, place_ML.view(-1), change_ML.view(-1))
            gradient_low = gradient_CI.to(dtype)
            _product(gradient_low, embedding_low, hidden_gradient[start : start + chunk])
            _add_product(gradient_low.t(), hidden_CD, embedding_gradient[1:])
            bias_gradient[1:] += gradient_CI.sum(0)
        ctx.gradients = hidden_gradient.to(hidden_ND.dtype), embedding_gradient, bias_gradient
        return torch.stack([total(next_loss, terms, alpha), *terms])

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *upstream: Tensor) -> tuple[Tensor | None, ...]:
        gradients, ctx.gradients = ctx.gradients, None  # as large as the weights: handed over, not copied
        return *(gradient.mul_(upstream[0][0]) for gradient in gradients), *[None] * 9


def _product(left: Tensor, right: Tensor, out: Tensor) -> None:
    """Writes the product, summed in `out`'s type."""
    if left.dtype == out.dtype:
        torch.mm(left, right, out=out)
    elif left.is_cuda:
        torch.mm(left, right, out_dtype=out.dtype, out=out)
    else:
        out.copy_(left @ right)


def _add_product(left: Tensor, right: Tensor, out: Tensor) -> None:
    """Adds the product to `out`."""
    if left.dtype == out.dtype:
        out.addmm_(left, right)
    elif left.is_cuda:
        out += torch.mm(left, right, out_dtype=out.dtype)
    else:
        out += left @ right
