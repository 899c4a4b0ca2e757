"""What only a GPU can show: run with `pytest tests/gpu` where there is one."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Literal

import numpy as np
import pytest
import torch
from scipy import sparse

from finest.histories import Histories
from finest.memory.features import NETWORK, POPULARITY, Memory
from finest.memory.registry import FEATURES
from finest.memory.tables import Counts
from finest.models.config import SASRecConfig
from finest.models.ranking import scored, top
from finest.models.registry import build
from finest.training.device import prepare
from finest.training.losses.registry import LOSSES
from storage import checkpoint_store
from tests.integration.training.test_steps import FINETUNE, PRETRAIN, lists, train
from tests.unit.training import test_chunked as chunks
from tests.unit.training import test_replicas as stacks

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device"),
    pytest.mark.filterwarnings("ignore:.*bf16.*"),
]
NAMES = ["clean", "deletion", "insertion", "seed", "many"]


@pytest.mark.parametrize("amp", [False, True])
@pytest.mark.parametrize("loss", list(LOSSES))
def test_a_replica_is_the_same_bit_for_bit_wherever_it_stands_and_whoever_stands_beside_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, amp: bool, loss: str
) -> None:
    of_loss = LOSSES[loss](LOSSES[loss].Config.model_validate({}))
    monkeypatch.setattr(stacks, "SETTINGS", replace(stacks.SETTINGS, amp=amp, loss=of_loss))
    models, _ = stacks.together(checkpoint_store(str(tmp_path / "a")), NAMES, device="cuda")
    for number, names in enumerate((NAMES[::-1], ["clean", "clean", "clean", "insertion", "clean"])):
        again, _ = stacks.together(checkpoint_store(str(tmp_path / str(number))), names, device="cuda")
        assert all(stacks.same(again[name], models[name]) for name in set(names))


def test_a_stack_on_the_gpu_trains_what_one_on_the_cpu_does(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # devices draw other masks
    monkeypatch.setattr(stacks, "SETTINGS", replace(stacks.SETTINGS, amp=False, dropout=0.0))
    cpu, _ = stacks.together(checkpoint_store(str(tmp_path / "cpu")), NAMES)
    gpu, _ = stacks.together(checkpoint_store(str(tmp_path / "gpu")), NAMES, device="cuda")
    for name in NAMES:
        for part, weight in cpu[name].named_parameters():
            torch.testing.assert_close(gpu[name].get_parameter(part).cpu(), weight, rtol=0, atol=2e-3)


@pytest.mark.parametrize("mode", ["auto", "stacked"])
def test_the_steps_of_a_group_have_an_exact_identity_control(tmp_path: Path, mode: Literal["auto", "stacked"]) -> None:
    _, folder, _ = train(tmp_path, FINETUNE, pretrain_config=PRETRAIN.model_copy(update={"device": "cuda"}), mode=mode)
    facts = json.loads((folder / "group.json").read_text())
    assert facts["device"] == "cuda" and facts["hardware"] == torch.cuda.get_device_name()
    assert mode == "auto" or facts["replicas"]["size"] == 6
    for stage in ("base", "tuned"):
        assert np.array_equal(lists(folder, stage, "clean").scores, lists(folder, stage, "identity").scores)


def test_the_loss_in_chunks_is_the_whole_ones() -> None:
    prepare(torch.device("cuda"))
    weights, target, ids, penalty = chunks.batch(300, 2000, 1, torch.float32)
    there, of = [weight.cuda() for weight in weights], (target.cuda(), ids.cuda(), penalty.to("cuda"))
    found = []
    for way in (chunks.in_chunks(*of, None), chunks.whole(*of)):
        hidden, embedding, bias = (weight.clone().requires_grad_() for weight in there)
        terms = way(hidden, embedding, bias)
        terms[0].backward()
        found.append([terms.detach(), hidden.grad, embedding.grad, bias.grad])
    for one, other in zip(*found, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-5)


def test_lists_with_counts_are_the_same_twice_and_those_of_the_cpu() -> None:
    random, items = np.random.default_rng(0), 20_000
    start, value = np.r_[0, np.arange(items + 1) * 24], random.random(24 * items, np.float32)
    table = sparse.csr_array((value, random.integers(1, items + 1, 24 * items), start), shape=(items + 1, items + 1))
    counts = Counts(np.r_[0, np.full(items, 1 / items)], table, table)
    memory = Memory(counts, {NETWORK: 0.8, POPULARITY: 0.2, **dict.fromkeys(FEATURES, 0.5)})
    histories = [random.integers(1, items + 1, random.integers(1, 90)).tolist() for _ in range(200)]
    model = build(SASRecConfig(), items)
    model.initialise(0)

    def lists(device: str) -> list[np.ndarray]:
        prepare(torch.device(device))
        chunks = scored(model.to(device), lambda part: Histories.of(histories[part]), len(histories), True, memory)
        return [np.concatenate(parts) for parts in zip(*(top(scores, 100) for _, scores in chunks), strict=True)]

    (item, score), again, (on_cpu, close) = lists("cuda"), lists("cuda"), lists("cpu")
    assert np.array_equal(item, again[0]) and np.array_equal(score, again[1])
    assert (item == on_cpu).mean() > 0.999 and np.allclose(score, close, atol=1e-4)
