"""What the Kubernetes API says of nodes, accounts and secrets. Values of secrets are never looked at but for image pull secrets."""

import base64
import json
from collections.abc import Iterable, Mapping
from typing import Any

import kubernetes
import yaml
from kubernetes.client.exceptions import ApiException
from urllib3.exceptions import HTTPError

from pipeline.cluster.findings import HealthError, NotCheckedError
from pipeline.placement import Placement

SECONDS = 5, 15
NO_KUBECONFIG = yaml.YAMLError, TypeError, ValueError
"""What the client raises on a file that is none."""
ACCESS_FIX = "give a kubeconfig (KUBECONFIG) whose user may read this, or run the doctor as someone who may"


class Kube:
    """A Kubernetes API, as far as it can be reached from here."""

    def __init__(self, api: kubernetes.client.ApiClient):
        self.core = kubernetes.client.CoreV1Api(api)

    def get(self, call: Any, what: str, *arguments: Any, **keywords: Any) -> Any:
        """The call's answer, None where there is no such thing. Raises NotCheckedError."""
        try:
            return call(*arguments, _request_timeout=SECONDS, **keywords)
        except ApiException as error:
            if error.status == 404:
                return None
            said = "may not read" if error.status in (401, 403) else f"answers {error.status} to"
            raise NotCheckedError(f"this user {said} {what} ({error.status} {error.reason})", ACCESS_FIX) from None
        except (HTTPError, OSError) as error:
            why = f"the Kubernetes API does not answer ({type(error).__name__})"
            raise NotCheckedError(why, "see `kubectl version` on this machine") from None
        except ValueError as error:  # the client's models know less than a newer API says
            why = f"the package kubernetes does not understand what the API says of {what} ({error})"
            raise NotCheckedError(why, "install a newer one") from None


def reach() -> Kube:
    """The API of the cluster that this pod runs in, else of the current kubeconfig. Raises NotCheckedError."""
    configuration = kubernetes.client.Configuration()
    try:
        kubernetes.config.load_incluster_config(client_configuration=configuration)
    except kubernetes.config.ConfigException:
        try:
            kubernetes.config.load_kube_config(client_configuration=configuration)
        except (kubernetes.config.ConfigException, OSError, *NO_KUBECONFIG) as error:
            why = " ".join(str(error).split())
            raise NotCheckedError(f"no Kubernetes API is known here ({why})", "give a kubeconfig (KUBECONFIG)") from None
    configuration.retries = 1
    return Kube(kubernetes.client.ApiClient(configuration))


def check_gpus(kube: Kube, placement: Placement) -> str:
    """How many GPUs the nodes have that training steps may run on, and how many of them are free now."""
    kind = placement.accelerator
    if not kind or placement.accelerators == "0":
        fix = "set placement.accelerator where there are GPUs"
        raise NotCheckedError("placement asks for no accelerator, so training runs on CPUs", fix)
    nodes = (kube.get(kube.core.list_node, "nodes")).items
    holding = {node.metadata.name: int((node.status.allocatable or {}).get(kind, 0)) for node in nodes}
    holding = {name: count for name, count in holding.items() if count}
    if not holding:
        fix = "add a node pool with GPUs and their device plugin, or set placement.accelerator to '' for CPUs"
        raise HealthError(f"no node has {kind}", fix)
    allowed = {node.metadata.name for node in nodes if node.metadata.name in holding and not _why_not(node, placement)}
    if not allowed:
        reasons = sorted({_why_not(node, placement) for node in nodes if node.metadata.name in holding})
        fix = "set placement.node_selector and placement.tolerations to what the nodes have, or bring the nodes back"
        raise HealthError(f"{len(holding)} nodes have {kind}, but training may run on none: {'; '.join(reasons)}", fix)
    running = "status.phase!=Succeeded,status.phase!=Failed"
    pods = kube.get(kube.core.list_pod_for_all_namespaces, "pods of all namespaces", field_selector=running).items
    used = sum(_requested(pod, kind) for pod in pods if pod.spec.node_name in allowed)
    total = sum(holding[name] for name in allowed)
    largest = max(holding[name] for name in allowed)
    if largest < int(placement.accelerators):
        fix = "lower placement.accelerators, or add larger nodes"
        raise HealthError(f"a step asks for {placement.accelerators} {kind}, and the largest node has {largest}", fix)
    return f"{len(allowed)} nodes with {total} {kind}, {max(total - used, 0)} free now"


def _why_not(node: Any, placement: Placement) -> str:
    """Why training steps do not run on the node; empty where they may."""
    labels = node.metadata.labels or {}
    ready = any(condition.type == "Ready" and condition.status == "True" for condition in node.status.conditions or [])
    if not ready or node.spec.unschedulable:
        return "not ready" if not ready else "closed to new pods"
    for key, value in placement.node_selector.items():
        if labels.get(key) != value:
            return f"label {key}={value} of placement.node_selector is missing"
    for taint in node.spec.taints or []:
        if taint.effect in ("NoSchedule", "NoExecute") and not any(_tolerates(one, taint) for one in placement.tolerations):
            return f"taint {taint.key}{f'={taint.value}' if taint.value else ''}:{taint.effect} is not tolerated"
    return ""


def _tolerates(toleration: Mapping[str, Any], taint: Any) -> bool:
    if toleration.get("effect") not in (None, "", taint.effect):
        return False
    if toleration.get("operator", "Equal") == "Exists":
        return toleration.get("key") in (None, "", taint.key)
    return toleration.get("key") == taint.key and (toleration.get("value") or "") == (taint.value or "")


def _requested(pod: Any, kind: str) -> int:
    resources = (container.resources for container in pod.spec.containers)
    return sum(int(((one.requests or one.limits) or {}).get(kind, 0)) for one in resources if one)


def check_account(kube: Kube, namespace: str, account: str) -> str:
    """That the steps' service account is there."""
    if kube.get(kube.core.read_namespaced_service_account, f"service accounts of {namespace}", account, namespace) is None:
        fix = "apply the overlay's runs/ of k8s/, or give --service-account"
        raise HealthError(f"namespace {namespace} has no service account {account}", fix)
    return f"{account} is in {namespace}"


def check_references(kube: Kube, namespace: str, executors: Iterable[Mapping[str, Any]]) -> str:
    """That the secrets and config maps that the compiled pipeline takes variables from are there, with their keys."""
    wanted = sorted(_references(executors))
    missing, without, found = [], [], []
    for kind, name, keys, optional in wanted:
        read = kube.core.read_namespaced_secret if kind == "Secret" else kube.core.read_namespaced_config_map
        there = kube.get(read, f"{kind}s of {namespace}", name, namespace)
        lacking = [key for key in keys if key not in ((there.data if there else None) or {})]
        if not lacking:
            found.append(f"{kind} {name}")
        elif kind == "Secret" and there is None and optional:
            without.append(name)
        elif kind == "Secret" or not optional:  # addresses that are optional are so one by one, a login is so as a whole
            missing.append(f"{kind} {name}" + (f" (no {', '.join(lacking)})" if there else ""))
    if missing:
        fix = "create them as docs/cluster.md says; names are fixed at compile time"
        raise HealthError(f"namespace {namespace} lacks {'; '.join(missing)}", fix)
    left_out = f"; optional and not there: {', '.join(without)}" if without else ""
    return f"{', '.join(dict.fromkeys(found))} in {namespace}{left_out}"


def _references(executors: Iterable[Mapping[str, Any]]) -> set[tuple[str, str, tuple[str, ...], bool]]:
    """Kind, name, keys and whether it may be missing, of what the executors take variables from."""
    found = set()
    for executor in executors:
        for one in executor.get("secretAsEnv", []):
            found.add(("Secret", one["secretName"], tuple(key["secretKey"] for key in one["keyToEnv"]), bool(one.get("optional"))))
        for one in executor.get("configMapAsEnv", []):
            found.add(("ConfigMap", one["configMapName"], tuple(key["configMapKey"] for key in one["keyToEnv"]), bool(one.get("optional"))))
    return found


def pull_logins(kube: Kube, namespace: str, account: str) -> dict[str, Any]:
    """The registry logins that pods of the account have: `auths` of its image pull secrets."""
    found = kube.get(kube.core.read_namespaced_service_account, f"service accounts of {namespace}", account, namespace)
    logins: dict[str, Any] = {}
    for reference in (found.image_pull_secrets if found else None) or []:
        secret = kube.get(kube.core.read_namespaced_secret, f"Secrets of {namespace}", reference.name, namespace)
        if secret is not None and ".dockerconfigjson" in (secret.data or {}):
            logins |= json.loads(base64.b64decode(secret.data[".dockerconfigjson"])).get("auths", {})
    return logins


def on_nodes(kube: Kube, image: str) -> int:
    """How many nodes have pulled the image already."""
    nodes = kube.get(kube.core.list_node, "nodes").items
    return sum(any(image in (one.names or []) for one in node.status.images or []) for node in nodes)
