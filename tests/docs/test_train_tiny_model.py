from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest
from tokenized import make_run, make_texts

from curation.tokenize.encoding.token_shards import TokensSettings

torch = pytest.importorskip("torch")

EXAMPLE = Path(__file__).resolve().parents[2] / "docs" / "train_tiny_model.py"


def test_loss_falls_and_resume_is_exact(tmp_path: Path) -> None:
    """The loss falls, and a run that is stopped and resumed gives the same losses."""
    spec = importlib.util.spec_from_file_location("train_tiny_model", EXAMPLE)
    assert spec is not None
    assert spec.loader is not None
    example = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(example)
    torch.set_num_threads(1)
    make_run(tmp_path / "run", make_texts(200), TokensSettings(sequence_length=64))
    run = str(tmp_path / "run")
    whole = example.train(run, tmp_path / "whole.pt", 24, every=6)
    assert sum(whole[-5:]) < 0.9 * sum(whole[:5])
    first = example.train(run, tmp_path / "stopped.pt", 12, every=6)
    rest = example.train(run, tmp_path / "stopped.pt", 24, every=6)
    assert first + rest == whole
