# Builds, demonstrates, tests, checks and measures rtinfer in its own .venv; `make help` lists the targets.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

PYTHON ?= python3
SOAK_S ?= 600  # seconds of each part of make soak
DEMO_ARGS ?=  # e.g. --seconds 5, see examples/balance/demo.py --help
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check
export PYTHON
export PATH := $(abspath $(BIN)):$(PATH)
ifneq ($(wildcard ../shared/data),)
export RTINFER_SHARED_DATA ?= $(abspath ../shared/data)
endif

# Everything that the extension is built from: a change there rebuilds it.
NATIVE := $(wildcard CMakeLists.txt kernels/CMakeLists.txt graphs/CMakeLists.txt rtinfer/native/CMakeLists.txt) \
          $(shell find kernels graphs rtinfer/native \( -name '*.cpp' -o -name '*.hpp' \) 2>/dev/null)
CXX_FILES = $(shell find kernels graphs rtinfer tests bench clients \( -name '*.cpp' -o -name '*.hpp' \) 2>/dev/null)
TEST_MODULES = $(filter-out %/conftest.py,$(wildcard tests/*.py tests/*/*.py))
PY_PARTS := rtinfer latency_lab tests bench examples tools

.PHONY: help
help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' Makefile

# --- environment: each stamp says that a step is done and up to date -----------
$(VENV)/.prepared: tools/prepare.sh
	@tools/prepare.sh $(VENV)
	@touch $@

$(VENV)/.tooled: tools/build-requirements.txt $(VENV)/.prepared
	@echo "rtinfer: installing what the build needs into $(VENV)"
	@$(PIP) install -q -r tools/build-requirements.txt
	@if ! cmake --version 2>/dev/null | awk 'NR == 1 {split($$3, v, "."); \
	    exit !(v[1] > 3 || (v[1] == 3 && v[2] >= 22))}'; then $(PIP) install -q 'cmake>=3.22,<5'; fi
	@touch $@

$(VENV)/.installed: pyproject.toml $(NATIVE) $(VENV)/.tooled
	@echo "rtinfer: building the extension and installing rtinfer into $(VENV)"
	@$(PIP) install -q --no-build-isolation -e .
	@touch $@

$(VENV)/.with-%: pyproject.toml tools/extras.py | $(VENV)/.installed
	@$(BIN)/python tools/extras.py $* > $@.txt
	@$(PIP) install -q -r $@.txt
	@touch $@

.PHONY: build demo test check bench native native-asan native-tsan native-aarch64 soak faults format clean
build: $(VENV)/.installed ## virtual environment, extension, base install

demo: $(VENV)/.with-sim ## the main job: a simulated robot served at 500 Hz, beside a naive loop
	@$(BIN)/python examples/balance/demo.py $(DEMO_ARGS)

# --- tests ------------------------------------------------------------------
test: $(VENV)/.with-test native ## native tests, then pytest
	@$(BIN)/python -m pytest

define native_tests
	@cmake --preset $(1) > build/$(1).log || { cat build/$(1).log; exit 1; }
	@cmake --build --preset $(1) -- --quiet
	@$(2) ctest --test-dir build/$(1) --output-on-failure --no-tests=error
endef

native: $(VENV)/.tooled ## the stand-alone native tests
	@mkdir -p build
	$(call native_tests,native,)

native-asan: $(VENV)/.tooled ## ... under AddressSanitizer and UndefinedBehaviorSanitizer
	@mkdir -p build
	$(call native_tests,native-asan,)

# setarch -R: ThreadSanitizer of g++ 12 refuses the address layout of newer kernels.
native-tsan: $(VENV)/.tooled ## ... under ThreadSanitizer
	@mkdir -p build
	$(call native_tests,native-tsan,setarch -R)

# Cross-compiled and run under qemu-user; Debian: g++-aarch64-linux-gnu, qemu-user.
native-aarch64: $(VENV)/.tooled ## ... for 64-bit Arm, emulated
	@mkdir -p build
	@if command -v aarch64-linux-gnu-g++ >/dev/null && command -v qemu-aarch64 >/dev/null; then $(MAKE) -s .native-aarch64; else \
	    echo "rtinfer: skipped, this machine lacks aarch64-linux-gnu-g++ or qemu-aarch64"; fi

.PHONY: .native-aarch64
.native-aarch64:
	$(call native_tests,native-aarch64,)

# --- the long proof -----------------------------------------------------------
soak: $(VENV)/.installed ## shared memory at full rate, then a service under stress-ng, SOAK_S=600 seconds each
	@mkdir -p build
	@for preset in native native-tsan; do \
	    cmake --preset $$preset > build/$$preset.log || { cat build/$$preset.log; exit 1; }; \
	    cmake --build --preset $$preset --target stress -- --quiet; done
	@$(BIN)/python tools/soak.py --seconds $(SOAK_S) --stress build/native/tests/native/stress \
	    --stress "setarch -R build/native-tsan/tests/native/stress"

# --- checks -----------------------------------------------------------------
check: $(VENV)/.with-test ## formats, lint, types, the stub, layering, documented examples
	@$(BIN)/ruff check $(PY_PARTS)
	@$(BIN)/ruff format --check -q $(PY_PARTS) || { \
	    echo "rtinfer: the files above are not formatted; run make format" >&2; exit 1; }
	@$(BIN)/clang-format --dry-run -Werror $(CXX_FILES)
	@$(BIN)/mypy
	@for file in $(wildcard tests/*/conftest.py); do \
	    $(BIN)/mypy --no-error-summary $$file $(TEST_MODULES) examples tools; done
	@$(BIN)/python -m pytest tests/rules

format: $(VENV)/.with-test ## rewrites the sources in the project's format
	@$(BIN)/ruff check -q --fix-only $(PY_PARTS)
	@$(BIN)/ruff format -q $(PY_PARTS)
	@$(BIN)/clang-format -i $(CXX_FILES)

# --- measurements: ratios within one run, never a test ------------------------
bench: $(VENV)/.with-test ## engine, wake-up, overhead and delivery beside their peers; writes build/bench.json
	@mkdir -p build
	@cmake --preset bench > build/bench.log || { cat build/bench.log; exit 1; }
	@cmake --build --preset bench -- --quiet
	@$(BIN)/python -m bench --json build/bench.json

faults: $(VENV)/.with-test ## plays every fault scenario, virtual and live; writes docs/faults.md
	@$(BIN)/python tests/faults/fault_table.py

clean: ## removes build products; keeps .venv (rm -rf .venv removes that too)
	@rm -rf build dist artifacts .pytest_cache .mypy_cache .ruff_cache .hypothesis $(VENV)/.installed
