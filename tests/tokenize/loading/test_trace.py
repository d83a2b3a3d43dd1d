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
def test_every_token_leads_to_its_document(tmp_path: Path, packing: str) -> None:
    """The document found is the one whose text holds the token amid its neighbours, with its URL, file and offset."""
    folder, _, tokenizer = make_run(tmp_path, TEXTS, replace(SETTINGS, packing=packing))
    rows = pq.read_table(folder.path("tokens/train-00000.parquet")).to_pylist()
    for row, position in ((0, 0), (0, 9), (17, 5), (40, 2)):
        found = trace(folder, f"train-00000:{row}:{position}")
        piece = max(at for at, start in enumerate(rows[row]["document_starts"]) if start <= position)
        assert found.token == rows[row]["input_ids"][position]
        assert found.document_id == rows[row]["document_ids"][piece]
        assert found.document_position == rows[row]["document_starts"][piece]
        shard, number = found.document_id.split("/")
        assert found.document is not None
        assert (found.document["id"], found.document["file_path"]) == (found.document_id, f"{shard}.warc.gz")
        assert found.document["warc_offset"] == int(number)
        text = TEXTS[int(number) * 3 + int(shard[-1])]
        ids = rows[row]["input_ids"][found.document_position : position + 1]
        assert tokenizer.decode([token for token in ids if token], skip_special_tokens=False) in text
        assert found.text == tokenizer.decode([found.token], skip_special_tokens=False)


def test_padding_has_no_document(tmp_path: Path) -> None:
    """A token of padding says so by having no document."""
    folder, manifest, _ = make_run(tmp_path, TEXTS, replace(SETTINGS, shard_rows=100000))
    assert manifest.counts["train_padding"] > 0
    found = trace(folder, f"tokens/train-00000.parquet:{manifest.counts['train_rows'] - 1}:31")
    assert (found.text, found.document_id, found.document) == (PAD, None, None)


def test_document_of_a_mixed_corpus(tmp_path: Path) -> None:
    """A token of a corpus that was mixed in leads to that corpus."""
    wiki = f"{tmp_path}/wiki"
    write_corpus(Folder(wiki), {"w": ["garden " * 500]})
    folder, _, _ = make_run(tmp_path / "run", TEXTS[:6], replace(SETTINGS, mix=(f"{wiki}=1",), validation_fraction=0.0))
    rows = pq.read_table(folder.path("tokens/train-00000.parquet"))["document_ids"].to_pylist()
    row = next(number for number, names in enumerate(rows) if names == ["w/0"])
    found = trace(folder, f"train-00000:{row}:3")
    assert (found.corpus, found.document_id) == (wiki, "w/0")


@pytest.mark.parametrize(
    "place", ["train-00000", "train-00000:1:-1", "train-9:0:0", "train-00000:0:32", "train-00000:99999:0"]
)
def test_places_that_are_not_there(tmp_path: Path, place: str) -> None:
    """A place that is misspelled or out of range is refused with what there is."""
    folder, _, _ = make_run(tmp_path, TEXTS[:6], SETTINGS)
    with pytest.raises(InputError, match=r"must be SHARD|no tokens/|counted from 0"):
        trace(folder, place)
