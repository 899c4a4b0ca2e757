"""RecBole's SASRec: `python -m benchmarks.peer_recbole TASK ANSWER`, with the interpreter of `benchmarks.peers`.

Settings are those of `benchmarks.peer_training`: RecBole's defaults, with cross-entropy over the whole catalogue.
"""

import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from recbole.config import Config
from recbole.data import create_dataset, data_preparation
from recbole.trainer import Trainer
from recbole.utils import get_model, init_seed
from torch import Tensor

from benchmarks.peer_exchange import Rows, Score, main
from benchmarks.peer_training import COMMON, SETTINGS


class RecBole:
    """Trains RecBole's SASRec."""

    packages: tuple[str, ...] = ("recbole",)

    def __init__(self, length: int):
        """Keeps RecBole's own length: every target has a row of its own there, whatever the length."""
        self.length = COMMON["MAX_ITEM_LIST_LENGTH"]
        self.settings: dict[str, Any] = {**SETTINGS["SASRec"], "MAX_ITEM_LIST_LENGTH": self.length}

    def train(self, rows: Rows, seed: int, after_epoch: Callable[[Score], bool]) -> None:
        """Trains until `after_epoch` says stop."""
        with tempfile.TemporaryDirectory() as folder:
            os.chdir(folder)  # RecBole leaves logs where it runs
            _write(rows, Path(folder))
            settings = COMMON | SETTINGS["SASRec"] | {"seed": seed, "data_path": folder}
            config = Config("SASRec", "rows", config_dict=settings)
            init_seed(seed, config["reproducibility"])
            training, _, _ = data_preparation(config, create_dataset(config))
            network = get_model(config["model"])(config, training.dataset).to(config["device"])
            trainer = Trainer(config, network)
            known = np.unique(rows.item)
            theirs = np.zeros(rows.items + 1, np.int64)  # 0 pads, and stands for an item that no training row has
            theirs[known] = training.dataset.token2id("item_id", known.astype(str))
            of_ours = torch.from_numpy(theirs)

            def score(windows_BT: Tensor) -> Tensor:
                network.eval()
                size_B = (windows_BT > 0).sum(1)
                behind = (torch.arange(windows_BT.shape[1]) + windows_BT.shape[1] - size_B[:, None]).clamp(
                    max=windows_BT.shape[1] - 1
                )
                inside = torch.arange(windows_BT.shape[1]) < size_B[:, None]
                items_BT = torch.where(inside, of_ours[windows_BT.gather(1, behind)], 0)
                scores = network.forward(items_BT, size_B) @ network.item_embedding.weight.T
                lowest = scores[:, 1:].amin(1, keepdim=True) - 1
                return torch.where(of_ours[1:] > 0, scores[:, of_ours[1:]], lowest)

            epoch, last = 0, False
            while not last:
                trainer._train_epoch(training, epoch)
                epoch, last = epoch + 1, after_epoch(score)
            os.chdir("/")


def _write(rows: Rows, folder: Path) -> None:
    """Writes rows/rows.inter with two rows more of each user, which RecBole sets aside for validation and test."""
    last = np.flatnonzero(np.r_[rows.user[1:] != rows.user[:-1], True])
    user = np.r_[rows.user, rows.user[last], rows.user[last]]
    item = np.r_[rows.item, rows.item[last], rows.item[last]]
    at = np.r_[np.arange(len(rows.user)), len(rows.user) + np.arange(2 * len(last))]
    lines = (f"{one}\t{other}\t{when}" for one, other, when in zip(user, item, at, strict=True))
    (folder / "rows").mkdir()
    text = "\n".join(["user_id:token\titem_id:token\ttimestamp:float", *lines])
    (folder / "rows" / "rows.inter").write_text(text + "\n")


if __name__ == "__main__":
    main(RecBole)
