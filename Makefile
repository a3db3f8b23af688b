# Needs python3 (3.11 or newer), make and, the first time, a network. `make help` lists what there is.

PYTHON ?= python3
BIN := .venv/bin
STAMP := .venv/.ready
PYTEST := $(BIN)/python -m pytest
PROCESSES ?= 2
# the tests mostly wait, so several files at a time; each process has a Kafka and a PostgreSQL of its own
TOGETHER := --numprocesses $(PROCESSES) --dist loadfile

.DEFAULT_GOAL := help
.PHONY: help setup demo test check lint format unit cover bench faults up down lock generate clean

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

test: check ## run all checks and all tests, of two files at a time; PROCESSES=n: of so many
	@$(PYTEST) $(TOGETHER)

check: lint ## what `lint` does, and whether the generated files are fresh
	@$(BIN)/python -m schemas.export --check

lint: $(STAMP) ## formatting, linter, types, import contracts
	@$(BIN)/ruff format --check --quiet .
	@$(BIN)/ruff check --quiet .
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-logo

unit: $(STAMP) ## only the tests without services
	@$(PYTEST) $(TOGETHER) tests/unit tests/tidy

cover: $(STAMP) ## the tests with their coverage, processes included; WHAT=tests/unit: only those
	@rm -rf .coverage && mkdir .coverage
	@$(BIN)/coverage run -m pytest $(WHAT)
	@$(BIN)/coverage combine --quiet && $(BIN)/coverage report

faults: $(STAMP) ## the long fault and soak runs
	@$(PYTEST) -m slow -o timeout=3600

bench: $(STAMP) ## measure, beside a peer and a limit; N=… commands, WHAT=drain latency …
	@$(BIN)/python -m benchmarks $(WHAT) $(if $(N),--commands $(N))

up: ## start Kafka, PostgreSQL and two workers with Docker Compose; WORKERS=n: so many (else as many as run)
	@docker compose build --quiet migrate
	@workers=$${WORKERS:-$$(docker compose ps --quiet worker | wc -l)}; test "$$workers" = 0 || export WORKERS=$$workers; \
	  docker compose up --detach --wait kafka postgres worker
	@docker image prune --force --filter label=org.opencontainers.image.title=segmentation >/dev/null # the one before

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
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis .coverage *.egg-info tests/asyncapi/node_modules tests/browser/node_modules demo-report
