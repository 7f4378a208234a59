# Everything runs in .venv; stamp files in .make/ keep a second run from installing again.
PYTHON ?= python3
VENV   := .venv
PY     := $(VENV)/bin/python
CODE   := $(wildcard src tests bench tools docs/conf.py)
TYPED  := $(wildcard src/armillary tests bench tools)

.PHONY: lint type test-only
lint:
	$(PY) -m ruff check $(CODE)
	$(PY) -m ruff format --check $(CODE)

type:
	$(PY) -m mypy $(TYPED)
