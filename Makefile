# Maru's tasks. `make` alone lists them.

PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV := .venv
BIN := $(VENV)/bin
TORCH := .cache/torch
DISTRIBUTIONS := libs/contracts libs/kit services/ingest services/sentiment services/ideas services/gateway maru
SHELL := /bin/bash
.DEFAULT_GOAL := help
.PHONY: help setup run quick test test-torch faults fuzz lint format types schemas bench eval learning docs kafka clean

help: ## list the tasks
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | awk -F':.*## ' '{printf "  %-10s %s\n", $$1, $$2}'

setup: $(VENV)/.runtime ## make .venv with maru in .venv/bin, and build the board
	@$(BIN)/python services/gateway/web/build.py

$(VENV)/bin/uv: requirements/build.txt
	@"$(PYTHON)" -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Maru needs Python 3.11 or newer")'
	@test -x $(BIN)/python || "$(PYTHON)" -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --require-hashes -r requirements/build.txt
	@touch $@

$(VENV)/.runtime: $(VENV)/bin/uv requirements/runtime.txt $(addsuffix /pyproject.toml,$(DISTRIBUTIONS))
	@echo "Installing Maru into $(VENV) …"
	@$(BIN)/uv pip install --quiet --compile-bytecode --python $(BIN)/python --require-hashes -r requirements/runtime.txt
	@$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation $(addprefix -e ,$(DISTRIBUTIONS))
	@$(BIN)/python -m compileall -q $(wildcard $(addsuffix /maru_*,$(DISTRIBUTIONS)))
	@touch $@

$(VENV)/.dev: $(VENV)/.runtime requirements/dev.txt
	@echo "Installing what tests and checks need …"
	@$(BIN)/uv pip install --quiet --compile-bytecode --python $(BIN)/python --require-hashes -r requirements/dev.txt
	@touch $@

run: setup ## run all of Maru with a sample workspace, until Ctrl-C
	@exec $(BIN)/maru up --sample

quick: setup $(VENV)/.dev ## test on the embedded mode alone, while you work
	@$(BIN)/pytest -q -n 2 -m "not kafka and not postgres and not browser and not slow"

test: setup $(VENV)/.dev ## run all tests, on the embedded mode and on Kafka and PostgreSQL
	@tests/servers/install.sh
	@$(BIN)/python services/gateway/web/build.py test
	@$(BIN)/pytest -n 2 --dist loadgroup

$(TORCH)/.ready: $(VENV)/bin/uv $(wildcard requirements/*.txt) $(addsuffix /pyproject.toml,$(DISTRIBUTIONS))
	@echo "Installing Maru with PyTorch into $(TORCH) …"
	@test -x $(TORCH)/bin/python || "$(PYTHON)" -m venv $(TORCH)
	@$(BIN)/uv pip install --quiet --python $(TORCH)/bin/python --require-hashes $(addprefix -r requirements/,build.txt runtime.txt dev.txt torch.txt)
	@$(BIN)/uv pip install --quiet --python $(TORCH)/bin/python --no-deps --no-build-isolation $(addprefix -e ,$(DISTRIBUTIONS))
	@touch $@

test-torch: $(TORCH)/.ready ## test models that torch runs, in a virtual environment of their own (gigabytes)
	@$(TORCH)/bin/python -m pytest -q tests/with_torch

faults: setup $(VENV)/.dev ## run the long form of the fault tests, and the mutants that they must notice
	@tests/servers/install.sh
	@$(BIN)/pytest -q tests/faults --rounds 20
	@cd tests && ../$(BIN)/python -m faults.mutants

lint: setup $(VENV)/.dev types ## check style, types, and which room may import which
	@$(BIN)/ruff format --check --quiet
	@$(BIN)/ruff check --quiet
	@$(BIN)/lint-imports --no-logo
	@$(BIN)/python services/gateway/web/build.py check

types: $(VENV)/.dev ## check types
	@$(BIN)/mypy

format: $(VENV)/.dev ## put the code into form
	@$(BIN)/ruff check --quiet --fix-only
	@$(BIN)/ruff format --quiet

fuzz: setup $(VENV)/.dev ## give every parser its share of a million odd inputs and write docs/fuzzing.md
	@cd tests && ../$(BIN)/python -m fuzz.campaign

schemas: $(VENV)/.runtime ## write the messages' JSON Schemas
	@$(BIN)/python -m maru_contracts.json_schemas

bench: setup $(VENV)/.dev ## measure, beside named references, and write docs/benchmarks.md
	@tests/servers/install.sh
	@$(BIN)/python -m benchmarks

eval: setup $(VENV)/.dev ## measure the models and write docs/evaluation.md
	@$(BIN)/python -m maru_cli.report

learning: setup $(VENV)/.dev ## train on fewer rows and without each source, and write docs/learning.md
	@$(BIN)/python -m maru_cli.learning

docs: $(VENV)/.runtime ## write the generated pages of docs/
	@$(BIN)/python -m maru_cli.reference

kafka: ## run a local Kafka on port 9092
	@deploy/kafka/run.sh .cache/kafka

clean: ## delete everything that was made
	rm -rf $(VENV) .cache .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	rm -rf services/gateway/web/node_modules services/gateway/maru_gateway/static
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
