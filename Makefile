# `make help` lists what there is.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

DATA ?= ./data
LISTEN ?= 127.0.0.1:8080
ROUNDS ?= 50
# Tools that a machine may lack are installed here, once for all working copies.
TOOLS ?= $(HOME)/.cache/fanfare-tools
PYTHON := $(TOOLS)/python/bin/python
export PATH := $(TOOLS)/bin:$(PATH)
export TEST_PYTHON := $(PYTHON)

.PHONY: help build run test bench crash lint fmt

help: ## This list
	@grep -E '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## (.*)/  make \1\t\2/' | expand -t 16

build: ## The program, at target/release/fanfare
	cargo build --release --locked --bin fanfare

run: build ## Build and start it on ./data, receivers on this machine allowed
	@echo "The page is at http://$(LISTEN)/, the data in $(DATA). Next: the three commands of README.md. Ctrl-C ends."
	exec target/release/fanfare serve --data-dir $(DATA) --listen $(LISTEN) --allow-private

test: ## All tests (installs cargo-nextest and Python packages when they are missing; needs node and python3)
	@command -v node >/dev/null || { echo "make test: node is missing: the tests check bodies with JSON.parse and JSON.stringify. Install Node.js 18 or later." >&2; exit 1; }
	@command -v cargo-nextest >/dev/null || cargo install --locked --root $(TOOLS) cargo-nextest
	@$(PYTHON) -m pip --version >/dev/null 2>&1 || python3 -m venv $(TOOLS)/python || { echo "make test: python3 with venv is missing (Debian: python3-venv): the tests start a mail server with it." >&2; exit 1; }
	@$(PYTHON) -m pip install --quiet --disable-pip-version-check -r tests/requirements.txt
	cargo nextest run --workspace --locked
	cargo test --workspace --locked --doc

bench: ## Load generator, receiver and raw limits; prints a report and writes target/bench.json
	cargo run --release --locked -p fanfare-bench -- all --json target/bench.json

crash: ## kill -9 at random moments under load, ROUNDS=50 times
	cargo run --release --locked -p fanfare-bench -- crash --rounds $(ROUNDS)

lint: ## Formatting, clippy, licences and duplicates of dependencies
	cargo fmt --all --check
	cargo clippy --workspace --all-targets --locked -- -D warnings
	@command -v cargo-deny >/dev/null || cargo install --locked --root $(TOOLS) cargo-deny \
		|| echo "make lint: cargo-deny is missing and cannot be installed here: dependencies are not checked" >&2
	@if command -v cargo-deny >/dev/null; then cargo deny --offline --workspace check bans licenses sources; fi

fmt: ## Format all code
	cargo fmt --all
