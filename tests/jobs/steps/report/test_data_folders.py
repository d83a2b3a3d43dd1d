"""Every folder of Parquet files opens as one table in the usual libraries, after a whole run with its report."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import dask.dataframe
import duckdb
import pandas
import polars
import pyarrow.dataset
import pyarrow.parquet as pq
import pytest
from planted import run, write_crawl

from curation.jobs.inspect.verify.check_files import expected_columns
from curation.jobs.steps.plan import open_plan
from curation.store.schema import DOCUMENT

Shape = tuple[int, list[str]]
"""Number of rows, names of the columns."""

TOKEN_COLUMNS = ["input_ids", "document_starts", "document_ids"]
FOLDERS = ("corpus", "documents", "removed/filter", "removed/dedup", "signals", "signatures", "tokens")


def by_duckdb(files: str) -> Shape:
    connection = duckdb.connect()
    rows = connection.execute(f"SELECT count(*) FROM read_parquet('{files}')").fetchall()[0][0]
    columns = connection.execute(f"DESCRIBE SELECT * FROM read_parquet('{files}')").fetchall()
    return rows, [name for name, *_ in columns]


def by_datasets(folder: str, cache: Path) -> Shape:
    from datasets import load_dataset

    splits = load_dataset("parquet", data_dir=folder, cache_dir=str(cache)).values()
    return sum(map(len, splits)), next(iter(splits)).column_names


READERS: dict[str, Callable[[str, Path], Shape]] = {
    "pandas": lambda folder, _: shape(pandas.read_parquet(folder)),
    "pyarrow.parquet": lambda folder, _: arrow_shape(pq.read_table(folder)),
    "pyarrow.dataset": lambda folder, _: arrow_shape(pyarrow.dataset.dataset(folder).to_table()),
    "polars": lambda folder, _: shape(polars.read_parquet(folder)),
    "polars, lazily": lambda folder, _: shape(polars.scan_parquet(folder).collect()),
    "duckdb, *.parquet": lambda folder, _: by_duckdb(f"{folder}/*.parquet"),
    "duckdb, every file": lambda folder, _: by_duckdb(f"{folder}/*"),
    "dask": lambda folder, _: shape(dask.dataframe.read_parquet(folder).compute(scheduler="sync")),
    "datasets": by_datasets,
}


def shape(frame: pandas.DataFrame | polars.DataFrame) -> Shape:
    return len(frame), list(frame.columns)


def arrow_shape(table: pyarrow.Table) -> Shape:
    return table.num_rows, table.column_names


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run."""
    folder = tmp_path_factory.mktemp("run")
    run(write_crawl(folder / "crawl"), folder / "out")
    return folder / "out"


@pytest.fixture
def offline(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache for `datasets`, which must not ask the network for anything."""
    monkeypatch.setenv("HF_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("HF_DATASETS_OFFLINE", "1")
    return tmp_path / "cache"


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize("folder", FOLDERS)
def test_the_folder_opens_as_one_table(out: Path, offline: Path, folder: str, reader: str) -> None:
    """Named as a folder, it gives the rows of all its files and the columns of the contract."""
    files = sorted((out / folder).iterdir())
    rows = sum(pq.read_metadata(path).num_rows for path in files if path.suffix == ".parquet")
    names = TOKEN_COLUMNS if folder == "tokens" else contract(out, folder)
    assert rows > 0
    assert READERS[reader](str(out / folder), offline) == (rows, names)


def test_all_removed_documents_have_the_same_columns(out: Path) -> None:
    """The files of removed/filter and removed/dedup have one schema, with a type and without equal names for Spark."""
    schemas = [pq.read_schema(path).remove_metadata() for path in sorted((out / "removed").glob("*/*.parquet"))]
    assert len(schemas) == 2 * len(list((out / "documents").iterdir()))
    assert all(found == schemas[0] for found in schemas)
    signals = schemas[0].field("signals").type
    assert {"language.score", "dedup.similarity", "decontaminate.suite", "pii.email"} <= {each.name for each in signals}
    assert len({each.name.lower() for each in signals}) == signals.num_fields
    assert not any(pyarrow.types.is_null(each.type) or not each.nullable for each in [*schemas[0], *signals])


@pytest.mark.parametrize(
    "read",
    [
        lambda folder, _: pandas.read_parquet(folder)["signals"].tolist(),
        lambda folder, _: pyarrow.dataset.dataset(folder).to_table()["signals"].to_pylist(),
        lambda folder, _: polars.read_parquet(folder)["signals"].to_list(),
        lambda folder, _: [row for (row,) in duckdb.sql(f"SELECT signals FROM '{folder}/*/*.parquet'").fetchall()],
        lambda folder, cache: by_datasets_rows(folder, cache),
    ],
    ids=["pandas", "pyarrow.dataset", "polars", "duckdb", "datasets"],
)
def test_all_removed_documents_open_as_one_table(
    out: Path, offline: Path, read: Callable[[str, Path], list[dict[str, Any]]]
) -> None:
    """removed/, named without further options, gives the signals of every removed document of all steps."""
    steps = [pq.read_table(out / "removed" / step)["signals"].to_pylist() for step in ("dedup", "filter")]
    assert steps[0]
    assert steps[1]
    found = read(str(out / "removed"), offline)
    assert sorted(map(repr, found)) == sorted(repr(row) for step in steps for row in step)


def by_datasets_rows(folder: str, cache: Path) -> list[dict[str, Any]]:
    from datasets import load_dataset

    found = load_dataset("parquet", data_files=f"{folder}/**/*.parquet", split="train", cache_dir=str(cache))
    rows: list[dict[str, Any]] = found["signals"]
    return list(rows)


def contract(out: Path, folder: str) -> list[str]:
    columns = expected_columns(open_plan(str(out)).recipe, same_versions=True)
    names: list[str] = columns[f"{folder}/"].names
    return names


@pytest.mark.parametrize("folder", FOLDERS)
def test_the_folder_holds_parquet_files_only(out: Path, folder: str) -> None:
    """There is nothing that a reader has to skip: no card, no index, no folder inside."""
    assert {path.suffix for path in (out / folder).iterdir()} == {".parquet"}
    assert all(path.is_file() for path in (out / folder).iterdir())


def test_datasets_loads_the_corpus_by_the_card(out: Path, offline: Path) -> None:
    """load_dataset of the run's folder follows README.md to corpus/, and nothing of the other folders is in it."""
    from datasets import load_dataset

    found = load_dataset(str(out), cache_dir=str(offline))
    assert list(found) == ["train"]
    assert found["train"].column_names == DOCUMENT.names
    assert found["train"].to_list() == pq.read_table(out / "corpus").to_pylist()
