# Every target starts from an empty checkout: it makes .venv, installs what it needs from constraints.txt, then runs.
# Variables: PYTHON (the interpreter that makes .venv), ARGS (passed on by `make serve` and `make test`).

PYTHON ?= $(shell command -v python3.11 || command -v python3)
ARGS ?=

BIN := .venv/bin
PIP := $(BIN)/python -m pip --quiet --disable-pip-version-check
BUILD := hatchling editables
HELD := torch==2.13.0
INPUTS := pyproject.toml constraints.txt src/safelight/core/version.py

.DEFAULT_GOAL := help
.PHONY: help install serve test check format lock clean

help: ## List the targets
	@grep -E '^[a-z]+:.*## ' Makefile | sed -E 's/:[^#]*## /\t/' | while IFS="$$(printf '\t')" read -r target text; do printf '  make %-9s %s\n' "$$target" "$$text"; done

serve: .venv/.serve ## Serve the shipped models at http://127.0.0.1:8000 (ARGS="--port 9000 --workers 2")
	@"$(BIN)/safelight" serve $(ARGS)

test: .venv/.dev ## Run the tests (ARGS="tests/core -k frame")
	@OMP_NUM_THREADS=1 "$(BIN)/python" -m pytest -n 2 --dist worksteal $(ARGS)

check: .venv/.dev ## Lint, check formatting, types and the contracts between packages
	@status=0; \
	"$(BIN)/ruff" check --quiet || status=1; \
	"$(BIN)/ruff" format --check --quiet || status=1; \
	"$(BIN)/mypy" --no-error-summary || status=1; \
	"$(BIN)/lint-imports" --no-cache --no-logo || status=1; \
	exit $$status

format: .venv/.dev ## Format the code and fix what ruff can fix
	@"$(BIN)/ruff" check --fix
	@"$(BIN)/ruff" format

install: .venv/.dev ## Make .venv with everything that serving and developing need

# Torch is held at the release that the shipped weights and the numbers in the README were made with; what a CUDA build
# of it depends on is left out, since torch itself names those releases exactly.
lock: ## Pin the newest versions that pyproject.toml allows, in constraints.txt
	@rm -rf .lock-venv
	@"$(PYTHON)" -m venv .lock-venv
	@.lock-venv/bin/python -m pip --quiet --disable-pip-version-check install $(BUILD) $(HELD) -e '.[serve,dev]'
	@{ echo '# Every package that `make install` may install, exactly; made by `make lock`.'; \
	   .lock-venv/bin/python -m pip freeze --exclude-editable | sed -E -e '/^(nvidia|cuda|triton)/d' -e 's/\+[a-z0-9.]+$$//'; } > constraints.new
	@if grep -n '@' constraints.new; then echo 'make lock: these packages have no plain version'; exit 1; fi
	@mv constraints.new constraints.txt
	@rm -rf .lock-venv

clean: ## Remove what make has made
	@rm -rf .venv .lock-venv .mypy_cache .pytest_cache .ruff_cache .hypothesis

.venv/.made:
	@echo 'Making .venv with $(PYTHON)'
	@"$(PYTHON)" -c 'import sys; sys.version_info >= (3, 11) or sys.exit("Safelight needs Python 3.11 or newer; name one with: make PYTHON=python3.12 ...")'
	@"$(PYTHON)" -m venv .venv
	@touch $@

.venv/.build: .venv/.made $(INPUTS)
	@$(PIP) install -c constraints.txt $(BUILD)
	@touch $@

.venv/.serve: .venv/.build $(INPUTS)
	@if [ -e .venv/.dev ] && [ -z "$$(find $(INPUTS) -newer .venv/.dev)" ]; then :; else \
	   echo 'Installing what serving needs (a few minutes the first time)'; \
	   $(PIP) install --no-build-isolation -c constraints.txt -e '.[serve]'; fi
	@touch $@

.venv/.dev: .venv/.build $(INPUTS)
	@echo 'Installing everything (a few minutes the first time)'
	@$(PIP) install --no-build-isolation -c constraints.txt -e '.[serve,dev]'
	@touch $@
