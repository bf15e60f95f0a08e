# Every command sets up what it needs: .venv is made of the versions in constraints.txt.

PYTHON ?= python3
BIN := .venv/bin
READY := .venv/.ready
PEERS := .venv/.peers
# make bench KEEP=1
KEPT := $(if $(filter-out 0 no false,$(KEEP)),--keep)

.PHONY: help demo demo-serve test check test-full mutants faults faults-drawn faults-full bench bench-full jars quick-start pictures configuration clean prerequisites s3-server mlflow-server browser

help:
	@echo "make demo       60 sample days, the chain on them, a few predictions"
	@echo "make demo-serve predictions into a PostgreSQL and a Redis of its own, look-ups, and the REST service"
	@echo "make test       the test suite"
	@echo "make check      lint, format, types, layers and the quick unit tests: no server, no browser, no command, in under a minute"
	@echo "make test-full  the test suite with the tests that take minutes"
	@echo "make mutants    takes one safeguard of the lake out at a time: a test must fail each time"
	@echo "make faults     kill, cut off, damage and fill what can be, and check that nothing is lost"
	@echo "make faults-drawn  one case of each fault and store, and 33 more that are drawn"
	@echo "make faults-full  the same with five times as many seeds"
	@echo "make bench      the benchmarks, into benchmarks/results/local.json (KEEP=1: into latest.json, which git tracks)"
	@echo "make bench-full the same with those that take an hour"
	@echo "make jars       Spark's jars for S3, once"
	@echo "make quick-start  Spark's classes in an archive that its JVM maps, once, as the making of .venv does"
	@echo "make pictures   the pictures of README.md, by the model of a sample lake (LAKE=lake: of the one that make demo left)"
	@echo "make configuration  docs/configuration.md, from the classes that declare the settings"
	@echo "make browser    a browser for the tests of the report, where there is none"
	@echo "make clean      remove all that these made, except lakes, logs, .tools and what is below the user's cache"

demo: $(READY)
	@bash examples/demo.sh

# On the lake of `make demo`, which it makes where it is missing.
demo-serve: $(READY)
	@bash examples/demo_serve.sh

# With CHECKED=yes without the tests that `make check` has just run.
test: $(READY) s3-server mlflow-server browser
	$(BIN)/pytest -n 4 $(if $(CHECKED),-m "not full and (processes or slow)") tests/unit
	$(BIN)/pytest -n 3 --dist loadscope --no-loadscope-reorder tests/chain tests/spark

check: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/pytest -n 2 -m "not full and not processes and not slow" tests/unit

test-full: $(READY) s3-server mlflow-server browser
	$(BIN)/pytest -m "" tests

mutants: $(READY) s3-server
	$(BIN)/python -m tests.mutants

faults: $(READY) s3-server
	$(BIN)/python -m tests.faults

faults-drawn: $(READY) s3-server
	$(BIN)/python -m tests.faults --drawn 33

faults-full: $(READY) s3-server
	$(BIN)/python -m tests.faults --seeds 5

bench: $(PEERS) s3-server
	$(BIN)/python -m benchmarks.bench $(KEPT)

bench-full: bench
	$(BIN)/python -m benchmarks.smote --full $(KEPT)
	$(BIN)/python -m benchmarks.scoring $(KEPT)

jars: $(READY)
	$(BIN)/python -m spark_lib.session.s3a

quick-start: $(READY)
	$(BIN)/python -m spark_lib.session.startup

pictures: $(READY) browser
	$(BIN)/python -m scripts.pictures $(if $(LAKE),--lake "$(LAKE)")

configuration: $(READY)
	$(BIN)/python -m scripts.configuration

clean:
	rm -rf .venv build dist *.egg-info .hypothesis .import_linter_cache .mypy_cache .pytest_cache .ruff_cache
	rm -rf artifacts derby.log metastore_db spark-warehouse
	find benchmarks examples scripts spark_lib tasks tests -name __pycache__ -prune -exec rm -rf {} +
	rm -rf __pycache__

s3-server: $(READY)
	@PYTHON=$(BIN)/python sh scripts/versitygw.sh >/dev/null

mlflow-server: $(READY)
	@PYTHON=$(BIN)/python sh scripts/mlflow.sh >/dev/null

browser:
	@sh scripts/chromium.sh >/dev/null

prerequisites:
	@sh scripts/prerequisites.sh "$(PYTHON)" >/dev/null

# Order-only: the machine is looked at every time, .venv is made again only when the versions changed.
$(READY): setup.cfg pyproject.toml constraints.txt | prerequisites
	@echo "Making .venv from constraints.txt: a few minutes the first time"
	@"$$(sh scripts/prerequisites.sh "$(PYTHON)")" -m venv --clear .venv
	@PIP_CONSTRAINT=constraints.txt $(BIN)/python -m pip install --quiet --disable-pip-version-check --editable ".[test,dev]"
	@echo "Archiving Spark's classes, so that it starts sooner: a minute, once"
	@$(BIN)/python -m spark_lib.session.startup || echo "Going on without: make quick-start tries again"
	@touch $@

# What the benchmarks hold Daystone against, which nothing else needs.
$(PEERS): $(READY)
	@PIP_CONSTRAINT=constraints.txt $(BIN)/python -m pip install --quiet --disable-pip-version-check --editable ".[bench]"
	@touch $@
