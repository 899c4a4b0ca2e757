"""Variants that train in one trainee: one alone, or a stack of them."""

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import torch

from finest.models.recommender import Recommender
from finest.perturb.edits import Edits
from finest.perturb.plan import Variant
from finest.training.checkpoint import Checkpoint
from finest.training.loop import Records, Settings, Trainee, train
from finest.training.objective import Penalty
from finest.training.parallel import train_shared
from finest.training.replicas.stack import Stack
from finest.training.single import Share, Single
from finest.training.windows import Slots, Windows
from finest.training.workers import Event


@dataclass(frozen=True)
class TrainUnit:
    """`edits` by variant. A stack may be filled up with variants that another stack holds: the first `kept` are this unit's own."""

    variants: tuple[Variant, ...]
    edits: tuple[Edits | None, ...]
    kept: int
    stacked: bool

    def own(self) -> tuple[Variant, ...]:
        """The variants whose results are this unit's."""
        return self.variants[: self.kept]


def units_of(
    variants: Sequence[Variant], by_scenario: dict[str, Edits], units: Sequence[Sequence[Variant]], stacked: bool
) -> list[TrainUnit]:
    """The units of an arrangement; every variant is some unit's own, in order."""
    result, left = [], len(variants)
    for members in units:
        edits = tuple(by_scenario[variant.scenario] if variant.scenario else None for variant in members)
        result.append(TrainUnit(tuple(members), edits, min(len(members), left), stacked))
        left -= len(members)
    return result


def fit(
    unit: TrainUnit,
    models: Sequence[Recommender],
    slots: Slots,
    windows: Sequence[Callable[[int], Windows]],
    settings: Settings,
    penalty: Penalty | None,
    saved: Checkpoint,
    on_event: Callable[[Event], None],
) -> Records:
    """Trains the variants' models in place; returns the histories of the unit's own. `settings.seed` is each variant's."""
    names = [variant.name if place < unit.kept else "" for place, variant in enumerate(unit.variants)]

    def report(variant: str, record: dict[str, Any]) -> None:
        if variant:
            on_event((variant, record))

    for model in models:
        model.train()
    trainee: Trainee
    if settings.parallel > 1:
        return _fit_shared(unit, models[0], slots, windows[0], settings, penalty, saved, report)
    if unit.stacked:
        trainee = Stack(names, models, slots, windows, [variant.seed for variant in unit.variants], settings, penalty)
    else:
        settings = replace(settings, seed=unit.variants[0].seed)
        trainee = Single(names[0], models[0], slots, windows[0], settings, penalty)
    histories = train(trainee, settings, saved, report)
    trainee.finish()
    for model in models:
        model.eval()
    return histories[: unit.kept]


def _fit_shared(
    unit: TrainUnit,
    model: Recommender,
    slots: Slots,
    windows: Callable[[int], Windows],
    settings: Settings,
    penalty: Penalty | None,
    saved: Checkpoint,
    report: Callable[[str, dict[str, Any]], None],
) -> Records:
    """The same for a variant alone, by several processes."""
    device, settings = model.embedding.device, replace(settings, seed=unit.variants[0].seed)
    single = partial(
        _shared_single,
        unit.variants[0].name,
        model.cpu(),
        slots,
        windows,
        settings,
        penalty.to("cpu") if penalty else None,
    )
    weights, histories = train_shared(single, settings, saved, device, report)
    model.load_state_dict(weights)
    model.to(device).eval()
    return histories


def _shared_single(
    name: str,
    model: Recommender,
    slots: Slots,
    windows: Callable[[int], Windows],
    settings: Settings,
    penalty: Penalty | None,
    share: Share,
    device: torch.device,
) -> Single:
    own = copy.deepcopy(model).to(
        device
    )  # what comes here from another process is shared with it, and with the other shares
    return Single(name, own, slots, windows, settings, penalty.to(device) if penalty else None, share)
