"""The steps of a run, in order: what each makes, from what, and by which function.

Running, resuming, verifying, estimating, alarms and progress read this table. A new step needs one entry here and one
file with its function. Functions and columns are named, not imported, so that the command line starts fast.
"""

from __future__ import annotations

import importlib
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Any, Literal

from curation.errors import UsageError
from curation.recipes.alarms import AFTER_DEDUP
from curation.store import paths

OTHERS = "*"
"""In `Step.alarms`: all alarms that no other step names."""


@dataclass(frozen=True, slots=True)
class StepOutput:
    """Files that a step writes.

    Attributes:
        files: Where they are: one per shard, or a single path.
        columns: `module:name` of their schema, or of a function from the recipe and the type of its stages' signals (an
            empty struct if that is unknown) to their schema. None if they are not checked against a schema.
        stamped: Whether each has the step's fingerprint in its Parquet metadata.
    """

    files: paths.ShardFiles | str
    columns: str | None = None
    stamped: bool = False

    @property
    def prefix(self) -> str:
        """The prefix of the files' paths."""
        return self.files if isinstance(self.files, str) else f"{self.files.folder}/"


@dataclass(frozen=True, slots=True)
class Step:
    """One step of a run.

    Attributes:
        name: Used in manifests/<name>/, progress and messages.
        unit: "shard" if every shard is made and resumed by itself, "whole" if everything is made at once, "parts" if
            everything is made at once from parts that the step names itself.
        command: The command that runs it.
        make: `module:function` that makes what is missing, called with the `Run`. Empty if another step makes it.
        made_by: The step whose function makes this one too, under the same fingerprint.
        after: Steps whose outputs it reads.
        tables: Tables of the recipe that it depends on.
        depends: `module:function` from the plan and its shards to whatever else it depends on, as plain values.
        version: Raised when the same inputs and parameters give other outputs.
        outputs: The files that it writes.
        alarms: Names of the alarms that can be checked once it is done. If there are any, its manifests count stages.
        phases: Further names under which its tasks record times in performance/.
        reads_contents: Whether its fingerprint includes contents of files in the folder, so that the plan alone does
            not determine it.
        anytime: Whether it is made from whatever is there, so that no step depends on it and it is never out of date.
    """

    name: str
    unit: Literal["shard", "whole", "parts"]
    command: str
    make: str = ""
    made_by: str = ""
    after: tuple[str, ...] = ()
    tables: tuple[str, ...] = ()
    depends: str = ""
    version: int = 1
    outputs: tuple[StepOutput, ...] = ()
    alarms: tuple[str, ...] = ()
    phases: tuple[str, ...] = ()
    reads_contents: bool = False
    anytime: bool = False

    def units(self, shards: list[str]) -> list[str]:
        """The names of its manifests, given the run's shards."""
        from curation.store.manifest import WHOLE

        return shards if self.unit == "shard" else [WHOLE]


_DOCUMENT = "curation.store.schema:DOCUMENT"
_DECISIONS = "curation.dedup.decisions"

STEPS: tuple[Step, ...] = (
    Step(
        "filter", "shard", "filter", "curation.jobs.steps.filter:make",
        tables=("read", "signals"), depends="curation.jobs.steps.filter:depends", version=3,
        outputs=(
            StepOutput(paths.DOCUMENTS, _DOCUMENT, stamped=True),
            StepOutput(paths.REMOVED_BY_FILTER, "curation.jobs.steps.removed:removed_columns", stamped=True),
            StepOutput(paths.SIGNATURES, "curation.jobs.steps.filter:signature_columns", stamped=True),
            StepOutput(paths.SIGNALS, "curation.jobs.steps.filter:signal_columns", stamped=True),
        ),
        alarms=(OTHERS,),
    ),
    Step(
        "dedup", "whole", "dedup", "curation.jobs.steps.dedup:make",
        after=("filter",), tables=("dedup",), depends="curation.jobs.steps.dedup:depends",
        outputs=(
            StepOutput(paths.DROPS, f"{_DECISIONS}:DROPS"),
            StepOutput(paths.CLUSTERED, f"{_DECISIONS}:KEPT"),
            StepOutput(paths.LINE_CUTS, "curation.dedup.lines:CUTS"),
            StepOutput(paths.PAIRS, "curation.dedup.sketches:EDGES"),
            StepOutput(paths.LARGE_CLUSTERS, f"{_DECISIONS}:LARGE"),
            StepOutput(paths.SHARD_NUMBERS, f"{_DECISIONS}:NUMBERS"),
        ),
    ),
    Step(
        "corpus", "shard", "dedup", "curation.jobs.steps.corpus:make",
        after=("dedup",), tables=("pii",), depends="curation.jobs.steps.corpus:depends", version=2,
        outputs=(
            StepOutput(paths.CORPUS, _DOCUMENT, stamped=True),
            StepOutput(paths.REMOVED_BY_DEDUP, "curation.jobs.steps.removed:removed_columns", stamped=True),
            StepOutput(paths.CONTAMINATION, "curation.filters.decontaminate:MATCHES", stamped=True),
        ),
        alarms=AFTER_DEDUP,
    ),
    Step(
        "train-tokenizer", "whole", "train-tokenizer", "curation.jobs.steps.train_tokenizer:make",
        after=("corpus",), tables=("tokenizer",),
        outputs=(StepOutput(paths.TOKENIZER), StepOutput(paths.TOKENIZER_CONFIG), StepOutput(paths.TOKENIZER_RANKS)),
        phases=("count", "merge"),
    ),
    Step("encode", "shard", "tokenize", made_by="tokens", outputs=(StepOutput(paths.CORPUS, _DOCUMENT),)),
    Step(
        "tokens", "parts", "tokenize", "curation.jobs.steps.tokenize:make",
        after=("corpus", "train-tokenizer"), tables=("tokens",), depends="curation.jobs.steps.tokenize:depends",
        version=2, reads_contents=True,
        outputs=(StepOutput(paths.TOKENS), StepOutput(paths.TOKENIZER_REPORT)),
    ),
    Step(
        "report", "parts", "report", "curation.jobs.steps.report.report:make",
        outputs=(StepOutput(paths.STATS), StepOutput(paths.DATASET_CARD)), anytime=True,
    ),
)  # fmt: skip


def steps() -> tuple[Step, ...]:
    """All steps, in order."""
    return STEPS


def step_named(name: str) -> Step:
    """The step of this name; KeyError if there is none."""
    return {step.name: step for step in STEPS}[name]


def ancestors(step: Step) -> set[str]:
    """The names of all steps that `step` is made from, directly or indirectly, and of those that its function makes."""
    direct = {*step.after, *(other.name for other in STEPS if other.made_by == step.name)}
    return direct.union(*(ancestors(step_named(name)) for name in direct if step_named(name).make))


def commands() -> tuple[str, ...]:
    """The commands that run steps, in order."""
    return tuple(dict.fromkeys(step.command for step in STEPS))


def check_commands(names: list[str]) -> tuple[str, ...]:
    """The named commands in the order of the steps; UsageError for an unknown name."""
    unknown = [name for name in names if name not in commands()]
    if unknown:
        raise UsageError(f"no step {unknown[0]!r}; there are {', '.join(commands())}")
    return tuple(command for command in commands() if command in names)


def needed_for(asked: Collection[str]) -> set[str]:
    """The names of the steps that the commands run, and of those before them; all if no command is named."""
    chosen = [step for step in STEPS if step.command in asked or not asked]
    return {step.name for step in chosen}.union(*map(ancestors, chosen))


def outputs() -> Iterator[tuple[Step, StepOutput]]:
    """The outputs of all steps, in order."""
    return ((step, output) for step in STEPS for output in step.outputs)


def named(path: str) -> Any:
    """The object at `module:name`."""
    module, _, name = path.partition(":")
    return getattr(importlib.import_module(module), name)
