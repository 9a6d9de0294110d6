# Every target sets up what it needs from Python 3.11 or newer alone.
.DEFAULT_GOAL := help
.PHONY: help run demo services test check bench client format lint lock hooks clean setup browser screenshots
SHELL := /bin/sh

# The first Python on PATH that is new enough; PYTHON=… chooses another.
PYTHON ?= $(shell for python in python3.12 python3.11 python3 python3.13 python3.14 python; do \
	"$$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo "$$python" && break; done)
PY := .venv/bin/python
CODE := shared web workers client local tests bench bin/setup
# What to test, and on which PostgreSQL: make test TESTS='tests/sql -k spend' PG=16
TESTS ?=
PG ?= 18
# For every Python from 3.11 on and every system that has wheels.
LOCK := --quiet --universal --python-version=3.11 --generate-hashes --no-strip-extras $(UPGRADE)
STEP = @printf '\n==> %s\n'

help: ## show this
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "make %-11s %s\n", $$1, $$2 }' Makefile

run: setup ## everything on embedded defaults, on http://localhost:8000, with demo traffic
	@$(PY) -m local.run

demo: setup ## buy, spend, be charged once, refund: unattended, exit status 0 if the books are right
	@$(PY) -m local.demo

services: setup ## only PostgreSQL, Redis, the local Stripe and Supabase Auth; settings in .local/services.env
	@$(PY) -m local.services

test: setup browser ## all tests, or those of TESTS='…', on PostgreSQL 18 or PG=…
	$(PY) -m pytest --pg $(PG) $(TESTS)

check: setup browser ## format, lint, types, SQL lint, import rules, tests on PostgreSQL 18, SQL tests also on 16
	@$(MAKE) --no-print-directory lint
	$(STEP) 'tests on PostgreSQL 18'
	$(PY) -m pytest
	$(STEP) 'SQL tests on PostgreSQL 16'
	$(PY) -m pytest --pg 16 $(wildcard tests/sql) tests/embedded

lint: setup ## format, lint, types, import rules, SQL lint, workflows
	$(STEP) 'format'
	$(PY) -m ruff format --check $(wildcard $(CODE))
	$(STEP) 'lint'
	$(PY) -m ruff check $(wildcard $(CODE))
	$(STEP) 'types'
	$(PY) -m mypy
	$(STEP) 'import rules'
	$(PY) -c 'from importlinter.cli import lint_imports_command; lint_imports_command()'
	$(STEP) 'SQL lint'
	.venv/bin/squawk --config .squawk.toml sql/migrations/*.sql
	.venv/bin/sqlfluff lint --processes 2 --disable-progress-bar sql
	$(PY) -m local.plpgsql $(PLPGSQL)
	$(STEP) 'workflows'
	.venv/bin/check-jsonschema --builtin-schema vendor.github-workflows .github/workflows/*.yml
	.venv/bin/check-jsonschema --builtin-schema vendor.dependabot .github/dependabot.yml
	.venv/bin/check-jsonschema --builtin-schema vendor.github-issue-forms .github/ISSUE_TEMPLATE/[!c]*.yml
	.venv/bin/check-jsonschema --builtin-schema vendor.github-issue-config .github/ISSUE_TEMPLATE/config.yml
	.venv/bin/zizmor --offline --quiet --no-progress .

format: setup ## format the code and fix what can be fixed
	$(PY) -m ruff format $(wildcard $(CODE))
	$(PY) -m ruff check --fix-only $(wildcard $(CODE))

lock: setup ## write requirements.txt and requirements-dev.txt from the .in files; UPGRADE=--upgrade takes new versions
	.venv/bin/uv pip compile $(LOCK) --output-file=requirements.txt requirements.in
	.venv/bin/uv pip compile $(LOCK) --output-file=requirements-dev.txt requirements-dev.in

hooks: setup ## run the checks of .pre-commit-config.yaml before each commit
	.venv/bin/pre-commit install

client: setup ## build the Python client into dist/; with TAG=v1.2.3 only if that is its version
	@$(PY) -c 'import sys; from shared.version import VERSION; sys.exit(sys.argv[1] not in ("", f"v{VERSION}"))' "$(TAG)" \
		|| { echo '$(TAG) is not the version in shared/version.py'; exit 1; }
	rm -rf dist
	.venv/bin/uv build client --out-dir dist --require-hashes --build-constraints requirements-dev.txt

bench: setup ## benchmarks, written to bench/results.json
	@$(PY) -m bench

screenshots: setup browser ## pictures of every page, in docs/images and .local/screenshots
	@$(PY) -m local.screenshots

clean: ## remove everything that the other targets made
	rm -rf .venv .local dist client/src/refill_client.egg-info .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

setup:
	@test -n "$(PYTHON)" || { echo 'Refill needs Python 3.11 or newer on PATH (or: make PYTHON=/path/to/python3)'; exit 1; }
	@"$(PYTHON)" bin/setup

browser: setup
	@$(PY) -m local.chromium
