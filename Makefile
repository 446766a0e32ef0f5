PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.PHONY: demo test units promises torture bench check clean

demo: $(VENV)/installed
	$(BIN)/sparring demo

# Side by side: each half keeps one core busy.
test: $(VENV)/installed-dev
	$(MAKE) --no-print-directory -j2 --output-sync=target units promises

units: $(VENV)/installed-dev
	$(BIN)/python -m pytest --ignore=tests/test_promises.py

promises: $(VENV)/installed-dev
	$(BIN)/python -m pytest tests/test_promises.py

torture: $(VENV)/installed-dev
	cd tests && ../$(BIN)/python -m torture $(TORTURE)

bench: $(VENV)/installed-dev
	$(BIN)/python -m benchmarks $(BENCH)

check: $(VENV)/installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

$(VENV)/bin/python:
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "sparring needs Python 3.11 or newer; try make PYTHON=python3.12")'
	$(PYTHON) -m venv $(VENV)

$(VENV)/installed: $(VENV)/bin/python pyproject.toml
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e .
	touch $@

$(VENV)/installed-dev: $(VENV)/bin/python pyproject.toml
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[dev]'
	touch $@ $(VENV)/installed

clean:
	rm -rf $(VENV) build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis
