from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from kfp import dsl

from components.image import IMAGE
from pipeline.cluster import versions
from pipeline.cluster.argo import CONFIG_MAP, PATCH, WANTED, check_retries
from pipeline.cluster.findings import HealthError, NotCheckedError
from pipeline.cluster.kube import reach
from pipeline.compile import compile_to
from pipeline.policy import EXPERIMENT, POLICIES, SEARCH, WHERE_ASKED, retry_policy
from tests.services import fake_kubernetes
from tests.services.fake_kubernetes import FakeKubernetes

INSTALLED = Path(__file__).parents[2] / "data" / "kubernetes" / f"{CONFIG_MAP}.yaml"
TTL = {"ttlStrategy": {"secondsAfterCompletion": 3600}}
BY_FILE = f"kubectl -n kubeflow patch configmap {CONFIG_MAP} --type merge --patch-file {PATCH}"
BY_HAND = f"in ConfigMap {CONFIG_MAP} of kubeflow, key workflowDefaults, make spec.templateDefaults.retryStrategy"
EXPRESSION = WANTED["expression"]


@pytest.fixture
def api(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeKubernetes]:
    with fake_kubernetes.serve() as api:
        monkeypatch.setattr(
            "kubernetes.config.kube_config.KUBE_CONFIG_DEFAULT_LOCATION", str(api.kubeconfig(tmp_path / "kubeconfig"))
        )
        yield api


@pytest.fixture
def says(api: FakeKubernetes, compiled: Path) -> Callable[..., str]:
    """What is retried where Argo's defaults are these, for the compiled pipeline with that policy of its own."""

    def check(spec: dict[str, Any] | str | None, policy: str = "") -> str:
        text = spec if isinstance(spec, str) else yaml.safe_dump({"spec": spec})
        api.add_config_map(CONFIG_MAP, namespace="kubeflow", **({"workflowDefaults": text} if spec is not None else {}))
        documents = versions.read(compiled)
        if policy:
            for component in [documents[0]["root"], *documents[0]["components"].values()]:
                for task in component.get("dag", {}).get("tasks", {}).values():
                    if "retryPolicy" in task:
                        task["retryPolicy"]["policy"] = policy
        return check_retries(reach(), documents)

    return check


def strategy(**given: Any) -> dict[str, Any]:
    return TTL | {"templateDefaults": {"retryStrategy": given}}


def test_what_kfp_comes_with_leaves_failed_containers_alone(says: Callable[..., str]) -> None:
    with pytest.raises(HealthError) as caught:
        says(yaml.safe_load(INSTALLED.read_text())["data"]["workflowDefaults"])
    why = (
        "a step whose container fails or runs out of memory is never tried again (retryPolicy OnError); "
        "one whose pod is lost is"
    )
    assert caught.value.cause == f"{why}, at most 2 or 3 times"
    assert caught.value.fix == BY_FILE


def test_with_the_patch_all_is_tried_again(says: Callable[..., str]) -> None:
    said = says(yaml.safe_load(PATCH.read_text())["data"]["workflowDefaults"])
    what = "a step whose container fails, runs out of memory or whose pod is lost"
    assert said == f"{what} is tried again at most 2 or 3 times (retryPolicy Always)"


def test_the_patch_changes_the_strategy_alone() -> None:
    before, after = (
        yaml.safe_load(yaml.safe_load(file.read_text())["data"]["workflowDefaults"]) for file in (INSTALLED, PATCH)
    )
    assert after["spec"]["templateDefaults"].pop("retryStrategy") == WANTED
    assert before["spec"]["templateDefaults"].pop("retryStrategy") == {"limit": "2", "retryPolicy": "OnError"}
    assert before == after
    assert "kind" not in yaml.safe_load(PATCH.read_text())  # `kubectl apply` would take the other keys away


@pytest.mark.parametrize("policy", ["Always", "OnFailure", ""])
def test_a_strategy_that_retries_every_level_multiplies_attempts(says: Callable[..., str], policy: str) -> None:
    given = {"limit": 2} | ({"retryPolicy": policy} if policy else {})
    with pytest.raises(HealthError, match="so attempts multiply") as caught:
        says(strategy(**given))
    assert (
        f"retryPolicy {policy or 'OnFailure'} without an expression" in caught.value.cause
        and caught.value.fix == BY_FILE
    )
    with pytest.raises(HealthError, match="so attempts multiply"):
        says({"retryStrategy": given})


def test_the_expression_alone_means_always(says: Callable[..., str]) -> None:
    assert "is tried again" in says(strategy(limit="2", expression=f"  {EXPRESSION.replace(' || ', '  ||  ')} "))


def test_without_defaults_lost_pods_are_left_alone(says: Callable[..., str]) -> None:
    empty: list[dict[str, Any] | str | None] = [None, {}, {"templateDefaults": {}}, "", "just a text", "[a, list]"]
    for nothing in empty:
        with pytest.raises(HealthError) as caught:
            says(nothing)
        assert (
            "whose pod is lost (a preemption, a node that goes) is never tried again (retryPolicy OnFailure)"
            in caught.value.cause
        )
        assert (
            "one whose container fails is, at most 2 or 3 times" in caught.value.cause
            and caught.value.fix.startswith(BY_HAND)
        )


def test_other_defaults_of_an_installation_are_not_overwritten(says: Callable[..., str]) -> None:
    with pytest.raises(HealthError) as caught:
        says(strategy(limit="2", retryPolicy="OnError") | {"ttlStrategy": {"secondsAfterCompletion": 86400}})
    fix = caught.value.fix
    assert fix.startswith(BY_HAND) and fix.endswith("and leave the rest as it is") and "--patch-file" not in fix
    written = fix[fix.index("{") : fix.rindex("}") + 1]
    assert yaml.safe_load(written) == WANTED


def test_an_expression_that_is_not_known_is_not_judged(says: Callable[..., str]) -> None:
    with pytest.raises(NotCheckedError) as caught:
        says(strategy(limit="2", retryPolicy="Always", expression="asInt(lastRetry.exitCode) > 1"))
    assert "asInt(lastRetry.exitCode) > 1" in caught.value.why and BY_FILE in caught.value.fix


@pytest.mark.parametrize(
    ("given", "cause"),
    [
        ({"retryPolicy": "Always", "expression": EXPRESSION}, "retry without a limit"),
        ({"limit": "2", "retryPolicy": "Sometimes"}, "the retryPolicy Sometimes, which it does not know"),
        (
            {"limit": "2", "retryPolicy": "OnTransientError"},
            "runs out of memory is never tried again (retryPolicy OnTransientError)",
        ),
    ],
)
def test_what_else_goes_wrong_is_said(says: Callable[..., str], given: dict[str, str], cause: str) -> None:
    with pytest.raises(HealthError) as caught:
        says(strategy(**given))
    assert cause in caught.value.cause


def test_defaults_that_argo_could_not_read_are_an_error(says: Callable[..., str]) -> None:
    with pytest.raises(HealthError, match="workflowDefaults of workflow-controller-configmap is not valid YAML"):
        says("spec: {")


def test_a_policy_of_the_steps_own_goes_before_the_defaults(says: Callable[..., str]) -> None:
    assert "is tried again at most 2 or 3 times (retryPolicy Always)" in says(
        strategy(limit="2", retryPolicy="OnError"), "POLICY_ALWAYS"
    )
    with pytest.raises(HealthError, match=r"never tried again \(retryPolicy OnTransientError\)"):
        says(strategy(**WANTED), "POLICY_ON_TRANSIENT_ERROR")
    assert "is tried again" in says(strategy(**WANTED), "POLICY_UNSPECIFIED")


def test_an_installation_whose_argo_is_elsewhere_is_not_judged(api: FakeKubernetes, compiled: Path) -> None:
    with pytest.raises(NotCheckedError, match="kubeflow has no ConfigMap workflow-controller-configmap"):
        check_retries(reach(), versions.read(compiled))


def test_a_kfp_that_can_name_the_policy_is_told_and_one_that_cannot_is_not() -> None:
    def newer(num_retries: int, backoff_duration: str | None = None, policy: str | None = None) -> None:
        """As kfp's set_retry will be."""

    assert retry_policy(newer) == {"policy": "Always"}
    assert retry_policy(dsl.PipelineTask.set_retry) == {}


def test_every_step_names_its_policy_where_kfp_can(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    named, installed = [], dsl.PipelineTask.set_retry

    def newer(self: dsl.PipelineTask, num_retries: int, policy: str | None = None, **backoff: Any) -> dsl.PipelineTask:
        named.append((self.component_spec.name, policy))
        return installed(self, num_retries, **backoff)

    monkeypatch.setattr(dsl.PipelineTask, "set_retry", newer)
    compile_to(tmp_path / "pipeline.yaml", IMAGE)
    assert dict(named) == dict.fromkeys(set(POLICIES) - {*SEARCH, *EXPERIMENT, *WHERE_ASKED}, "Always")
