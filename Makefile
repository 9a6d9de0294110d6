# Every target sets up what it needs from Python 3.11 or newer alone.
.DEFAULT_GOAL := help
.PHONY: help run demo services test check bench format lint clean setup browser screenshots
SHELL := /bin/sh

# The first Python on PATH that is new enough; PYTHON=… chooses another.
PYTHON ?= $(shell for python in python3.12 python3.11 python3 python3.13 python3.14 python; do \
	"$$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo "$$python" && break; done)
PY := .venv/bin/python
CODE := shared web workers client local tests bench bin/setup
STEP = @printf '\n==> %s\n'

help: ## show this
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "make %-11s %s\n", $$1, $$2 }' Makefile

run: setup ## everything on embedded defaults, on http://localhost:8000, with demo traffic
	@$(PY) -m local.run

demo: setup ## buy, spend, be charged once, refund: unattended, exit status 0 if the books are right
	@$(PY) -m local.demo

services: setup ## only PostgreSQL, Redis, the local Stripe and Supabase Auth; settings in .local/services.env
	@$(PY) -m local.services

test: setup browser ## all tests
	$(PY) -m pytest

check: setup browser ## format, lint, types, SQL lint, import rules, tests on PostgreSQL 18, SQL tests also on 16
	$(STEP) 'format'
	$(PY) -m ruff format --check $(wildcard $(CODE))
	@$(MAKE) --no-print-directory lint
	$(STEP) 'tests on PostgreSQL 18'
	$(PY) -m pytest
	$(STEP) 'SQL tests on PostgreSQL 16'
	$(PY) -m pytest --pg 16 $(wildcard tests/sql) tests/embedded

lint: setup ## lint, types, import rules, SQL lint
	$(STEP) 'lint'
	$(PY) -m ruff check $(wildcard $(CODE))
	$(STEP) 'types'
	$(PY) -m mypy
	$(STEP) 'import rules'
	$(PY) -c 'from importlinter.cli import lint_imports_command; lint_imports_command()'
	$(STEP) 'SQL lint'
	.venv/bin/squawk --config .squawk.toml sql/migrations/*.sql

format: setup ## format the code and fix what can be fixed
	$(PY) -m ruff format $(wildcard $(CODE))
	$(PY) -m ruff check --fix-only $(wildcard $(CODE))

bench: setup ## benchmarks, written to bench/results.json
	@$(PY) -m bench

screenshots: setup browser ## pictures of every page, in docs/images and .local/screenshots
	@$(PY) -m local.screenshots

clean: ## remove everything that the other targets made
	rm -rf .venv .local .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

setup:
	@test -n "$(PYTHON)" || { echo 'Refill needs Python 3.11 or newer on PATH (or: make PYTHON=/path/to/python3)'; exit 1; }
	@"$(PYTHON)" bin/setup

browser: setup
	@$(PY) -m local.chromium
