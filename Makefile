# Needs Python 3.11, make and a package index. `make serve` is the product, `make test` the proof.
PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV   := .venv
PY     := $(VENV)/bin/python
PYTEST := $(PY) -m pytest -n 2 --dist loadfile  # each process has its own models: 6 GB
PIP    := $(PY) -m pip install -qq --disable-pip-version-check --no-input

# The editable install points at one checkout; the stamp's name says which, so a moved or borrowed environment is mended.
HERE    := $(shell pwd | cksum | cut -d' ' -f1)
RUNTIME := $(VENV)/.runtime
CPU     := $(VENV)/.runtime-cpu
DEV     := $(VENV)/.dev

# Without an NVIDIA GPU `make serve` leaves out CUDA, most of what torch installs: CUDA=1 installs it, CUDA=0 does not. An
# environment that has it keeps it, and tests always do.
CUDA ?= $(if $(or $(wildcard /dev/nvidia[0-9]*),$(wildcard /dev/dxg),$(filter-out Linux_x86_64,$(shell uname -s)_$(shell uname -m))),1,0)
TORCH_CPU := https://download.pytorch.org/whl/cpu
BASE := $(if $(or $(filter 1,$(CUDA)),$(wildcard $(RUNTIME)),$(filter-out serve light help,$(MAKECMDGOALS))),$(RUNTIME),$(CPU))
PROJECT := $(VENV)/.project-$(HERE)

.PHONY: help setup serve light test quick clients check fix lock digits drill peer-whisper-live peer-whisperlivekit
help:
	@echo "make serve   the server and its page on http://127.0.0.1:8000 (ARGS='--port 9000' passes options on)"
	@echo "make light   only its environment, without CUDA where there is no GPU (CUDA=1: with it)"
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

light: $(PROJECT)

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
	@echo "Installing the server and its default model (the first time: some minutes, 5 GB)"
	@$(PIP) --require-hashes -r requirements.lock
	@rm -f $(CPU) && touch $@

# The first try takes torch from the indexes that pip is set up with: a mirror or a folder may have it. torch is the first
# line of the lock, so a try that does not find it loads nothing. --no-compile: Python compiles what it imports.
$(CPU): requirements-cpu.lock | $(PY)
	@echo "Installing the server and its default model without CUDA (the first time: about a minute, 1.3 GB)"
	@$(PIP) --no-deps --no-compile --require-hashes -r requirements-cpu.lock 2>/dev/null || \
	  $(PIP) --no-deps --no-compile --require-hashes -r requirements-cpu.lock --extra-index-url $(TORCH_CPU) || \
	  { echo "$(TORCH_CPU) has no torch for this machine: installing PyPI's, with CUDA"; $(MAKE) $(RUNTIME); }
	@[ -e $(RUNTIME) ] || touch $@

$(DEV): requirements-dev.lock $(RUNTIME)
	@echo "Installing what the tests need"
	@$(PIP) --require-hashes -r requirements.lock -r requirements-dev.lock
	@touch $@

$(PROJECT): pyproject.toml $(BASE)
	@$(PIP) --no-deps --no-build-isolation -e .
	@rm -f $(VENV)/.project-* && touch $@

# Peers have environments of their own, since their dependencies clash with ours.
# whisper-live builds PyAudio: it needs a C compiler and PortAudio's headers (Debian: portaudio19-dev).
peer-whisper-live peer-whisperlivekit: peer-%:
	$(PYTHON) -m venv .peers/$*
	.peers/$*/bin/python -m pip install -q $*
