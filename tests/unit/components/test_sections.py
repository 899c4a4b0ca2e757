import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from components.sections import keys, parameters, parse
from finest.data.config import Ingest
from finest.errors import ConfigError
from finest.gate.config import Gate
from finest.perturb.config import Perturb
from finest.training.config import Pretrain


def as_kfp_hands_it_on(value: object) -> object:
    """Parameters travel as JSON, whole numbers as floats; None is refused."""
    if isinstance(value, dict):
        return {key: as_kfp_hands_it_on(item) for key, item in value.items()}
    if isinstance(value, list):
        return [as_kfp_hands_it_on(item) for item in value]
    assert value is not None
    return float(value) if isinstance(value, int) and not isinstance(value, bool) else json.loads(json.dumps(value))


shares = st.none() | st.floats(0, 1)


@settings(max_examples=50, deadline=None)
@given(
    st.builds(
        Gate, min_rls_above_floor=shares, min_worst_rls_above_floor=shares, bootstrap_draws=st.integers(100, 9999)
    )
)
def test_a_gate_survives_the_way_through_kfp(gate: Gate) -> None:
    assert parse(Gate, as_kfp_hands_it_on(parameters(gate)), "gate") == gate  # type: ignore[arg-type]


@pytest.mark.parametrize("section", [Ingest(), Perturb(), Pretrain(processes=3), Pretrain()])
def test_a_section_survives_the_way_through_kfp(section: Ingest | Perturb | Pretrain) -> None:
    assert parse(type(section), as_kfp_hands_it_on(parameters(section))) == section  # type: ignore[arg-type]


def test_a_default_that_was_switched_off_is_not_brought_back() -> None:
    sent = parameters(Gate(min_rls_above_floor=None))
    assert sent["min_rls_above_floor"] == "" and "min_rls_rbo" not in sent
    assert parse(Gate, sent).min_rls_above_floor is None


def test_an_empty_text_that_is_no_null_stays_an_error() -> None:
    with pytest.raises(ConfigError, match=r"ingest\.columns\.user"):
        parse(Ingest, {"columns": {"user": 3}}, "ingest")
    with pytest.raises(ConfigError, match=r"pretrain\.epochs = ''"):
        parse(Pretrain, {"epochs": ""}, "pretrain")


def test_keys_reach_into_sections_and_lists_of_sections() -> None:
    assert {"perturb.scenarios", "perturb.scenarios.kind", "perturb.groups"} <= set(keys(Perturb, "perturb"))
