"""Makes up the rank lists of a whole run in which every rule holds; a test changes them and judges again."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from finest.ranklists import file
from finest.ranklists.schema import Description, RankLists, describe_catalogue

Scores = npt.NDArray[np.float64]
Name = tuple[str, str]
"""Variant (`clean`, a control, a scenario, `champion`, ...) and stage."""

USERS, EACH, ITEMS, DEPTH = 100, 3, 60, 20
"""Users, instances of each, items of the catalogue, and items of a list."""
PROBES = ("random-deletion-0.001-s0", "random-insertion-0.001-s0", "random-replacement-0.001-s0")
CONTROLS = ("identity", "rounding", "seed")


@dataclass
class Run:
    """Holds the scores [instances, items] of every model; lists and target ranks follow from them."""

    scores: dict[Name, Scores]
    target: npt.NDArray[np.int64]
    described: dict[Name, dict[str, Any]] = field(default_factory=dict)
    """Changes to files' descriptions."""
    after_cut: npt.NDArray[np.bool_] | None = None
    config: dict[str, Any] = field(default_factory=lambda: {"self_test": False})
    data: Path | None = None
    each: int = EACH
    """Number of instances of a user."""

    def write(self, folder: Path) -> None:
        """Writes all files, as training and the champion step leave them."""
        names = np.array(items(), dtype=object)
        user = np.array([f"u{code}" for code in range(USERS)], dtype=object).repeat(self.each)
        position = np.tile(np.arange(self.each), USERS) + 7
        catalogue = describe_catalogue(items())
        for (variant, stage), scores in self.scores.items():
            order = np.argsort(-scores, axis=1, kind="stable")[:, :DEPTH]
            role = "control" if variant in CONTROLS else "probe" if variant in PROBES else variant
            description = {
                "catalogue": catalogue,
                "model": "made-up",
                "role": role,
                "stage": stage,
                "depth": DEPTH,
                "exclude_seen": False,
                "scenario": variant if role in ("probe", "control") else None,
                "protocol": "anchored" if stage == "tuned" else None,
                "reference": "champion/3" if variant == "champion" else "base",
                "seed": int(variant == "seed"),
                "data_fingerprint": "yesterday" if variant == "champion" else "today",
            }
            lists = RankLists(
                user=user,
                position=position,
                target=names[self.target],
                target_rank=mean_rank(scores, self.target),
                items=order.astype(np.int32),
                scores=np.take_along_axis(scores, order, axis=1).astype(np.float32),
                vocabulary=names,
                description=Description.model_validate(description | self.described.get((variant, stage), {})),
                after_cut=self.after_cut if variant == "champion" else None,
            )
            file.write(lists, folder / stage / f"{variant}.parquet")


def mean_rank(scores: Scores, target: npt.NDArray[np.int64]) -> Scores:
    """Returns the rank [M], from 1, of column `target` [M] in each row of `scores` [M, I]; the mean over ties."""
    own = np.take_along_axis(scores, target[:, None], axis=1)
    rank: Scores = np.count_nonzero(scores > own, axis=1) + (np.count_nonzero(scores == own, axis=1) + 1) / 2
    return rank


def items() -> list[str]:
    """Returns the item ids of the catalogue."""
    return [f"i{code}" for code in range(ITEMS)]


def made_up(champion: bool = False) -> Run:
    """Makes up a run, with a champion where asked for.

    Users have a taste, which moves a little from one interaction to the next, and choose by it; models know it with an
    error. The champion was trained before the users' tastes became what they are.
    """
    random = np.random.default_rng(0)

    def noise(size: float) -> Scores:
        return size * random.standard_normal((USERS * EACH, ITEMS))

    def error(size: float) -> Scores:
        return size * np.repeat(random.standard_normal((USERS, ITEMS)), EACH, axis=0)

    popular = np.linspace(0.5, 0, ITEMS)
    taste = popular + error(1) + noise(0.3)
    target = np.argmax(taste + 0.4 * random.gumbel(size=taste.shape), axis=1)
    base_error = error(0.5)
    base = taste + base_error + noise(0.2)
    tuned = taste + 0.5 * base_error + error(0.15) + noise(0.2)
    scores: dict[Name, Scores] = {("clean", "base"): base, ("clean", "tuned"): tuned}
    moves = {"identity": (0.0, 0.0), "rounding": (0.05, 0.04), "seed": (0.6, 0.4)}
    for variant in (*PROBES, *CONTROLS):
        before, after = moves.get(variant, (0.25, 0.1))
        scores[variant, "base"], scores[variant, "tuned"] = base + noise(before), tuned + noise(after)
    scores["popularity", "tuned"] = np.tile(popular, (USERS * EACH, 1))
    scores["repeat_last", "tuned"] = noise(1)
    if champion:
        scores["champion", "tuned"] = base + error(0.7)
    return Run(scores, target, after_cut=np.ones(USERS * EACH, dtype=bool) if champion else None)
