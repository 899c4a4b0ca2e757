"""Trains the variants of a unit: one alone, or a stack of them."""

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import torch

from finest.models.recommender import Recommender
from finest.perturb.edits import ScenarioEdits
from finest.perturb.plan import Variant
from finest.training.checkpoint import Checkpoint
from finest.training.loop import Records, Settings, Trainer, Watch, train
from finest.training.objective import Penalty
from finest.training.parallel import train_shared
from finest.training.replicas.stack import Stack
from finest.training.single import Share, Single
from finest.training.windows import WindowPlan, Windows
from finest.training.workers import Event


@dataclass(frozen=True)
class TrainUnit:
    """Names the variants that train together.

    A stack may be filled up with variants that another stack trains too; their results count there.
    """

    variants: tuple[Variant, ...]
    edits: tuple[ScenarioEdits | None, ...]
    """Edits of each variant; None for one without."""
    num_own: int
    """Number of variants, the first ones, whose results are this unit's."""
    stacked: bool

    def own(self) -> tuple[Variant, ...]:
        """Returns the variants whose results are this unit's."""
        return self.variants[: self.num_own]


def units_of(
    variants: Sequence[Variant],
    by_scenario: dict[str, ScenarioEdits],
    units: Sequence[Sequence[Variant]],
    stacked: bool,
) -> list[TrainUnit]:
    """Returns the units of an arrangement; every variant is some unit's own, in order."""
    result, left = [], len(variants)
    for members in units:
        edits = tuple(by_scenario[variant.scenario] if variant.scenario else None for variant in members)
        result.append(TrainUnit(tuple(members), edits, min(len(members), left), stacked))
        left -= len(members)
    return result


def fit(
    unit: TrainUnit,
    models: Sequence[Recommender],
    window_plan: WindowPlan,
    windows: Sequence[Callable[[int], Windows]],
    settings: Settings,
    penalty: Penalty | None,
    saved: Checkpoint,
    on_event: Callable[[Event], None],
    watch: Watch | None = None,
) -> Records:
    """Trains the variants' models in place and returns the histories of the unit's own.

    Args:
        unit: The variants.
        models: Model of each variant.
        window_plan: Slots of the clean windows.
        windows: Gives each variant's windows of an epoch.
        settings: How they are trained; the seed is each variant's own, whatever is given.
        penalty: What is added to the loss.
        saved: Checkpoint of the training.
        on_event: Told of every finished epoch.
        watch: What may end the training of one variant on one device before it has taken all steps.
    """
    names = [variant.name if place < unit.num_own else "" for place, variant in enumerate(unit.variants)]

    def report(variant: str, record: dict[str, Any]) -> None:
        if variant:
            on_event((variant, record))

    for model in models:
        model.train()
    if settings.parallel > 1:
        histories = _fit_shared(unit, models[0], window_plan, windows[0], settings, penalty, saved, report)
    else:
        trainer: Trainer
        if unit.stacked:
            seeds = [variant.seed for variant in unit.variants]
            trainer = Stack(names, models, window_plan, windows, seeds, settings, penalty)
        else:
            settings = replace(settings, seed=unit.variants[0].seed)
            trainer = Single(names[0], models[0], window_plan, windows[0], settings, penalty)
        histories = train(trainer, settings, saved, report, watch)
        trainer.finish()
    for model in models:
        model.eval()
    return histories[: unit.num_own]


def _fit_shared(
    unit: TrainUnit,
    model: Recommender,
    window_plan: WindowPlan,
    windows: Callable[[int], Windows],
    settings: Settings,
    penalty: Penalty | None,
    saved: Checkpoint,
    report: Callable[[str, dict[str, Any]], None],
) -> Records:
    """Trains one variant by several processes, and puts the weights into its model."""
    device, settings = model.embedding.device, replace(settings, seed=unit.variants[0].seed)
    single = partial(
        _shared_single,
        unit.variants[0].name,
        model.cpu(),
        window_plan,
        windows,
        settings,
        penalty.to("cpu") if penalty else None,
    )
    weights, histories = train_shared(single, settings, saved, device, report)
    model.load_state_dict(weights)
    model.to(device)
    return histories


def _shared_single(
    name: str,
    model: Recommender,
    window_plan: WindowPlan,
    windows: Callable[[int], Windows],
    settings: Settings,
    penalty: Penalty | None,
    share: Share,
    device: torch.device,
) -> Single:
    # What comes here from another process is shared with it, and with the other shares.
    own = copy.deepcopy(model).to(device)
    return Single(name, own, window_plan, windows, settings, penalty.to(device) if penalty else None, share)
