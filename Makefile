# `make demo` on a bare machine: Python 3.11+, make and git, nothing else.
.DEFAULT_GOAL := help
.PHONY: help setup setup-dev demo up test test-slow check reference bench clean lock

UV_VERSION := 0.13.9
BIN := .venv/bin
# uv trusts its own list of authorities, pip the system's; behind a company's proxy only the system's list knows the proxy.
SYSTEM_CERTS := $(if $(wildcard /etc/ssl/certs/ca-certificates.crt /etc/pki/tls/certs/ca-bundle.crt /etc/ssl/cert.pem /etc/ssl/ca-bundle.pem),1,0)
UV := UV_PROJECT_ENVIRONMENT=.venv UV_COMPILE_BYTECODE=1 UV_NO_PROGRESS=1 UV_SYSTEM_CERTS=$${UV_SYSTEM_CERTS:-$(SYSTEM_CERTS)} $(BIN)/uv
# Code servers and heavy runs are new interpreters: without bytecode each import takes seconds.
unexport PYTHONDONTWRITEBYTECODE

help: ## Say what can be made
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1\t\2/p' Makefile | expand -t 18

.venv/bin/uv: Makefile
	@python=; for candidate in $(PYTHON) python3 python3.14 python3.13 python3.12 python3.11; do \
	  if "$$candidate" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 15))' 2>/dev/null; then python=$$candidate; break; fi; \
	done; \
	if [ -z "$$python" ]; then echo 'omc: Python 3.11 to 3.14 is needed; PYTHON=/path/to/python names one' >&2; exit 2; fi; \
	[ -x $(BIN)/python ] || "$$python" -m venv .venv
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check uv==$(UV_VERSION)
	@touch $@

.venv/.synced: .venv/bin/uv pyproject.toml uv.lock
	@echo 'Installing what OMC needs (first time: a minute or two) ...'
	@$(UV) sync --quiet --locked --inexact --no-dev
	@touch $@

.venv/.synced-dev: .venv/.synced
	@$(UV) sync --quiet --locked --inexact
	@touch $@

setup: .venv/.synced ## Install OMC into .venv
setup-dev: .venv/.synced-dev ## ... with what tests and checks need

demo: setup ## Collect, judge, compute, brief: everything once, headless
	@$(BIN)/omc demo

up: setup ## Run the platform: Dagster UI, daemon, sandbox; Ctrl-C stops it
	@$(BIN)/omc up

test: setup-dev ## Run the tests that take seconds
	@$(BIN)/python -m pytest -q -m 'not slow' $(TESTS)

test-slow: setup-dev ## Run the tests that kill, fuzz, fill disks or start whole platforms
	@$(BIN)/python -m pytest -q -m slow $(TESTS)

check: setup-dev ## Lint, types, import contracts
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-cache

reference: setup-dev ## Write the generated parts of docs/reference/ from the code
	@$(BIN)/python docs/generate.py

bench: setup ## Measure, each figure beside its baseline
	@$(BIN)/omc bench $(BENCH)

lock: .venv/bin/uv ## Resolve the dependencies anew
	@$(UV) lock --upgrade

clean: ## Remove what was built (not the data in .omc)
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .hypothesis
