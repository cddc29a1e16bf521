# `make run` runs everything, `make test` checks everything; both prepare what they need. `make help` lists the rest.
# The Python that .venv is made with: PYTHON=python3.13 before or after `make`, otherwise the first of these.
PYTHON ?= $(shell for python in python3.11 python3; do \
	$$python -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$python && break; done)
# Who names none is content with the one that is there.
IS_OF_PYTHON = $(if $(filter file,$(origin PYTHON)),true,test "$$($(PYTHON) -VV)" = "$$($(BIN)/python -VV)")
BIN := .venv/bin

.PHONY: help run backup restore demo test lint bench soak fuzz permissions requirements venv

help:
	@echo "make run           start everything and stay (PORT=8000, DEMO=0 for no demonstration; Ctrl-C stops it)"
	@echo "make backup        write the database into a new file (FILE=clearance.dump), whether or not \`make run\` runs"
	@echo "make restore       fill an empty database from it and verify the trail (FILE=clearance.dump, ANCHOR=lines of seals)"
	@echo "make demo          load the demonstration into a prepared database, without starting anything else"
	@echo "make test          every check and every test (COVERAGE=1 for what they cover, as .ci/run has it)"
	@echo "make lint          the checks alone"
	@echo "make bench         the measurements in benchmarks/ (BENCH_SIZE=0.01 to see whether they run)"
	@echo "make soak          200 kills of workers in sweep and delivery, and of writers, 40 of servers, 1,000 forgeries (some minutes; SOAK_KILLS=n)"
	@echo "make fuzz          whatever can be sent to the API, as each kind of person (some 7 minutes; FUZZ_EXAMPLES=n, FUZZ_SEED=n)"
	@echo "make permissions   write docs/permissions.md again, from the tables that the tests hold against the doors"
	@echo "make requirements  pin the requirements again from requirements.in and requirements-dev.in"

run: venv
	@exec $(BIN)/python -m clearance.supervisor

backup restore: venv
	@$(BIN)/python -m clearance.backup $@ --file="$$FILE" --anchor="$$ANCHOR"

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

test: MEASURED = --cov --cov-report=term:skip-covered --cov-fail-under=90
test: lint
	$(BIN)/python -m pytest -n auto --maxprocesses=4 --dist=worksteal $(if $(COVERAGE),$(MEASURED))

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

# For the oldest Python on: a lock made for a newer one would lack what the oldest needs besides.
requirements: venv
	$(LOCK) --output-file requirements.txt requirements.in
	$(LOCK) --output-file requirements-dev.txt requirements-dev.in

LOCK = $(BIN)/uv pip compile --quiet --upgrade --universal --python-version=3.11 --generate-hashes --no-header

# .venv holds what the lock names and nothing else; nothing is resolved and nothing compiled (decision 0023).
# Its copy of the lock tells which one it holds: a date would change with every checkout. A link is not emptied: what it
# leads to may be others' too.
venv:
	@cmp -s requirements-dev.txt .venv/installed && $(IS_OF_PYTHON) || { \
		$(or $(PYTHON),false) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
			echo "Clearance needs Python 3.11 or newer, as python3.11, as python3, or as PYTHON says."; exit 1; }; \
		echo "Installing the requirements into .venv …"; \
		$(PYTHON) -m venv $$(test -L .venv || echo --clear) .venv || { echo "See above; on Debian, python3-venv may be missing."; exit 1; }; \
		$(BIN)/python -m pip install --quiet --quiet --disable-pip-version-check --no-deps --require-hashes \
			--only-binary :all: --requirement requirements-dev.txt && \
		said=$$($(BIN)/python -m pip --disable-pip-version-check check) || { echo "$$said"; exit 1; }; \
		cp requirements-dev.txt .venv/installed; }
