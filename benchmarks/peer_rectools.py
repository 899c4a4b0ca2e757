"""RecTools' SASRec: `python -m benchmarks.peer_rectools TASK ANSWER`, with the interpreter of `benchmarks.peers`.

Settings are the class's own defaults but for the width, which is ours, and the length of a session; softmax over the
whole catalogue is its default loss.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import torch
from pytorch_lightning import Callback, LightningModule, Trainer, seed_everything
from rectools import Columns
from rectools.dataset import Dataset
from rectools.models import SASRecModel
from rectools.models.nn.transformers.base import TransformerModelBase
from torch import Tensor

from benchmarks.peer_exchange import Rows, Score, main


class RecTools:
    """Trains RecTools' SASRec."""

    packages: tuple[str, ...] = ("rectools", "pytorch-lightning")
    model: type[TransformerModelBase] = SASRecModel
    mask: str | None = None
    """What stands behind a history where the model is asked for what comes next."""

    def __init__(self, length: int):
        """Takes the length of a session."""
        self.length = length
        self.settings: dict[str, Any] = {"n_factors": 64, "session_max_len": length}

    def train(self, rows: Rows, seed: int, after_epoch: Callable[[Score], bool]) -> None:
        """Trains until `after_epoch` says stop."""
        seed_everything(seed, verbose=False)
        place = np.arange(len(rows.user))
        table = {Columns.User: rows.user, Columns.Item: rows.item, Columns.Weight: 1.0}
        interactions = pd.DataFrame({**table, Columns.Datetime: pd.to_datetime(place, unit="s")})
        model = self.model(
            **self.settings,
            get_trainer_func=lambda: Trainer(
                max_epochs=-1,
                accelerator="auto",
                devices=1,
                callbacks=[_AfterEpoch(rows.items, after_epoch, self.mask)],
                logger=False,
                enable_checkpointing=False,
                enable_progress_bar=False,
                enable_model_summary=False,
            ),
        )
        model.fit(Dataset.construct(interactions))


class _AfterEpoch(Callback):  # type: ignore[misc]  # the environment that checks types has none of the peer's packages
    def __init__(self, items: int, after_epoch: Callable[[Score], bool], mask: str | None):
        self.items, self.after_epoch, self.mask = items, after_epoch, mask

    def __deepcopy__(self, memo: object) -> "_AfterEpoch":
        return self  # RecTools copies its trainer for every fit; what counts epochs must stay the same thing

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        ids = pl_module.data_preparator.item_id_map
        theirs = np.zeros(self.items + 1, np.int64)  # 0 pads, and stands for an item that no training row has
        known = np.isin(np.arange(self.items + 1), ids.external_ids)
        theirs[known] = ids.convert_to_internal(np.flatnonzero(known))
        of_ours = torch.from_numpy(theirs)

        def score(windows_BT: Tensor) -> Tensor:
            network = pl_module.torch_model
            network.eval()
            device = next(network.parameters()).device
            items_ID = network.item_model.get_all_embeddings()
            codes_BT = of_ours[windows_BT].to(device)
            if self.mask is not None:
                codes_BT = torch.nn.functional.pad(
                    codes_BT[:, 1:], (0, 1), value=pl_module.data_preparator.extra_token_ids[self.mask]
                )
            sessions = {"x": codes_BT}
            state_BD = network.encode_sessions(sessions, items_ID)[:, -1, :]
            state_BD = network.similarity_module.session_tower_forward(state_BD)
            scores = state_BD @ network.similarity_module.item_tower_forward(items_ID).T
            lowest = scores.amin(1, keepdim=True) - 1
            return torch.where(of_ours[1:].to(device) > 0, scores[:, of_ours[1:].to(device)], lowest)

        trainer.should_stop = self.after_epoch(score)
        pl_module.train()


if __name__ == "__main__":
    main(RecTools)
