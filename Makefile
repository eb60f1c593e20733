# `make` alone prints this help.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
SECONDS ?= 60
export PIP_DISABLE_PIP_VERSION_CHECK = 1

.DEFAULT_GOAL := help
.PHONY: help demo test test-llm fuzz check bench transparency docs rules clean

help: ## what can be made
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 10

$(VENV)/.demo: pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "poet_hook needs Python 3.11 or newer; say: make PYTHON=python3.11 ...")'
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --editable '.[examples]'
	@touch $@

$(VENV)/.dev: pyproject.toml $(VENV)/.demo
	$(BIN)/python -m pip install --quiet --editable '.[dev,bench]'
	@touch $@

demo: $(VENV)/.demo ## learn on real, labelled data, offline, in under two minutes
	$(BIN)/python examples/03_real_world/run.py

test: $(VENV)/.dev ## the whole test suite
	$(BIN)/python -m pytest --quiet --numprocesses auto --dist worksteal --cov --cov-report=term --cov-fail-under=85

fuzz: $(VENV)/.dev ## readers of pragmas, records, replies, code and versions on random input, SECONDS=60 for each
	PYTHONPATH=tests $(BIN)/python -m fuzz --seconds $(SECONDS)

check: $(VENV)/.dev ## ruff, mypy --strict, import-linter
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: $(VENV)/.dev ## figures: ns per call, false promotions of the gate, regret after N feedbacks, safety
	$(BIN)/python benchmarks/call.py
	$(BIN)/python benchmarks/gate.py
	$(BIN)/python benchmarks/learning.py
	$(BIN)/python benchmarks/safety.py

transparency: $(VENV)/.dev ## the suites of real packages, enhanced and plain (fetches them)
	$(BIN)/python -m tests.transparency.run

test-llm: $(VENV)/.dev ## the tests with a small real model on loopback (fetches it)
	$(BIN)/python -m tests.real_llm.run

docs: $(VENV)/.dev ## run every code block of the documentation
	$(BIN)/python -m pytest --quiet tests/test_docs.py

rules: $(VENV)/.dev ## write docs/rules.md from poet_hook/cli/rules
	$(BIN)/python -m poet_hook rule > docs/rules.md.new
	mv docs/rules.md.new docs/rules.md

clean: ## remove the virtual environment and all that was made
	rm -rf $(VENV) .venv-llm .transparency .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache .coverage* htmlcov build dist
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
	rm -rf examples/*/out benchmarks/out
