# Each target sets up what it needs in an environment of its own, the first time.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# What is imported is compiled then: most of what there is in large libraries never is.
INSTALL := pip install --quiet --no-compile
# So it is kept: tests start hundreds of processes.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: demo test test-slow test-oracles test-browser test-compiler test-array-api gallery bench bench-calls bench-compile bench-dense bench-eager bench-loops bench-transforms bench-playground functions check format clean

demo: $(VENV)/for-plots
	$(BIN)/minigrad train digits

test: $(VENV)/for-test
	$(BIN)/python -m pytest -n auto --ignore=tests/oracles --ignore=tests/browser

# More of the same: longer trainings, more random programs, more sizes and compilers.
test-slow: $(VENV)/for-test
	$(BIN)/python -m pytest -n auto -m slow --ignore=tests/oracles --ignore=tests/browser

# Everything against PyTorch, in float64.
test-oracles: .venv-oracles/installed
	.venv-oracles/bin/python -m pytest -n auto tests/oracles

# Pages and WebAssembly, in a browser: chromium must be there (apt install chromium).
test-browser: .venv-browser/installed
	.venv-browser/bin/python -m pytest -n auto tests/browser

# Compiling by the C compiler that pip installs.
test-compiler: $(VENV)/for-test $(VENV)/for-compiler
	$(BIN)/python -m pytest tests/compiler/target/test_toolchain.py -k other_compilers
	$(BIN)/python -m pytest tests/compiler/export/test_c.py -m slow -k zig

# The test suite of the array API standard, from a clone of data-apis/array-api-tests with its
# submodule: make test-array-api SUITE=../array-api-tests
test-array-api: $(VENV)/for-array-api
	cd $(SUITE) && ARRAY_API_TESTS_MODULE=minigrad.numpy.array_api $(CURDIR)/$(BIN)/python -m pytest \
		array_api_tests --max-examples=20 --disable-deadline --disable-warnings \
		--xfails-file $(CURDIR)/tests/numpy/array_api_xfails.txt

# The pictures in docs/gallery, drawn again.
gallery: .venv-browser/installed
	.venv-browser/bin/python docs/gallery/make.py

# Side by side with other libraries: make bench BENCH="--workloads moons,mlp"
bench: .venv-bench/installed
	.venv-bench/bin/python -m benchmarks $(BENCH)
	.venv-bench/bin/python -m benchmarks.calls

# Single calls beside HIPS autograd and JAX: make bench-calls BENCH="--families fft,linalg"
bench-calls: .venv-bench/installed
	.venv-bench/bin/python -m benchmarks.calls $(BENCH)

# Eager steps and layers beside PyTorch: make bench-eager BENCH="--rows LayerNorm"
bench-eager: .venv-bench/installed
	.venv-bench/bin/python -m benchmarks.eager $(BENCH)

# Compiled steps beside PyTorch and JAX: make bench-compile BENCH="--threads 2 --chart steps.svg"
bench-compile: .venv-bench-compile/installed
	.venv-bench-compile/bin/python -m benchmarks.compiled $(BENCH)

# Loops and their first calls beside JAX: make bench-loops BENCH="--rows LSTM"
bench-loops: .venv-bench-compile/installed
	.venv-bench-compile/bin/python -m benchmarks.loops $(BENCH)

# Jacobians, forward mode, many networks at once: make bench-transforms BENCH="--rows jvp"
bench-transforms: .venv-bench/installed
	.venv-bench/bin/python -m benchmarks.transforms $(BENCH)

# Small dense work beside C written by hand, large products beside BLAS: BENCH="--rows moons"
bench-dense: .venv-bench/installed
	.venv-bench/bin/python -m benchmarks.dense $(BENCH)

# The playground's page while it trains: make bench-playground BENCH="--peer ../playground/dist"
bench-playground: .venv-browser/installed
	.venv-browser/bin/python -m benchmarks.playground $(BENCH)

# The page of what each function of NumPy does on a Tensor, docs/functions.md.
functions: $(VENV)/for-test
	$(BIN)/python -m tests.functions_page

# Lint, format, types. The import direction is a test: tests/test_house.py.
check: $(VENV)/for-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: $(VENV)/for-dev
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

$(VENV)/for-%: pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/$(INSTALL) --editable '.[$*]'
	touch $@

.venv-%/installed: pyproject.toml
	$(PYTHON) -m venv .venv-$*
	.venv-$*/bin/$(INSTALL) --editable '.[test,$*]'
	touch $@

clean:
	rm -rf $(VENV) .venv-oracles .venv-bench .venv-bench-compile .venv-browser
