# make train [ARGS="model=edge_fixed data=mnist"]   make test   make bench   make clean
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
TESTING := $(VENV)/.testing

.PHONY: train test lint bench clean

$(INSTALLED): pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade "pip>=25.1"
	$(BIN)/python -m pip install --editable .
	touch $@

$(TESTING): $(INSTALLED)
	$(BIN)/python -m pip install --group test
	touch $@

train: $(INSTALLED)
	$(BIN)/python scripts/train.py model=edge_init $(ARGS)

lint: $(TESTING)
	$(BIN)/ruff check
	$(BIN)/ruff format --check

test: lint
	$(BIN)/python -m pytest --numprocesses 2 $(ARGS)

bench: $(INSTALLED)
	$(BIN)/python benchmarks/training.py $(ARGS)

clean:
	rm -rf $(VENV)
