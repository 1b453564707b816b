# make night          set up, then play one day and one night on the embedded default
#                     (ENGINE=vllm or ENGINE=llama-server: on that engine, after `make engines`)
# make week           set up, then play seven days and nights in a fresh folder, and draw what was learned (docs/week.png)
# make test           set up, then lint, types, import rules, tests
# make test-extras    what else can be chosen: approval, several bases, the service, a Ray cluster, other teachers, DPO and KTO
# make engines        build or install real engines, outside of this folder (once)
# make test-engines   what every engine must do, asked of real ones
# make observability  install Prometheus, InfluxDB, Chromium and the like for the tests (Debian's packages)
# make test-observability   what they say to our metrics, rules and pages
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.PHONY: night week test lint fix clean test-extras engines test-engines observability test-observability

night: $(VENV)/.installed
	@cron/first_night.sh

week: $(VENV)/.installed-pictures
	@$(BIN)/python -m benchmarks.week

test: $(VENV)/.installed-test lint
	$(BIN)/python -m pytest tests/unit --numprocesses 2
	$(BIN)/nightschool starter build
	$(BIN)/python -m pytest tests/loop --numprocesses 2 --dist loadfile

test-extras: $(VENV)/.installed-test
	$(BIN)/python -m pytest tests/extras --numprocesses 2 --dist loadfile

engines:
	tests/engines/install.sh

test-engines: $(VENV)/.installed-test
	$(BIN)/python -m pytest tests/engines

observability:
	tests/observability/install.sh

test-observability: $(VENV)/.installed-test
	$(BIN)/python -m pytest tests/observability

lint: $(VENV)/.installed-test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

fix: $(VENV)/.installed-test
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean:
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis *.egg-info
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(VENV)/.made:
	$(PYTHON) -c 'import sys; sys.exit("Nightschool needs Python 3.11 or newer" if sys.version_info < (3, 11) else 0)'
	$(PYTHON) -m venv $(VENV)
	touch $@

$(VENV)/.installed: pyproject.toml | $(VENV)/.made
	$(BIN)/python -m pip install --quiet --no-compile --editable .
	touch $@

# One installation of everything is shorter than one after the other. Python compiles what is imported, pip all there is.
$(VENV)/.installed-test: pyproject.toml | $(VENV)/.made
	$(BIN)/python -m pip install --quiet --no-compile --editable '.[test]'
	touch $(VENV)/.installed $@

$(VENV)/.installed-pictures: $(VENV)/.installed
	$(BIN)/python -m pip install --quiet --no-compile --editable '.[pictures]'
	touch $@
