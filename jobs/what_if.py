"""`curate what-if`: what moved thresholds would keep, counted over stored signals, without reading an archive again.

Each document is judged anew by the moved rules, shard by shard. Numbers are exact where the stored signals decide;
documents that a loosened rule lets through to stages that never measured them make the difference of two bounds, which
the recipe key `signals.all` closes. What deduplication makes of newcomers is an estimate, and called one.
"""

from __future__ import annotations

import zlib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from curation.cluster import Cluster
from curation.errors import UsageError
from curation.jobs.moving import MovedStage, Rows, judge, moved_stages
from curation.jobs.plan import Plan, differences
from curation.manifest import read_manifest
from curation.recipe import from_document
from curation.shards import read_shard, read_table
from curation.signals import STORED
from curation.storage import Folder

LENGTHS = ("text_characters", "characters")
"""Signals that tell how long the text is once the stage is through."""

EXAMPLES = 5
HEAD = 90
"""Characters shown of an example's text."""

Mask = npt.NDArray[np.bool_]
Numbers = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Amount:
    """Documents and characters. `a + b` is exact."""

    documents: int = 0
    characters: int = 0

    def __add__(self, other: Amount) -> Amount:
        return Amount(self.documents + other.documents, self.characters + other.characters)


@dataclass(frozen=True, slots=True)
class Kept:
    """What leaves a stage: now, and with the move at least and at most; equal where the signals decide."""

    now: Amount = field(default_factory=Amount)
    least: Amount = field(default_factory=Amount)
    most: Amount = field(default_factory=Amount)

    def __add__(self, other: Kept) -> Kept:
        return Kept(self.now + other.now, self.least + other.least, self.most + other.most)

    @property
    def exact(self) -> bool:
        """Whether one number is known."""
        return self.least == self.most


@dataclass(frozen=True, slots=True, order=True)
class Changed:
    """A document that changes sides: drawn by `mark`, found at `row` of `path`. Reasons are None where it is kept."""

    mark: int
    path: str
    row: int
    before: str | None
    after: str | None
    sure: bool
    value: str


@dataclass(frozen=True, slots=True)
class Counted:
    """What the move does to a shard, or to all. `a + b` is exact.

    moves: documents by (reason now, reason then), those that stay as they are left out; "" is kept, "?" unsure.
    corpus: documents of the corpus as it is. lost: how many of them go for sure, those of clusters apart; clusters: by
    near-duplicate cluster that loses documents, how many it loses, its size, and documents of the corpus among them.
    """

    entered: int = 0
    stages: Mapping[str, Kept] = field(default_factory=dict)
    moves: Mapping[tuple[str, str], int] = field(default_factory=dict)
    let_in: Sequence[Changed] = ()
    put_out: Sequence[Changed] = ()
    corpus: int = 0
    lost: int = 0
    clusters: Mapping[str, tuple[int, int, int]] = field(default_factory=dict)
    deduplicated: bool = True

    def __add__(self, other: Counted) -> Counted:
        names = [*self.stages, *(name for name in other.stages if name not in self.stages)]
        clusters = dict(self.clusters)
        for key, (gone, size, kept) in other.clusters.items():
            had = clusters.get(key, (0, 0, 0))
            clusters[key] = (had[0] + gone, max(had[1], size), had[2] + kept)
        return Counted(
            self.entered + other.entered,
            {name: self.stages.get(name, Kept()) + other.stages.get(name, Kept()) for name in names},
            Counter(self.moves) + Counter(other.moves),
            sorted([*self.let_in, *other.let_in])[:EXAMPLES],
            sorted([*self.put_out, *other.put_out])[:EXAMPLES],
            self.corpus + other.corpus,
            self.lost + other.lost,
            clusters,
            self.deduplicated and other.deduplicated,
        )


@dataclass(frozen=True, slots=True)
class CountMoved:
    """Counts one shard under moved rules; a picklable task for the cluster."""

    folder: Folder
    stages: tuple[MovedStage, ...]

    def __call__(self, shard: str) -> Counted:
        """What the move does to the documents of the shard."""
        total = Counted()
        for path, first, rows, ids in (*self._kept(shard), *self._removed(shard)):
            total += self._count(shard, path, first, rows, ids)
        return total

    def _kept(self, shard: str) -> Iterator[tuple[str, int, Rows, pa.Array]]:
        path, wanted = f"{STORED}/{shard}.parquet", {stage.name for stage in self.stages if stage.touched}
        with self.folder.open(path) as file, pq.ParquetFile(file) as parquet:
            names = parquet.schema_arrow.names
        lengths = {name for _, name in self._lengths(names)}
        columns = [name for name in names if name in lengths or any(name.startswith(f"{own}.") for own in wanted)]
        first = 0
        for batch in read_shard(self.folder, path, ["id", *columns]):
            size = batch.num_rows
            signals = {name: batch.column(name) for name in columns}
            reasons = pa.nulls(size, pa.string())
            yield (
                f"documents/{shard}.parquet",
                first,
                Rows(signals, np.full(size, len(self.stages)), reasons),
                batch["id"],
            )
            first += size

    def _removed(self, shard: str) -> Iterator[tuple[str, int, Rows, pa.Array]]:
        path, first = f"removed/filter/{shard}.parquet", 0
        names = pa.array([stage.name for stage in self.stages])
        for batch in read_shard(self.folder, path, ["id", "stage", "reason", "signals"]):
            struct = batch["signals"]
            signals = dict(zip([part.name for part in struct.type], struct.flatten(), strict=True))
            position = pc.index_in(batch["stage"], names).to_numpy(zero_copy_only=False).astype(np.int64)
            pairs = zip(batch["stage"].to_pylist(), batch["reason"].to_pylist(), strict=True)
            cut = [reason.removeprefix(f"{stage}.") for stage, reason in pairs]
            yield path, first, Rows(signals, position, pa.array(cut, pa.string())), batch["id"]
            first += batch.num_rows

    def _lengths(self, names: Sequence[str]) -> list[tuple[int, str]]:
        """The signal that tells the length of the text after a stage, by the stage's number."""
        return [
            (number, f"{stage.name}.{signal}")
            for number, stage in enumerate(self.stages)
            for signal in LENGTHS
            if f"{stage.name}.{signal}" in names
        ]

    def _count(self, shard: str, path: str, first: int, rows: Rows, ids: pa.Array) -> Counted:
        lengths = dict(self._lengths(list(rows.signals)))
        length = _before_extraction(rows)
        alive, sure = np.ones(len(rows), np.bool_), np.ones(len(rows), np.bool_)
        after = np.full(len(rows), "", dtype=object)
        stages: dict[str, Kept] = {}
        for number, stage in enumerate(self.stages):
            verdicts = judge(stage, number, rows)
            if number in lengths:
                told = rows.signals[lengths[number]]
                length = np.where(_valid(told), _whole(told), length)
            going = alive & verdicts.gone
            for row in np.flatnonzero(going):
                after[row] = f"{stage.name}.{verdicts.reasons[int(row)].as_py()}"
            alive = alive & ~verdicts.gone
            sure = sure & alive & ~verdicts.unsure
            stages[stage.name] = Kept(*(_amount(mask, length) for mask in (rows.position > number, sure, alive)))
        after[alive & ~sure] = "?"
        kept_now = rows.position == len(self.stages)
        changed = self._changed(path, first, rows, ids, after)
        counted = Counted(len(rows), stages, changed[0], changed[1], changed[2])
        return counted + self._corpus(shard, first, kept_now, ~alive) if kept_now.any() else counted

    def _changed(
        self, path: str, first: int, rows: Rows, ids: pa.Array, after: npt.NDArray[Any]
    ) -> tuple[Counter[tuple[str, str]], list[Changed], list[Changed]]:
        """Moves by reason, and the examples drawn of documents let in and put out."""
        moves: Counter[tuple[str, str]] = Counter()
        let_in: list[Changed] = []
        put_out: list[Changed] = []
        end = len(self.stages)
        for row in np.flatnonzero(self._differs(rows, after)).tolist():
            at = int(rows.position[row])
            before = "" if at == end else f"{self.stages[at].name}.{rows.reasons[row].as_py()}"
            now = str(after[row])
            moves[before, now] += 1
            if before and now not in ("", "?"):
                continue
            decided = before or now
            mark = zlib.crc32((ids[row].as_py() or "").encode())
            change = Changed(
                mark, path, first + row, before or None, now or None, now != "?", self._value(rows, row, decided)
            )
            (let_in if before else put_out).append(change)
        return moves, sorted(let_in)[:EXAMPLES], sorted(put_out)[:EXAMPLES]

    def _differs(self, rows: Rows, after: npt.NDArray[Any]) -> Mask:
        prefixes = [*(f"{stage.name}." for stage in self.stages), ""]
        before = [
            prefixes[at] + (reason or "") for at, reason in zip(rows.position, rows.reasons.to_pylist(), strict=True)
        ]
        return np.array([one != other for one, other in zip(before, after, strict=True)], np.bool_)

    def _value(self, rows: Rows, row: int, decided: str) -> str:
        """The value that the rule `decided` looks at: "words = 62"."""
        for stage in self.stages:
            rules = [*getattr(stage.before, "rules", ()), *stage.rules]
            for rule in rules:
                if f"{stage.name}.{rule.reason}" == decided:
                    value = rows.signals[f"{stage.name}.{rule.signal}"][row].as_py()
                    return f"{rule.signal} = {value:.6g}" if isinstance(value, float) else f"{rule.signal} = {value}"
        return ""

    def _corpus(self, shard: str, first: int, kept: Mask, gone: Mask) -> Counted:
        """What the loss of documents does to the corpus, from what deduplication made of them."""
        paths = [f"dedup/{name}/{shard}.parquet" for name in ("drop", "kept")]
        if not all(self.folder.exists(path) for path in paths):
            return Counted(deduplicated=False)
        dropped, heads = (_inside(read_table(self.folder, path), first, len(kept)) for path in paths)
        in_corpus = kept.copy()
        in_corpus[_rows(dropped) - first] = False
        clusters: dict[str, tuple[int, int, int]] = {}
        alone = gone.copy()
        for table, of_corpus in ((dropped, 0), (heads, 1)):
            at = _rows(table) - first
            alone[at] = False
            for row, key, size in zip(
                at, table["cluster_id"].to_pylist(), table["cluster_size"].to_pylist(), strict=True
            ):
                if gone[row]:
                    had = clusters.get(key, (0, 0, 0))
                    clusters[key] = (had[0] + 1, max(had[1], size), had[2] + of_corpus)
        return Counted(corpus=int(in_corpus.sum()), lost=int(alone.sum()), clusters=clusters)


def _inside(table: pa.Table, first: int, rows: int) -> pa.Table:
    return table.filter((pc.field("row") >= first) & (pc.field("row") < first + rows))


def _rows(table: pa.Table) -> Numbers:
    return np.asarray(table["row"].to_numpy(), np.int64)


def _before_extraction(rows: Rows) -> Numbers:
    """Characters of text before a stage tells: of records that carry text all, of pages none."""
    html, text = rows.signals.get("extract.html_characters"), rows.signals.get("extract.text_characters")
    if html is None or text is None:
        return np.zeros(len(rows), np.int64)
    return np.where(_valid(html), 0, _whole(text))


def _valid(values: pa.Array) -> Mask:
    return np.asarray(values.is_valid().to_numpy(zero_copy_only=False), np.bool_)


def _whole(values: pa.Array) -> Numbers:
    return np.asarray(values.fill_null(0).to_numpy(zero_copy_only=False), np.int64)


def _amount(rows: Mask, length: Numbers) -> Amount:
    return Amount(int(rows.sum()), int(length[rows].sum()))


@dataclass(frozen=True, slots=True)
class Example:
    """A document that changes sides: reasons, the value that decides, where it stands and how it begins."""

    id: str
    url: str
    before: str | None
    after: str | None
    sure: bool
    value: str
    beginning: str


@dataclass(frozen=True, slots=True)
class WhatIf:
    """The answer. tokens_per_character: 0 before tokens were counted; deduplicated: None before deduplication ran."""

    changes: Sequence[str]
    shards: tuple[int, int]
    counted: Counted
    tokens_per_character: float
    corpus: tuple[int, int, int] | None
    newcomers_kept: float | None
    let_in: Sequence[Example]
    put_out: Sequence[Example]

    @property
    def whole(self) -> Kept:
        """What leaves the last stage."""
        return list(self.counted.stages.values())[-1] if self.counted.stages else Kept()


def what_if(plan: Plan, settings: Sequence[str], cluster: Cluster) -> WhatIf:
    """What the run would keep with the settings given.

    Raises RecipeError for a setting that is none, UsageError where stored signals cannot answer.
    """
    recipe = plan.recipe
    moved = from_document(recipe.resolved(), f"{plan.folder.url}/run.json", settings)
    stages = tuple(moved_stages(recipe, moved))
    shards = [source.shard for source in plan.inputs if read_manifest(plan.folder, "filter", source.shard) is not None]
    if not shards:
        raise UsageError(f"{plan.folder.url}: no shard is filtered yet, so there are no signals")
    if not recipe.table("signals").stored:
        raise UsageError(f"{plan.folder.url}: its recipe stores no signals; run it with signals.stored=true")
    counted = sum(cluster.gather(CountMoved(plan.folder, stages), shards), Counted())
    corpus, share = _estimate(counted)
    return WhatIf(
        differences(recipe.resolved(), moved.resolved()),
        (len(shards), len(plan.inputs)),
        counted,
        _tokens_per_character(plan, shards),
        corpus,
        share,
        _examples(plan.folder, counted.let_in),
        _examples(plan.folder, counted.put_out),
    )


def _estimate(counted: Counted) -> tuple[tuple[int, int, int] | None, float | None]:
    """Documents of the corpus now and then, at least and at most, and the share of newcomers taken to be no duplicates.

    A cluster of near-duplicates that loses its survivor is taken to keep another, unless all of it goes.
    """
    now = list(counted.stages.values())[-1]
    if not counted.deduplicated or not now.now.documents:
        return None, None
    share = counted.corpus / now.now.documents
    lost = counted.lost + sum(kept for gone, size, kept in counted.clusters.values() if gone >= size)
    staying = counted.corpus - lost
    gone = sum(count for (before, after), count in counted.moves.items() if not before and after != "?")
    newcomers = [amount.documents - (now.now.documents - gone) for amount in (now.least, now.most)]
    least, most = (staying + round(share * number) for number in newcomers)
    return (counted.corpus, least, most), share


def _tokens_per_character(plan: Plan, shards: Sequence[str]) -> float:
    """Tokens of the corpus over its characters, 0 before they are counted."""
    tokens = read_manifest(plan.folder, "tokens", "all")
    made = [read_manifest(plan.folder, "corpus", shard) for shard in shards]
    characters = sum(part.counts["stages"]["pii"]["characters_out"] for part in made if part is not None)
    return tokens.counts.get("corpus_tokens", 0) / characters if tokens is not None and characters else 0.0


def _examples(folder: Folder, changed: Sequence[Changed]) -> list[Example]:
    return [_example(change, _row(folder, change.path, change.row)) for change in changed]


def _row(folder: Folder, path: str, row: int) -> dict[str, Any]:
    first = 0
    with folder.open(path) as file, pq.ParquetFile(file) as parquet:
        for group in range(parquet.num_row_groups):
            size = parquet.metadata.row_group(group).num_rows
            if row < first + size:
                found = parquet.read_row_group(group, columns=["id", "url", "text"]).slice(row - first, 1)
                return dict(found.to_pylist()[0])
            first += size
    raise IndexError(f"{path}: no row {row}")


def _example(change: Changed, row: dict[str, Any]) -> Example:
    beginning = " ".join((row["text"] or "")[: 4 * HEAD].split())[:HEAD]
    url, name = row["url"] or "", row["id"] or ""
    return Example(name, url, change.before, change.after, change.sure, change.value, beginning)
