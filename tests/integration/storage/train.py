"""Pretrains long enough to be killed in an epoch: `python -m tests.integration.storage.train CHECKPOINTS OUT`."""

import sys
from pathlib import Path

from finest.models.config import SASRecConfig
from finest.perturb.config import Perturb, Scenario
from finest.perturb.plan import plan
from finest.training.config import Pretrain
from finest.training.pretrain import pretrain
from storage import checkpoint_store
from tests.builders import random_dataset

EPOCHS = 4


def main(checkpoints: str, out: str) -> None:
    """Five variants, one after the other in a worker."""
    data = random_dataset(users=200, items=60)
    edits, planned = plan(data, Perturb(scenarios=[Scenario(kind="deletion", share=0.02)]), 0)
    config = Pretrain(
        model=SASRecConfig(hidden_size=16, num_layers=1, max_length=12),
        epochs=EPOCHS,
        batch_size=4,
        device="cpu",
        processes=1,
    )
    pretrain(data, edits, planned, "0", config, checkpoint_store(checkpoints), Path(out), lambda progress: None)


if __name__ == "__main__":
    main(*sys.argv[1:])
