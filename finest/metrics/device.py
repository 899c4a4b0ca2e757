"""`finest.metrics.lists.similarities` on a device, for lists that are there or are many: all metrics in one pass over large batches.

Shapes: M instances, D depth, B rows of a batch. The formulas and their edge cases are those of finest/metrics/lists.py, in float64.
"""

import torch
from torch import Tensor

ELEMENTS = 2**26
"""Pairs of places compared at once, a byte each, and counted in four."""


def similarities(X_MD: Tensor, Y_MD: Tensor, p: float, k: int) -> dict[str, Tensor]:
    """`rbo`, `frbo`, `jaccard_at_10`, `top1_agreement`, each [M] on the lists' device."""
    rows = max(ELEMENTS // max(X_MD.shape[1], 1) ** 2, 1)
    parts = [_batch(x_BD, y_BD, p, k) for x_BD, y_BD in zip(X_MD.split(rows), Y_MD.split(rows), strict=True)]
    return {name: torch.cat([part[name] for part in parts]) for name in parts[0]}


def _batch(x_BD: Tensor, y_BD: Tensor, p: float, k: int) -> dict[str, Tensor]:
    D = x_BD.shape[1]
    place_D = torch.arange(D, device=x_BD.device)
    depth_D = place_D + 1
    same_BDD = x_BD[:, :, None] == y_BD[:, None, :]
    # An item holds one place of a list, so the one that is the same is the largest.
    found, stands_BD = same_BDD.max(2)
    since_BD = torch.maximum(
        torch.where(found & (x_BD >= 0), stands_BD, D), place_D
    )  # depth index from which the item is in both
    overlap_BD = (since_BD[:, None, :] <= place_D[:, None]).sum(2, dtype=torch.int32).long()
    x_length, y_length = (x_BD >= 0).sum(1), (y_BD >= 0).sum(1)
    n, longest = torch.minimum(x_length, y_length), torch.maximum(x_length, y_length)
    length = n.clamp(min=1)
    common = torch.where(n > 0, overlap_BD.gather(1, length[:, None] - 1)[:, 0], 0)
    missing_BD = torch.where(depth_D <= n[:, None], depth_D - overlap_BD, 0)
    lost = (missing_BD * ((1 - p) * p ** (depth_D.double() - 1) / depth_D)).sum(1)
    weight = p ** n.double()
    apart = (longest == 0).double()  # without a common item exactly 0, but for two empty lists
    both = overlap_BD[:, min(k, D) - 1]
    either = x_length.clamp(max=k) + y_length.clamp(max=k) - both
    return {
        "rbo": torch.where(common > 0, 1 - (lost + weight * (n - common) / length), apart),
        "frbo": torch.where(common > 0, 1 - lost / (1 - p ** length.double()), apart),
        "jaccard_at_10": torch.where(either > 0, both.double() / either.clamp(min=1), 1.0),
        "top1_agreement": (x_BD[:, 0] == y_BD[:, 0]).double(),
    }
