# Every command a person types. The first one that needs it makes the virtual environment.

DATASET ?= digits
METHODS ?= core
METHOD ?= noprop
PRESET ?= quick
TRIALS ?= 20
SEEDS ?=
EPOCHS ?=
RUN ?=
DEVICE ?=
ARGS ?=
PYTHON ?= python3

BIN := .venv/bin
STAMP := .venv/.installed

.DEFAULT_GOAL := help
.PHONY: help setup bench campaign data tune report overview microbench profile test lint clean

help:  ## list these commands
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12
	@echo
	@echo "Variables of bench: DATASET=$(DATASET) METHODS=$(METHODS) PRESET=$(PRESET) SEEDS=0,1,2 EPOCHS=7"
	@echo "Variables of tune: the same without SEEDS, and TRIALS=$(TRIALS)"
	@echo "ARGS passes any other flag on: make bench ARGS='--train-size 10000'; 'python -m bench.run --help' lists them"

setup: $(STAMP)  ## create the virtual environment (.venv) and install everything

$(STAMP): pyproject.toml
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev]'
	@touch $(STAMP)

bench: $(STAMP)  ## train, measure and report: make bench DATASET=mnist METHODS=noprop,backprop SEEDS=0,1,2
	@$(BIN)/python -m bench.run --datasets '$(DATASET)' --methods '$(METHODS)' --preset '$(PRESET)' \
		$(if $(SEEDS),--seeds '$(SEEDS)') $(if $(EPOCHS),--epochs '$(EPOCHS)') $(ARGS)

campaign: $(STAMP)  ## make the runs behind the answer, or go on with them: make campaign DEVICE=cuda ARGS=--estimate
	@$(BIN)/python -m bench.campaign $(if $(DEVICE),--device '$(DEVICE)') $(ARGS)

data: $(STAMP)  ## download and verify a data set, and show what is in it: make data DATASET=cifar10
	@$(BIN)/python -m bench.data '$(DATASET)' $(ARGS)

tune: $(STAMP)  ## tune every method with the same number of trials: make tune DATASET=mnist METHODS=noprop,backprop
	@$(BIN)/python -m bench.tune --datasets '$(DATASET)' --methods '$(METHODS)' --preset '$(PRESET)' --trials '$(TRIALS)' \
		$(if $(EPOCHS),--epochs '$(EPOCHS)') $(ARGS)

report: $(STAMP)  ## rebuild a report, by default of the newest run: make report RUN=results/runs/... ARGS=--html
	@$(BIN)/python -m reports.build $(RUN) $(ARGS)

overview: $(STAMP)  ## make the page over all runs in results/reference again: make overview
	@$(BIN)/python -m reports.overview $(ARGS) results/reference/*

microbench: $(STAMP)  ## time every method's calls and compare with the last time; RUN=results/runs/... adds them to that report
	@$(BIN)/python -m bench.microbench $(if $(RUN),--run '$(RUN)') $(ARGS)

profile: $(STAMP)  ## show where a method's time goes: make profile METHOD=noprop DATASET=digits
	@$(BIN)/python -m bench.profile --method '$(METHOD)' --dataset '$(DATASET)' $(ARGS)

test: $(STAMP)  ## run the tests, a file per core at a time, those that take long first
	@OMP_NUM_THREADS=1 OMP_WAIT_POLICY=passive $(BIN)/python -m pytest -n logical --maxprocesses 4 \
		--dist loadfile --no-loadscope-reorder $(ARGS)

lint: $(STAMP)  ## check style, types and layers of imports
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache --no-logo

clean:  ## remove the virtual environment and caches, keep results
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .hypothesis build *.egg-info
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
