# What people type. Each target says what it does in `make help`.
SHELL := /bin/bash
.DEFAULT_GOAL := help
export LIMPID_BIN ?= $(abspath $(or $(CARGO_TARGET_DIR),target)/gateway/limpid)
NEXTEST := $(shell cargo nextest --version >/dev/null 2>&1 && echo yes)

.PHONY: help demo demo-shell build test test-unit test-netns check bench

help: ## this list
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' Makefile | expand -t 14

demo: ## three networks, Limpid between them: what it does, in a minute
	@.ci/install
	@$(MAKE) --no-print-directory build
	@tests/demo/run

demo-shell: ## the same, and leaves it standing for you to try
	@.ci/install
	@$(MAKE) --no-print-directory build
	@tests/demo/run --keep

build: ## the binary that the demo and the end-to-end tests run: target/gateway/limpid
	cargo build --profile gateway --workspace --bin limpid

test: build test-unit test-netns ## all tests; those in namespaces need root and say so without

# One profile for all and always the whole workspace, so that dependencies have the same features and are built once, and
# the simulator runs at speed.
test-unit: ## everything that runs in memory, and the examples in the documentation
ifeq ($(NEXTEST),yes)
	cargo nextest run --cargo-profile gateway --workspace -E 'not binary(netns)'
else
	cargo test --profile gateway --workspace --lib --bins
	cargo test --profile gateway -p tests --test tidy --test scenarios
endif
	cargo test --profile gateway --workspace --doc

test-netns: build ## real Linux hosts in namespaces, the gateway between them
ifeq ($(NEXTEST),yes)
	cargo nextest run --cargo-profile gateway --workspace -E 'binary(netns)'
else
	RUST_TEST_THREADS=2 cargo test --profile gateway -p tests --test netns
endif

check: ## formatting, lints and documentation, all without a warning
	cargo fmt --all --check
	cargo clippy --workspace --all-targets -- -D warnings
	RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps

bench: ## a table of all goals, measured now; or one thing by ARGS="run connect"
ifdef ARGS
	cargo run --release -p bench --bin limpid-bench -- $(ARGS)
else
	cargo build --release -p bench -p dataplane
	LIMPID_BIN=$(abspath $(or $(CARGO_TARGET_DIR),target)/release/limpid) BENCH=$(abspath $(or $(CARGO_TARGET_DIR),target)/release/limpid-bench) bench/table --veth
endif
