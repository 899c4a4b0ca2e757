"""Containers of rendered manifests, as this machine can start them: the same command line, the same environment."""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

Document = dict[str, Any]


def find(documents: Sequence[Document], kind: str, name: str) -> Document:
    """The document of that kind and name; generated names count without their hash."""
    return next(
        one
        for one in documents
        if one["kind"] == kind and re.fullmatch(f"{name}(-[a-z0-9]{{10}})?", one["metadata"]["name"])
    )


def pod_spec(document: Document) -> Document | None:
    """The pod's specification in a workload, None in anything else."""
    template = pod_template(document)
    return template["spec"] if template else None


def pod_labels(document: Document) -> dict[str, str]:
    """The labels of a workload's pods."""
    return dict((pod_template(document) or {})["metadata"]["labels"])


def pod_template(document: Document) -> Document | None:
    spec = document.get("spec", {})
    found: Document | None = spec.get("jobTemplate", {}).get("spec", spec).get("template")
    return found


def containers(document: Document) -> Iterator[Document]:
    """All containers of a workload, initial ones first."""
    spec = pod_spec(document) or {}
    yield from [*spec.get("initContainers", []), *spec.get("containers", [])]


def container(documents: Sequence[Document], kind: str, name: str, which: str) -> Document:
    """One container of a workload."""
    return next(one for one in containers(find(documents, kind, name)) if one["name"] == which)


def environment(
    one: Document, endpoints: Mapping[str, str], secrets: Mapping[str, Mapping[str, str]]
) -> dict[str, str]:
    """What the container has in its environment, given what its ConfigMap and the Secrets hold."""
    found = dict(endpoints) if any("configMapRef" in source for source in one.get("envFrom", [])) else {}
    for variable in one.get("env", []):
        if "value" in variable:
            found[variable["name"]] = expand(str(variable["value"]), found)
        elif reference := variable["valueFrom"].get("secretKeyRef"):
            if reference["name"] in secrets or not reference.get("optional"):
                found[variable["name"]] = secrets[reference["name"]][reference["key"]]
        else:
            found[variable["name"]] = endpoints[variable["valueFrom"]["configMapKeyRef"]["key"]]
    return found


def expand(text: str, variables: Mapping[str, str]) -> str:
    """Puts variables in the place of $(NAME), as a kubelet does."""
    return re.sub(r"\$\((\w+)\)", lambda match: variables.get(match[1], match[0]), text)


def command(one: Document, variables: Mapping[str, str], paths: Mapping[str, str]) -> list[str]:
    """The container's command line; where one of `paths` occurs in it, what stands for that here."""
    line = [expand(part, variables) for part in [*one.get("command", []), *one.get("args", [])]]
    inside = re.compile("|".join(map(re.escape, paths)) or "$^")
    return [inside.sub(lambda match: paths[match[0]], part) for part in line]
