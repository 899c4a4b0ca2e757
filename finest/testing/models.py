"""Checks of recommenders, for the tests of who writes one."""

import copy
import tempfile
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from finest.histories import SECOND, UNKNOWN, Histories
from finest.models.config import ModelConfig
from finest.models.folder import WEIGHTS
from finest.models.ranking import CHUNK, scored
from finest.models.recommender import Recommender, Task
from finest.models.registry import MODELS
from finest.models.saved import Facts, load, save
from finest.training.replicas.stack import stack, unstack

ITEMS, WINDOWS = 40, 6
"""Items of the made-up catalogue, and windows of a batch."""
DAY = 86_400
"""Seconds of a day."""
SCALE = 0.3
"""Scale of the weights: large enough that what must not reach a score would be seen there."""
TOLERANCE = 1e-4
"""Largest difference between a stack and each alone: a product of another shape rounds otherwise."""


def check_model(model: type[Recommender] | str, config: ModelConfig | None = None) -> None:
    """Checks that a recommender does what every recommender must.

    Equal seeds give equal weights and others others, whatever happened before; a hidden state depends on its window up
    to its position alone (where the model is causal: as its training sees it, too), a history's scores on this history
    alone, and padding reaches nothing; a timed model's scores depend on times, and are finite without them; every
    weight gets a gradient; the whole state is saved and loaded; a stack computes what each of its replicas computes
    alone; the config survives the way through a pipeline.

    >>> check_model("sasrec")

    Args:
        model: The class, or its name where it is registered.
        config: Its config; a small one where left out.

    Raises:
        AssertionError: It does not; the text says what.
    """
    of_class = MODELS[model] if isinstance(model, str) else model
    config = config or of_class.Config.model_validate({"hidden_size": 16, "num_layers": 2, "max_length": 8})
    name = of_class.__name__
    _check_config(name, config)
    _check_start(name, of_class, config)
    _check_what_it_reads(name, _made(of_class, config))
    if of_class.timed:
        _check_times(name, _made(of_class, config))
    _check_masks(name, _made(of_class, config))
    _check_gradients(name, _made(of_class, config))
    if config.name in MODELS and MODELS[config.name] is of_class:
        _check_saved(name, _made(of_class, config), config)
    if of_class.stackable:
        _check_stack(name, [_made(of_class, config, seed) for seed in range(3)])


def _check_config(name: str, config: ModelConfig) -> None:
    dumped = {
        key: float(value) if type(value) is int else value for key, value in config.model_dump(mode="json").items()
    }
    assert type(config).model_validate(dumped) == config, (
        f"{name}: {config!r} does not survive the way through a pipeline"
    )


def _check_start(name: str, of_class: type[Recommender], config: ModelConfig) -> None:
    first = _made(of_class, config)
    torch.rand(3)  # what was drawn before must not matter
    again, other = _made(of_class, config), _made(of_class, config, seed=1)
    moved = False
    for weight, value in first.state_dict().items():
        assert torch.isfinite(value).all(), f"{name}: {weight} does not start as finite numbers"
        assert torch.equal(value, again.state_dict()[weight]), f"{name}: {weight} depends on more than the seed"
        moved |= not torch.equal(value, other.state_dict()[weight])
    assert moved, f"{name}: another seed gives the same weights"


@torch.no_grad()
def _check_what_it_reads(name: str, model: Recommender) -> None:
    model.eval()
    windows_BT = _windows(model, WINDOWS)
    T = model.max_length
    place_T = torch.arange(T).view(-1, *[1] * model.timed)
    states_BTD = model.states(windows_BT)
    assert states_BTD.shape == (WINDOWS, T, model.embedding.shape[1]), f"{name}: hidden states must be [B, T, D]"
    for length in range(1, T):
        changed_BT = windows_BT.clone()
        changed_BT[:, length:] = 0
        padded_BTD = model.states(changed_BT)
        changed_BT[:, length:] = windows_BT[:, length:] % ITEMS + 1  # and their times become others
        what = f"of position {length} depends on what comes after it"
        assert torch.equal(states_BTD[:, :length], padded_BTD[:, :length]), f"{name}: the state {what}"
        assert torch.equal(states_BTD[:, :length], model.states(changed_BT)[:, :length]), f"{name}: the state {what}"
        changed_BT = windows_BT.clone()
        code_B = model.codes(changed_BT)[:, length - 1]
        code_B.copy_(code_B % ITEMS + 1)
        assert not torch.equal(states_BTD[:, length - 1], model.states(changed_BT)[:, length - 1]), (
            f"{name}: the state of position {length} does not depend on its item"
        )
        changed_BT = windows_BT * (place_T < length)
        close = torch.allclose(model.summary(changed_BT), states_BTD[:, length - 1], atol=TOLERANCE)
        assert close, f"{name}: summary and states differ for a history of {length}"
    many = _codes(2 * CHUNK + 3, T).tolist()
    times = (SECOND * _times(2 * CHUNK + 3, T)).tolist()

    def histories(part: slice) -> Histories:
        return Histories.of(many[part], times[part])

    whole = torch.cat([scores for _, scores in scored(model, histories, len(many), exclude_seen=False)])
    for row in (0, CHUNK + 1, len(many) - 1):
        ((_, alone),) = scored(model, lambda _: histories(slice(row, row + 1)), 1, exclude_seen=False)  # noqa: B023
        assert torch.equal(alone[0], whole[row]), f"{name}: a history's scores depend on others that are scored with it"


@torch.no_grad()
def _check_times(name: str, model: Recommender) -> None:
    model.eval()
    windows_BT = _windows(model, WINDOWS)
    summary_BD = model.summary(windows_BT)
    windows_BT[:, 1:, 1] += 40 * DAY * torch.arange(1, model.max_length)
    assert not torch.equal(model.summary(windows_BT), summary_BD), f"{name}: scores do not depend on times"
    windows_BT[:, 2:] = 0
    some_BD = model.summary(windows_BT)
    windows_BT[:, 2:, 1] = 7 * DAY
    assert torch.equal(model.summary(windows_BT), some_BD), f"{name}: scores depend on times of padding"
    windows_BT[:, :2, 1] = UNKNOWN
    assert torch.isfinite(model.summary(windows_BT)).all(), f"{name}: a history of unknown times has no finite scores"


@torch.no_grad()
def _check_masks(name: str, model: Recommender) -> None:
    inputs_BT = _windows(model, WINDOWS)
    plain_BTD = model.encode(inputs_BT, None)
    ones = torch.ones(model.sites, *plain_BTD.shape)
    assert torch.equal(model.encode(inputs_BT, ones), plain_BTD), f"{name}: dropout masks of 1 change hidden states"
    for site in range(model.sites):
        masks = ones.clone()
        masks[site] = 0
        assert not torch.equal(model.encode(inputs_BT, masks), plain_BTD), f"{name}: dropout site {site} has no effect"


def _check_gradients(name: str, model: Recommender) -> None:
    model.train()
    first_BT = _windows(model, WINDOWS)
    with torch.no_grad():
        _close(
            model.encode(first_BT[:2], None),
            model.encode(first_BT, None)[:2],
            f"{name}: in training, a window's states depend on others of the batch",
        )
    window_BT = _codes(WINDOWS, model.max_length + 1)
    ids_BT = torch.arange(WINDOWS * model.max_length).view(WINDOWS, -1)
    generator = torch.Generator().manual_seed(0)
    task = Task(_timed(window_BT, model)[:, :-1], window_BT[:, 1:], ids_BT)
    task = model.task(task, lambda: torch.rand(ids_BT.shape, generator=generator))
    shapes = model.codes(task.inputs).shape, task.targets.shape, task.ids.shape
    assert shapes == (ids_BT.shape,) * 3, f"{name}: a task must be [B, T]"
    place_N = torch.nonzero(task.targets.reshape(-1))[:, 0]
    assert len(place_N), f"{name}: the task of {WINDOWS} full windows has no target"
    hidden_ND = model.encode(task.inputs, None).flatten(0, 1)[place_N]
    torch.nn.functional.cross_entropy(model.scores(hidden_ND), task.targets.reshape(-1)[place_N] - 1).backward()
    without = [one for one, weight in model.trained().items() if weight.grad is None]
    assert not without, f"{name}: {without} get no gradient; set requires_grad to False for what is not trained"
    # Rows of an embedding that no window reads get one by the scores.
    zero = [one for one, weight in model.trained().items() if weight.grad is not None and not weight.grad.any()]
    assert not zero, f"{name}: the gradient of {zero} is 0: the loss does not depend on it"
    assert all(torch.isfinite(weight.grad).all() for weight in model.trained().values() if weight.grad is not None)


@torch.no_grad()
def _check_saved(name: str, model: Recommender, config: ModelConfig) -> None:
    for value in model.state_dict().values():
        value.add_(1)  # buffers too must come back as they are, not as they start
    facts = Facts(model=config, seed=0, data_fingerprint="", depth=10, exclude_seen=False, stage="base")
    with tempfile.TemporaryDirectory() as folder:
        save(Path(folder), model, facts, ["", *(f"i{code}" for code in range(1, ITEMS + 1))])
        assert (Path(folder) / WEIGHTS).exists()
        loaded = load(Path(folder))
    assert loaded.config == config, f"{name}: the config changes when it is saved and loaded"
    for weight, value in model.state_dict().items():
        assert torch.equal(loaded.model.state_dict()[weight], value), f"{name}: {weight} is not saved and loaded"


@torch.no_grad()
def _check_stack(name: str, models: list[Recommender]) -> None:
    stacked = stack(models)
    inputs_RBT = torch.stack([_codes(WINDOWS, models[0].max_length, seed) for seed in range(len(models))])
    hidden_RBTD = stacked.encode(inputs_RBT, None)
    scores_RNI = stacked.scores(hidden_RBTD.flatten(1, 2))
    for model, inputs_BT, hidden_BTD, scores_NI in zip(models, inputs_RBT, hidden_RBTD, scores_RNI, strict=True):
        alone_BTD = model.encode(inputs_BT, None)
        _close(hidden_BTD, alone_BTD, f"{name}: a stack's hidden states are not those of its models alone")
        _close(
            scores_NI, model.scores(alone_BTD.flatten(0, 1)), f"{name}: a stack's scores are not those of each alone"
        )
    changed = stack([models[0], *(copy.deepcopy(models[0]) for _ in models[1:])])
    swapped_RBT = torch.stack([inputs_RBT[0], *([inputs_RBT[0]] * (len(models) - 1))])
    assert torch.equal(stacked.encode(inputs_RBT, None)[0], changed.encode(swapped_RBT, None)[0]), (
        f"{name}: a replica depends on who stands beside it in the stack"
    )
    back = [copy.deepcopy(models[-1]) for _ in models]
    unstack(stacked, back)
    for model, one in zip(models, back, strict=True):
        for weight, value in model.state_dict().items():
            assert torch.equal(one.state_dict()[weight], value), f"{name}: {weight} does not come back from a stack"


def _close(found: Tensor, expected: Tensor, text: str) -> None:
    assert found.shape == expected.shape and torch.allclose(found, expected, atol=TOLERANCE, rtol=TOLERANCE), text


def _made(of_class: type[Recommender], config: Any, seed: int = 0) -> Recommender:
    model = of_class(config, ITEMS)
    model.initialise(seed, SCALE)
    return model


def _windows(model: Recommender, windows: int) -> Tensor:
    """Returns full windows as the model reads them, with times where it does."""
    return _timed(_codes(windows, model.max_length), model)


def _timed(codes_BT: Tensor, model: Recommender) -> Tensor:
    return torch.stack([codes_BT, _times(*codes_BT.shape)], -1) if model.timed else codes_BT


def _times(windows: int, length: int) -> Tensor:
    """Returns times in seconds, in order, from below a second to a day apart, ties among them."""
    gap = torch.randint(0, 17, (windows, length), generator=torch.Generator().manual_seed(2))
    return 1_700_000_000 + (2**gap // 2).cumsum(1)


def _codes(windows: int, length: int, seed: int = 0) -> Tensor:
    return torch.randint(1, ITEMS + 1, (windows, length), generator=torch.Generator().manual_seed(seed))
