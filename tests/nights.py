"""Nights of a service, made up: users who come back, tastes that drift, popularity by Zipf's law, new items every day.

A day is a table of interactions; `deliver` puts it where a feed would, as a partition `dt=`, and the things that go
wrong with feeds are functions here. ml-100k cannot stand in for this: almost none of its users return on another day.
"""

from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

GENRES = 12
NEXT_IN_LINE = 0.55
"""Share of interactions that go on from the one before (an episode, an accessory).

Taste and popularity draw the rest.
"""
SUCCESSORS = 4
DRIFT = 0.15
"""Standard deviation of a day's step of a user's taste, in logits."""
NEW_A_DAY = 2
NOVELTY_DAYS = 5
"""How long a new item is shown off: its weight falls to what its rank says."""


def days(first: date, count: int, users: int, items: int, seed: int) -> Iterator[tuple[date, pa.Table]]:
    """`count` days from `first`, each with its interactions (user_id, item_id, timestamp in seconds), sorted by time.

    `items` there are on the first day. A day depends on those before it and on the seed, not on how many are asked for.
    """
    world = np.random.default_rng((seed, 1))
    everything = items + NEW_A_DAY * 1000
    genre = world.integers(GENRES, size=everything)
    weight = 1.0 / (1 + world.permutation(everything) % items) ** 0.9
    successor = _successors(genre[:everything], world)
    taste = world.normal(scale=1.5, size=(users, GENRES))
    active = world.beta(2, 2, size=users)
    last = np.full(users, -1)
    for number in range(count):
        random = np.random.default_rng((seed, 2, number))
        day, there = first + timedelta(days=number), items + NEW_A_DAY * number
        taste += random.normal(scale=DRIFT, size=taste.shape)
        yield day, _day(day, there, number, items, genre, weight, successor, taste, active, last, random)


def _successors(genre: npt.NDArray[np.int64], random: np.random.Generator) -> npt.NDArray[np.int64]:
    """Returns what follows an item [items, SUCCESSORS]: neighbours in its genre, so that most exist when it does."""
    following = np.empty((len(genre), SUCCESSORS), np.int64)
    for one in range(GENRES):
        members = np.flatnonzero(genre == one)
        steps = random.permuted(np.tile(np.arange(1, SUCCESSORS + 4), (len(members), 1)), axis=1)[:, :SUCCESSORS]
        following[members] = members[(np.arange(len(members))[:, None] - steps) % len(members)]
    return following


def _day(
    day: date,
    there: int,
    number: int,
    items: int,
    genre: npt.NDArray[np.int64],
    weight: npt.NDArray[np.floating],
    successor: npt.NDArray[np.int64],
    taste: npt.NDArray[np.floating],
    active: npt.NDArray[np.floating],
    last: npt.NDArray[np.int64],
    random: np.random.Generator,
) -> pa.Table:
    born = np.maximum(0, (np.arange(there) - items) // NEW_A_DAY + 1)
    fresh = np.where(np.arange(there) >= items, np.clip(NOVELTY_DAYS - (number - born), 0, None), 0)
    shown = weight[:there] + fresh * weight[:there].max() / NOVELTY_DAYS / 4
    of_genre = [np.flatnonzero(genre[:there] == one) for one in range(GENRES)]
    cumulative = [np.cumsum(shown[members]) / shown[members].sum() for members in of_genre]
    midnight = int(datetime.combine(day, time(), UTC).timestamp())
    rows: list[tuple[str, str, int]] = []
    for user in np.flatnonzero(random.random(len(active)) < active):
        liked = np.exp(taste[user] - taste[user].max())
        moment = midnight + int(random.integers(0, 60_000))
        for _ in range(1 + int(random.poisson(5))):
            following = (
                successor[last[user], min(int(random.geometric(0.5)) - 1, SUCCESSORS - 1)] if last[user] >= 0 else there
            )
            if following < there and random.random() < NEXT_IN_LINE:
                item = int(following)
            else:
                one = int(random.choice(GENRES, p=liked / liked.sum()))
                item = int(
                    of_genre[one][min(int(np.searchsorted(cumulative[one], random.random())), len(of_genre[one]) - 1)]
                )
            rows.append((f"u{user:05d}", f"i{item:05d}", moment))
            last[user] = item
            moment = min(moment + int(random.integers(20, 3_000)), midnight + 86_399)
    rows.sort(key=lambda row: (row[2], row[0]))
    columns = zip(*rows, strict=True)
    return pa.table(dict(zip(("user_id", "item_id", "timestamp"), map(list, columns), strict=True)))


def deliver(folder: Path, day: date, rows: pa.Table, name: str = "part-0") -> Path:
    """Writes the rows to the day's partition, in place of what `name` held."""
    file = folder / f"dt={day}" / f"{name}.parquet"
    file.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(rows, file)
    return file


def some_late(day: pa.Table, share: float, seed: int) -> tuple[pa.Table, pa.Table]:
    """A day's rows in two: those that come in time, and those that come with the next day's."""
    late = np.random.default_rng((seed, 3)).random(len(day)) < share
    return day.filter(pa.array(~late)), day.filter(pa.array(late))


def poisoned(day: pa.Table, share: float, seed: int) -> pa.Table:
    """The day with the items of that share of its rows shuffled among them: what a broken join does."""
    random = np.random.default_rng((seed, 4, len(day)))
    chosen = np.flatnonzero(random.random(len(day)) < share)
    order = np.arange(len(day))
    order[chosen] = random.permutation(chosen)
    return day.set_column(1, "item_id", day["item_id"].take(pa.array(order)))
