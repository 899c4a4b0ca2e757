"""Says whose lists are asked for: all users of a data set, or those that a file names."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pacsv
import pyarrow.parquet as pq

from finest.data import schema
from finest.errors import DataError, first_line
from finest.serving.histories import Codes

COLUMN = "user_id"
"""Column of the ids in a file of users, and in the lists' files."""
MEMORY = "1GB"
"""What DuckDB may use before it goes to disk."""


@dataclass(frozen=True)
class Users:
    """Holds whose lists are asked for. Those that the data knows come first, by code; the others by id."""

    known: Codes
    """Codes in the data set, rising."""
    unknown: pa.Array
    """Ids that the data set does not have."""
    digest: str = ""
    """sha256 of who is asked for; empty for all users."""

    def __len__(self) -> int:
        return len(self.known) + len(self.unknown)

    def part(self, number: int, size: int) -> "Users":
        """Returns part `number`, from 0, where all parts but the last have `size` users."""
        first = number * size
        behind = max(0, first - len(self.known))
        unknown = self.unknown.slice(behind, max(0, first + size - len(self.known)) - behind)
        return Users(self.known[first : first + size], unknown)


def everybody(users: int) -> Users:
    """Returns all users of a data set that has so many."""
    return Users(np.arange(users, dtype=np.int32), pa.array([], pa.string()))


def of_file(file: Path, data: Path, scratch: Path) -> Users:
    """Returns the users that a file names, each once.

    Args:
        file: Ids: the column `user_id` of a file that ends in .parquet or .csv, or else a line each. Empty ones are
            passed over.
        data: Folder that ingest wrote.
        scratch: Folder for what does not fit in memory.

    Raises:
        DataError: The file cannot be read, or names nobody.
    """
    asked = pa.table({COLUMN: _read(file)})
    if not len(asked):
        raise DataError(f"{file}: names no user")
    with duckdb.connect(config={"memory_limit": MEMORY, "temp_directory": str(scratch / "spill")}) as database:
        database.execute("SET enable_progress_bar = false")
        database.register("asked", asked)
        database.from_parquet(str(data / schema.USERS)).create_view("users")
        known = database.sql(f'SELECT user_code FROM users SEMI JOIN asked ON {COLUMN} = "user" ORDER BY user_code')
        codes = known.to_arrow_table()["user_code"].to_numpy()
        others = database.sql(
            f'SELECT DISTINCT {COLUMN} FROM asked ANTI JOIN users ON {COLUMN} = "user" ORDER BY {COLUMN}'
        )
        unknown = others.to_arrow_table()[COLUMN].combine_chunks().cast(pa.string())
    digest = hashlib.sha256(np.ascontiguousarray(codes, "<i4").data)
    for text in unknown:
        digest.update(b"\0" + text.as_py().encode())
    return Users(codes, unknown, digest.hexdigest())


def _read(file: Path) -> pa.ChunkedArray:
    """Returns the ids that a file holds, as they stand there, without empty ones."""
    try:
        if file.suffix == ".parquet":
            found = pq.read_table(file, columns=[COLUMN])[COLUMN].cast(pa.string())
        elif file.suffix == ".csv":
            how = pacsv.ConvertOptions(include_columns=[COLUMN], column_types={COLUMN: pa.string()})
            found = pacsv.read_csv(file, convert_options=how)[COLUMN]
        else:
            found = pa.chunked_array([file.read_text(encoding="utf-8").splitlines()], pa.string())
    except FileNotFoundError:
        raise DataError(f"{file}: there is no such file of users") from None
    except (pa.ArrowException, OSError, UnicodeDecodeError, KeyError) as error:
        raise DataError(
            f"{file}: not a file of users ({first_line(error)}); give one with the column {COLUMN} that ends in "
            ".parquet or .csv, or any other with an id a line"
        ) from None
    return pc.filter(found, pc.fill_null(pc.not_equal(found, ""), False))
