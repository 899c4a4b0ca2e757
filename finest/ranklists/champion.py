"""Takes the champion's rank lists on today's instances, in its own catalogue: what a candidate must beat."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from finest import parquet
from finest.data.dataset import Dataset
from finest.data.schema import USERS_SCHEMA
from finest.models.folder import CUT
from finest.models.saved import SavedModel, load
from finest.ranklists.match import match
from finest.ranklists.schema import Description, RankLists, describe_catalogue
from finest.ranklists.take import take

CUT_SCHEMA = pa.schema([USERS_SCHEMA.field("user"), USERS_SCHEMA.field("last_train_timestamp")])
"""Columns of that file."""


def score(model: Path, data: Dataset, version: str) -> tuple[RankLists, npt.NDArray[np.bool_]]:
    """Returns the champion's lists on the instances of `data`, and which instances `[M]` come after its own cut.

    It reads the histories without the items that it lacks and ranks its own catalogue; a target that it lacks cannot be
    ranked. An instance is after the cut where the user's last training row of the champion is older, or the data is the
    champion's own.

    Args:
        model: Folder of the saved model, with its cut.
        data: Today's data set.
        version: Version of the champion in the registry.
    """
    saved = load(model)
    theirs = in_codes_of(saved, data)
    instances, matched = data.instances(), match(saved.item_ids, data.item_ids)
    description = Description(
        catalogue=describe_catalogue(saved.item_ids),
        model=saved.config.name,
        role="champion",
        stage="tuned",
        depth=data.manifest.depth,
        exclude_seen=data.manifest.exclude_seen,
        seed=saved.facts.seed,
        reference=f"champion/{version}",
        data_fingerprint=saved.facts.data_fingerprint,
        extra={"new_items": matched.new, "vanished_items": matched.vanished},
    )
    known = replace(instances, target=theirs.item[instances.row])
    lists = take(saved.model, theirs, description, known, saved.memory)
    if saved.facts.data_fingerprint == data.manifest.fingerprint:
        return lists, np.ones(len(instances), bool)
    return lists, later_than_cut(model, data)[instances.row]


def in_codes_of(saved: SavedModel, data: Dataset) -> Dataset:
    """Returns the data set in the codes of a model's catalogue; an item that it lacks has code 0."""
    code = {item: number for number, item in enumerate(saved.item_ids) if number}
    # One by one: an array of texts would have room for the longest id in every row.
    theirs = np.fromiter((code.get(item, 0) for item in data.target_ids), np.int64, len(data.target_ids))
    return replace(data, item=theirs, item_ids=np.array(saved.item_ids, dtype=object))


def later_than_cut(model: Path, data: Dataset) -> npt.NDArray[np.bool_]:
    """Tells which rows [N] are later than the last one that a model was trained on, of the same user."""
    cut = parquet.read(model / CUT)
    last = dict(zip(cut.column("user").to_pylist(), cut.column("last_train_timestamp").to_pylist(), strict=True))
    never = np.iinfo(np.int64).min
    user_cut = np.array([last.get(user, never) for user in data.user_ids], np.int64)
    return np.asarray(data.timestamp > user_cut[data.user])


def write_cut(data: Dataset, model: Path) -> None:
    """Writes each user's last training time beside a model.

    That is what it has seen: a later model is judged on newer instances.
    """
    last = np.full(len(data.user_ids), np.iinfo(np.int64).min)
    np.maximum.at(last, data.user[data.train], data.timestamp[data.train])
    trained = np.flatnonzero(last > np.iinfo(np.int64).min)
    parquet.write(pa.table([data.user_ids[trained].tolist(), last[trained]], schema=CUT_SCHEMA), model / CUT)
