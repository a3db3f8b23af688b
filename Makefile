# Needs python3 (3.11 or newer), make and, the first time, a network. `make help` lists what there is.

PYTHON ?= python3
BIN := .venv/bin
STAMP := .venv/.ready
PYTEST := $(BIN)/python -m pytest

.DEFAULT_GOAL := help
.PHONY: help setup demo test check format unit bench faults up down lock generate clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-9s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: $(STAMP) ## make the virtual environment, from locked and hashed requirements

$(STAMP): requirements/dev.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed; this is " + sys.version.split()[0] + ". Name another: make PYTHON=python3.13 …")'
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv || { rm -rf .venv; echo "python3 lacks its venv module; on Debian: apt install python3-venv" >&2; exit 1; }
	@echo "installing the locked requirements into .venv …"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/dev.txt
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

demo: $(STAMP) ## start everything embedded, tell a small story; its report stays in demo-report/; KEEP=1 stays up
	@$(BIN)/segmentation demo $(if $(KEEP),--keep)

test: check ## run all checks and all tests
	@$(PYTEST)

check: $(STAMP) ## formatting, lint, types, import contracts, stale generated files
	@$(BIN)/ruff format --check --quiet .
	@$(BIN)/ruff check --quiet .
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-logo
	@$(BIN)/python -m schemas.export --check

unit: $(STAMP) ## only the tests without services
	@$(PYTEST) tests/unit tests/tidy

faults: $(STAMP) ## the long fault and soak runs
	@$(PYTEST) -m slow -o timeout=3600

bench: $(STAMP) ## measure, beside a peer and a limit; N=… commands, WHAT=drain latency …
	@$(BIN)/python -m benchmarks $(WHAT) $(if $(N),--commands $(N))

up: ## start Kafka, PostgreSQL and two workers with Docker Compose
	docker compose up --build --detach --wait kafka postgres worker

down: ## stop them; VOLUMES=1 deletes their data too
	docker compose down $(if $(VOLUMES),--volumes)

format: $(STAMP) ## format the code and mend what the linter can
	@$(BIN)/ruff format --quiet .
	@$(BIN)/ruff check --fix --quiet .

generate: $(STAMP) ## write the generated documents again
	@$(BIN)/python -m schemas.export
	@$(BIN)/segmentation settings --markdown > docs/settings.md
	@$(BIN)/segmentation settings --env > .env.example

lock: $(STAMP) ## resolve the requirements anew
	@$(BIN)/uv pip compile --quiet --upgrade --universal --generate-hashes --no-emit-index-url pyproject.toml -o requirements/run.txt --custom-compile-command "make lock"
	@$(BIN)/uv pip compile --quiet --upgrade --universal --generate-hashes --no-emit-index-url requirements/build.in -o requirements/build.txt --custom-compile-command "make lock"
	@$(BIN)/uv pip compile --quiet --upgrade --universal --generate-hashes --no-emit-index-url --all-extras pyproject.toml -o requirements/dev.txt --custom-compile-command "make lock"

clean: ## delete the virtual environment and caches
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis *.egg-info tests/asyncapi/node_modules tests/browser/node_modules demo-report
