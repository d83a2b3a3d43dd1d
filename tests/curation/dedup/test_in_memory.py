"""Deduplication of a table: the verdicts of a run, in the table's own kind."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from signed import documents, dropped, run

from curation.dedup import in_memory
from curation.dedup.in_memory import deduplicate
from curation.dedup.settings import DedupSettings
from curation.errors import InputError, ParameterError, RecipeError
from curation.jobs.steps.run import run_commands
from curation.stages import frames

ROOT = Path(__file__).resolve().parents[3]
WORDS = (
    "ferry", "harbour", "village", "letter", "winter", "garden", "mirror", "candle", "river", "stone", "bridge",
    "window", "market", "copper", "lantern",
)  # fmt: skip


def text(seed: int, length: int = 40) -> str:
    return " ".join(
        WORDS[(seed * position * position + 3 * position + seed) % len(WORDS)] for position in range(length)
    )


TEXTS = [text(number % 17) + ("" if number < 17 else " once more" * (number % 3)) for number in range(60)]
DATES = [f"2024-0{1 + number % 9}-01" for number in range(60)]
URLS = [f"https://example.com/{number // 2}" for number in range(60)]


@pytest.fixture
def small_shards(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(frames, "BATCH_ROWS", 4)
    monkeypatch.setattr(in_memory, "SHARD_ROWS", 12)


def test_the_samples_are_deduplicated_as_in_a_run(tmp_path: Path) -> None:
    """Rows, reasons, similarities and survivors are those of the drop list of a run."""
    settings = ["extract.extractor=resiliparse", "dedup.threshold=0.8", "dedup.survivor=longest"]
    steps = ["filter", "dedup"]
    samples = str(ROOT / "samples" / "web.warc.gz")
    assert run_commands(steps, str(tmp_path), [samples], "fineweb", settings, 0, None, False, True) in (0, 1)
    (documents_file,) = (tmp_path / "documents").glob("*.parquet")
    (drops_file,) = (tmp_path / "dedup" / "drop").glob("*.parquet")
    table, drops = pq.read_table(documents_file), pq.read_table(drops_file)
    found = deduplicate(table, threshold=0.8, survivor="longest")
    assert len(drops) > 8
    assert found.removed["id"].to_pylist() == table["id"].take(drops["row"]).to_pylist()
    for name in ("reason", "similarity"):
        assert found.removed[name].to_pylist() == drops[name].to_pylist()
    assert found.removed["survivor"].to_pylist() == drops["survivor_row"].to_pylist()
    assert len(found.kept) + len(found.removed) == len(table)
    assert found.kept.schema == table.schema


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"survivor": "longest"},
        {"survivor": "newest"},
        {"url": True},
        {"ngram": 3, "threshold": 0.5},
        {"exact": False},
    ],
    ids=str,
)
@pytest.mark.usefixtures("small_shards")
def test_settings_and_shards(tmp_path: Path, settings: dict[str, Any]) -> None:
    """Any settings give what the phases give on a folder, however many shards the table becomes."""
    columns = {"date": DATES, "url": URLS}
    folder, names, _ = run(tmp_path, documents(TEXTS, **columns), DedupSettings(**settings), parts=1)
    expected = dropped(folder, names)
    found = deduplicate({"text": TEXTS, "row": list(range(60)), **columns}, **settings)
    assert [str(row) for row in found.removed["row"]] == sorted(expected, key=int)
    for row, reason, similarity, survivor in zip(
        *(found.removed[name] for name in ("row", "reason", "similarity", "survivor")), strict=True
    ):
        lost = expected[str(row)]
        assert (reason, similarity, str(survivor)) == (lost["reason"], lost["similarity"], lost["survivor_id"])
    assert found.counts["documents"] == 60
    assert sum(found.counts["removed"].values()) == len(expected) > 10
    assert repr(found).startswith(f"DeduplicatedTable(kept={60 - len(expected)}, removed={{")


def test_every_kind_of_table() -> None:
    """pandas keeps its index, polars and Arrow their types, and nothing is left in the temporary folder."""
    before = set(Path(tempfile.gettempdir()).glob("curation-*"))
    frame = pd.DataFrame({"body": TEXTS[:20], "date": pd.to_datetime(DATES[:20])}, index=range(100, 120))
    found = deduplicate(frame, text_column="body", survivor="newest")
    assert sorted([*found.kept.index, *found.removed.index]) == list(range(100, 120))
    assert len(found.removed) >= 3
    assert {number + 100 for number in found.removed["survivor"]} <= set(found.kept.index)
    assert found.kept.dtypes.to_dict() == frame.dtypes.to_dict()
    polars = deduplicate(pl.DataFrame({"text": TEXTS[:20], "score": range(20)})).kept
    assert isinstance(polars, pl.DataFrame)
    batch = deduplicate(pa.RecordBatch.from_pydict({"text": TEXTS[:20]})).removed
    assert isinstance(batch, pa.RecordBatch)
    assert set(Path(tempfile.gettempdir()).glob("curation-*")) == before


def test_the_best_by_any_column_of_numbers() -> None:
    """Any column of numbers chooses the survivor, whatever its name and type; other columns are refused."""
    table = {"text": [text(3)] * 4, "stars": [1, None, 7, 3], "language_score": [0.9, 0.1, 0.2, 0.3], "name": [*"dcba"]}
    for kind in (pa.int8(), pa.float32(), pa.decimal128(30, 2)):
        given = pa.table(table).set_column(1, "stars", pa.array(table["stars"]).cast(kind))
        assert deduplicate(given, survivor="best:stars").kept["stars"].to_pylist() == [7]
    assert deduplicate(table, survivor="best:language_score").kept["stars"] == [1]
    dated = {**table, "date": ["2024-01-01", "2024-03-01", None, "2024-02-01"]}
    assert deduplicate(dated, survivor="best:date").kept["name"] == ["c"]
    with pytest.raises(InputError, match="'name' holds string, not numbers"):
        deduplicate(table, survivor="best:name")
    with pytest.raises(InputError, match="needs the column 'likes'"):
        deduplicate(table, survivor="best:likes")


@pytest.mark.parametrize("texts", [[], [None, None, ""], ["once", "once"]])
def test_little_or_nothing(texts: list[str | None]) -> None:
    """Empty tables, nulls, and texts too short to be compared: nothing goes."""
    found = deduplicate(pa.table({"text": pa.array(texts, pa.string())}))
    assert found.kept["text"].to_pylist() == texts
    assert found.removed.schema.names == ["text", "reason", "similarity", "survivor"]
    assert found.removed.num_rows == 0


def test_what_is_wrong_is_said() -> None:
    """A setting that is not there, cannot be, needs a column, or needs a run."""
    table = {"text": ["a", "b"]}
    with pytest.raises(RecipeError, match="unknown key 'similarity'"):
        deduplicate(table, similarity=0.8)
    with pytest.raises(RecipeError, match=r"deduplicate\(\): threshold = 7"):
        deduplicate(table, threshold=7)
    with pytest.raises(InputError, match="needs the column 'url' for what is asked; there are: 'text'"):
        deduplicate(table, url=True)
    with pytest.raises(InputError, match="'date' cannot be read as string"):
        deduplicate({**table, "date": [[1], [2]]}, survivor="newest")
    with pytest.raises(ParameterError, match=r"against = .*only a run"):
        deduplicate(table, against=["out"])
    with pytest.raises(InputError, match="no column 'text'"):
        deduplicate({"body": ["a"]})
