"""report/index.html: what stats.json, the samples and performance/ tell, on one page."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from curation.jobs.plan import RUN, Plan
from curation.jobs.samples import Samples
from curation.manifest import READERS, read_manifest
from curation.overlap import overlapped
from curation.recipe import to_toml
from curation.report.counting import KEPT
from curation.report.figures import counted, dates, one_side, ranked, signal_figures, two_sides
from curation.report.funnel import funnel_rows, tokens_per_character
from curation.report.render import render
from curation.storage import Folder
from curation.tokenize.quality import REPORT as TOKENIZER_REPORT

LANGUAGES, DOMAINS, TLDS = 15, 25, 20
STEPS = ("filter", "dedup", "corpus", "count", "merge", "train-tokenizer", "encode", "tokens")


def make_page(plan: Plan, stats: Mapping[str, Any], samples: Samples, performance: Performance) -> str:
    """The page of a run, finished or not. performance: from `measure`."""
    stages = dict([*plan.recipe.stages, ("pii", plan.recipe.table("pii"))])
    rules = {name: getattr(stage, "rules", ()) for name, stage in stages.items()}
    rows = funnel_rows(stats)
    tally = stats["stages"].get("pii", {})
    run = plan.folder.read_json(RUN) if plan.folder.exists(RUN) else {"versions": {}}
    return render(
        {
            "stats": stats,
            "rows": rows,
            "first": next((row.entered for row in rows), 0),
            "rate": tokens_per_character(stats),
            "going": not stats["tokens"],
            "signals": signal_figures(stats, rules),
            "languages": ranked(stats["languages"], LANGUAGES),
            "domains": ranked(stats["domains"], DOMAINS),
            "tlds": ranked(stats["tlds"], TLDS),
            "scores": two_sides("scores", "Score of the language found", stats["scores"], "score"),
            "lengths": _lengths(stats),
            "cluster_sizes": counted(
                "cluster-sizes", "Clusters by size", "documents", stats["dedup"].get("cluster_sizes", {})
            ),
            "clusters": samples.clusters,
            "personal": dict(sorted(tally.get("counts", {}).items(), key=lambda item: (-item[1], item[0]))),
            "lost": _lost(stats),
            "bytes_per_token": _first(stats["bytes_per_token"], LANGUAGES),
            "tokenizer": _tokenizer(plan.folder),
            "performance": performance,
            "kept": samples.by_reason.get(KEPT, ()),
            "removed": _removed(rows, samples),
            "shown": set(samples.by_reason),
            "recipe": to_toml(plan.recipe.resolved()),
            "description": plan.recipe.description,
            "versions": run["versions"],
        }
    )


def _lengths(stats: Mapping[str, Any]) -> list[Any]:
    found = [
        two_sides("characters", "Characters of a document", stats["lengths"], "characters"),
        one_side("tokens", "Tokens of a document of the corpus", stats["token_counts"], "tokens"),
        dates(stats["days"]),
    ]
    return [figure for figure in found if figure is not None]


def _removed(rows: list[Any], samples: Samples) -> list[tuple[str, int, Any]]:
    """Reason, documents and samples, in the order of the funnel."""
    named = [(f"{row.stage}.{reason.name}", reason.documents) for row in rows for reason in row.reasons]
    return [(name, documents, samples.by_reason[name]) for name, documents in named if name in samples.by_reason]


def _first(values: Mapping[str, Any], most: int) -> dict[str, Any]:
    return dict(list(values.items())[:most])


def _lost(stats: Mapping[str, Any]) -> dict[str, int]:
    """Records that were damaged and pages that could not be extracted, by cause."""
    read = {name: count for name, count in stats["read"].items() if name.startswith(("skipped.", "repaired."))}
    return read | dict(stats["stages"].get("extract", {}).get("counts", {}))


def _tokenizer(folder: Folder) -> dict[str, Any] | None:
    """What the tokenizer's own report says; None where there is none."""
    if not folder.exists(TOKENIZER_REPORT):
        return None
    found: dict[str, Any] = folder.read_json(TOKENIZER_REPORT)
    return found


@dataclass
class StepTime:
    """What the shards of a step took: seconds of work added up, documents, and the highest memory of its workers."""

    shards: int = 0
    seconds: float = 0.0
    documents: int = 0
    memory: int = 0


@dataclass
class Performance:
    """Time by step and by stage, and the tasks whose workers held the most memory."""

    steps: dict[str, StepTime] = field(default_factory=dict)
    stages: dict[str, tuple[float, int]] = field(default_factory=dict)
    slowest: list[tuple[str, float, int]] = field(default_factory=list)

    @property
    def seconds(self) -> float:
        """Of all steps."""
        return sum(step.seconds for step in self.steps.values())


def measure(folder: Folder, stats: Mapping[str, Any]) -> Performance:
    """Add up performance/. Documents are those that entered the stage; for a step, those of the shards measured."""
    found = Performance()
    seconds: Counter[str] = Counter()
    slowest: list[tuple[str, float, int]] = []
    paths = [path.split("/", 2) for path in folder.list("performance", ".json")]
    tasks = [(step, name.removesuffix(".json")) for _, step, name in paths]
    tasks.sort(key=lambda task: (_place(task[0]), task[1]))
    for (step, shard), (values, entered) in zip(tasks, overlapped(partial(_read, folder), tasks, READERS), strict=True):
        time = step_seconds(values)
        entry = found.steps.setdefault(step, StepTime())
        entry.shards += 1
        entry.seconds += time
        entry.memory = max(entry.memory, values.get("peak_memory", 0))
        entry.documents += entered
        parts = values.get("stages")
        seconds.update(parts if isinstance(parts, dict) else {})
        slowest.append((f"{step} {shard}", time, values.get("peak_memory", 0)))
    came = {name: tally["documents_in"] for name, tally in stats["stages"].items()}
    order = [name for name in came if name in seconds] + sorted(set(seconds) - set(came))
    found.stages = {name: (seconds[name], came.get(name, 0)) for name in order}
    found.slowest = sorted(slowest, key=lambda task: (-task[1], task[0]))[:10]
    return found


def _place(step: str) -> int:
    return STEPS.index(step) if step in STEPS else len(STEPS)


def step_seconds(values: Mapping[str, Any]) -> float:
    """Seconds of a task, or of the phases of a step together."""
    time = values.get("seconds", 0.0)
    return float(sum(time.values()) if isinstance(time, dict) else time)


def _read(folder: Folder, task: tuple[str, str]) -> tuple[Mapping[str, Any], int]:
    """What performance/ says of a task, and how many documents entered it; nothing where a crash tore the file."""
    step, shard = task
    try:
        values = folder.read_json(f"performance/{step}/{shard}.json")
    except (ValueError, FileNotFoundError):
        return {}, 0
    return values, _entered(folder, step, shard)


def _entered(folder: Folder, step: str, shard: str) -> int:
    manifest = read_manifest(folder, step, shard)
    counts = manifest.counts if manifest is not None else {}
    if "stages" in counts:
        return int(next((tally["documents_in"] for tally in counts["stages"].values()), 0))
    return int(counts.get("documents", 0))
