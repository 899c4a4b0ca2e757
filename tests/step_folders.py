"""The folders that the steps of a tiny run hand to the next, and what reads each of them."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow.fs as pafs
import pytest

from components.champion.score import score
from components.champion.work import VERSION, saved_champion, skipped
from components.gate.work import decide
from components.promote.config import Promote
from components.promote.work import promote, reject
from components.skip.work import write
from finest import sealed
from finest.data.config import Ingest
from finest.data.dataset import load
from finest.data.freshness import Seen
from finest.data.ingest import ingest
from finest.data.source import SourceFile
from finest.gate.config import Gate
from finest.models.config import SASRecConfig
from finest.perturb.config import Perturb, Scenario
from finest.perturb.plan import plan, read_plan, write_plan
from finest.training.config import Finetune, Pretrain
from finest.training.finetune import finetune
from finest.training.pretrain import pretrain
from finest.training.recipe import Recipe
from storage import FolderStore
from tests.builders import write_walks
from tracking.promotion import Before

FOLDERS = ["data", "edits", "recipe", "bases", "tuned", "model", "lists", "skipped", "candidate", "verdict"]
"""Folders that steps hand to the next."""
AS_OF = datetime(2026, 11, 27, tzinfo=UTC)
PRETRAIN = Pretrain(
    model=SASRecConfig(hidden_size=8, num_layers=1, max_length=6),
    shifted=False,
    epochs=1,
    device="cpu",
    processes=1,
    memory="off",
)
FINETUNE = Finetune(epochs=1, top_k=20)
ANY: Any = None
"""What a reader must not come to."""


@dataclass
class Run:
    """The folders of a run, and what reads each of them."""

    folder: Path

    def __getattr__(self, name: str) -> Path:
        return self.folder / name

    @property
    def readers(self) -> dict[str, list[Callable[[], object]]]:
        """Returns the steps that read a folder, by the folder."""
        plan_of = read_plan(self.folder / "edits")[1] if (self.folder / "edits").exists() else None
        promoting = (ANY, "line", self.candidate, self.verdict, self.data, Promote(register_rejected=True))
        return {
            "data": [lambda: load(self.data), self.judge, lambda: promote(*promoting, Before("", 0))],
            "edits": [lambda: read_plan(self.edits), self.judge],
            "recipe": [lambda: Recipe.read(self.recipe)],
            "bases": [lambda: self.tune(plan_of)],
            "tuned": [self.judge],
            "model": [lambda: saved_champion(self.model)],
            "lists": [self.judge],
            "skipped": [lambda: write(ANY, self.skipped, "1", str(AS_OF), self.folder / "out")],
            "candidate": [lambda: promote(*promoting, Before("", 0)), lambda: reject(*promoting)],
            "verdict": [lambda: promote(*promoting, Before("", 0)), lambda: reject(*promoting)],
        }

    def judge(self, out: str = "elsewhere") -> None:
        folders = self.data, self.edits, [self.tuned], self.lists
        gate = Gate(rules=["sanity"], self_test=False)
        decide(*folders, "", gate, AS_OF, self.folder / out, self.folder / f"{out}-candidate", [])

    def tune(self, planned: Any) -> None:
        given = load(self.data), read_plan(self.edits)[0], planned, "0", PRETRAIN, FINETUNE, self.bases
        finetune(*given, None, FolderStore(self.folder / "checkpoints"), self.tuned, lambda progress: None)


def make(folder: Path) -> Run:
    """Writes the folders of a tiny run below an empty one, by the steps' own work in this process."""
    made = Run(folder)
    source = write_walks(made.folder / "walks.csv")
    files = [SourceFile(str(source), source.stat().st_size, "")]
    config = Ingest.model_validate({"evaluation": {"depth": 20, "exclude_seen": False}})
    ingest(pafs.LocalFileSystem(), files, config, made.data, threads=1)
    data = load(made.data)
    table, planned = plan(data, Perturb(scenarios=[Scenario(kind="deletion")]), 0)
    write_plan(table, planned, made.edits)
    recipe = Recipe(chosen="network")
    made.recipe.mkdir()
    recipe.write(made.recipe)
    with pytest.MonkeyPatch.context() as patch:
        for step in ("pretrain", "finetune"):
            patch.setattr(f"finest.training.{step}.run", lambda jobs, *others: [job(others[-1]) for job in jobs])
        store = FolderStore(made.folder / "checkpoints")
        pretrain(data, table, planned, "0", PRETRAIN, store, made.bases, lambda progress: None, recipe)
        made.tune(planned)
        score("", data, made.model, made.lists)
        made.model.mkdir()
        for file in (made.tuned / "candidate").iterdir():
            (made.model / file.name).write_bytes(file.read_bytes())
        (made.model / VERSION).write_text("1")
        sealed.seal(made.model)
        seen = Seen("1", data.manifest.fingerprint, None)
        assert skipped(data.manifest, seen, made.skipped)
        patch.setenv("KFP_RUN_ID", "night")
        made.judge("verdict")
    (made.folder / "verdict-candidate").rename(made.candidate)
    return made
