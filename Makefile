# Each target sets up what it needs in .venv, and does nothing twice. `make` alone lists them.
.DEFAULT_GOAL := help
SHELL := /bin/bash
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
RESULTS := var/test-results
WORKERS ?= 2
# Whole files, since their tests share what takes long to make; the longest first (tests/conftest.py).
SIDE_BY_SIDE = -n $(WORKERS) --dist loadfile --no-loadscope-reorder

# Without bytecode files each `import pymc` costs ten seconds more.
unexport PYTHONDONTWRITEBYTECODE
# The tests run side by side already; small tensors on several threads only wait for each other.
test: export OMP_NUM_THREADS = 1

.PHONY: help install demo serve test check audit format bench clean

help:  ## List the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-8s %s\n", $$1, $$2}'

$(STAMP): pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "Neuron Jury needs Python 3.11 or newer; set PYTHON=/path/to/python3.11"; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --editable '.[dev]'
	touch $@

install: $(STAMP)  ## Install everything into .venv

demo: $(STAMP)  ## Run the whole study on handwritten digits, to the leaderboard and the report
	$(BIN)/python -m demo $(ARGS)

serve: $(STAMP)  ## Open the site (raters and researchers) on http://localhost:8000
	@PATH="$(CURDIR)/$(BIN):$$PATH" scripts/serve

check: $(STAMP)  ## Style, types, who imports whom, migrations, templates, known holes
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python manage.py makemigrations --check --dry-run
	$(BIN)/python manage.py check --fail-level WARNING
	SECRET_KEY="$$($(BIN)/python -c 'import secrets; print(secrets.token_urlsafe(64))')" \
	  NEURONJURY_ENCRYPTION_KEY="$$($(BIN)/python -c 'import secrets; print(secrets.token_urlsafe(48))')" \
	  ALLOWED_HOSTS=neuronjury.example DJANGO_SETTINGS_MODULE=neuronjury.settings.prod \
	  $(BIN)/python manage.py check --deploy --fail-level WARNING
	$(BIN)/python -m pip check
	PATH="$(CURDIR)/$(BIN):$$PATH" scripts/audit

audit: $(STAMP)  ## Known holes in the dependencies (asks the advisory service)
	PATH="$(CURDIR)/$(BIN):$$PATH" scripts/audit

# The migrations are run on PostgreSQL, and on SQLite by the demo and the crash tests; for each
# worker once more they would take ten seconds.
test: check  ## Everything: check, unit, statistical, PostgreSQL and browser tests
	scripts/require-test-packages
	mkdir -p $(RESULTS) && rm -f $(RESULTS)/*.xml
	$(BIN)/python -m pytest $(SIDE_BY_SIDE) --no-migrations -m 'not postgres' \
	  --junitxml $(RESULTS)/sqlite.xml
	scripts/with-postgresql $(BIN)/python -m pytest $(SIDE_BY_SIDE) \
	  -m 'not browser and (postgres or not slow)' \
	  tests/annotation/concurrency tests/annotation/services tests/annotation/models \
	  --junitxml $(RESULTS)/postgresql.xml

format: $(STAMP)  ## Format the code
	$(BIN)/ruff format . && $(BIN)/ruff check --fix .

bench: $(STAMP)  ## Run the benchmarks; DATA=folder of CIFAR-10H for real human ratings
	$(BIN)/python benchmarks/interval_coverage.py
	$(BIN)/python benchmarks/metrics.py --sizes 100
	$(BIN)/python benchmarks/savings.py $(if $(DATA),--data '$(DATA)',--quick)
	$(BIN)/python benchmarks/aggregation.py --speed --largest 1000000
	$(BIN)/python benchmarks/hierarchical.py
	$(BIN)/python benchmarks/scale.py
	$(BIN)/python benchmarks/load.py

clean:  ## Remove the environment and the caches; var/ (your data) stays
	rm -rf $(VENV) .mypy_cache .pytest_cache .ruff_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
