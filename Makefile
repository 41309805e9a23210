# The front door. Everything else is CMake (see CMakePresets.json) and scripts/.
.DEFAULT_GOAL := build
JOBS ?= $(shell nproc)
# Most tests wait more than they compute: see cmake/tests.cmake.
TEST_JOBS ?= $(shell expr 2 \* $(JOBS))

build: deps console ## release build, programs in build/bin
	@cmake --preset release -Wno-dev >/dev/null
	@cmake --build --preset release -j $(JOBS)

deps: ## Debian and npm packages (idempotent)
	@scripts/deps

console: deps ## the operators' page, embedded into musterd
	@scripts/console

demo: build ## a whole fleet on this machine: warehouse, or DEMO="drone", DEMO="fall"
	@build/bin/muster demo $(DEMO)

test: build ## unit, system and fuzz-corpus tests
	@ctest --preset release -j $(TEST_JOBS) $(CTEST_FLAGS)

asan: deps ## the same under AddressSanitizer and UndefinedBehaviorSanitizer
	@cmake --preset asan -Wno-dev >/dev/null
	@cmake --build --preset asan -j $(JOBS)
	@ctest --preset asan -j $(TEST_JOBS) $(CTEST_FLAGS)

fuzz: deps ## FUZZ_SECONDS (60) of libFuzzer for each target; needs clang-14
	@scripts/fuzz

chaos: build ## CHAOS_RUNS (5) demos with random kill -9; the final state must always be the same
	@scripts/chaos

spin: deps ## what is claimed of the guard, checked exhaustively
	@scripts/spin
	@scripts/spin --faults

mcdc: deps ## MC/DC coverage of the guard, with clang-19
	@scripts/deps verify
	@scripts/mcdc

mutants: deps ## mutation score of the guard
	@scripts/mutants --all

mutants-trust: deps ## mutation score of the core of trust (hours)
	@scripts/mutants --trust

corpus: build ## muster optimize on nine real networks, with many samples; accuracy without labels on one of them
	@CORPUS_WHOLE=1 /usr/bin/python3 -m pytest -q -s -p no:cacheprovider tests/test_corpus.py tests/test_labelfree.py

bench: build ## every benchmark, as JSON
	@for b in build/bin/bench-*; do $$b --json; done

lint: ## formatting and the project's own rules
	@scripts/lint

clean:
	rm -rf build web/dist

help:
	@grep -E '^[a-z]+:.*##' Makefile | sed 's/:.*## /\t/' | expand -t 12

.PHONY: build deps console demo test asan fuzz chaos spin mcdc mutants mutants-trust corpus bench lint clean help
