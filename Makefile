# make train [ARGS="model=edge_fixed data=mnist"]   make test   make fuzz [SEEDS=20]   make bench   make clean
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
TESTING := $(VENV)/.testing

SEEDS ?= 20

.PHONY: train test lint fuzz bench clean

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
	$(BIN)/mypy

# One seed: what passes once passes again. New examples of the property tests are fuzz's.
test: lint
	$(BIN)/python -m pytest --numprocesses 2 --hypothesis-seed=0 $(ARGS)

fuzz: $(TESTING)
	for seed in $$(shuf --input-range=1-1000000 --head-count=$(SEEDS)); do \
		env -u CI $(BIN)/python -m pytest --numprocesses 2 -m hypothesis --hypothesis-seed=$$seed $(ARGS) || exit 1; \
	done

bench: $(INSTALLED)
	$(BIN)/python benchmarks/training.py $(ARGS)

clean:
	rm -rf $(VENV)
