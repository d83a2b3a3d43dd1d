"""PyTorch, torchdata, accelerate, transformers and other trainers read our tokens exactly, in their own environment.

They are several gigabytes, so the tests are skipped unless CURATION_TRAINERS names a Python that has them, or is 1 for
the one that `make peers` installs. Only this environment's packages are used there, and this code from its folder.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
from pathlib import Path

import pytest
from exported import RECORDED, export_fixed_tokens, hashes
from tokenized import make_run, make_texts

from curation.tokenize.encoding.token_shards import TokensSettings
from curation.tokenize.training.given import rank_file
from curation.tokenize.training.settings import TokenizerSettings
from curation.tokenize.training.tokenizer_json import tokenizer_json
from curation.tokenize.training.train import train

ROOT = Path(__file__).resolve().parents[3]
PROGRAMS = ROOT / "tests" / "support" / "trainer_programs.py"
GIVEN = os.environ.get("CURATION_TRAINERS", "")
PYTHON = str(ROOT / ".venv-trainers" / "bin" / "python") if GIVEN == "1" else GIVEN
SETTINGS = TokensSettings(sequence_length=16, shard_rows=100, row_group_rows=16, validation_fraction=0.02)

pytestmark = pytest.mark.skipif(not GIVEN, reason="CURATION_TRAINERS names no environment with PyTorch and trainers")


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("run")
    make_run(path, make_texts(40, longest=60), SETTINGS)
    return str(path)


def start(name: str, *arguments: str, **variables: str) -> subprocess.Popen[str]:
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1", **variables}
    command = [PYTHON, str(PROGRAMS), name, *arguments]
    return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def finish(*processes: subprocess.Popen[str]) -> None:
    try:
        for process in processes:
            output, _ = process.communicate(timeout=100)
            assert process.returncode == 0, output[-4000:]
    finally:
        for process in processes:
            process.kill()


@pytest.mark.parametrize("program", ["plain", "persistent", "copies", "batching", "stateful"])
def test_data_loaders(run: str, program: str) -> None:
    """DataLoader and StatefulDataLoader give the loader's batches and resume exactly, or raise an error."""
    finish(start(program, run))


@pytest.mark.parametrize("program", ["accelerate_ranks", "trainer_ranks"])
def test_two_ranks(run: str, program: str) -> None:
    """Two ranks together read every row of each step once, or accelerate's second division is an error."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = str(server.getsockname()[1])
    shared = {"WORLD_SIZE": "2", "LOCAL_WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
    finish(*(start(program, run, RANK=rank, LOCAL_RANK=rank, ACCELERATE_USE_CPU="true", **shared) for rank in "01"))


def test_formats(tmp_path: Path) -> None:
    """The real readers give our tokens, and their writers our bytes; the hashes of these files are then recorded."""
    export_fixed_tokens(tmp_path)
    finish(start("formats", str(tmp_path)))
    RECORDED.write_text(json.dumps(hashes(tmp_path), indent=1) + "\n")


@pytest.mark.parametrize("pattern", ["gpt2", "gpt4", "o200k"])
def test_tiktoken(tmp_path: Path, pattern: str) -> None:
    """tiktoken gives the ids of tokenizers with the rank file of a trained tokenizer."""
    texts = make_texts(150, seed=3, longest=60)
    chosen = TokenizerSettings(vocab_size=1500, pattern=pattern)
    trained = train(texts, chosen)
    (tmp_path / "tokenizer.json").write_bytes(tokenizer_json(trained.vocabulary, trained.merges, chosen))
    (tmp_path / "tokenizer.tiktoken").write_bytes(rank_file(trained.vocabulary, trained.merges) or b"")
    (tmp_path / "texts.json").write_text(json.dumps([*texts, *make_texts(300, seed=4, longest=80)]))
    finish(start("ranks", str(tmp_path)))
