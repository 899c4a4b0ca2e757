"""Rank lists for the gate: `python write_rank_lists.py FOLDER [MOVE]`. Random here; yours come from the models that you train."""

import json
import random
import sys

import pyarrow as pa
import pyarrow.parquet as pq

folder, move = sys.argv[1], float(sys.argv[2]) if len(sys.argv) > 2 else 0.1  # how far a small edit to the training data moves scores
gauss, items = random.Random(0).gauss, [f"film-{number}" for number in range(50)]
held_out = [(f"user-{number}", position) for number in range(100) for position in (20, 21, 22)]  # the same, in this order, in every file

def moved(scores, size):  # as models err: alike for all of a user's instances
    errors = {user: {item: gauss(0, size) for item in items} for user, _ in held_out}
    return [{item: row[item] + errors[user][item] for item in items} for (user, _), row in zip(held_out, scores, strict=True)]

def write(scores, role, stage="tuned", scenario=None):
    about = {"role": role, "stage": stage, "scenario": scenario, "model": "mine", "depth": 20, "exclude_seen": False}
    about["catalogue"] = {"items": len(items), "digest": "films of today"}
    ranked = [sorted(items, key=row.get, reverse=True) for row in scores]
    table = pa.table({
        "user": [user for user, _ in held_out], "position": [position for _, position in held_out], "target": targets,
        "target_rank": [best.index(target) + 1 for best, target in zip(ranked, targets, strict=True)],
        "items": [best[:20] for best in ranked], "scores": [sorted(row.values(), reverse=True)[:20] for row in scores],
    })  # fmt: skip
    pq.write_table(table.replace_schema_metadata({"rank_lists": json.dumps(about)}), f"{folder}/{scenario or role}-{stage}.parquet")

taste = moved([{item: gauss(0, 0.3) for item in items} for _ in held_out], 1)
targets = [max(items, key=lambda item: row[item] + gauss(0, 0.4)) for row in taste]
for stage, clean, seed in ("base", moved(taste, 0.6), 0.8), ("tuned", moved(taste, 0.3), 0.6):
    for role, scenario, size in ("clean", None, 0), ("control", "identity", 0), ("control", "rounding", 0.05), ("control", "seed", seed):
        write(moved(clean, size), role, stage, scenario)
    for scenario in "deletion", "replacement", "insertion":
        write(moved(clean, move * (2 if stage == "base" else 1)), "probe", stage, scenario)
write([{item: -place for place, item in enumerate(items)} for _ in held_out], "popularity")
write(moved([dict.fromkeys(items, 0)] * len(held_out), 1), "repeat_last")
