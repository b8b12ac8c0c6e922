# The front door. `make demo` and `make test` work on a fresh clone; `make help` lists the rest.
.DEFAULT_GOAL := help
.PHONY: help setup configure build demo test test-newest asan tidy bench wheel gpu-check format clean

JOBS ?= $(shell nproc)
BIN := .venv/bin

help:
	@echo 'make demo       set up, build the tool, make a real model, analyze, rewrite and verify it'
	@echo 'make test       set up, build everything, run every test that needs no GPU'
	@echo 'make test-newest the same against the newest LibTorch (requirements-newest.txt), in build-newest'
	@echo 'make asan       the unit tests under AddressSanitizer and UndefinedBehaviorSanitizer, in build-asan'
	@echo 'make tidy       clang-tidy over the CPU part'
	@echo 'make build      set up and build everything'
	@echo 'make bench      build and run the kernel bench; its JSON goes to build/kernels_bench.json (BENCH_FLAGS=--benchmark_filter=...)'
	@echo 'make wheel      build the tool and pack it with the operator library as a Python wheel, into build/wheel'
	@echo 'make gpu-check  on a machine with a GPU: its tests, compute-sanitizer, the kernel bench; one JSON document on stdout'
	@echo 'make format     clang-format over every C++ and CUDA file'
	@echo 'make clean      remove the build folders (the environment that .venv links to stays)'
	@echo 'JOBS=N sets how many compilers run at once (now $(JOBS)).'

setup:
	@scripts/setup.sh

configure: setup
	@scripts/configure.sh cuda

build: configure
	@$(BIN)/cmake --build --preset cuda -j $(JOBS)

demo: configure
	@$(BIN)/cmake --build --preset cuda -j $(JOBS) --target invact invact_kernels
	@scripts/demo.sh

test: build
	@$(BIN)/ctest --preset cuda -j $(JOBS)

test-newest: setup
	@scripts/setup.sh newest
	@scripts/configure.sh newest
	@$(BIN)/cmake --build --preset newest -j $(JOBS)
	@$(BIN)/ctest --preset newest -j $(JOBS)

asan: setup
	@scripts/configure.sh asan
	@$(BIN)/cmake --build --preset asan -j $(JOBS)
	@$(BIN)/ctest --preset asan -j $(JOBS)

tidy: setup
	@scripts/tidy.sh $(JOBS)

bench: configure
	@$(BIN)/cmake --build --preset cuda -j $(JOBS) --target invact_kernels_bench
	@build/bin/invact_kernels_bench --benchmark_out=build/kernels_bench.json --benchmark_out_format=json $(BENCH_FLAGS)

wheel: configure
	@$(BIN)/cmake --build --preset cuda -j $(JOBS) --target invact invact_kernels
	@scripts/make_wheel.sh build

gpu-check:
	@scripts/gpu_check.sh

format:
	@git ls-files '*.cpp' '*.h' '*.cu' '*.cuh' | xargs clang-format -i

clean:
	rm -rf build build-*
