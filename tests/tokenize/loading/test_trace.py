from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from tokenized import PAD, make_run, make_texts, write_corpus

from curation.errors import InputError
from curation.store.folder import Folder
from curation.tokenize.encoding.token_shards import TokensSettings
from curation.tokenize.loading.trace import trace

SETTINGS = TokensSettings(sequence_length=32, shard_rows=64, row_group_rows=16, validation_fraction=0.1)
TEXTS = make_texts(60, longest=60)


@pytest.mark.parametrize("packing", ["concat", "best_fit"])
def test_every_token_is_traced_to_its_document(tmp_path: Path, packing: str) -> None:
    """A token is traced to the document whose text contains it at that position, with its URL, file and offset."""
    folder, _, tokenizer = make_run(tmp_path, TEXTS, replace(SETTINGS, packing=packing))
    rows = pq.read_table(folder.path("tokens/train-00000.parquet")).to_pylist()
    for row, position in ((0, 0), (0, 9), (17, 5), (40, 2)):
        origin = trace(folder, f"train-00000:{row}:{position}")
        piece = max(at for at, start in enumerate(rows[row]["document_starts"]) if start <= position)
        assert origin.token == rows[row]["input_ids"][position]
        assert origin.document_id == rows[row]["document_ids"][piece]
        assert origin.document_position == rows[row]["document_starts"][piece]
        shard, number = origin.document_id.split("/")
        assert origin.document is not None
        assert (origin.document["id"], origin.document["file_path"]) == (origin.document_id, f"{shard}.warc.gz")
        assert origin.document["warc_offset"] == int(number)
        text = TEXTS[int(number) * 3 + int(shard[-1])]
        ids = rows[row]["input_ids"][origin.document_position : position + 1]
        assert tokenizer.decode([token for token in ids if token], skip_special_tokens=False) in text
        assert origin.text == tokenizer.decode([origin.token], skip_special_tokens=False)


def test_padding_has_no_document(tmp_path: Path) -> None:
    """A padding token has no document."""
    folder, manifest, _ = make_run(tmp_path, TEXTS, replace(SETTINGS, shard_rows=100000))
    assert manifest.counts["train_padding"] > 0
    origin = trace(folder, f"tokens/train-00000.parquet:{manifest.counts['train_rows'] - 1}:31")
    assert (origin.text, origin.document_id, origin.document) == (PAD, None, None)


def test_document_of_a_mixed_corpus(tmp_path: Path) -> None:
    """A token from a corpus that was mixed in is traced to that corpus."""
    wiki = f"{tmp_path}/wiki"
    write_corpus(Folder(wiki), {"w": ["garden " * 500]})
    folder, _, _ = make_run(tmp_path / "run", TEXTS[:6], replace(SETTINGS, mix=(f"{wiki}=1",), validation_fraction=0.0))
    rows = pq.read_table(folder.path("tokens/train-00000.parquet"))["document_ids"].to_pylist()
    row = next(number for number, names in enumerate(rows) if names == ["w/0"])
    origin = trace(folder, f"train-00000:{row}:3")
    assert (origin.corpus, origin.document_id) == (wiki, "w/0")


@pytest.mark.parametrize(
    "location",
    [
        "train-00000",
        "train-00000:1:-1",
        "train-9:0:0",
        "train-00000:0:32",
        "train-00000:99999:0",
        f"train-0:{'9' * 5000}:0",
    ],
)
def test_invalid_locations(tmp_path: Path, location: str) -> None:
    """The error for a malformed or out-of-range location says what is expected."""
    folder, _, _ = make_run(tmp_path, TEXTS[:6], SETTINGS)
    with pytest.raises(InputError, match=r"must be SHARD|no tokens/|counted from 0"):
        trace(folder, location)
