import copy
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml
from kfp import compiler, dsl

from components.image import IMAGE
from components.sections import parse
from finest.errors import ConfigError
from finest.perturb.config import Perturb
from finest.perturb.plan import deal
from pipeline.cluster.versions import LOADER
from pipeline.compile import compile_to
from pipeline.config import load
from pipeline.dag import ONLY_GROUP
from pipeline.ir_check import drivers, problems
from pipeline.placement import Placement
from pipeline.policy import EXPERIMENT, SEARCH, WHERE_ASKED, Cluster
from pipeline.policy import POLICIES as ALL
from tests.integration.pipeline import typed_kfp

ROOT = Path(__file__).parents[3]
PATIENCE = 600
"""Seconds that a service may be away, by default."""
Document = dict[str, Any]
POLICIES = {name: policy for name, policy in ALL.items() if name not in (*SEARCH, *EXPERIMENT, *WHERE_ASKED)}
"""Policies of a night's steps, without those that a config must ask for."""


@pytest.fixture(scope="module")
def text(tmp_path_factory: pytest.TempPathFactory) -> str:
    output = tmp_path_factory.mktemp("compiled") / "pipeline.yaml"
    compile_to(output, IMAGE)
    return output.read_text()


@pytest.fixture(scope="module")
def fresh(text: str) -> list[Document]:
    return list(yaml.load_all(text, LOADER))


@pytest.fixture(scope="module")
def looped(tmp_path_factory: pytest.TempPathFactory) -> list[Document]:
    """Compiled for more than one group."""
    output = tmp_path_factory.mktemp("looped") / "pipeline.yaml"
    compile_to(output, IMAGE, config=load(None, ["source=s3://bucket/interactions", "perturb.groups=2"]))
    return list(yaml.load_all(output.read_text(), LOADER))


def test_the_compiled_pipeline_in_the_repository_is_current(text: str) -> None:
    current = (ROOT / "pipeline.yaml").read_text() == text
    assert current, "pipeline.yaml is not what the code compiles to: run `make compile`"


def test_a_backend_would_take_it(fresh: list[Document], looped: list[Document]) -> None:
    assert problems(*fresh) == problems(*looped) == []


def test_a_night_has_few_drivers(fresh: list[Document], looped: list[Document]) -> None:
    """Ten steps, the root and the exit handler, and four conditions.

    A loop adds one, and each turn one and its two steps'.
    """
    assert drivers(fresh[0]) == 16
    assert [drivers(looped[0], groups) for groups in (1, 2, 4)] == [18, 21, 27]


def test_lists_for_all_users_are_a_step_where_the_config_says_where_they_go(
    fresh: list[Document], tmp_path: Path
) -> None:
    compile_to(tmp_path / "pipeline.yaml", IMAGE, config=load(None, ["source=s3://b/i", "recommend.out=s3://b/lists"]))
    asked = list(yaml.load_all((tmp_path / "pipeline.yaml").read_text(), LOADER))
    assert problems(*asked) == [] and drivers(asked[0]) == drivers(fresh[0]) + 1
    assert {step.name for step in steps(asked)} - {step.name for step in steps(fresh)} == {"recommend"}
    assert "promote" in tasks(asked[0])["recommend"]["dependentTasks"]
    known = [tasks(document[0])["preflight"]["inputs"]["parameters"]["serves"] for document in (fresh, asked)]
    assert [one["runtimeValue"]["constant"] for one in known] == [False, True]


def test_the_only_group_is_the_one_that_is_dealt() -> None:
    assert [group.id for group in deal(Perturb(), 0).groups] == [ONLY_GROUP]


def test_the_gate_gets_a_list_of_one_where_there_is_one_group(fresh: list[Document]) -> None:
    assert fresh[0]["components"]["comp-gate"]["inputDefinitions"]["artifacts"]["variants"]["isArtifactList"]
    given = tasks(fresh[0])["gate"]["inputs"]["artifacts"]["variants"]
    assert given == {"taskOutputArtifact": {"outputArtifactKey": "tuned", "producerTask": "finetune"}}


def test_preflight_knows_how_many_groups_the_pipeline_trains(fresh: list[Document], looped: list[Document]) -> None:
    given = [tasks(document[0])["preflight"]["inputs"]["parameters"]["fans_out"] for document in (fresh, looped)]
    assert [one["runtimeValue"]["constant"] for one in given] == [False, True]


def test_every_step_runs_in_the_image_that_was_asked_for(tmp_path: Path) -> None:
    compile_to(tmp_path / "pipeline.yaml", "registry/finest@sha256:0123")
    executors = next(yaml.load_all((tmp_path / "pipeline.yaml").read_text(), LOADER))["deploymentSpec"]["executors"]
    assert {executor["container"]["image"] for executor in executors.values()} == {"registry/finest@sha256:0123"}


PLACEMENT = {
    "training": {"accelerator", "accelerators", "cpu", "memory", "tolerations", "node_selector"},
    "data": {"data_cpu", "data_memory", "other_tolerations", "other_node_selector"},
    "small": {"small_cpu", "small_memory", "other_tolerations", "other_node_selector"},
}


@dataclass(frozen=True)
class Task:
    """What a backend is told of a step."""

    name: str
    task: Document
    container: Document
    pod: Document

    @property
    def variables(self) -> dict[str, str]:
        return {one["name"]: one["value"] for one in self.container.get("env", [])}

    @property
    def parameters(self) -> set[str]:
        """The pipeline's parameters that say what the step may use and where it runs."""
        text = str(self.container["resources"]) + str({key: self.pod[key] for key in ("tolerations", "nodeSelector")})
        return set(re.findall(r"(?:pipelinechannel--|'componentInputParameter': ')([a-z_]+)'", text))


def steps(documents: list[Document]) -> list[Task]:
    pipeline, platform = documents
    pods = platform["platforms"]["kubernetes"]["deploymentSpec"]["executors"]
    found = []
    for name, task in tasks(pipeline).items():
        if label := pipeline["components"][task["componentRef"]["name"]].get("executorLabel"):
            found.append(Task(name, task, pipeline["deploymentSpec"]["executors"][label]["container"], pods[label]))
    return found


@pytest.fixture(scope="module")
def pinned(tmp_path_factory: pytest.TempPathFactory) -> list[Document]:
    """Compiled with an image by its digest, for a cluster with Kueue."""
    output = tmp_path_factory.mktemp("pinned") / "pipeline.yaml"
    compile_to(output, "registry/finest@sha256:0123", Cluster(queue="gpus", s3_secret="keys", user=2000))
    return list(yaml.load_all(output.read_text(), LOADER))


def test_every_step_has_a_policy_and_the_policy_no_other(fresh: list[Document]) -> None:
    assert sorted(step.name for step in steps(fresh)) == sorted(POLICIES)


def test_every_step_has_a_name_for_people(fresh: list[Document]) -> None:
    assert {step.name: step.task["taskInfo"]["name"] for step in steps(fresh)} == {
        name: one.title for name, one in POLICIES.items()
    }


def test_every_step_is_retried_for_longer_than_all_its_attempts_take(fresh: list[Document]) -> None:
    for step in steps(fresh):
        policy, limit = step.task["retryPolicy"], int(step.pod["activeDeadlineSeconds"])
        tries, wait = policy["maxRetryCount"], seconds(policy["backoffDuration"])
        waits = sum(wait * policy["backoffFactor"] ** number for number in range(tries))
        assert tries >= 2 and policy["backoffFactor"] == 2, step.name
        assert limit == POLICIES[step.name].minutes * 60 + 2 * PATIENCE, step.name
        assert seconds(policy["backoffMaxDuration"]) > limit * (tries + 1) + waits, step.name


def test_every_step_is_as_patient_and_logs_as_the_config_says(fresh: list[Document], tmp_path: Path) -> None:
    assert {(step.variables["FINEST_PATIENCE_SECONDS"], step.variables["FINEST_LOG"]) for step in steps(fresh)} == {
        ("600", "text")
    }
    compile_to(
        tmp_path / "pipeline.yaml",
        IMAGE,
        config=load(None, ["source=s3://b/i", "steps={patience_minutes: 0.5, log: json}"]),
    )
    other = steps(list(yaml.load_all((tmp_path / "pipeline.yaml").read_text(), LOADER)))
    assert {(step.variables["FINEST_PATIENCE_SECONDS"], step.variables["FINEST_LOG"]) for step in other} == {
        ("30", "json")
    }
    assert {int(step.pod["activeDeadlineSeconds"]) for step in other if step.name == "notify"} == {10 * 60 + 60}


def seconds(duration: str) -> float:
    return float(duration.removesuffix("s"))


def test_every_step_asks_for_what_it_may_use_and_all_of_it_can_be_changed_a_run(fresh: list[Document]) -> None:
    known = fresh[0]["root"]["inputDefinitions"]["parameters"]
    for step in steps(fresh):
        assert step.parameters == PLACEMENT[POLICIES[step.name].size], step.name
        resources = step.container["resources"]
        assert resources["resourceCpuRequest"] == resources["resourceCpuLimit"]
        assert resources["resourceMemoryRequest"] == resources["resourceMemoryLimit"]
    kinds = {name: known[name]["parameterType"] for size in PLACEMENT.values() for name in size}
    endings = {"tolerations": "LIST", "selector": "STRUCT"}
    assert kinds == {name: endings.get(name.rpartition("_")[2], "STRING") for name in kinds}  # a number reads as empty
    assert {name: known[name]["defaultValue"] for name in kinds} == Placement().model_dump()


def test_training_has_its_shared_memory_in_memory_and_the_others_have_none(fresh: list[Document]) -> None:
    mounts = {step.name: step.pod.get("emptyDirMounts", []) for step in steps(fresh)}
    training = {name for name, policy in POLICIES.items() if policy.size == "training"}
    assert {name for name, mounted in mounts.items() if mounted} == training
    assert all(
        (mount["mountPath"], mount["medium"]) == ("/dev/shm", "Memory") for name in training for mount in mounts[name]
    )


def test_no_step_runs_as_root_or_keeps_its_home_in_the_image(fresh: list[Document]) -> None:
    for step in steps(fresh):
        assert step.pod["securityContext"] == {"runAsUser": "10001", "runAsGroup": "10001", "runAsNonRoot": True}
        assert step.variables["HOME"] == "/tmp"


def test_secrets_are_references_and_only_the_address_of_mlflow_must_be_there(
    fresh: list[Document], pinned: list[Document]
) -> None:
    for step in steps(fresh):
        secrets = {one["secretName"]: one["optional"] for one in step.pod["secretAsEnv"]}
        webhook = {"finest-webhook": True} if step.name == "notify" else {}
        keys = {"finest-signing": True} if step.name in ("preflight", "champion", "promote", "reject") else {}
        assert secrets == {"finest-mlflow": True, "finest-s3": True, "finest-azure": True} | webhook | keys
        addresses = {key["envVar"]: one["optional"] for one in step.pod["configMapAsEnv"] for key in one["keyToEnv"]}
        assert [name for name, optional in addresses.items() if not optional] == ["MLFLOW_TRACKING_URI"]
        assert {one["configMapName"] for one in step.pod["configMapAsEnv"]} == {"finest-endpoints"}
        assert step.pod["fieldPathAsEnv"] == [{"name": "KFP_RUN_ID", "fieldPath": "metadata.labels['pipeline/runid']"}]
    assert all("keys" in {one["secretName"] for one in step.pod["secretAsEnv"]} for step in steps(pinned))


def test_results_are_kept_only_of_steps_without_effects_in_an_image_that_cannot_change(
    fresh: list[Document], pinned: list[Document]
) -> None:
    kept = {step.name for step in steps(pinned) if step.task["cachingOptions"].get("enableCache")}
    assert kept == {"ingest", "champion", "perturb", "calibrate", "pretrain", "finetune"}
    assert not any(
        step.task["cachingOptions"].get("enableCache") for step in steps(fresh)
    )  # a tag may name another image tomorrow
    assert {step.variables["IMAGE_DIGEST"] for step in steps(pinned)} == {"sha256:0123"}
    assert not any("IMAGE_DIGEST" in step.variables for step in steps(fresh))


def test_a_queue_and_another_user_are_constants_of_the_compiled_pipeline(
    fresh: list[Document], pinned: list[Document]
) -> None:
    queues = [step.pod["podMetadata"]["labels"].get("kueue.x-k8s.io/queue-name") for step in steps(pinned)]
    assert set(queues) == {"gpus"}
    assert not any("kueue.x-k8s.io/queue-name" in step.pod["podMetadata"]["labels"] for step in steps(fresh))
    assert {step.pod["securityContext"]["runAsUser"] for step in steps(pinned)} == {"2000"}
    assert problems(*pinned) == []


def test_a_run_ends_and_its_pods_go(fresh: list[Document]) -> None:
    limits = fresh[1]["platforms"]["kubernetes"]["pipelineConfig"]
    assert int(limits["activeDeadlineSeconds"]) == 36 * 3600 and int(limits["resourceTtlOnCompletion"]) == 7 * 86400


@pytest.mark.parametrize(
    "wrong", [{"cpu": "four"}, {"memory": ""}, {"memory": "16GB"}, {"accelerators": "-1"}, {"accelerators": 1.5}]
)
def test_a_quantity_that_kubernetes_would_refuse_is_a_config_error(wrong: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match=next(iter(wrong))):
        parse(Placement, wrong, "placement")


def test_numbers_in_a_config_file_are_quantities() -> None:
    assert parse(Placement, {"cpu": 8, "accelerators": 2, "small_cpu": 0.5}).model_dump(
        include={"cpu", "accelerators", "small_cpu"}
    ) == {
        "cpu": "8",
        "accelerators": "2",
        "small_cpu": "0.5",
    }


def test_a_changed_threshold_is_an_input_of_the_gate_alone(fresh: list[Document]) -> None:
    given = {
        name: inputs_of(component) for name, component in fresh[0]["components"].items() if "executorLabel" in component
    }
    assert {name for name, inputs in given.items() if "gate" in inputs} == {"comp-preflight"}
    assert "config" in given["comp-gate"]


def test_the_schedules_time_reaches_preflight_and_no_other_step(fresh: list[Document]) -> None:
    constants = {
        (name, given["runtimeValue"].get("constant"))
        for name, task in tasks(fresh[0]).items()
        for given in task.get("inputs", {}).get("parameters", {}).values()
        if "runtimeValue" in given
    }
    assert ("preflight", dsl.PIPELINE_JOB_SCHEDULE_TIME_UTC_PLACEHOLDER) in constants
    assert {name for name, constant in constants if "schedule_time" in str(constant)} == {"preflight"}


def test_training_and_gate_stand_in_one_condition_and_its_other_branch_skips(
    fresh: list[Document], looped: list[Document]
) -> None:
    for document in fresh, looped:
        components = document[0]["components"]
        branches = [
            component["dag"]["tasks"] for name, component in components.items() if name.startswith("comp-condition-")
        ]
        trains = next(set(branch) for branch in branches if "gate" in branch)
        assert {"perturb", "gate"} <= trains
        assert "pretrain" in trains if document is fresh else any(name.startswith("for-loop") for name in trains)
        assert any(set(branch) == {"skip"} for branch in branches)


def test_every_choice_has_exactly_one_outcome(fresh: list[Document]) -> None:
    conditions = [
        " ".join(task["triggerPolicy"]["condition"].split()) for task in tasks(fresh[0]).values() if condition_of(task)
    ]
    assert sorted(conditions) == [
        "inputs.parameter_values['pipelinechannel--champion-Output'] != 'retrain'",
        "inputs.parameter_values['pipelinechannel--champion-Output'] == 'retrain'",
        "inputs.parameter_values['pipelinechannel--gate-Output'] != 'pass'",
        "inputs.parameter_values['pipelinechannel--gate-Output'] == 'pass'",
    ]


def condition_of(task: Document) -> bool:
    return "condition" in task.get("triggerPolicy", {})


def test_ingest_is_given_the_days_that_preflight_has_counted(fresh: list[Document]) -> None:
    given = tasks(fresh[0])["ingest"]["inputs"]["parameters"]["config"]
    assert given == {"taskOutputParameter": {"outputParameterKey": "ingest", "producerTask": "preflight"}}


def inputs_of(component: Document) -> set[str]:
    return set(component.get("inputDefinitions", {}).get("parameters", {}))


def loop_body(pipeline: Document) -> Document:
    return next(component for name, component in pipeline["components"].items() if name.startswith("comp-for-loop"))


def tasks(pipeline: Document) -> dict[str, Document]:
    """Every task by name, whatever DAG it is in."""
    dags = [
        pipeline["root"]["dag"],
        *(component["dag"] for component in pipeline["components"].values() if "dag" in component),
    ]
    return {name: task for dag in dags for name, task in dag["tasks"].items()}


def loop_task(pipeline: Document) -> Document:
    return next(task for task in tasks(pipeline).values() if "parameterIterator" in task)


def forget_the_order(pipeline: Document, platform: Document) -> None:
    tasks(pipeline)["gate"]["dependentTasks"].remove("perturb")


def drop_an_input(pipeline: Document, platform: Document) -> None:
    del loop_body(pipeline)["inputDefinitions"]["parameters"]["pipelinechannel--accelerators"]


def drop_an_artifact(pipeline: Document, platform: Document) -> None:
    del loop_body(pipeline)["inputDefinitions"]["artifacts"]["pipelinechannel--ingest-interactions"]


def make_an_accelerator_a_number(pipeline: Document, platform: Document) -> None:
    loop_body(pipeline)["inputDefinitions"]["parameters"]["pipelinechannel--accelerators"]["parameterType"] = (
        "NUMBER_INTEGER"
    )


def give_text_for_a_struct(pipeline: Document, platform: Document) -> None:
    loop_body(pipeline)["inputDefinitions"]["parameters"]["pipelinechannel--pretrain"]["parameterType"] = "STRING"


def let_an_output_into_the_loop(pipeline: Document, platform: Document) -> None:
    output = {"taskOutputParameter": {"producerTask": "perturb", "outputParameterKey": "Output"}}
    loop_task(pipeline)["inputs"]["parameters"]["pipelinechannel--extra"] = output


def loop_over_a_named_output(pipeline: Document, platform: Document) -> None:
    task = loop_task(pipeline)
    items = task["parameterIterator"]["items"]["inputParameter"]
    task["inputs"]["parameters"][items]["taskOutputParameter"]["outputParameterKey"] = "groups"


def loop_over_artifacts(pipeline: Document, platform: Document) -> None:
    loop_task(pipeline)["artifactIterator"] = {"itemInput": "x", "items": {"inputArtifact": "y"}}


def forget_a_toleration(pipeline: Document, platform: Document) -> None:
    del loop_body(pipeline)["inputDefinitions"]["parameters"]["pipelinechannel--tolerations"]
    for task in loop_body(pipeline)["dag"]["tasks"].values():
        task["inputs"]["parameters"].pop("pipelinechannel--tolerations", None)


@pytest.mark.parametrize(
    ("break_it", "said"),
    [
        (forget_the_order, "gate: no dependentTasks entry for its producer perturb"),
        (drop_an_input, "does not have input parameter pipelinechannel--accelerators"),
        (drop_an_artifact, "does not have input artifact pipelinechannel--ingest-interactions"),
        (make_an_accelerator_a_number, "must be a STRING"),
        (give_text_for_a_struct, "expects STRUCT, gets STRING"),
        (let_an_output_into_the_loop, "enters a loop as a step's output"),
        (loop_over_a_named_output, "loops over a named output"),
        (loop_over_artifacts, "loops over artifacts"),
        (forget_a_toleration, "a platform setting refers to pipelinechannel--tolerations"),
    ],
)
def test_the_check_finds_a_fault(
    looped: list[Document], break_it: Callable[[Document, Document], None], said: str
) -> None:
    pipeline, platform = copy.deepcopy(looped)
    break_it(pipeline, platform)
    found = problems(pipeline, platform)
    assert any(said in problem for problem in found), found


def test_the_check_counts_an_else_and_what_is_nested_for_nothing(tmp_path: Path) -> None:
    @typed_kfp.component
    def choose(number: int) -> str:
        return "yes" if number else "no"

    @typed_kfp.pipeline(name="nested")
    def nested(number: int = 1) -> None:
        with dsl.If(choose(number=number).output == "yes"):
            choose(number=1)
            with dsl.If(choose(number=number).output == "yes"):
                choose(number=2)
            with dsl.Else():
                choose(number=3)
                choose(number=4)
        with dsl.Else():
            choose(number=5)

    compiler.Compiler().compile(nested, str(tmp_path / "pipeline.yaml"))
    pipeline = next(yaml.load_all((tmp_path / "pipeline.yaml").read_text(), LOADER))
    # The root, the first choice, and three for each of the two groups of branches; then two steps, and the longer
    # branch's two.
    assert drivers(pipeline) == 2 + 3 + 2 + 3 + 2
    assert problems(pipeline) == []
    pipeline["root"]["dag"]["tasks"] |= {
        f"more-{number}": {"componentRef": {"name": "comp-choose"}} for number in range(6)
    }
    assert problems(pipeline) == ["root: 18 drivers a night, 17 are enough: flatten what only nests"]


def test_the_check_finds_what_the_compiler_forgets_in_a_group(tmp_path: Path) -> None:
    @typed_kfp.component
    def work(config: dict[str, str]) -> None:
        pass

    @typed_kfp.pipeline(name="forgetful")
    def forgetful(config: dict[str, str] = {}, memory: str = "1Gi") -> None:  # noqa: B006
        with dsl.ExitHandler(work(config=config)):
            work(config=config).set_memory_limit(memory)

    compiler.Compiler().compile(forgetful, str(tmp_path / "pipeline.yaml"))
    assert any(
        "memory" in problem for problem in problems(*yaml.load_all((tmp_path / "pipeline.yaml").read_text(), LOADER))
    )
