# What a developer runs. `make test` is what CI runs, on a fresh machine that has Rust.

CARGO ?= cargo
export CARGO_TERM_COLOR ?= auto

.PHONY: help build test check tests sim bugs clients tools openapi bench clean

help: ## What there is to make
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 12

build: ## The release binary: target/release/quorate
	$(CARGO) build --release

test: tools check tests sim clients ## Everything that must pass: format, lints, docs, tests, real clients

check: ## Format, lints and docs
	$(CARGO) fmt --all --check
	$(CARGO) clippy --workspace --all-targets -- -D warnings
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc --workspace --no-deps --quiet

tests: ## Unit, model, property and process tests, those that need etcd included
	$(CARGO) test --workspace -- --include-ignored

# Simulations need tokio's own chance seeded, which its flag for unstable interfaces unlocks, and a little optimisation.
SEEDS ?= 500
sim: ## A simulated cluster: SEEDS=n many runs, from FROM=n on; SEED=n one, with all that happens in it
	RUSTFLAGS="--cfg tokio_unstable" CARGO_TARGET_DIR=target/sim CARGO_PROFILE_DEV_OPT_LEVEL=1 \
	QUORATE_SIM_SEEDS=$(SEEDS) QUORATE_SIM_FROM=$(FROM) QUORATE_SIM_SEED=$(SEED) $(CARGO) test --test sim -- --nocapture

bugs: ## The simulation against mistakes made on purpose, of which it must find every one
	SEEDS=$(SEEDS) tests/sim/bugs.sh

clients: tools ## Real clients against real members: all, or SUITES="go tooz"
	tests/clients/run.sh $(SUITES)

tools: ## What the tests need beyond Rust
	tests/clients/install.sh

openapi: ## Writes openapi/openapi.json anew from the handlers
	QUORATE_WRITE_OPENAPI=1 $(CARGO) test -p api openapi

bench: build ## Side by side with etcd on this machine; writes bench/REPORT.md
	$(CARGO) run --release -p bench -- $(ARGS)

clean: ## Removes what was built
	$(CARGO) clean
