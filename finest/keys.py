"""Keys for everything random: each use names itself, so that none shares a stream or depends on the order of calls."""

import hashlib
import json
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:  # half of the users of keys never train, and torch takes seconds to load
    import torch


def key(*words: str | int | float) -> int:
    """A 63-bit integer that depends on every word and on their order.

    >>> key("a", 1) == key("a", 1), key("a", 1) == key("a", "1")
    (True, False)
    """
    digest = hashlib.blake2b(json.dumps(words).encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") >> 1


def numpy_generator(*words: str | int | float) -> np.random.Generator:
    """A generator of its own for the use that `words` name."""
    return np.random.Generator(np.random.PCG64(key(*words)))


def torch_generator(*words: str | int | float, device: "torch.device | str" = "cpu") -> "torch.Generator":
    """A generator of its own for the use that `words` name, on `device`."""
    import torch

    return torch.Generator(device=device).manual_seed(key(*words))
