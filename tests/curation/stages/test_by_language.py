"""Stages whose parameters differ by language."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import pyarrow as pa
import pyarrow.compute as pc
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from stages import Length, Upper, documents

from curation.stages.batch import Batch
from curation.stages.by_language import LanguageStages, languages_of
from curation.stages.rules import Rule, decide
from curation.stages.signals import add_histograms
from curation.stages.stage import Applied, Outcome, apply, signal_type, struct
from curation.stages.tally import add_stages

WANTED = ("a", "b")


@dataclass(frozen=True, slots=True)
class FirstLetter:
    """Identifies the language by the first letter, with the second character as its score."""

    min_score: int = 2
    identifies_language: ClassVar[bool] = True
    version: ClassVar[int] = 1

    @property
    def rules(self) -> tuple[Rule, ...]:
        return (Rule("score", "<", self.min_score, "min_score"),)

    def __call__(self, batch: Batch, /) -> Outcome:
        letters = [text[:1] or None for text in batch.text.to_pylist()]
        scores = [int(text[1:2]) if text[1:2].isdecimal() else 0 for text in batch.text.to_pylist()]
        signals = struct(score=pa.array(scores, pa.int64()))
        filled = batch.with_columns(language=pa.array(letters, pa.string()))
        return Outcome(filled, decide(signals, self.rules), signals)


STAGES = [("upper", Length(1, 30)), ("language", FirstLetter()), ("length", Length(3, 8)), ("edit", Upper())]
VARIANTS = {"a": {"length": Length(5, 8)}, "b": {"length": Length(3, 4), "language": FirstLetter(7)}}
SIGNALS = signal_type(STAGES, documents())


def stages() -> LanguageStages:
    return LanguageStages(STAGES, lambda language: VARIANTS.get(language, {}), WANTED)


def each_by_itself(texts: list[str]) -> Applied:
    """The same documents one at a time, by the stages of their language."""
    parts = []
    for row, text in enumerate(texts):
        whole = documents(*texts)
        batch = whole.keep(pc.equal(whole.column("id"), str(row)).to_numpy(zero_copy_only=False))
        parts.append(apply(stages().of(text[:1] or None), batch, SIGNALS))
    total = parts[0]
    for part in parts[1:]:
        total = Applied(
            Batch(
                pa.concat_tables([pa.table(total.kept.table), pa.table(part.kept.table)])
                .combine_chunks()
                .to_batches()[0]
            )
            if len(total.kept) + len(part.kept)
            else total.kept,
            [*total.removed, *part.removed],
            pa.concat_arrays([total.signals, part.signals]),
            add_stages(total.tallies, part.tallies),
            {},
            total.histograms,
        )
    return total


def rows_of(applied: Applied) -> tuple[list[dict[str, object]], list[dict[str, object]]]:
    removed = sorted((row for part in applied.removed for row in part.to_pylist()), key=lambda row: str(row["id"]))
    return applied.kept.table.to_pylist(), removed


def test_each_document_is_judged_by_the_rules_of_its_language() -> None:
    """Thresholds are those of the language, or the stage's own for a language without values; the order is kept."""
    texts = ["a9xx", "b9xx", "c9x", "a9xxx", "b5xx", "b9xxx", "c1x", ""]
    applied = stages().apply(documents(*texts), SIGNALS)
    kept, removed = rows_of(applied)
    assert [row["text"] for row in kept] == ["B9XX", "C9X", "A9XXX"]
    assert {row["text"]: row["reason"] for row in removed} == {
        "a9xx": "length.min_length",
        "b5xx": "language.min_score",
        "b9xxx": "length.max_length",
        "c1x": "language.min_score",
        "": "upper.min_length",
    }
    assert applied.signals.field("length.length").to_pylist() == [4, 3, 5]
    assert applied.tallies["length"].violations == {"min_length": 1, "max_length": 1}


@given(st.lists(st.tuples(st.sampled_from("abc"), st.text("x59", max_size=6)).map("".join), min_size=1, max_size=12))
@settings(max_examples=60, deadline=None)
def test_a_batch_gives_what_its_documents_give(texts: list[str]) -> None:
    """Rows, reasons, signals and counts are those of every document by itself, whatever else is in the batch."""
    together, apart = stages().apply(documents(*texts), SIGNALS), each_by_itself(texts)
    assert rows_of(together) == rows_of(apart)
    assert together.signals.equals(apart.signals)
    assert together.tallies == apart.tallies


def test_removed_documents_are_measured_by_the_later_stages() -> None:
    """With all signals, a document removed before or at identification is measured as if it had been kept."""
    texts = ["a1xxxx", "b" * 40, "c9x"]
    _, removed = rows_of(stages().apply(documents(*texts), SIGNALS, measure_all=True))
    assert [row["signals"]["length.length"] for row in removed] == [6, 40]  # type: ignore[index]
    assert [row["signals"]["language.score"] for row in removed] == [1, 0]  # type: ignore[index]


def test_histograms_add_up_for_any_languages() -> None:
    """The edges of histograms have the thresholds of all languages, so that batches of any languages add up."""
    one, other = (stages().apply(documents(*texts), SIGNALS) for texts in (("a9xxx",), ("c9x", "b9xx")))
    assert one.histograms["length.length"].edges == other.histograms["length.length"].edges
    added = add_histograms(one.histograms, other.histograms)
    assert [added["length.length"].violating(rule) for rule in Length(5, 4).rules] == [2, 1]


@pytest.mark.parametrize("count", [0, 1])
def test_no_document_reaches_identification(count: int) -> None:
    """A batch of which nothing is left counts nothing at the later stages and has their columns."""
    applied = stages().apply(documents(*[""] * count), SIGNALS)
    assert len(applied.kept) == 0
    assert {name: tally.documents_in for name, tally in applied.tallies.items()} == {
        "upper": count, "language": 0, "length": 0, "edit": 0
    }  # fmt: skip
    assert "language" in applied.kept.table.schema.names


def test_languages_of_a_batch() -> None:
    """Each language has its rows, unknown ones are together, and a batch of no rows has one group of none."""
    batch = documents("x", "y", "z").with_columns(language=pa.array(["b", None, "a"]))
    assert [(name, rows.tolist()) for name, rows in languages_of(batch)] == [
        ("a", [False, False, True]), ("b", [True, False, False]), (None, [False, True, False])
    ]  # fmt: skip
    empty = documents().with_columns(language=pa.array([], pa.string()))
    assert [(name, len(rows)) for name, rows in languages_of(empty)] == [(None, 0)]
