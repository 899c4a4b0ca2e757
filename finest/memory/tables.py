"""The tables that a memory scores by, in memory and as a file.

Shapes: I items, E entries of a table.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from safetensors.numpy import load_file, save_file
from scipy import sparse

PARTS = ("data", "indices", "indptr")
"""Arrays of a table in compressed rows."""


@dataclass(frozen=True)
class Counts:
    """Holds what was counted in training rows. Items are by code from 1; row and column 0, the padding, are empty."""

    popularity: npt.NDArray[np.float64]
    """[I + 1] share of all interactions, smoothed by one interaction an item."""
    follows: "sparse.csr_array"
    """[I + 1, I + 1] share of what followed an item within ten steps, near steps more, shrunk; the largest a row."""
    alike: "sparse.csr_array"
    """[I + 1, I + 1] cosine between the sets of two items' users; the largest a row."""

    def save(self, file: Path) -> None:
        """Writes the tables as they are, float32 and int32, without pickle."""
        tables = {"follows": self.follows, "alike": self.alike}
        arrays = {f"{name}.{part}": getattr(table, part) for name, table in tables.items() for part in PARTS}
        save_file({"popularity": self.popularity, **arrays}, file)

    @classmethod
    def load(cls, file: Path) -> "Counts":
        """Returns the tables that `save` wrote."""
        arrays = load_file(file)
        shape = (len(arrays["popularity"]),) * 2
        follows, alike = (
            sparse.csr_array(tuple(arrays[f"{name}.{part}"] for part in PARTS), shape=shape)
            for name in ("follows", "alike")
        )
        return cls(arrays["popularity"], follows, alike)
