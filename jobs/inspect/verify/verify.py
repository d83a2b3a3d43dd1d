"""`curate verify`: proves that an output folder is complete and intact, and names the first thing that is not.

In this order: the manifests; every file by itself; what each shard adds up to; ids, over the whole run; the token
shards; near-duplicates across their splits. Nothing in the folder changes. What has to travel goes through a folder for
the purpose, so that memory is bounded by a shard or a partition, never by the run.
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
from curation.jobs.inspect.verify.completion import Completion, manifest_of, survey
from curation.jobs.inspect.verify.faults import Fault, some_of
from curation.jobs.inspect.work_folder import WORK
from curation.jobs.steps.plan import Plan
from curation.jobs.steps.table import outputs, steps
from curation.running.cluster import Cluster
from curation.store.exchange import Exchange, partitions_by_size
from curation.store.folder import Folder
from curation.store.manifest import WHOLE, manifest_path
from curation.tokenize.encoding.token_shards import SPLITS, TokensSettings

COUNTED = ("corpus/", "removed/", "dedup/drop/", "tokens/")
"""Folders whose files name documents."""

SIGNED = ("signatures", "documents", "corpus", "removed/dedup", "dedup/drop")
"""Folders that the search for near-duplicates reads."""


@dataclass
class Verdict:
    """What came of it. left: steps that are not done; notes: what is odd and no fault."""

    left: list[str] = field(default_factory=list)
    wrong: list[Fault] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    looked_at: dict[str, int] = field(default_factory=dict)

    @property
    def sound(self) -> bool:
        """Complete and intact."""
        return not self.left and not self.wrong

    def to_json(self) -> dict[str, Any]:
        """For machines."""
        return {
            "finished": not self.left,
            "intact": not self.wrong,
            "left": self.left,
            "wrong": [str(fault) for fault in self.wrong],
            "faults": [fault.to_json() for fault in self.wrong],
            "notes": self.notes,
            "looked_at": self.looked_at,
        }

    def lines(self) -> list[str]:
        """For people: what is wrong, the first thing first, then how far the run got."""
        told = [str(fault) for fault in self.wrong]
        if self.left:
            there = "what is there is not intact" if self.wrong else "what is there is intact"
            told += [f"not finished, {there}:", *(f"  {line}" for line in self.left)]
        elif not self.wrong:
            told.append("complete and intact")
        return told


def verify(plan: Plan, cluster: Cluster, work: Folder) -> Verdict:
    """Everything wrong with the run, in order; nothing if it is complete and intact."""
    return Verification(plan, cluster, work).run()


@dataclass
class Verification:
    """A verification under way: what each check leaves for the next."""

    plan: Plan
    cluster: Cluster
    work: Folder
    verdict: Verdict = field(default_factory=Verdict)
    looked: dict[str, FileCheck] = field(default_factory=dict)

    def run(self) -> Verdict:
        """All checks."""
        state = survey(self.plan, self.cluster)
        self.verdict.left = state.left
        self.verdict.wrong += state.faults
        if not state.same_versions:
            told = "made by other versions of libraries or models than those here: fingerprints were not compared"
            self.verdict.notes.append(told)
        self._files(state)
        self._shards(state)
        self._ids(state)
        return self.verdict

    def _files(self, state: Completion) -> None:
        outputs = state.outputs
        columns = expected_columns(self.plan.recipe, state.same_versions)
        tasks = [
            task_of(output, state.before_encoding(path), columns, mark) for path, (output, mark) in outputs.items()
        ]
        found = self.cluster.gather(CheckFile(self.plan.folder), tasks)
        self.looked = {looked.path: looked for looked in found}
        owner = {output.hash: output.path for output, _ in outputs.values()}
        for looked in found:
            other = owner.get(looked.hash or "", looked.path)
            if looked.faults and other != looked.path:
                told = f"its content is that of {other}"
                self.verdict.wrong.append(Fault(looked.path, told, "its own: the files were swapped or copied"))
            self.verdict.wrong += looked.faults
        self.verdict.looked_at["files"] = len(tasks)
        self.verdict.wrong += some_of(self._strays(state, set(outputs)))

    def _strays(self, state: Completion, named: set[str]) -> Iterator[Fault]:
        """Files that no manifest names; of a shard that is not done yet they are no fault."""
        going = bool(state.left)
        per_shard = [step.name for step in steps() if step.unit == "shard" and step.make]
        whole = tuple(output.prefix for step, output in outputs() if step.unit != "shard")
        known = tuple(output.prefix for _, output in outputs() if not isinstance(output.files, str))
        unfinished = {shard for shard in state.shards if any((step, shard) not in state.done for step in per_shard)}
        for path in self.plan.folder.list():
            if path in named or not (path.startswith(known) or path.endswith(".parquet")) or path.startswith(WORK):
                continue
            shard = path.rpartition("/")[2].removesuffix(".parquet")
            if going and (shard in unfinished or path.startswith(whole)):
                continue
            yield Fault(path, "no manifest names it", "no file that the run did not make")

    def _usable(self, path: str) -> bool:
        looked = self.looked.get(path)
        return looked is not None and looked.usable

    def _shards(self, state: Completion) -> None:
        usable = [path for path, looked in self.looked.items() if looked.usable]
        by_shard: dict[str, set[str]] = {}
        for path in usable:
            by_shard.setdefault(path.rpartition("/")[2].removesuffix(".parquet"), set()).add(path)
        tasks = [
            ShardTask(shard, source.path, self._steps(state, shard), frozenset(by_shard.get(shard, ())))
            for source in self.plan.inputs
            if (shard := source.shard) in state.shards
        ]
        found = self.cluster.gather(CheckShard(self.plan.folder), tasks)
        self.verdict.wrong += [fault for checked in found for fault in checked.faults]
        self.verdict.wrong += self._sums(state, sum(checked.tokens for checked in found))
        self.verdict.looked_at["shards"] = len(tasks)

    def _sums(self, state: Completion, tokens: int) -> Iterator[Fault]:
        """The counts of steps that are done once for all shards, against the rows of the shards."""
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
                yield Fault(path, f"{name}: {total:,}", f"{expected:,}, as its shards have it")

    def _steps(self, state: Completion, shard: str) -> frozenset[str]:
        found = {step.name for step in steps() if not step.anytime and state.holds(step.name, shard)}
        return frozenset(found if "tokens" in found else found - {"encode"})

    def _ids(self, state: Completion) -> None:
        """Ids, token shards and near-duplicates."""
        plan, settings = self.plan, self.plan.recipe.table("tokens")
        documents, tokens = self._documents(state), self._tokens(state)
        files = (*(file.path for file in documents), *(file.path for file in tokens))
        rows = sum(output.rows for path, (output, _) in state.outputs.items() if path.startswith(COUNTED))
        exchange = Exchange(self.work, "ids", partitions_by_size(2 * rows, send_ids.ROW_BYTES))
        readable = [file for file in documents if self._usable(file.path) and _belongs(state, file)]
        send = send_ids.SendIds(plan.folder, exchange)
        broken = [fault for fault in self.cluster.gather(send, readable) if fault is not None]
        self.verdict.wrong += [fault for fault in broken if not self.looked[fault.file].faults]
        has_corpus = not broken and len(readable) == len(documents)
        has_tokens = self._read_tokens(state, tokens, exchange)
        meeting = IdPartition(
            plan.folder,
            exchange,
            Exchange(self.work, "clusters", exchange.partitions),
            Exchange(self.work, "by-file", max(1, min(4096, len(state.shards)))),
            files,
            has_corpus=has_corpus,
            own_tokens=not settings.mix,
            whole_tokens=has_tokens and _is_whole(plan, settings),
        )
        self._meet(state, meeting)

    def _documents(self, state: Completion) -> list[send_ids.IdFile]:
        """Files that hold ids: corpus/ first, so that file numbers are those of shards."""
        kinds = (("corpus", send_ids.CORPUS), ("removed/filter", send_ids.REMOVED), ("removed/dedup", send_ids.DROPPED))
        places = (*kinds, ("dedup/drop", send_ids.SURVIVOR))
        entries = [(f"{place}/{shard}.parquet", shard, kind) for place, kind in places for shard in state.shards]
        return [send_ids.IdFile(number, *entry) for number, entry in enumerate(entries)]

    def _tokens(self, state: Completion) -> list[TokenFile]:
        first = len(self._documents(state))
        names = [path for path in self.looked if path.startswith("tokens/")]
        return [TokenFile(first + number, path) for number, path in enumerate(names)]

    def _read_tokens(self, state: Completion, files: Sequence[TokenFile], exchange: Exchange) -> bool:
        """Look at tokenizer and token shards; whether all of the token set was read."""
        trained = manifest_of(self.plan.folder, "train-tokenizer", WHOLE)
        if trained is None or not state.holds("train-tokenizer", WHOLE):
            return False
        length = self.plan.recipe.table("tokens").sequence_length
        vocabulary, faults = read_vocabulary(self.plan.folder, length, trained.counts.get("vocab_size"))
        self.verdict.wrong += faults
        if vocabulary is None:
            return False
        files = files if state.holds("tokens", WHOLE) else []
        usable = [file for file in files if self._usable(file.path)]
        found = self.cluster.gather(CheckTokens(self.plan.folder, vocabulary, exchange), usable)
        self.verdict.wrong += [fault for part in found for fault in part]
        self.verdict.looked_at["token files"] = len(usable)
        if not state.holds("tokens", WHOLE):
            return False
        self.verdict.wrong += _check_totals(self.plan.folder, len(files))
        return len(usable) == len(files) and not any(found)

    def _meet(self, state: Completion, meeting: IdPartition) -> None:
        """What shows only where equal ids, clusters and keys come together."""
        met = self.cluster.gather(CheckPartition(meeting), list(range(meeting.exchange.partitions)))
        found = [fault for part in met for fault in part.faults]
        self.verdict.wrong += sorted(
            found, key=lambda fault: (fault.what.partition(" ")[0], fault.file, fault.row or 0)
        )
        self.verdict.notes += sorted(note for part in met for note in part.notes)[:20]
        self.verdict.looked_at["documents"] = sum(part.documents for part in met)
        held = sum(part.held for part in met)
        clusters = [(meeting.onward, number, meeting.files) for number in range(meeting.onward.partitions)]
        wrong = [fault for part in self.cluster.gather(check_clusters, clusters) for fault in part]
        settings: DedupSettings = self.plan.recipe.table("dedup")
        signed = all(self._usable(f"{place}/{shard}.parquet") for place in SIGNED for shard in state.shards)
        if settings.enabled and held and signed and not self.verdict.wrong:
            documents = self.verdict.looked_at["documents"]
            keys = Exchange(self.work, "near", near_partitions(documents, held))
            near = NearDuplicateSearch(
                self.plan.folder, self.work, settings, meeting.by_file, tuple(state.shards), keys
            )
            compared = check_near(near, self.cluster)
            told = {(fault.file, fault.row) for fault in wrong}
            wrong += [fault for fault in compared.faults if (fault.file, fault.row) not in told]
            self.verdict.notes += compared.notes
        self.verdict.wrong += wrong


def _belongs(state: Completion, file: send_ids.IdFile) -> bool:
    """Whether a file is of the run as it is."""
    return state.holds("filter" if file.kind == send_ids.REMOVED else "corpus", file.shard)


def _is_whole(plan: Plan, settings: TokensSettings) -> bool:
    """Whether each document of the corpus stands in the token set once, with all its tokens."""
    manifest = manifest_of(plan.folder, "tokens", WHOLE)
    dropped = manifest is None or any(manifest.counts.get(f"{split}_dropped") for split in SPLITS)
    return not (settings.mix or settings.cluster_sizes or dropped)


def _check_totals(folder: Folder, files: int) -> Iterator[Fault]:
    """The manifest of the whole token set against those of its shards."""
    manifest = manifest_of(folder, "tokens", WHOLE)
    if manifest is None:
        return
    path = manifest_path("tokens", WHOLE)
    wanted = sum(manifest.counts[f"{split}_shards"] for split in SPLITS)
    if wanted != files:
        yield Fault(path, f"{wanted} token shards", f"{files}, which have manifests")
    for split in SPLITS:
        total: Counter[str] = Counter()
        for number in range(manifest.counts[f"{split}_shards"]):
            part = manifest_of(folder, "tokens", f"{split}-{number:05d}")
            total.update(part.counts if part else {})
        for name in ("rows", "tokens", "padding"):
            if manifest.counts[f"{split}_{name}"] != total[name]:
                told = f"{manifest.counts[f'{split}_{name}']:,} {split} {name}"
                yield Fault(path, told, f"{total[name]:,}, the sum of its shards")
