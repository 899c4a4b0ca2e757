"""How much of the champion's data is in tonight's: what tells whether they are of one line."""

import tempfile
from dataclasses import dataclass
from pathlib import Path

import duckdb

from finest import parquet
from finest.data import schema
from finest.models.folder import CUT, read_items

MEMORY = "1GB"
"""What DuckDB may use before it goes to disk."""
QUESTIONS = {
    "users": "SELECT count(*) FROM cut",
    "known": 'SELECT count(*) FROM cut SEMI JOIN users USING ("user")',
    "within": """SELECT count(*) FROM cut SEMI JOIN users USING ("user") WHERE last_train_timestamp
        BETWEEN (SELECT min(timestamp) FROM interactions) AND (SELECT max(timestamp) FROM interactions)""",
    "seen": """SELECT count(DISTINCT user_code) FROM interactions
        JOIN cut ON interactions."user" = cut."user" AND timestamp = last_train_timestamp""",
}
"""What is counted, by name."""


@dataclass(frozen=True)
class Share:
    """Holds how many of a model's things a data set has."""

    there: int
    """Number that it has."""
    of: int
    """Number of the model's."""

    @property
    def value(self) -> float:
        """Returns the share; 1 of nothing, of which nothing is missing."""
        return self.there / self.of if self.of else 1.0


@dataclass(frozen=True)
class Shared:
    """Holds what a data set shares with the data that a model was trained on."""

    items: Share
    """Items of the model's catalogue that are in the data's."""
    users: Share
    """Users that the model was trained on."""
    moments: Share
    """Users in common whose last training row of the model is within the data's time: those who have a row at that very
    moment."""


def shared(model: Path, data: Path) -> Shared:
    """Compares the data that a model was trained on with a data set, in memory that does not grow with either.

    Args:
        model: Folder of the saved model, with its cut.
        data: Folder that ingest wrote.
    """
    items = set(read_items(model))
    there = len(items.intersection(parquet.read(data / schema.ITEMS, columns=["item"])["item"].to_pylist()))
    files = {"cut": model / CUT, "users": data / schema.USERS, "interactions": data / schema.INTERACTIONS}
    with (
        tempfile.TemporaryDirectory() as spill,
        duckdb.connect(config={"memory_limit": MEMORY, "temp_directory": spill}) as database,
    ):
        database.execute("SET enable_progress_bar = false")
        for name, file in files.items():
            database.from_parquet(str(file)).create_view(name)
        counts = {name: database.sql(question).fetchall()[0][0] for name, question in QUESTIONS.items()}
    return Shared(
        items=Share(there, len(items)),
        users=Share(counts["known"], counts["users"]),
        moments=Share(counts["seen"], counts["within"]),
    )
