"""Answers requests with a package's model. Runs as a process of its own, which imports nothing of the product.

It is given the package's folder. It writes a line of JSON once the model is loaded, and one an answer; it reads a
request a line, the literal of a dict: the columns of a data frame. Whatever the package prints goes to stderr.
"""

import ast
import json
import os
import queue
import resource
import sys
import threading
import time
from pathlib import Path
from typing import Any

OWN = "finest"
"""The package of which a module must come from the model's package, if from anywhere."""


def main(package: str) -> None:
    """Loads the model and answers until nobody asks any more."""
    out = os.fdopen(os.dup(sys.stdout.fileno()), "w", encoding="utf-8")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    asked: queue.SimpleQueue[str] = queue.SimpleQueue()
    threading.Thread(target=_listen, args=(asked,), daemon=True).start()
    began = time.perf_counter()
    import mlflow.pyfunc
    import pandas as pd

    model = mlflow.pyfunc.load_model(package)

    def tell(**said: Any) -> None:
        out.write(json.dumps({**said, "memory_mb": peak_mb()}, default=_plain) + "\n")
        out.flush()

    tell(seconds=time.perf_counter() - began, foreign=foreign(package))
    while True:
        columns = ast.literal_eval(asked.get())
        began = time.perf_counter()
        try:
            request = pd.DataFrame(columns)
            began = time.perf_counter()
            answer = model.predict(request)
            seconds = time.perf_counter() - began
            found = {"items": list(answer["items"]), "scores": list(answer["scores"])}
        except Exception as error:  # noqa: BLE001 - whatever a package raises is its answer
            tell(error=f"{type(error).__name__}: {error}", seconds=time.perf_counter() - began)
        else:
            tell(**found, seconds=seconds)


def _listen(asked: "queue.SimpleQueue[str]") -> None:
    """Takes in requests; ends this process, whatever it is doing, once nobody asks any more."""
    for line in sys.stdin:
        asked.put(line)
    os._exit(1)


def peak_mb() -> float:
    """Returns the most memory that this process has held, in MB of 1e6 bytes.

    Linux's ru_maxrss is not it: a new program goes on with the peak of the one that started it.
    """
    status = Path("/proc/self/status")
    if status.exists():
        line = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM:"))
        return int(line.split()[1]) * 1024 / 1e6
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6


def foreign(package: str) -> list[str]:
    """Returns modules of the product that come from elsewhere than the package."""
    files = {
        name: getattr(module, "__file__", None)
        for name, module in list(sys.modules.items())
        if name.partition(".")[0] == OWN
    }
    within = Path(package).resolve()
    return sorted(name for name, file in files.items() if file and not Path(file).resolve().is_relative_to(within))


def _plain(value: Any) -> Any:
    """Returns an array or a number of NumPy's as JSON has it."""
    return value.tolist() if hasattr(value, "tolist") else repr(value)


if __name__ == "__main__":
    main(sys.argv[1])
