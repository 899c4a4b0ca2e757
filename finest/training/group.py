"""Variants that train in one trainee: one alone, or a stack of them."""

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import torch

from finest.models.recommender import Recommender
from finest.perturb.edits import Edits
from finest.perturb.variants import Variant
from finest.training.checkpoint import Checkpoint
from finest.training.loop import Records, Settings, Trainee, train
from finest.training.objective import Hinge
from finest.training.parallel import train_shared
from finest.training.replicas.stack import Stack
from finest.training.single import Share, Single
from finest.training.windows import Slots, Windows
from finest.training.workers import Event


@dataclass(frozen=True)
class Group:
    """`edits` by variant. A stack may be filled up with variants that another stack holds: the first `kept` are this group's own."""

    variants: tuple[Variant, ...]
    edits: tuple[Edits | None, ...]
    kept: int
    stacked: bool

    def own(self) -> tuple[Variant, ...]:
        """The variants whose results are this group's."""
        return self.variants[: self.kept]


def grouped(
    variants: Sequence[Variant], by_scenario: dict[str, Edits], groups: Sequence[Sequence[Variant]], stacked: bool
) -> list[Group]:
    """The groups of an arrangement; every variant is some group's own, in order."""
    result, left = [], len(variants)
    for members in groups:
        edits = tuple(by_scenario[variant.scenario] if variant.scenario else None for variant in members)
        result.append(Group(tuple(members), edits, min(len(members), left), stacked))
        left -= len(members)
    return result


def fit(
    group: Group,
    models: Sequence[Recommender],
    slots: Slots,
    windows: Sequence[Callable[[int], Windows]],
    settings: Settings,
    hinge: Hinge | None,
    saved: Checkpoint,
    on_event: Callable[[Event], None],
) -> Records:
    """Trains the variants' models in place; returns the histories of the group's own. `settings.seed` is each variant's."""
    names = [variant.name if place < group.kept else "" for place, variant in enumerate(group.variants)]

    def report(variant: str, record: dict[str, Any]) -> None:
        if variant:
            on_event((variant, record))

    trainee: Trainee
    if settings.parallel > 1:
        return _fit_shared(group, models[0], slots, windows[0], settings, hinge, saved, report)
    if group.stacked:
        trainee = Stack(names, models, slots, windows, [variant.seed for variant in group.variants], settings, hinge)
    else:
        settings = replace(settings, seed=group.variants[0].seed)
        trainee = Single(names[0], models[0], slots, windows[0], settings, hinge)
    histories = train(trainee, settings, saved, report)
    trainee.finish()
    return histories[: group.kept]


def _fit_shared(
    group: Group,
    model: Recommender,
    slots: Slots,
    windows: Callable[[int], Windows],
    settings: Settings,
    hinge: Hinge | None,
    saved: Checkpoint,
    report: Callable[[str, dict[str, Any]], None],
) -> Records:
    """The same for a variant alone, by several processes."""
    device, settings = model.embedding.device, replace(settings, seed=group.variants[0].seed)
    single = partial(
        _shared_single,
        group.variants[0].name,
        model.cpu(),
        slots,
        windows,
        settings,
        hinge.to("cpu") if hinge else None,
    )
    weights, histories = train_shared(single, settings, saved, device, report)
    model.load_state_dict(weights)
    model.to(device)
    return histories


def _shared_single(
    name: str,
    model: Recommender,
    slots: Slots,
    windows: Callable[[int], Windows],
    settings: Settings,
    hinge: Hinge | None,
    share: Share,
    device: torch.device,
) -> Single:
    own = copy.deepcopy(model).to(
        device
    )  # what comes here from another process is shared with it, and with the other shares
    return Single(name, own, slots, windows, settings, hinge.to(device) if hinge else None, share)
