import inspect
from pathlib import Path

import pytest

from components.config import Sections
from components.preflight.component import preflight
from finest.errors import ConfigError
from pipeline import config as configs
from pipeline import inputs
from pipeline.config import Config, load
from pipeline.policy import POLICIES


def error_of(*sets: str) -> str:
    with pytest.raises(ConfigError) as caught:
        load(None, sets)
    text = str(caught.value)
    assert "\n" not in text
    return text


def test_quickstart_is_a_valid_config() -> None:
    assert load(configs.QUICKSTART).source == "ml-100k"


def test_values_on_the_command_line_are_read_as_yaml() -> None:
    config = load(
        None,
        [
            "pretrain.epochs=3",
            "gate.rules=[sanity, gain]",
            "ingest.evaluation.exclude_seen=false",
            "finetune.alpha=1e-2",
        ],
    )
    assert (config.pretrain.epochs, [rule.name for rule in config.gate.rules]) == (3, ["sanity", "gain"])
    assert (config.ingest.evaluation.exclude_seen, config.finetune.alpha) == (False, 0.01)


def test_the_command_line_wins_over_the_file_and_leaves_the_rest(tmp_path: Path) -> None:
    file = tmp_path / "config.yaml"
    file.write_text("pretrain: {epochs: 3, batch_size: 8}\nperturb: {scenarios: [{kind: deletion}, {kind: insertion}]}")
    config = load(file, ["pretrain.epochs=4", "perturb.scenarios.1.share=0.01"])
    assert (config.pretrain.epochs, config.pretrain.batch_size) == (4, 8)
    assert [scenario.name for scenario in config.perturb.scenarios] == [
        "random-deletion-0.001-s0",
        "random-insertion-0.01-s0",
    ]


@pytest.mark.parametrize(
    ("setting", "key", "meant"),
    [
        ("gate.min_rls=0.5", "gate.min_rls", "gate.min_rls_rbo"),
        ("pretrain.model.hiden_size=3", "pretrain.model.hiden_size", "pretrain.model.hidden_size"),
        ("hidden_size=3", "hidden_size", "pretrain.model.hidden_size"),
        ("gatee.rules=[]", "gatee", "gate"),
        (
            "perturb.scenarios=[{kind: deletion, familly: casper}]",
            "perturb.scenarios.0.familly",
            "perturb.scenarios.family",
        ),
    ],
)
def test_an_unknown_key_is_named_in_full_with_the_closest_valid_one(setting: str, key: str, meant: str) -> None:
    assert error_of(setting) == f"{key}: there is no such config key; did you mean {meant}?"


@pytest.mark.parametrize(
    ("setting", "text"),
    [
        ("gate.min_rls_rbo=1.7", "gate.min_rls_rbo = 1.7: must be less than or equal to 1"),
        ("gate.min_rls_rbo=.nan", "gate.min_rls_rbo = nan: must be a finite number"),
        ("ingest.split.fraction=0", "ingest.split.fraction = 0: must be greater than 0"),
        ("finetune.protocol=none", "finetune.protocol = 'none': must be 'anchored', 'independent' or 'both'"),
    ],
)
def test_a_value_out_of_range_is_named_with_the_field_and_what_is_allowed(setting: str, text: str) -> None:
    assert error_of(setting) == text


def test_a_misspelt_key_comes_before_the_key_that_it_leaves_missing() -> None:
    assert error_of("perturb.scenarios=[{kid: deletion}]").startswith(
        "perturb.scenarios.0.kid: there is no such config key"
    )


@pytest.mark.parametrize("setting", ["gate", "=1", "gate..rules=[]", "gate.rules=[", "perturb.scenarios.0.kind.x=1"])
def test_a_setting_that_cannot_be_meant_is_one_line(setting: str) -> None:
    error_of(setting)


def test_a_list_entry_that_is_not_there_is_named(tmp_path: Path) -> None:
    file = tmp_path / "config.yaml"
    file.write_text("perturb: {scenarios: [{kind: deletion}]}")
    with pytest.raises(ConfigError, match=r"perturb\.scenarios is a list of 1"):
        load(file, ["perturb.scenarios.1.kind=insertion"])


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a: [", "config.yaml:1: not valid YAML"),
        (
            "gate: {rules: []}\nseed: 1\ngate: {}",
            "config.yaml:3: not valid YAML (gate stands twice; put both into one)",
        ),
        ("seed: 1\ngate: {rules: [], rules: [sanity]}", "config.yaml:2: not valid YAML (rules stands twice"),
        (
            "perturb.groups: 4",
            "perturb.groups: a config file nests keys; write groups under perturb, as in perturb: {groups: ...}",
        ),
        ("[1, 2]", "this is a list"),
        (None, "there is no such config file"),
    ],
)
def test_a_file_that_is_no_config_is_one_line(tmp_path: Path, text: str | None, said: str) -> None:
    file = tmp_path / "config.yaml"
    if text is not None:
        file.write_text(text)
    with pytest.raises(ConfigError) as caught:
        load(file)
    assert said in str(caught.value) and "\n" not in str(caught.value)


def test_a_dumped_config_loads_as_itself(tmp_path: Path) -> None:
    config = load(
        None, ["gate.min_rls_above_floor=off", "ingest.split={method: temporal, cut: 2026-01-02T03:04:05}", "seed=7"]
    )
    (tmp_path / "config.yaml").write_text(configs.dump(config))
    assert load(tmp_path / "config.yaml") == config != Config()


def test_every_section_of_a_step_is_a_parameter_of_the_pipeline_and_checked_by_preflight() -> None:
    assert set(Sections.model_fields) <= set(POLICIES)
    takes = set(inspect.signature(preflight.python_func).parameters)
    assert set(Sections.model_fields) <= takes and set(Sections.model_fields) <= set(inputs.of(Config()))
