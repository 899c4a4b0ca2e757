"""A trained model as a folder: weights without pickle, what it was trained on, and the items behind its codes."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import numpy.typing as npt
from pydantic import ValidationError, field_validator
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from finest.documents import fault
from finest.errors import DataError, first_line
from finest.histories import SECOND, UNKNOWN, Histories, Ints
from finest.memory.features import Memory
from finest.memory.tables import Counts
from finest.models.config import RENAMED, ModelConfig
from finest.models.folder import COUNTS, FACTS, ITEMS, WEIGHTS, damaged, read_items
from finest.models.length import Length
from finest.models.ranking import scored, top
from finest.models.recommender import Recommender
from finest.models.registry import MODELS, build
from finest.registry import Named
from finest.section import Section

LATEST = 7_289_654_400
"""The end of the times that are believed, as ingest does (2201-01-01), in seconds."""
WITHOUT_HEADS = "gru4rec"
"""The model that earlier versions saved with a number of heads, which it has not."""


class Facts(Section):
    """Holds what a model is and what it was trained on."""

    model: Annotated[ModelConfig, Named(MODELS)]
    """The model's config."""
    seed: int
    """Seed of its training."""
    data_fingerprint: str
    """Fingerprint of the data set that it was trained on."""
    depth: int
    """Number of items in a rank list of its run."""
    exclude_seen: bool
    """Whether lists leave out what the user has seen."""
    stage: str
    """`base` or `tuned`."""
    memory: dict[str, float] | None = None
    """Weights of the memory that it is served with; None without one."""
    counting: dict[str, Any] | None = None
    """What decides, beside the rows, what the memory counts; None without one, and of models of earlier versions."""
    length: Length | None = None
    """For how long a validation cut said to train it; None where the config alone did, and nothing was measured."""

    @field_validator("model", mode="before")
    @classmethod
    def _keys_of_earlier_versions(cls, value: Any) -> Any:
        if not isinstance(value, Mapping) or RENAMED.keys().isdisjoint(value):
            return value
        renamed = {RENAMED.get(name, name): inner for name, inner in value.items()}
        if renamed.get("name") == WITHOUT_HEADS:
            renamed.pop("num_heads", None)
        return renamed


@dataclass(frozen=True)
class SavedModel:
    """Holds a model that can rank."""

    model: Recommender
    """Ready to rank."""
    facts: Facts
    """What it is and what it was trained on."""
    item_ids: list[str]
    """Item id by code; '' at 0."""
    memory: Memory | None = None
    """What is counted beside the model, where it is served with that."""

    @cached_property
    def codes(self) -> dict[str, int]:
        """Code by item id."""
        return {item: number for number, item in enumerate(self.item_ids) if number}

    @property
    def config(self) -> ModelConfig:
        """The model's config."""
        return self.facts.model

    @property
    def exclude_seen(self) -> bool:
        """Whether lists leave out what the user has seen."""
        return self.facts.exclude_seen


def save(folder: Path, model: Recommender, facts: Facts, item_ids: list[str], memory: Memory | None = None) -> None:
    """Writes a model's whole state.

    Args:
        folder: Place of the files.
        model: The model.
        facts: What it is and what it was trained on; the memory's weights are put in.
        item_ids: Item id by code; '' at 0.
        memory: What is counted beside it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    # A copy each: a file has no room for two names of one tensor, as tied weights are.
    state = {name: tensor.cpu().contiguous().clone() for name, tensor in model.state_dict().items()}
    save_file(state, folder / WEIGHTS)
    if memory is not None:
        memory.counts.save(folder / COUNTS)
    served = {"memory": dict(memory.weights)} if memory else {"memory": None, "counting": None}
    facts = facts.model_copy(update=served)
    (folder / FACTS).write_text(facts.model_dump_json(indent=2))
    (folder / ITEMS).write_text(json.dumps(item_ids[1:], ensure_ascii=False), encoding="utf-8")


def read_facts(folder: Path) -> Facts:
    """Returns what a saved model is. Raises DataError where the folder holds none, or one that is unknown here."""
    try:
        return Facts.model_validate_json((folder / FACTS).read_bytes())
    except FileNotFoundError as error:
        raise DataError(f"{folder}: not a saved model ({FACTS} is missing)") from error
    except ValidationError as error:
        raise DataError(f"{folder / FACTS}: not a model that this installation can read: {fault(error)}") from error


def load(folder: Path, device: str = "cpu") -> SavedModel:
    """Returns a model that `save` wrote, ready to rank. Raises DataError where the folder holds no whole one."""
    facts = read_facts(folder)
    try:
        item_ids = ["", *read_items(folder)]
        weights = load_file(folder / WEIGHTS, device=device)
        memory = None if facts.memory is None else Memory(Counts.load(folder / COUNTS), facts.memory)
    except FileNotFoundError as error:
        raise DataError(f"{folder}: not a saved model ({Path(str(error.filename)).name} is missing)") from error
    except (SafetensorError, KeyError, ValueError) as error:  # what of the two files it is, their names in the text say
        raise DataError(damaged(folder, f"{WEIGHTS} or {COUNTS}: {first_line(error)}")) from error
    model = build(facts.model, len(item_ids) - 1)
    try:
        model.load_state_dict(weights)
    except RuntimeError as error:
        raise DataError(damaged(folder / WEIGHTS, f"not the weights of the {facts.model.name} beside it")) from error
    return SavedModel(model.to(device).eval(), facts, item_ids, memory)


def recommend(
    saved: SavedModel, histories: list[list[str]], k: int, timestamps: Sequence[Sequence[int] | None] | None = None
) -> tuple[list[list[str]], list[list[float]]]:
    """Returns the best `k` items and their scores for each history.

    Items that the model does not know are skipped; a history without any known item gets an empty list, since there is
    nothing to go by. Leaves out the history's items where the model's data did.

    Args:
        saved: The model.
        histories: Item ids of each history, oldest first.
        k: Number of items in a list.
        timestamps: When each interaction of each history was, in whole seconds since 1970 (UTC); None for a history of
            which that is unknown. A model that reads no times passes them over.

    Raises:
        ValueError: A history has another number of timestamps than items, or one of them is no time.
    """
    code = saved.codes
    if timestamps is None or not saved.model.timed:
        known = Histories.of([[code[item] for item in history if item in code] for history in histories])
    else:
        known = _with_times(code, histories, timestamps)
    items: list[list[str]] = []
    scores: list[list[float]] = []
    for best, score in zip(*ranked(saved, known, k), strict=True):
        there = best > 0
        items.append([saved.item_ids[number] for number in best[there]])
        scores.append([float(value) for value in score[there]])
    return items, scores


def _with_times(
    code: Mapping[str, int], histories: list[list[str]], timestamps: Sequence[Sequence[int] | None]
) -> Histories:
    """Returns what is known of histories and of their times."""
    items, times = [], []
    for history, of in zip(histories, timestamps, strict=True):
        if of is not None and len(of) != len(history):
            raise ValueError(f"timestamps: {len(of)} for a history of {len(history)} items; give one for each, or none")
        known = [place for place, item in enumerate(history) if item in code]
        items.append([code[history[place]] for place in known])
        times.append([UNKNOWN if of is None else _micros(of[place]) for place in known])
    return Histories.of(items, times)


def _micros(seconds: int) -> int:
    """Returns a time in microseconds. Raises ValueError where it lies outside of the years that data may have."""
    if not 0 <= seconds < LATEST:
        raise ValueError(f"timestamps: {seconds} is no time from 1970 to 2200; give whole seconds since 1970 (UTC)")
    return seconds * SECOND


def ranked(saved: SavedModel, histories: Histories, k: int) -> tuple[Ints, npt.NDArray[np.float32]]:
    """Returns codes and scores `[M, k]` of the best items for each of M histories.

    Leaves out the history's items where the model's data did. -1 and NaN stand behind a list that runs out of items,
    and in all of an empty history's.

    Args:
        saved: The model.
        histories: Histories in the model's codes.
        k: Number of items in a list.
    """
    items, scores = np.full((len(histories), k), -1), np.full((len(histories), k), np.nan, np.float32)
    asked = np.flatnonzero(histories.sizes)
    start = np.append(histories.start[asked], histories.start[-1])  # the empty ones between them take no room

    def whole(part: slice) -> Histories:
        first, last = start[part.start], start[part.stop]
        timestamp = None if histories.timestamp is None else histories.timestamp[first:last]
        return Histories(histories.item[first:last], start[part.start : part.stop + 1] - first, timestamp)

    for part, scores_BI in scored(saved.model, whole, len(asked), saved.exclude_seen, saved.memory):
        items[asked[part]], scores[asked[part]] = top(scores_BI, k)
    return items, scores
