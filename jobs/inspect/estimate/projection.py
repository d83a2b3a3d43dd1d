"""What a sample says of the whole run: documents, tokens, bytes, hours and memory, each with an interval."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from curation.jobs.inspect.estimate.estimate import SHARDED, STEPS, SampleResult
from curation.jobs.inspect.estimate.extrapolation import Interval, duplicate_share, point, tokens_per_byte

SHARDS_DIFFER = 0.05
"""A shard of a whole archive packs this much better or worse than chunks of it do."""

TOKENS_DIFFER = 0.02
"""Tokens a byte beyond what half the sample tells, and packed tokens' bytes."""

TIMES_DIFFER = 0.25
"""Of seconds: machines and their other work are not alike."""

SERIAL = {"train-tokenizer": "learning"}
"""What no second worker makes faster."""


@dataclass(frozen=True, slots=True)
class Projection:
    """Intervals by name. kept: pages, documents, corpus, tokens; output: bytes; hours: by step, of one core.

    wall: hours by number of workers, start-up told apart in seconds; memory: bytes a step, of a worker with its helper
    process. duplicates: the share of documents, in the sample and of all. notes: what the numbers do not know.
    """

    inputs: Mapping[str, Any]
    kept: Mapping[str, Interval]
    duplicates: Mapping[str, Any]
    output: Mapping[str, Interval]
    hours: Mapping[str, Interval]
    wall: Mapping[int, Interval]
    startup_seconds: float
    memory: Mapping[str, Interval]
    notes: tuple[str, ...]
    quarantined: tuple[dict[str, str], ...]

    def to_json(self) -> dict[str, Any]:
        """Plain values; an interval is {"value": …, "low": …, "high": …}."""
        return asdict(self)


def foretell(found: SampleResult, workers: int) -> Projection:
    """Extrapolate what was measured. workers: for which the time is foretold, beside one."""
    frame = found.sample.frame
    in_sample, overall = duplicates(found)
    kept = foretell_documents(found, in_sample, overall)
    hours, serial = foretell_hours(found)
    wall = {number: _wall(hours, serial, number, found.startup) for number in sorted({1, workers})}
    return Projection(
        inputs={
            "files": frame.files,
            "bytes": frame.total,
            "sampled_files": len(frame.file_sizes),
            "sampled_chunks": len(frame.size),
            "sampled_share": frame.share,
        },
        kept=kept,
        duplicates={"sample": in_sample, "all": overall},
        output=foretell_bytes(found, kept, in_sample, overall),
        hours={step: interval.scaled(1 / 3600) for step, interval in hours.items()},
        wall=wall,
        startup_seconds=found.startup,
        memory={step: Interval(size, size, 2.0 * size) for step, size in found.memory.items() if step in STEPS},
        notes=_notes(found, in_sample, overall),
        quarantined=found.quarantined,
    )


def duplicates(found: SampleResult) -> tuple[float, Interval]:
    """The share of documents that deduplication drops: in the sample, and of all."""
    documents = found.total("documents")
    if not documents:
        return 0.0, point(0.0)
    frame = found.sample.frame
    near = found.near_copies / documents
    chunks = sum(1 for size in frame.size if size)
    growth = 1.0 if frame.is_whole else max(1.0, (frame.total * chunks / sum(frame.size) - 1) / max(chunks - 1, 1))
    sampled = duplicate_share(found.abundance, 1.0)
    far = duplicate_share(found.abundance, growth)
    shares = [1 - (1 - near) * (1 - share) for share in (sampled.value, far.value, far.low, far.high)]
    return shares[0], Interval(*shares[1:])


def foretell_documents(found: SampleResult, in_sample: float, overall: Interval) -> dict[str, Interval]:
    """Pages read, documents that the stages keep, documents and tokens of the corpus."""
    frame = found.sample.frame
    total = {name: frame.estimate(found.by_chunk.get(name, ())) for name in ("pages", "documents", "characters")}
    stay = Interval(1 - overall.value, 1 - overall.high, 1 - overall.low)
    corpus = total["documents"].times(stay)
    if frame.is_whole:
        return {**_without(total, "characters"), "corpus": corpus, "tokens": point(found.tokens)}
    # What goes as a copy may be longer or shorter than what stays: a quarter of its share is granted for that.
    text = total["characters"].times(stay).widened(overall.high / 4)
    a_character = found.tokens / max(found.survived_characters, 1)
    rate = Interval(1.0, 1.0, 1.0)
    if found.rate:
        fit = tokens_per_byte(found.half_rate, found.rate, float(np.log2(1 / frame.share)))
        rate = Interval(fit.value / found.rate, fit.low / found.rate, fit.high / found.rate)
    tokens = text.scaled(a_character).times(rate).widened(TOKENS_DIFFER)
    return {**_without(total, "characters"), "corpus": corpus, "tokens": tokens}


def _without(values: Mapping[str, Interval], name: str) -> dict[str, Interval]:
    return {key: value for key, value in values.items() if key != name}


def foretell_bytes(
    found: SampleResult, kept: Mapping[str, Interval], in_sample: float, overall: Interval
) -> dict[str, Interval]:
    """Bytes by output folder; what manifests, times and the report take is not counted."""
    frame = found.sample.frame
    made: dict[str, Interval] = {}
    for kind in SHARDED:
        if kind not in found.data:
            continue
        total = frame.estimate(found.data[kind])
        if not frame.is_whole:
            total = total.widened(SHARDS_DIFFER)
            if kind == "corpus":
                stays = (1 - overall.value, 1 - overall.high, 1 - overall.low)
                total = total.times(Interval(*(share / max(1 - in_sample, 1e-9) for share in stays)))
            if kind == "removed/dedup":
                total = made["documents"].times(overall).widened(0.25)
        made[kind] = _plus(total, found.footers[kind] * (len(_read(found)) if frame.is_whole else frame.files))
    return made | _whole_bytes(found, kept, overall)


def _read(found: SampleResult) -> list[str]:
    """Chunks that gave a shard."""
    return [path for path, size in zip(found.sample.paths, found.data.get("documents", ()), strict=False) if size]


def _plus(interval: Interval, number: float) -> Interval:
    return Interval(interval.value + number, interval.low + number, interval.high + number)


def _whole_bytes(found: SampleResult, kept: Mapping[str, Interval], overall: Interval) -> dict[str, Interval]:
    """Outputs that are no shards: files of dedup, the tokenizer, the token shards."""
    frame, totals = found.sample.frame, found.totals
    if not totals:
        return {}
    if frame.is_whole:
        return {kind: point(size) for kind, size in totals.items()}
    growth = 1 / frame.share
    chunks = max(1, len(_read(found)))
    # dedup/ is two small files a shard, and rows for what was found.
    least = totals["dedup"] * frame.files / chunks
    dedup = Interval(totals["dedup"] * growth / 2, min(least, totals["dedup"]) / 2, totals["dedup"] * growth * 4)
    have, wanted = found.vocabulary
    larger = totals["tokenizer"] * max(1.0, wanted / max(have, 1))
    tokenizer = Interval((totals["tokenizer"] + larger) / 2, totals["tokenizer"] * 0.9, larger * 1.1)
    tokens = kept["tokens"].scaled(totals["tokens"] / max(found.tokens, 1)).widened(SHARDS_DIFFER)
    return {"dedup": dedup, "tokenizer": tokenizer, "tokens": tokens}


def foretell_hours(found: SampleResult) -> tuple[dict[str, Interval], Interval]:
    """Core-seconds by step, and those of them that one process takes alone."""
    frame = found.sample.frame
    made: dict[str, Interval] = {}
    seconds = found.by_chunk.get("seconds", ())
    cost = found.processor.get("filter", 0.0) / max(sum(seconds), 1e-9)
    made["filter"] = frame.estimate([value * cost for value in seconds]).widened(TIMES_DIFFER)
    relative = frame.estimate(found.by_chunk.get("characters", ()))
    text = relative.scaled(1 / max(found.total("characters"), 1))
    learning = min(found.learning, found.processor.get("train-tokenizer", 0.0))
    for step in ("dedup", "train-tokenizer", "tokenize"):
        spent = found.processor.get(step, 0.0) - (learning if step in SERIAL else 0.0)
        made[step] = text.scaled(max(0.0, spent)).widened(TIMES_DIFFER)
    # Kinds of words grow slower than text; merges are learned from kinds. At most in step with the square root.
    slower = 1.0 if frame.is_whole else frame.share**-0.5
    serial = Interval(learning * (1 + slower) / 2, learning, learning * slower).widened(TIMES_DIFFER)
    own = made["train-tokenizer"]
    made["train-tokenizer"] = Interval(own.value + serial.value, own.low + serial.low, own.high + serial.high)
    return made, serial


def _wall(hours: Mapping[str, Interval], serial: Interval, workers: int, startup: float) -> Interval:
    """Hours on so many workers with a core each; nothing is gained from more of them where one process works alone."""
    alone = [serial.value, serial.low, serial.high]
    sums = [sum(getattr(step, side) for step in hours.values()) for side in ("value", "low", "high")]
    spread = [(whole - one) / workers + one + startup for whole, one in zip(sums, alone, strict=True)]
    value, low, high = (seconds / 3600 for seconds in spread)
    return Interval(value, low, high)


def _notes(found: SampleResult, in_sample: float, overall: Interval) -> tuple[str, ...]:
    frame = found.sample.frame
    if frame.is_whole:
        return ("the sample is all inputs: documents, tokens and bytes are exact",)
    notes = [
        f"duplicates: {in_sample:.1%} of the sample. The share grows with the documents, since a page and its copy are "
        f"the more likely both there: of all, {overall.low:.1%} to {overall.high:.1%}, if copies lie anywhere. "
        "A crawl taken in twice shows in no small sample.",
    ]
    if len(frame.file_sizes) == 1 < frame.files:
        notes.append("one file was sampled: how much files differ is not known, intervals are doubled")
    elif len(frame.file_sizes) < min(frame.files, 10):
        notes.append(f"{len(frame.file_sizes)} files were sampled: intervals are wide, since files may differ")
    have, wanted = found.vocabulary
    if have < wanted:
        notes.append(
            f"the sample is too small for a vocabulary of {wanted:,}: it gave {have:,}; a full one makes fewer tokens"
        )
    return tuple(notes)
