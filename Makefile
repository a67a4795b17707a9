PYTHON ?= python3
BIN := .venv/bin
SEEDS ?=
RESULTS ?= results
EXTRA ?=
EXPERIMENT ?=
IMAGENET ?=
BACKBONES ?= resnet50 dino_resnet50 dino_vits16
VIEWS ?=
CIFAR_STUDIES = $(notdir $(patsubst %/study.yaml,%,$(wildcard $(RESULTS)/cifar_*/study.yaml)))

.DEFAULT_GOAL := help
.PHONY: help setup status report compare power tune demo test test-slow lint format docs bench cifar-short cifar-long imagenet-probe lock clean

help:  ## this list
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## */\t/' | expand -t 16

setup: .venv/ready  ## make .venv and install the pinned packages

.venv/ready: requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(0 if sys.version_info >= (3, 11) else "Python 3.11 or newer is needed, this is " + sys.version.split()[0] + "; name another one: make PYTHON=python3.12 ...")'
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@

status: setup  ## how far the studies are
	@$(BIN)/seedspread status

report: setup  ## STUDY=digits, or STUDY=[cifar_short,cifar_long]: tables, figures and TensorBoard bands
	@$(if $(STUDY),,echo 'name a study: make report STUDY=digits' >&2;) \
		$(BIN)/seedspread report 'study=$(or $(STUDY),null)'

compare: setup  ## BASELINE=one CANDIDATE=other: is it better, and how sure
	@$(if $(and $(BASELINE),$(CANDIDATE)),,echo 'name two: make compare BASELINE=one CANDIDATE=other' >&2;) \
		$(BIN)/seedspread compare 'baseline=$(or $(BASELINE),null)' 'candidate=$(or $(CANDIDATE),null)' $(EXTRA)

power: setup  ## STD=0.23 DIFFERENCE=0.1: how many seeds show it
	@$(BIN)/seedspread power std=$(or $(STD),null) difference=$(or $(DIFFERENCE),null) $(EXTRA)

tune: setup  ## EXPERIMENT=digits: search its settings, judge the best on fresh seeds; EXTRA="trials=64"
	@$(BIN)/seedspread tune experiment=$(or $(EXPERIMENT),digits) $(EXTRA)

demo: setup  ## 20 seeds of a small ResNet-9 on handwritten digits, offline
	@$(BIN)/python -m src.train -m 'seed=range(0,20)' experiment=digits study=demo

test: setup  ## the tests: minutes on 2 cores
	$(BIN)/python -m pytest -n auto -m "not slow"

test-slow: setup  ## the rest of the tests: kills and interrupts, Ray, Slurm, the wheel, the benchmarks of a GPU
	$(BIN)/python -m pytest -n 2 -m slow -rs

lint: setup  ## ruff, mypy, and the order of the rooms (import-linter)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	PYTHONPATH=src $(BIN)/lint-imports --no-logo --no-cache

format: setup  ## put the code into ruff's format
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

docs: setup  ## the site of docs/ and README.md: site/index.html; a link that leads nowhere is an error
	$(BIN)/mkdocs build --config-file docs/mkdocs/mkdocs.yml

bench: setup  ## seeds an hour against rivals: table and logs/bench.json
	$(BIN)/python -m benchmarks.run

cifar-short: setup  ## the paper's 22 epochs; SEEDS="range(0,10000)", EXTRA="data.source=PATH"
	$(BIN)/python -m src.train -m 'seed=$(or $(SEEDS),range(0,10000))' experiment=cifar_short $(EXTRA)

cifar-long: setup  ## the paper's 45 epochs; SEEDS="range(0,500)", EXTRA="data.source=PATH"
	$(BIN)/python -m src.train -m 'seed=$(or $(SEEDS),range(0,500))' experiment=cifar_long $(EXTRA)

imagenet-probe: setup  ## the paper's second table by linear probes; IMAGENET=PATH, SEEDS, BACKBONES, VIEWS, EXTRA
	@$(if $(IMAGENET),,echo 'say where ImageNet is, a folder that holds train/<wnid>/*.JPEG and val/<wnid>/*.JPEG: make imagenet-probe IMAGENET=/data/imagenet' >&2; exit 1)
	@for backbone in $(BACKBONES); do \
		$(BIN)/python -m src.train -m 'seed=$(or $(SEEDS),range(0,50))' experiment=imagenet_$$backbone \
			'data.root=$(IMAGENET)' results=$(RESULTS) $(if $(VIEWS),data.views=$(VIEWS)) $(EXTRA) || exit 1; \
	done
	@$(BIN)/seedspread report "study=[$$(echo $(BACKBONES:%=imagenet_%) $(CIFAR_STUDIES) | tr ' ' ,)]" results=$(RESULTS)

lock:  ## pin the packages of pyproject.toml anew (needs uv)
	uv pip compile --universal --python-version 3.11 --all-extras --generate-hashes --no-header -o requirements.lock pyproject.toml

clean:  ## remove .venv, site/ and caches; results/ and data/ stay
	rm -rf .venv site .mypy_cache .ruff_cache .pytest_cache .hypothesis
