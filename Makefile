# Two commands matter: `make run` trades simulated money on the embedded market, `make test` proves the whole tree.

CARGO ?= cargo
PYTHON ?= python3
# Flags for `ctos run`. An hour of market a minute, so that the first minute shows fills.
ARGS ?= --speed 60x
# On CI the lock file decides; a change of it must be committed.
LOCKED := $(if $(CI),--locked,)
CHECKS := boundaries paths licences floors soak import_soak

.DEFAULT_GOAL := help
.PHONY: help run build test unit lint bench soak browser packages clean tools rust-tools python

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-7s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

run: tools ## Paper trading on the embedded market (flags: ARGS="...")
	$(CARGO) run $(LOCKED) --release -p ctos-cli --bin ctos -- run $(ARGS)

build: tools ## Build the release binary target/release/ctos
	$(CARGO) build $(LOCKED) --release -p ctos-cli

test: lint unit ## Everything that fits CI: lint and all tests

unit: tools browser packages
	@if $(CARGO) nextest --version >/dev/null 2>&1; then \
		echo "$(CARGO) nextest run --workspace"; \
		$(CARGO) nextest run $(LOCKED) --workspace --no-fail-fast && $(CARGO) test $(LOCKED) --workspace --doc --quiet; \
	else \
		echo "$(CARGO) test --workspace"; \
		$(CARGO) test $(LOCKED) --workspace --no-fail-fast --quiet; \
	fi

lint: tools rust-tools python ## Format, clippy, boundaries, paths, licences
	$(CARGO) fmt --all --check
	@for check in $(CHECKS); do $(PYTHON) .ci/checks/$$check.py --self-test || exit 1; done
	$(PYTHON) .ci/checks/boundaries.py
	$(PYTHON) .ci/checks/paths.py
	$(PYTHON) .ci/checks/licences.py
	$(CARGO) clippy $(LOCKED) --workspace --all-targets -- -D warnings -D clippy::todo -D clippy::unimplemented -D clippy::dbg_macro

bench: tools python ## Measure, and check the floors
	$(CARGO) build $(LOCKED) --release -p ctos-cli
	@mkdir -p var
	$(CARGO) run $(LOCKED) --release --quiet -p ctos-cli --bin ctos -- bench --json >var/bench.json
	$(PYTHON) .ci/checks/floors.py var/bench.json

soak: tools python ## 24 simulated hours with bounded memory and journal; live trading through faults, an hour of futures and half of spot
	$(CARGO) build $(LOCKED) --release -p ctos-cli
	$(PYTHON) .ci/checks/soak.py "$${CARGO_TARGET_DIR:-target}/release/ctos"
	$(PYTHON) .ci/checks/import_soak.py "$${CARGO_TARGET_DIR:-target}/release/ctos"
	$(CARGO) test $(LOCKED) -p ctos-cli --test live -- --ignored

browser: ## Find or install the browser that tests open pages in
	@.ci/browser.sh

packages: python ## Install what tests in Python need into .venv
	@PYTHON=$(PYTHON) .ci/python.sh

clean: ## Remove build results (runs in ./var stay)
	$(CARGO) clean

# ---- what must be there

tools:
	@command -v $(CARGO) >/dev/null 2>&1 || { echo "make: cargo is missing"; \
		echo "hint: install Rust from https://rustup.rs and open a new shell"; exit 1; } >&2
	@command -v cc >/dev/null 2>&1 || command -v gcc >/dev/null 2>&1 || command -v clang >/dev/null 2>&1 || { \
		echo "make: a C compiler is missing (the bundled SQLite and TLS need one)"; \
		echo "hint: on Debian and Ubuntu: apt-get install gcc libc6-dev; on macOS: xcode-select --install"; exit 1; } >&2

rust-tools:
	@for part in fmt clippy; do \
		$(CARGO) $$part --version >/dev/null 2>&1 && continue; \
		component=$$part; [ $$part = fmt ] && component=rustfmt; \
		echo "installing $$component"; \
		rustup component add $$component || { echo "make: $$component is missing"; \
			echo "hint: rustup component add $$component"; exit 1; } >&2; \
	done

python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
		echo "make: $(PYTHON) 3.11 or newer is missing (the checks are written in it)"; \
		echo "hint: install Python, or name one: make PYTHON=python3.12 test"; exit 1; } >&2
