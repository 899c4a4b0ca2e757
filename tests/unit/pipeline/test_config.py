import inspect
import re
from functools import reduce
from pathlib import Path

import pytest
from pydantic import Field

from components.config import Sections
from components.preflight.component import preflight
from finest.data.config import Split
from finest.errors import ConfigError
from finest.perturb.config import Scenario
from finest.section import Section
from finest.training.config import Pretrain
from pipeline import config as configs
from pipeline import inputs, options, settings
from pipeline.config import Config, find, load
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


AS_GIVEN = ["clicks #2", "2024-01-01", "20240101", "007", "12:30", "no", "on", "*x", "@x", "[x].csv", "{x}.csv"]
AS_GIVEN += ["a: b.csv", " leading", "null", "'quoted'", "!!int x", "a=b", "%", "1e3", "~/x"]


@pytest.mark.parametrize("text", AS_GIVEN)
def test_an_option_that_stands_for_a_key_is_taken_as_it_is(text: str) -> None:
    assert load(None, options.settings(None, source=text, checkpoints=text)).source == text
    assert load(None, options.settings(["source=other"], source=text)).source == text


@pytest.mark.parametrize("text", [text for text in AS_GIVEN if text != "'quoted'"])
def test_set_takes_the_text_of_a_key_that_holds_text_as_it_is(text: str) -> None:
    assert load(None, [f"source={text}"]).source == text


def test_set_reads_yaml_where_a_key_holds_something_else_or_the_text_is_quoted() -> None:
    config = load(
        None,
        [
            "source='a # b'",
            "ingest.columns.user=user #1",
            "ingest.columns.sequence=null",
            "ingest.columns.segments=[a, b]",
            "ingest.columns.segments.1=on",
            "rebase=on",
            "seed=7",
            "gate.min_rls_above_floor=off",
            "pretrain.memory=off",
            "ingest.separator= ",
            "placement.node_selector.pool=on",
        ],
    )
    assert (config.ingest.separator, config.placement.node_selector) == (" ", {"pool": "on"})
    assert (config.gate.min_rls_above_floor, config.pretrain.memory) == ("off", "off")
    assert load(None, ["ingest.separator=;", "ingest.separator="]).ingest.separator is None
    columns = config.ingest.columns
    assert (config.source, columns.user, columns.sequence) == ("a # b", "user #1", None)
    assert (columns.segments, config.rebase, config.seed) == (["a", "on"], True, 7)


def test_set_keeps_a_whole_number_where_a_key_holds_both() -> None:
    class Both(Section):
        column: str | int = ""
        place: list[str | int] = Field(default=[])

    given = ["column=3", "place=[0]", "place.0=07"]
    assert settings.assigned(given, {}, Both) == {"column": 3, "place": [7]}
    assert settings.assigned(["column=3 #"], {}, Both) == {"column": "3 #"}


@pytest.mark.parametrize(
    "key", ["source", "checkpoints", "recommend.out", "ingest.spark_folder", "ingest.spark_master"]
)
@pytest.mark.parametrize(
    "uri", ["s3a://KEY:LEAK@bucket", "s3://KEY:LE/A K@bucket/x", "https://LEAK@host/x", "https://h/x?sv=1&sig=LEAK"]
)
def test_a_place_with_credentials_is_refused_before_anything_is_written(key: str, uri: str) -> None:
    with pytest.raises(ConfigError, match=rf"^{key} = .*must hold no credentials") as caught:
        load(None, [(key, uri)])
    assert "LEAK" not in str(caught.value) and "A K" not in str(caught.value)


def test_all_wrong_keys_are_listed_at_once() -> None:
    said = error_of("gate.min_rls_rbo=1.7", "sedd=1", "pretrain.bach=2", "notify.timeout_seconds=0")
    assert said.startswith("4 keys are wrong: (1) ")
    for part in (
        "sedd: there is no",
        "did you mean seed?",
        "pretrain.bach: ",
        "gate.min_rls_rbo = 1.7",
        "notify.timeout",
    ):
        assert part in said


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        ("seed=!!bool yess", "'yess' is no bool"),
        ("seed=!!timestamp x", "'x' is no timestamp"),
        ("seed=!!float ", "is no float"),
        ("seed=" + "9" * 5000, "is no int"),
        ("seed=" + "[" * 1500 + "]" * 1500, "nested too deeply"),
        ("perturb.scenarios.\u00b2=1", "perturb.scenarios"),
        ("as_of=2026-11-31", "as_of = '2026-11-31'"),
        ("seed={a: 1, a: 2}", "a stands twice"),
    ],
)
def test_what_yaml_cannot_make_of_a_value_is_one_short_line(setting: str, said: str) -> None:
    text = error_of(setting)
    assert said in text and len(text) < 400


def test_one_of_two_that_exclude_each_other_takes_the_place_of_the_files() -> None:
    """What messages and the ready-made configs tell people to set."""
    auto = load(find("quickstart"), ["pretrain.steps=auto"]).pretrain
    assert (auto.steps, auto.epochs) == ("auto", None)
    split = load(find("nightly"), ["ingest.split.cut=2026-01-01"]).ingest.split
    assert split.cut and split.held_out_days is None
    assert load(find("quickstart"), ["pretrain.steps=null"]).pretrain.epochs == 18
    with pytest.raises(ConfigError, match="epochs and steps exclude each other"):
        load(None, ["pretrain.steps=9", ("pretrain.epochs", "2")])


def test_every_alternative_of_a_section_is_a_key_of_it_that_may_be_left_out() -> None:
    for one in (Pretrain, Split):
        assert one.ALTERNATIVES
        for group in one.ALTERNATIVES:
            assert all(one.model_fields[key].default is None for key in group)


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
        ("[]", "this is a list"),
        ("false", "this is a bool"),
        ("seed: 1\nas_of: 2026-11-31", "as_of = '2026-11-31': must be"),
        ("gate:\n  rules: !!bool yess", "config.yaml:2: gate.rules: not valid YAML ('yess' is no bool)"),
        ("seed: 1\nas_of: !!timestamp x", "config.yaml:2: as_of: not valid YAML ('x' is no timestamp)"),
        ("notify: !!map x", "config.yaml:1: notify: not valid YAML ('x' is no map)"),
        ("a: &a [x]\nb: [*a, *a, {c: !!int z}]", "config.yaml:2: b.2.c: not valid YAML ('z' is no int)"),
        (f"seed: {'9' * 5000}", "config.yaml:1: seed: not valid YAML"),
        (f"seed: {'[' * 950}{']' * 950}", "nested too deeply"),
        ("1: 2", "the key 1 must be a text"),
        ("{[a]: 1}", "a key must be a text"),
        ("gate:\n  a: {b: 1, c: {d: 1, d: 2}}", "config.yaml:2: not valid YAML (d stands twice"),
        ("seed: 1\nname: \udcff", "config.yaml:2: not UTF-8 (byte 0xff)"),
        ("a: \x00", "not valid YAML"),
        ("#" * 300_000, "is longer than 262,144 bytes"),
        (None, "there is no such config file"),
    ],
)
def test_a_file_that_is_no_config_is_one_line(tmp_path: Path, text: str | None, said: str) -> None:
    file = tmp_path / "config.yaml"
    if text is not None:
        file.write_text(text, errors="surrogateescape")
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


def test_the_papers_settings_are_those_that_are_known() -> None:
    config = load(find("paper"))
    assert {scenario.share for scenario in config.perturb.scenarios if isinstance(scenario, Scenario)} == {0.001}
    assert {scenario.name.partition("-")[0] for scenario in config.perturb.scenarios} == {
        "random",
        "earliest",
        "latest",
        "casper",
    }
    assert config.finetune.model_dump(include={"regulariser", "top_k", "simulated_share"}) == {
        "regulariser": {"name": "rank_hinge", "margin": 0.1},
        "top_k": 100,
        "simulated_share": 0.01,
    }
    assert not config.ingest.evaluation.exclude_seen
    assert (config.pretrain.memory, config.pretrain.weight_decay, config.pretrain.ema_decay) == ("off", 0, 0)


def test_every_setting_of_the_paper_that_is_not_known_is_a_key_and_is_left_at_its_default() -> None:
    text = find("paper").read_text()
    config, default = load(find("paper")), Config()
    path: list[tuple[int, str]] = []
    unknown = []
    for line in text.splitlines():
        if found := re.match(r"( *)(# )?([a-z_]+):(.*)", line):
            indent, comment, key, rest = len(found[1]), found[2], found[3], found[4]
            path = [(of, name) for of, name in path if of < indent]
            if comment and rest.startswith(" not known"):
                unknown.append([*(name for _, name in path), key])
            elif not comment:
                path.append((indent, key))
    assert len(unknown) == 10
    for keys in unknown:
        ours, its = (reduce(getattr, keys, section) for section in (config, default))
        assert ours == its, keys


@pytest.mark.parametrize(
    ("setting", "text"),
    [
        ("name=ML-100k", "name = 'ML-100k': must be lower-case letters, digits, '-' and '_'"),
        (f"name={'a' * 51}", f"name = '{'a' * 51}': must have at most 50 characters"),
        ("placement.memory=10 GB", "placement.memory = '10 GB': must be bytes as Kubernetes writes them, like 600Mi"),
        ("placement.cpu=three", "placement.cpu = 'three': must be CPUs as Kubernetes writes them, like 3 or 500m"),
        ("perturb.scenarios=[]", "perturb.scenarios = []: must have at least 1 item, not 0"),
        ("notify.webhook_variable=https://hooks.example.com/x", "must be the name of an environment variable"),
    ],
)
def test_a_text_that_is_written_wrongly_is_told_in_words_how_it_is_written(setting: str, text: str) -> None:
    error = error_of(setting)
    assert text in error
    assert " should " not in error
