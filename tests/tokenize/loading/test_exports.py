from __future__ import annotations

import itertools
import json
import struct
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from datatrove.pipeline.tokens.megatron_tokenizer import MegatronTokenizedFile
from tokenized import END, make_run, make_texts
from tokenizers import Tokenizer

from curation.errors import InputError, OutputError, ParameterError
from curation.tokenize.encoding.encode_shards import read_encoder
from curation.tokenize.encoding.encoder import Encoder
from curation.tokenize.encoding.token_shards import TokensSettings
from curation.tokenize.loading.exports import FORMATS, documents, export
from curation.tokenize.loading.loader import TokenLoader
from curation.tokenize.loading.token_set import TokenSet

SETTINGS = TokensSettings(sequence_length=32, shard_rows=60, row_group_rows=16, validation_fraction=0.1)
TEXTS = [*make_texts(100, longest=80), *["river stone"] * 30]


@pytest.fixture(scope="module", params=["concat", "best_fit"])
def run(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("run")
    make_run(path, TEXTS, replace(SETTINGS, packing=request.param))
    return str(path)


def expected(run: str, split: str = "train") -> list[list[int]]:
    """The documents of the token shards, read row by row with pyarrow; parts that `concat` cut are joined."""
    documents: list[list[int]] = []
    for path in sorted(Path(run).glob(f"tokens/{split}-*.parquet")):
        whole = pq.read_schema(path).metadata[b"curation.packing"] == b"concat"
        for row in pq.read_table(path).to_pylist():
            bounds = [*row["document_starts"], len(row["input_ids"])]
            for name, (a, b) in zip(row["document_ids"], itertools.pairwise(bounds), strict=True):
                part = row["input_ids"][a:b]
                if name is None:
                    continue
                if whole and a == 0 and documents and documents[-1][-1] != 0:
                    documents[-1] += part
                else:
                    documents.append(part)
    return documents


def read_megatron(prefix: Path) -> list[list[int]]:
    """Read the sequences of a Megatron dataset using only the layout of its index file."""
    index, data = prefix.with_suffix(".idx").read_bytes(), prefix.with_suffix(".bin").read_bytes()
    assert index[:9] == b"MMIDIDX\x00\x00"
    version, code, sequences, documents = struct.unpack_from("<QBQQ", index, 9)
    assert (version, documents) == (1, sequences + 1)
    kind = {1: np.uint8, 4: np.int32, 8: np.uint16}[code]
    offset = 34
    lengths = np.frombuffer(index, np.int32, sequences, offset)
    pointers = np.frombuffer(index, np.int64, sequences, offset + 4 * sequences)
    ends = np.frombuffer(index, np.int64, documents, offset + 12 * sequences)
    assert len(index) == offset + 12 * sequences + 8 * documents
    assert ends.tolist() == list(range(documents))
    return [np.frombuffer(data, kind, n, at).tolist() for n, at in zip(lengths, pointers, strict=True)]


@pytest.mark.parametrize("split", ["train", "validation"])
def test_megatron(run: str, tmp_path: Path, split: str) -> None:
    """The Megatron export, read by the layout of its index, has the documents in order."""
    outputs = export(run, str(tmp_path), "megatron", split)
    documents = expected(run, split)
    assert read_megatron(tmp_path / split) == documents
    assert [output.rows for output in outputs] == [len(documents), len(documents), 0]
    assert [output.bytes for output in outputs] == [(tmp_path / output.path).stat().st_size for output in outputs]


def test_megatron_files_are_those_of_another_writer(run: str, tmp_path: Path) -> None:
    """datatrove's Megatron writer writes the same bytes for the same documents."""
    export(run, str(tmp_path), "megatron")
    writer = MegatronTokenizedFile(str(tmp_path / "other"), "train", token_size=2)
    for document in expected(run):
        writer.bin_file.write(np.array(document, np.uint16).tobytes())
        writer.sequence_lengths.append(len(document))
        writer.document_indices.append(len(writer.sequence_lengths))
    writer.close()
    for name in ("train.bin", "train.idx"):
        assert (tmp_path / name).read_bytes() == (tmp_path / "other" / name).read_bytes()


def test_bin_is_bare_ids_with_an_index(run: str, tmp_path: Path) -> None:
    """NumPy can map the file as nanoGPT does, and the index divides it into the documents."""
    export(run, str(tmp_path), "bin")
    labels = json.loads((tmp_path / "train.json").read_text())
    ids = np.memmap(tmp_path / "train.bin", dtype=labels["dtype"], mode="r")
    bounds = np.load(tmp_path / "train.documents.npy")
    assert labels["dtype"] == "uint16"
    assert [ids[a:b].tolist() for a, b in itertools.pairwise(bounds)] == expected(run)
    assert (labels["tokens"], labels["documents"], labels["end_id"]) == (len(ids), len(bounds) - 1, 0)


@pytest.mark.parametrize("size", [100, 1000, 10**8])
def test_llmc_files(run: str, tmp_path: Path, size: int) -> None:
    """Headers and sizes are as llm.c expects, and the concatenated files are the concatenated documents."""
    export(run, str(tmp_path), "llmc", llmc_tokens=size)
    tokens: list[int] = []
    for path in sorted(tmp_path.glob("train_*.bin")):
        header = np.fromfile(path, np.int32, 256)
        assert (header[0], header[1]) == (20240520, 1)
        ids = np.fromfile(path, np.uint16, offset=1024)
        assert len(ids) == header[2] <= size
        assert len(tokens) % size == 0
        tokens += ids.tolist()
    assert tokens == [token for document in expected(run) for token in document]


def test_ids_of_four_bytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A vocabulary over 65,536 is stored as uint32, exported as int32 for Megatron and as uint32 otherwise."""
    make_run(tmp_path / "small", TEXTS, SETTINGS)
    original = Encoder.__init__

    def widened(self: Encoder, definition: bytes | str) -> None:
        original(self, definition)
        self.vocabulary, self.dtype = 100_000, np.dtype(np.uint32)

    monkeypatch.setattr(Encoder, "__init__", widened)
    read_encoder.cache_clear()
    make_run(tmp_path / "large", TEXTS, SETTINGS)
    read_encoder.cache_clear()
    assert str(pq.read_schema(tmp_path / "large/tokens/train-00000.parquet").field(0).type.value_type) == "uint32"
    large, small = str(tmp_path / "large"), str(tmp_path / "small")
    for form in ("megatron", "bin", "llmc"):
        export(large, str(tmp_path / form), form)
    assert expected(large) == expected(small)
    assert read_megatron(tmp_path / "megatron/train") == expected(small)
    flat = [token for document in expected(small) for token in document]
    assert np.fromfile(tmp_path / "bin/train.bin", np.uint32).tolist() == flat
    llmc = tmp_path / "llmc/train_000000.bin"
    assert np.fromfile(llmc, np.int32, 2).tolist() == [20240801, 7]
    assert np.fromfile(llmc, np.uint32, offset=1024).tolist() == flat


def test_spelled_special_tokens_stay_text(run: str, tmp_path: Path) -> None:
    """The end token's id occurs exactly once per document, although texts spell it."""
    assert any(END in text for text in TEXTS)
    export(run, str(tmp_path), "bin")
    export(run, str(tmp_path), "bin", "validation")
    ends = sum(int((np.fromfile(tmp_path / f"{split}.bin", np.uint16) == 0).sum()) for split in ("train", "validation"))
    assert ends == len(TEXTS)


@pytest.mark.parametrize("form", FORMATS)
def test_every_export_says_which_ids_are_special(run: str, tmp_path: Path, form: str) -> None:
    """<split>.json has the vocabulary, the ids of end and padding, and the counts; so has the loader."""
    path = export(run, str(tmp_path), form, "validation")[-1].path
    found = json.loads((tmp_path / path).read_text())
    tokenizer = Tokenizer.from_file(f"{run}/tokenizer/tokenizer.json")
    special = (tokenizer.get_vocab_size(), tokenizer.token_to_id(END), tokenizer.token_to_id("<|padding|>"))
    assert (found["vocabulary"], found["end_id"], found["pad_id"]) == special
    loader = TokenLoader(run, 1)
    assert (loader.vocabulary, loader.end_id, loader.pad_id) == special
    texts = expected(run, "validation")
    assert (found["format"], found["documents"], found["tokens"]) == (form, len(texts), sum(map(len, texts)))


def test_formats_do_not_mix(run: str, tmp_path: Path) -> None:
    """A folder with another format is refused before anything is written; the same export can be made again."""
    for form, other in itertools.permutations(FORMATS, 2):
        target = tmp_path / f"{form}-{other}"
        export(run, str(target), form)
        before = {path.name: path.read_bytes() for path in target.iterdir()}
        for split in ("train", "validation"):
            with pytest.raises(OutputError, match=f"has an export in the format {form}"):
                export(run, str(target), other, split)
        export(run, str(target), form)
        assert {path.name: path.read_bytes() for path in target.iterdir()} == before


def test_tokenizers_do_not_mix(run: str, tmp_path: Path) -> None:
    """A split next to one of another tokenizer is refused."""
    export(run, str(tmp_path), "megatron")
    labels = json.loads((tmp_path / "train.json").read_text())
    (tmp_path / "train.json").write_text(json.dumps({**labels, "tokenizer": "other"}))
    with pytest.raises(OutputError, match="the split train of another tokenizer"):
        export(run, str(tmp_path), "megatron", "validation")


def test_a_shorter_export_leaves_nothing_of_a_longer_one(run: str, tmp_path: Path) -> None:
    """Files of llm.c beyond the last one are removed, since a trainer reads all that match."""
    export(run, str(tmp_path), "llmc", llmc_tokens=100)
    assert len(list(tmp_path.glob("train_*.bin"))) > 2
    export(run, str(tmp_path), "llmc", llmc_tokens=10**8)
    assert [path.name for path in tmp_path.glob("train_*.bin")] == ["train_000000.bin"]


def test_wrong_format_or_source(run: str, tmp_path: Path) -> None:
    """The errors for an unknown format and for a folder without tokens name them."""
    with pytest.raises(ParameterError, match="tfrecord"):
        export(run, str(tmp_path), "tfrecord")
    with pytest.raises(InputError, match="train-"):
        export(str(tmp_path), str(tmp_path), "bin")


@pytest.mark.parametrize("value", ["none", "9" * 5000, ""])
def test_metadata_that_is_no_number(run: str, tmp_path: Path, value: str) -> None:
    """An error names the metadata of token files that should be a number and is not."""
    tokens = TokenSet(run, "train")
    tokens.metadata = tokens.metadata | {"curation.end_id": value}
    with pytest.raises(InputError, match=r"curation\.end_id = .* no whole number"):
        next(documents(tokens))
