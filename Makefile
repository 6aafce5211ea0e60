# parsnlp: `make` lists what can be asked for. PYTHON=... chooses the interpreter.
.POSIX:

PYTHON =
VENV = .venv
BIN = $(VENV)/bin
PIP = $(BIN)/python -m pip --disable-pip-version-check --no-input -qq
PIP_COMPILE = $(VENV)/lock/bin/pip-compile --quiet --generate-hashes --allow-unsafe \
	--no-emit-index-url --no-emit-find-links --strip-extras

.PHONY: help demo test test-slow bench bench-service bench-scale soak fuzz faults trust approve docs label-studio release notebooks mutants check lock clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-13s %s\n", $$1, $$2 }' Makefile

demo: $(VENV)/.project ## install into .venv and show the extractor at work
	@$(BIN)/parsnlp demo

test: $(VENV)/.dev $(VENV)/.project ## run the tests, without the slow ones
	@$(BIN)/python -m pytest -n auto --dist loadfile

test-slow: $(VENV)/.dev $(VENV)/.spark $(VENV)/.project ## run the slow tests (Chromium, Java, Node.js and curl must be there)
	@$(BIN)/python -m pytest -m slow

bench: $(VENV)/.dev $(VENV)/.project $(VENV)/edsnlp/.made ## measure speed beside medspaCy, EDS-NLP and grep (benchmarks/results; NOTES=FOLDER for real notes)
	@$(BIN)/python benchmarks/compare.py --edsnlp $(VENV)/edsnlp/bin/python $(if $(NOTES),--notes $(NOTES))
	@$(BIN)/python benchmarks/scaling.py

bench-service: $(VENV)/.dev $(VENV)/.project ## load the service with wrk, 1 to 64 connections (benchmarks/results/service.md)
	@PARSNLP_TRUST=docs/trust.jsonl $(BIN)/python benchmarks/service.py; rc=$$?; $(BIN)/python tools/trust.py; exit $$rc

bench-scale: $(VENV)/.dev $(VENV)/.project ## a long run beside grep, killed and resumed (benchmarks/results/scale.md; NOTES=20000)
	@$(BIN)/python benchmarks/scale.py $(if $(NOTES),--notes $(NOTES))

soak: $(VENV)/.dev $(VENV)/.project ## 100,000 requests to the service: errors, and the memory of each process (REQUESTS=N)
	@PARSNLP_TRUST=docs/trust.jsonl $(BIN)/python benchmarks/soak.py $(if $(REQUESTS),--requests $(REQUESTS)); rc=$$?; \
	$(BIN)/python tools/trust.py; exit $$rc

fuzz: $(VENV)/.dev $(VENV)/.project $(VENV)/fuzz/.made ## try hostile inputs guided by coverage, and note it (SECONDS=60 for each target, TARGETS="note pdf")
	@$(VENV)/fuzz/bin/python tests/fuzz/run.py --seconds $(or $(SECONDS),60) $(TARGETS); rc=$$?; \
	$(BIN)/python tools/trust.py; exit $$rc

faults: $(VENV)/.dev $(VENV)/.spark $(VENV)/.project ## kill batch, service and Spark, starve them, and note it (KILLS=N for each test, SEED=N)
	@PARSNLP_TRUST=docs/trust.jsonl $(if $(KILLS),PARSNLP_KILLS=$(KILLS)) $(if $(SEED),PARSNLP_SEED=$(SEED)) \
	$(BIN)/python -m pytest -q -m "" -k "job_faults or hostile or supply or kill or matters_to_no_note" tests/interfaces/test_job_faults.py \
	tests/interfaces/test_hostile.py tests/interfaces/test_service_processes.py tests/interfaces/test_spark.py \
	tests/test_supply.py tests/test_rules.py; rc=$$?; $(BIN)/python tools/trust.py; exit $$rc

trust: $(VENV)/.dev ## make docs/trust.md of what the runs have noted in docs/trust.jsonl
	@$(BIN)/python tools/trust.py

approve: $(VENV)/.dev $(VENV)/.project ## take what the engine says now as read and approved (tests/approved, notebooks)
	@PARSNLP_APPROVE=1 $(BIN)/python -m pytest -q tests/test_approved.py
	@$(BIN)/python tools/notebooks.py

docs: $(VENV)/.dev $(VENV)/.project $(VENV)/docs/.made ## build the documentation site: build/site/index.html
	@$(BIN)/python tools/pages.py build/docs
	@NO_MKDOCS_2_WARNING=1 $(VENV)/docs/bin/mkdocs build --quiet
	@$(BIN)/python tools/pages.py --check build/site

label-studio: $(VENV)/.project $(VENV)/label-studio/.made ## have Label Studio's own library check what is written for it
	@rm -rf build/label-studio && mkdir -p build/label-studio
	@$(BIN)/parsnlp export corpora/dev/gold.jsonl --to label-studio --out build/label-studio/gold
	@$(BIN)/parsnlp export corpora/encounters/documents --to label-studio --out build/label-studio/found
	@$(VENV)/label-studio/bin/python tools/label_studio.py build/label-studio/gold build/label-studio/found

release: $(VENV)/.dev $(VENV)/.project $(VENV)/release/.made ## build dist/: wheel, source archive, SBOM; try them on every Python found
	@rm -rf dist && $(BIN)/python -m build --no-isolation --outdir dist .
	@$(VENV)/release/bin/cyclonedx-py requirements requirements/run.txt --pyproject pyproject.toml --mc-type library \
	--output-reproducible --output-file dist/parsnlp.cdx.json
	@$(BIN)/python tools/release.py dist

notebooks: $(VENV)/.dev $(VENV)/.project ## run the notebooks and keep what they put out
	@$(BIN)/python tools/notebooks.py

mutants: $(VENV)/.dev $(VENV)/.project ## mutation testing of coding/ and resolve (takes an hour or two)
	@test -x $(VENV)/mutants/bin/mutmut || { $(BIN)/python -m venv $(VENV)/mutants && \
	echo "$$PWD/$(VENV)/lib/python3.11/site-packages" >$(VENV)/mutants/lib/python3.11/site-packages/parsnlp-dev.pth && \
	$(VENV)/mutants/bin/python -m pip --disable-pip-version-check -qq install 'mutmut==3.8.1'; }
	@PARSNLP_CASE_STRIDE=40 PYTHONPATH=src $(VENV)/mutants/bin/mutmut run
	@PYTHONPATH=src $(VENV)/mutants/bin/mutmut export-cicd-stats
	@$(BIN)/python tools/trust.py mutants mutants/mutmut-cicd-stats.json

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
	@for name in run build dev spark fuzz docs label-studio release; do CUSTOM_COMPILE_COMMAND='make lock' \
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

# What must not share the project's versions has an environment of its own, with a lock of its own.
$(VENV)/docs/.made $(VENV)/label-studio/.made $(VENV)/release/.made: $(VENV)/.python requirements/docs.txt requirements/label-studio.txt requirements/release.txt
	@name=$$(basename $(@D)); rm -rf $(@D) && $(BIN)/python -m venv $(@D) && \
	$(@D)/bin/python -m pip --disable-pip-version-check --no-input -qq install --require-hashes -r requirements/$$name.txt
	@touch $@

# What fuzzes sees what .venv has, and has atheris besides.
$(VENV)/fuzz/.made: $(VENV)/.dev requirements/fuzz.txt
	@$(BIN)/python -m venv $(VENV)/fuzz
	@echo "$$PWD/$(VENV)/lib/python3.11/site-packages" >$(VENV)/fuzz/lib/python3.11/site-packages/parsnlp-dev.pth
	@$(VENV)/fuzz/bin/python -m pip --disable-pip-version-check --no-input -qq install --require-hashes -r requirements/fuzz.txt
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

$(VENV)/.spark: $(VENV)/.dev requirements/spark.txt
	@echo "Installing Spark for the slow tests (430 MB, some minutes; it needs Java 17 to run)"
	@$(PIP) install --require-hashes --no-build-isolation -r requirements/spark.txt
	@touch $@

$(VENV)/.project: $(VENV)/.run pyproject.toml
	@if [ "$$(cat $(VENV)/.python)" = 3.11 ]; then $(PIP) install --no-build-isolation --no-deps -e .; \
	else $(PIP) install -e .; fi
	@rm -rf $(VENV)/lib/python3*/site-packages/parsnlp # a copy of patterns/ that would grow stale; .pth leads to src
	@touch $@
