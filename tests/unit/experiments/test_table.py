"""The table says first what is above FINEST, in true order, and hides no cell that has no numbers."""

import csv
import io
from typing import Any

import pytest

from finest.experiments.record import Cell, Cost, Record, Row
from finest.experiments.table import as_csv, as_json, markdown, sentences, table


def record(label: str, seed: int, rbo: float, of: Any = "network", jaccard: float = 0.5) -> Record:
    """A finished cell of the baselines with one row."""
    values = {"rbo": rbo, "jaccard_at_10": jaccard, "non_inferior": float(seed != 1)}
    cost = Cost(wall_s=10.0 + seed, cpu_s=5.0, peak_mb=100.0)
    row = Row(label=label, of=of, more={"knows": "rows"}, values=values, cost=cost)
    cell = Cell(experiment="baselines", what={"treatment": label}, seed=seed)
    return Record(cell=cell, key=f"{label}{seed}", state="finished", rows=[row])


def broken(state: Any, reason: str) -> Record:
    cell = Cell(experiment="baselines", what={"treatment": "decay"}, seed=0)
    return Record(cell=cell, key=state, state=state, reason=reason)


RECORDS = [
    record(label, seed, level + 0.001 * seed)
    for label, level in (("none", 0.80), ("FINEST", 0.90), ("ensemble | of 3", 0.95), ("warm", 0.9005))
    for seed in range(3)
]


def test_what_is_above_finest_is_said_first_largest_first_and_whether_intervals_are_apart() -> None:
    first, second = sentences(table("baselines", RECORDS))
    assert first.startswith("**Above FINEST** (0.901) in rbo of the network alone: ensemble | of 3 (0.951, +0.050")
    assert first.index("ensemble") < first.index("warm") and "none" not in first
    assert "intervals apart); warm" in first and first.endswith("intervals overlap).")
    assert second.startswith("No row is above FINEST (0.500) in Jaccard@10") and "3 of 3 overlap" in second
    assert second.endswith("those of differences in pairs of a seed hold 0 for ensemble | of 3, warm, none.")


def test_where_nothing_is_above_finest_that_is_what_is_said() -> None:
    first, _ = sentences(table("baselines", RECORDS[:6]))
    assert first == "No row is above FINEST (0.901) in rbo of the network alone, intervals apart."


def test_without_finest_nothing_is_called_better_or_worse() -> None:
    assert sentences(table("baselines", RECORDS[:3])) == ["FINEST has no numbers yet, so nothing is compared with it."]
    (alone, _) = sentences(table("baselines", RECORDS[3:6]))
    assert alone.endswith("nothing is there to compare it with.")


def test_one_seed_is_said_to_be_one() -> None:
    first = sentences(table("baselines", [record("FINEST", 0, 0.9), record("warm", 0, 0.91)]))[0]
    assert "warm (0.910, one seed)" in first


def test_rows_are_in_true_order_with_interval_cost_and_seeds_and_cells_without_numbers_below() -> None:
    records = [*RECORDS, broken("broken", "diverged"), broken("impossible", "no kl")]
    page = markdown(table("baselines", records), ["today"])
    rows = [line.split(" | ") for line in page.splitlines() if line.startswith("| ") and "network" in line]
    assert [row[0] for row in rows] == ["| ensemble \\| of 3", "| warm", "| FINEST", "| none"]
    assert rows[2][3] == "0.901 [0.899, 0.903]" and rows[2][5:] == ["2 of 3", "", "", "11.0", "5.00", "100", "3 |"]
    assert rows[0][6] == "+0.0500 [+0.0500, +0.0500]" and rows[1][6] == "+0.0005 [+0.0005, +0.0005]"
    assert "- broken: baselines decay s0: diverged" in page and "- impossible: baselines decay s0: no kl" in page
    assert "95% intervals of the mean over seeds" in page and page.rstrip().endswith("- today")


def test_rows_whose_own_intervals_overlap_are_told_apart_by_pairs_of_a_seed() -> None:
    """Seeds move both rows by ten times of what parts them."""
    levels = {0: 0.80, 1: 0.85, 2: 0.90}
    records = [record("FINEST", seed, level) for seed, level in levels.items()]
    records += [record("none", seed, level - 0.005 - 0.0001 * seed) for seed, level in levels.items()]
    made = table("baselines", records)
    assert "1 of 1 overlap with its own, those of differences in pairs of a seed are all below 0." in sentences(made)[0]
    ours, none = csv.DictReader(io.StringIO(as_csv(made)))
    assert ours["rbo_less_ours"] == "" and float(none["rbo_less_ours_high"]) < 0
    rows: Any = as_json(made)["rows"]
    assert rows[1]["less_ours"]["rbo"][2] < 0


def test_network_and_served_lists_are_rows_of_their_own() -> None:
    both = [*RECORDS[3:6], *(record("FINEST", seed, 0.97, of="served") for seed in range(3))]
    made = table("baselines", both)
    assert [(line.row.label, line.row.of) for line in made.lines] == [("FINEST", "network"), ("FINEST", "served")]
    assert {words.split(" of ")[1].split(";")[0] for words in sentences(made)} == {
        "the network alone",
        "what is served",
    }


def test_csv_has_every_value_and_both_ends_and_json_no_nan() -> None:
    made = table("baselines", [*RECORDS[:3], record("one", 0, 0.7)])
    none, one = csv.DictReader(io.StringIO(as_csv(made)))
    assert float(none["rbo_low"]) < float(none["rbo"]) < float(none["rbo_high"]) and none["seeds"] == "3"
    assert one["rbo"] == "0.7" and one["rbo_low"] == "" and one["knows"] == "rows"
    rows: Any = as_json(made)["rows"]
    assert rows[1]["values"]["rbo"] == [0.7, None, None]
    assert rows[0]["cost"]["wall_s"] == pytest.approx(11.0)


def test_published_numbers_stand_beside_measured_ones_without_an_interval() -> None:
    page = markdown(table("seeds", []), [])
    assert "| sasrec, published | network | not stated | 0.466 | 0.489 |" in page
    assert "| gru4rec, published | network | not stated | 0.337 | 0.413 |" in page
