# Every target sets up what it needs; `make help` lists them. Needs Python 3.11+ (with venv) and make, nothing else.
PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
READY  := $(VENV)/.ready
BENCH  ?= .venv-bench
AUDIT  ?= .venv-audit
SITE   ?= .venv-docs

.DEFAULT_GOAL := help
.PHONY: picture audit bench-advise bench-cache bench-hpa bench-ingest bench-load bench-render build campaigns chaos clean demo-judge docs docs-site drill evidence format help install judge-rounds lint lock mutants prove prove-twice rolling size soak storm test test-bare test-fast test-floors test-postgres up

help: ## list the targets
	@awk -F':.*## ' '/^[a-z-]+:.*## /{printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

install: $(READY) ## make .venv and install what requirements.lock pins

$(READY): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "easymo needs Python 3.11 or newer; name one with: make PYTHON=python3.11" >&2; exit 2; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $(READY)

prove: install ## measure the platform before and after (≤ 5 minutes); ARGS='--quick' for a smoke test
	$(BIN)/easymo prove $(ARGS)

prove-twice: install ## two runs one after the other; fails when a promise is kept in one and broken in the other
	@stamp=$$(date -u +%Y-%m-%dT%H-%M-%S) && \
	for run in first second; do $(BIN)/easymo prove --out runs/$$stamp-$$run $(ARGS) || exit $$?; done && \
	$(BIN)/python -m easymo.proof.accepted.consistency runs/$$stamp-first/verdict.json runs/$$stamp-second/verdict.json

# Many tests wait for a server or a process, so there are twice as many workers as cores.
WORKERS ?= $(shell echo $$((2 * $$(nproc))))
PYTEST = $(BIN)/python -m pytest -n $(WORKERS) --dist loadgroup --no-loadscope-reorder

test: install ## all tests; ARGS='-k cache' for some
	$(PYTEST) $(ARGS)

test-fast: install ## what to run before each commit: all that is pure and all that needs a server, 90 s
	$(PYTEST) -m 'not slow and not alone' $(ARGS)

test-bare: install ## the tests that skip where only Python and make are installed: they must skip, and leave nothing
	$(BIN)/python -m tests.session.bare

FLOORS ?= .venv-floors
test-floors: install ## the fast tests on the oldest versions that pyproject.toml allows
	$(BIN)/python -m pip install --quiet --disable-pip-version-check uv==0.13.9
	$(BIN)/uv venv --quiet --allow-existing --python $(BIN)/python $(FLOORS)
	$(BIN)/uv pip install --quiet --python $(FLOORS)/bin/python --resolution lowest-direct --group dev -e '.[cache,embedded,hpa,indexes,load,proof]'
	$(FLOORS)/bin/python -m pytest -n $(WORKERS) --dist loadgroup -m 'not slow and not alone' $(ARGS)

mutants: install ## break the code on purpose, in a copy, and see whether a test notices; ARGS='--only cache'
	$(BIN)/python -m drills.mutants $(ARGS)

size: install ## code lines per package, without docstrings, comments and blanks
	$(BIN)/python -m tests.repo.size

build: install ## the wheel and the source distribution, in dist/
	$(BIN)/python -m hatchling build

lint: install ## ruff, mypy --strict, import contracts, generated docs up to date, no secret in a file
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python -m tests.repo.documents --check
	$(BIN)/python -m tests.repo.reference --check
	$(BIN)/python -m tests.repo.command_reference --check
	$(BIN)/python -m tests.repo.secret_scan

audit: $(AUDIT)/.ready ## known vulnerabilities of what requirements.lock pins; asks the network, so .ci/run does not
	$(AUDIT)/bin/pip-audit --requirement requirements.lock --require-hashes --disable-pip --strict

$(AUDIT)/.ready:
	$(PYTHON) -m venv $(AUDIT)
	$(AUDIT)/bin/python -m pip install --quiet --disable-pip-version-check pip-audit==2.9.0
	@touch $@

format: install ## ruff fix and format
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

up: install ## the platform on the embedded servers, until Ctrl-C
	$(BIN)/python -m easymo_platform up

evidence: install ## accept a run: RUN=runs/<time> (default: the last valid one), FORCE=1 to replace a full run
	$(BIN)/easymo evidence $(RUN) $(if $(FORCE),--force)

docs: install ## fill README.md and docs/performance.md from the accepted verdict.json
	$(BIN)/python -m tests.repo.documents
	$(BIN)/python -m tests.repo.reference
	$(BIN)/python -m tests.repo.command_reference
	$(BIN)/python -m tests.hpa.documents

picture: install ## the first screen of the accepted report, for the README (docs/images/report.png)
	$(BIN)/python -m drills.picture

docs-site: $(SITE)/.ready ## all of docs/ as a searchable site in build/site; a dead link fails
	$(SITE)/bin/python -m sphinx -W --keep-going -q -b html docs build/site

$(SITE)/.ready: pyproject.toml
	$(PYTHON) -m venv $(SITE)
	$(SITE)/bin/python -m pip install --quiet --disable-pip-version-check furo==2025.12.19 myst-parser==5.2.0 sphinx==9.0.4
	@touch $@

bench-cache: $(BENCH)/.ready ## easymo.cache beside its peers, on an idle machine (evidence/cache/)
	$(BENCH)/bin/python -m benchmarks.cache --out evidence/cache

bench-load: $(BENCH)/.ready ## easymo load beside its peers, on an idle machine (evidence/load/)
	$(BENCH)/bin/python -m benchmarks.load --out evidence/load

bench-hpa: install ## the four policies simulated, and the simulator's speed (evidence/hpa/)
	$(BIN)/python -m benchmarks.hpa

bench-render: install ## renders per minute beside ffmpeg in a shell (evidence/render/)
	$(BIN)/python -m benchmarks.render --out evidence/render

bench-advise: install ## advise beside its peers (evidence/indexes/); ARGS='--postgres-mcp PYTHON --index-advisor FILE'
	$(BIN)/python -m benchmarks.advise --out evidence/indexes $(ARGS)
	$(BIN)/python -m benchmarks.advise_claims --out evidence/indexes

bench-ingest: install ## webhook ingest with and without group commit (evidence/ingest/)
	$(BIN)/python -m benchmarks.ingest --out evidence/ingest

demo-judge: install ## the judge on trial: 200 trials drawn from recorded rounds (evidence/judge/); SEED=N for others
	$(BIN)/python -m drills.proof.trial --out evidence/judge/trial.md $(if $(filter file,$(origin SEED)),,--seed $(SEED))

judge-rounds: install ## record the rounds of demo-judge again, on an idle machine (12 minutes)
	$(BIN)/python -m drills.proof.recorded_rounds

SEED ?= 1
campaigns: install ## kill -9 at random moments, full form: index builds, renders, webhooks; SEED=N
	$(BIN)/python -m drills.indexes.campaign --kills 50 --seed $(SEED) --out evidence/indexes
	$(BIN)/python -m drills.indexes.writers --out evidence/indexes
	$(BIN)/python -m drills.video_orchestrator.campaign --kills 30 --seed $(SEED)
	$(BIN)/python -m drills.whatsapp_webhook.campaign --kills 100 --seed $(SEED)

POSTGRES_VERSIONS = build/postgres
test-postgres: install ## the index engine on PostgreSQL 14 to 18 (evidence/indexes/versions.md); wants npm, 10 minutes
	mkdir -p $(POSTGRES_VERSIONS)
	cp drills/indexes/postgres_versions/*.json $(POSTGRES_VERSIONS)
	npm ci --prefix $(POSTGRES_VERSIONS) --ignore-scripts --no-audit --no-fund --silent
	$(BIN)/python -m drills.indexes.versions $(POSTGRES_VERSIONS)/node_modules --out evidence/indexes

rolling: install ## every process of every service restarted behind haproxy at 200 requests/s: none may fail
	$(BIN)/python -m drills.rolling --rate 200 --out evidence/operations

drill: install ## the rollback on the embedded platform under load, timed (evidence/operations/drill.md)
	$(BIN)/python -m drills.rollback --out evidence/operations

chaos: install ## faults of servers and services under load, each with what must hold; SEED=N
	$(BIN)/python -m drills.chaos --seed $(SEED) --out evidence/operations
	$(BIN)/python -m drills.documents

SECONDS ?= 900
storm: install ## 9,000 messages wait, then one worker drains them: none is given up (evidence/operations/storm.md)
	$(BIN)/python -m drills.whatsapp_webhook.storm --out evidence/operations

soak: install ## half of the capacity for SECONDS (900): what grows? (evidence/operations/soak.md)
	$(BIN)/python -m drills.soak --seconds $(SECONDS) --out evidence/operations

$(BENCH)/.ready: benchmarks/requirements.lock pyproject.toml
	$(PYTHON) -m venv $(BENCH)
	$(BENCH)/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r benchmarks/requirements.lock
	$(BENCH)/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

COMPILE = $(BIN)/uv pip compile --universal --python-version 3.11 --generate-hashes --no-header --no-emit-index-url --quiet

lock: install ## compile the lock files again (pyproject.toml, benchmarks/requirements.in, those of the images)
	$(BIN)/python -m pip install --quiet uv==0.13.9
	$(COMPILE) pyproject.toml --all-extras --group dev -o requirements.lock
	$(COMPILE) benchmarks/requirements.in -c requirements.lock -o benchmarks/requirements.lock
	$(COMPILE) pyproject.toml --extra cache --group services -c requirements.lock -o docker/services.lock
	$(COMPILE) pyproject.toml --extra cache --group services --group video -c requirements.lock -o docker/video.lock

clean: ## remove .venv, runs and caches
	rm -rf $(VENV) $(BENCH) $(AUDIT) $(FLOORS) dist $(POSTGRES_VERSIONS) runs .pytest_cache .mypy_cache .ruff_cache .hypothesis
