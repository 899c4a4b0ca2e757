"""The segments of held-out interactions, by which the gate cuts them: further columns of the source, in a file of them.

A held-out interaction is found again in the source by its user, item and time. Where rows that agree in these differ in
a segment, all of them have the least of its values: nothing tells which of the rows is which.
"""

import hashlib
import json
from collections.abc import Iterable
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
from ibis.expr import types as ir

from finest import parquet
from finest.data import schema
from finest.data.codes import Coded
from finest.data.config import Ingest
from finest.data.engine import Engine


def found(
    engine: Engine, judged: ir.Table, data: Coded, histories: Iterable[pa.RecordBatch], config: Ingest
) -> pa.Table:
    """Returns the segments of all held-out interactions: user (the engine's code), position, and a column a role.

    Args:
        engine: What joins them.
        judged: All rows of the source, as clean.judged returns them.
        data: The users and items, with their codes.
        histories: The data set's rows, in histories.SCHEMA.
        config: Names the segments.
    """
    held_out = [
        rows.filter(pc.invert(rows["train"])).select(["user", "item", "time", "position"]) for rows in histories
    ]
    wanted = engine.hold("held_out", pa.Table.from_batches(held_out).combine_chunks())
    roles = config.columns.segment_roles
    # A row that repeats another is in the quarantine or not by the order of files, which must not matter here.
    usable = judged.filter(judged.reason.isnull() | (judged.reason == schema.DUPLICATE))
    rows = usable.join(data.users, usable.user == data.users.id).select("item", "time", *roles, user_code="code")
    rows = rows.join(data.items, rows.item == data.items.id).select("time", *roles, user="user_code", item="code")
    both = rows.join(wanted, ["user", "item", "time"]).select("user", "position", *roles)
    values = both.group_by("user", "position").agg(**{role: both[role].min() for role in roles})
    return engine.small(values).sort_by([("user", "ascending"), ("position", "ascending")]).combine_chunks()


def write(found: pa.Table, user_ids: pa.Array, config: Ingest, path: Path, fingerprint: str) -> str:
    """Writes segments.parquet, and returns the fingerprint of the data with its segments.

    Args:
        found: The segments, as `found` returns them.
        user_ids: User ids by the engine's code.
        config: Names the segments.
        path: The file.
        fingerprint: The fingerprint of the data without them.
    """
    columns = {"user": user_ids.take(found["user"]), "position": found["position"].cast(pa.int32())}
    whole = hashlib.sha256(json.dumps([fingerprint, *config.columns.segments]).encode())
    for role, name in zip(config.columns.segment_roles, config.columns.segments, strict=True):
        values = found[role].cast(pa.string())
        columns[f"{schema.SEGMENT_COLUMN}{name}"] = values
        whole.update(hashlib.sha256(json.dumps(values.to_pylist()).encode()).digest())
    parquet.write(pa.table(columns), path)
    return whole.hexdigest()
