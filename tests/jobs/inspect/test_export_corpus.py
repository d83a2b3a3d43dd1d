"""`curate export-corpus`: the documents in other formats and layouts."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import duckdb
import polars
import pyarrow as pa
import pyarrow.dataset
import pyarrow.parquet as pq
import pytest
import zstandard
from click.testing import Result
from tokenized import write_corpus
from typer.testing import CliRunner

from curation.errors import InputError, OutputError, ParameterError
from curation.jobs.cli.main import app
from curation.store.folder import Folder
from curation.store.schema import DOCUMENT

LANGUAGES = ["en", "de", None, "a/../b=c%2F", "de"]


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two shards with texts of every kind, in several languages, of which some are unknown or odd, and one without."""
    folder = tmp_path_factory.mktemp("run")
    texts = ['line\nline\u2028more "quoted"', "東京 🙂", "", "\x00\t", "last"]
    write_corpus(Folder(str(folder)), {"one": texts, "two": texts[:4], "none": []})
    for path in folder.glob("corpus/*.parquet"):
        table = pq.read_table(path)
        column = pa.array((LANGUAGES * 2)[: len(table)], pa.string())
        index = table.schema.get_field_index("language")
        pq.write_table(table.set_column(index, "language", column), path)
    return folder


def call(out: Path, target: Path | str, *words: str) -> Result:
    return CliRunner().invoke(app, ["export-corpus", str(out), "--to", str(target), *words])


def documents(out: Path) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = pq.read_table(out / "corpus").to_pylist()
    return sorted(rows, key=lambda row: str(row["id"]))


@pytest.mark.parametrize("by", ["shard", "language"])
def test_json_lines_have_every_column_of_every_document(out: Path, tmp_path: Path, by: str) -> None:
    """Each line is a document with all columns, whatever the layout."""
    assert call(out, tmp_path / "to", "--format", "jsonl", "--by", by).exit_code == 0
    rows = []
    for path in (tmp_path / "to").rglob("*.jsonl.zst"):
        with zstandard.open(path, "rb") as file:
            rows += [json.loads(line) for line in io.BytesIO(file.read())]
    assert sorted(rows, key=lambda row: str(row["id"])) == documents(out)
    assert all(list(row) == DOCUMENT.names for row in rows)


def test_by_shard_the_files_are_those_of_the_corpus(out: Path, tmp_path: Path) -> None:
    """Parquet by shard has the same tables under the same names."""
    assert call(out, tmp_path / "to").exit_code == 0
    for path in out.glob("corpus/*.parquet"):
        assert pq.read_table(tmp_path / "to" / path.name).equals(pq.read_table(path))


def test_libraries_read_the_languages_from_the_folders(out: Path, tmp_path: Path) -> None:
    """pyarrow, polars and DuckDB open the folders as one table, with each document's language."""
    target = tmp_path / "to"
    listed = json.loads(call(out, target, "--by", "language", "--json").stdout)
    assert sum(output["rows"] for output in listed) == 9
    assert all("language" not in pq.read_schema(target / output["path"]).names for output in listed)
    assert all(len(Path(output["path"]).parts) == 2 for output in listed)
    wanted = [(row["id"], row["language"]) for row in documents(out)]
    arrow = pyarrow.dataset.dataset(target, partitioning="hive").to_table(["id", "language"])
    assert sorted(zip(arrow["id"].to_pylist(), arrow["language"].to_pylist(), strict=True)) == wanted
    frame = polars.read_parquet(f"{target}/**/*.parquet", hive_partitioning=True).sort("id")
    assert frame.select("id", "language").rows() == wanted
    query = f"SELECT id, language FROM read_parquet('{target}/*/*.parquet', hive_partitioning = true) ORDER BY id"
    assert duckdb.connect().execute(query).fetchall() == wanted


def test_what_cannot_be_is_refused(out: Path, tmp_path: Path) -> None:
    """An unknown format or layout, a folder with files, such as the run's own, and a run without corpus are errors."""
    for words, error in {("--format", "csv"): ParameterError, ("--by", "domain"): ParameterError}.items():
        assert isinstance(call(out, tmp_path / "new", *words).exception, error)
    assert isinstance(call(out, out).exception, OutputError)
    assert isinstance(call(tmp_path, tmp_path / "new").exception, InputError)
    assert not (tmp_path / "new").exists()


def test_any_storage(out: Path) -> None:
    """The target may be any fsspec URL."""
    assert call(out, "memory://exported-corpus", "--format", "jsonl").exit_code == 0
    assert Folder("memory://exported-corpus").list() == ["none.jsonl.zst", "one.jsonl.zst", "two.jsonl.zst"]
