# make demo    from nothing to the result of the paper: the claims, and the path of the report
# make papers  six papers at their quick presets, and one page that leads to their reports
# make test    the tests, without the slow ones and as if nothing optional were installed;
#              make test-slow and make test-optional run the others
# make faults  kills, full disks and damaged files, while a sweep runs
# make mutants small faults planted in the code, one at a time: does a test notice?
# make bench   ratios against NumPy and PyTorch, on this machine
# make docs    the documentation, to be read without a network: build/docs/index.html; with the
#              reports of make papers, where they are there
# make lint    style, types, and the order of the layers
# make clean   away with everything that was made

PYTHON ?= python3
BIN := .venv/bin
INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt

# Compiling is most of what short tests take: here programs are made fast and run slowly. Slow and
# optional tests run the programs that users run.
COMPILE_FAST := XLA_FLAGS="--xla_backend_optimization_level=0 --xla_cpu_use_fusion_emitters=false"

.DEFAULT_GOAL := demo
.DELETE_ON_ERROR:
.PHONY: demo papers test test-slow test-optional faults mutants bench docs lint clean

demo: .venv/.installed
	$(BIN)/whytrain reproduce liu2019 --preset quick

STUDIES := liu2019 yin2019 sarussi2021 neyshabur2019 li2020 zou2021

# A verdict that is not the expected one (status 1) is for the page to tell, and stops nothing.
papers: .venv/.installed
	for study in $(STUDIES); do \
	  $(BIN)/whytrain reproduce $$study --preset quick || [ $$? -eq 1 ] || exit; \
	done
	$(BIN)/whytrain report whytrain-results

test: .venv/.dev
	$(COMPILE_FAST) $(BIN)/python -m pytest

test-slow: .venv/.dev
	$(BIN)/python -m pytest -m slow

# They skip, and say why, where what they need is not here.
test-optional: .venv/.dev
	$(BIN)/python -m pytest --optional -n 0 -rs

faults: .venv/.dev
	$(BIN)/python tests/faults.py

mutants: .venv/.dev
	$(COMPILE_FAST) $(BIN)/python tests/mutants.py

bench: .venv/.bench
	$(BIN)/python -m benchmarks

docs: .venv/.docs
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --quiet --strict
	@echo 'documentation: build/docs/index.html'

lint: .venv/.dev
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/pyright
	$(BIN)/lint-imports

clean:
	rm -rf .venv .mutants build dist whytrain-results .pytest_cache .ruff_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# Each stamp says that its packages are in .venv; it is renewed when what to install has changed.
# The package is installed as a link to src, so that an edited file needs no new installation.

.venv/.python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	  || { echo 'whytrain needs Python 3.11 or newer; name one: make PYTHON=python3.12' >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null \
	  || { echo 'python3 cannot make virtual environments; run: apt-get install python3-venv' >&2; exit 1; }
	$(PYTHON) -m venv .venv
	@touch $@

.venv/.installed: .venv/.python pyproject.toml constraints.txt
	@echo 'installing whytrain and what it needs into .venv'
	@$(INSTALL) -e .
	@touch $@

.venv/.dev: .venv/.installed
	@echo 'installing what the tests need'
	@$(INSTALL) -e '.[dev]'
	@touch $@

.venv/.bench: .venv/.installed
	@echo 'installing the peers of the benchmarks'
	@$(INSTALL) -e '.[bench]'
	@touch $@

.venv/.docs: .venv/.installed
	@echo 'installing what makes the documentation'
	@$(INSTALL) -e '.[docs]'
	@touch $@
