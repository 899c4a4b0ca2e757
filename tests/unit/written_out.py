"""Small data sets, written out in a test."""

import numpy as np

from finest.data.dataset import Dataset
from finest.data.schema import Manifest


def dataset(
    histories: dict[str, str], depth: int = 10, exclude_seen: bool = True, timestamps: list[int] | None = None
) -> Dataset:
    """`{"ann": "a b c | d"}`: a user's items in order, held-out ones behind the bar. The catalogue is the training rows' items, by id.

    `timestamps` of all rows; without, a user's rows are a second apart, and all users start at 0.
    """
    user, item, position, train = [], [], [], []
    for number, history in enumerate(histories.values()):
        before, _, after = history.partition("|")
        for place, word in enumerate(before.split() + after.split()):
            user.append(number)
            item.append(word)
            position.append(place)
            train.append(place < len(before.split()))
    catalogue = sorted({word for word, trained in zip(item, train, strict=True) if trained})
    code = {word: number for number, word in enumerate(catalogue, start=1)}
    return Dataset(
        user=np.array(user, dtype=np.int64),
        item=np.array([code.get(word, 0) for word in item], dtype=np.int64),
        timestamp=np.array(position if timestamps is None else timestamps, dtype=np.int64),
        position=np.array(position, dtype=np.int64),
        train=np.array(train, dtype=bool),
        item_ids=np.array(["", *catalogue], dtype=object),
        user_ids=np.array(list(histories), dtype=object),
        target_ids=np.array(item, dtype=object),
        manifest=Manifest.model_construct(depth=depth, exclude_seen=exclude_seen, fingerprint="0" * 64),
    )
