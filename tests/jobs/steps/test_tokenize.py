from __future__ import annotations

import json
import pickle
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from tokenized import END, PAD, make_run, make_texts, train_tokenizer, write_corpus

from curation.dedup.decisions import KEPT
from curation.errors import InputError
from curation.jobs.steps import tokenize as job
from curation.jobs.steps.progress import Progress
from curation.jobs.steps.tokenize import make_tokens
from curation.running.cluster import Cluster, open_cluster
from curation.store.folder import Folder
from curation.store.manifest import Manifest
from curation.store.shards import ShardWriter, read_table
from curation.tokenize.encoding import encode_shards, pack_shards
from curation.tokenize.encoding.shuffle import is_validation, split_hashes
from curation.tokenize.encoding.token_shards import TokensSettings

SETTINGS = TokensSettings(sequence_length=32, shard_rows=64, row_group_rows=16, validation_fraction=0.1)
TEXTS = make_texts(150, longest=120)
SILENT = Progress("silent")


def remake(folder: Folder, settings: TokensSettings, shards: int = 3, cluster: Cluster | None = None) -> Manifest:
    names = [f"shard-{number}" for number in range(shards)]
    return make_tokens(folder, names, settings, ["test"], cluster or Cluster(None), SILENT)


def tokens_of(folder: Folder, split: str) -> list[dict[str, list[object]]]:
    paths = [path for path in folder.list("tokens", ".parquet") if f"/{split}-" in path]
    return [row for path in paths for row in read_table(folder, path).to_pylist()]


def pieces(rows: list[dict[str, list[object]]]) -> list[tuple[str | None, list[int]]]:
    """(document id, tokens) of every part of every row, in order; the id is None for padding."""
    result = []
    for row in rows:
        bounds = [*row["document_starts"], len(row["input_ids"])]
        for place, name in enumerate(row["document_ids"]):
            result.append((name, row["input_ids"][bounds[place] : bounds[place + 1]]))
    return result  # type: ignore[return-value]


def bytes_of(folder: Folder, *parts: str) -> dict[str, bytes]:
    return {path: folder.read(path) for part in parts for path in folder.list(part)}


@pytest.mark.parametrize("packing", ["concat", "best_fit"])
def test_every_token_exactly_once(tmp_path: Path, packing: str) -> None:
    """Joined by document id, the parts of token rows are each document's tokens and its end token, once."""
    folder, manifest, tokenizer = make_run(tmp_path, TEXTS, replace(SETTINGS, packing=packing))
    tokenizer.encode_special_tokens = True
    end, pad = tokenizer.token_to_id(END), tokenizer.token_to_id(PAD)
    tokens_by_id: dict[str, list[int]] = {}
    padding = 0
    for split in ("train", "validation"):
        for name, tokens in pieces(tokens_of(folder, split)):
            if name is None:
                assert set(tokens) == {pad}
                padding += len(tokens)
            else:
                tokens_by_id.setdefault(name, []).extend(tokens)
    expected = {
        f"shard-{number % 3}/{number // 3}": Counter([*tokenizer.encode(text, add_special_tokens=False).ids, end])
        for number, text in enumerate(TEXTS)
    }
    assert {name: Counter(tokens) for name, tokens in tokens_by_id.items()} == expected
    if packing == "concat":
        texts = {name: tokenizer.decode(ids[:-1], skip_special_tokens=False) for name, ids in tokens_by_id.items()}
        assert texts == {f"shard-{number % 3}/{number // 3}": text for number, text in enumerate(TEXTS)}
    assert padding == sum(manifest.counts[f"{split}_padding"] for split in ("train", "validation"))
    assert sum(manifest.counts[f"{split}_tokens"] for split in ("train", "validation")) == sum(
        map(len, tokens_by_id.values())
    )


def test_dropped_tail_is_counted(tmp_path: Path) -> None:
    """With tail = drop only the last, incomplete row is missing, nothing is padded, and the loss is counted."""
    padded, _, _ = make_run(tmp_path / "pad", TEXTS, SETTINGS)
    dropped, manifest, _ = make_run(tmp_path / "drop", TEXTS, replace(SETTINGS, tail="drop"))
    for split in ("train", "validation"):
        full, short = tokens_of(padded, split), tokens_of(dropped, split)
        assert short == full[:-1]
        lost = [tokens for name, tokens in pieces(full[-1:]) if name is not None]
        assert manifest.counts[f"{split}_dropped"] == sum(map(len, lost)) > 0
        assert manifest.counts[f"{split}_padding"] == manifest.counts[f"{split}_padding_share"] == 0


def test_padding_share_of_best_fit_is_reported(tmp_path: Path) -> None:
    """The manifest, and so the report, has the share of padding for each split: padding by all positions."""
    folder, manifest, _ = make_run(tmp_path, TEXTS, replace(SETTINGS, packing="best_fit"))
    for split in ("train", "validation"):
        rows = tokens_of(folder, split)
        padding = sum(len(tokens) for name, tokens in pieces(rows) if name is None)
        assert padding > 0
        assert manifest.counts[f"{split}_padding_share"] == round(padding / (len(rows) * 32), 6)


@pytest.mark.parametrize("size", [1, 7])
def test_bytes_do_not_depend_on_the_batch_size(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, size: int) -> None:
    """Whether one document is encoded at a time or many, every file is the same, including the tokenizer's report."""
    whole, _, _ = make_run(tmp_path / "whole", TEXTS, SETTINGS)
    monkeypatch.setattr(encode_shards, "_BATCH_ROWS", size)
    parts, _, _ = make_run(tmp_path / "parts", TEXTS, SETTINGS)
    assert bytes_of(parts, "tokens", "corpus", "manifests", "tokenizer") == bytes_of(
        whole, "tokens", "corpus", "manifests", "tokenizer"
    )


def test_bytes_do_not_depend_on_the_file_system(tmp_path: Path) -> None:
    """In an object store, with a corpus mixed in from another, every file is the same as on a local disk."""
    wiki = "memory://wiki"
    write_corpus(Folder(wiki), {"w": make_texts(20, seed=9, longest=60)})
    settings = replace(SETTINGS, mix=(f"{wiki}=2",))
    local, _, _ = make_run(tmp_path, TEXTS, settings)
    remote, _, _ = make_run("memory://run", TEXTS, settings)
    parts = ("tokens", "corpus", "manifests", "tokenizer")
    assert bytes_of(remote, *parts) == bytes_of(local, *parts)
    assert not remote.exists("encoded")


def test_a_token_shard_reads_only_its_own_range(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In the second pass each task reads its tokens and at most one more slot at either end, not the corpus."""
    read: list[int] = []
    original = pack_shards.read_slots

    def counted(*arguments):  # type: ignore[no-untyped-def]
        result = original(*arguments)
        read.append(len(result.encoded.ids))
        return result

    monkeypatch.setattr(pack_shards, "read_slots", counted)
    _, manifest, _ = make_run(tmp_path, TEXTS * 4, replace(SETTINGS, shard_rows=100, validation_fraction=0.0))
    assert len(read) == manifest.counts["train_shards"] > 9
    total = manifest.counts["train_tokens"]
    assert total <= sum(read) < 1.5 * total
    assert max(read) < 2 * 100 * 32


def test_token_count_is_filled_without_the_end_token(tmp_path: Path) -> None:
    """corpus/ is rewritten with the token count of each text; all other columns and the metadata are unchanged."""
    folder = Folder(str(tmp_path))
    write_corpus(folder, {f"shard-{number}": TEXTS[number::3] for number in range(3)})
    before = {path: pq.read_table(folder.path(path)) for path in folder.list("corpus")}
    _, manifest, tokenizer = make_run(tmp_path, TEXTS, SETTINGS)
    tokenizer.encode_special_tokens = True
    assert manifest.counts["documents"] == len(TEXTS)
    total = 0
    for path, table in before.items():
        after = pq.read_table(folder.path(path))
        counts = [len(tokenizer.encode(text, add_special_tokens=False).ids) for text in table["text"].to_pylist()]
        assert after["token_count"].to_pylist() == counts
        total += sum(counts)
        assert after.drop_columns("token_count").equals(table.drop_columns("token_count"), check_metadata=True)
    assert manifest.counts["corpus_tokens"] == total


def test_split_follows_the_hash_of_the_id(tmp_path: Path) -> None:
    """A document is in validation if its hash says so, whatever the seed, and never in both splits."""
    for seed in (0, 1):
        folder, _, _ = make_run(tmp_path / str(seed), TEXTS, replace(SETTINGS, seed=seed))
        ids = read_table(folder, "corpus/shard-0.parquet")["id"].combine_chunks()
        held = is_validation(split_hashes(ids), SETTINGS.validation_fraction)
        expected = {name for name, is_held in zip(ids.to_pylist(), held, strict=True) if is_held}
        there = {name for name, _ in pieces(tokens_of(folder, "validation")) if name and name.startswith("shard-0/")}
        train = {name for name, _ in pieces(tokens_of(folder, "train"))}
        assert there == expected
        assert not there & train


def test_no_cluster_crosses_the_split(tmp_path: Path) -> None:
    """Kept documents of one near-duplicate cluster are in the same split, whatever their shards."""
    folder = Folder(str(tmp_path))
    texts = {f"shard-{number}": [f"river {number} {row}" for row in range(60)] for number in range(2)}
    write_corpus(folder, texts)
    for number in range(2):
        dropped = [3, 10, 11]
        documents = [row for row in range(63) if row not in dropped]
        kept = {"row": documents, "cluster_id": [f"cluster {row % 20}" for row in range(60)], "cluster_size": [6] * 60}
        for path, table in (
            ("documents", pa.table({"id": [str(row) for row in range(63)]})),
            ("dedup/drop", pa.table({"row": dropped}, schema=pa.schema([("row", pa.int64())]))),
            ("dedup/kept", pa.table(kept, schema=KEPT)),
        ):
            with ShardWriter(folder, f"{path}/shard-{number}.parquet", table.schema) as writer:
                writer.write(table)
    folder.write("tokenizer/tokenizer.json", train_tokenizer(TEXTS).to_str().encode())
    remake(folder, replace(SETTINGS, validation_fraction=0.3), shards=2)
    sides: dict[int, set[str]] = {}
    for split in ("train", "validation"):
        for name, _ in pieces(tokens_of(folder, split)):
            if name is not None:
                sides.setdefault(int(name.split("/")[1]) % 20, set()).add(split)
    assert all(len(side) == 1 for side in sides.values())
    assert {next(iter(side)) for side in sides.values()} == {"train", "validation"}


def test_a_small_corpus_has_a_validation_document(tmp_path: Path) -> None:
    """Validation has one document even if the fraction would leave it empty; with fraction 0 it has none."""
    folder, manifest, _ = make_run(tmp_path / "some", TEXTS[:12], replace(SETTINGS, validation_fraction=1e-9))
    assert manifest.counts["sources"][0]["validation_documents"] == 1
    assert len({name for name, _ in pieces(tokens_of(folder, "validation")) if name}) == 1
    _, manifest, _ = make_run(tmp_path / "none", TEXTS[:12], replace(SETTINGS, validation_fraction=0.0))
    assert manifest.counts["validation_rows"] == 0


@pytest.mark.parametrize("packing", ["concat", "best_fit"])
def test_bytes_do_not_depend_on_the_corpus_shards(tmp_path: Path, packing: str) -> None:
    """The same documents with the same ids in 1, 3 or 7 corpus shards give the same bytes of tokens."""
    made = []
    for shards in (1, 3, 7):
        folder = Folder(str(tmp_path / str(shards)))
        names = [f"{number}" for number in range(shards)]
        write_corpus(folder, {name: TEXTS[number::shards] for number, name in enumerate(names)})
        for number, name in enumerate(names):
            table = read_table(folder, f"corpus/{name}.parquet")
            ids = [[f"doc-{row * shards + number}" for row in range(table.num_rows)]]
            table = table.set_column(table.schema.get_field_index("id"), table.schema.field("id"), ids)
            pq.write_table(table, folder.path(f"corpus/{name}.parquet"))
        folder.write("tokenizer/tokenizer.json", train_tokenizer(TEXTS).to_str().encode())
        make_tokens(folder, names, replace(SETTINGS, packing=packing), ["test"], Cluster(None), SILENT)
        made.append(bytes_of(folder, "tokens"))
    assert made[0] == made[1] == made[2]
    assert len(made[0]) > 2


def test_totals_are_added_up_in_groups(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whether the totals of all shards of a mix are added up at once or of each alone, every file is the same."""
    write_corpus(Folder(str(tmp_path / "wiki")), {"w": make_texts(20, seed=9, longest=60)})
    settings = replace(SETTINGS, mix=(f"{tmp_path / 'wiki'}=2",))
    whole, _, _ = make_run(tmp_path / "whole", TEXTS, settings)
    monkeypatch.setattr(job, "ADDED_UP", 1)
    parts, _, _ = make_run(tmp_path / "parts", TEXTS, settings)
    everything = ("tokens", "corpus", "manifests", "tokenizer")
    assert bytes_of(parts, *everything) == bytes_of(whole, *everything)


def test_an_encoding_task_returns_little(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a task returns, which passes through the scheduler, is small, however many slots and ids there are."""
    sizes: list[int] = []
    original = job.encode_or_reuse

    def measured(entry: tuple[encode_shards.EncodeTask, None]) -> object:
        assert entry[0].slots == 1 << 16
        result = original(entry)
        sizes.append(len(pickle.dumps(result)))
        return result

    monkeypatch.setattr(job, "encode_or_reuse", measured)
    monkeypatch.setattr(job, "slot_count", lambda documents, tokens: 1 << 16)
    make_run(tmp_path, TEXTS, SETTINGS)
    assert len(sizes) == 3
    assert max(sizes) < 2000


def test_bytes_do_not_depend_on_workers(tmp_path: Path) -> None:
    """Two Dask workers write the same bytes as no workers."""
    alone, _, _ = make_run(tmp_path / "alone", TEXTS, SETTINGS)
    together = Folder(str(tmp_path / "together"))
    write_corpus(together, {f"shard-{number}": TEXTS[number::3] for number in range(3)})
    together.write("tokenizer/tokenizer.json", alone.read("tokenizer/tokenizer.json"))
    with open_cluster(workers=2) as cluster:
        remake(together, SETTINGS, cluster=cluster)
    parts = ("tokens", "corpus", "manifests")
    assert bytes_of(alone, *parts) == bytes_of(together, *parts)


def test_a_rerun_changes_nothing(tmp_path: Path) -> None:
    """A finished step writes nothing, and leaves no intermediate files."""
    folder, manifest, _ = make_run(tmp_path, TEXTS, SETTINGS)
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")}
    assert remake(folder, SETTINGS).counts == manifest.counts
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")} == before
    assert not folder.exists("encoded")


@pytest.mark.parametrize("stop", ["encode_shard", "pack_shard", "remove"])
def test_resume_after_a_stop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stop: str) -> None:
    """After a stop in the middle of either pass or before the end, a rerun gives the bytes of an uninterrupted run."""
    whole, _, _ = make_run(tmp_path / "whole", TEXTS, SETTINGS)
    calls: list[object] = []

    def failing(original):  # type: ignore[no-untyped-def]
        def call(task):  # type: ignore[no-untyped-def]
            calls.append(task)
            if len(calls) > 2:
                raise KeyboardInterrupt
            return original(task)

        return call

    with monkeypatch.context() as patch:
        if stop == "remove":
            patch.setattr(Folder, "remove", lambda self, path: failing(None)(path))
            calls += [None, None]
        else:
            patch.setattr(job, stop, failing(getattr(job, stop)))
        with pytest.raises(KeyboardInterrupt):
            make_run(tmp_path / "stopped", TEXTS, SETTINGS)
    stopped = Folder(str(tmp_path / "stopped"))
    remake(stopped, SETTINGS)
    parts = ("tokens", "corpus", "manifests", "encoded")
    assert bytes_of(stopped, *parts) == bytes_of(whole, *parts)


@pytest.mark.parametrize("left", [0, 100, -1])
def test_torn_intermediate_files_are_made_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, left: int) -> None:
    """Intermediate files emptied or truncated by a power failure are detected; the result has the same bytes."""
    whole, _, _ = make_run(tmp_path / "whole", TEXTS, SETTINGS)

    def fail(task: object) -> Manifest:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(job, "pack_shard", fail)
        with pytest.raises(KeyboardInterrupt):
            make_run(tmp_path / "torn", TEXTS, SETTINGS)
    torn = sorted(path for path in (tmp_path / "torn" / "encoded").rglob("*.*") if path.is_file())
    assert len(torn) == 9
    for path in torn[::4]:
        path.write_bytes(path.read_bytes()[:left])
    remake(Folder(str(tmp_path / "torn")), SETTINGS)
    parts = ("tokens", "corpus", "manifests", "encoded", "tokenizer")
    assert bytes_of(Folder(str(tmp_path / "torn")), *parts) == bytes_of(whole, *parts)


def test_other_settings_replace_the_tokens(tmp_path: Path) -> None:
    """After a rerun with longer sequences, nothing of the earlier tokens is left."""
    folder, _, _ = make_run(tmp_path / "twice", TEXTS, SETTINGS)
    longer = replace(SETTINGS, sequence_length=128)
    remake(folder, longer)
    once, _, _ = make_run(tmp_path / "once", TEXTS, longer)
    assert bytes_of(folder, "tokens", "manifests") == bytes_of(once, "tokens", "manifests")


def test_metadata_says_what_the_shard_is(tmp_path: Path) -> None:
    """Parquet metadata has tokenizer hash, sequence length, packing, seed and sources; types are the smallest."""
    settings = replace(SETTINGS, cluster_sizes=(2, 100), cluster_repeats=(3, 1))
    folder, _, _ = make_run(tmp_path, TEXTS, settings)
    schema = pq.read_schema(folder.path("tokens/train-00000.parquet"))
    labels = {key.decode(): value.decode() for key, value in schema.metadata.items()}
    assert labels["curation.sequence_length"] == "32"
    assert (labels["curation.packing"], labels["curation.seed"], labels["curation.split"]) == ("concat", "0", "train")
    assert len(labels["curation.tokenizer"]) == 32
    assert json.loads(labels["curation.sources"])[0]["documents"] == len(TEXTS)
    assert json.loads(labels["curation.repeats"]) == [[2, 3], [100, 1]]
    assert str(schema.field("input_ids").type.value_type) == "uint16"
    assert schema.field("input_ids").type.list_size == 32


@pytest.mark.parametrize("compression", ["none", "zstd"])
def test_another_reader_reads_the_shards(tmp_path: Path, compression: str) -> None:
    """DuckDB, which shares no code with pyarrow, reads the columns of either compression."""
    duckdb = pytest.importorskip("duckdb")
    folder, manifest, _ = make_run(tmp_path, TEXTS, replace(SETTINGS, compression=compression))
    rows = tokens_of(folder, "train")
    query = "select count(*), sum(list_sum(input_ids)), sum(list_sum(document_starts)), sum(len(document_ids))"
    result = duckdb.sql(f"{query} from '{tmp_path}/tokens/train-*.parquet'").fetchall()
    sums = [sum(sum(row[name]) for row in rows) for name in ("input_ids", "document_starts")]  # type: ignore[misc]
    assert result == [(manifest.counts["train_rows"], *sums, sum(len(row["document_ids"]) for row in rows))]


def test_missing_end_token_is_an_input_error(tmp_path: Path) -> None:
    """A tokenizer without the end token is refused, and the error names the token."""
    with pytest.raises(Exception, match="<eos>"):
        make_run(tmp_path, TEXTS[:5], replace(SETTINGS, end_token="<eos>"))


def test_mix_by_epochs(tmp_path: Path) -> None:
    """With a corpus at 2.5 epochs, each of its training documents has two or three copies, spread apart."""
    write_corpus(Folder(str(tmp_path / "wiki")), {"w": make_texts(40, seed=9, longest=60)})
    settings = replace(SETTINGS, mix=(f"{tmp_path}/wiki=2.5",), validation_fraction=0.05)
    folder, manifest, tokenizer = make_run(tmp_path / "run", TEXTS, settings)
    own, wiki = manifest.counts["sources"]
    assert (own["train_copies"], own["epochs"]) == (own["train_documents"], 1.0)
    assert (wiki["corpus"], wiki["epochs"]) == (f"{tmp_path}/wiki", 2.5)
    assert 2 * wiki["train_documents"] < wiki["train_copies"] < 3 * wiki["train_documents"]
    end = tokenizer.token_to_id(END)
    ends = Counter(name for name, tokens in pieces(tokens_of(folder, "train")) if tokens[-1] == end)
    assert {ends[f"w/{row}"] for row in range(40)} <= {0, 2, 3}
    assert sum(count for name, count in ends.items() if name and name.startswith("w/")) == wiki["train_copies"]
    assert folder.list("corpus") == [f"corpus/shard-{number}.parquet" for number in range(3)]
    untouched = read_table(Folder(str(tmp_path / "wiki")), "corpus/w.parquet")
    assert untouched["token_count"].null_count == 40


def test_mix_by_weights(tmp_path: Path) -> None:
    """Weights are shares of the tokens; the least repeated corpus is taken exactly once."""
    write_corpus(Folder(str(tmp_path / "wiki")), {"w": make_texts(30, seed=9, longest=60)})
    settings = replace(SETTINGS, mix=(".=1", f"{tmp_path}/wiki=1"), mix_as="weights", validation_fraction=0.0)
    _, manifest, _ = make_run(tmp_path / "run", TEXTS, settings)
    own, wiki = manifest.counts["sources"]
    assert own["epochs"] == 1.0
    assert own["train_tokens"] == own["tokens"]
    assert wiki["train_tokens"] == pytest.approx(own["train_tokens"], rel=0.1)


def test_mix_of_nothing_is_an_input_error(tmp_path: Path) -> None:
    """The error for a missing corpus names it."""
    with pytest.raises(InputError, match="nowhere"):
        make_run(tmp_path / "run", TEXTS[:5], replace(SETTINGS, mix=(f"{tmp_path}/nowhere=1",)))


def test_repeats_by_cluster_size(tmp_path: Path) -> None:
    """Documents are repeated by the size of their near-duplicate cluster."""
    folder = Folder(str(tmp_path))
    sizes = {"s/0": 1, "s/1": 2, "s/2": 3, "s/3": 4, "s/4": 5, "s/5": 1000}
    write_corpus(folder, {"s": [f"river stone {number}" for number in range(6)]}, sizes)
    folder.write("tokenizer/tokenizer.json", train_tokenizer(TEXTS).to_str().encode())
    settings = replace(
        SETTINGS, validation_fraction=0.0, cluster_sizes=(1, 2, 3, 5, 1000), cluster_repeats=(1, 2, 3, 5, 0)
    )
    make_tokens(folder, ["s"], settings, ["test"], Cluster(None), SILENT)
    end = np.uint16(0)
    ends = Counter(name for name, tokens in pieces(tokens_of(folder, "train")) if tokens[-1] == end)
    assert ends == {"s/0": 1, "s/1": 2, "s/2": 3, "s/3": 3, "s/4": 5}


def test_an_empty_corpus(tmp_path: Path) -> None:
    """An empty corpus gives no token shards and no error."""
    _, manifest, _ = make_run(tmp_path, [], SETTINGS, shards=1)
    assert {manifest.counts[f"train_{name}"] for name in ("shards", "dropped", "rows", "tokens", "padding")} == {0}
