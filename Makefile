# The commands that people type. Each is one line here; what it takes stands in setup/.
# Options go into ARGS: make run ARGS="--port 8001", make test ARGS="cancel".

# Where rustup puts cargo, which shells that were open before do not know yet.
export PATH := $(PATH):$(HOME)/.cargo/bin

# A build machine must not change the lock file on its own.
LOCKED := $(if $(CI),--locked)

# The programs of the tests can be killed at named steps; the same words stand in setup/test-bed.
FAULTS := --features deskgrid/faults

.DEFAULT_GOAL := help
.PHONY: help run ui build-desktop bundle test-package test soak fuzz fuzz-smoke demo screenshots bench fmt lint doc check-targets clean clean-cache

help:
	@echo 'make run            set up this machine, build, and start the app, or the server where there is no display'
	@echo 'make ui             build the user interface'
	@echo 'make build-desktop  build the release programs of the desktop app'
	@echo 'make bundle         pack the app into installers, .deb and .rpm'
	@echo 'make test-package   install the .deb on a fresh Debian in a folder, run a job, remove it again; look into the .rpm'
	@echo 'make test           set up this machine and run every test with a real Docker engine'
	@echo 'make soak           kill the server under load at random instants, alone and with other trouble, SOAK_SECONDS=1800 in all'
	@echo 'make fuzz           feed each parser of foreign bytes with invented ones, FUZZ_SECONDS=120 each'
	@echo 'make fuzz-smoke     the same few inputs each time, to see that every target works'
	@echo 'make demo           a real data set through two chained jobs in a Python container'
	@echo 'make screenshots    take pictures of every screen, by day and by night'
	@echo 'make bench          measure, each figure beside its limit'
	@echo 'make fmt            format the code'
	@echo 'make lint           check format, lints and shell scripts'
	@echo 'make doc            build the documentation, warnings are errors'
	@echo 'make check-targets  check the code for the other systems whose Rust targets are installed'
	@echo 'make clean          delete what was built, stop the engine of the tests'
	@echo 'make clean-cache    delete the images and downloads of the tests as well'

run:
	@setup/run $(ARGS)

ui:
	@setup/ui

build-desktop:
	@setup/packages desktop
	@setup/ui
	cargo build --release $(LOCKED) --package deskgrid --package deskgrid-desktop

bundle:
	@setup/bundle $(ARGS)

test-package:
	@setup/packages test
	@packages=$$(setup/bundle deb,rpm) && setup/engine with bash -c 'setup/images busybox && mapfile -t files <<<"$$0" && setup/package-test "$${files[@]}"' "$$packages"

# The tests of the user interface come first, unless ARGS choose others.
test:
	@$(if $(ARGS),true,setup/ui check)
	@setup/test-bed debug cargo test --workspace $(FAULTS) $(LOCKED) $(ARGS)

# One after the other, so that each load has the machine to itself. A seed of an earlier run: SOAK_SEED=123.
soak: export SOAK_SECONDS ?= 1800
soak:
	@setup/test-bed debug cargo test --workspace $(FAULTS) $(LOCKED) --test all -- --nocapture --test-threads=1 crash::random:: crash::damage::the_promise $(ARGS)

fuzz: FUZZ_SECONDS ?= 120
fuzz:
	@setup/fuzz $(FUZZ_SECONDS) $(ARGS)

fuzz-smoke:
	@setup/fuzz smoke $(ARGS)

# Without --package these find what the test bed has just built, with the same features.
demo:
	@setup/test-bed debug cargo run --quiet $(FAULTS) $(LOCKED) --example demo -- $(ARGS)

# Pictures of every screen, in target/screenshots or in the folder that ARGS names.
screenshots:
	@setup/test-bed debug cargo run --quiet $(FAULTS) $(LOCKED) --example screenshots -- $(ARGS)

bench:
	@setup/test-bed release cargo run --quiet --release $(LOCKED) --example bench -- $(ARGS)

fmt:
	cargo fmt --all
	cargo fmt --manifest-path fuzz/Cargo.toml

lint:
	cargo fmt --all --check
	cargo fmt --manifest-path fuzz/Cargo.toml --check
	cargo clippy --workspace --all-targets $(FAULTS) $(LOCKED) -- -D warnings
	@if cargo check --quiet --release $(LOCKED) --package deskgrid-fault --features kill 2>/dev/null; \
	then echo 'a release program could be built that tests can kill at named steps'; exit 1; fi
	@if command -v shellcheck >/dev/null; then echo shellcheck; shellcheck -x .ci/run setup/*; \
	else echo 'shellcheck is not installed: shell scripts not checked'; fi

doc:
	RUSTDOCFLAGS='-D warnings' cargo doc --no-deps --workspace $(LOCKED)

check-targets:
	@setup/check-targets

clean:
	@setup/engine down
	cargo clean

clean-cache: clean
	@setup/delete-cache
