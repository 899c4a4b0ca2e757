.DEFAULT_GOAL := help
SHELL := bash
PYTHON ?= python3
BIN := .venv/bin
STATE ?= $(or $(FINEST_STATE),state)
INSTALLED := .venv/installed

help: ## Show this help
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-8s %s\n", $$1, $$2}'

# Exact versions; torch is whatever build the package index serves for this machine.
$(INSTALLED): pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[pipeline,dev]'
	@# The metadata of rbo, which tests compare with, asks for numpy<2; it works with 2.
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps rbo==0.1.3
	@touch $@

run: $(INSTALLED) ## Install what is needed, get ml-100k, run the whole pipeline; ARGS="--source FILE ..." for more
	$(BIN)/python -m pipeline run --config quickstart.yaml --state $(STATE) $(ARGS)

test: $(INSTALLED) ## Run all tests
	$(BIN)/python -m pytest

lint: $(INSTALLED) ## Check style and types
	$(BIN)/ruff check .
	$(BIN)/mypy

compile: $(INSTALLED) ## Write pipeline.yaml for a Kubeflow Pipelines backend
	$(BIN)/python -m pipeline compile --output pipeline.yaml

ui: $(INSTALLED) ## Open the MLflow UI on what runs have left, at http://127.0.0.1:5000
	$(BIN)/mlflow ui --backend-store-uri sqlite:///$(abspath $(STATE))/mlflow/mlflow.db

clean: ## Remove the virtual environment and caches; runs and models in $(STATE) stay
	rm -rf .venv build finest.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

.PHONY: help run test lint compile ui clean
