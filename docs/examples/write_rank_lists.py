"""Writes rank lists for the gate: `python write_rank_lists.py FOLDER [MOVE]`.

They are random here; yours come from your models.
"""

import json
import random
import sys

import pyarrow as pa
import pyarrow.parquet as pq

folder = sys.argv[1]
move = float(sys.argv[2]) if len(sys.argv) > 2 else 0.1  # how far a small edit to the training data moves scores
gauss, items = random.Random(0).gauss, [f"film-{number}" for number in range(50)]
# The same instances, in this order, in every file.
held_out = [(f"user-{number}", position) for number in range(100) for position in (20, 21, 22)]


def moved(scores, size):
    """Moves scores as models err: alike for all of a user's instances."""
    errors = {user: {item: gauss(0, size) for item in items} for user, _ in held_out}
    pairs = zip(held_out, scores, strict=True)
    return [{item: row[item] + errors[user][item] for item in items} for (user, _), row in pairs]


def write(scores, role, stage="tuned", scenario=None):
    """Writes the lists of one training."""
    about = {"role": role, "stage": stage, "scenario": scenario, "model": "mine", "depth": 20, "exclude_seen": False}
    about["catalogue"] = {"items": len(items), "digest": "films of today"}
    ranked = [sorted(items, key=row.get, reverse=True) for row in scores]
    columns = {
        "user": [user for user, _ in held_out],
        "position": [position for _, position in held_out],
        "target": targets,
        "target_rank": [best.index(target) + 1 for best, target in zip(ranked, targets, strict=True)],
        "items": [best[:20] for best in ranked],
        "scores": [sorted(row.values(), reverse=True)[:20] for row in scores],
    }
    table = pa.table(columns).replace_schema_metadata({"rank_lists": json.dumps(about)})
    pq.write_table(table, f"{folder}/{scenario or role}-{stage}.parquet")


taste = moved([{item: gauss(0, 0.3) for item in items} for _ in held_out], 1)
targets = [max(items, key=lambda item: row[item] + gauss(0, 0.4)) for row in taste]
for stage, error in ("base", 0.6), ("tuned", 0.3):
    clean, seed = moved(taste, error), moved(taste, error)
    write(clean, "clean", stage)
    write(seed, "control", stage, "seed")
    for scenario, size in ("identity", 0), ("rounding", 0.05):
        write(moved(clean, size), "control", stage, scenario)
    for scenario in "deletion", "replacement", "insertion":
        write(moved(clean, move * (2 if stage == "base" else 1)), "probe", stage, scenario)
write([{item: -place for place, item in enumerate(items)} for _ in held_out], "popularity")
write(moved([dict.fromkeys(items, 0)] * len(held_out), 1), "repeat_last")
