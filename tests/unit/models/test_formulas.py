"""Networks are the formulas of their papers, written out position by position."""

from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from finest.histories import UNKNOWN
from finest.models.esasrec import LiGRBlock
from finest.models.hstu import Unit
from finest.models.lrurec import Unit as LinearUnit
from finest.models.registry import MODELS, build

T, D = 5, 8


@pytest.fixture(params=[1, 2])
def heads(request: pytest.FixtureRequest) -> int:
    return int(request.param)


def model_of(name: str, **settings: int) -> Any:
    model = build(MODELS[name].Config.model_validate({"hidden_size": D, "max_length": 7, **settings}), 20)
    model.initialise(0, 0.4)
    return model.double()


def layer_of(name: str, heads: int, layers: str) -> Any:
    return getattr(model_of(name, num_heads=heads), layers)[1]


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


def test_lrurec_steps_through_complex_states(heads: int) -> None:
    unit: LinearUnit = model_of("lrurec").units[1]
    x_TD = window()
    factor = torch.exp(torch.complex(-(unit.radius + unit.radius_moved).exp(), (unit.angle + unit.angle_moved).exp()))
    driven = (F.layer_norm(x_TD, (D,), unit.gain, unit.shift) @ unit.input.T).float()  # as under autocast
    state, expected = torch.zeros(D, dtype=torch.complex128), []
    for t in range(T):
        state = factor * state + (1 - factor.abs() ** 2).sqrt() * torch.complex(driven[t, :D], driven[t, D:])
        expected.append(unit.output @ torch.cat([state.real, state.imag]) + unit.output_bias)
    torch.testing.assert_close(unit.recur(x_TD[None])[0], torch.stack(expected), atol=1e-6, rtol=1e-6)


def test_tisasrec_attends_by_positions_and_by_intervals_in_units_of_the_smallest_gap_so_far(heads: int) -> None:
    model = model_of("tisasrec", num_heads=heads, time_span=20)
    times = [1000, 1000, 1006, 1009, 1500]  # the smallest gap is none, none, 6, 3 and 3
    intervals = [[0], [0, 0], [1, 1, 0], [3, 3, 1, 0], [20, 20, 20, 20, 0]]
    found = model.intervals(torch.tensor([times]))[0].tolist()
    assert [row[: t + 1] for t, row in enumerate(found)] == intervals
    q, k, v = (torch.randn(T, D, generator=torch.Generator().manual_seed(s), dtype=torch.float64) for s in range(3))
    expected = torch.zeros(T, D, dtype=torch.float64)
    for t in range(T):
        for head in torch.arange(D).chunk(heads):
            keys, values = (
                torch.stack([x[s] + place[s] + interval[intervals[t][s]] for s in range(t + 1)])[:, head]
                for x, place, interval in (
                    (k, model.position, model.interval_key),
                    (v, model.position_value, model.interval_value),
                )
            )
            weights = (keys @ q[t, head] / len(head) ** 0.5).softmax(0)
            expected[t, head] = weights @ values
    q, k, v = (x.view(1, T, heads, -1).transpose(1, 2) for x in (q, k, v))
    mixed = model._mix(model.intervals(torch.tensor([times])), q, k, v)
    torch.testing.assert_close(mixed.transpose(1, 2).reshape(T, D), expected)


def test_tisasrec_takes_gaps_of_unknown_times_to_be_equal() -> None:
    model = model_of("tisasrec")
    unknown, equal = torch.full((1, T), UNKNOWN), torch.arange(T)[None] * 3600 + 5
    assert model.intervals(unknown).tril().tolist() == model.intervals(equal).tril().tolist()
    assert model_of("tisasrec", times=0).intervals(torch.tensor([[1, 1, 7, 9, 9]])).tolist() == (
        model.intervals(unknown).tolist()
    )


def test_latent_cross_scales_states_by_hour_weekday_and_gap() -> None:
    model = model_of("latent_cross")
    monday = 4 * 86_400  # 1970-01-05
    times = torch.tensor([[monday, monday + 2 * 3600 + 59, monday + 2 * 3600 + 59, monday + 86_400 + 60]])
    found = model.contexts(times)[0]
    hour, day, gap = model.context.split([24, 7, 34])
    size = [None, 13, 0, 17]  # 7,259 s from 2^12, none, and 79,201 s from 2^16
    for place, (hours, days, gaps) in enumerate(zip([0, 2, 2, 0], [4, 4, 4, 5], size, strict=True)):
        expected = hour[hours] + day[days] + (0 if gaps is None else gap[gaps])
        torch.testing.assert_close(found[place], expected)


def test_latent_cross_without_times_is_gru4rec() -> None:
    crossed, plain = (model_of(name).float() for name in ("latent_cross", "gru4rec"))
    codes = torch.tensor([[3, 1, 4, 1, 5]])
    unknown, known = (torch.stack([codes, torch.full_like(codes, time)], -1) for time in (UNKNOWN, 7))
    expected = plain.encode(codes, None)
    assert torch.equal(crossed.encode(unknown, None), expected)
    assert not torch.equal(crossed.encode(known, None), expected)
    assert torch.equal(model_of("latent_cross", times=0).float().encode(known, None), expected)
