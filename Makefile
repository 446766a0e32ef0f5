PYTHON ?= python3
# The release of torch that the tests ran on; TORCH=torch takes the newest.
TORCH ?= torch==2.13.0
VENV := .venv
BIN := $(VENV)/bin
PYTEST := $(BIN)/python -m pytest

.PHONY: demo quick test package torture bench check style types layers verdicts docs clean

demo: $(VENV)/installed
	$(BIN)/sparring demo

# The mathematics and the contracts of all pieces.
quick: $(VENV)/installed-dev
	$(PYTEST) tests/maths tests/contracts

# Two processes, each of which keeps one core busy.
test: $(VENV)/installed-dev
	$(PYTEST) -n 2 --dist loadfile

# Source archive and wheel; the wheel in an environment of its own, where the demo runs.
package: $(VENV)/installed-dev
	.ci/package $(BIN)/python

torture: $(VENV)/installed-dev
	cd tests && ../$(BIN)/python -m torture $(TORTURE)

bench: $(VENV)/installed-dev
	$(BIN)/python -m benchmarks $(BENCH)

check: style types layers verdicts

style: $(VENV)/installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(VENV)/installed-dev
	$(BIN)/mypy

layers: $(VENV)/installed-dev
	$(BIN)/lint-imports

verdicts: $(VENV)/installed-dev
	$(BIN)/sparring reproduce --check ledger

# The site in build/docs: tutorials are run, references resolved, then pages are opened in a browser, if there is one.
docs: $(VENV)/installed-docs
	$(BIN)/python -m sphinx -q -W --keep-going -j 2 docs build/docs
	$(PYTEST) docs/site/check_site.py

$(VENV)/bin/python:
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "sparring needs Python 3.11 or newer; try make PYTHON=python3.11")'
	$(PYTHON) -m venv $(VENV)

$(VENV)/installed: $(VENV)/bin/python pyproject.toml
	$(BIN)/python -m pip install --quiet --disable-pip-version-check $(TORCH) -e .
	touch $@

$(VENV)/installed-dev: $(VENV)/bin/python pyproject.toml
	$(BIN)/python -m pip install --quiet --disable-pip-version-check $(TORCH) -e '.[dev]'
	touch $@ $(VENV)/installed

$(VENV)/installed-docs: $(VENV)/installed-dev
	$(BIN)/python -m pip install --quiet --disable-pip-version-check $(TORCH) -e '.[docs]'
	touch $@

clean:
	rm -rf $(VENV) build dist docs/api .pytest_cache .mypy_cache .ruff_cache .hypothesis
