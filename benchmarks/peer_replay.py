"""RePlay's SASRec: `python -m benchmarks.peer_replay TASK ANSWER`, with the interpreter of `benchmarks.peers`.

Settings are those that `SasRec.from_params` documents but for width and length, its optimizer's defaults, and
cross-entropy over the whole catalogue, which is its default loss.
"""

from collections.abc import Callable
from typing import Any

import lightning
import numpy as np
import torch
from replay.data import FeatureHint, FeatureSource, FeatureType
from replay.data.nn import TensorFeatureInfo, TensorFeatureSource, TensorSchema
from replay.nn.lightning import LightningModule
from replay.nn.sequential import SasRec
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from benchmarks.peer_exchange import Rows, Score, main

BATCH_SIZE = 128


class RePlay:
    """Trains RePlay's SASRec."""

    packages: tuple[str, ...] = ("replay-rec", "lightning")

    def __init__(self, length: int):
        """Takes the length of a sequence."""
        self.length = length
        self.settings: dict[str, Any] = {"embedding_dim": 64, "max_sequence_length": length}

    def train(self, rows: Rows, seed: int, after_epoch: Callable[[Score], bool]) -> None:
        """Trains until `after_epoch` says stop."""
        lightning.seed_everything(seed, verbose=False)
        item = TensorFeatureInfo(
            "item_id",
            FeatureType.CATEGORICAL,
            is_seq=True,
            feature_hint=FeatureHint.ITEM_ID,
            feature_sources=[TensorFeatureSource(FeatureSource.INTERACTIONS, "item_id")],
            cardinality=rows.items,
            padding_value=rows.items,
            embedding_dim=self.settings["embedding_dim"],
        )
        network = SasRec.from_params(TensorSchema([item]), **self.settings)
        trainer = lightning.Trainer(
            max_epochs=-1,
            accelerator="auto",
            devices=1,
            callbacks=[_AfterEpoch(rows.items, after_epoch)],
            logger=False,
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
        )
        trainer.fit(
            LightningModule(network),
            DataLoader(
                _Last(rows, self.length + 1),
                BATCH_SIZE,
                shuffle=True,
                collate_fn=lambda some: _batch(some, self.length + 1, rows.items),
            ),
        )


class _Last(Dataset[Tensor]):
    """Holds each user's last items, as RePlay's own training data does; codes from 0."""

    def __init__(self, rows: Rows, number: int):
        of_users = np.split(rows.item - 1, np.flatnonzero(np.diff(rows.user)) + 1)
        self.items = [torch.from_numpy(items[-number:]) for items in of_users if len(items) > 1]

    def __len__(self) -> int:
        return len(self.items)

    def __getitem__(self, index: int) -> Tensor:
        return self.items[index]


def _batch(some: list[Tensor], length: int, padding: int) -> dict[str, object]:
    """Returns a batch in RePlay's form; sequences are padded before."""
    padded = torch.nn.utils.rnn.pad_sequence([one.flip(0) for one in some], True, padding).flip(1)
    items_BT = torch.nn.functional.pad(padded, (length - padded.shape[1], 0), value=padding)
    there_BT = items_BT != padding
    return {
        "feature_tensors": {"item_id": items_BT[:, :-1]},
        "padding_mask": there_BT[:, :-1],
        "positive_labels": items_BT[:, 1:, None],
        "target_padding_mask": (there_BT[:, 1:] & there_BT[:, :-1])[:, :, None],
    }


class _AfterEpoch(lightning.Callback):  # type: ignore[misc]  # see peer_rectools
    def __init__(self, items: int, after_epoch: Callable[[Score], bool]):
        self.items, self.after_epoch = items, after_epoch

    def on_train_epoch_end(self, trainer: lightning.Trainer, pl_module: LightningModule) -> None:
        def score(windows_BT: Tensor) -> Tensor:
            network = pl_module.model.eval()
            items_BT = torch.where(windows_BT > 0, windows_BT - 1, self.items).to(pl_module.device)
            logits: Tensor = network({"item_id": items_BT}, items_BT != self.items)["logits"]
            return logits

        trainer.should_stop = self.after_epoch(score)
        pl_module.train()


if __name__ == "__main__":
    main(RePlay)
