# make first-night   sets everything up and runs the demonstration
# make test          sets up what the tests need and runs lint, types, import rules and the three tiers of tests
# make setup | lint | docs | bench-smoke | clean

PYTHON ?= python3
VENV   ?= .venv

# The version tested. On Linux the registry's own build carries CUDA (several GB); where a CPU build is wanted, name it:
#   make first-night TORCH='torch==2.13.0+cpu --extra-index-url URL-OF-THE-CPU-BUILDS'
#   make first-night TORCH=/path/to/torch-2.13.0+cpu-....whl
TORCH  ?= torch==2.13.0

BIN   := $(VENV)/bin
# of fourteen thousand modules a quarter is used; only those are compiled
PIP   := $(BIN)/python -m pip install --quiet --disable-pip-version-check --no-compile
COMPILE := $(BIN)/python -c 'import matplotlib.pyplot, peft, slowwave.night.sleep, slowwave.serve.app'
STAMP := $(VENV)/.stamp
unexport PYTHONDONTWRITEBYTECODE

.PHONY: first-night test setup lint models docs bench-smoke clean

first-night: setup models
	$(BIN)/slowwave first-night

setup: $(STAMP)-package

models: $(STAMP)-package
	$(BIN)/slowwave models pull

test: $(STAMP)-test
	$(MAKE) -j2 lint models
	$(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder

lint: $(STAMP)-test
	$(BIN)/ruff check src tests bench studies docs
	$(BIN)/mypy
	$(BIN)/lint-imports

docs: $(STAMP)-package
	$(BIN)/python docs/make_settings.py

bench-smoke: $(STAMP)-bench models
	$(BIN)/python bench/night_quality.py --smoke --seeds 1 --json $(VENV)/bench-smoke.json

clean:
	rm -rf $(VENV) build dist .pytest_cache .mypy_cache .ruff_cache .import_linter_cache
	find src tests bench studies -name __pycache__ -type d -prune -exec rm -rf {} +

$(STAMP)-venv:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	    || { echo "slowwave needs Python 3.11 or newer: make PYTHON=python3.12 $(MAKECMDGOALS)" >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)
	@touch $@

# torch alone and first: a build that is already chosen is not chosen again by the dependencies of the package.
$(STAMP)-torch: $(STAMP)-venv
	$(PIP) $(TORCH)
	@touch $@

$(STAMP)-package: $(STAMP)-torch pyproject.toml
	$(PIP) --editable .
	@$(COMPILE)
	@touch $@

$(STAMP)-test: $(STAMP)-torch pyproject.toml
	$(PIP) --editable '.[test]'
	@$(COMPILE)
	@touch $(STAMP)-package $@

$(STAMP)-bench: $(STAMP)-package
	$(PIP) --editable '.[bench]'
	@touch $@
