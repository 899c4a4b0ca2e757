"""The command: `python -m tests.fuzz [--count N] [--seed N] [--only KIND]`."""

import argparse
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import psutil

from tests.fuzz import pool
from tests.fuzz.kind import BAD, GOOD, Ended
from tests.fuzz.kind import read as read_input
from tests.fuzz.kinds import KINDS

WORDS = (*GOOD, *BAD)


def main(arguments: Sequence[str] | None = None) -> int:
    """Returns 0 where every input ended well, 1 otherwise."""
    given = _parser().parse_args(arguments)
    names = given.only or list(KINDS)
    with tempfile.TemporaryDirectory(prefix="finest-fuzz-") as temporary:
        prepared = Path(temporary, "prepared")
        for name in names:
            (prepared / name).mkdir(parents=True)
            KINDS[name].prepare(prepared / name)
        if given.again:
            ended = read_input(KINDS[names[0]], given.seed, given.again / "input", prepared / names[0])
            print(f"{ended.word}: {ended.text}")
            return int(ended.word in BAD)
        jobs = jobs_of(names, given.count, given.seed)
        print(f"{len(jobs)} inputs of {len(names)} kinds from seed {given.seed}", flush=True)
        began, all_ended = time.monotonic(), list[Ended]()
        for ended in pool.run(jobs, prepared, given.keep, given.processes, given.seconds, given.memory):
            all_ended.append(ended)
            if ended.word in BAD or given.verbose:
                line = ended.text.strip().splitlines()[-1:] or [""]
                print(f"{ended.kind} {ended.seed}: {ended.word}: {line[0][:300]}", flush=True)
    print(table(all_ended, given.memory, given.seconds))
    print(f"{len(all_ended)} inputs, seed {given.seed}, {time.monotonic() - began:.0f} s")
    if bad := sum(ended.word in BAD for ended in all_ended):
        print(f"{bad} ended badly: kept in {given.keep}, each with the command that tries it alone")
    return int(bad > 0)


def jobs_of(names: Sequence[str], count: int, seed: int) -> list[pool.Job]:
    """Returns so many inputs, dealt by the kinds' shares; each kind's seeds count up from `seed`."""
    whole = sum(KINDS[name].share for name in names)
    return [
        (name, seed + number) for name in names for number in range(max(1, round(count * KINDS[name].share / whole)))
    ]


def table(all_ended: Sequence[Ended], most_mb: int, seconds: float) -> str:
    """Returns as Markdown how the inputs of each kind ended, the longest time and the largest memory."""
    counts = Counter((ended.kind, ended.word) for ended in all_ended)
    kinds = list(dict.fromkeys(ended.kind for ended in all_ended))
    shown = [word for word in WORDS if word in GOOD or any(counts[kind, word] for kind in kinds)]
    head = ["kind", "inputs", *shown, "longest, s", "peak, MB"]
    rows = [head, ["---", *["---:"] * (len(head) - 1)]]
    for kind in [*kinds, "all"]:
        its = [ended for ended in all_ended if kind in (ended.kind, "all")]
        rows.append(
            [
                kind,
                str(len(its)),
                *(str(sum(ended.word == word for ended in its)) for word in shown),
                f"{max(ended.seconds for ended in its):.1f}",
                str(max(ended.peak_mb for ended in its)),
            ]
        )
    said = ", ".join(f"{word} {sum(ended.word == word for ended in all_ended)}" for word in BAD)
    return "\n".join(
        ["| " + " | ".join(row) + " |" for row in rows]
        + ["", f"Of these: {said}. An input may take {seconds:g} s, a process {most_mb} MB."]
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("--count", type=int, default=10_500, help="number of inputs, all kinds together")
    parser.add_argument("--seed", type=int, default=0, help="seed of each kind's first input; the next ones count up")
    parser.add_argument(
        "--only",
        action="append",
        choices=list(KINDS),
        metavar="KIND",
        help="this kind alone; may be repeated: " + ", ".join(KINDS),
    )
    parser.add_argument("--again", type=Path, help="read a kept input as it is; with --only")
    parser.add_argument(
        "--keep", type=Path, default=Path(tempfile.gettempdir(), "finest-fuzz"), help="folder for inputs that end badly"
    )
    parser.add_argument("--processes", type=int, default=psutil.cpu_count() or 1)
    parser.add_argument("--seconds", type=float, default=60.0, help="time that an input may take")
    parser.add_argument("--memory", type=int, default=1500, help="resident memory in MB that a process may have")
    parser.add_argument("--verbose", action="store_true", help="say how each input ends")
    return parser


if __name__ == "__main__":
    sys.exit(main())
