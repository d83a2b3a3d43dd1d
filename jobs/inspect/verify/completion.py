"""The part of `curate verify` that asks how far a run got: which manifests are there, and are of this run.

A manifest that is missing or of another fingerprint means that its shard is not done, which is no fault: the run goes
on there. It is one where a later step, made from that shard, is done.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field

from curation.errors import CurationError
from curation.jobs.inspect.verify.faults import Fault
from curation.jobs.steps.fingerprints import Fingerprints
from curation.jobs.steps.plan import RUN, Plan, describe
from curation.jobs.steps.table import Step, ancestors, step_named, steps
from curation.running.cluster import Cluster
from curation.store.folder import Folder
from curation.store.manifest import WHOLE, Manifest, manifest_path, read_manifest
from curation.store.paths import CORPUS
from curation.store.shards import Output


@dataclass(frozen=True, slots=True)
class ManifestSummary:
    """What the driver keeps of a manifest."""

    path: str
    step: str
    shard: str
    fingerprint: str = ""
    outputs: tuple[Output, ...] = ()
    fault: Fault | None = None


@dataclass(frozen=True, slots=True)
class ReadManifest:
    """Reads manifests without their counts, which are large; a picklable task for the cluster."""

    folder: Folder

    def __call__(self, path: str) -> ManifestSummary:
        """What is in the manifest at this path."""
        _, step, name = path.split("/", 2)
        shard = name.removesuffix(".json")
        try:
            found = read_manifest(self.folder, step, shard)
            if found is None:
                raise ValueError("vanished")
        except (ValueError, TypeError, KeyError, OSError) as error:
            fault = Fault(path, f"is no manifest ({str(error).splitlines()[0]})", "what the step wrote")
            return ManifestSummary(path, step, shard, fault=fault)
        told = f"is the manifest of {found.step} of {found.shard}"
        wrong = (found.step, found.shard) != (step, shard)
        strange = Fault(path, told, f"{step} of {shard}") if wrong else None
        return ManifestSummary(path, step, shard, found.fingerprint, tuple(found.outputs), strange)


@dataclass
class Completion:
    """How far the run got. done: (step, shard) of manifests that hold; left: what is still to do, in words."""

    manifests: dict[tuple[str, str], ManifestSummary]
    shards: list[str]
    quarantined: set[str]
    same_versions: bool
    done: set[tuple[str, str]] = field(default_factory=set)
    left: list[str] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)

    @property
    def outputs(self) -> dict[str, tuple[Output, str]]:
        """Every file that the manifests name, by path, with the fingerprint of the first step to name it.

        A later step may rewrite a file of an earlier one (encoding fills token_count): the last description counts.
        """
        found: dict[str, tuple[Output, str]] = {}
        for step in steps():
            for key in sorted(key for key in self.manifests if key[0] == step.name):
                known = self.manifests[key]
                for output in known.outputs:
                    _, mark = found.get(output.path, (output, known.fingerprint))
                    found[output.path] = (output, mark)
        return found

    def holds(self, step: str, shard: str) -> bool:
        """Whether what a step made of a shard belongs to the run as it is: an unfinished one may hold what is left of
        another recipe, or was made of fewer inputs."""
        keys = self.done if self.left else self.manifests.keys()
        return (step, shard if step_named(step).unit == "shard" else WHOLE) in keys

    def before_encoding(self, path: str) -> Output | None:
        """A file of the corpus as it was before tokens were counted, as long as the token set is not finished."""
        shard = CORPUS.shard(path)
        known = self.manifests.get(("corpus", shard))
        if known is None or ("tokens", WHOLE) in self.done:
            return None
        return next((output for output in known.outputs if output.path == path), None)


def survey(plan: Plan, cluster: Cluster) -> Completion:
    """Read all manifests and tell done, left and wrong apart."""
    folder = plan.folder
    run = folder.read_json(RUN)
    paths = [path for path in folder.list("manifests", ".json") if path.count("/") == 2]
    known = {(found.step, found.shard): found for found in cluster.gather(ReadManifest(folder), paths)}
    quarantined = {entry["path"] for entry in run["quarantined"]}
    shards = [source.shard for source in plan.inputs if source.path not in quarantined]
    same = run["fingerprint"] == plan.recipe.fingerprint()
    state = Completion(known, shards, quarantined, same)
    if not same and run["versions"] == describe(plan, [])["versions"]:
        told = f"its recipe gives the fingerprint {plan.recipe.fingerprint()}, with the versions that it names"
        expected = f"{run['fingerprint']}: the recipe, or a model or list that it reads, was changed after the run"
        state.faults.append(Fault(RUN, told, expected))
    state.faults += [found.fault for found in known.values() if found.fault is not None]
    state.faults += _strangers(plan, state)
    wanted = _expected(plan, state) if same else {}
    _settle(state, wanted, _is_current(plan, state, wanted))
    return state


def _is_current(plan: Plan, state: Completion, wanted: dict[tuple[str, str], str]) -> bool:
    """Whether the tokens were made of the corpus that is there. Inputs may have been added since, and not be done."""
    tokens = manifest_of(plan.folder, "tokens", WHOLE)
    if tokens is None:
        return False
    if any(_is_stale(state, wanted, (step, WHOLE)) for step in ("dedup", "train-tokenizer")):
        return False
    encoded = [state.manifests.get(("encode", shard)) for shard in state.shards]
    if all(known is not None and known.fingerprint == tokens.fingerprint for known in encoded):
        return True
    made = [state.manifests.get(("corpus", shard)) for shard in state.shards]
    outputs = [output for known in made if known for output in known.outputs if output.path.startswith("corpus/")]
    documents = sum(output.rows for output in outputs)
    return len(outputs) < len(state.shards) or documents == tokens.counts.get("documents")


def _is_stale(state: Completion, wanted: dict[tuple[str, str], str], key: tuple[str, str]) -> bool:
    found = state.manifests.get(key)
    return found is not None and found.fingerprint != wanted.get(key, found.fingerprint)


def _strangers(plan: Plan, state: Completion) -> Iterator[Fault]:
    """Manifests of shards that no input of the run makes."""
    mixed = bool(plan.recipe.table("tokens").mix)
    units = {step.name: step.unit for step in steps() if step.unit != "parts" and not (step.name == "encode" and mixed)}
    for (step, shard), found in state.manifests.items():
        if units.get(step) == "shard" and shard not in state.shards:
            yield Fault(found.path, "no input of the run makes this shard", "the shards of run.json")
        elif units.get(step) == "whole" and shard != WHOLE:
            yield Fault(found.path, "no shard of this step", WHOLE)


def _expected(plan: Plan, state: Completion) -> dict[tuple[str, str], str]:
    """The fingerprint of each manifest, as the run would write it, as far as the plan alone gives it."""
    fingerprints = Fingerprints(plan, state.quarantined)
    expected: dict[tuple[str, str], str] = {}
    with suppress(CurationError, OSError):  # an earlier run is gone, or cannot be reached from here
        for step in steps():
            if step.make and not step.anytime and not step.reads_contents:
                for unit in step.units(state.shards):
                    expected[step.name, unit] = fingerprints.of(step.name, unit)
    return expected


def _settle(state: Completion, expected: dict[tuple[str, str], str], current: bool) -> None:
    """Fill done, left and faults, from the last step to the first: what a finished step was made of must be there."""
    needed: dict[str, str] = {}
    for step in reversed([step for step in steps() if not step.anytime]):
        owner = step_named(step.made_by or step.name)
        made = state.manifests.get((owner.name, WHOLE)) if owner.reads_contents else None
        missing: list[tuple[tuple[str, str], ManifestSummary | None, str | None]] = []
        keys = [(step.name, unit) for unit in step.units(state.shards)]
        for key in keys:
            found = state.manifests.get(key)
            fingerprint = made.fingerprint if made is not None else expected.get(key)
            is_stale = made is not None and not current
            if found is not None and not is_stale and (fingerprint is None or found.fingerprint == fingerprint):
                state.done.add(key)
            else:
                missing.append((key, found, fingerprint))
        if step.name in needed:
            state.faults += [_broken(key, found, fingerprint, needed[step.name]) for key, found, fingerprint in missing]
        elif missing:
            state.left.insert(0, _describe_left(step, len(missing), len(keys)))
        elif keys and step.unit != "shard":
            needed |= dict.fromkeys(ancestors(step) - set(needed), step.name)
    tokens = state.manifests.get(("tokens", WHOLE))
    if tokens is not None:
        state.faults += [
            Fault(found.path, f"fingerprint {found.fingerprint}", f"{tokens.fingerprint}, as of all tokens")
            for (step_name, shard), found in state.manifests.items()
            if step_name == "tokens" and shard != WHOLE and found.fingerprint != tokens.fingerprint
        ]


def _broken(key: tuple[str, str], found: ManifestSummary | None, mark: str | None, later: str) -> Fault:
    path = manifest_path(*key)
    if found is None:
        return Fault(path, "missing", f"to be there, since the step {later}, made from it, is done")
    return Fault(path, f"fingerprint {found.fingerprint}", f"{mark}, from which the step {later} was made")


def _describe_left(step: Step, missing: int, all_of_it: int) -> str:
    if step.unit != "shard":
        return f"step {step.name} is not done"
    return f"step {step.name}: {missing:,} of {all_of_it:,} shards left"


def manifest_of(folder: Folder, step: str, shard: str) -> Manifest | None:
    """The manifest, or None if it is missing or no manifest."""
    try:
        return read_manifest(folder, step, shard)
    except (ValueError, TypeError, KeyError, OSError):
        return None
