"""Asks the Kubernetes API about accounts, secrets and images.

Values of secrets are never looked at but for image pull secrets.
"""

import base64
import json
from collections.abc import Iterable, Mapping
from typing import Any

import kubernetes
import yaml
from kubernetes.client.exceptions import ApiException
from urllib3.exceptions import HTTPError

from finest import causes
from pipeline.cluster.findings import HealthError, NotCheckedError

SECONDS = 5, 15
NO_KUBECONFIG = yaml.YAMLError, TypeError, ValueError, AttributeError
"""Errors of the client on a file that is no kubeconfig."""
KFP_NAMESPACE = "kubeflow"
"""Namespace of KFP itself, and of its runs where it serves one team."""
EITHER = {"AZURE_STORAGE_KEY", "AZURE_STORAGE_SAS_TOKEN"}
"""Keys of a Secret of which one is enough."""
ACCESS_FIX = "give a kubeconfig (KUBECONFIG) whose user may read this, or run the command as someone who may"
ANSWER_FIX = "see `kubectl version` on this machine"


class Kube:
    """Holds a Kubernetes API, as far as it can be reached from here."""

    def __init__(self, api: kubernetes.client.ApiClient):
        self.core = kubernetes.client.CoreV1Api(api)
        self.groups = kubernetes.client.ApisApi(api)
        self.host = str(api.configuration.host)
        self.silent: NotCheckedError | None = None
        """Why it gave no answer: nobody waits for it again."""

    def get(self, call: Any, what: str, *arguments: Any, **keywords: Any) -> Any:
        """Returns the call's answer; None where there is no such thing. Raises NotCheckedError."""
        if self.silent is not None:
            raise self.silent
        try:
            return call(*arguments, _request_timeout=SECONDS, **keywords)
        except ApiException as error:
            if error.status == 404:
                return None
            if error.status:
                said = f"this user may not read {what}" if error.status in (401, 403) else f"{what} cannot be read"
                why = f"{said} ({error.status} {error.reason} from {causes.host_and_port(self.host)})"
                raise NotCheckedError(why, ACCESS_FIX) from None
            self.silent = self._no_answer(error)
        except (HTTPError, OSError) as error:
            self.silent = self._no_answer(error)
        except ValueError as error:  # the client makes its models of what was said
            why = f"{what}: {causes.host_and_port(self.host)} does not answer as a Kubernetes API does ({error})"
            raise NotCheckedError(why, ANSWER_FIX) from None
        raise self.silent

    def _no_answer(self, error: Exception) -> NotCheckedError:
        return NotCheckedError(f"the Kubernetes API: {causes.find(error, self.host).words}", ANSWER_FIX)


def reach() -> Kube:
    """Returns the API of the cluster that this pod runs in, else of the current kubeconfig. Raises NotCheckedError."""
    configuration = kubernetes.client.Configuration()
    try:
        kubernetes.config.load_incluster_config(client_configuration=configuration)
    except kubernetes.config.ConfigException:
        try:
            kubernetes.config.load_kube_config(client_configuration=configuration)
        except (kubernetes.config.ConfigException, OSError, *NO_KUBECONFIG) as error:
            why = " ".join(str(error).split())
            raise NotCheckedError(
                f"no Kubernetes API is known here ({why})", "give a kubeconfig (KUBECONFIG)"
            ) from None
    configuration.retries = 1
    return Kube(kubernetes.client.ApiClient(configuration))


def check_account(kube: Kube, namespace: str, account: str) -> str:
    """Checks that the steps' service account is there."""
    if (
        kube.get(kube.core.read_namespaced_service_account, f"service accounts of {namespace}", account, namespace)
        is None
    ):
        fix = "apply the overlay's runs/ of k8s/, or give --service-account"
        raise HealthError(f"namespace {namespace} has no service account {account}", fix)
    return f"{account} is in {namespace}"


def check_references(kube: Kube, namespace: str, executors: Iterable[Mapping[str, Any]]) -> str:
    """Checks that the secrets and config maps are there, with their keys, that steps take variables from."""
    wanted = sorted(_references(executors))
    missing, without, found = [], [], []
    for kind, name, keys, optional in wanted:
        read = kube.core.read_namespaced_secret if kind == "Secret" else kube.core.read_namespaced_config_map
        there = kube.get(read, f"{kind}s of {namespace}", name, namespace)
        data = (there.data if there else None) or {}
        lacking = [] if not EITHER.isdisjoint(keys) and not EITHER.isdisjoint(data) else sorted(set(keys) - set(data))
        if not lacking:
            found.append(f"{kind} {name}")
        elif kind == "Secret" and there is None and optional:
            without.append(name)
        elif (
            kind == "Secret" or not optional
        ):  # addresses that are optional are so one by one, a login is so as a whole
            missing.append(f"{kind} {name}" + (f" (no {', '.join(lacking)})" if there else ""))
    if missing:
        fix = "create them as docs/cluster.md says; names are fixed at compile time"
        raise HealthError(f"namespace {namespace} lacks {'; '.join(missing)}", fix)
    left_out = f"; optional and not there: {', '.join(dict.fromkeys(without))}" if without else ""
    return f"{', '.join(dict.fromkeys(found))} in {namespace}{left_out}"


def _references(executors: Iterable[Mapping[str, Any]]) -> set[tuple[str, str, tuple[str, ...], bool]]:
    """Returns kind, name, keys and whether it may be missing, of what the executors take variables from."""
    found = set()
    for executor in executors:
        for one in executor.get("secretAsEnv", []):
            found.add(
                (
                    "Secret",
                    one["secretName"],
                    tuple(key["secretKey"] for key in one["keyToEnv"]),
                    bool(one.get("optional")),
                )
            )
        for one in executor.get("configMapAsEnv", []):
            found.add(
                (
                    "ConfigMap",
                    one["configMapName"],
                    tuple(key["configMapKey"] for key in one["keyToEnv"]),
                    bool(one.get("optional")),
                )
            )
    return found


def pull_logins(kube: Kube, namespace: str, account: str) -> dict[str, Any]:
    """Returns the registry logins that pods of the account have: `auths` of its image pull secrets."""
    found = kube.get(kube.core.read_namespaced_service_account, f"service accounts of {namespace}", account, namespace)
    logins: dict[str, Any] = {}
    for reference in (found.image_pull_secrets if found else None) or []:
        secret = kube.get(kube.core.read_namespaced_secret, f"Secrets of {namespace}", reference.name, namespace)
        if secret is not None and ".dockerconfigjson" in (secret.data or {}):
            logins |= json.loads(base64.b64decode(secret.data[".dockerconfigjson"])).get("auths", {})
    return logins


def on_nodes(kube: Kube, image: str) -> int:
    """Returns how many nodes have pulled the image already."""
    nodes = kube.get(kube.core.list_node, "nodes").items
    return sum(any(image in (one.names or []) for one in node.status.images or []) for node in nodes)
