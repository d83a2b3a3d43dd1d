"""Exports of fixed tokens, whose bytes real trainers have read: see tests/tokenize/loading/test_trainers.py."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
from tokenized import make_fixed_tokens

from curation.tokenize.loading.exports import FORMATS, export

RECORDED = Path(__file__).parent / "exported.json"


def export_fixed_tokens(folder: Path) -> None:
    """Export fixed tokens in every format, each to the folder of its name, next to the documents and rows as JSON."""
    documents = make_fixed_tokens(folder / "run")
    tables = [pq.read_table(path) for path in sorted(folder.glob("run/tokens/*.parquet"))]
    rows = np.concatenate([np.array(table["input_ids"].to_pylist()) for table in tables]).tolist()
    (folder / "documents.json").write_text(json.dumps(documents))
    (folder / "rows.json").write_text(json.dumps(rows))
    for form in FORMATS:
        export(str(folder / "run"), str(folder / form), form, file_tokens=None if form == "mds" else 200)


def hashes(folder: Path) -> dict[str, str]:
    """The hash of every file that trainers read, without compressed ones, which depend on a library's version."""
    paths = [path for form in FORMATS for path in sorted((folder / form).rglob("*")) if path.is_file()]
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()[:16]
        for path in paths
        if path.suffix not in (".gz", ".zst") and path.name != "train.json"
    }
