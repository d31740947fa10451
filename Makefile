# make demo | test | bench | lint | docs | clean: each makes the hidden environment .venv and installs what it needs, once.
# make test LOCKED=1: in .venv-locked, with the versions of constraints.txt instead of the newest.
# make test ARGS="-k name", make bench ARGS="--only NAME": arguments of pytest and of the benchmarks.

VENV := $(if $(LOCKED),.venv-locked,.venv)
PIN := $(if $(LOCKED),--constraint constraints.txt)
BIN := $(VENV)/bin
export MPLBACKEND := Agg

.PHONY: venv demo test bench lint docs lock clean

venv: $(VENV)/.installed

# A python that is found may still not run (pyenv leaves shims for versions that are not selected), so each is tried;
# last come the versions that pyenv holds but does not show.
$(VENV)/.created:
	@python=; \
	for candidate in $(PYTHON) python3.13 python3.12 python3 $${PYENV_ROOT:-$$HOME/.pyenv}/versions/3.1[2-9]*/bin/python3; do \
		if "$$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 12))' >/dev/null 2>&1; then python=$$candidate; break; fi; \
	done; \
	if [ -z "$$python" ]; then \
		echo "hmminfer needs Python 3.12 or newer and none was found; install one, or name it: make PYTHON=/path/to/python3.12" >&2; \
		exit 1; \
	fi; \
	echo "making $(VENV) with $$python"; \
	"$$python" -m venv $(VENV) && touch $@

# The install is editable: it is repeated only when pyproject.toml changes.
$(VENV)/.installed: pyproject.toml $(VENV)/.created
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable . $(PIN)
	@touch $@

$(VENV)/.installed-%: $(VENV)/.installed
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[$*]' $(PIN)
	@touch $@

# Results are never overwritten: each demo has a folder of its own, build/demo, build/demo-2, ...
demo: $(VENV)/.installed
	@mkdir -p build; out=build/demo; n=1; \
	while [ -e $$out ]; do n=$$((n + 1)); out=build/demo-$$n; done; \
	echo "hmminfer fit fibre_composite --seed 1 --output $$out"; \
	$(BIN)/hmminfer fit fibre_composite --seed 1 --output $$out

# The workers and the next run share what numba has compiled.
test: $(VENV)/.installed-test
	@mkdir -p build/numba
	NUMBA_CACHE_DIR="$(CURDIR)/build/numba" $(BIN)/python -m pytest $(ARGS)

bench: $(VENV)/.installed-bench
	@mkdir -p build
	$(BIN)/python -m benchmarks $(ARGS)

# Style, types, code that nothing uses, and the direction of the imports.
lint: $(VENV)/.installed-lint $(VENV)/.installed-test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/vulture
	$(BIN)/python -m pytest -n 0 -q tests/test_layers.py

# Pages and pictures of the systems, the table of the README, the validation page: written from the catalogue and the tests.
docs: $(VENV)/.installed-test
	$(BIN)/python docs/write.py $(ARGS)

# The versions of this environment, for make test LOCKED=1.
lock: $(VENV)/.installed-lint $(VENV)/.installed-test
	$(BIN)/python -m pip freeze --exclude-editable | sort -f > constraints.txt

# The results of the demo go too: copy what you want to keep.
clean:
	rm -rf .venv .venv-locked build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
