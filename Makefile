# Every target does its own set-up; `make help` explains them.
# PYTHON and VENV choose another interpreter and its environment: make quick PYTHON=python3.13 VENV=.venvs/3.13
VENV ?= .venv
ifeq ($(OS),Windows_NT)
  PYTHON ?= python
  BIN := $(VENV)/Scripts
else
  PYTHON ?= python3
  BIN := $(VENV)/bin
endif
# A file's tests stay together, one file beside another, in the order of tests/conftest.py.
PYTEST := $(BIN)/python -m pytest --numprocesses logical --dist loadfile --no-loadscope-reorder

.DEFAULT_GOAL := help
.PHONY: help setup run test quick test-shaken test-chart test-gateways test-image test-mcp test-packages test-windows test-desktops test-macos lint format lock bench growth profile soak screenshots package freeze clean

help: ## show this list
	@$(PYTHON) scripts/make_help.py $(MAKEFILE_LIST)

setup: ## make .venv with the pinned packages (and missing system packages, where that is allowed)
	@$(PYTHON) scripts/setup.py --venv $(VENV)

run: setup ## run the demo: a playground, a worker, an agent task with tools; in a window where there is a display
	@if [ -n "$$DISPLAY$$WAYLAND_DISPLAY" ] || [ "$$(uname)" = Darwin ]; then exec $(BIN)/kubiya-worker-desktop --demo; \
	else exec $(BIN)/kubiya-worker playground --demo; fi

test: setup ## run the whole test suite
	@$(PYTEST)

quick: setup ## run the part of the suite that takes a few minutes
	@$(PYTEST) --quick

test-shaken: setup ## the whole suite with threads, processes and whoever waits for them coming late by chance: it finds races
	@$(PYTEST) -p tests.support.shaken

test-gateways: setup ## the tests against a real LiteLLM and a real llama.cpp, which are installed into the user's cache once
	@$(BIN)/python scripts/gateways.py

test-chart: setup ## check the Helm chart, its manifests and the Dockerfile (WRITE=--write: the manifests anew)
	@$(BIN)/python scripts/chart.py $(WRITE)

test-image: setup ## build the image without a registry and run it as a restricted pod (as root; debootstrap, buildah, podman, runc)
	@scripts/image.sh

test-packages: setup ## install, use, upgrade and remove the Linux packages in bare Debian roots (as root; debootstrap)
	@scripts/packages.sh

test-mcp: setup ## start 26 well-known MCP servers and call each (WRITE=--write: into docs/mcp-servers.md)
	@$(BIN)/python scripts/mcp_servers.py $(WRITE)

test-windows: setup ## the worker and its installers below wine, which is set up in the user's cache (once as root); SUITE=--suite: the suite; SUITE=--frozen: what PyInstaller makes there
	@$(BIN)/python scripts/windows.py $(SUITE)

test-desktops: setup ## the program on the desktops that this machine has, with pictures for docs/desktops.md (panels, sway, notification servers, keychains: docs/desktops.md has their names)
	@KUBIYA_DESKTOP_PICTURES=docs/desktops $(BIN)/python -m pytest -v tests/desktop/test_real_panels.py tests/desktop/test_on_wayland.py tests/desktop/notices/test_real_servers.py tests/test_real_keychains.py

test-macos: setup ## check every Mach-O file of the macOS wheels, which are downloaded into the user's cache once
	@$(BIN)/python scripts/macos_wheels.py

lint: setup ## ruff, mypy --strict for Linux, macOS and Windows, import-linter, vulture
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/python scripts/check_types.py
	@$(BIN)/lint-imports --no-cache
	@$(BIN)/python scripts/check_dead_code.py

format: setup ## let ruff format and repair what it can
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix .

lock: ## write requirements/*.txt anew from pyproject.toml (needs uv); UPGRADE="NAME ..." moves those to their newest
	@scripts/lock.sh $(UPGRADE)

bench: setup ## measure worker, sandbox, tray and window, each beside a baseline in the same run (ROW=start: that alone)
	@$(BIN)/python -m bench --write $(if $(ROW),--only $(ROW))

profile: setup ## where a worker's time goes while ROW (start, turn, burst) is measured, by py-spy
	@$(BIN)/python -m bench.profile $(ROW)

growth: setup ## draw how the worker grows (executions, turns, output, queues, rows) into docs/performance/ (CURVE=turns: that alone)
	@$(BIN)/python -m bench.growth $(if $(CURVE),--only $(CURVE))

soak: setup ## keep a worker busy for 30 minutes (MINUTES=N): memory, descriptors, threads and tasks must stay flat
	@$(BIN)/python -m bench.soak $(if $(MINUTES),--minutes $(MINUTES))

screenshots: setup ## draw every page of the window, light and dark, into docs/screenshots/
	@$(BIN)/python scripts/screenshots.py

package: setup ## build all that this system can into dist/packages: wheel, installers, sums, bill of materials, provenance
	@$(BIN)/python scripts/package.py

freeze: setup ## freeze both programs into dist/kubiya-worker (PyInstaller)
	@$(BIN)/python scripts/freeze.py

clean: ## remove the environments and everything that was built
	@$(PYTHON) -c "import shutil; [shutil.rmtree(p, ignore_errors=True) for p in ('.venv','.venvs','dist','build','.mypy_cache','.ruff_cache','.pytest_cache','.hypothesis')]"
