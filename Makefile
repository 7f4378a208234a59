# Everything runs in .venv. Stamp files in .make/ keep a second call from installing again.
#   make run     install, then simulate two real networks on a real chip
#   make test    install what the tests need, then lint, types and the whole suite
PYTHON  ?= python3
VENV    := .venv
PY      := $(VENV)/bin/python
PIP     := $(PY) -m pip --disable-pip-version-check -q
WORKERS ?= 2
SCRIPTS  = $(patsubst %/,%,$(sort $(dir $(wildcard bench/*.py tools/*.py))))
CODE     = src tests docs/conf.py $(SCRIPTS)
TYPED    = src/armillary tests $(SCRIPTS)
NUDENET := .cache/models/nudenet/320n.onnx

.PHONY: run install test suite lint type test-nightly coverage bench bench-record bench-compare docs snapshot tables clean
.DELETE_ON_ERROR:

run: .make/core $(NUDENET)
	$(VENV)/bin/armillary npu run mobilenet_v2 --chip coral-edge-tpu-usb --out runs/mobilenet_v2 --overwrite
	$(VENV)/bin/armillary npu run $(NUDENET) --shape images=1,3,320,320 --chip coral-edge-tpu-usb \
		--out runs/nudenet_320n --overwrite
	@echo
	@echo "Reports, to open in a browser:"
	@echo "  $(CURDIR)/runs/mobilenet_v2/report.html"
	@echo "  $(CURDIR)/runs/nudenet_320n/report.html"

install: .make/core

# ---- tests

test: .make/test .make/browser
	@$(MAKE) --no-print-directory lint type suite

suite:
	@$(PY) -m tests.warm
	$(PY) -m pytest -n $(WORKERS) --dist worksteal -q

lint:
	$(PY) -m ruff check $(CODE)
	$(PY) -m ruff format --check $(CODE)

type:
	$(PY) -m mypy $(TYPED)

# Every test, long variants and many hypothesis examples included; then the branches of the engine with the JIT off.
test-nightly: .make/test .make/browser
	HYPOTHESIS_PROFILE=nightly ARMILLARY_TEST_SLACK=100 $(PY) -m pytest -n $(WORKERS) --dist worksteal -q \
		-m "nightly or not nightly"
	@$(MAKE) --no-print-directory coverage

coverage: .make/test
	NUMBA_DISABLE_JIT=1 ARMILLARY_TEST_SLACK=100 $(PY) -m coverage run --source=armillary.engine -m pytest tests/engine -q
	$(PY) -m coverage report --fail-under=90

# The public surface, written anew after a change that is meant (then say so in CHANGELOG.md).
snapshot:
	$(PY) -m tests.house.snapshot --write

# The error tables of docs/models, as `armillary validate` obtains them.
tables:
	$(PY) tools/error_tables.py

# ---- measurements

bench: .make/test .make/peers
	$(PY) -m bench $(if $(ONLY),--only $(ONLY))

bench-record: .make/test .make/peers
	$(PY) -m bench --record

bench-compare: .make/test
	$(PY) -m bench --compare

# ---- documents

docs: .make/docs
	$(PY) -m sphinx -W --keep-going -q -b html docs docs/_build/html
	@echo "docs/_build/html/index.html"

# ---- what has to be there first

$(PY):
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "Armillary needs Python 3.11 or newer; name one with: make PYTHON=python3.12" >&2; exit 1; }
	@$(PYTHON) -m venv $(VENV) || \
		{ echo "no virtual environment could be made; on Debian: apt-get install python3-venv" >&2; exit 1; }

.make/core: pyproject.toml constraints.txt | $(PY)
	@echo "installing Armillary (the first time about 750 MB)"
	@$(PIP) install -c constraints.txt -e .
	@mkdir -p .make && touch $@

.make/test: pyproject.toml constraints.txt | $(PY)
	@echo "installing what the tests need"
	@$(PIP) install -c constraints.txt -e '.[test,docs]'
	@mkdir -p .make && touch $@ .make/core .make/docs

.make/docs: pyproject.toml constraints.txt | $(PY)
	@$(PIP) install -c constraints.txt -e '.[docs]'
	@mkdir -p .make && touch $@ .make/core

# Tools that the benchmarks compare with; where one has no wheel, its benchmarks are skipped.
.make/peers: .make/test
	@$(PIP) install -c constraints.txt 'ethos-u-vela>=5.2' || echo "going on without Vela"
	@touch $@

.make/browser:
	@tools/install_chromium.sh && mkdir -p .make && touch $@ || true

# A real detector out of a published package; only the model file is used, the package is not installed.
$(NUDENET): | $(PY)
	@echo "fetching nudenet 3.4.2 for its ONNX file"
	@mkdir -p .cache/models
	@$(PIP) download --no-deps -d .cache/models nudenet==3.4.2
	@cd .cache/models && $(CURDIR)/$(PY) -m zipfile -e nudenet-3.4.2-*.whl .
	@test -f $@ && touch $@

clean:
	rm -rf .make .mypy_cache .ruff_cache .pytest_cache .hypothesis .coverage docs/_build dist build
	find . -name __pycache__ -not -path './.venv/*' -prune -exec rm -rf {} +
