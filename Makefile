# Two commands do everything on a fresh machine, each with its own set-up:
#   make demo   train two candidates, gate them against their base, write the report
#   make test   the whole default test suite
# `make check` is what CI runs besides: format, lint, types, then the tests.

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
EXAMPLE := examples/support-desk
DEMO := build/demo
export OMP_WAIT_POLICY ?= PASSIVE
export TOKENIZERS_PARALLELISM ?= false
export HF_HUB_OFFLINE ?= 1

.PHONY: demo test test-slow mutants check lint types bench build clean

$(VENV)/.installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check "$$(grep '^torch==' constraints.txt)"
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[all]'
	touch $@

$(VENV)/.installed-test: $(VENV)/.installed
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[all,test,lint]'
	touch $@

demo: $(VENV)/.installed
	rm -rf $(DEMO)
	$(BIN)/harness init $(DEMO)
	$(BIN)/python $(EXAMPLE)/demo.py $(DEMO)

# Fewer that pass are a failure: something was left out or skipped that should not have been.
AT_LEAST ?= 3000

test: $(VENV)/.installed-test
	$(BIN)/pytest -n 2 --at-least=$(AT_LEAST)

test-slow: $(VENV)/.installed-test
	$(BIN)/pytest -m slow --at-least=15

mutants: $(VENV)/.installed-test
	$(BIN)/python tests/run_mutants.py

lint: $(VENV)/.installed-test
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .

types: $(VENV)/.installed-test
	$(BIN)/python tests/check_types.py

check: lint types test

bench: $(VENV)/.installed-test
	$(BIN)/python benchmarks/run_all.py

build: $(VENV)/.installed-test
	$(BIN)/python -m build --outdir dist .

clean:
	rm -rf $(VENV) dist build *.egg-info .pytest_cache .mypy_cache .ruff_cache
