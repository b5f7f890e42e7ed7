# Needs Python 3.11, make and a package index. `make serve` is the product, `make test` the proof.
PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV   := .venv
PY     := $(VENV)/bin/python
PYTEST := $(PY) -m pytest -n 2 --dist loadfile  # each process has its own models: 6 GB
PIP    := $(PY) -m pip install -qq --disable-pip-version-check --no-input

# The editable install points at one checkout; the stamp's name says which, so a moved or borrowed environment is mended.
HERE    := $(shell pwd | cksum | cut -d' ' -f1)
RUNTIME := $(VENV)/.runtime
DEV     := $(VENV)/.dev
PROJECT := $(VENV)/.project-$(HERE)

.PHONY: help setup serve test quick clients check fix lock digits drill peer-whisper-live peer-whisperlivekit
help:
	@echo "make serve   the server and its page on http://127.0.0.1:8000 (ARGS='--port 9000' passes options on)"
	@echo "make test    all tests (ARGS='tests/server -k page' narrows them)"
	@echo "make quick   the tests that need no model, browser or network: about a minute"
	@echo "make clients real clients of other services (LiveKit, Pipecat, JavaScript SDKs), installed in .clients, against a server with keys"
	@echo "make digits  trains the digits' model, streams it and Whisper on unheard speakers (ARGS='--data FOLDER')"
	@echo "make drill   kills and hangs workers, attacks, fills the disk, cuts connections; prints what was lost (ARGS='--kills 100')"
	@echo "make setup   only the environment, in $(VENV)"
	@echo "make check   format, lint and types;  make fix   mends what can be mended"
	@echo "make peer-whisper-live, make peer-whisperlivekit   a peer for asr bench server --against, in .peers"
	@echo "make lock    newest allowed versions -> requirements.lock, requirements-dev.lock"

serve: $(PROJECT)
	@exec $(VENV)/bin/asr serve $(ARGS)

setup: $(PROJECT) $(DEV)

test: setup
	$(PYTEST) $(ARGS)

quick: setup
	$(PYTEST) -m "not model and not browser and not slow" $(ARGS)

clients: setup .clients/agents .clients/deepgram3 .clients/node
	$(PY) -m pytest tests/server/wires/test_clients.py $(ARGS)

# Clients have environments of their own, since their dependencies clash with ours.
.clients/agents: scripts/clients/requirements.txt
	$(PYTHON) -m venv $@ && $@/bin/python -m pip install -q -r $< && touch $@
.clients/deepgram3:
	$(PYTHON) -m venv $@ && $@/bin/python -m pip install -q deepgram-sdk==3.11.0
.clients/node: scripts/clients/package.json
	mkdir -p $@ && cp $< $@ && npm install --prefix $@ --no-audit --no-fund --silent && touch $@

digits: setup
	$(PY) scripts/digits.py $(ARGS)

drill: setup
	$(PY) -m scripts.drill $(ARGS)

check: setup
	$(PY) -m ruff format --check .
	$(PY) -m ruff check .
	$(PY) -m mypy

fix: setup
	$(PY) -m ruff check --fix .
	$(PY) -m ruff format .

lock: setup .lock-tools
	$(PIP) --upgrade --upgrade-strategy eager -e '.[dev]'
	UV=.lock-tools/bin/uv $(PY) scripts/lock.py
	@touch $(RUNTIME) $(DEV) $(PROJECT)

.lock-tools:
	$(PYTHON) -m venv $@ && $@/bin/python -m pip install -q uv==0.13.9

$(PY):
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11) and "found Python %d.%d, wanted 3.11: make PYTHON=/path/to/python3.11" % sys.version_info[:2])'
	$(PYTHON) -m venv "$$(readlink -f $(VENV))"  # venv refuses a link, which .ci/run leaves there

$(RUNTIME): requirements.lock | $(PY)
	@echo "Installing the server and its default model (the first time: some minutes, about 5 GB)"
	@$(PIP) --require-hashes -r requirements.lock
	@touch $@

$(DEV): requirements-dev.lock $(RUNTIME)
	@echo "Installing what the tests need"
	@$(PIP) --require-hashes -r requirements.lock -r requirements-dev.lock
	@touch $@

$(PROJECT): pyproject.toml $(RUNTIME)
	@$(PIP) --no-deps --no-build-isolation -e .
	@rm -f $(VENV)/.project-* && touch $@

# Peers have environments of their own, since their dependencies clash with ours.
# whisper-live builds PyAudio: it needs a C compiler and PortAudio's headers (Debian: portaudio19-dev).
peer-whisper-live peer-whisperlivekit: peer-%:
	$(PYTHON) -m venv .peers/$*
	.peers/$*/bin/python -m pip install -q $*
