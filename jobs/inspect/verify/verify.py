"""`curate verify`: proves that an output folder is complete and intact, and names the first thing that is not.

It checks, in this order: the manifests; every file by itself; the totals of each shard; ids over the whole run; the
token shards; near-duplicates across the splits. Nothing in the folder changes. Data is exchanged through a work folder,
so that memory is bounded by a shard or a partition, not by the run.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from curation.dedup.settings import DedupSettings
from curation.jobs.inspect.verify import send_ids
from curation.jobs.inspect.verify.check_files import CheckFile, FileCheck, expected_columns, task_of
from curation.jobs.inspect.verify.check_ids import CheckPartition, IdPartition, check_clusters
from curation.jobs.inspect.verify.check_near_duplicates import NearDuplicateSearch, check_near, near_partitions
from curation.jobs.inspect.verify.check_shards import CheckShard, ShardTask
from curation.jobs.inspect.verify.check_tokens import CheckTokens, TokenFile, read_vocabulary
from curation.jobs.inspect.verify.completion import Completion, counts_of, manifest_of, survey
from curation.jobs.inspect.verify.faults import Fault, some_of
from curation.jobs.inspect.work_folder import WORK
from curation.jobs.steps.plan import Plan
from curation.jobs.steps.table import commands, outputs, steps
from curation.running.cluster import Cluster
from curation.store.bundles import bundle_number
from curation.store.exchange import Exchange, partitions_by_size
from curation.store.folder import Folder
from curation.store.manifest import WHOLE, manifest_path
from curation.tokenize.encoding.token_shards import SPLITS, TokensSettings

COUNTED = ("corpus/", "removed/", "dedup/drop/", "tokens/")
"""Folders whose files contain document ids."""

SIGNED = ("signatures", "documents", "corpus", "removed/dedup", "dedup/drop")
"""Folders that the search for near-duplicates reads."""


@dataclass
class Verdict:
    """The result of a verification.

    Attributes:
        left: Steps that are not done, in words.
        wrong: Faults, in the order of the checks.
        notes: Observations that are not faults.
        looked_at: How many files, shards, documents and token files were checked.
        asked: The commands whose steps the run was made for; empty if for all.
    """

    left: list[str] = field(default_factory=list)
    wrong: list[Fault] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    looked_at: dict[str, int] = field(default_factory=dict)
    asked: tuple[str, ...] = ()

    @property
    def sound(self) -> bool:
        """Whether the run is complete and intact."""
        return not self.left and not self.wrong

    def to_json(self) -> dict[str, Any]:
        """The content of the JSON output."""
        return {
            "finished": not self.left,
            "intact": not self.wrong,
            "left": self.left,
            "wrong": [str(fault) for fault in self.wrong],
            "faults": [fault.to_json() for fault in self.wrong],
            "notes": self.notes,
            "looked_at": self.looked_at,
            "asked": list(self.asked or commands()),
        }

    def lines(self) -> list[str]:
        """Lines of text for people: the faults in order, then how far the run got."""
        lines = [str(fault) for fault in self.wrong]
        if self.left:
            state = "what is there is not intact" if self.wrong else "what is there is intact"
            lines += [f"not finished, {state}:", *(f"  {line}" for line in self.left)]
        elif not self.wrong:
            steps = f" for the steps asked for: {', '.join(self.asked)}" if self.asked else ""
            lines.append(f"complete and intact{steps}")
        return lines


def verify(plan: Plan, cluster: Cluster, work: Folder) -> Verdict:
    """Check a run completely.

    Args:
        plan: The run.
        cluster: Where checks run.
        work: An empty folder for data that is exchanged between checks.
    """
    return Verification(plan, cluster, work).run()


@dataclass
class Verification:
    """A verification in progress: what each check passes on to the next.

    Attributes:
        plan: The run.
        cluster: Where checks run.
        work: Folder for data that is exchanged between checks.
        verdict: The result so far.
        file_checks: The check of each file, by path.
    """

    plan: Plan
    cluster: Cluster
    work: Folder
    verdict: Verdict = field(default_factory=Verdict)
    file_checks: dict[str, FileCheck] = field(default_factory=dict)

    def run(self) -> Verdict:
        """Make all checks."""
        state = survey(self.plan, self.cluster)
        self.verdict.left, self.verdict.asked = state.left, self.plan.asked
        self.verdict.wrong += state.faults
        if not state.same_versions:
            note = "made with other versions of libraries or models than those here: fingerprints were not compared"
            self.verdict.notes.append(note)
        self._files(state)
        self._shards(state)
        self._ids(state)
        return self.verdict

    def _files(self, state: Completion) -> None:
        outputs = state.outputs
        columns = expected_columns(self.plan.recipe, state.same_versions)
        current = {state.manifests[key].fingerprint for key in state.done} if state.same_versions else set()
        tasks = [
            task_of(output, state.before_encoding(path), columns, fingerprint, fingerprint not in current)
            for path, (output, fingerprint) in outputs.items()
        ]
        checks = self.cluster.gather(CheckFile(self.plan.folder), tasks)
        self.file_checks = {check.path: check for check in checks}
        owner = {output.hash: output.path for output, _ in outputs.values()}
        for check in checks:
            other = owner.get(check.hash or "", check.path)
            if check.faults and other != check.path:
                message = f"its content is that of {other}"
                self.verdict.wrong.append(Fault(check.path, message, "its own: the files were swapped or copied"))
            self.verdict.wrong += check.faults
        self.verdict.looked_at["files"] = len(tasks)
        self.verdict.wrong += some_of(self.unlisted_files(state, set(outputs)))

    def unlisted_files(self, state: Completion, listed: set[str]) -> Iterator[Fault]:
        """Files that no manifest lists; for a shard that is not done yet they are not a fault."""
        is_unfinished = bool(state.left)
        per_shard = [step.name for step in steps() if step.unit == "shard" and step.make]
        whole = tuple(output.prefix for step, output in outputs() if step.unit != "shard")
        known = tuple(output.prefix for _, output in outputs() if not isinstance(output.files, str))
        unfinished = {shard for shard in state.shards if any((step, shard) not in state.done for step in per_shard)}
        for path in self.plan.folder.list():
            if bundle_number(path, "(?:bundle|signals)") is not None:
                continue
            if path in listed or not (path.startswith(known) or path.endswith(".parquet")) or path.startswith(WORK):
                continue
            shard = path.rpartition("/")[2].removesuffix(".parquet")
            if is_unfinished and (shard in unfinished or path.startswith(whole)):
                continue
            yield Fault(path, "no manifest lists it", "only files that the run made")

    def _usable(self, path: str) -> bool:
        check = self.file_checks.get(path)
        return check is not None and check.usable

    def _shards(self, state: Completion) -> None:
        usable = [path for path, check in self.file_checks.items() if check.usable]
        by_shard: dict[str, set[str]] = {}
        for path in usable:
            by_shard.setdefault(path.rpartition("/")[2].removesuffix(".parquet"), set()).add(path)
        known = set(state.shards)
        tasks = [
            ShardTask(shard, source.path, self._steps(state, shard), frozenset(by_shard.get(shard, ())))
            for source in self.plan.inputs
            if (shard := source.shard) in known
        ]
        checks = self.cluster.gather(CheckShard(self.plan.folder), tasks)
        self.verdict.wrong += [fault for check in checks for fault in check.faults]
        self.verdict.wrong += self._sums(state, sum(check.tokens for check in checks))
        self.verdict.looked_at["shards"] = len(tasks)

    def _sums(self, state: Completion, tokens: int) -> Iterator[Fault]:
        """Compare the counts of steps that are done once for all shards with the rows of the shards."""
        rows: Counter[str] = Counter()
        for path, (output, _) in state.outputs.items():
            rows[path.rpartition("/")[0]] += output.rows
        own = not self.plan.recipe.table("dedup").against
        wanted = {
            ("dedup", "documents"): rows["documents"] if own else None,
            ("dedup", "removed"): rows["dedup/drop"],
            ("train-tokenizer", "documents"): rows["corpus"],
            ("tokens", "documents"): rows["corpus"],
            ("tokens", "corpus_tokens"): tokens,
        }
        for (step, name), expected in wanted.items():
            manifest = manifest_of(self.plan.folder, step, WHOLE) if state.holds(step, WHOLE) else None
            counted = manifest.counts.get(name) if manifest is not None else None
            total = sum(counted.values()) if isinstance(counted, dict) else counted
            if total is not None and expected is not None and total != expected:
                path = manifest_path(step, WHOLE)
                yield Fault(path, f"{name}: {total:,}", f"{expected:,}, as in its shards")

    def _steps(self, state: Completion, shard: str) -> frozenset[str]:
        done = {step.name for step in steps() if not step.anytime and state.holds(step.name, shard)}
        return frozenset(done if "tokens" in done else done - {"encode"})

    def _ids(self, state: Completion) -> None:
        """Check ids, token shards and near-duplicates."""
        plan, settings = self.plan, self.plan.recipe.table("tokens")
        documents, tokens = self._documents(state), self._tokens(state)
        files = (*(file.path for file in documents), *(file.path for file in tokens))
        rows = sum(output.rows for path, (output, _) in state.outputs.items() if path.startswith(COUNTED))
        exchange = Exchange(self.work, "ids", partitions_by_size(2 * rows, send_ids.ROW_BYTES))
        readable = [file for file in documents if self._usable(file.path) and _belongs(state, file)]
        send = send_ids.SendIds(plan.folder, exchange)
        broken = [fault for fault in self.cluster.gather(send, readable) if fault is not None]
        self.verdict.wrong += [fault for fault in broken if not self.file_checks[fault.file].faults]
        has_corpus = not broken and len(readable) == len(documents)
        has_tokens = self._read_tokens(state, tokens, exchange)
        partition = IdPartition(
            plan.folder,
            exchange,
            Exchange(self.work, "clusters", exchange.partitions),
            Exchange(self.work, "by-file", max(1, min(4096, len(state.shards)))),
            files,
            has_corpus=has_corpus,
            own_tokens=not settings.mix,
            whole_tokens=has_tokens and _is_whole(plan, settings),
            between=2 if settings.begin else 1,
        )
        self._partitions(state, partition)

    def _documents(self, state: Completion) -> list[send_ids.IdFile]:
        """Files that contain ids: corpus/ first, so that file numbers are those of shards."""
        kinds = (("corpus", send_ids.CORPUS), ("removed/filter", send_ids.REMOVED), ("removed/dedup", send_ids.DROPPED))
        folders = (*kinds, ("dedup/drop", send_ids.SURVIVOR))
        entries = [(f"{folder}/{shard}.parquet", shard, kind) for folder, kind in folders for shard in state.shards]
        return [send_ids.IdFile(number, *entry) for number, entry in enumerate(entries)]

    def _tokens(self, state: Completion) -> list[TokenFile]:
        first = len(self._documents(state))
        names = [path for path in self.file_checks if path.startswith("tokens/")]
        return [TokenFile(first + number, path) for number, path in enumerate(names)]

    def _read_tokens(self, state: Completion, files: Sequence[TokenFile], exchange: Exchange) -> bool:
        """Check tokenizer and token shards; returns whether the whole token set was read."""
        trained = manifest_of(self.plan.folder, "train-tokenizer", WHOLE)
        if trained is None or not state.holds("train-tokenizer", WHOLE):
            return False
        length = self.plan.recipe.table("tokens").sequence_length
        size, is_given = trained.counts.get("vocab_size"), "given" in trained.counts
        vocabulary, faults = read_vocabulary(self.plan.folder, length, size, is_given)
        self.verdict.wrong += faults
        if vocabulary is None:
            return False
        files = files if state.holds("tokens", WHOLE) else []
        usable = [file for file in files if self._usable(file.path)]
        faults_by_file = self.cluster.gather(CheckTokens(self.plan.folder, vocabulary, exchange), usable)
        self.verdict.wrong += [fault for part in faults_by_file for fault in part]
        self.verdict.looked_at["token files"] = len(usable)
        if not state.holds("tokens", WHOLE):
            return False
        self.verdict.wrong += _check_totals(self.plan.folder, len(files))
        return len(usable) == len(files) and not any(faults_by_file)

    def _partitions(self, state: Completion, partition: IdPartition) -> None:
        """Check what shows only when equal ids, clusters and keys are brought together."""
        checks = self.cluster.gather(CheckPartition(partition), list(range(partition.exchange.partitions)))
        faults = [fault for check in checks for fault in check.faults]
        self.verdict.wrong += sorted(
            faults, key=lambda fault: (fault.what.partition(" ")[0], fault.file, fault.row or 0)
        )
        self.verdict.notes += sorted(note for check in checks for note in check.notes)[:20]
        self.verdict.looked_at["documents"] = sum(check.documents for check in checks)
        held = sum(check.held for check in checks)
        clusters = [(partition.onward, number, partition.files) for number in range(partition.onward.partitions)]
        wrong = [fault for part in self.cluster.gather(check_clusters, clusters) for fault in part]
        settings: DedupSettings = self.plan.recipe.table("dedup")
        signed = all(self._usable(f"{folder}/{shard}.parquet") for folder in SIGNED for shard in state.shards)
        if settings.enabled and held and signed and not self.verdict.wrong:
            documents = self.verdict.looked_at["documents"]
            keys = Exchange(self.work, "near", near_partitions(documents, held))
            near = NearDuplicateSearch(
                self.plan.folder, self.work, settings, partition.by_file, tuple(state.shards), keys
            )
            compared = check_near(near, self.cluster)
            reported = {(fault.file, fault.row) for fault in wrong}
            wrong += [fault for fault in compared.faults if (fault.file, fault.row) not in reported]
            self.verdict.notes += compared.notes
        self.verdict.wrong += wrong


def _belongs(state: Completion, file: send_ids.IdFile) -> bool:
    """Whether a file belongs to the run as it is now."""
    return state.holds("filter" if file.kind == send_ids.REMOVED else "corpus", file.shard)


def _is_whole(plan: Plan, settings: TokensSettings) -> bool:
    """Whether each document of the corpus is in the token set once, with all its tokens."""
    manifest = manifest_of(plan.folder, "tokens", WHOLE)
    dropped = manifest is None or any(manifest.counts.get(f"{split}_dropped") for split in SPLITS)
    return not (settings.mix or settings.cluster_sizes or dropped)


def _check_totals(folder: Folder, files: int) -> Iterator[Fault]:
    """Compare the manifest of the whole token set with those of its shards."""
    manifest = manifest_of(folder, "tokens", WHOLE)
    if manifest is None:
        return
    path = manifest_path("tokens", WHOLE)
    wanted = sum(manifest.counts[f"{split}_shards"] for split in SPLITS)
    if wanted != files:
        yield Fault(path, f"{wanted} token shards", f"{files}, which have manifests")
    for split in SPLITS:
        total: Counter[str] = Counter()
        names = [f"{split}-{number:05d}" for number in range(manifest.counts[f"{split}_shards"])]
        for counts in counts_of(folder, "tokens", names):
            total.update(counts)
        for name in ("rows", "tokens", "padding"):
            if manifest.counts[f"{split}_{name}"] != total[name]:
                message = f"{manifest.counts[f'{split}_{name}']:,} {split} {name}"
                yield Fault(path, message, f"{total[name]:,}, the sum of its shards")
