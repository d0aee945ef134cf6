# Every target sets itself up: a bare machine needs Python 3.11 to 3.13, make and a shell.
SHELL := /bin/sh
.DEFAULT_GOAL := help
.PHONY: help install demo dev test test-all test-thorough test-slow chart-test lint format bench lock clean dbt-docs

VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
FIND_PYTHON = for python in python3 python3.13 python3.12 python3.11; do \
	if $$python -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' 2>/dev/null; then echo $$python; exit; fi; done

help: ## What there is to make
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-13s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

install: $(INSTALLED) ## A .venv with the locked dependencies, and the packages, editable

$(INSTALLED): requirements.lock pyproject.toml shopify_sandbox/pyproject.toml
	@python=$${PYTHON:-$$($(FIND_PYTHON))}; \
	if [ -z "$$python" ]; then echo "xeno-pipeline needs Python 3.11, 3.12 or 3.13 on the PATH (or PYTHON=/path/to/it)." >&2; exit 1; fi; \
	test -x $(BIN)/python || $$python -m venv $(VENV)
	$(BIN)/python scripts/install_locked.py
	@touch $@

demo: install ## Sandbox stores to marts, through Dagster, with a summary, and a link to their dashboard
	$(BIN)/xeno demo

dev: install ## The dashboard, Dagster UI, daemon, gateway and sandbox on loopback, over what the demo left
	$(BIN)/xeno dev

PYTEST := $(BIN)/python -m tests.support.supervise -n auto --dist loadfile --no-loadscope-reorder --durations 10

test: install ## What fails when something is broken, in minutes; prints the coverage
	$(PYTEST) -m "not slow and not thorough" --cov --cov-report term tests

test-all: test test-thorough ## All tests but the slow ones

test-thorough: install ## What `make test` leaves out of it: fuzzed, killed, in the browser, with the demo, over the docs
	$(PYTEST) -m "thorough and not slow"

chart-test: install ## The Helm chart, rendered, validated, and its pods run as processes; part of test-all
	$(BIN)/python -m tests.support.supervise tests/e2e/deployment/test_chart.py tests/e2e/deployment/test_pods.py \
		tests/integration/defs/test_run_launcher.py

test-slow: install ## The long tests in full
	$(BIN)/python -m tests.support.supervise -m slow

lint: install ## ruff, SQL formatting, layers, mypy
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/sqlfmt --check --quiet dbt_project
	$(BIN)/lint-imports --no-cache
	$(BIN)/mypy

dbt-docs: install ## dbt's documentation of the models, built, served on loopback and opened in a browser
	$(BIN)/python -m scripts.dbt_docs

format: install ## Format Python and SQL
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .
	$(BIN)/sqlfmt --quiet dbt_project

bench: install ## The benchmarks: one JSON object, and a table for people
	$(BIN)/python -m tests.bench

LOCK := $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-annotate --no-header \
	--no-strip-extras --no-emit-index-url --no-emit-find-links

lock: ## Pin every dependency again, with hashes and without addresses; the image gets no tools of development
	$(LOCK) pyproject.toml shopify_sandbox/pyproject.toml --extra dev -o requirements.lock
	$(LOCK) pyproject.toml --extra image --extra kubernetes -c requirements.lock -o deploy/requirements.lock

clean: ## Remove what was built (not the data in .xeno)
	rm -rf $(VENV) dbt_project/target dbt_project/logs .mypy_cache .ruff_cache .pytest_cache
