"""A small data set that a model can learn something from: users who walk through the catalogue in short steps."""

from pathlib import Path

import numpy as np

USERS, ITEMS = 60, 250


def write(path: Path, users: int = USERS, items: int = ITEMS, seed: int = 0) -> Path:
    """A CSV file with columns user_id, item_id, timestamp; 30 to 59 interactions a user."""
    random = np.random.default_rng(seed)
    lines = ["user_id,item_id,timestamp"]
    for user in range(users):
        time, item = 1_600_000_000 + int(random.integers(1_000_000)), int(random.integers(items))
        for _ in range(int(random.integers(30, 60))):
            lines.append(f"u{user:03d},i{item:03d},{time}")
            time += int(random.integers(1, 5_000))
            item = int(random.integers(items)) if random.random() < 0.2 else int((item + random.integers(1, 6)) % items)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(lines) + "\n")
    return path
