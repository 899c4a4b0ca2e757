"""Networks are the formulas of their papers, written out position by position."""

from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from finest.models.esasrec import LiGRBlock
from finest.models.hstu import Unit
from finest.models.registry import MODELS, build

T, D = 5, 8


@pytest.fixture(params=[1, 2])
def heads(request: pytest.FixtureRequest) -> int:
    return int(request.param)


def layer_of(name: str, heads: int, layers: str) -> Any:
    config = MODELS[name].Config.model_validate({"hidden_size": D, "max_length": 7, "num_heads": heads})
    model = build(config, 20)
    model.initialise(0, 0.4)
    return getattr(model, layers)[1].double()


def window() -> Tensor:
    return torch.randn(T, D, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


def test_hstu_sums_values_by_silu_of_products_and_distance_and_gates_them(heads: int) -> None:
    unit: Unit = layer_of("hstu", heads, "units")
    x_TD = window()
    normal_TD = F.layer_norm(x_TD, (D,), unit.gain, unit.shift)
    u, v, q, k = F.silu(normal_TD @ unit.projection.T + unit.projection_bias).chunk(4, -1)
    expected = []
    for t in range(T):
        mixed = torch.zeros(D, dtype=torch.float64)
        for head in torch.arange(D).chunk(heads):
            for s in range(t + 1):
                mixed[head] += F.silu(q[t, head] @ k[s, head] + unit.distance[t - s]) * v[s, head] / 7
        expected.append(x_TD[t] + unit.output @ (u[t] * F.layer_norm(mixed, (D,))) + unit.output_bias)
    torch.testing.assert_close(unit(x_TD[None], None, 0)[0], torch.stack(expected))


def test_a_ligr_block_adds_attention_and_swiglu_through_gates(heads: int) -> None:
    block: LiGRBlock = layer_of("esasrec", heads, "blocks")
    x_TD = window()
    normal_TD = F.layer_norm(x_TD, (D,), block.attention_gain, block.attention_shift)
    q, k, v = (normal_TD @ block.projection.T + block.projection_bias).chunk(3, -1)
    rows = []
    for t in range(T):
        mixed = torch.zeros(D, dtype=torch.float64)
        for head in torch.arange(D).chunk(heads):
            weights = (k[: t + 1, head] @ q[t, head] / len(head) ** 0.5).softmax(0)
            mixed[head] = weights @ v[: t + 1, head]
        x = x_TD[t]
        x = x + (block.attention_gate @ x + block.attention_gate_bias).sigmoid() * (
            block.output @ mixed + block.output_bias
        )
        left, right = (block.inner @ F.layer_norm(x, (D,), block.feed_gain, block.feed_shift)).chunk(2)
        gate = (block.feed_gate @ x + block.feed_gate_bias).sigmoid()
        rows.append(x + gate * (block.outer @ (F.silu(left) * right)))
    torch.testing.assert_close(block(x_TD[None], heads, None, 0)[0], torch.stack(rows))
