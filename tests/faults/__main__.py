"""The command: `python -m tests.faults [--faults NAME ...] [--steps NAME ...] [--runner docker] [--together]`.

Cells that are in the file of results are not made again; the page is written anew after each.
"""

import argparse
import json
import shutil
import sys
import tempfile
import time
import traceback
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any, get_args

from finest.errors import one_line
from tests.end_to_end.conftest import ROOT
from tests.faults import page, services
from tests.faults.cell import Cell, strike
from tests.faults.fault import LOCAL, Fault, possible
from tests.faults.night import STEPS, Night, Runner

RESULTS, PAGE = ROOT / "benchmarks" / "faults.json", ROOT / "docs" / "faults.md"
BAD = ("WRONG", "not struck")
FAULTS: dict[str, Fault] = {fault.name: fault for fault in (*LOCAL, *services.FAULTS)}


def main(arguments: Sequence[str] | None = None) -> int:
    """Returns 0 where every cell that was made ended well, 1 otherwise."""
    given = _parser().parse_args(arguments)
    results = _results(given.results)
    with tempfile.TemporaryDirectory(prefix="finest-faults-") as temporary, ExitStack() as stack:
        folder = Path(temporary)
        reference, bad = Night(folder / "reference", runner=given.runner), 0
        todo = [cell for cell in _wanted(given) if _key(given.runner, *cell) not in results or given.again]
        if todo:
            reference.prepare()
            ended = reference.whole()
            assert ended.code == 0, ended.said
        setting = services.Setting(folder, stack, given.away)
        for fault, steps in _together(todo) if given.together else ((fault, [step]) for fault, step in todo):
            for cell in _made(fault, steps, folder, reference, setting):
                line = f"{cell.fault} at {cell.step}: {cell.outcome}: {cell.said[:300]} ({cell.seconds:.0f} s)"
                print(line, flush=True)
                results[_key(given.runner, fault, cell.step)] = cell.as_json() | page.here()
                bad += cell.outcome in BAD
            given.results.write_text(json.dumps(list(results.values()), indent=1) + "\n")
            given.page.write_text(page.page(list(results.values()), list(FAULTS.values())))
    return int(bad > 0)


def _together(cells: Sequence[tuple[Fault, str]]) -> Iterator[tuple[Fault, list[str]]]:
    """Returns the steps of each fault that can be struck in one state."""
    for fault in dict.fromkeys(fault for fault, _ in cells):
        steps = [step for one, step in cells if one is fault]
        alone = [] if fault.passes else [step for step in steps if step in STEPS[STEPS.index("promote") + 1 :]]
        yield fault, [step for step in steps if step not in alone]
        yield from ((fault, [step]) for step in alone)  # once it has promoted, the same command finds nothing to do


def _made(fault: Fault, steps: list[str], folder: Path, reference: Night, setting: services.Setting) -> Iterator[Cell]:
    """Makes the cells of these steps: together as far as that goes, one by one where it went wrong."""
    while steps:
        cells = _strike(fault, steps, folder, reference, setting)
        if len(steps) > 1 and any(cell.outcome in BAD for cell in cells):
            print(
                f"{fault.name} at {', '.join(steps)}: {cells[0].outcome}: {cells[0].said}; one by one now", flush=True
            )
            cells = [cell for step in steps for cell in _strike(fault, [step], folder, reference, setting)]
        yield from cells
        steps = [step for step in steps if step not in {cell.step for cell in cells}]


def _strike(
    fault: Fault, steps: Sequence[str], folder: Path, reference: Night, setting: services.Setting
) -> list[Cell]:
    # A folder of its own for each: MLflow's clients keep what they know of a place.
    began = time.monotonic()
    name = f"{fault.name} {steps[0]} {len(steps)}".replace(" ", "-")
    night = replace(reference, folder=folder / name, process=None)
    try:
        if fault.name in services.NAMES:
            setting.place(night)
        return strike(fault, steps, night, reference)
    except Exception as error:  # noqa: BLE001 - a cell that cannot be made is a row of the table, and no end of it
        traceback.print_exc()
        why, seconds = one_line(error)[:500], (time.monotonic() - began) / len(steps)
        return [Cell(fault.name, step, night.runner, "WRONG", why, seconds, 0.0, len(steps)) for step in steps]
    finally:
        shutil.rmtree(night.folder, ignore_errors=True)


def _wanted(given: argparse.Namespace) -> Iterator[tuple[Fault, str]]:
    for name in given.faults or FAULTS:
        fault = FAULTS[name]
        if given.runner not in fault.runners:
            continue
        if why := possible(fault):
            print(f"{name}: not here: {why}")
            continue
        yield from ((fault, step) for step in given.steps or STEPS if step in fault.steps)


def _key(runner: str, fault: Fault, step: str) -> str:
    return f"{runner} {fault.name} {step}"


def _results(file: Path) -> dict[str, dict[str, Any]]:
    if not file.exists():
        return {}
    return {f"{one['runner']} {one['fault']} {one['step']}": one for one in json.loads(file.read_text())}


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.faults", description=__doc__)
    parser.add_argument("--faults", nargs="+", choices=list(FAULTS), metavar="FAULT", help=", ".join(FAULTS))
    parser.add_argument("--steps", nargs="+", choices=STEPS, metavar="STEP", help=", ".join(STEPS))
    parser.add_argument("--runner", choices=get_args(Runner), default="subprocess", help="what steps run in")
    parser.add_argument("--away", type=float, default=60.0, help="seconds that a service is away, slow, or refuses")
    parser.add_argument("--together", action="store_true", help="strike the steps one after another in one state")
    parser.add_argument("--again", action="store_true", help="make cells again that have a result")
    parser.add_argument("--results", type=Path, default=RESULTS)
    parser.add_argument("--page", type=Path, default=PAGE)
    return parser


if __name__ == "__main__":
    sys.exit(main())
