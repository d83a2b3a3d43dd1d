"""The part of `curate verify` that determines how far a run got: which manifests exist and belong to this run.

A manifest that is missing or has another fingerprint means that its shard is not done. That is not a fault, since the
run resumes there, unless a later step that was made from that shard is done.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from curation.errors import CurationError
from curation.jobs.inspect.verify.faults import Fault
from curation.jobs.steps.fingerprints import Fingerprints
from curation.jobs.steps.plan import Plan, describe
from curation.jobs.steps.table import Step, ancestors, needed_for, step_named, steps
from curation.running.cluster import Cluster
from curation.store.bundles import SIGNALS, bundle_number, bundle_of, bundle_path, read_bundle, read_signals
from curation.store.folder import Folder
from curation.store.manifest import WHOLE, Manifest, manifest_path, read_manifest, read_single, step_counts
from curation.store.paths import CORPUS, RUN
from curation.store.shards import Output, shard_of


@dataclass(frozen=True, slots=True)
class ManifestSummary:
    """The part of a manifest that the driver keeps.

    Attributes:
        path: Path of the manifest.
        step: The step, by the path.
        shard: The shard, by the path.
        fingerprint: Its fingerprint; empty if it could not be read.
        outputs: The files that it names.
        fault: What is wrong with it, if anything.
    """

    path: str
    step: str
    shard: str
    fingerprint: str = ""
    outputs: tuple[Output, ...] = ()
    fault: Fault | None = None


@dataclass(frozen=True, slots=True)
class ReadManifest:
    """Reads single manifests, leaving out their counts, which are large; a picklable task for the cluster."""

    folder: Folder

    def __call__(self, path: str) -> ManifestSummary:
        """A summary of the manifest at this path."""
        _, step, name = path.split("/", 2)
        shard = name.removesuffix(".json")
        try:
            manifest = read_single(self.folder, step, shard)
            if manifest is None:
                raise ValueError("it was removed during the check")
        except (ValueError, TypeError, KeyError, OSError) as error:
            fault = Fault(path, f"not a manifest ({_reason(error)})", "what the step wrote")
            return ManifestSummary(path, step, shard, fault=fault)
        message = f"is the manifest of {manifest.step} of {manifest.shard}"
        is_misplaced = (manifest.step, manifest.shard) != (step, shard)
        misplaced = Fault(path, message, f"{step} of {shard}") if is_misplaced else None
        return ManifestSummary(path, step, shard, manifest.fingerprint, tuple(manifest.outputs), misplaced)


@dataclass(frozen=True, slots=True)
class ReadBundle:
    """Reads bundles of manifests, like `ReadManifest`; a picklable task for the cluster."""

    folder: Folder

    def __call__(self, task: tuple[str, int]) -> list[ManifestSummary]:
        """Summaries of the manifests in a bundle; `task` is the step and the number of the bundle."""
        step, number = task
        summaries: list[ManifestSummary] = []
        path = bundle_path(step, number)
        try:
            rows = read_bundle(self.folder, path, ["shard", "fingerprint", "outputs"]).to_pylist()
            summaries += [self._summary(step, number, row) for row in rows]
            path = bundle_path(step, number, SIGNALS)
            read_signals(self.folder, step, number, ["shard"])
        except (ValueError, TypeError, KeyError, OSError) as error:
            fault = Fault(path, f"not a bundle of manifests ({_reason(error)})", "what the step wrote")
            summaries.append(ManifestSummary(path, "", path, fault=fault))
        return summaries

    def _summary(self, step: str, number: int, row: dict[str, Any]) -> ManifestSummary:
        path, shard = bundle_path(step, number), row["shard"]
        elsewhere = bundle_path(step, bundle_of(shard))
        misplaced = Fault(path, f"has the manifest of {shard}", f"it to be in {elsewhere}")
        outputs = tuple(Output(**output) for output in row["outputs"])
        fault = misplaced if elsewhere != path else None
        return ManifestSummary(path, step, shard, row["fingerprint"], outputs, fault)


@dataclass
class Completion:
    """How far the run got.

    Attributes:
        manifests: All manifests, by step and shard.
        shards: Shards of inputs that are not quarantined, in input order.
        quarantined: Shards of quarantined inputs.
        same_versions: Whether the recipe has the run's fingerprint here, with the installed libraries and models.
        done: Step and shard of manifests that are up to date.
        left: What remains to be done, in words.
        needed: The steps that the run was made for.
        faults: What is wrong.
    """

    manifests: dict[tuple[str, str], ManifestSummary]
    shards: list[str]
    quarantined: set[str]
    same_versions: bool
    done: set[tuple[str, str]] = field(default_factory=set)
    left: list[str] = field(default_factory=list)
    needed: set[str] = field(default_factory=set)
    faults: list[Fault] = field(default_factory=list)

    @property
    def outputs(self) -> dict[str, tuple[Output, str]]:
        """Every file that the manifests name, by path, with the fingerprint of the first step to name it.

        A later step may rewrite a file of an earlier one (encoding fills token_count), so the last description is used.
        """
        files: dict[str, tuple[Output, str]] = {}
        for step in steps():
            for key in sorted(key for key in self.manifests if key[0] == step.name):
                manifest = self.manifests[key]
                for output in manifest.outputs:
                    _, fingerprint = files.get(output.path, (output, manifest.fingerprint))
                    files[output.path] = (output, fingerprint)
        return files

    def holds(self, step: str, shard: str) -> bool:
        """Whether a step's outputs for a shard belong to the run as it is now.

        A folder with an unfinished run may contain outputs of another recipe, or made from fewer inputs.
        """
        keys = self.done if self.left else self.manifests.keys()
        return (step, shard if step_named(step).unit == "shard" else WHOLE) in keys

    def before_encoding(self, path: str) -> Output | None:
        """A file of the corpus as it was before its tokens were counted; None once the token set is finished."""
        shard = CORPUS.shard(path)
        manifest = self.manifests.get(("corpus", shard))
        if manifest is None or ("tokens", WHOLE) in self.done:
            return None
        return next((output for output in manifest.outputs if output.path == path), None)


def survey(plan: Plan, cluster: Cluster) -> Completion:
    """Read all manifests, and determine what is done, what is left and what is wrong."""
    folder = plan.folder
    run = folder.read_json(RUN)
    listed = [path for path in folder.list("manifests") if path.count("/") == 2]
    bundles = [(path.split("/")[1], number) for path in listed if (number := bundle_number(path)) is not None]
    bundled = [each for part in cluster.gather(ReadBundle(folder), bundles) for each in part]
    single = cluster.gather(ReadManifest(folder), [path for path in listed if path.endswith(".json")])
    summaries = [*bundled, *single]
    manifests = {(read.step, read.shard): read for read in summaries if read.step}
    quarantined = set(map(shard_of, run["quarantined"]))
    shards = [source.shard for source in plan.inputs if source.shard not in quarantined]
    same = run["fingerprint"] == plan.recipe.fingerprint()
    state = Completion(manifests, shards, quarantined, same, needed=needed_for(plan.asked))
    if not same and run["versions"] == describe(plan)["versions"]:
        message = f"its recipe gives the fingerprint {plan.recipe.fingerprint()}, with the versions that it names"
        expected = f"{run['fingerprint']}: the recipe, or a model or list that it reads, was changed after the run"
        state.faults.append(Fault(RUN, message, expected))
    state.faults += [manifest.fault for manifest in summaries if manifest.fault is not None]
    state.faults += _unexpected_manifests(plan, state)
    wanted = _expected(plan, state) if same else {}
    _settle(state, wanted, _is_current(plan, state, wanted))
    return state


def _is_current(plan: Plan, state: Completion, wanted: dict[tuple[str, str], str]) -> bool:
    """Whether the tokens were made from the current corpus. Inputs may have been added since and not be done yet."""
    tokens = manifest_of(plan.folder, "tokens", WHOLE)
    if tokens is None:
        return False
    if any(_is_stale(state, wanted, (step, WHOLE)) for step in ("dedup", "train-tokenizer")):
        return False
    encoded = [state.manifests.get(("encode", shard)) for shard in state.shards]
    if all(manifest is not None and manifest.fingerprint == tokens.fingerprint for manifest in encoded):
        return True
    made = [state.manifests.get(("corpus", shard)) for shard in state.shards]
    outputs = [output for corpus in made if corpus for output in corpus.outputs if output.path.startswith("corpus/")]
    documents = sum(output.rows for output in outputs)
    return len(outputs) < len(state.shards) or documents == tokens.counts.get("documents")


def _is_stale(state: Completion, wanted: dict[tuple[str, str], str], key: tuple[str, str]) -> bool:
    manifest = state.manifests.get(key)
    return manifest is not None and manifest.fingerprint != wanted.get(key, manifest.fingerprint)


def _unexpected_manifests(plan: Plan, state: Completion) -> Iterator[Fault]:
    """Manifests of shards that no input of the run makes."""
    mixed = bool(plan.recipe.table("tokens").mix)
    units = {step.name: step.unit for step in steps() if step.unit != "parts" and not (step.name == "encode" and mixed)}
    known = set(state.shards)
    for (step, shard), manifest in state.manifests.items():
        if units.get(step) == "shard" and shard not in known:
            yield Fault(manifest.path, "no input of the run gives this shard", "the shards of run.json")
        elif units.get(step) == "whole" and shard != WHOLE:
            yield Fault(manifest.path, "not a part of this step", WHOLE)


def _expected(plan: Plan, state: Completion) -> dict[tuple[str, str], str]:
    """The fingerprint that the run would write into each manifest, where the plan alone determines it."""
    fingerprints = Fingerprints(plan, state.quarantined)
    expected: dict[tuple[str, str], str] = {}
    with suppress(CurationError, OSError):  # an earlier run does not exist any more, or cannot be read from here
        for step in steps():
            if step.make and not step.anytime and not step.reads_contents:
                for unit in step.units(state.shards):
                    expected[step.name, unit] = fingerprints.of(step.name, unit)
    return expected


def _settle(state: Completion, expected: dict[tuple[str, str], str], current: bool) -> None:
    """Fill `done`, `left` and `faults`, from the last step to the first: a finished step requires those before it."""
    needed: dict[str, str] = {}
    skipped = _skipped(state, expected) | {step.name for step in steps() if step.name not in state.needed}
    for step in reversed([step for step in steps() if not step.anytime]):
        owner = step_named(step.made_by or step.name)
        made = state.manifests.get((owner.name, WHOLE)) if owner.reads_contents else None
        missing: list[tuple[tuple[str, str], ManifestSummary | None, str | None]] = []
        keys = [(step.name, unit) for unit in step.units(state.shards)]
        for key in keys:
            manifest = state.manifests.get(key)
            fingerprint = made.fingerprint if made is not None else expected.get(key)
            is_stale = made is not None and not current
            if manifest is not None and not is_stale and (fingerprint is None or manifest.fingerprint == fingerprint):
                state.done.add(key)
            else:
                missing.append((key, manifest, fingerprint))
        if step.name in needed:
            state.faults += [
                _broken(key, manifest, fingerprint, needed[step.name]) for key, manifest, fingerprint in missing
            ]
        elif missing and step.name in skipped and not any(manifest for _, manifest, _ in missing):
            continue
        elif missing:
            state.left.insert(0, _describe_left(step, len(missing), len(keys)))
        elif keys and step.unit != "shard":
            needed |= dict.fromkeys(ancestors(step) - set(needed), step.name)
    tokens = state.manifests.get(("tokens", WHOLE))
    if tokens is not None:
        state.faults += [
            Fault(manifest.path, f"fingerprint {manifest.fingerprint}", f"{tokens.fingerprint}, as in tokens/all.json")
            for (step_name, shard), manifest in state.manifests.items()
            if step_name == "tokens" and shard != WHOLE and manifest.fingerprint != tokens.fingerprint
        ]


def _skipped(state: Completion, expected: dict[tuple[str, str], str]) -> set[str]:
    """The steps that a run leaves out because they have nothing to work on: no input or no document is left."""
    made_by = {step.name: step_named(step.made_by or step.name) for step in steps()}
    if not state.shards:
        return {name for name, step in made_by.items() if step.after}
    for shard in state.shards:
        key = ("corpus", shard)
        manifest = state.manifests.get(key)
        is_current = manifest is not None and manifest.fingerprint == expected.get(key, manifest.fingerprint)
        if manifest is None or not is_current:
            return set()
        if any(output.rows for output in manifest.outputs if output.path == CORPUS.path(shard)):
            return set()
    return {name for name, step in made_by.items() if "corpus" in step.after}


def _broken(key: tuple[str, str], manifest: ManifestSummary | None, fingerprint: str | None, later: str) -> Fault:
    path = manifest_path(*key)
    if manifest is None:
        return Fault(path, "missing", f"to exist, since the step {later}, made from it, is done")
    return Fault(path, f"fingerprint {manifest.fingerprint}", f"{fingerprint}, from which the step {later} was made")


def _describe_left(step: Step, missing: int, total: int) -> str:
    if step.unit != "shard":
        return f"step {step.name} is not done"
    return f"step {step.name}: {missing:,} of {total:,} shards left"


def _reason(error: Exception) -> str:
    return str(error.__cause__ or error).splitlines()[0]


def counts_of(folder: Folder, step: str, shards: Sequence[str]) -> list[Mapping[str, Any]]:
    """The counts of those of these shards that have a valid manifest."""
    try:
        return list(step_counts(folder, step, shards))
    except (ValueError, TypeError, KeyError, OSError):
        return [manifest.counts for shard in shards if (manifest := manifest_of(folder, step, shard)) is not None]


def manifest_of(folder: Folder, step: str, shard: str) -> Manifest | None:
    """The manifest, or None if it is missing or invalid."""
    try:
        return read_manifest(folder, step, shard)
    except (ValueError, TypeError, KeyError, OSError):
        return None
