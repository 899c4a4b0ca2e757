"""Nights in a row over S3, step after step as the pipeline has them, in one process.

`python -m benchmarks.nights` runs whole nights.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from kfp.dsl import PipelineTaskFinalStatus

from components.calibrate.component import calibrate
from components.champion.component import champion
from components.config import Sections
from components.finetune.component import finetune
from components.gate.component import gate
from components.ingest.component import ingest
from components.notify.component import notify
from components.perturb.component import perturb
from components.preflight.component import preflight
from components.pretrain.component import pretrain
from components.promote.component import promote
from components.sections import parameters
from components.skip.component import skip
from pipeline.config import NIGHTLY, load
from tests.night_runs import FIRST, Ended, Feed, Night, all_wrong, ended, simulate, world, wrong
from tests.services import s3
from tests.services.process import UnavailableError

WINDOW = 4
SOURCE = "s3://finest/interactions"
SETTINGS = [
    "name=finest",
    f"ingest.window_days={WINDOW}",
    "ingest.evaluation.depth=20",
    "pretrain.model={hidden_size: 16, num_layers: 1, max_length: 20}",
    "pretrain.epochs=1",
    "pretrain.processes=1",
    "pretrain.memory.serve=stack",
    "finetune.epochs=1",
    "finetune.top_k=50",
    "perturb.scenarios=[{kind: deletion}]",
    "gate.rules=[sanity]",
    "preflight.min_free_gb=0",
]
PLAN = [Night("the first", says="There is no champion"), Night("a day delivered twice", "twice", says="repeat another")]


@dataclass
class Steps:
    """Runs nights by calling the steps."""

    state: Path
    patch: pytest.MonkeyPatch
    runs: int = 0

    def run(self, night: Night, as_of: date) -> Ended:
        """The night, and what came of it."""
        self.runs += 1
        self.patch.setenv("KFP_RUN_ID", f"night-{self.runs}")
        folder = self.state / "runs" / str(self.runs)
        config = parameters(load(NIGHTLY, SETTINGS))
        verdict = run_steps(config, str(as_of), str(self.state / "checkpoints"), folder)
        return ended(night, as_of, 0, verdict / "verdict.json", self.state)


def run_steps(config: dict[str, Any], as_of: str, checkpoints: str, folder: Path) -> Path:
    """The pipeline's steps in its order; returns the verdict's folder. Nothing here may be refused by the gate."""

    def artifact(name: str) -> Any:
        return SimpleNamespace(path=str(folder / name), metadata={})

    sections = {name: config[name] for name in Sections.model_fields}
    checked = preflight.python_func(
        SOURCE, as_of, "", 0, checkpoints, [], False, config["name"], False, False, **sections
    )
    line, kept = checked.line, checked.checkpoints
    data, lists, model, verdict = (artifact(name) for name in ("data", "lists", "champion", "verdict"))
    ingest.python_func(SOURCE, checked.listing, checked.items_needed, checked.ingest, kept, data)
    decided = champion.python_func(
        line, checked.champion, checked.seen, data, config["promote"], checked.ingest, kept, model, lists
    )
    report = artifact("report.html")
    if decided == "skip":
        skip.python_func(SOURCE, checked.as_of, data, lists, checked.champion, verdict, report)
    else:
        made = "edits", "recipe", "bases", "tuned", "candidate"
        edits, recipe, bases, tuned, candidate = (artifact(name) for name in made)
        (group,) = perturb.python_func(data, 0, config["perturb"], kept, edits)
        calibrate.python_func(data, model, 0, config["pretrain"], kept, recipe)
        pretrain.python_func(data, edits, recipe, group, config["pretrain"], kept, False, bases)
        finetune.python_func(
            data, edits, bases, model, group, config["pretrain"], config["finetune"], kept, False, tuned
        )
        judged = gate.python_func(
            SOURCE,
            checked.as_of,
            data,
            edits,
            [tuned],
            lists,
            checked.champion,
            config["gate"],
            kept,
            candidate,
            verdict,
            report,
        )
        assert judged == "pass"
        promote.python_func(candidate, verdict, data, line, checked.production, config["promote"])
    notify.python_func(
        config["notify"],
        config["name"],
        SOURCE,
        checkpoints,
        PipelineTaskFinalStatus("SUCCEEDED", "job", "task", None, None),
    )
    return folder / "verdict"


@pytest.fixture(scope="module")
def nightly(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Steps]:
    folder = tmp_path_factory.mktemp("nights")
    with pytest.MonkeyPatch.context() as patch:
        try:
            with s3.serve(folder) as server:
                for name, value in server.environment(FINEST_STATE=str(folder / "state"), OMP_NUM_THREADS="1").items():
                    patch.setenv(name, value)
                patch.delenv("MLFLOW_TRACKING_URI", raising=False)
                yield Steps(folder / "state", patch)
        except UnavailableError as reason:
            pytest.skip(str(reason))


@pytest.fixture(scope="module")
def over(nightly: Steps) -> list[Ended]:
    bucket = nightly.state.parent / "s3" / "finest"
    feed = Feed(bucket / "interactions", world(len(PLAN), WINDOW, users=120, items=220), WINDOW)
    nights = list(simulate(PLAN, feed, nightly))
    assert not all_wrong(nights)
    return nights


def test_each_night_keeps_the_lists_of_the_champion_before_and_is_judged_on_what_that_has_not_seen(
    over: list[Ended],
) -> None:
    first, second = (one.verdict for one in over)
    assert (first["reference"], second["reference"]) == ("base", "champion/1")
    assert second["metrics"]["churn/rbo"] < 1.0 and second["metrics"]["catalogue/new"] > 0
    assert any("left out are 0 before its own cut" in note for note in second["notes"])
    assert [one["age"]["as_of"][:10] for one in (first, second)] == ["2026-11-16", "2026-11-17"]
    assert 24 <= second["age"]["hours"] < 30


def test_the_same_night_again_is_skipped_once_its_model_is_champion(over: list[Ended], nightly: Steps) -> None:
    again = nightly.run(Night("again", verdict="skipped", says="made from this very data"), over[-1].as_of)
    assert not wrong(again, over[-1])
    assert again.verdict["data"]["fingerprint"] == over[-1].verdict["data"]["fingerprint"]


def test_an_earlier_night_does_not_take_production_back(over: list[Ended], nightly: Steps) -> None:
    earlier = nightly.run(Night("earlier", verdict="skipped", says="made from newer data"), FIRST)
    assert not wrong(earlier, over[-1])
