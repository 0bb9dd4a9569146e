# Each target makes .venv and installs what it needs, once. PYTHON chooses the interpreter (3.11 or newer).
PYTHON ?= python3
BIN := .venv/bin
RUN ?= runs/demo

.PHONY: demo test test-quick torture wheel lab slides experiments lint bench clean

demo: .venv/installed
	$(BIN)/python -m llamavid_kit demo --out $(RUN)$(if $(QUICK),-quick --quick)$(if $(ANIMALS), --animals)

# Other families of video LLMs come last, with the extra [models] in a folder that only these tests look into: an index
# may pair a CPU build of torch with a torchvision for GPUs, beside which transformers does not import.
OTHERS := tests/model/test_transformers_video.py tests/model/test_audit.py tests/experiments/test_other_families.py
test: lint .venv/models
	OMP_NUM_THREADS=1 $(BIN)/pytest -n 2 --dist loadfile --no-loadscope-reorder
	LLAMAVID_MODELS=.venv/models OMP_NUM_THREADS=1 $(BIN)/pytest $(OTHERS)

# All but the tests marked slow: lessons, browser, commands of the guides, kills, training worlds.
test-quick: .venv/installed
	OMP_NUM_THREADS=1 $(BIN)/pytest -n 2 --dist loadfile --no-loadscope-reorder -m "not slow"

# Kills, pairs of processes, damaged and hostile files, limits, scale. PARTS= and SHARE= choose some of it.
torture: .venv/installed
	OMP_NUM_THREADS=1 $(BIN)/python tests/torture $(PARTS) $(if $(SHARE),--share $(SHARE))

# The package as others get it: built, installed into an empty environment, run from a folder without this one.
wheel: .venv/installed
	rm -rf dist build
	$(BIN)/pip wheel --quiet --no-deps --wheel-dir dist .
	$(PYTHON) -m venv build/env
	build/env/bin/pip install --quiet --no-compile -c constraints.txt dist/*.whl
	cd build && env/bin/python -P -m data_prep toy --out street --train-per-class 1 --test-per-class 1
	cd build && env/bin/python -P -m llamavid_kit ask street/Videos/Arson/Arson002_x264.mp4 "What happens in the video?"

lab: .venv/installed
	$(BIN)/jupyter lab notebooks

# The course as slides for a lecture, runs/slides/*.html; they open without a network. NOTEBOOKS= chooses some.
slides: .venv/installed
	$(BIN)/python -m llamavid_kit slides $(or $(NOTEBOOKS),$(wildcard notebooks/[0-9]*.ipynb))

# The laboratory: every experiment, and runs/lab/report.html. QUICK=1 runs each on a few clips; NAMES= chooses some.
experiments: .venv/installed
	$(BIN)/python -m llamavid_kit experiments $(NAMES) $(if $(QUICK),--quick)

lint: .venv/installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check llamavid_kit data_prep tests
	$(BIN)/mypy

bench: .venv/installed
	$(BIN)/python -m llamavid_kit bench

.venv/installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --upgrade pip
	$(BIN)/pip install -c constraints.txt -e '.[notebooks,test]'
	touch $@

.venv/models: .venv/installed
	$(BIN)/pip install -c constraints.txt --no-deps --target $@ torchvision num2words docopt
	touch $@

clean:
	rm -rf .venv runs
