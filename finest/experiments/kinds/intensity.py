"""Intensity: how stability falls as more rows are edited, by every family and kind of edit."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from finest import documents
from finest.errors import ConfigError, first_line
from finest.experiments.compare import BY, COLUMNS, compared
from finest.experiments.record import ImpossibleError
from finest.experiments.registry import EXPERIMENTS, TREATMENTS, Experiment
from finest.perturb.config import Perturb, Scenario
from finest.perturb.registry import EDITS, FAMILIES

if TYPE_CHECKING:
    from finest.experiments.bench import Bench
    from finest.experiments.record import Cell, Given, Row

SHARES = (0.0001, 0.001, 0.01, 0.1)
"""Shares of the training rows that are edited."""
COMPARED = {"none": "none", "finest": "FINEST"}


@EXPERIMENTS.register("intensity")
class Intensity(Experiment):
    """Trains a probe for every family, kind and share, without FINEST and with it."""

    question = "How much change of the data do lists survive?"
    told = ("A family that has too few rows for a share is said to be impossible there. One row at least is edited.",)
    columns = tuple(one for one in COLUMNS if one.name != "rbo_worst")
    by = BY
    across = "share"
    keeps = False

    def grid(self, given: Given) -> list[dict[str, object]]:
        """Returns a cell for each scenario."""
        return [
            {"family": family, "kind": kind, "share": share}
            for family in FAMILIES
            for kind in EDITS
            for share in SHARES
        ]

    def depends(self, cell: Cell, given: Given) -> dict[str, object]:
        """Returns the config without its scenarios."""
        return given.model_dump(mode="json", exclude={"seed", "seeds", "perturb"})

    def measure(self, cell: Cell, bench: Bench) -> list[Row]:
        """Compares the clean model and the probe, without FINEST and with it."""
        own, rows = under(bench, cell.what), []
        for name, title in COMPARED.items():
            more = {"share": f"{cell.what['share']:g}", "fine-tuning": title}
            found = compared(own, TREATMENTS[name](), label(cell.what))
            rows += [row.model_copy(update={"more": more}) for row in found]
        return rows


def under(bench: Bench, what: dict[str, Any]) -> Bench:
    """Returns a bench whose one scenario is the one that a cell names.

    Raises:
        ImpossibleError: Its parts do not go together, or the data has too few rows for it.
    """
    try:
        scenario = Scenario.model_validate({name: what[name] for name in ("family", "kind", "share")})
        own = bench.sibling(bench.given.model_copy(update={"perturb": Perturb(scenarios=[scenario])}))
        _ = own.probes
    except ValidationError as error:
        raise ImpossibleError(f"{label(what)}: {documents.fault(error)}") from error
    except ConfigError as error:
        raise ImpossibleError(f"{label(what)}: {first_line(error)}") from error
    return own


def label(what: dict[str, Any]) -> str:
    """Returns what a cell's scenario is called in the table: family, kind, and options that are not as by default."""
    family = what["family"]
    return " ".join([*(family.values() if isinstance(family, dict) else [family]), what["kind"]])
