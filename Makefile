# `make demo` and `make test` do all the setup themselves.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready-dev
DEMO := demo

# The report is tested in a browser. If none can be installed, its tests are skipped with a message.
ROOT := $(if $(filter 0,$(shell id -u)),,sudo -n)
BROWSERS := chromium chromium-browser google-chrome

.PHONY: browser demo test lint types bench peers trafilatura clean

demo: $(READY)
	$(BIN)/curate run samples/web.warc.gz --out $(DEMO) --set tokenizer.vocab_size=2048 --set tokens.sequence_length=512 \
		--set alarms.damaged=0.02
	@echo
	@echo "The corpus is in $(DEMO)/corpus, the token shards in $(DEMO)/tokens. See why a page was kept or removed:"
	@echo "  $(BIN)/curate explain $(DEMO) URL"

test: $(READY) browser
	$(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder

browser:
	@for name in $(BROWSERS); do command -v $$name >/dev/null && exit 0; done; \
	command -v apt-get >/dev/null || { echo "no browser found, and no apt-get to install chromium"; exit 0; }; \
	echo "installing chromium for the report tests"; \
	$(ROOT) apt-get update -qq >/dev/null 2>&1; \
	$(ROOT) apt-get install -y -qq --no-install-recommends chromium >/dev/null 2>&1 || echo "chromium could not be installed"

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(READY)
	$(BIN)/python tests/check_types.py

bench: $(READY) peers
	$(BIN)/python tests/benchmarks/all.py

peers: .venv-peers/.ready .venv-trainers/.ready

# Checks the newest release, or a given one: make trafilatura VERSION=2.2.0
trafilatura: $(READY)
	$(BIN)/python tests/check_trafilatura.py $(VERSION)

$(READY): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[dev,s3]'
	$(BIN)/python -m compileall -q curation filters tokenize jobs  # as pip does for packages that are not editable
	touch $@

.venv-%/.ready: tests/benchmarks/%.txt
	$(PYTHON) -m venv $(@D)
	$(@D)/bin/python -m pip install --quiet --upgrade pip
	$(@D)/bin/python -m pip install --quiet --requirement $<
	touch $@

clean:
	rm -rf $(DEMO) $(VENV) .venv-peers .venv-trainers build dist *.egg-info
