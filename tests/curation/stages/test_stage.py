"""The function that applies stages: what is removed, why, and that all counts add up."""

from __future__ import annotations

from functools import reduce

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from stages import Broken, Length, Upper, documents

from curation.errors import StageFailed
from curation.filters.c4 import C4
from curation.stages.batch import Batch
from curation.stages.signals import add_histograms
from curation.stages.stage import Filter, Stage, apply, signal_type
from curation.stages.tally import StageTally, add_stages

STAGES: list[tuple[str, Stage]] = [("first", Length(2, 8)), ("upper", Upper()), ("second", Length(4, 6))]
SIGNALS = signal_type(STAGES, documents())


def test_removed_rows_have_stage_reason_and_signals() -> None:
    """A removed row has its stage, its rule and the signals measured so far, and null for later stages."""
    applied = apply(STAGES, documents("a", "bbb", "ccccc", "d" * 9), SIGNALS)
    assert applied.kept.text.to_pylist() == ["CCCCC"]
    rows = {row["id"]: row for part in applied.removed for row in part.to_pylist()}
    assert {key: row["reason"] for key, row in rows.items()} == {
        "0": "first.min_length",
        "3": "first.max_length",
        "1": "second.min_length",
    }
    assert rows["0"]["signals"] == {"first.length": 1, "second.length": None}
    assert rows["1"]["signals"] == {"first.length": 3, "second.length": 3}
    assert rows["1"]["text"] == "BBB"
    assert rows["0"]["stage"] == "first"


def test_tallies_count_what_happened() -> None:
    """Documents, characters, reasons, violations and counts of each stage, and histograms of what entered it."""
    applied = apply(STAGES, documents("a", "bbb", "ccccc"), SIGNALS)
    tally = applied.tallies
    assert (tally["first"].documents_in, tally["first"].documents_out) == (3, 2)
    assert (tally["first"].characters_in, tally["first"].characters_out) == (9, 8)
    assert tally["second"].reasons == {"min_length": 1}
    assert tally["second"].violations == {"min_length": 1, "max_length": 0}
    assert sum(applied.histograms["first.length"].counts) == 3
    assert sum(applied.histograms["second.length"].counts) == 2
    assert [applied.histograms["first.length"].violating(rule) for rule in Length(2, 8).rules] == [1, 0]
    assert tally["upper"].counts == {"edited": 2}


@pytest.mark.parametrize("how", ["drops", "reorders", "extra"])
def test_a_stage_that_changes_rows_is_an_error(how: str) -> None:
    """A stage that drops, reorders or adds rows stops the run instead of assigning reasons to other documents."""
    with pytest.raises(RuntimeError, match="stage bad"):
        apply([("bad", Broken(how))], documents("a", "b", "c"), pa.struct([]))


texts = st.lists(st.text(max_size=12), max_size=30)


@settings(deadline=None, derandomize=True)
@given(texts, st.integers(1, 7))
def test_results_do_not_depend_on_batch_size(values: list[str], size: int) -> None:
    """Rows and total tallies are the same for any batches, and nothing is lost or duplicated."""
    whole = documents(*values)
    once = apply(STAGES, whole, SIGNALS)
    parts = [apply(STAGES, type(whole)(whole.table.slice(i, size)), SIGNALS) for i in range(0, len(values), size)]
    assert [t for p in parts for t in p.kept.column("id").to_pylist()] == once.kept.column("id").to_pylist()
    removed = sorted(row["id"] for p in parts for part in p.removed for row in part.to_pylist())
    assert removed == sorted(row["id"] for part in once.removed for row in part.to_pylist())
    assert len(removed) + len(once.kept) == len(values)
    if values:
        assert reduce(add_stages, (p.tallies for p in parts)) == once.tallies
        assert reduce(add_histograms, (p.histograms for p in parts)) == once.histograms


def test_tallies_survive_json() -> None:
    """A tally read back from JSON is equal."""
    tally = apply(STAGES, documents("a", "bbb"), SIGNALS).tallies["first"]
    assert StageTally.from_json(tally.to_json()) == tally


def test_measure_all_measures_removed_rows_by_later_stages() -> None:
    """With measure_all a removed row has every later signal, for the text that it would have; nothing else changes."""
    batch = documents("a", "bbb", "ccccc", "d" * 9, None)
    plain, whole = apply(STAGES, batch, SIGNALS), apply(STAGES, batch, SIGNALS, measure_all=True)
    assert whole.kept.table.equals(plain.kept.table)
    assert (whole.tallies, whole.histograms) == (plain.tallies, plain.histograms)
    for one, other in zip(plain.removed, whole.removed, strict=True):
        assert one.drop_columns(["signals"]).equals(other.drop_columns(["signals"]))
    signals = {row["id"]: row["signals"] for part in whole.removed for row in part.to_pylist()}
    assert signals["0"] == {"first.length": 1, "second.length": 1}
    assert signals["3"] == {"first.length": 9, "second.length": 9}


def test_later_stages_measure_the_text_cut_by_a_removing_stage() -> None:
    """C4 does not edit the text of what it removes, but the stages after it measure the text with its lines cut."""
    text = "One line of words that is long enough to stay.\nshort\nNo { here please, it is not prose.\n"
    stages: list[tuple[str, Stage]] = [("c4", C4()), ("after", Length(0, 500))]
    kind = signal_type(stages, documents())
    (removed,) = apply(stages, documents(text), kind, measure_all=True).removed
    off = C4(min_sentences=None, lorem_ipsum=False, curly_bracket=False)
    cut = apply([("c4", off), ("after", Length(0, 500))], documents(text), kind).signals
    row = removed.to_pylist()[0]
    assert (row["reason"], row["text"]) == ("c4.curly_bracket", text)
    assert row["signals"]["after.length"] == cut[0].as_py()["after.length"] < len(text)


def test_an_exception_names_stage_and_place() -> None:
    """An exception of a stage that is not built in becomes one line; an I/O error may pass and stays one."""

    class Odd(Filter):
        def measure(self, batch: Batch) -> pa.StructArray:
            raise OSError("busy") if batch.text[0].as_py() else ValueError("empty")

    with pytest.raises(
        StageFailed, match=r"^stage odd: ValueError: empty \(test_stage.py, line \d+, in measure\) for \S+$"
    ):
        apply([("odd", Odd())], documents(""), pa.struct([]))
    with pytest.raises(OSError, match="busy"):
        apply([("odd", Odd())], documents("a"), pa.struct([]))


def test_an_exception_names_the_document() -> None:
    """The first one on which the stage fails by itself, by its URL or else its id; none if it fails on none alone."""

    class Odd(Filter):
        def measure(self, batch: Batch) -> pa.StructArray:
            if len(batch) == 4 or "b" in batch.text.to_pylist():
                raise ValueError("odd")
            return pa.StructArray.from_arrays([pa.array([1] * len(batch))], ["one"])

    for texts, named in [("abc", "1"), ("acda", None)]:
        batch = documents(*texts)
        expected = "" if named is None else f" for {batch.column('url')[1].as_py() or named}"
        with pytest.raises(StageFailed) as failure:
            apply([("odd", Odd())], batch, pa.struct([("odd.one", pa.int64())]))
        assert str(failure.value).partition(", in measure)")[2] == expected
