"""Whole runs over Parquet, JSON Lines and archives together."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from archives import prose
from planted import SETTINGS, verdict_of, write_crawl
from row_files import damage_statistics
from typer.testing import CliRunner

from curation.archives import kinds
from curation.archives.inputs import find_inputs
from curation.errors import OutputError, RecipeError
from curation.jobs.cli.main import app
from curation.jobs.inspect.explain.explain import explain
from curation.jobs.inspect.verify.verify import verify
from curation.jobs.inspect.work_folder import work_folder
from curation.jobs.steps.plan import open_plan
from curation.running.cluster import Cluster
from curation.store.folder import Folder

TEXTS = 'name = "texts"\n[[stage]]\nuse = "extract"\nextractor = "resiliparse"\n[alarms]\nmin_documents = 1000000\n'


def curate(*words: str | Path) -> str:
    done = CliRunner().invoke(app, list(map(str, words)))
    assert done.exit_code in (0, 1), f"{done.output}{done.exception!r}"
    return done.output


def run(out: Path, *words: str | Path, command: str = "run") -> None:
    sets = [word for setting in SETTINGS for word in ("--set", setting)]
    curate(command, *words, "--out", out, "--workers", "0", *sets)


def rows(out: Path, place: str, name: str = "") -> list[dict[str, Any]]:
    return [row for path in sorted((out / place).glob(f"{name}*.parquet")) for row in pq.read_table(path).to_pylist()]


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with two archives, a Parquet file like FineWeb's and JSON Lines with bad rows and no URLs."""
    folder = write_crawl(tmp_path_factory.mktemp("inputs"))
    texts = ["\n".join(prose(seed)) for seed in range(100, 120)]
    ids = [f"<urn:{number}>" for number in range(20)]
    table = pa.table({"text": texts, "id": ids, "url": [f"https://c.org/{n}" for n in range(20)]})
    pq.write_table(table, folder / "c.parquet", row_group_size=3)
    lines = [json.dumps({"text": "\n".join(prose(seed)), "page": "<p>x"}) for seed in range(120, 140)]
    (folder / "d.jsonl").write_text("\n".join([*lines[:5], "{oops", '{"text": 1}', *lines[5:]]))
    return folder


@pytest.fixture(scope="module")
def out(inputs: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run of the recipe fineweb over all of them."""
    out = tmp_path_factory.mktemp("run") / "out"
    run(out, inputs)
    return out


def test_documents_of_all_kinds_are_kept(out: Path, inputs: Path) -> None:
    """Rows become documents with file and row, with a URL or without; the run is complete, and bad rows are named."""
    assert len(rows(out, "corpus", "c-")) == 20
    kept = rows(out, "corpus", "d-")
    assert [row["row"] for row in kept] == [*range(5), *range(7, 22)]
    assert {row["file_path"] for row in kept} == {str(inputs / "d.jsonl")}
    assert all(row["row"] is None and row["warc_offset"] for row in rows(out, "corpus", "a-"))
    assert verdict_of(out).sound
    (damaged,) = json.loads((out / "run.json").read_text())["damaged"]
    assert (damaged["path"], damaged["lost_records"]) == (str(inputs / "d.jsonl"), 2)
    assert [(loss["row"], loss["cause"]) for loss in damaged["losses"]] == [(5, "invalid_json"), (6, "wrong_type")]
    assert "invalid_json at row 5" in (out / "report" / "index.html").read_text()


def test_each_input_is_in_the_report(out: Path, inputs: Path) -> None:
    """Every file is in the page, in the tables and in stats.json, with its kind, documents and bad rows."""
    listed = json.loads((out / "report" / "stats.json").read_text())["inputs"]["inputs"]
    assert [(row["path"], row["kind"]) for row in listed] == [
        (str(inputs / name), kind)
        for name, kind in zip(
            ("a.warc.gz", "b.warc.gz", "c.parquet", "d.jsonl"), ("archive", "archive", "parquet", "jsonl"), strict=True
        )
    ]
    for row in listed:
        shard = Path(row["path"]).name[0] + "-"
        kept = len(rows(out, "documents", shard))
        assert row["documents"] == kept + len(rows(out, "removed/filter", shard))
        assert (row["kept"], row["in_corpus"]) == (kept, len(rows(out, "corpus", shard)))
    assert [row["lost_records"] for row in listed[2:]] == [0, 2]
    shown = CliRunner().invoke(app, ["report", str(out), "--all"], env={"COLUMNS": "250"}).stdout
    assert json.loads(CliRunner().invoke(app, ["report", str(out), "--json"]).stdout)["inputs"]["inputs"] == listed
    page = (out / "report" / "index.html").read_text()
    for path in (str(row["path"]) for row in listed):
        assert path in shown
        assert f'data-name="{path}"' in page


def test_kinds_do_not_change_each_other(out: Path, inputs: Path, tmp_path: Path) -> None:
    """The shards of the archives have the same bytes without the other files."""
    run(tmp_path / "alone", *sorted(inputs.glob("*.warc.gz")), command="filter")
    for place in ("documents", "signatures", "removed/filter"):
        for path in (tmp_path / "alone" / place).iterdir():
            assert path.read_bytes() == (out / place / path.name).read_bytes()


def test_documents_are_explained(out: Path) -> None:
    """`explain` reads a row again from its file, as the stages saw it, also from a part of a file."""
    for name in ("c-", "d-"):
        row = rows(out, "corpus", name)[7]
        (explanation,) = explain(open_plan(str(out)), row["id"])
        assert explanation.replayed
        assert explanation.differs is None
        assert explanation.row["row"] == row["row"]
    shown = curate("explain", out, "--token", "train-00000:0:0", "--json")
    assert json.loads(shown)["document"].keys() >= {"file_path", "row", "warc_offset"}


def test_a_file_that_was_damaged_since_does_not_end_explain(tmp_path: Path) -> None:
    """Arrow ends the process that reads it, which is another one: stored values are shown."""
    path, out = tmp_path / "c.parquet", tmp_path / "out"
    pq.write_table(pa.table({"id": ["<urn:1>"], "text": ["\n".join(prose(1))]}), path)
    run(out, path, command="filter")
    damage_statistics(path, "text")
    words = [sys.executable, "-m", "curation.jobs.cli", "explain", str(out), "<urn:1>", "--json"]
    done = subprocess.run(words, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    assert not json.loads(done.stdout)[0]["replayed"]


def test_a_corpus_fed_in_again_is_the_same(out: Path, tmp_path: Path) -> None:
    """With no filters, the corpus of a run gives the same documents with the same ids and texts."""
    (tmp_path / "texts.toml").write_text(TEXTS)
    run(tmp_path / "again", out / "corpus", "--recipe", tmp_path / "texts.toml")
    compared = json.loads(curate("compare", out, tmp_path / "again", "--json"))
    before, after = ({row["id"]: row["text"] for row in rows(folder, "corpus")} for folder in (out, tmp_path / "again"))
    assert before == after, compared


def test_parts_give_the_same_documents(inputs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Files in parts give the rows of whole files, resume by part, and are refused when they are cut otherwise."""
    files = [inputs / "c.parquet", inputs / "d.jsonl"]
    (tmp_path / "texts.toml").write_text(TEXTS)
    words = (*files, "--recipe", tmp_path / "texts.toml")
    run(tmp_path / "whole", *words)
    monkeypatch.setattr(kinds, "PART_BYTES", 4000)
    run(tmp_path / "parts", *words)
    assert len(find_inputs(map(str, files))) > 6
    whole, parts = (
        sorted(rows(tmp_path / name, "corpus"), key=lambda row: (row["file_path"], row["row"]))
        for name in ("whole", "parts")
    )
    assert parts == whole
    assert verdict_of(tmp_path / "parts").sound
    lost = sorted((tmp_path / "parts" / "manifests" / "filter").glob("d-*.json"))[2]
    shutil.copytree(tmp_path / "parts" / "documents", tmp_path / "documents")
    lost.unlink()
    run(tmp_path / "parts", *words)
    for path in (tmp_path / "documents").iterdir():
        assert path.read_bytes() == (tmp_path / "parts" / "documents" / path.name).read_bytes()
    monkeypatch.undo()
    refused = CliRunner().invoke(app, ["filter", *map(str, files), "--out", str(tmp_path / "parts")])
    assert isinstance(refused.exception, OutputError)
    assert "was divided into other parts" in str(refused.exception)


def test_a_file_without_text_is_quarantined(inputs: Path, tmp_path: Path) -> None:
    """A file that has no text costs itself, and says which key to set."""
    pq.write_table(pa.table({"body": ["\n".join(prose(7))]}), tmp_path / "x.parquet")
    (tmp_path / "texts.toml").write_text(TEXTS)
    words = (tmp_path / "x.parquet", inputs / "c.parquet", "--recipe", tmp_path / "texts.toml")
    run(tmp_path / "out", *words, command="filter")
    (entry,) = Folder(str(tmp_path / "out")).read_json("run.json")["quarantined"]
    assert entry["kind"] == "input"
    assert "set read.columns.text" in entry["cause"]
    run(tmp_path / "named", *words[:1], *words[2:], "--set", "read.columns.text=body", command="filter")
    assert len(rows(tmp_path / "named", "documents")) == 1


def test_a_given_tokenizer(inputs: Path, tmp_path: Path) -> None:
    """The tokenizer that the recipe names is used, with its special tokens around each document, and exported."""
    from tokenizers import Tokenizer, models, pre_tokenizers, trainers

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    special = ["<s>", "</s>", "<pad>"]
    trainer = trainers.BpeTrainer(
        vocab_size=400, special_tokens=special, initial_alphabet=alphabet, show_progress=False
    )
    tokenizer.train_from_iterator(["\n".join(prose(seed)) for seed in range(9)], trainer)
    tokenizer.save(str(tmp_path / "tokenizer.json"))
    (tmp_path / "texts.toml").write_text(TEXTS)
    out = tmp_path / "out"
    given = ("--set", f"tokenizer.file={tmp_path / 'tokenizer.json'}", "--set", "tokens.begin=true")
    run(out, inputs / "c.parquet", "--recipe", tmp_path / "texts.toml", *given)
    assert (out / "tokenizer" / "tokenizer.json").read_bytes() == (tmp_path / "tokenizer.json").read_bytes()
    config = json.loads((out / "tokenizer" / "tokenizer_config.json").read_text())
    assert [config[name] for name in ("bos_token", "eos_token", "pad_token")] == special
    metadata = pq.read_metadata(out / "tokens" / "train-00000.parquet").metadata
    assert [metadata[f"curation.{name}_id".encode()] for name in ("begin", "end", "pad")] == [b"0", b"1", b"2"]
    (first, *_) = pq.read_table(out / "tokens" / "train-00000.parquet").to_pylist()
    document = next(row for row in rows(out, "corpus") if row["id"] == first["document_ids"][0])
    ids = tokenizer.encode(document["text"], add_special_tokens=False).ids
    assert document["token_count"] == len(ids)
    assert first["input_ids"] == [0, *ids, 1][:64]
    plan = open_plan(str(out), trust_code=True)
    with work_folder(plan.folder, shared=False) as work:
        assert verify(plan, Cluster(), work).sound
    curate("export", out, "--format", "megatron", "--to", tmp_path / "megatron")
    assert list((tmp_path / "megatron").iterdir())


def test_begin_needs_a_token(inputs: Path, tmp_path: Path) -> None:
    """`tokens.begin` is refused before anything is written if the tokenizer has no token for it."""
    words = ["filter", str(inputs / "c.parquet"), "--out", str(tmp_path / "out"), "--set", "tokens.begin=true"]
    refused = CliRunner().invoke(app, words)
    assert isinstance(refused.exception, RecipeError)
    assert "tokenizer.begin_token" in str(refused.exception)
    assert not (tmp_path / "out").exists()
