"""Writes rank lists to Parquet, with their description in the schema's metadata, and reads them."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import ValidationError

from finest import atomic, sealed
from finest.documents import fault
from finest.errors import DataError
from finest.ranklists import agreement
from finest.ranklists.schema import METADATA_KEY, RANK_LISTS_SCHEMA, Description, RankLists

AFTER_CUT = pa.field("after_cut", pa.bool_(), nullable=False)
"""Column of a champion's file alone: whether the instance is later than the champion's own training rows of that user.
"""

BATCH = 32_768
"""Number of rows that are written or read at a time, so that a catalogue's worth of text is never in memory for all
instances."""


def write(lists: RankLists, path: Path) -> None:
    """Writes `lists` to `path`, stamped with the digest of its bytes: a reader sees the whole file or none."""
    fields = list(RANK_LISTS_SCHEMA) + ([] if lists.after_cut is None else [AFTER_CUT])
    schema = pa.schema(fields, metadata={METADATA_KEY: lists.description.model_dump_json().encode()})
    vocabulary = pa.array(lists.vocabulary, pa.string())
    with atomic.file(path) as partial:
        with pq.ParquetWriter(partial, schema, compression="zstd", write_page_checksum=True) as file:
            for start in range(0, len(lists), BATCH):
                file.write_batch(_batch(lists, slice(start, start + BATCH), vocabulary, schema))
            file.add_key_value_metadata({"stamp": sealed.UNSTAMPED})
        sealed.stamp(partial)


def check(path: Path) -> None:
    """Checks that a file has the bytes that `write` gave it. A file from elsewhere has no stamp, and is taken as it is.

    Raises:
        DataError: It has others.
    """
    if sealed.stamped(path) is False:
        raise DataError(
            f"{path}: cannot be read as Parquet: it is damaged (not what was written, by the digest in it); write it "
            "again or take it away"
        )


def read(path: Path, vocabulary: dict[str, int] | None = None) -> RankLists:
    """Reads a rank-list file, whoever wrote it; rows keep the file's order.

    Any integer, text, float or dictionary type of Arrow does for a column of its kind.

    Args:
        path: The file.
        vocabulary: Code of each item id, from 0 without gaps. It grows by the file's items: give the same one for every
            file whose codes are to be compared.

    Raises:
        DataError: The file is not what finest/ranklists/schema.py describes, or one of ours that is damaged.
    """
    vocabulary = {} if vocabulary is None else vocabulary
    try:
        check(path)
        with pq.ParquetFile(path, page_checksum_verification=True) as file:
            schema = file.schema_arrow
            description = _description(path, schema)
            columns = [field.name for field in RANK_LISTS_SCHEMA] + (
                [AFTER_CUT.name] if AFTER_CUT.name in schema.names else []
            )
            if missing := [name for name in columns if name not in schema.names]:
                raise DataError(
                    f"{path}: column {missing[0]} is missing; a rank-list file has {', '.join(RANK_LISTS_SCHEMA.names)}"
                )
            if twice := [name for name in columns if schema.names.count(name) > 1]:
                raise DataError(f"{path}: column {twice[0]} is there {schema.names.count(twice[0])} times; keep one")
            if file.metadata.num_rows == 0:
                raise DataError(f"{path}: holds no instance")
            parts = [
                _part(path, batch, description.depth, vocabulary) for batch in file.iter_batches(BATCH, columns=columns)
            ]
    except FileNotFoundError:
        raise DataError(f"{path}: there is no such file") from None
    except (pa.ArrowInvalid, OSError) as error:
        raise DataError(f"{path}: cannot be read as Parquet ({_line(error)})") from None
    # As wide as the longest list: the metadata's depth is only what somebody says.
    width = max(part["items"].shape[1] for part in parts)
    for part in parts:
        part["items"], part["scores"] = widened(part["items"], width), widened(part["scores"], width, np.nan)
    joined = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    _no_instance_twice(path, joined["user"], joined["position"])
    lists = RankLists(**joined, vocabulary=np.array(list(vocabulary), dtype=object), description=description)
    agreement.check(path, lists, vocabulary)
    return lists


def widened(lists: npt.NDArray[np.generic], width: int, padding: float = -1) -> npt.NDArray[Any]:
    """Returns lists [M, `width`], padded behind; the same ones where they are so wide.

    >>> widened(np.array([[4, 2]]), 3).tolist()
    [[4, 2, -1]]
    """
    if lists.shape[1] == width:
        return lists
    return np.pad(lists, ((0, 0), (0, width - lists.shape[1])), constant_values=padding)


def _batch(lists: RankLists, rows: slice, vocabulary: pa.Array, schema: pa.Schema) -> pa.RecordBatch:
    items, scores, rank = lists.items[rows], lists.scores[rows], lists.target_rank[rows]
    held = items >= 0
    ends = pa.array(np.r_[0, np.cumsum(np.count_nonzero(held, axis=1))].astype(np.int32))
    columns = [
        pa.array(lists.user[rows], pa.string()),
        pa.array(lists.position[rows].astype(np.int32)),
        pa.array(lists.target[rows], pa.string()),
        pa.array(rank, pa.float64(), mask=np.isnan(rank)),
        pa.ListArray.from_arrays(ends, vocabulary.take(pa.array(items[held]))),
        pa.ListArray.from_arrays(ends, pa.array(scores[held], pa.float32())),
    ]
    if lists.after_cut is not None:
        columns.append(pa.array(lists.after_cut[rows], pa.bool_()))
    return pa.record_batch(
        [column.cast(field.type) for column, field in zip(columns, schema, strict=True)], schema=schema
    )


def _description(path: Path, schema: pa.Schema) -> Description:
    text = (schema.metadata or {}).get(METADATA_KEY)
    if text is None:
        raise DataError(f"{path}: not a rank-list file (its schema's metadata has no {METADATA_KEY.decode()!r})")
    try:
        description = Description.model_validate_json(text)
    except ValidationError as error:
        raise DataError(f"{path}: metadata {METADATA_KEY.decode()!r}: {fault(error)}") from None
    if description.depth < 1:
        raise DataError(
            f"{path}: metadata {METADATA_KEY.decode()!r}: depth: must be at least 1, is {description.depth}"
        )
    return description


def _part(path: Path, batch: pa.RecordBatch, depth: int, vocabulary: dict[str, int]) -> dict[str, npt.NDArray[Any]]:
    """Returns the columns of a batch as arrays, items as codes."""
    items, scores = (_lists(path, batch, name) for name in ("items", "scores"))
    lengths = np.asarray(items.value_lengths(), dtype=np.int64)
    if not np.array_equal(lengths, np.asarray(scores.value_lengths())):
        raise DataError(
            f"{path}: {_where(batch, lengths != np.asarray(scores.value_lengths()))}: items and scores differ in length"
        )
    if lengths.max() > depth:
        raise DataError(
            f"{path}: {_where(batch, lengths > depth)}: list of {lengths.max()} items, "
            f"but the metadata's depth is {depth}"
        )
    held = np.arange(max(1, lengths.max())) < lengths[:, None]
    codes = np.full(held.shape, -1, dtype=np.int32)
    codes[held] = _codes(_cast(path, "items", items.flatten(), pa.string()), vocabulary)
    in_order = np.sort(codes, axis=1)
    twice = ((in_order[:, 1:] == in_order[:, :-1]) & (in_order[:, 1:] >= 0)).any(axis=1)
    if twice.any():
        raise DataError(f"{path}: {_where(batch, twice)}: the list holds an item twice")
    values = np.full(held.shape, np.nan, dtype=np.float32)
    values[held] = _cast(path, "scores", scores.flatten(), pa.float32()).to_numpy(zero_copy_only=False)
    rank = _cast(path, "target_rank", batch.column("target_rank"), pa.float64(), nulls=True).to_numpy(
        zero_copy_only=False
    )
    if (impossible := (rank < 1) | np.isinf(rank)).any():
        raise DataError(
            f"{path}: {_where(batch, impossible)}: target_rank {rank[impossible][0]:g}; "
            "ranks start at 1, null: not ranked"
        )
    result: dict[str, npt.NDArray[Any]] = {
        "user": _text(path, batch, "user"),
        "position": _cast(path, "position", batch.column("position"), pa.int64()).to_numpy(),
        "target": _text(path, batch, "target"),
        "target_rank": rank.astype(np.float64),
        "items": codes,
        "scores": values,
    }
    if AFTER_CUT.name in batch.schema.names:
        cut = _cast(path, AFTER_CUT.name, batch.column(AFTER_CUT.name), pa.bool_())
        result[AFTER_CUT.name] = cut.to_numpy(zero_copy_only=False)
    return result


def _codes(values: pa.Array, vocabulary: dict[str, int]) -> npt.NDArray[np.int64]:
    """Returns codes of item ids; only ids that the batch brings for the first time cost a step in Python each."""
    encoded = values.dictionary_encode()
    known = np.array(
        [vocabulary.setdefault(item, len(vocabulary)) for item in encoded.dictionary.to_pylist()], dtype=np.int64
    )
    return known[encoded.indices.to_numpy()] if len(encoded) else np.zeros(0, np.int64)


def _lists(path: Path, batch: pa.RecordBatch, name: str) -> pa.Array:
    column = batch.column(name)
    kind = column.type
    if not (pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind)):
        raise DataError(f"{path}: column {name} has type {kind}, a list is needed")
    if column.null_count:
        raise DataError(f"{path}: column {name} has nulls; an empty list is []")
    return column.cast(pa.large_list(kind.value_type))


_KINDS = {
    pa.string(): (
        "text",
        lambda kind: pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind),
    ),
    pa.int64(): ("integers", pa.types.is_integer),
    pa.float32(): ("numbers", lambda kind: pa.types.is_floating(kind) or pa.types.is_integer(kind)),
    pa.float64(): (
        "numbers",
        lambda kind: pa.types.is_floating(kind) or pa.types.is_integer(kind) or pa.types.is_null(kind),
    ),
    pa.bool_(): ("true or false", pa.types.is_boolean),
}


def _cast(path: Path, name: str, values: pa.Array, wanted: pa.DataType, nulls: bool = False) -> pa.Array:
    """Returns `values` as the type that the schema wants, from any type of the same kind."""
    if pa.types.is_dictionary(values.type):
        values = values.cast(values.type.value_type)
    words, of_kind = _KINDS[wanted]
    if not of_kind(values.type):
        raise DataError(f"{path}: column {name} has type {values.type}, {words} needed")
    if values.null_count and not nulls:
        raise DataError(f"{path}: column {name} has nulls; only target_rank may be null")
    return values.cast(wanted, safe=not pa.types.is_floating(wanted))


def _text(path: Path, batch: pa.RecordBatch, name: str) -> npt.NDArray[np.object_]:
    texts = _cast(path, name, batch.column(name), pa.string())
    return np.array(texts.to_numpy(zero_copy_only=False), dtype=object)


def _no_instance_twice(path: Path, user: npt.NDArray[np.object_], position: npt.NDArray[np.int64]) -> None:
    code = pa.array(user, pa.string()).dictionary_encode().indices.to_numpy().astype(np.int64)
    order = np.lexsort((position, code))
    twice = (np.diff(code[order]) == 0) & (np.diff(position[order]) == 0)
    if twice.any():
        row = order[1:][twice][0]
        raise DataError(
            f"{path}: user {json.dumps(user[row])}, position {position[row]}: there twice; a row is an instance"
        )


def _where(batch: pa.RecordBatch, wrong: npt.NDArray[np.bool_]) -> str:
    """Names the first wrong row by its user and position."""
    row = int(np.flatnonzero(wrong)[0])
    return f"user {json.dumps(str(batch.column('user')[row]))}, position {batch.column('position')[row]}"


def _line(error: object) -> str:
    return " ".join(str(error).split())
