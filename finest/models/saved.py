"""A trained model as a folder: weights without pickle, what it was trained on, and the items behind its codes."""

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from safetensors.torch import load_file, save_file

from finest.errors import DataError
from finest.models.build import build
from finest.models.config import Model
from finest.models.ranking import scored, top
from finest.models.recommender import Recommender
from finest.section import Section

WEIGHTS, FACTS, ITEMS = "weights.safetensors", "model.json", "items.json"


class Facts(Section):
    """What a model is and what it was trained on."""

    model: Model
    seed: int
    data_fingerprint: str
    depth: int
    exclude_seen: bool
    stage: str
    """`base` or `tuned`."""


@dataclass(frozen=True)
class SavedModel:
    """A model that can rank."""

    model: Recommender
    facts: Facts
    item_ids: list[str]
    """Item id by code; '' at 0."""

    @property
    def config(self) -> Model:
        return self.facts.model

    @property
    def exclude_seen(self) -> bool:
        return self.facts.exclude_seen


def save(folder: Path, model: Recommender, facts: Facts, item_ids: list[str]) -> None:
    """Writes the model; `item_ids` by code, '' at 0."""
    folder.mkdir(parents=True, exist_ok=True)
    save_file({name: weight.detach().contiguous().cpu() for name, weight in model.named_parameters()}, folder / WEIGHTS)
    (folder / FACTS).write_text(facts.model_dump_json(indent=2))
    (folder / ITEMS).write_text(json.dumps(item_ids[1:], ensure_ascii=False), encoding="utf-8")


def load(folder: Path, device: str = "cpu") -> SavedModel:
    """Reads what `save` wrote, ready to rank."""
    try:
        facts = Facts.model_validate_json((folder / FACTS).read_text())
        item_ids = ["", *json.loads((folder / ITEMS).read_text(encoding="utf-8"))]
        weights = load_file(folder / WEIGHTS, device=device)
    except FileNotFoundError as error:
        raise DataError(f"{folder}: not a saved model ({Path(str(error.filename)).name} is missing)") from error
    model = build(facts.model, len(item_ids) - 1)
    model.load_state_dict(weights)
    return SavedModel(model.to(device).eval(), facts, item_ids)


def recommend(saved: SavedModel, histories: list[list[str]], k: int) -> tuple[list[list[str]], list[list[float]]]:
    """The best `k` items and their scores for each history (item ids, oldest first).

    Items that the model does not know are skipped; a history without any known item gets an empty list, since there is nothing to go by.
    Leaves out the history's items where the model's data did.
    """
    code = {item: number for number, item in enumerate(saved.item_ids) if number}
    known = [[code[item] for item in history if item in code] for history in histories]
    asked = [place for place, history in enumerate(known) if history]
    windows = np.zeros((len(asked), saved.config.max_length), np.int64)
    for row, place in enumerate(asked):
        recent = known[place][-saved.config.max_length :]
        windows[row, : len(recent)] = recent
    seen = None
    if saved.exclude_seen:
        counts = [len(known[place]) for place in asked]
        seen = (
            np.repeat(np.arange(len(asked)), counts),
            np.array([item for place in asked for item in known[place]], np.int64),
        )
    items: list[list[str]] = [[] for _ in histories]
    scores: list[list[float]] = [[] for _ in histories]
    for part, scores_BI in scored(saved.model, windows, seen):
        best, score = top(scores_BI, k)
        for row, place in enumerate(asked[part]):
            there = best[row] > 0
            items[place] = [saved.item_ids[number] for number in best[row][there]]
            scores[place] = [float(value) for value in score[row][there]]
    return items, scores
