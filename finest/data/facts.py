"""What the manifest says about histories and instances, counted by the engine over the split rows."""

import ibis
import ibis.expr.types as ir

from finest.data.engine import DuckDB


def users(engine: DuckDB, rows: ir.Table) -> ir.Table:
    """A row a user: user, interactions, train_interactions, last_train, first_test (times; null where there is none)."""
    counts = rows.group_by("user").agg(
        interactions=rows.count(),
        train_interactions=rows.train.sum(),
        last_train=rows.time.max(where=rows.train),
        first_test=rows.time.min(where=~rows.train),
    )
    return engine.keep("users", counts)


def catalogue(engine: DuckDB, rows: ir.Table) -> ir.Table:
    """A row an item of the training rows: item, train_interactions."""
    train = rows.filter(rows.train)
    return engine.keep("catalogue", train.group_by("item").agg(train_interactions=train.count()))


def count(engine: DuckDB, rows: ir.Table, users: ir.Table, catalogue: ir.Table) -> dict[str, int]:
    """Interactions, users and so on, by the manifest's names; `repeats` are the interactions that repeat an earlier user-item pair."""
    of_users = users.agg(
        users=users.count(),
        interactions=users.interactions.sum(),
        train_interactions=users.train_interactions.sum(),
        users_cut_inside_a_tie=(users.last_train == users.first_test).sum(),
        last_train_timestamp=users.last_train.max(),
    )
    of_rows = rows.agg(first_timestamp=rows.time.min(), last_timestamp=rows.time.max())

    known = rows.semi_join(catalogue, "item")
    known = known.group_by("user").agg(since=known.position.min())  # a history begins with its first item of the catalogue
    held = rows.filter(~rows.train).left_join(known, "user").left_join(catalogue, "item")
    instance = (held.position > held.since).fill_null(False)
    of_instances = held.agg(
        instances=instance.sum(), cold_rows=(~instance).sum(), targets_outside_catalogue=(instance & held.train_interactions.isnull()).sum()
    )

    pairs = rows.group_by("user", "item").agg(n=rows.count(), train=rows.train.sum())
    pairs = pairs.left_join(catalogue, "item")
    first_is_held = (pairs.train == 0).cast("int64")
    in_history = ibis.ifelse(pairs.train_interactions.notnull(), pairs.n - pairs.train - first_is_held, 0)
    of_pairs = pairs.agg(repeats=(pairs.n - 1).sum(), targets_in_history=in_history.sum())

    facts: dict[str, int] = {}
    for part in (of_users, of_rows, of_instances, of_pairs):
        facts |= {name: value or 0 for name, value in engine.small(part).to_pylist()[0].items()}
    facts["test_interactions"] = facts["interactions"] - facts["train_interactions"]
    facts["items"] = engine.small(catalogue.agg(items=catalogue.count()))["items"][0].as_py()
    return facts
