"""RecBole's loading and filtering: `python benchmarks/peer_ingest.py DATA MIN_USER MIN_ITEM`.

The interpreter of `benchmarks.peers` runs this, which has none of the product's packages. DATA is a file
NAME/NAME.inter. Prints what it took and kept, as JSON.
"""

import json
import os
import resource
import sys
import time
from pathlib import Path

from recbole.config import Config
from recbole.data import create_dataset


def main() -> None:
    """Runs the command."""
    data, min_user, min_item = Path(sys.argv[1]).resolve(), sys.argv[2], sys.argv[3]
    os.chdir(data.parent)  # RecBole leaves logs where it runs
    sys.argv = sys.argv[:1]  # and reads the command line
    config = Config(
        "SASRec",
        data.stem,
        config_dict={
            "data_path": str(data.parents[1]),
            "load_col": {"inter": ["user_id", "item_id", "timestamp"]},
            "user_inter_num_interval": f"[{min_user},inf)",
            "item_inter_num_interval": f"[{min_item},inf)",
            "train_neg_sample_args": None,
            "use_gpu": False,
        },
    )
    cpu, wall = time.process_time(), time.perf_counter()
    data_set = create_dataset(config)
    spent = {"cpu_s": time.process_time() - cpu, "wall_s": time.perf_counter() - wall}
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024**2
    counts = {"interactions": data_set.inter_num, "users": data_set.user_num - 1}  # one is padding
    print(json.dumps({**counts, **spent, "peak_gib": peak}))


if __name__ == "__main__":
    main()
