PYTHON ?= python3
BIN := .venv/bin
SEEDS ?=
EXTRA ?=

.DEFAULT_GOAL := help
.PHONY: help setup status report demo test test-slow lint format bench cifar-short cifar-long lock clean

help:  ## this list
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## */\t/' | expand -t 14

setup: .venv/ready  ## make .venv and install the pinned packages

.venv/ready: requirements.lock
	@$(PYTHON) -c 'import sys; sys.exit(0 if sys.version_info >= (3, 11) else "Python 3.11 or newer is needed, this is " + sys.version.split()[0] + "; name another one: make PYTHON=python3.12 ...")'
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements.lock
	@touch $@

status: setup  ## how far the studies are
	@$(BIN)/python -m src.status

report: setup  ## STUDY=digits, or STUDY=[cifar_short,cifar_long]: tables, figures and TensorBoard bands
	@$(BIN)/python -m src.report 'study=$(or $(STUDY),null)'

demo: setup  ## 20 seeds of a small ResNet-9 on handwritten digits, offline
	@$(BIN)/python -m src.train -m 'seed=range(0,20)' experiment=digits

test: setup  ## the tests, 3 to 4 minutes on 2 cores
	$(BIN)/python -m pytest -n auto -m "not slow"

test-slow: setup  ## those of minutes: 30 kills, a Ray cluster, a Slurm
	$(BIN)/python -m pytest -m slow

lint: setup  ## ruff and mypy
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: setup  ## put the code into ruff's format
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: setup  ## a training step against a plain PyTorch loop; sweeps against Hydra's own; reports
	$(BIN)/python -m benchmarks.step
	$(BIN)/python -m benchmarks.sweep
	$(BIN)/python -m benchmarks.report

cifar-short: setup  ## the paper's 22 epochs; SEEDS="range(0,10000)", EXTRA="data.source=PATH"
	$(BIN)/python -m src.train -m 'seed=$(or $(SEEDS),range(0,10000))' experiment=cifar_short $(EXTRA)

cifar-long: setup  ## the paper's 45 epochs; SEEDS="range(0,500)", EXTRA="data.source=PATH"
	$(BIN)/python -m src.train -m 'seed=$(or $(SEEDS),range(0,500))' experiment=cifar_long $(EXTRA)

lock:  ## pin the packages of pyproject.toml anew (needs uv)
	uv pip compile --universal --python-version 3.11 --all-extras --generate-hashes --no-header -o requirements.lock pyproject.toml

clean:  ## remove .venv and caches; results/ and data/ stay
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .hypothesis
