# Two commands do everything, set-up included:  make demo   make test
.DEFAULT_GOAL := help
PY := .venv/bin/python
NOCIBAND := .venv/bin/nociband
DEMO_SECONDS ?= 60
export DEMO_SECONDS

.PHONY: help setup setup-all demo test test-fast lint gen gen-check bench doctor clean

help: ## this list
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /\1|/' | awk -F'|' '{printf "  make %-10s %s\n", $$1, $$2}'

setup: ## Debian packages, .venv and pinned wheels for the demo and the CLI (.venv/bin/nociband)
	@host_tools/setup.sh demo

setup-all: ## the same for everything: training, conversion, tests
	@host_tools/setup.sh all

demo: setup ## the main job: emulated band, radio, SDK, face, fusion, monitor (DEMO_SECONDS=60; 0 = until Ctrl-C)
	@$(NOCIBAND) demo

test: setup-all gen-check ## all tests
	@$(PY) -m pytest

test-fast: setup-all ## the tests that take under 3 minutes together
	@$(PY) -m pytest -m "not slow" -n 2 --dist loadfile

lint: setup-all ## ruff, mypy, clang-format
	@.venv/bin/ruff check .
	@.venv/bin/mypy
	@clang-format --dry-run --Werror $$(git ls-files 'firmware/**/*.c' 'firmware/**/*.h' | grep -v -e nb_model_data -e /nb_spec/)

gen: setup ## write what is generated from sdk/nociband/spec: C headers, docs/wire.md
	@$(PY) -m nociband_tools.generate

gen-check: setup ## fail if a generated file differs from the contract
	@$(PY) -m nociband_tools.generate --check

bench: setup ## instruction counts on the emulated Cortex-M4F, flash and RAM: the band, then the kernels by shape and scheme
	@$(NOCIBAND) bench
	@$(NOCIBAND) bench kernels

doctor: setup ## what is there, what is missing and how to get it
	@$(NOCIBAND) doctor

clean: ## delete what was built here (not .venv)
	@rm -rf build
