# Cloister. Two commands matter: `make run` and `make test`.

PORT ?= 8000
TORCH ?= auto
ifndef PYTHON
PYTHON := $(shell for p in python3.11 python3 python3.12 python3.13; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && break; done)
endif
PYTEST_ARGS ?= -n 2 --dist loadfile

BIN := .venv/bin
# those that need data of others
DATA_BENCHES := $(patsubst %,benchmarks/%.py,answer_quality catalog_questions chunking injection \
	parsing retrieval_quality support)
BENCHES := $(filter-out $(DATA_BENCHES),$(wildcard benchmarks/[a-z]*.py))
# vectors that one measurement makes and another can take
KEPT := --kept build/quality/vectors.sqlite
export TORCH PYTHON
.DEFAULT_GOAL := help
.PHONY: docs help setup answer run test test-all lint bench benches quality measure pins clean python

help: ## Show this list
	@echo "Cloister: answers about your private documents, with sources you can check."
	@echo
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)
	@echo
	@echo "  PORT=8001 make run          another port"
	@echo "  TORCH=auto|cpu|cuda         which build of PyTorch is installed"
	@echo "  CLOISTER_HOME=FOLDER        another data directory than data/"

python:
	@test -n "$(PYTHON)" || { echo "Cloister needs Python 3.11 or newer; none was found." \
		"Install it, or name it: make PYTHON=/path/to/python3.11" >&2; exit 1; }

setup: python ## Make .venv, install the pinned packages, fetch the starter models
	@$(PYTHON) -m tools.setup

answer: setup ## Take in the sample documents and answer one question on the terminal
	@$(BIN)/python -m tools.first_run

run: python ## Set up, take in the sample documents, answer a question, serve the page
	@$(PYTHON) -m tools.port $(PORT)
	@$(MAKE) --no-print-directory setup
	@exec $(BIN)/python -m tools.first_run --serve $(PORT)

test: python ## Set up with test packages, then the test suite (under 20 minutes)
	@$(PYTHON) -m tools.setup --extra test
	@$(BIN)/python -m tools.browser
	@$(BIN)/python -m tools.offline $(BIN)/python -m pytest -m "not slow" $(PYTEST_ARGS)

test-all: python ## Every test, the slow ones and those of further packages too
	@$(PYTHON) -m tools.setup --extra test --extra quantized --extra server-test
	@$(BIN)/python -m tools.browser
	@$(BIN)/python -m tools.offline $(BIN)/python -m pytest $(PYTEST_ARGS)

lint: python ## ruff (rules and format) and mypy
	@$(PYTHON) -m tools.setup --extra test --no-models
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

bench: setup ## The benchmarks, one after the other
	@set -e; for bench in $(BENCHES); do echo "== $$bench"; $(BIN)/python "$$bench"; done

benches:
	@echo $(BENCHES)

quality: setup ## Everything measured on data of others, into docs/quality.md: make quality DATA=FOLDER
	@test -d "$(DATA)" || { echo "Name the folder of the sets: make quality DATA=FOLDER" >&2; exit 2; }
	@mkdir -p build/quality
	$(BIN)/python benchmarks/chunking.py --data "$(DATA)/chroma_chunking" $(KEPT) --every 3 --write
	$(BIN)/python benchmarks/retrieval_quality.py --data "$(DATA)" $(KEPT) --write
	$(BIN)/python benchmarks/answer_quality.py --data "$(DATA)" $(KEPT) \
		--answers build/quality/answers.jsonl --write
	$(BIN)/python benchmarks/support.py --data "$(DATA)" $(KEPT) --write
	$(BIN)/python benchmarks/injection.py --data "$(DATA)" --kept build/quality/injection.jsonl --write

measure: python ## Time and bytes of a first `make answer` in a fresh copy (README's figures)
	@$(PYTHON) -m tools.measure_setup $(ARGS)

pins: python ## Rewrite constraints.txt from what .venv holds
	@$(BIN)/python -m tools.pins

docs: setup ## Write the generated parts of README.md
	@$(BIN)/python -m tools.docs

clean: ## Remove .venv and caches; documents and models (data/) stay
	rm -rf .venv .setup.lock build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find . -name __pycache__ -not -path './data/*' -prune -exec rm -rf {} +
