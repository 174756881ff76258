# `make run` and `make test` each set up what they need on a machine with Python 3.11+ and make.
PYTHON ?= python3
ARGS ?=
BIN := .venv/bin

WITH_SERVERS := $(BIN)/python -m pytest -q -n 4 --dist=loadgroup --no-loadscope-reorder -rs
# Those of one server together, the longest first (tests/server_groups.py).
SERVER_TESTS := $(patsubst %,tests/test_%.py,flink_faults flink_own_tables distributed \
  flink_operations flink_runtime flink_sql kafka_sink kafka_second kafka_ledgers kafka_verify \
  questdb_route questdb_faults questdb_sink kafka_faults infra)

.PHONY: run demo-distributed test servers compiled test-servers check fuzz bench lock clean

# Capture a feed (a synthetic exchange day without ARGS) and print what was captured.
# Example: make run ARGS="--feed itch:12302019.NASDAQ_ITCH50.gz"
run: .venv/.run
	@$(BIN)/tickloop run $(ARGS)

# Plant, Kafka, QuestDB and four Flink jobs on this machine, from nothing; needs Java 17 and Maven.
demo-distributed: .venv/.run
	@$(BIN)/python infra/demo/distributed.py $(ARGS)

# Everything that has to hold: style, types, import contracts, tests with and without the JIT, and
# tests with real servers; without Java 17 and Maven, or with TICKLOOP_SERVERS=0, those skip and
# say so.
test: .venv/.test check servers compiled
	TICKLOOP_SERVERS=0 $(BIN)/python -m pytest -q -n 2 --dist=worksteal tests
	NUMBA_DISABLE_JIT=1 $(BIN)/python -m pytest -q -n 2 -m kernel tests
	$(WITH_SERVERS) $(SERVER_TESTS)

# The servers that tests start, installed once into a cache of the user's.
servers: .venv/.test
	@$(BIN)/python -m tests.servers

# The kernels that tests call, compiled once by all processors.
compiled: .venv/.test
	@$(BIN)/python -m tests.compiled

# Tests with real servers alone.
test-servers: servers compiled
	$(WITH_SERVERS) $(SERVER_TESTS)

check: .venv/.test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

# Tests that draw examples, with new ones every time.
fuzz: .venv/.test
	TICKLOOP_FUZZ=1 $(BIN)/python -m pytest -q -n 2 --dist=worksteal -m "not slow" -k "$(or $(ONLY),)" tests

# Every benchmark, printed and written to the benchmark page.
bench: .venv/.test
	$(BIN)/python tests/bench/run.py $(ARGS)

# Pin the requirements anew; needs uv.
lock:
	requirements/lock.sh

.venv/.python:
	@$(PYTHON) -c 'import sys; sys.exit(0 if sys.version_info >= (3, 11) else "Python " + sys.version.split()[0] + " seen, 3.11 or newer needed: make run PYTHON=python3.11")'
	@echo "[1/2] making the environment in .venv (first run only)"
	@$(PYTHON) -m venv .venv
	@touch $@

.venv/.run: .venv/.python requirements/run.txt pyproject.toml
	@echo "[2/2] installing pinned packages (first run only)"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/run.txt
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

.venv/.test: .venv/.run requirements/test.txt
	@echo "installing pinned packages for checks and tests (first run only)"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/test.txt
	@touch $@

clean:
	rm -rf .venv dist
