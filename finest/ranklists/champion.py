"""What a candidate must beat: the champion's rank lists on today's instances, in its own catalogue."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow.parquet as pq

from finest.data.dataset import Dataset
from finest.models.saved import load
from finest.ranklists.build import describe_catalogue
from finest.ranklists.match import match
from finest.ranklists.schema import Description, RankLists
from finest.ranklists.take import take

CUT = "cut.parquet"
"""Beside a model: each user's last training time, columns `user` and `last_train_timestamp` (microseconds)."""


def score(model: Path, data: Dataset, version: str) -> tuple[RankLists, npt.NDArray[np.bool_]]:
    """The champion's lists on the instances of `data`, and which instances `[M]` come after its own cut.

    It reads the histories without the items that it lacks and ranks its own catalogue; a target that it lacks cannot be ranked.
    An instance is after the cut where the user's last training row of the champion is older, or the data is the champion's own.
    """
    saved = load(model)
    code = {item: number for number, item in enumerate(saved.item_ids) if number}
    ids, place = np.unique(data.target_ids.astype(str), return_inverse=True)
    their_code = np.array([code.get(item, 0) for item in ids], np.int64)
    theirs = replace(data, item=their_code[place], item_ids=np.array(saved.item_ids, dtype=object))
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
    lists = take(saved.model, theirs, description, replace(instances, target=theirs.item[instances.row]))
    if saved.facts.data_fingerprint == data.manifest.fingerprint:
        return lists, np.ones(len(instances), bool)
    cut = pq.read_table(model / CUT)
    last = dict(zip(cut.column("user").to_pylist(), cut.column("last_train_timestamp").to_pylist(), strict=True))
    never = np.iinfo(np.int64).min
    user_cut = np.array([last.get(user, never) for user in data.user_ids], np.int64)
    return lists, data.timestamp[instances.row] > user_cut[instances.user]
