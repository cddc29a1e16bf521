# `make run` runs everything, `make test` checks everything; both prepare what they need. `make help` lists the rest.
PYTHON := $(shell for python in python3.11 python3; do \
	$$python -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$python && break; done)
BIN := .venv/bin

.PHONY: help run demo test lint bench soak fuzz permissions requirements venv

help:
	@echo "make run           start everything and stay (PORT=8000, DEMO=0 for no demonstration; Ctrl-C stops it)"
	@echo "make demo          load the demonstration into a prepared database, without starting anything else"
	@echo "make test          every check and every test, with coverage"
	@echo "make lint          the checks alone"
	@echo "make bench         the measurements in benchmarks/"
	@echo "make soak          200 kills of workers in sweep and delivery, and of writers, 40 of servers, 1,000 forgeries (some minutes; SOAK_KILLS=n)"
	@echo "make fuzz          whatever can be sent to the API, as each kind of person (some 7 minutes; FUZZ_EXAMPLES=n, FUZZ_SEED=n)"
	@echo "make permissions   write docs/permissions.md again, from the tables that the tests hold against the doors"
	@echo "make requirements  pin the requirements again from requirements.in and requirements-dev.in"

run: venv
	@exec $(BIN)/python -m clearance.supervisor

demo: export DEBUG ?= 1
demo: venv
	@$(BIN)/python manage.py load_demo

# The checks and the tests see the test servers only, never a developer's own (conftest.py does the same for pytest).
lint: export DEBUG = 1
lint: export DATABASE_URL = $(TEST_DATABASE_URL)
lint: export REDIS_URL = $(TEST_REDIS_URL)
lint: export VAR_DIR = $(CURDIR)/var/test
lint: venv
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/lint-imports
	$(BIN)/mypy
	$(BIN)/djlint --check --lint --quiet .
	$(BIN)/python manage.py makemigrations --check --dry-run
	$(BIN)/python manage.py spectacular --validate --fail-on-warn --format openapi-json --file var/test/openapi.json
	@cmp -s var/test/openapi.json docs/openapi.json || { \
		echo "docs/openapi.json is out of date: cp var/test/openapi.json docs/openapi.json"; exit 1; }

test: lint
	$(BIN)/python -m pytest -n auto --maxprocesses=4 --cov --cov-report=term:skip-covered --cov-fail-under=90

bench: venv
	$(BIN)/python -m benchmarks

soak: export SOAK_KILLS ?= 200
soak: export SOAK_FORGERIES ?= 1000
soak: venv
	$(BIN)/python -m pytest clearance/tests/test_soak.py clearance/tests/test_chaos.py audit/tests/test_kills.py audit/tests/test_verify.py --capture=no --quiet

fuzz: export FUZZ_EXAMPLES ?= 1
fuzz: venv
	$(BIN)/python -m pytest clearance/tests/test_fuzz.py --capture=no --quiet

permissions: export WRITE_PERMISSIONS = 1
permissions: venv
	$(BIN)/python -m pytest clearance/tests/test_permissions.py -k ThePage --quiet

requirements: venv
	$(BIN)/uv pip compile --quiet --upgrade --universal --generate-hashes --no-header --output-file requirements.txt requirements.in
	$(BIN)/uv pip compile --quiet --upgrade --universal --generate-hashes --no-header --output-file requirements-dev.txt requirements-dev.in

# The copy of the requirements in .venv tells which ones it holds: a date would change with every checkout.
venv:
	@cmp -s requirements-dev.txt .venv/installed || { \
		test -n "$(PYTHON)" || { echo "Clearance needs Python 3.11 or newer, as python3.11 or python3."; exit 1; }; \
		echo "Installing the requirements into .venv …"; \
		$(PYTHON) -m venv .venv || { echo "See above; on Debian, python3-venv may be missing."; exit 1; }; \
		$(BIN)/python -m pip install --quiet --quiet --disable-pip-version-check --no-deps --require-hashes \
			--only-binary :all: -r requirements-dev.txt && \
		$(BIN)/python -m pip --disable-pip-version-check check --quiet && \
		cp requirements-dev.txt .venv/installed; }
