# make demo | test | bench | lint | clean: each makes the hidden environment .venv and installs what it needs, once.

VENV := .venv
BIN := $(VENV)/bin
export MPLBACKEND := Agg

.PHONY: venv demo test bench lint clean

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
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable .
	@touch $@

$(VENV)/.installed-%: $(VENV)/.installed
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[$*]'
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
	$(BIN)/python -m benchmarks

lint: $(VENV)/.installed-lint
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

# The results of the demo go too: copy what you want to keep.
clean:
	rm -rf $(VENV) build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
