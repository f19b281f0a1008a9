# The two commands: `make run` starts the demo hospital, `make test` runs every test. `make check` is what CI runs.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

CACHE ?= $(HOME)/.cache/mingying
export CARGO_TARGET_DIR ?= $(CACHE)/target
export MINGYING_TEST_PYTHON ?= $(CACHE)/venv/bin/python
BIN := $(CARGO_TARGET_DIR)/debug/mingying
DATA ?= data
# Flags for `mingying serve`, for example FLAGS="--http 127.0.0.1:9000".
FLAGS ?=

.PHONY: help run test check lint fmt dev bench soak build web web-deps deps test-deps lint-deps demo-dicom hooks clean-data

help: ## Shows this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /  make \1\t/' | expand -t 20

run: deps build demo-dicom ## Builds and starts the demo hospital on http://127.0.0.1:8080
	$(BIN) serve --demo --data-dir $(DATA) $(FLAGS)

dev: deps web-deps demo-dicom ## Server and web client with reload on change (web on http://127.0.0.1:5173)
	scripts/dev "$(DATA)"

build: web ## Builds the web client and the server
	cargo build --locked --workspace

web-deps: web/node_modules/.stamp
web/node_modules/.stamp: web/package.json web/package-lock.json
	cd web && npm ci --no-audit --no-fund
	touch $@

web: web/dist/.stamp
web/dist/.stamp: web/node_modules/.stamp web/index.html web/vite.config.ts $(shell find web/src web/public -type f 2>/dev/null)
	cd web && npm run build
	touch $@

deps: ## Installs the Debian packages that building and running need
	scripts/install-packages build

test-deps: deps ## Installs what the tests need: PostgreSQL, DCMTK, Chromium, fonts, Python clients
	scripts/install-packages test
	scripts/python-env

lint-deps:
	scripts/install-packages lint
	scripts/python-env

demo-dicom: ## Fetches real DICOM files from Python packages for the demo
	scripts/demo-dicom $(DATA)/demo-dicom

test: test-deps build ## Runs every test: both databases, real DICOM and HL7 clients, the browser journey
	scripts/test

lint: lint-deps web-deps ## Formatting, clippy, rustdoc, licences, borders, generated code, types
	scripts/lint

check: lint test ## Lint and test; what CI runs

soak: test-deps build ## Long runs: kills under load, checked after each restart; fuzzing
	scripts/soak

bench: deps ## Every benchmark beside the peers, one after the other (release build, hours)
	bench/all

fmt: web-deps ## Formats Rust and web sources
	cargo fmt --all
	cd web && npx prettier --log-level warn --write src

hooks: ## Installs the pre-commit hook
	git config core.hooksPath scripts/hooks
