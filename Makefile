# Every command of the project. `make` alone lists them.

.DEFAULT_GOAL := help
.NOTPARALLEL:
.PHONY: help demo test versions canary escape killpoints sim fuzz functions regress judge clients introspection bench bench-compare micro lint deny setup check

help: ## list these commands
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-13s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: setup ## play the story: a statement waits until somebody signs (ONCE=1 ends after it)
	@echo "==> building the gate (first time: some minutes, mostly SQL grammar and TLS; later: seconds)"
	cargo build -p portcullis
	cargo run -q -p portcullis -- demo $(if $(ONCE),--once)

test: setup ## build, and run every test against a real PostgreSQL
	@echo "==> building the gate and its tests (first time: some minutes; later: seconds)"
	cargo build -p portcullis
	cargo build $(KILLPOINTS)
	cargo build $(SIM)
	@echo "==> testing (about five minutes)"
	cargo test --workspace

versions: setup ## every conversation before other servers too, fetched if need be (SERVERS="14 16 17 18")
	cargo build -p portcullis
	@for server in $(or $(SERVERS),14 16 17 18); do \
		echo "==> PostgreSQL $$server"; \
		PORTCULLIS_TESTS_SERVER=$$server cargo test -q -p portcullis-tests --test it same_through_the_gate || exit; \
	done

canary: setup ## show that nothing runs before it is approved, message by message
	cargo build -p portcullis
	cargo run -q -p portcullis-tests --bin canary

escape: setup ## ways out of a tenant, in each tenancy model and from a control that is granted too much (ONLY=name SHOW=control)
	cargo build -p portcullis
	@SHOW="$(SHOW)" cargo run -q -p portcullis-tests --bin escape -- $(ONLY)

KILLPOINTS = -p portcullis --features killpoints --bin portcullis-killpoints

killpoints: setup ## kill the gate, and PostgreSQL, at every step of a signed statement (ONLY="Claimed Reply" ROUNDS= LEDGER=0 BREAK=)
	cargo build $(KILLPOINTS)
	@echo "==> killing (about six minutes a round; BREAK=claim-after-send or double-claim must be found)"
	@cargo build -q -p portcullis-tests --bin killpoints
	@ROUNDS="$(ROUNDS)" LEDGER="$(LEDGER)" BREAK="$(BREAK)" $${CARGO_TARGET_DIR:-target}/debug/killpoints $(ONLY)

SIM = -p portcullis-tests --features broken --bin sim

sim: setup ## a gate, its people, server, disk and clock by one seed each, in virtual time (SEEDS=10000 SEED= BREAK=)
	@echo "==> building a gate to be simulated (first time: some minutes; its own code is optimised, with every check left in)"
	CARGO_PROFILE_DEV_OPT_LEVEL=1 cargo build $(SIM)
	@SEEDS="$(SEEDS)" SEED="$(SEED)" PORTCULLIS_BREAK="$(BREAK)" $${CARGO_TARGET_DIR:-target}/debug/sim

regress: setup ## PostgreSQL's own tests through the gate, against the same run straight
	cargo build -p portcullis
	cargo run -q -p portcullis-tests --bin regress

judge: setup ## what PostgreSQL's own tests do on a server, against what we class it to be
	cargo run -q -p portcullis-tests --bin judge

fuzz: setup ## look for inputs that break a law, SECONDS_EACH=60 for each target (needs cargo-fuzz)
	@bash tests/fuzz/run.sh $(SECONDS_EACH)

clients: setup ## real clients straight, through the gate, and held (MODE= POOL= PARALLEL= ONLY="psql ...")
	@echo "==> every client, then again with MODE=transaction POOL=1 (first time: half an hour of downloads and builds; later: ten minutes)"
	cargo build -p portcullis
	MODE="$(MODE)" POOL="$(POOL)" PARALLEL="$(PARALLEL)" ONLY="$(ONLY)" \
		cargo run -q -p portcullis-tests --bin clients

introspection: setup ## record anew what real clients send to look around (ONLY="psql ...")
	python3 tests/introspect/record.py $(ONLY)

functions: setup ## write the tables of what PostgreSQL 14 to 18 have built in (crates/sql/data) anew
	cargo run -q -p portcullis-tests --bin functions

BENCH = $${CARGO_TARGET_DIR:-target}/release/bench

bench: setup ## measure beside a direct connection and pgbouncer (CASES="select tls-simple"; CASES=list names them)
	@echo "==> building in release (first time: about ten minutes); then all cases (about twenty minutes)"
	cargo build --release -p portcullis -p portcullis-benches
	$(BENCH) $(CASES)

bench-compare: setup ## how far the ratios of two runs differ: make bench-compare A B, two files of target/bench
	@cargo build --release -q -p portcullis -p portcullis-benches
	@$(BENCH) compare $(filter-out bench-compare,$(MAKECMDGOALS))

micro: setup ## time the pieces one by one: frames, readings, policy, journal (about a minute; ONLY=policy)
	@echo "==> building in release (first time: about ten minutes)"
	cargo bench -p portcullis-benches --bench micro -- $(ONLY)

lint: setup ## formatting, and clippy without a warning
	cargo fmt --all --check
	@echo "==> clippy (first time: some minutes)"
	cargo clippy --workspace --all-targets -- -D warnings
	cargo clippy $(KILLPOINTS) -- -D warnings
	cargo clippy $(SIM) -- -D warnings

deny: ## licences, advisories and sources of dependencies (needs cargo-deny)
	@command -v cargo-deny >/dev/null || { echo "cargo-deny is missing: cargo install --locked cargo-deny"; exit 1; }
	cargo deny check

setup: ## install what is missing: a C compiler, libclang, PostgreSQL 14 or newer
	@sh deploy/setup.sh

check: lint test ## what CI does
