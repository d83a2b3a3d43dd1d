"""Filters a shard again with other thresholds, from what an earlier filter step stored about it.

    stored signals ─ changed rules ─┬─ same verdict ─ the stored row
                                    └─ another verdict, or unknown ─ page read again at its offset ─ stages ─ new row

Extraction and measuring, which take nearly all of the time, are repeated only for the pages whose verdict changes. The
files and counts are those of filtering everything: rows keep the order of the archive; histograms and violations are
counted from the stored signals; other counts are the earlier ones, less what the changed pages added to them, plus what
they add now. Whatever does not fit leads to filtering everything.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from curation.arrays import Bools, Int64s
from curation.errors import UnreadableArchive, UsageError
from curation.filters.language import SURE, Language
from curation.jobs.steps.changed_pages import BothRecipes, ChangedRows, PageTotals, changed_pages
from curation.jobs.steps.moved_rules import (
    MeasuredRows,
    MovedStage,
    PairsByLanguage,
    is_changed,
    kept_rows,
    languages_at,
    movable,
    pairs_of,
    removed_rows,
)
from curation.jobs.steps.plan import Plan, differences
from curation.jobs.steps.removed import all_signals
from curation.recipes.language_values import DEFAULTS, stage_key
from curation.recipes.language_values import TABLE as BY_LANGUAGE
from curation.recipes.recipe import STAGES, Recipe, from_document
from curation.running.performance import Meter
from curation.stages.batch import Batch
from curation.stages.rules import Rule, violations
from curation.stages.signals import Histogram, add_histograms, histograms, to_json
from curation.stages.stage import Filter, signal_type
from curation.stages.tally import StageTally, add_counts
from curation.store import schema
from curation.store.folder import Folder
from curation.store.manifest import Manifest, is_done
from curation.store.paths import DOCUMENTS, RECIPE_BEFORE, REMOVED_BY_FILTER, RUN, SIGNALS, ShardFiles
from curation.store.shards import ShardWriter, read_numbered, read_table, rows_at

if TYPE_CHECKING:
    from curation.jobs.steps.filter import FilterTask

MOST_CHANGED = 0.5
"""Share of documents with another verdict above which everything is filtered again: changed pages are read one by one,
and the stages from the first changed one on are applied twice to them."""

REMOTE_BYTES = 5 << 20
"""Bytes that are fetched for a page of an archive that is not local: if they are more than the archive, it is read."""

ROWS = 16_384
"""Documents judged at once: their signals take a few megabytes."""

TABLES_READ = ("read", "signals", "dedup")
"""The tables of a recipe that the filter step depends on."""


@dataclass(frozen=True, slots=True)
class EarlierShard:
    """A shard that was filtered with other thresholds.

    Attributes:
        folder: The output folder that has it.
        recipe: The recipe there.
        fingerprint: Of the shard there.
    """

    folder: Folder
    recipe: Recipe
    fingerprint: str


def recipe_before(plan: Plan) -> Recipe | None:
    """The recipe of the run before the plan, if its results may serve.

    It may differ only in thresholds of built-in filters, as far as the filter step depends on it: of these it is known
    that they measure the same whatever their thresholds are. So it names no code that the plan does not name.
    """
    if plan.earlier is None:
        return None
    after, document = plan.recipe.resolved(), plan.earlier.document
    parts = ("stage", BY_LANGUAGE, DEFAULTS)
    try:
        changed = differences(*({name: each[name] for name in parts if name in each} for each in (document, after)))
        if not {stage_key(line.partition(":")[0]) for line in changed} <= {*movable(plan.recipe.stages)}:
            return None
        own = {name: document[name] for name in ("stage", *TABLES_READ)}
        own |= {name: document[name] for name in (BY_LANGUAGE, DEFAULTS) if name in document}
        others = {name: value for name, value in after.items() if name not in parts}
        before = from_document({**others, **own}, f"{plan.earlier.folder.url}/{RUN}")
    except (LookupError, TypeError, AttributeError, ValueError, RecursionError, UsageError):
        return None  # not that of a run
    return before if _differ_in_thresholds(before, plan.recipe) else None


def _differ_in_thresholds(before: Recipe, after: Recipe) -> bool:
    tables = [recipe.identity()["tables"] for recipe in (before, after)]
    is_same = all(tables[0][name] == tables[1][name] for name in ("read", "signals"))
    is_signed = before.table("dedup").signature == after.table("dedup").signature
    if not (is_same and is_signed and before.table("signals").stored):
        return False
    pairs = PairsByLanguage(before, after)
    languages = (None, *before.languages.tables, *after.languages.tables)
    stages = (stage for language in languages for stage in pairs.of(language))
    return all(not stage.touched or _only_decides(stage.before, stage.after) for stage in stages)


def keep_recipe_before(plan: Plan) -> None:
    """Keep the recipe of a run that is updated until the filter step is finished: run.json has the new one by then."""
    before, earlier = recipe_before(plan), plan.earlier
    is_update = before is not None and (before.stages, before.languages) != (plan.recipe.stages, plan.recipe.languages)
    if is_update and earlier is not None and earlier.folder.url == plan.folder.url:
        plan.folder.write_json(RECIPE_BEFORE, earlier.document)


def _only_decides(old: Any, new: Any) -> bool:
    kind = type(old)
    if type(new) is not kind or f"{kind.__module__}:{kind.__qualname__}" not in STAGES.values():
        return False
    return isinstance(old, Filter) or (isinstance(old, Language) and min(old.min_score, new.min_score) >= SURE)


@dataclass(frozen=True, slots=True)
class MovedShard:
    """A shard filtered again, ready to be written.

    Attributes:
        earlier: Where the stored rows are.
        shard: Its name.
        counts: What its manifest counts.
        stored: Offsets of the stored rows in the archive, int64[rows], and which have another verdict now, bool[rows];
            of documents/ and of removed/filter/.
        new: The new rows of each kind of file, and their offsets, ascending.
    """

    earlier: EarlierShard
    shard: str
    counts: dict[str, Any]
    stored: Mapping[ShardFiles, tuple[Int64s, Bools]]
    new: Mapping[ShardFiles, tuple[pa.Table, Int64s]]

    def write(self, writers: Mapping[ShardFiles, ShardWriter], meter: Meter) -> dict[str, Any]:
        """Write the stored rows that stay and the new ones, in the order of the archive; returns the counts."""
        with meter.timed("write"):
            for files, writer in writers.items():
                offsets, changed = self.stored[REMOVED_BY_FILTER if files == REMOVED_BY_FILTER else DOCUMENTS]
                new, new_offsets = self.new[files]
                at = 0
                for numbers, batch in read_numbered(self.earlier.folder, files.path(self.shard)):
                    until = int(np.searchsorted(new_offsets, offsets[numbers[-1]]))
                    stay = ~changed[numbers]
                    table = pa.Table.from_batches([batch.filter(pa.array(stay))])
                    table = pa.concat_tables(
                        [table, new.slice(at, until - at).select(batch.schema.names).cast(batch.schema)]
                    )
                    order = np.argsort(np.concatenate([offsets[numbers][stay], new_offsets[at:until]]))
                    writer.write(table.take(pa.array(order)))
                    at = until
                writer.write(new.slice(at))
        return self.counts


def filtered_again(task: FilterTask, signals: pa.DataType) -> MovedShard | None:
    """The shard of a task, from what is stored about it; None if everything must be filtered.

    Args:
        task: The task.
        signals: Struct type of the signals of its stages.
    """
    earlier, shard = task.earlier, task.shard
    manifest = is_done(earlier.folder, "filter", shard, earlier.fingerprint) if earlier is not None else None
    if earlier is None or manifest is None or not _is_whole(earlier, manifest):
        return None
    if signal_type(earlier.recipe.stages, Batch(pa.RecordBatch.from_pylist([], schema=schema.RECORD))) != signals:
        return None
    offsets = {files: _offsets(earlier.folder, files.path(shard)) for files in (DOCUMENTS, REMOVED_BY_FILTER)}
    every = np.concatenate(list(offsets.values()))
    if len(np.unique(every)) < len(every) or any(
        (np.diff(own) < 0).any() or (own < 0).any() for own in offsets.values()
    ):
        return None
    pairs = PairsByLanguage(earlier.recipe, task.recipe)
    judged = _judge(earlier.folder, shard, pairs)
    stored = {files: (offsets[files], judged.changed[files]) for files in offsets}
    pages = sum(int(changed.sum()) for _, changed in stored.values())
    is_far = not task.source.is_local and pages * REMOTE_BYTES > task.source.size
    if pages > MOST_CHANGED * len(every) or is_far:
        return None
    old, new, rows = PageTotals(), PageTotals(), ChangedRows(task, signals)
    base = pairs_of(earlier.recipe.stages, task.recipe.stages)
    again = BothRecipes(base, (earlier.recipe, task.recipe), all_signals(signals))
    try:
        for batch in changed_pages(task, earlier.folder, stored):
            before, now = again(batch)
            old.add(before)
            new.add(now)
            rows.add(now)
    except UnreadableArchive:
        return None
    if old.verdicts != _stored_verdicts(earlier.folder, shard, stored):
        return None
    return MovedShard(earlier, shard, _counts(manifest, judged, old, new), stored, rows.tables())


def _is_whole(earlier: EarlierShard, manifest: Manifest) -> bool:
    """Whether all files are those of the manifest: a run that was killed may have replaced some of them."""
    try:
        return all(earlier.folder.hash(output.path) == (output.bytes, output.hash) for output in manifest.outputs)
    except FileNotFoundError:
        return False


def _offsets(folder: Folder, path: str) -> Int64s:
    """Offsets of the pages in the archive, int64[rows]; -1 if a page cannot be read at an offset."""
    column = read_table(folder, path, ["warc_offset"])["warc_offset"]
    return np.asarray(column.fill_null(-1).to_numpy(), np.int64)


@dataclass(slots=True)
class _Judged:
    """What the stored signals say: which rows change, and what all others add to histograms and violations."""

    changed: dict[ShardFiles, Bools]
    histograms: dict[str, Histogram] = field(default_factory=dict)
    violations: dict[str, dict[str, int]] = field(default_factory=dict)


def _judge(folder: Folder, shard: str, pairs: PairsByLanguage) -> _Judged:
    judged, stages = _Judged({}), pairs.of(None)
    for stage in stages:
        if stage.name in pairs.thresholds:  # as in curation.stages.by_language
            judged.violations[stage.name] = {rule.reason: 0 for rule in stage.rules}
    sources = ((DOCUMENTS, SIGNALS, kept_rows), (REMOVED_BY_FILTER, REMOVED_BY_FILTER, removed_rows))
    for files, path, to_rows in sources:
        changed = [np.zeros(0, np.bool_)]
        for numbers, batch in read_numbered(folder, path.path(shard), rows=ROWS):
            rows = to_rows(batch, stages)
            changed.append(np.zeros(len(rows), np.bool_))
            parts: Iterable[tuple[str | None, Bools]] = [(None, np.ones(len(rows), np.bool_))]
            if pairs.differ:
                parts = languages_at(folder, files.path(shard), numbers)
            for language, mask in parts:
                own = rows.where(mask)
                changed[-1][mask] = is_changed(pairs.of(language), own)
                _count(judged, pairs.of(language), pairs.thresholds, own.where(~changed[-1][mask]))
        judged.changed[files] = np.concatenate(changed)
    return judged


def _count(
    judged: _Judged, stages: Sequence[MovedStage], thresholds: Mapping[str, Sequence[Rule]], rows: MeasuredRows
) -> None:
    """Add the histograms and violations of rows whose verdict is the same."""
    for number, stage in enumerate(stages):
        entered = rows.where(rows.position >= number).of(stage.name)
        edges = thresholds.get(stage.name, stage.rules)
        judged.histograms = add_histograms(judged.histograms, histograms(stage.name, entered, edges))
        counted = judged.violations.setdefault(stage.name, {})
        for rule in stage.rules if entered.type.num_fields else ():
            counted[rule.reason] = counted.get(rule.reason, 0) + int(violations(entered, rule).sum())


def _stored_verdicts(
    folder: Folder, shard: str, stored: Mapping[ShardFiles, tuple[Int64s, Bools]]
) -> dict[int, str | None]:
    """The reasons that are stored for the pages with another verdict now, by their offsets; None for kept ones."""
    offsets, changed = stored[DOCUMENTS]
    verdicts: dict[int, str | None] = dict.fromkeys(offsets[changed].tolist())
    offsets, changed = stored[REMOVED_BY_FILTER]
    reasons = rows_at(folder, REMOVED_BY_FILTER.path(shard), np.flatnonzero(changed), ["reason"])["reason"]
    return verdicts | dict(zip(offsets[changed].tolist(), reasons.to_pylist(), strict=True))


def _counts(manifest: Manifest, judged: _Judged, old: PageTotals, new: PageTotals) -> dict[str, Any]:
    """What the manifest of the shard counts."""
    stages: dict[str, StageTally] = {}
    for name, values in manifest.counts["stages"].items():
        before, now = old.tallies.get(name, StageTally()), new.tallies.get(name, StageTally())
        total = StageTally.from_json(values)
        stages[name] = StageTally(
            total.documents_in - before.documents_in + now.documents_in,
            total.documents_out - before.documents_out + now.documents_out,
            total.characters_in - before.characters_in + now.characters_in,
            total.characters_out - before.characters_out + now.characters_out,
            _replaced(total.reasons, before.reasons, now.reasons),
            _replaced(total.counts, before.counts, now.counts),
            add_counts(judged.violations[name], now.violations),
        )
    return {
        "read": manifest.counts["read"],
        "stages": {name: tally.to_json() for name, tally in stages.items()},
        "signals": to_json(add_histograms(judged.histograms, new.histograms)),
        "losses": manifest.counts["losses"],
    }


def _replaced(total: Mapping[str, int], before: Mapping[str, int], now: Mapping[str, int]) -> dict[str, int]:
    """{"a": 3, "b": 1} with {"a": 1, "b": 1} replaced by {"a": 2} → {"a": 4}: what is not counted has no key."""
    counts = add_counts(add_counts(total, {key: -count for key, count in before.items()}), now)
    return {key: count for key, count in counts.items() if count}
