# The two commands that a new machine needs are `make demo` and `make test`; each does all the set-up.

CARGO ?= cargo
TARGET = $(or $(CARGO_TARGET_DIR),target)
COLDCUT = $(TARGET)/release/coldcut
# Kernels that the tests need, by series.
TEST_KERNELS = 5.10 6.1 6.12 6.12:full

.PHONY: help setup build demo stories test run-tests kernels lint fuzz clean

help:
	@echo 'make demo   set up, build, get kernel 6.12, cut the power under story 3'
	@echo 'make stories  set up, build, get five kernels, reproduce every war story on each'
	@echo 'make test   set up, build, get the kernels, run every test'
	@echo 'make build  set up and build target/release/coldcut'
	@echo 'make lint   rustfmt and clippy'
	@echo 'make fuzz   libFuzzer on the log parser and the NBD server, longer than make test does'

setup:
	@scripts/setup

build: setup
	$(CARGO) build --release --locked --package coldcut

demo: build
	$(COLDCUT) kernel pull --if-missing 6.12
	$(COLDCUT) run scenarios/stories/3-rename-without-dir-fsync.yaml --kernel 6.12

# Every war story on every kernel that the project is measured on; the pages in docs/stories show what came of it.
stories: build
	$(COLDCUT) kernel pull --if-missing 5.10 6.1 6.12 6.18 7
	$(COLDCUT) stories --kernel 5.10,6.1,6.12,6.18,7

# The tests use the dev profile, which builds in half the time. The kernels that they need are got by the binary that is
# built with them: built alone, it and half of what it depends on would have other features, and be built again.
kernels: setup
	$(CARGO) test --workspace --locked --no-run
	$(TARGET)/debug/coldcut kernel pull --if-missing $(TEST_KERNELS)

lint: setup
	$(CARGO) fmt --all --check
	$(CARGO) clippy --workspace --all-targets --locked -- -D warnings

# The random clients and damaged logs among the tests fuzz both parsers too; libFuzzer needs builds of its own. Clippy
# builds while the tests wait for their guests: rustfmt, before it, leaves them the time to see that all is built.
test: kernels
	$(MAKE) --jobs=2 run-tests lint
	scripts/fuzz log 5000

# cargo-nextest, where there is one, runs tests of several binaries at once; both start machines for two at a time.
run-tests:
	@if $(CARGO) nextest --version >/dev/null 2>&1; then set -- nextest run --no-fail-fast; else set -- test --no-fail-fast; fi; \
	echo "$(CARGO) $$* --workspace --locked" && $(CARGO) "$$@" --workspace --locked

fuzz: setup
	scripts/fuzz log 200000
	scripts/fuzz nbd 200000

clean:
	$(CARGO) clean
