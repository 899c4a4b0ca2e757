"""What is kept and read back: checkpoints, models, verdicts and plans."""

import json
import shutil
from pathlib import Path
from random import Random

import torch

from finest import sealed
from finest.data.dataset import load as load_data
from finest.documents import read_facts
from finest.errors import DamagedError
from finest.gate.verdict import Verdict
from finest.gate.verdict_file import read_verdict, write_verdict
from finest.memory.config import MemoryConfig
from finest.memory.counts import counted
from finest.memory.features import Memory
from finest.models.config import SASRecConfig
from finest.models.registry import build
from finest.models.saved import Facts, load, recommend, save
from finest.perturb.config import Perturb, Scenario
from finest.perturb.plan import plan, read_plan, write_plan
from finest.training.checkpoint import Checkpoint
from finest.training.recipe import Recipe
from storage import FolderStore
from tests.builders import random_dataset
from tests.fuzz import mutate
from tests.fuzz.kind import Good, Kind, WrongError
from tests.fuzz.sources import fingerprint_of, plain_rows

NAME = "clean-0123456789abcdef"
TENSORS = {"weights": torch.arange(40.0).reshape(8, 5), "steps": torch.tensor([3]), "none": torch.zeros(0)}
FACTS = {"step": 3, "histories": [[0.1, 0.25]], "order": "x"}


def prepare_checkpoint(folder: Path) -> None:
    Checkpoint(FolderStore(folder / "store"), NAME).save(dict(TENSORS), dict(FACTS))
    Checkpoint(FolderStore(folder / "store"), "other-0123").save({"weights": torch.ones(8, 5)}, {"step": 1})


def make_checkpoint(draw: Random, folder: Path, prepared: Path) -> None:
    shutil.copytree(prepared / "store", folder / "store")
    file, other = folder / "store" / f"{NAME}.safetensors", folder / "store" / "other-0123.safetensors"
    file.write_bytes(other.read_bytes() if draw.random() < 0.03 else mutate.of_bytes(draw, file.read_bytes()))


def read_checkpoint(folder: Path, prepared: Path) -> Good:
    """It holds what was saved, or it is gone, and the training begins anew."""
    store = FolderStore(folder / "store")
    same = (folder / "store" / f"{NAME}.safetensors").read_bytes() == (
        prepared / "store" / f"{NAME}.safetensors"
    ).read_bytes()
    found = Checkpoint(store, NAME).load()
    if found is None:
        if same or store.list(NAME):
            raise WrongError("a checkpoint that was dropped is still there, or was whole")
        raise DamagedError(f"{NAME} was dropped")
    tensors, facts = found
    if facts != FACTS or any(not torch.equal(tensors[name], tensor) for name, tensor in TENSORS.items()):
        raise WrongError("a checkpoint was read that was never saved")
    return "equal"


def prepare_model(folder: Path) -> None:
    data = random_dataset()
    config = SASRecConfig(hidden_size=8, num_layers=1, max_length=6)
    model = build(config, data.items)
    model.initialise(1)
    told = {"seed": 1, "data_fingerprint": "0", "depth": 10, "exclude_seen": False, "stage": "tuned"}
    memory = Memory(counted(data, data.training_rows(), MemoryConfig()), {"network": 1.0, "popularity": 0.5})
    save(folder / "model", model, Facts.model_validate({"model": config, **told}), list(data.item_ids), memory)


def make_model(draw: Random, folder: Path, prepared: Path) -> None:
    shutil.copytree(prepared / "model", folder / "model")
    changed(draw, draw.choice(sorted((folder / "model").iterdir())))


def read_model(folder: Path, prepared: Path) -> Good:
    """What loads can rank. A model's folder by itself has no digest: the package and the step's folder have."""
    saved = load(folder / "model")
    recommend(saved, [["i001", "i002"], ["unknown"], []], 5)
    return "other input"


def changed(draw: Random, file: Path) -> None:
    """Changes a file: JSON half the time as JSON."""
    content = file.read_bytes()
    if file.suffix == ".json" and draw.random() < 0.6:
        file.write_bytes(mutate.of_json(draw, json.loads(content)).encode("utf-8", "surrogatepass"))
    else:
        file.write_bytes(mutate.of_bytes(draw, content))


def prepare_verdict(folder: Path) -> None:
    from finest.gate.config import Gate
    from finest.gate.judge import judge
    from finest.testing.rank_lists import made_up

    made_up().write(folder / "lists")
    write_verdict(judge([folder / "lists"], Gate.model_validate({"self_test": False})), folder / "verdict.json")


def make_verdict(draw: Random, folder: Path, prepared: Path) -> None:
    shutil.copyfile(prepared / "verdict.json", folder / "verdict.json")
    changed(draw, folder / "verdict.json")


def read_verdict_again(folder: Path, prepared: Path) -> Good:
    """A verdict that is taken says what its rules say, and is the same once it was written again."""
    found = read_verdict(folder / "verdict.json")
    write_verdict(found, folder / "again.json")
    again = read_verdict(folder / "again.json")
    if again.verdict != found.verdict or Verdict.model_validate(again) != again:
        raise WrongError("a verdict that was read and written says something else")
    return "equal" if found == read_verdict(prepared / "verdict.json") else "other input"


DOCUMENTS = {"plan": "plan.json", "data": "manifest.json", "recipe": "recipe.json"}


def prepare_sealed(folder: Path) -> None:
    data = random_dataset()
    write_plan(*plan(data, Perturb(scenarios=[Scenario(kind="deletion")]), 0), folder / "plan")
    (folder / "recipe").mkdir()
    Recipe(chosen="network").write(folder / "recipe")
    fingerprint_of(plain_rows(), folder)
    (folder / "plain").rename(folder / "data")


def make_sealed(draw: Random, folder: Path, prepared: Path) -> None:
    """Somebody changes what a step hands on, and seals it again: its seal is right, its content may be nonsense."""
    name = draw.choice(sorted(DOCUMENTS))
    shutil.copytree(prepared / name, folder / name)
    document = folder / name / DOCUMENTS[name]
    others = sorted(path for path in (folder / name).iterdir() if path not in (document, folder / name / sealed.NAME))
    changed(draw, draw.choice(others) if others and draw.random() < 0.3 else document)
    sealed.seal(folder / name)


def read_sealed(folder: Path, prepared: Path) -> Good:
    """Reads whichever it is."""
    (name,) = [path.name for path in folder.iterdir()]
    if name == "plan":
        table, planned = read_plan(folder / name)
        return (
            "equal"
            if planned == read_plan(prepared / name)[1] and table == read_plan(prepared / name)[0]
            else "other input"
        )
    if name == "recipe":
        return "equal" if Recipe.read(folder / name) == Recipe.read(prepared / name) else "other input"
    load_data(folder / name)
    read_facts(folder / name / "manifest.json", "run again")
    return "other input"


KINDS = (
    Kind("checkpoint", 600, make_checkpoint, read_checkpoint, prepare_checkpoint),
    Kind("model", 500, make_model, read_model, prepare_model),
    Kind("verdict", 700, make_verdict, read_verdict_again, prepare_verdict),
    Kind("resealed", 500, make_sealed, read_sealed, prepare_sealed),
)
