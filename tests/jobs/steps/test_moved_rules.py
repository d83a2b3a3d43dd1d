"""Changed rules applied to stored signals give what the stages do, for any texts and any thresholds."""

from __future__ import annotations

import uuid
from collections.abc import Sequence

import pyarrow as pa
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from stages import Length, Upper, documents

from curation.jobs.inspect.what_if.count_shard import CountMoved
from curation.jobs.inspect.what_if.counts import MoveCounts
from curation.jobs.steps.moved_rules import MovedStage, movable
from curation.stages.signals import stored_rows, stored_schema
from curation.stages.stage import Applied, Stage, apply, signal_type
from curation.store import schema
from curation.store.folder import Folder
from curation.store.shards import ShardWriter

Stages = Sequence[tuple[str, Stage]]

lengths = st.builds(Length, st.one_of(st.none(), st.integers(0, 8)), st.integers(0, 12).map(float))
texts = st.lists(st.text("ab", max_size=12), max_size=25)
few = settings(deadline=None, derandomize=True, max_examples=25, phases=[Phase.explicit, Phase.generate])


def stored(stages: Stages, values: Sequence[str], *, every: bool) -> Folder:
    """A folder with the signals and removed documents of a shard "s" with these texts."""
    kind = signal_type(stages, documents())
    applied = apply(stages, documents(*values), kind, measure_all=every)
    folder = Folder(f"memory://moving/{uuid.uuid4().hex}")
    with (
        ShardWriter(folder, "signals/s.parquet", stored_schema(kind)) as signals,
        ShardWriter(folder, "removed/filter/s.parquet", schema.removed(kind)) as removed,
    ):
        signals.write(stored_rows(filled(applied.kept.table), applied.signals))
        for rows in applied.removed:
            removed.write(filled(rows))
    return folder


def filled(rows: pa.RecordBatch) -> pa.RecordBatch:
    """The rows with every column of a document, null where the test sets none."""
    for field in schema.DOCUMENT:
        if field.name not in rows.schema.names:
            rows = rows.append_column(field, pa.nulls(rows.num_rows, field.type))
    return rows


def counted(before: Stages, after: Stages, values: Sequence[str], *, every: bool, measure: bool = False) -> MoveCounts:
    pairs = zip(before, after, strict=True)
    moved = tuple(MovedStage.of(name, stage, other) for (name, stage), (_, other) in pairs)
    return CountMoved(stored(before, values, every=every), moved, measure)("s")


def kept(applied: Applied) -> dict[str, int]:
    return {name: tally.documents_out for name, tally in applied.tallies.items()}


def run(stages: Stages, values: Sequence[str]) -> dict[str, int]:
    return kept(apply(stages, documents(*values), signal_type(stages, documents())))


@few
@given(texts, st.tuples(lengths, lengths), st.tuples(lengths, lengths))
def test_counts_are_those_of_the_moved_stages(
    values: list[str], before: tuple[Length, Length], after: tuple[Length, Length]
) -> None:
    """Counts by stage are exact if everything was measured or is measured now; else the bounds contain the truth."""
    olds, news = (list(zip(("first", "second"), pair, strict=True)) for pair in (before, after))
    if before == after:
        return
    truth = run(news, values)
    for every, measure in ((True, False), (False, False), (False, True)):
        answer = counted(olds, news, values, every=every, measure=measure)
        assert answer.entered == len(values)
        assert {name: part.now.documents for name, part in answer.stages.items()} == run(olds, values)
        for name, documents_out in truth.items():
            part = answer.stages[name]
            assert part.least.documents <= documents_out <= part.most.documents
            assert not (every or measure) or part.exact


def test_a_stage_of_an_unknown_kind_leaves_doubt() -> None:
    """A stage that is not a filter may have causes that no signal shows: documents that did not reach it are unsure."""
    olds: Stages = [("first", Length(4, 9)), ("upper", Upper())]
    news: Stages = [("first", Length(2, 9)), ("upper", Upper())]
    part = counted(olds, news, ["aaa", "aaaaa"], every=True).stages["upper"]
    assert (part.least.documents, part.most.documents) == (1, 2)
    measured = counted(olds, news, ["aaa", "aaaaa"], every=True, measure=True).stages["upper"]
    assert (measured.least.documents, measured.most.documents) == (2, 2)


def test_only_keys_of_rules_can_be_moved() -> None:
    """Thresholds of a filter can be changed, also of a rule that is off; other kinds of stages have no such keys."""
    assert movable([("a", Length(None, 9)), ("upper", Upper())]) == ["a.min_length", "a.max_length"]
