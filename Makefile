.DEFAULT_GOAL := help
SHELL := bash
PYTHON ?= python3
BIN := .venv/bin
STATE ?= $(or $(FINEST_STATE),state)
INSTALLED := .venv/installed

# Of images: docker/Dockerfile says what BASE and TORCH_INDEX are, and of GPU_BUILD under TORCH_BUILD.
VERSION := $(shell sed -n 's/^version = "\(.*\)"/\1/p' pyproject.toml)
COMMIT = $(shell git rev-parse HEAD 2>/dev/null)$(shell git diff --quiet HEAD 2>/dev/null || echo +changes)
BASE ?= python:3.11-slim
TORCH_INDEX ?=
GPU_BUILD ?=
TARGETS ?= cpu
BUILD ?= docker build --network host
BUILD_ARGS = --build-arg BASE=$(BASE) --build-arg VERSION=$(VERSION) --build-arg GIT_COMMIT=$(COMMIT)
BUILD_STEPS = $(BUILD) -f docker/Dockerfile $(BUILD_ARGS) --build-arg TORCH_INDEX=$(TORCH_INDEX)

help: ## Show this help
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-13s %s\n", $$1, $$2}'

# Exact versions; torch is whatever build the package index serves for this machine.
$(INSTALLED): pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[pipeline,dev]'
	@# The metadata of rbo, which tests compare with, asks for numpy<2; it works with 2.
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps rbo==0.1.3
	@touch $@

run: $(INSTALLED) ## Install what is needed, get ml-100k, run the whole pipeline; ARGS="--source FILE ..." for more
	$(BIN)/finest run --config quickstart --state $(STATE) $(ARGS)

# Unit tests and the examples of docstrings: no processes, no services, about a minute.
test-fast: $(INSTALLED) ## Run the tests that need no processes and services, in about a minute
	$(BIN)/python -m pytest tests/unit finest

# Four processes on two cores: many tests wait for services of their own. A file's tests share what they start, and
# go to one process, in the order of tests/conftest.py. One that crashes is not replaced: loadfile would wait for ever.
test: $(INSTALLED) ## Run all tests
	$(BIN)/python -m pytest --numprocesses 4 --dist loadfile --no-loadscope-reorder --max-worker-restart 0

lint: $(INSTALLED) ## Check style, types and spelling
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/codespell

bench: $(INSTALLED) ## Measure ratios against named peers; most of an hour, writes benchmarks/latest.json
	$(BIN)/python -m benchmarks.bench

bench-gpu: $(INSTALLED) ## The rows that need a GPU; writes benchmarks/latest-gpu.json
	$(BIN)/python -m benchmarks.bench --gpu

bench-peers: $(INSTALLED) ## Train RecBole to convergence again, for hours; writes benchmarks/peers
	$(BIN)/python -m benchmarks.peer_curves

quality: $(INSTALLED) ## Measure docs/quality.md: ours, simple recommenders and peers; hours, goes on where it was stopped
	$(BIN)/python -m benchmarks.quality $(ARGS)

compile: $(INSTALLED) ## Write pipeline.yaml for a Kubeflow Pipelines backend
	$(BIN)/finest compile --output pipeline.yaml

docs: $(INSTALLED) ## Write the pages that come from the code: every key of a config, and the components' inputs and outputs
	$(BIN)/finest config docs > docs/config.md
	$(BIN)/finest config schema > pipeline/configs/config.schema.json
	$(BIN)/python -m tests.component_readmes

images: $(addprefix image-,$(TARGETS)) image-mlflow ## Build the images of the steps and of the MLflow server; TARGETS="cpu gpu" for both
	@docker image ls --format '{{.Repository}}:{{.Tag}}  {{.Size}}, built {{.CreatedSince}}' --filter reference='finest*:$(VERSION)*'

image-cpu:
	$(BUILD_STEPS) -t finest:$(VERSION) .

image-gpu:
	$(BUILD_STEPS) --build-arg GPU=1 --build-arg TORCH_BUILD=$(GPU_BUILD) -t finest:$(VERSION)-gpu .

image-mlflow:
	$(BUILD) -f docker/mlflow/Dockerfile $(BUILD_ARGS) -t finest-mlflow:$(VERSION) .

# The services stay up, for a look into MLflow and for the next run; `make services-stop` ends them.
run-docker: $(INSTALLED) ## The same in containers, against an MLflow server on PostgreSQL and S3; needs Docker and `make images`
	@services="$$($(BIN)/python -m tests.services start $(STATE)/services)" && eval "$$services" && set -x && \
	$(BIN)/finest run --runner docker --config quickstart --state $(STATE) $(ARGS)

services-stop: $(INSTALLED) ## End the services that run-docker has started
	$(BIN)/python -m tests.services stop $(STATE)/services

ui: export FINEST_STATE = $(STATE)
ui: $(INSTALLED) ## Serve the MLflow UI on what runs have left; prints the address of the table of runs
	@$(BIN)/python -c 'from tracking import links; print("Open", links.home())'
	$(BIN)/mlflow ui --backend-store-uri "$$($(BIN)/python -c 'from tracking import store; print(store.uri())')"

clean: ## Remove the virtual environment and caches; runs and models in $(STATE) stay
	rm -rf .venv build finest.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

.PHONY: help run test-fast test lint bench bench-gpu bench-peers quality compile docs images image-cpu image-gpu image-mlflow run-docker services-stop ui clean
