# parsnlp: `make` lists what can be asked for. PYTHON=... chooses the interpreter.
.POSIX:

PYTHON =
VENV = .venv
BIN = $(VENV)/bin
PIP = $(BIN)/python -m pip --disable-pip-version-check --no-input -qq
PIP_COMPILE = $(VENV)/lock/bin/pip-compile --quiet --generate-hashes --allow-unsafe \
	--no-emit-index-url --no-emit-find-links --strip-extras

.PHONY: help demo test test-slow bench approve mutants check lock clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-10s %s\n", $$1, $$2 }' Makefile

demo: $(VENV)/.project ## install into .venv and show the extractor at work
	@$(BIN)/parsnlp demo

test: $(VENV)/.dev $(VENV)/.project ## run the tests, without the slow ones
	@$(BIN)/python -m pytest

test-slow: $(VENV)/.dev $(VENV)/.project ## run the slow tests
	@rc=0; $(BIN)/python -m pytest -m slow --collect-only -q >/dev/null 2>&1 || rc=$$?; \
	if [ $$rc -eq 5 ]; then echo "not run: no slow tests yet"; \
	else $(BIN)/python -m pytest -m slow; fi

bench: $(VENV)/.dev $(VENV)/.project $(VENV)/edsnlp/.made ## measure speed beside medspaCy, EDS-NLP and grep (benchmarks/results; NOTES=FOLDER for real notes)
	@$(BIN)/python benchmarks/compare.py --edsnlp $(VENV)/edsnlp/bin/python $(if $(NOTES),--notes $(NOTES))
	@$(BIN)/python benchmarks/scaling.py

approve: $(VENV)/.dev $(VENV)/.project ## take what the engine says now as read and approved (tests/approved)
	@PARSNLP_APPROVE=1 $(BIN)/python -m pytest -q tests/test_approved.py

mutants: $(VENV)/.dev $(VENV)/.project ## mutation testing of coding/ and resolve (takes hours)
	@test -x $(VENV)/mutants/bin/mutmut || { $(BIN)/python -m venv $(VENV)/mutants && \
	echo "$$PWD/$(VENV)/lib/python3.11/site-packages" >$(VENV)/mutants/lib/python3.11/site-packages/parsnlp-dev.pth && \
	$(VENV)/mutants/bin/python -m pip --disable-pip-version-check -qq install 'mutmut==3.8.1'; }
	@PARSNLP_CASE_STRIDE=40 PYTHONPATH=src $(VENV)/mutants/bin/mutmut run

check: $(VENV)/.dev $(VENV)/.project ## lint, format, types, import contracts, rules
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/parsnlp rules check

lock: $(VENV)/.python ## compile requirements/*.txt anew from *.in (Python 3.11)
	@test "$$(cat $(VENV)/.python)" = 3.11 || { echo "make lock: needs Python 3.11" >&2; exit 1; }
	@test -x $(VENV)/lock/bin/pip-compile || { $(BIN)/python -m venv $(VENV)/lock && \
	$(VENV)/lock/bin/python -m pip --disable-pip-version-check -qq install 'pip-tools==7.6.2'; }
	@for name in run build dev; do CUSTOM_COMPILE_COMMAND='make lock' \
	$(PIP_COMPILE) -o requirements/$$name.txt requirements/$$name.in || exit 1; done
	@if grep -nE '://|^-|(^|[ =])[/~]' requirements/*.txt; then \
	echo "make lock: a path, a host or an option got into a lock (above)" >&2; exit 1; fi

clean: ## remove .venv, caches and builds
	@rm -rf $(VENV) build dist .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
	@find src tests -name __pycache__ -type d -prune -exec rm -rf {} +

# EDS-NLP needs another version of spaCy, hence an environment of its own.
$(VENV)/edsnlp/.made: $(VENV)/.python
	@$(BIN)/python -m venv $(VENV)/edsnlp
	@$(VENV)/edsnlp/bin/python -m pip --disable-pip-version-check -qq install 'edsnlp==0.23.0'
	@touch $@

# The stamps below hold the state of .venv, so that nothing is installed twice.
# .python has the version, such as 3.11, that .venv was made with.
$(VENV)/.python:
	@candidates="$(PYTHON)"; \
	for python in $${candidates:=python3.11 python3 python3.12 python3.10}; do \
	case $$($$python -c 'import ensurepip, sys, venv; print("%d.%d" % sys.version_info[:2])' 2>/dev/null) in \
	3.10|3.11|3.12) echo "Making $(VENV) with $$python"; \
	rm -rf $(VENV); $$python -m venv $(VENV) || exit 1; \
	$(BIN)/python -c 'import sys; print("%d.%d" % sys.version_info[:2])' >$@; exit;; \
	esac; done; \
	echo "No suitable Python: parsnlp needs 3.10, 3.11 (best) or 3.12, with its venv module." >&2; \
	echo "Tried: $$candidates. Name another with make PYTHON=/path/to/python3.11 ..." >&2; exit 1

$(VENV)/.run: $(VENV)/.python requirements/build.txt requirements/run.txt
	@if [ "$$(cat $(VENV)/.python)" = 3.11 ]; then \
	echo "Installing the locked requirements (about half a minute)"; \
	$(PIP) install --require-hashes -r requirements/build.txt && \
	$(PIP) install --require-hashes --no-build-isolation -r requirements/run.txt; \
	else echo "The locks are for Python 3.11: taking the newest versions that pyproject.toml allows"; fi
	@touch $@

$(VENV)/.dev: $(VENV)/.run requirements/dev.txt
	@test "$$(cat $(VENV)/.python)" = 3.11 || { \
	echo "The development lock needs Python 3.11: make clean, then make PYTHON=python3.11 ..." >&2; exit 1; }
	@echo "Installing the locked development tools"
	@$(PIP) install --require-hashes --no-build-isolation -r requirements/dev.txt
	@touch $@

$(VENV)/.project: $(VENV)/.run pyproject.toml
	@if [ "$$(cat $(VENV)/.python)" = 3.11 ]; then $(PIP) install --no-build-isolation --no-deps -e .; \
	else $(PIP) install -e .; fi
	@rm -rf $(VENV)/lib/python3*/site-packages/parsnlp # a copy of patterns/ that would grow stale; .pth leads to src
	@touch $@
