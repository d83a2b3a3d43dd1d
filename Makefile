# Two commands do all the set-up there is: `make demo` and `make test`.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready-dev
DEMO := demo

.PHONY: demo test lint types bench peers clean

demo: $(READY)
	$(BIN)/curate run samples/web.warc.gz --out $(DEMO) --set tokenizer.vocab_size=2048 --set tokens.sequence_length=512
	$(BIN)/curate report $(DEMO)
	@echo
	@echo "The corpus is in $(DEMO)/corpus, the token shards in $(DEMO)/tokens. Ask why a page went:"
	@echo "  $(BIN)/curate explain $(DEMO) URL"

test: $(READY)
	$(BIN)/python -m pytest -n 2 --dist loadfile

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(READY)
	$(BIN)/python tests/check_types.py

bench: $(READY) peers
	$(BIN)/python tests/benchmarks/all.py

peers: .venv-peers/.ready

$(READY): pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet --editable '.[dev,s3]'
	touch $@

.venv-peers/.ready: tests/benchmarks/peers.txt
	$(PYTHON) -m venv .venv-peers
	.venv-peers/bin/python -m pip install --quiet --upgrade pip
	.venv-peers/bin/python -m pip install --quiet --requirement $<
	touch $@

clean:
	rm -rf $(DEMO) $(VENV) .venv-peers build dist *.egg-info
