"""A pipeline on tables of every kind: what is kept, what is removed and why, and that nothing else changes."""

from __future__ import annotations

import decimal
import pickle
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import datasets
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from stages import Broken, Length, Upper, documents

from curation.archives.pages import read_archives
from curation.errors import InputError
from curation.extraction.extract import Extract
from curation.filters.c4 import C4
from curation.filters.fineweb import FineWeb
from curation.filters.gopher_quality import GopherQuality
from curation.filters.gopher_repetition import GopherRepetition
from curation.filters.language import Language
from curation.filters.pii import Pii
from curation.filters.url import Url
from curation.jobs.steps.run import run_commands
from curation.recipes.recipe import STAGES, import_class, load
from curation.stages import frames
from curation.stages.batch import Batch
from curation.stages.pipeline import Pipeline, stage_name
from curation.stages.rules import Rule
from curation.stages.stage import Filter, Outcome, apply, signal_type, struct

SAMPLES = Path(__file__).resolve().parents[3] / "samples" / "web.warc.gz"
SETTINGS = ["extract.extractor=resiliparse", "language.min_score=0.5"]
PROSE = "The men of the village have to be with that dog, said number {}, and the lake is blue and deep. "
TEXTS = [PROSE.format(1) * 8, "short", None, f"{PROSE.format(2) * 8}\nclick", "Das ist ein deutscher Satz. " * 20, ""]
EDITED = (PROSE.format(2) * 8).strip()
STAGES_USED = [GopherQuality(min_words=10), C4(min_sentences=2), Language(), Pii()]

LIST = {"text": TEXTS, "n": [0, 1, 2, 3, 4, 5]}
KINDS: dict[str, Callable[[dict[str, Any]], Any]] = {
    "table": pa.table,
    "batch": lambda columns: pa.RecordBatch.from_pydict(columns),
    "pandas": pd.DataFrame,
    "polars": pl.DataFrame,
    "lists": dict,
}


def as_lists(table: Any) -> dict[str, list[Any]]:
    """Any kind of table as lists by name, NaN as None."""
    if isinstance(table, pd.DataFrame):
        table = pa.Table.from_pandas(table, preserve_index=False)
    if isinstance(table, pl.DataFrame):
        return table.to_dict(as_series=False)
    return dict(table) if isinstance(table, dict) else table.to_pydict()


@dataclass(frozen=True, slots=True)
class MyHTTPFilter(Length):
    """A filter defined by a user."""


@dataclass(frozen=True, slots=True)
class Halves:
    """Edits a column of numbers, adds one, and drops one."""

    version: ClassVar[int] = 1

    def __call__(self, batch: Batch, /) -> Outcome:
        half = pc.divide(pc.cast(batch.column("n"), pa.float64()), 2.0)
        return Outcome(batch.with_columns(n=half, m=batch.column("n")).without_columns("dropped"))


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The filter step of a run on the samples."""
    out = tmp_path_factory.mktemp("run")
    assert run_commands(["filter"], str(out), [str(SAMPLES)], "fineweb", SETTINGS, 0, None, False, True) in (0, 1)
    return out


def rows(path: Path) -> pa.Table:
    (file,) = path.glob("*.parquet")
    return pq.read_table(file)


@pytest.mark.parametrize("kind", ["table", "pandas", "polars"])
def test_results_equal_those_of_a_run(run: Path, kind: str) -> None:
    """Documents, removed documents with stage and reason, and signals equal those of a run of the same recipe."""
    pages = pa.Table.from_batches(read_archives(SAMPLES))
    given = {"table": lambda: pages, "pandas": pages.to_pandas, "polars": lambda: pl.from_arrow(pages)}[kind]()
    result = Pipeline(load("fineweb", SETTINGS))(given)
    kept, removed, signals = (as_lists(table) for table in (result.kept, result.removed, result.signals))
    documents = rows(run / "documents")
    assert len(kept["id"]) == len(documents) > 50
    for name in ("id", "text", "url", "date", "language", "language_score", "warc_offset"):
        assert kept[name] == documents[name].to_pylist()
    run_removed = rows(run / "removed" / "filter")
    assert len(run_removed) > 50
    for name in ("id", "text", "stage", "reason", "language"):
        assert removed[name] == run_removed[name].to_pylist()
    assert list(kept) == [name for name in pages.column_names if name != "html"]
    stored = rows(run / "signals").drop_columns(["id", "warc_offset"])
    assert list(signals) == stored.column_names
    for name in ("gopher_quality.words", "fineweb.dup_characters", "extract.text_characters"):
        assert signals[name] == stored[name].to_pylist()
    assert {name: tally.documents_out for name, tally in result.counts.items()}["fineweb"] == len(documents)


@pytest.mark.parametrize("kind", KINDS)
def test_the_kind_of_table_is_preserved(kind: str) -> None:
    """Kept and removed rows, with their other columns, and the signals are of the same kind as the input."""
    table = KINDS[kind](LIST)
    result = Pipeline(STAGES_USED)(table)
    assert type(result.kept) is type(result.removed) is type(result.signals) is type(table)
    kept, removed = as_lists(result.kept), as_lists(result.removed)
    assert kept["n"] == [0, 3]
    assert kept["text"][1] == EDITED
    assert kept["language"] == ["en", "en"]
    assert removed["n"] == [1, 2, 4, 5]
    assert removed["stage"] == ["gopher_quality"] * 4
    assert removed["reason"] == [f"gopher_quality.min_{rule}" for rule in ("words", "words", "stop_words", "words")]
    assert removed["language"] == [None] * 4
    assert removed["text"] == [TEXTS[row] for row in (1, 2, 4, 5)]
    assert as_lists(result.signals)["gopher_quality.words"] == [168, 169]
    assert result.counts["gopher_quality"].reasons == {"min_words": 3, "min_stop_words": 1}
    assert (result.counts["c4"].documents_in, result.counts["c4"].documents_out) == (2, 2)
    assert repr(result) == (
        "PipelineResult(kept=2, removed=4, reasons={gopher_quality.min_stop_words: 1, gopher_quality.min_words: 3})"
    )


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("texts", [[], [None, None], ["short"]])
def test_columns_do_not_depend_on_the_rows(kind: str, texts: list[str | None]) -> None:
    """Without rows, without texts, and if none is kept, columns and types are the same."""
    pipeline = Pipeline(STAGES_USED)
    whole = pipeline(pa.table({"text": pa.array(TEXTS), "n": pa.array(range(6))}))
    table: Any = pa.table({"text": pa.array(texts, pa.string()), "n": pa.array(range(len(texts)), pa.int64())})
    result = pipeline(table)
    assert result.kept.schema == whole.kept.schema
    assert result.removed.schema == whole.removed.schema
    assert result.signals.schema == whole.signals.schema
    if kind != "batch":
        table = {
            "table": lambda t: t,
            "pandas": pa.Table.to_pandas,
            "polars": pl.from_arrow,
            "lists": pa.Table.to_pydict,
        }[kind](table)
    result = pipeline(table)
    assert list(as_lists(result.kept)) == ["text", "n", "language", "language_score"]
    assert len(as_lists(result.removed)["text"]) == len(texts)
    assert as_lists(result.signals).keys() == as_lists(whole.signals).keys()


STRINGS = {
    "string": pa.string(),
    "large_string": pa.large_string(),
    "string_view": pa.string_view(),
    "dictionary": pa.dictionary(pa.int8(), pa.string()),
    "large dictionary": pa.dictionary(pa.int32(), pa.large_string()),
}


@pytest.mark.parametrize("name", STRINGS)
def test_every_type_of_text(name: str) -> None:
    """The type of the text column is preserved, edited or not, and so is that of an address column."""
    kind = STRINGS[name]
    column = pa.chunked_array([pa.array(TEXTS[:2]).cast(kind), pa.array(TEXTS[2:], pa.string()).cast(kind)])
    url = pa.array(["https://example.com/"] * 6).cast(kind)
    result = Pipeline([Url(), *STAGES_USED])(pa.table({"text": column, "url": url}).slice(0, 5))
    assert result.kept.schema.types[:2] == result.removed.schema.types[:2] == [kind, kind]
    assert result.kept["text"].to_pylist() == [(PROSE.format(1) * 8).strip(), EDITED]
    assert result.removed["text"].to_pylist() == [TEXTS[1], None, TEXTS[4]]


def test_a_dictionary_too_small_for_the_new_texts_grows() -> None:
    """127 texts fit into 8-bit indices, 300 edited ones do not."""
    table = pa.table(
        {"text": pa.array([f"text {i % 100}" for i in range(300)]).cast(pa.dictionary(pa.int8(), pa.string()))}
    )

    @dataclass(frozen=True)
    class Number:
        version: ClassVar[int] = 1

        def __call__(self, batch: Batch, /) -> Outcome:
            texts = pc.binary_join_element_wise(batch.text, batch.column("id"), "-")
            return Outcome(batch.with_columns(text=texts))

    kept = Pipeline([Number()]).keep(table)
    assert kept["text"].to_pylist() == [f"text {i % 100}-{i}" for i in range(300)]


def test_slices_and_chunks() -> None:
    """A slice is read from its first row, whatever the chunks."""
    table = pa.concat_tables([pa.table({"text": [f"text{i}"], "n": [i]}) for i in range(9)])
    result = Pipeline([Upper(), Length(1, 5)])(table.slice(2, 5))
    assert result.kept.to_pydict() == {"text": [f"TEXT{i}" for i in range(2, 7)], "n": [2, 3, 4, 5, 6]}
    batch = pa.RecordBatch.from_pydict({"text": ["a", "bb", "ccc"]}).slice(1)
    assert Pipeline([Length(1, 2)]).keep(batch).to_pydict() == {"text": ["bb"]}


def test_large_tables_are_processed_in_bounded_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    """No batch exceeds the limits of rows and text, except for a single row; results do not depend on them."""
    seen: list[tuple[int, int]] = []

    @dataclass(frozen=True)
    class Watch(Length):
        def measure(self, batch: Batch) -> pa.StructArray:
            seen.append((len(batch), pc.sum(pc.binary_length(batch.text)).as_py() or 0))
            return Length.measure(self, batch)

    texts = ["x" * (number % 9) for number in range(3000)] + ["y" * 5000]
    whole = Pipeline([("length", Length(2, 8)), Upper()])({"text": texts})
    monkeypatch.setattr(frames, "BATCH_BYTES", 1000)
    result = Pipeline([("length", Watch(2, 8)), Upper()])({"text": texts})
    assert result == whole
    assert all(size <= 1000 or count == 1 for count, size in seen)
    assert max(count for count, _ in seen) <= frames.BATCH_ROWS


def test_odd_columns_are_preserved() -> None:
    """In pandas, columns that Arrow cannot represent, categories, dates, nested values and an index are preserved."""
    frame = pd.DataFrame(
        {
            "text": ["aaaa", "b", "cccc"],
            "object": [object(), 1, "x"],
            "mixed": [1, "a", None],
            "category": pd.Categorical(["x", "y", "x"], categories=["y", "x", "z"]),
            "when": pd.to_datetime(["2024-01-01", None, "2024-01-03"]),
            "nested": [{"a": float("nan")}, {"a": [1]}, [1, 2]],
            "vector": [[1.0, float("nan")], [2.0], [3.0]],
            7: [1, 2, 3],
        },
        index=pd.Index([5, 5, 9], name="key"),
    )
    result = Pipeline([Length(3)])(frame)
    pd.testing.assert_frame_equal(result.kept, frame.iloc[[0, 2]])
    pd.testing.assert_frame_equal(result.removed.drop(columns=["stage", "reason"]), frame.iloc[[1]])
    assert result.signals.index.tolist() == [5, 9]
    table = pa.table({"text": ["aaaa"], "views": pa.array(["v"], pa.string_view()), "cost": [decimal.Decimal("1.5")]})
    assert Pipeline([Upper()]).keep(table.replace_schema_metadata({"made": "here"})).schema == table.schema
    polars = pl.DataFrame(
        {
            "text": ["aaaa", "b"],
            "e": pl.Series(["x", "y"], dtype=pl.Enum(["x", "y"])),
            "o": pl.Series([{1}, 2], dtype=pl.Object),
        }
    )
    assert Pipeline([Length(3)]).keep(polars).schema == polars.schema


def test_categories_of_texts() -> None:
    """Categorical texts can be edited: the categories are those of the new texts."""
    frame = pd.DataFrame({"text": pd.Categorical(["aaa", "b", "aaa"])})
    kept = Pipeline([Length(2), Upper()]).keep(frame)
    assert (kept["text"].dtype.name, kept["text"].tolist()) == ("category", ["AAA", "AAA"])
    result = Pipeline([Upper()]).keep(pl.DataFrame({"text": pl.Series(["a", "b"], dtype=pl.Categorical)}))
    assert (result["text"].dtype, result["text"].to_list()) == (pl.Categorical, ["A", "B"])


@pytest.mark.parametrize("kind", KINDS)
def test_columns_that_a_stage_edits_adds_and_drops(kind: str) -> None:
    """This works for numbers too, whose type may change, also if rows were removed by an earlier stage."""
    table = KINDS[kind]({"text": ["aaaa", "b", "cc"], "n": [1, 2, 3], "dropped": ["x", "y", "z"]})
    result = Pipeline([Length(2), Halves()])(table)
    assert as_lists(result.kept) == {"text": ["aaaa", "cc"], "n": [0.5, 1.5], "m": [1, 3]}
    removed = as_lists(result.removed)
    assert {name: removed[name] for name in ("text", "n", "m")} == {"text": ["b"], "n": [2], "m": [None]}
    assert "dropped" not in removed


def test_ids_are_those_of_the_table_or_row_numbers() -> None:
    """Stages see the table's ids as strings; ids that repeat, are null or are not strings are preserved."""

    @dataclass(frozen=True)
    class Ids:
        version: ClassVar[int] = 1

        def __call__(self, batch: Batch, /) -> Outcome:
            return Outcome(batch.with_columns(text=pc.fill_null(batch.column("id"), "none")))

    pipeline = Pipeline([Ids(), Length(0)])
    assert pipeline.keep({"text": ["a", "b"]}) == {"text": ["0", "1"]}
    for ids, seen in (([7, 7, None], ["7", "7", "none"]), (["x", "x", None], ["x", "x", "none"])):
        assert pipeline.keep(pa.table({"id": ids, "text": ["a", "b", "c"]})).to_pydict() == {"id": ids, "text": seen}
    frame = pd.DataFrame({"id": [1.5, float("nan"), 2.0], "text": ["a", "b", "c"]})
    assert pipeline.keep(frame)["id"].dtype == np.float64
    assert len(pipeline.keep(pl.DataFrame({"id": [[1], [2]], "text": ["a", "b"]}))) == 2


def test_another_text_column() -> None:
    """The text column may have any name, and another column named text is left alone."""
    pipeline = Pipeline([Length(2), Upper()], text_column="content")
    result = pipeline({"content": ["aaa", "b"], "text": ["x", "y"], "stage": [1, 2]})
    assert result.kept == {"content": ["AAA"], "text": ["x"], "stage": [1]}
    assert result.removed == {
        "content": ["b"],
        "text": ["y"],
        "stage": ["length"],
        "reason": ["length.min_length"],
    }


def test_text_that_is_not_valid() -> None:
    """Lone surrogates and invalid UTF-8 become U+FFFD, in kept and in removed rows."""
    broken = pa.StringArray.from_buffers(2, pa.py_buffer(np.array([0, 3, 5], np.int32)), pa.py_buffer(b"a\xffbc\xfe"))
    odd = {"text": ["a\ud800b", "c\udfff"]}
    for table in (pa.table({"text": broken}), odd, pd.DataFrame(odd, dtype=object)):
        result = Pipeline([("length", Length(3)), *STAGES_USED[3:]])(table)
        assert as_lists(result.kept) == {"text": ["a\ufffdb"]}
        assert as_lists(result.removed)["text"] == ["c\ufffd"]
    result = Pipeline(STAGES_USED)(odd)
    assert result.removed["text"] == ["a\ufffdb", "c\ufffd"]


def test_errors_say_what_is_wrong_with_a_table() -> None:
    """Errors name a missing text, a text of another type, a column that a stage needs, and unequal lengths."""
    pipeline = Pipeline([Length()])
    with pytest.raises(InputError, match=r"no column 'text'; its columns: 'body', 'n'. Choose another by text_column="):
        pipeline(pa.table({"body": ["a"], "n": [1]}))
    with pytest.raises(InputError, match="no column 'text'; its columns: none"):
        pipeline({})
    with pytest.raises(InputError, match="'text' holds int64, not text"):
        pipeline(pd.DataFrame({"text": [1, 2]}))
    with pytest.raises(InputError, match="'text' holds binary, not text"):
        pipeline({"text": [b"a"]})
    with pytest.raises(InputError, match="'text' holds other values than text"):
        pipeline(pd.DataFrame({"text": ["a", 1]}, dtype=object))
    with pytest.raises(InputError, match="'text' holds other values than text"):
        pipeline({"text": [1, "a"]})
    with pytest.raises(InputError, match="2 columns 'text'"):
        pipeline(pa.Table.from_arrays([pa.array(["a"]), pa.array(["b"])], names=["text", "text"]))
    with pytest.raises(InputError, match="stage url: needs the column 'url'; there are: 'text', 'n'"):
        Pipeline([Url()])(pa.table({"text": ["a"], "n": [1]}))
    with pytest.raises(InputError, match="no stage makes it of the html"):
        pipeline(pa.table({"html": ["<p>a"]}))
    with pytest.raises(InputError, match="differ in length"):
        pipeline({"text": ["a"], "n": []})
    with pytest.raises(RuntimeError, match="stage broken"):
        Pipeline([("broken", Broken("drops"))])(pa.table({"text": ["a", "b"]}))


@pytest.mark.parametrize("values", [[1, 2], [b"a", b"b"]])
@pytest.mark.parametrize("kind", ["table", "pandas", "lists"])
def test_urls_and_pages_must_be_text(kind: str, values: list[Any]) -> None:
    """A stage that reads them says so; other stages leave such columns as they are, and empty ones are text."""
    table = KINDS[kind]({"text": ["aa", "bb"], "url": values})
    with pytest.raises(InputError, match="stage url: cannot read the column 'url': it does not hold text"):
        Pipeline([Url()])(table)
    assert as_lists(Pipeline([Length(1)]).keep(table)) == {"text": ["aa", "bb"], "url": values}
    with pytest.raises(InputError, match="stage extract: cannot read the column 'html': it does not hold text"):
        Pipeline([Extract()])(KINDS[kind]({"html": values}))
    with pytest.raises(InputError, match="no column 'text', and no stage makes it"):
        Pipeline([Length()])(KINDS[kind]({"html": values}))
    nothing = pd.DataFrame({"text": ["aa", "bb"], "url": [float("nan")] * 2})
    assert Pipeline([Url()])(nothing).counts["url"].documents_in == 2


def test_columns_of_one_name() -> None:
    """Columns that no stage reads or fills may share a name; others are refused by name."""
    views = pa.array(["y", "x"], pa.string_view())
    table = pa.Table.from_arrays([pa.array(["aaa", "b"]), pa.array([1, 2]), views], names=["text", "n", "n"])
    result = Pipeline([Length(2)])(table)
    assert result.kept.columns == table.slice(0, 1).columns
    assert result.removed.column_names == ["text", "n", "n", "stage", "reason"]
    with pytest.raises(InputError, match="stage extract: cannot read the column 'html': there are 2"):
        Pipeline([Extract()])(table.rename_columns(["n", "html", "html"]))
    with pytest.raises(InputError, match="the stages fill the column 'language', of which the table has several"):
        Pipeline([Language()])(table.rename_columns(["text", "language", "language"]))


def test_lists_must_be_lists() -> None:
    """One string, and so one row of a dataset, and a generator are no columns."""
    pipeline = Pipeline([Length()])
    for values in ("aaa", b"aaa", (text for text in ["aaa"]), 5):
        kind = type(values).__name__
        with pytest.raises(TypeError, match=f"the column 'text' is a {kind}, not a list of values: .*batched=True"):
            pipeline({"text": values})
    with pytest.raises(TypeError, match="batched=True"):
        datasets.Dataset.from_dict({"text": ["aaa"]}).map(pipeline.keep)


def test_errors_for_other_inputs_suggest_a_solution() -> None:
    """The error for each easy mistake says what to do instead."""
    pipeline = Pipeline([Length()])
    lazy = pl.LazyFrame({"text": ["a"]})
    dataset = datasets.Dataset.from_dict({"text": ["a"]})
    for table, way in (
        (lazy, r"LazyFrame is no table; call .collect\(\) first"),
        (dataset, r"use dataset.map\(pipeline.keep, batched=True\)"),
        ("text", r'wrap it, as in \{"text": \[text\]\}'),
        (["text"], r'wrap it, as in \{"text": texts\}'),
        (None, "a NoneType is no table. A table is a pyarrow Table"),
    ):
        with pytest.raises(TypeError, match=way):
            pipeline(table)


def test_names_of_stages() -> None:
    """Built-in stages are named as in recipes, others by their class in snake case, unless a name is given."""
    for name, path in STAGES.items():
        assert stage_name(import_class(path)()) == name
    assert stage_name(Pii()) == "pii"
    pipeline = Pipeline([C4(), ("second", C4()), MyHTTPFilter(), Upper()])
    assert [name for name, _ in pipeline.stages] == ["c4", "second", "my_http_filter", "upper"]
    recipe = load("fineweb")
    assert Pipeline(recipe).stages == recipe.stages


def test_wrong_stages_are_refused() -> None:
    """A repeated name, a class, an object that is not a stage, and a single stage are refused."""
    with pytest.raises(ValueError, match=r"two stages are named 'c4': name one, as in \('c4_2', C4\("):
        Pipeline([C4(), C4(min_sentences=1)])
    with pytest.raises(TypeError, match=r"GopherQuality is a class: give an instance, GopherQuality\(\)"):
        Pipeline([GopherQuality])  # type: ignore[list-item]
    with pytest.raises(TypeError, match="is no stage"):
        Pipeline([len])  # type: ignore[list-item]
    for stages in (C4(), "fineweb", None):
        with pytest.raises(TypeError, match="must be a sequence of stages") as error:
            Pipeline(stages)  # type: ignore[arg-type]
        assert len(str(error.value)) < 120
    with pytest.raises(
        TypeError, match=r"^C4 given: must be a sequence of stages, such as \[GopherQuality\(\), C4\(\)\]"
    ):
        Pipeline(C4)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match=r"Pipeline\(load_recipe\('fineweb'\)\)"):
        Pipeline("fineweb")  # type: ignore[arg-type]
    with pytest.raises(TypeError, match=r"'c4' is no stage: give an instance, C4\(\)"):
        Pipeline(["c4"])  # type: ignore[list-item]
    for name in ("", "a.b"):
        with pytest.raises(ValueError, match="must not be empty or have a dot"):
            Pipeline([(name, C4())])
    with pytest.raises(TypeError, match="name of a stage must be a string, not 5"):
        Pipeline([(5, C4())])  # type: ignore[list-item]
    with pytest.raises(TypeError, match=r"text_column = \['text'\]: must be a string"):
        Pipeline([C4()], text_column=["text"])  # type: ignore[arg-type]


def test_errors_in_a_filter_of_ones_own() -> None:
    """The error names the filter and what it must return."""

    class Wrong(Length):
        def measure(self, batch: Batch) -> Any:
            return values

    class Other:
        version: ClassVar[int] = 1

        def __call__(self, batch: Batch, /) -> Any:
            return batch

    values: Any = pa.array([], pa.int64())
    with pytest.raises(TypeError, match=r"Wrong.measure must return struct\(signal=values, ...\), not a Int64Array"):
        Pipeline([Wrong()])({"text": ["a"]})
    values = struct(words=values)
    with pytest.raises(
        KeyError, match="Wrong: the rule min_length is on the signal 'length'; those measured are: words"
    ):
        Pipeline([Wrong()])({"text": ["a"]})
    values = struct(length=[1, 2, 3])
    with pytest.raises(RuntimeError, match="stage wrong: 3 reasons for 0 documents; there must be one for each"):
        Pipeline([Wrong()])({"text": ["a"]})
    with pytest.raises(RuntimeError, match="stage other: must return an Outcome, not a Batch"):
        Pipeline([Other()])({"text": ["a"]})
    with pytest.raises(ValueError, match=r"one value per document, but their lengths are \{'a': 1, 'b': 2\}"):
        struct(a=[1], b=[1, 2])


def test_pipelines_pickle_and_compare_equal() -> None:
    """A pipeline sent to another process is equal and gives the same results."""
    pipeline = Pipeline([*STAGES_USED, FineWeb(), GopherRepetition()], text_column="body")
    again = pickle.loads(pickle.dumps(pipeline))
    assert again == pipeline
    assert hash(again) == hash(pipeline)
    assert again.keep({"body": TEXTS}) == pipeline.keep({"body": TEXTS})


@pytest.mark.parametrize("form", [None, "arrow", "pandas", "polars"])
def test_inside_datasets(form: str | None) -> None:
    """`dataset.map(pipeline.keep, batched=True)` gives the kept rows in any format; `filter` takes the mask."""
    pipeline = Pipeline(STAGES_USED)
    dataset = datasets.Dataset.from_dict(LIST).with_format(form)
    mapped = dataset.map(pipeline.keep, batched=True, batch_size=4).with_format(None)
    assert mapped["n"][:] == [0, 3]
    assert mapped["text"][1] == EDITED
    assert mapped["language"][:] == ["en", "en"]
    filtered = dataset.filter(pipeline.mask, batched=True).with_format(None)
    assert filtered["text"][:] == [TEXTS[0], TEXTS[3]]


@pytest.mark.parametrize("dtype", ["object", "str", "category"])
def test_inside_dask(dtype: str) -> None:
    """`frame.map_partitions(pipeline.keep)` works with the types that Dask infers, also for empty partitions."""
    dataframe = pytest.importorskip("dask.dataframe")
    pipeline = Pipeline(STAGES_USED)
    frame = pd.DataFrame(LIST).astype({"text": dtype})
    there = dataframe.from_pandas(frame, npartitions=3).map_partitions(pipeline.keep)
    here = pipeline.keep(frame)
    result = there.compute(scheduler="sync")
    assert result["text"].tolist() == here["text"].tolist()
    assert result["n"].tolist() == [0, 3]
    assert there.columns.tolist() == here.columns.tolist()
    if dtype != "category":
        assert there.dtypes.to_dict() == result.dtypes.to_dict()
    with pytest.raises(TypeError, match=r"use frame.map_partitions\(pipeline.keep\)"):
        pipeline(there)


def test_pages_become_texts() -> None:
    """A table with html and no text gets a text from Extract, which drops html."""
    page = f"<html><body><article><p>{PROSE.format(1)}</p></article></body></html>"
    result = Pipeline([Extract(extractor="resiliparse")])(pd.DataFrame({"html": [page, ""], "n": [1, 2]}))
    assert result.kept.columns.tolist() == ["n", "text"]
    assert result.kept["text"].tolist() == [PROSE.format(1).strip()]
    assert result.removed["reason"].tolist() == ["extract.no_text"]


values = st.lists(st.none() | st.text(max_size=12), max_size=30)


@settings(deadline=None, derandomize=True, max_examples=50)
@given(values, st.integers(1, 200))
def test_equals_apply(texts: list[str | None], size: int) -> None:
    """For any texts in any batches, rows, reasons, signals and counts equal those of `apply` on one batch."""
    stages = [("first", Length(2, 8)), ("upper", Upper()), ("second", Length(4, 6)), ("c4", C4(min_sentences=None))]
    texts = [None if text is None else text.encode("utf-8", "replace").decode() for text in texts]
    applied = apply(stages, documents(*texts), signal_type(stages, documents()))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(frames, "BATCH_BYTES", size)
        patch.setattr(frames, "BATCH_ROWS", 7)
        pipeline = Pipeline(stages)
        result = pipeline(pa.table({"text": pa.array(texts, pa.string()), "id": [str(i) for i in range(len(texts))]}))
        mask = pipeline.mask({"text": texts})
    assert result.kept["id"].to_pylist() == applied.kept.column("id").to_pylist()
    assert result.kept["text"].to_pylist() == applied.kept.text.to_pylist()
    expected = {row["id"]: row for part in applied.removed for row in part.to_pylist()}
    assert result.removed["id"].to_pylist() == sorted(expected, key=int)
    for row in result.removed.to_pylist():
        assert row == {name: expected[row["id"]][name] for name in row}
    assert pa.table(result.signals).to_pylist() == applied.signals.to_pylist()
    assert result.counts == applied.tallies
    assert np.flatnonzero(mask).tolist() == [int(row) for row in result.kept["id"].to_pylist()]


def test_an_exception_of_a_stage_is_raised_as_it_is() -> None:
    """A program that applies its own filter sees the filter's exception, as with any other function of its own."""

    class Odd(Filter):
        def measure(self, batch: Batch) -> Any:
            return struct(length=[1 // len(text) for text in batch.text.to_pylist()])

        @property
        def rules(self) -> tuple[Rule, ...]:
            return ()

    for method in (Pipeline([Odd()]), Pipeline([Odd()]).keep, Pipeline([Odd()]).mask):
        with pytest.raises(ZeroDivisionError):
            method({"text": [""]})
