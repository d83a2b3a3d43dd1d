"""Projects a sample to the whole run: documents, tokens, bytes, hours and memory, each with an interval."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import astuple, dataclass
from typing import Any

import numpy as np

from curation.jobs.inspect.estimate.copies import project_duplicates
from curation.jobs.inspect.estimate.estimate import SHARDED, STEPS, SampleResult
from curation.jobs.inspect.estimate.extrapolation import Interval, point, tokens_per_byte

SHARDS_DIFFER = 0.05
"""Relative error of bytes: a shard of a whole archive compresses this much better or worse than chunks of it."""

TOKENS_DIFFER = 0.02
"""Relative error of tokens per byte, beyond what training on half of the sample shows."""

TIMES_DIFFER = 0.25
"""Relative error of times: machines and their load differ."""


@dataclass(frozen=True, slots=True)
class Projection:
    """The projection of a run.

    Attributes:
        inputs: Numbers of files and bytes, and how much of them was sampled.
        kept: Pages, documents kept by the stages, documents in the corpus, tokens.
        duplicates: Share of documents that are duplicates, in the sample and in the whole.
        output: Bytes by output folder.
        hours: CPU hours by step.
        wall: Wall-time hours by number of workers.
        startup_seconds: What a run takes to start, included in `wall`.
        report_seconds: What the report of any run takes, included in `wall`.
        load: Wall time of the sample by its CPU time, at least 1: how much other programs slow the machine down.
        memory: Peak bytes by step, of a worker with its helper process.
        notes: Limitations of the projection.
        quarantined: Unreadable inputs: {"path": …, "cause": …}.
    """

    inputs: Mapping[str, Any]
    kept: Mapping[str, Interval]
    duplicates: Mapping[str, Any]
    output: Mapping[str, Interval]
    hours: Mapping[str, Interval]
    wall: Mapping[int, Interval]
    startup_seconds: float
    report_seconds: float
    load: float
    memory: Mapping[str, Interval]
    notes: tuple[str, ...]
    quarantined: tuple[dict[str, str], ...]


def project(result: SampleResult, workers: int) -> Projection:
    """Project the result of the sample to the whole run, with wall times for one worker and for `workers`."""
    frame = result.sample.frame
    in_sample, overall = result.copies.share, project_duplicates(result.copies, frame)
    kept = project_documents(result, overall)
    hours, serial = project_hours(result)
    wall = {number: _wall(hours, serial, result, number) for number in sorted({1, workers})}
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
        output=project_bytes(result, kept, in_sample, overall),
        hours={step: interval.scaled(1 / 3600) for step, interval in hours.items()},
        wall=wall,
        startup_seconds=result.startup,
        report_seconds=result.report,
        load=_load(result),
        memory={step: Interval(size, size, 2.0 * size) for step, size in result.memory.items() if step in STEPS},
        notes=_notes(result, in_sample, overall),
        quarantined=result.quarantined,
    )


def project_documents(result: SampleResult, overall: Interval) -> dict[str, Interval]:
    """Project pages read, documents kept by the stages, and documents and tokens of the corpus."""
    frame = result.sample.frame
    total = {name: frame.estimate(result.by_chunk.get(name, ())) for name in ("pages", "documents", "characters")}
    characters = total.pop("characters")
    kept = overall.complement()
    total["corpus"] = total["documents"].times(kept)
    if frame.is_whole:
        return {**total, "tokens": point(result.tokens)}
    # Removed copies may be longer or shorter than what is kept: a quarter of their share is allowed for that.
    text = characters.times(kept).widened(overall.high / 4)
    per_character = result.tokens / max(result.survived_characters, 1)
    rate = Interval(1.0, 1.0, 1.0)
    if result.rate:
        fit = tokens_per_byte(result.half_rate, result.rate, float(np.log2(1 / frame.share)))
        rate = Interval(fit.value / result.rate, fit.low / result.rate, fit.high / result.rate)
    return {**total, "tokens": text.scaled(per_character).times(rate).widened(TOKENS_DIFFER)}


def project_bytes(
    result: SampleResult, kept: Mapping[str, Interval], in_sample: float, overall: Interval
) -> dict[str, Interval]:
    """Project bytes by output folder, without manifests, performance files and the report."""
    frame = result.sample.frame
    sizes: dict[str, Interval] = {}
    for kind in SHARDED:
        if kind not in result.data:
            continue
        total = frame.estimate(result.data[kind])
        if not frame.is_whole:
            total = total.widened(SHARDS_DIFFER)
            if kind == "corpus":
                total = total.times(overall.complement().scaled(1 / max(1 - in_sample, 1e-9)))
            if kind == "removed/dedup":
                total = sizes["documents"].times(overall).widened(0.25)
        sizes[kind] = total + point(result.footers[kind] * (len(_read(result)) if frame.is_whole else frame.files))
    return sizes | _whole_bytes(result, kept)


def _read(result: SampleResult) -> list[str]:
    """The chunks that gave a shard."""
    return [path for path, size in zip(result.sample.paths, result.data.get("documents", ()), strict=False) if size]


def _whole_bytes(result: SampleResult, kept: Mapping[str, Interval]) -> dict[str, Interval]:
    """Project bytes of outputs that are not sharded like the inputs: dedup files, tokenizer, token shards."""
    frame, totals = result.sample.frame, result.totals
    if not totals:
        return {}
    if frame.is_whole:
        return {kind: point(size) for kind, size in totals.items()}
    growth = 1 / frame.share
    chunks = max(1, len(_read(result)))
    # dedup/ has two small files per shard, and rows for the duplicates found.
    least = totals["dedup"] * frame.files / chunks
    dedup = Interval(totals["dedup"] * growth / 2, min(least, totals["dedup"]) / 2, totals["dedup"] * growth * 4)
    have, wanted = result.vocabulary
    larger = totals["tokenizer"] * max(1.0, wanted / max(have, 1))
    tokenizer = Interval((totals["tokenizer"] + larger) / 2, totals["tokenizer"] * 0.9, larger * 1.1)
    tokens = kept["tokens"].scaled(totals["tokens"] / max(result.tokens, 1)).widened(SHARDS_DIFFER)
    return {"dedup": dedup, "tokenizer": tokenizer, "tokens": tokens}


def project_hours(result: SampleResult) -> tuple[dict[str, Interval], Interval]:
    """Project CPU seconds by step, and how many of them only one process can do."""
    frame = result.sample.frame
    costs: dict[str, Interval] = {}
    seconds = result.by_chunk.get("seconds", ())
    cost = result.processor.get("filter", 0.0) / max(sum(seconds), 1e-9)
    costs["filter"] = frame.estimate([value * cost for value in seconds]).widened(TIMES_DIFFER)
    relative = frame.estimate(result.by_chunk.get("characters", ()))
    text = relative.scaled(1 / max(result.total("characters"), 1))
    learning = min(result.learning, result.processor.get("train-tokenizer", 0.0))
    serial = point(0.0)
    for step in (*STEPS[1:], "report"):
        spent = max(0.0, result.processor.get(step, 0.0) - (learning if step == "train-tokenizer" else 0.0))
        once = min(spent, result.once.get(step, 0.0))
        grows = text.scaled(spent - once)
        # The upper bound is that all of it grows: what is done once is the difference of two short times.
        costs[step] = Interval(grows.value, grows.low, text.high * spent - once).widened(TIMES_DIFFER) + point(once)
        serial += point(once)
    # Merges are learned from distinct words, which grow more slowly than text: at most with its square root.
    slower = 1.0 if frame.is_whole else frame.share**-0.5
    merges = Interval(learning * (1 + slower) / 2, learning, learning * slower).widened(TIMES_DIFFER)
    costs["train-tokenizer"] += merges
    serial += merges
    return costs, serial


def _load(result: SampleResult) -> float:
    """Wall seconds per CPU second of the sample; 1 if processes of the filter step overlap and nothing else runs."""
    return max(1.0, sum(result.seconds.values()) / max(sum(result.processor.values()), 1e-9))


def _wall(hours: Mapping[str, Interval], serial: Interval, result: SampleResult, workers: int) -> Interval:
    """Wall-time hours with `workers` workers of one core each, between an idle machine and one loaded as it is now.

    The serial part takes as long with any number, and start-up and the report's page as long with any inputs.
    """
    sides = zip(astuple(sum(hours.values(), point(0.0))), astuple(serial), strict=True)
    idle = Interval(*((whole - alone) / workers + alone for whole, alone in sides))
    load = _load(result)
    idle += point((result.startup + result.report) / load).widened(TIMES_DIFFER)
    return Interval(idle.value * load**0.5, idle.low, idle.high * load).scaled(1 / 3600)


def _notes(result: SampleResult, in_sample: float, overall: Interval) -> tuple[str, ...]:
    frame = result.sample.frame
    if frame.is_whole:
        return ("the sample contains all inputs: documents, tokens and bytes are exact",)
    notes = [
        "extrapolated by the bytes of the inputs: pages, documents, bytes and CPU time, "
        f"{1 / frame.share:,.1f} times those of the sample. Counted once: start-up and the report's page",
        f"duplicates: {in_sample:.1%} of the sample. The share grows with the number of documents, because a page and "
        f"its copy are more likely to be both among them: {overall.low:.1%} to {overall.high:.1%} of all documents. A "
        "file that repeats another one does not show if one of them is not sampled",
    ]
    if len(frame.file_sizes) == 1 < frame.files:
        notes.append("one file was sampled: how much files differ is unknown, so intervals are doubled")
    elif len(frame.file_sizes) < min(frame.files, 10):
        notes.append(f"{len(frame.file_sizes)} files were sampled: intervals are wide because files may differ")
    have, wanted = result.vocabulary
    if have < wanted:
        notes.append(
            f"the sample is too small for a vocabulary of {wanted:,} (it gave {have:,}); a full one gives fewer tokens"
        )
    return tuple(notes)
