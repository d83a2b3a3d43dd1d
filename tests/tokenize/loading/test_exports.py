from __future__ import annotations

import csv
import gzip
import itertools
import json
import pickle
import struct
from collections import Counter
from dataclasses import replace
from pathlib import Path

import datasets
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zstandard
from datatrove.pipeline.tokens.megatron_tokenizer import MegatronTokenizedFile
from exported import RECORDED, export_fixed_tokens, hashes
from tokenized import END, make_run, make_texts
from tokenizers import Tokenizer

from curation.errors import InputError, OutputError, ParameterError
from curation.tokenize.encoding.encode_shards import read_encoder
from curation.tokenize.encoding.encoder import Encoder
from curation.tokenize.encoding.token_shards import TokensSettings
from curation.tokenize.loading.document_stream import stream_parts
from curation.tokenize.loading.exports import FORMATS, export
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
    export(run, str(tmp_path), "llmc", file_tokens=size)
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
    """A vocabulary over 65,536 is stored and exported in four bytes, or refused where the reader knows two only."""
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
    for form in ("megatron", "bin", "olmo", "mds"):
        export(large, str(tmp_path / form), form)
    for form in ("llmc", "nanogpt"):
        with pytest.raises(InputError, match=r"below 65,536 only.* 100,000 tokens; .*vocab_size=65536"):
            export(large, str(tmp_path / form), form)
        assert not list((tmp_path / form).glob("*"))
    assert expected(large) == expected(small)
    assert read_megatron(tmp_path / "megatron/train") == expected(small)
    flat = [token for document in expected(small) for token in document]
    assert np.fromfile(tmp_path / "bin/train.bin", np.uint32).tolist() == flat
    assert np.fromfile(tmp_path / "olmo/train-00000.npy", np.uint32).tolist() == flat
    encodings = json.loads((tmp_path / "mds/train/index.json").read_text())["shards"][0]["column_encodings"]
    assert encodings == ["ndarray:uint32:32"]


@pytest.mark.parametrize("split", ["train", "validation"])
def test_nanogpt(run: str, tmp_path: Path, split: str) -> None:
    """nanoGPT's train.py finds train.bin and val.bin with uint16, and the size of the vocabulary in meta.pkl."""
    export(run, str(tmp_path), "nanogpt", split)
    name = {"train": "train", "validation": "val"}[split]
    ids = np.memmap(tmp_path / f"{name}.bin", dtype=np.uint16, mode="r")
    assert ids.tolist() == [token for document in expected(run, split) for token in document]
    with (tmp_path / "meta.pkl").open("rb") as file:
        assert pickle.load(file) == {
            "vocab_size": Tokenizer.from_file(f"{run}/tokenizer/tokenizer.json").get_vocab_size()
        }


def test_json_lines(run: str, tmp_path: Path) -> None:
    """Each line has a document's id and tokens, and datasets reads the file."""
    export(run, str(tmp_path), "jsonl")
    path = tmp_path / "train.jsonl.zst"
    lines = [json.loads(line) for line in zstandard.open(path, "rt", encoding="utf-8")]
    assert [line["input_ids"] for line in lines] == expected(run)
    names = Counter(line["id"] for line in lines)
    stored = pa.concat_tables([pq.read_table(path) for path in sorted(Path(run).glob("tokens/train-*.parquet"))])
    assert names.keys() == {*stored["document_ids"].combine_chunks().flatten().drop_null().to_pylist()}
    cache = str(tmp_path / "cache")
    read = datasets.load_dataset("json", data_files=str(path), split="train", cache_dir=cache)
    assert read["input_ids"][:] == expected(run)


@pytest.mark.parametrize("size", [1, 100, 10**8])
def test_olmo_files(run: str, tmp_path: Path, size: int) -> None:
    """Files of bare ids are cut between documents, and the table beside each says where its documents are."""
    outputs = export(run, str(tmp_path), "olmo", file_tokens=size)
    found, names = [], []
    for path in sorted(tmp_path.glob("*.npy")):
        ids = np.fromfile(path, np.uint16)
        with gzip.open(path.with_suffix(".csv.gz"), "rt", newline="") as file:
            for begin, end, name in csv.reader(file):
                found.append(ids[int(begin) : int(end)].tolist())
                names.append(name)
        assert int(end) == len(ids)
        assert int(begin) < size
    assert found == expected(run)
    assert all(name.startswith("shard-") for name in names)
    assert len(outputs) == 2 * len(list(tmp_path.glob("*.npy"))) + 1


def test_mds_has_the_rows_as_they_are_packed(run: str, tmp_path: Path) -> None:
    """A sample per row with its padding, in shards of a limited size, which a longer export left nothing beside."""
    tables = [pq.read_table(path) for path in sorted(Path(run).glob("tokens/train-*.parquet"))]
    rows = [row for table in tables for row in table["input_ids"].to_pylist()]
    for size in (1, 1000, None):
        export(run, str(tmp_path), "mds", file_tokens=size)
        index = json.loads((tmp_path / "train" / "index.json").read_text())
        found = []
        for shard in index["shards"]:
            data = (tmp_path / "train" / shard["raw_data"]["basename"]).read_bytes()
            assert (len(data), shard["samples"]) == (shard["raw_data"]["bytes"], int.from_bytes(data[:4], "little"))
            places = np.frombuffer(data, np.uint32, shard["samples"] + 1, 4)
            found += [np.frombuffer(data[a:b], np.uint16).tolist() for a, b in itertools.pairwise(places)]
        assert found == rows
        assert len(list((tmp_path / "train").glob("*.mds"))) == len(index["shards"])
    assert len(index["shards"]) == 1


def test_bytes_are_those_that_trainers_have_read(tmp_path: Path) -> None:
    """The files are the same as when OLMo-core, mosaicml-streaming and litdata read them (test_trainers.py)."""
    export_fixed_tokens(tmp_path)
    assert hashes(tmp_path) == json.loads(RECORDED.read_text())


@pytest.mark.parametrize("form", FORMATS)
def test_ids_beyond_the_vocabulary_are_refused(run: str, tmp_path: Path, form: str) -> None:
    """An id that the vocabulary does not have stops the export with its place, and leaves no file under its name."""
    source = sorted(Path(run).glob("tokens/train-*.parquet"))[0]
    table = pq.read_table(source)
    metadata = {**table.schema.metadata, b"curation.vocabulary": b"300"}
    (tmp_path / "tokens").mkdir()
    pq.write_table(table.replace_schema_metadata(metadata), tmp_path / "tokens" / source.name)
    with pytest.raises(InputError, match=r"train-00000:\d+:\d+: id \d+ is not in the vocabulary of 300 tokens"):
        export(str(tmp_path), str(tmp_path / "out"), form)
    assert not list((tmp_path / "out").glob("train*.*"))


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


@pytest.mark.parametrize("form", FORMATS)
def test_formats_do_not_mix(run: str, tmp_path: Path, form: str) -> None:
    """A folder with another format is refused before anything is written; the same export can be made again."""

    def files() -> dict[Path, bytes]:
        return {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}

    export(run, str(tmp_path), form)
    before = files()
    for other, split in itertools.product({*FORMATS} - {form}, ("train", "validation")):
        with pytest.raises(OutputError, match=f"has an export in the format {form}"):
            export(run, str(tmp_path), other, split)
    export(run, str(tmp_path), form)
    assert files() == before


def test_tokenizers_do_not_mix(run: str, tmp_path: Path) -> None:
    """A split next to one of another tokenizer is refused."""
    export(run, str(tmp_path), "megatron")
    labels = json.loads((tmp_path / "train.json").read_text())
    (tmp_path / "train.json").write_text(json.dumps({**labels, "tokenizer": "other"}))
    with pytest.raises(OutputError, match="the split train of another tokenizer"):
        export(run, str(tmp_path), "megatron", "validation")


def test_a_shorter_export_leaves_nothing_of_a_longer_one(run: str, tmp_path: Path) -> None:
    """Files of llm.c beyond the last one are removed, since a trainer reads all that match."""
    export(run, str(tmp_path), "llmc", file_tokens=100)
    assert len(list(tmp_path.glob("train_*.bin"))) > 2
    export(run, str(tmp_path), "llmc", file_tokens=10**8)
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
        next(stream_parts(tokens))
