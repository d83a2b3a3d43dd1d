"""report/metrics.txt: the counters of a run as OpenMetrics text, for Prometheus and compatible programs.

All counters except times are those of report/stats.json. Times differ between equal runs, so the file has no hash in
any manifest, like report/index.html.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from curation import __version__
from curation.jobs.steps.plan import Plan
from curation.jobs.steps.report.facts import STEP
from curation.jobs.steps.report.performance import Performance
from curation.store.manifest import manifest_steps, read_manifests
from curation.store.paths import METRICS

PREFIX = "curate"

_READ = {
    "records": ("type", "Records read, by WARC type."),
    "pages": ("content", "Records that are pages, by content."),
    "passed": ("type", "Records passed over because they contain no page, by WARC type."),
    "skipped": ("cause", "Records that could have been pages and were skipped, by cause."),
    "status": ("class", "Pages by the class of their HTTP status."),
}
"""For each kind of count of reading, the label for the part of its name after the dot, and the help text."""

_STAGE = {
    "documents_in": "Documents that entered a stage.",
    "documents_out": "Documents that left a stage for the next.",
    "characters_in": "Characters of text that entered a stage.",
    "characters_out": "Characters of text that left a stage for the next.",
}

_TOKENS = {
    "rows": "Packed sequences.",
    "tokens": "Tokens in packed sequences, end tokens included.",
    "padding": "Padding tokens in packed sequences.",
    "dropped": "Tokens dropped by the tail policy.",
    "shards": "Files of packed sequences.",
}

Labels = Mapping[str, str]


@dataclass
class Family:
    """One metric.

    Attributes:
        name: Name without prefix and suffix; it ends with the unit if there is one.
        kind: OpenMetrics type: "counter", "gauge" or "info".
        help: Help text.
        unit: Unit, for example "seconds".
        samples: Labels and value of each sample.
    """

    name: str
    kind: str
    help: str
    unit: str = ""
    samples: list[tuple[Labels, float]] = field(default_factory=list)

    def add(self, value: float, **labels: str) -> None:
        """Add a sample."""
        self.samples.append((labels, value))

    def lines(self) -> Iterable[str]:
        """The lines of text; none without samples."""
        if not self.samples:
            return
        name = f"{PREFIX}_{self.name}"
        yield f"# TYPE {name} {self.kind}"
        if self.unit:
            yield f"# UNIT {name} {self.unit}"
        yield f"# HELP {name} {escape(self.help)}"
        suffix = {"counter": "_total", "info": "_info"}.get(self.kind, "")
        for labels, value in self.samples:
            pairs = ",".join(f'{key}="{escape(text)}"' for key, text in labels.items())
            yield f"{name}{suffix}{{{pairs}}} {value}" if pairs else f"{name}{suffix} {value}"


def escape(text: str) -> str:
    r"""Escape a label value or help text as in OpenMetrics: a\b"c → a\\b\"c, a line break → \n."""
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


def write_metrics(plan: Plan, stats: Mapping[str, Any], performance: Performance) -> None:
    """Write report/metrics.txt from the content of stats.json and the measured time and memory."""
    plan.folder.write(METRICS, metrics(plan, stats, performance).encode())


def metrics(plan: Plan, stats: Mapping[str, Any], performance: Performance) -> str:
    """The content of metrics.txt; the last line is `# EOF`."""
    families = [
        *_run(stats),
        *_reading(stats["read"]),
        *_stages(stats["stages"]),
        *_counts(stats),
        *_sizes(plan),
        *_performance(performance),
    ]
    return "".join(f"{line}\n" for family in families for line in family.lines()) + "# EOF\n"


def _run(stats: Mapping[str, Any]) -> list[Family]:
    run = Family("run", "info", "The recipe of the run, and the program that counted.")
    run.add(1, recipe=stats["recipe"], fingerprint=stats["fingerprint"], version=__version__)
    shards = Family("shards", "gauge", "Inputs by state.")
    for state, count in stats["shards"].items():
        shards.add(count, state=state)
    shards.add(len(stats["quarantined"]), state="quarantined")
    shards.add(len(stats["damaged"]), state="damaged")
    return [run, shards]


def _reading(read: Mapping[str, int]) -> list[Family]:
    families = {prefix: Family(f"read_{prefix}", "counter", text) for prefix, (_, text) in _READ.items()}
    other = Family("read_choices", "counter", "Choices made while reading pages, such as the character set.")
    for name, count in sorted(read.items()):
        prefix, _, rest = name.partition(".")
        if prefix in families and rest:
            families[prefix].add(count, **{_READ[prefix][0]: rest})
        else:
            other.add(count, choice=name)
    return [*families.values(), other]


def _stages(stages: Mapping[str, Any]) -> list[Family]:
    families = {name: Family(f"stage_{name}", "counter", text) for name, text in _STAGE.items()}
    removed = Family("removed_documents", "counter", "Documents removed, by stage and reason.")
    counted = Family("stage_counts", "counter", "Other counts of a stage, such as lines cut or personal data replaced.")
    for stage, tally in stages.items():
        for name, family in families.items():
            family.add(tally[name], stage=stage)
        for reason, count in sorted(tally["reasons"].items()):
            removed.add(count, stage=stage, reason=reason)
        for name, count in sorted(tally["counts"].items()):
            counted.add(count, stage=stage, name=name)
    return [*families.values(), removed, counted]


def _counts(stats: Mapping[str, Any]) -> list[Family]:
    languages = Family("corpus_documents", "counter", "Documents in the corpus, by language.")
    for language, counts in stats["languages"].items():
        if counts["kept"]:
            languages.add(counts["kept"], language=language)
    dedup = Family("dedup", "counter", "Counts of deduplication.")
    for name, value in stats["dedup"].items():
        if isinstance(value, int):
            dedup.add(value, name=name)
    corpus = Family("corpus_tokens", "counter", "Tokens in the corpus, with the run's tokenizer.")
    vocabulary = Family("tokenizer_vocabulary", "gauge", "Size of the tokenizer's vocabulary.")
    if "vocab_size" in stats["tokenizer"]:
        vocabulary.add(stats["tokenizer"]["vocab_size"])
    tokens = stats["tokens"]
    if "corpus_tokens" in tokens:
        corpus.add(tokens["corpus_tokens"])
    families = {name: Family(f"packed_{name}", "counter", text) for name, text in _TOKENS.items()}
    for name, family in families.items():
        for split in ("train", "validation"):
            if f"{split}_{name}" in tokens:
                family.add(tokens[f"{split}_{name}"], split=split)
    return [languages, dedup, corpus, vocabulary, *families.values()]


def _sizes(plan: Plan) -> list[Family]:
    """Bytes read, and bytes written by folder, as in the manifests of all steps but this one, which is at work."""
    read = Family("input_bytes", "gauge", "Size of the inputs.", "bytes")
    read.add(sum(source.size for source in plan.inputs))
    by_path: dict[str, int] = {}
    for step in sorted(set(manifest_steps(plan.folder)) - {"count", STEP}):
        for manifest in read_manifests(plan.folder, step):
            by_path |= {output.path: output.bytes for output in manifest.outputs}
    sizes: Counter[str] = Counter()
    for path, size in by_path.items():
        sizes[path.rpartition("/")[0]] += size
    written = Family("output_bytes", "gauge", "Size of the files of the run, by folder, without the report.", "bytes")
    for place in sorted(sizes):
        written.add(sizes[place], folder=place)
    return [read, written]


def _performance(measured: Performance) -> list[Family]:
    stages = Family("stage_seconds", "counter", "CPU time of a stage in all tasks, in seconds.", "seconds")
    for name, (seconds, _) in measured.stages.items():
        stages.add(seconds, stage=name)
    steps = Family("step_seconds", "counter", "Wall time of all tasks of a step, in seconds.", "seconds")
    memory = Family("step_peak_memory_bytes", "gauge", "Peak memory of a worker in a step.", "bytes")
    for name, step in measured.steps.items():
        steps.add(step.seconds, step=name)
        memory.add(step.memory, step=name)
    return [stages, steps, memory]
