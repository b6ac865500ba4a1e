# Two commands are enough on a fresh machine: `make demo` and `make test`. Each makes the environment it needs.
PYTHON ?= python3
VENV ?= .venv
# The training stack is pinned through its own extra; torch first, so that no other build of it is pulled in.
TORCH ?= torch==2.13.0
BIN := $(VENV)/bin
PIP := $(BIN)/pip install --quiet --disable-pip-version-check
export OMP_NUM_THREADS ?= 1
export TOKENIZERS_PARALLELISM ?= false
export HF_HUB_DISABLE_TELEMETRY ?= 1
export NO_MKDOCS_2_WARNING ?= 1

.PHONY: demo tutorials notebooks test check chaos full format clean clean-demo benchmarks docs help
help:
	@echo "make demo    a real fine-tuning on this machine, end to end, offline"
	@echo "make tutorials  four tutorials on four providers, offline: 16 real fine-tunings, and a table"
	@echo "make test    the tests"
	@echo "make check   format, lint, types, layers, documentation"
	@echo "make chaos   all attacks on the promise that nothing is paid twice, lost or told, and what they came to"
	@echo "make full    all that is slow besides: benchmarks, long tests"

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "ftkit needs Python 3.11 or later")'
	@$(PYTHON) -m venv $(VENV)

$(VENV)/.run: pyproject.toml | $(VENV)/bin/python
	@echo "Installing the training stack into $(VENV) (a few minutes the first time) ..."
	@$(PIP) $(TORCH)
	@$(PIP) -e '.[local,plots]'
	@touch $@

PLUGINS := plugins/ftkit-bedrock plugins/ftkit-together

$(VENV)/.dev: $(VENV)/.run pyproject.toml tests/plugins/ftkit-memory/pyproject.toml $(PLUGINS:%=%/pyproject.toml)
	@echo "Installing what the tests need into $(VENV) ..."
	@$(PIP) -e '.[local,plots,parquet,server,openai,azure,ray,dev]' -e tests/plugins/ftkit-memory \
		$(PLUGINS:%=-e '%[dev]')
	@touch $@

demo: $(VENV)/.run
	@PYTHONUNBUFFERED=1 FTKIT_HOME="$${FTKIT_HOME:-$(CURDIR)/.demo}" $(BIN)/python examples/text_to_sql.py

# The tutorials need what the vendors' own packages bring, and AutoTrain's environment.
tutorials: $(VENV)/.dev
	@FTKIT_CACHE="$${FTKIT_CACHE:-$(CURDIR)/.cache}" $(BIN)/ftkit autotrain setup
	@FTKIT_CACHE="$${FTKIT_CACHE:-$(CURDIR)/.cache}" FTKIT_HOME="$(CURDIR)/.tutorials/home" \
		PYTHONUNBUFFERED=1 $(BIN)/python examples/all_tutorials.py --out .tutorials

# The notebooks are made of the scripts; a test says when that was forgotten.
notebooks: $(VENV)/.dev
	@$(BIN)/python examples/make_notebooks.py

test: $(VENV)/.dev
	@$(BIN)/python -m pytest -m "not full" -n 2 --dist loadgroup

check: $(VENV)/.dev
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy
	@$(BIN)/mypy $(PLUGINS:%=%/src)
	@$(BIN)/pyright --pythonpath $(BIN)/python
	@$(BIN)/lint-imports
	@$(BIN)/mkdocs build --strict --site-dir site > .mkdocs.log 2>&1 || { cat .mkdocs.log; exit 1; }

# What the attacks came to is a line each in this file; the table is made of it, also where one of them failed.
chaos: $(VENV)/.dev
	@rm -f .chaos.jsonl
	@status=0; \
	FTKIT_CHAOS=all FTKIT_CHAOS_REPORT=$(CURDIR)/.chaos.jsonl \
		$(BIN)/python -m pytest -m attack -n 2 --dist loadgroup || status=1; \
	$(BIN)/python -m ftkit.testing.tally .chaos.jsonl || status=1; \
	exit $$status

full: check test tutorials benchmarks chaos
	@$(BIN)/python -m pytest -m "full and not attack"
# Trackio wants an older Pillow, and brings what uvicorn would take up by itself: it lives in a folder of its own.
	@$(PIP) --target .trackio --upgrade --no-deps trackio==0.43.0 pillow==12.3.0 brotli gradio_client orjson
	@PYTHONPATH=.trackio $(BIN)/python -m pytest tests/trackers -k trackio
	@$(BIN)/python mutation/maps.py
	@$(PIP) atheris && mkdir -p .fuzz && cd .fuzz && $(abspath $(BIN))/python ../fuzz/fuzz_reader.py -max_total_time=600

benchmarks: $(VENV)/.dev
	@$(BIN)/python benchmarks/overhead.py
	@$(BIN)/python benchmarks/imports.py
	@$(BIN)/python benchmarks/server.py
	@$(BIN)/python benchmarks/waiting.py
	@$(PIP) orjson
	@$(BIN)/python benchmarks/dataset_check.py
	@$(BIN)/python benchmarks/dataset_warnings.py
	@$(BIN)/python benchmarks/processes.py
	@FTKIT_CACHE="$${FTKIT_CACHE:-$(CURDIR)/.cache}" $(BIN)/ftkit autotrain setup
	@FTKIT_CACHE="$${FTKIT_CACHE:-$(CURDIR)/.cache}" $(BIN)/python benchmarks/autotrain.py

docs: $(VENV)/.dev
	@$(BIN)/mkdocs serve

format: $(VENV)/.dev
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix .

clean-demo:
	rm -rf .demo .tutorials

clean: clean-demo
	rm -rf $(VENV) site .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
