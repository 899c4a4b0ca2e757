"""Gives keys to everything random: each use names itself, so that no two share a stream or depend on call order."""

import hashlib
import json
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:  # half of the users of keys never train, and torch takes seconds to load
    import torch


def key(*words: str | int | float) -> int:
    """Returns a 63-bit integer that depends on every word and on their order.

    >>> key("a", 1) == key("a", 1), key("a", 1) == key("a", "1")
    (True, False)
    """
    digest = hashlib.blake2b(json.dumps(words).encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") >> 1


def numpy_generator(*words: str | int | float) -> np.random.Generator:
    """Returns a NumPy generator for the use that `words` name, and for no other."""
    return np.random.Generator(np.random.PCG64(key(*words)))


def torch_generator(*words: str | int | float, device: "torch.device | str" = "cpu") -> "torch.Generator":
    """Returns a torch generator on `device` for the use that `words` name, and for no other."""
    import torch

    return torch.Generator(device=device).manual_seed(key(*words))
