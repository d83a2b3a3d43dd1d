"""Fetches the records of crawls that a condition or a list of addresses selects, into WARC files."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from typing import Any

import numpy as np
import pyarrow as pa
import xxhash

from curation.archives.commoncrawl.addresses import data_address
from curation.archives.commoncrawl.client import Client, RequestSettings
from curation.archives.commoncrawl.index import IndexFile, IndexQuery, UrlList, parse_urls
from curation.archives.commoncrawl.names import ROOT, SCHEME, CrawlName, index_files_of, is_crawl, parse_name
from curation.archives.commoncrawl.where import check
from curation.archives.inputs import Input, find_again
from curation.archives.path_lists import read_list
from curation.archives.reader import ReadSettings
from curation.errors import InputError, OutputError, StepFailed, UnreadableArchive, UsageError
from curation.filters.url import Url
from curation.jobs.steps.driver_status import driver_status
from curation.jobs.steps.fetch import archives, select
from curation.jobs.steps.fetch.archives import PLACES, FetchTask, fetch_records, planned
from curation.jobs.steps.fetch.files import FETCH, FOUND, OF_FETCH, PARTS, PLANNED, WARC
from curation.jobs.steps.fetch.select import SelectTask, select_records
from curation.jobs.steps.plan import DEFAULT_RECIPE, versions
from curation.jobs.steps.progress import Progress, duration
from curation.jobs.steps.tasks import run_tasks
from curation.recipes.recipe import Recipe, load
from curation.running.answers import TaskFailure
from curation.running.cluster import Cluster
from curation.running.overlap import overlapped
from curation.stages.parameters import identity
from curation.store.bundles import keep_only
from curation.store.folder import Folder
from curation.store.lease import leased
from curation.store.manifest import counts_by_shard, fingerprint, fingerprints, step_counts, step_times
from curation.store.shards import ShardWriter, read_table
from curation.store.storage import explain, input_errors

ASSUMED_BYTES = 20_000_000
"""Bytes per second from one server to assume in an estimate. What it really is depends on where you are."""


@dataclass(frozen=True, slots=True)
class FetchRequest:
    """What to fetch, validated.

    Attributes:
        names: Crawls, or parts of them.
        where: A condition on the columns of the index; empty for none.
        urls: Addresses and domains to look up; None for any.
        recipe: The recipe whose URL filter and [read] apply.
        file_bytes: Size of a WARC file in bytes, which it reaches about.
    """

    names: tuple[CrawlName, ...]
    where: str
    urls: UrlList | None
    recipe: Recipe
    file_bytes: int

    @property
    def crawls(self) -> tuple[str, ...]:
        """The crawls, in order."""
        return tuple(dict.fromkeys(name.crawl for name in self.names))

    @property
    def filters(self) -> tuple[tuple[str, Url], ...]:
        """The URL filters of the recipe."""
        return tuple((name, stage) for name, stage in self.recipe.stages if isinstance(stage, Url))

    def describe(self) -> str:
        """What records are looked for in, in words."""
        read: ReadSettings = self.recipe.table("read")
        names = [name.folder.removeprefix(ROOT) for name in self.names]
        where = "the crawl" if names == [self.crawls[0]] else ", ".join(names)
        return f"the sample of {where}" if read.sample < 1 else where

    def query(self, crawl: str) -> IndexQuery:
        """What to look for in the index of a crawl."""
        read: ReadSettings = self.recipe.table("read")
        names = tuple(name for name in self.names if name.crawl == crawl)
        return IndexQuery(names, self.where, self.urls, read.sample, read.seed)

    def to_json(self) -> dict[str, Any]:
        """Plain values that differ between requests that give different files."""
        read: ReadSettings = self.recipe.table("read")
        return {
            "crawls": sorted({name.folder for name in self.names}),
            "where": self.where,
            "urls": "" if self.urls is None else fingerprint(sorted(self.urls.pages), sorted(self.urls.domains)),
            "url filter": fingerprint([[name, identity(stage)] for name, stage in self.filters]),
            "read.sample": read.sample,
            "read.seed": read.seed,
            "file size": self.file_bytes,
        }


@dataclass(frozen=True, slots=True)
class FetchPlan:
    """What will be asked for.

    Attributes:
        records: Number of records.
        bytes: Bytes in them.
        files: Number of WARC files.
        requests: Requests for parts of archives, if none fails.
        download: Bytes to receive, those between records included.
        seconds: About how long that takes at the rate that was asked for and at ASSUMED_BYTES per second.
    """

    records: int
    bytes: int
    files: int
    requests: int
    download: int
    seconds: float

    def describe(self) -> str:
        """The plan in one line."""
        return (
            f"{_number(self.records, 'record')} of {self.bytes:,} bytes, into {_number(self.files, 'WARC file')}: "
            f"{_number(self.requests, 'request')} for {self.download:,} bytes, about {duration(self.seconds)}"
        )


def _number(count: int, noun: str) -> str:
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


@dataclass(frozen=True, slots=True)
class FoundRecords:
    """What is in the index.

    Attributes:
        matches: Records that match, before the URL filter.
        removed: Of these, those that the URL filter removed, by reason.
        quarantined: Index files that cannot be read, with the cause.
    """

    matches: int
    removed: dict[str, int]
    quarantined: list[dict[str, str]]


@dataclass(frozen=True, slots=True)
class FetchResult:
    """What was done.

    Attributes:
        plan: What was planned.
        found: What the index has.
        not_found: Entries of the list of addresses without a record.
        written: Records in the WARC files; None after a dry run, as in the next three.
        lost: Records that could not be fetched, by cause.
        requests: Requests made in all, failed ones too.
        received: Bytes received.
        failures: Failed requests by cause.
    """

    plan: FetchPlan
    found: FoundRecords
    not_found: list[str]
    written: int | None = None
    lost: dict[str, int] = field(default_factory=dict)
    requests: int | None = None
    received: int | None = None
    failures: dict[str, int] = field(default_factory=dict)

    @property
    def exit_code(self) -> int:
        """1 if records could not be fetched or an index file could not be read, else 0."""
        return 1 if self.lost or self.found.quarantined else 0

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return asdict(self)


def make_request(
    words: Sequence[str], where: str, urls: str | None, recipe: str | None, settings: Sequence[str], file_bytes: int
) -> FetchRequest:
    """Validate what is asked for, as far as that needs no request to the crawl, except for the name of the newest.

    Args:
        words: Names of crawls, such as `cc:CC-MAIN-2025-08`.
        where: A condition on the columns of the index; empty for none.
        urls: File with addresses and domains, one per line; None for none.
        recipe: Name or file of the recipe.
        settings: `key=value` for keys of the recipe.
        file_bytes: Size of a WARC file in bytes.

    Raises:
        UsageError: It cannot be done.
    """
    chosen = load(recipe or DEFAULT_RECIPE, settings)
    if not where.strip() and urls is None:
        raise UsageError("say which records to fetch with --where or --urls; `curate run cc:NAME` reads whole archives")
    for word in words:
        if not is_crawl(word):
            raise InputError(f"input {word}: not a crawl; name one such as cc:CC-MAIN-2025-08")
    listed = None
    if urls is not None:
        with input_errors(f"--urls {urls}", "no such file"):
            listed = parse_urls(read_list(urls), urls)
    names = tuple(map(parse_name, words))
    if any(name.kind != "warc" for name in names):
        raise InputError("the index describes WARC archives only; name the crawl without /wet")
    return FetchRequest(names, where.strip(), listed, chosen, file_bytes)


def fetch(
    request: FetchRequest,
    out: str,
    request_settings: RequestSettings,
    cluster: Cluster,
    workers: int,
    progress: Progress,
    dry_run: bool = False,
) -> FetchResult:
    """Choose records, say what that takes, and fetch those that are not there yet.

    Args:
        request: What to fetch.
        out: The output folder.
        request_settings: How to ask for parts of files, for all workers together.
        cluster: Where tasks run.
        workers: Number of workers, among which rate and parallel requests are divided.
        progress: Where progress is reported.
        dry_run: Whether to stop before anything is fetched. What was chosen is kept.

    Raises:
        UsageError: Nothing can be fetched, or another driver works in the folder; nothing was written.
        StepFailed: The server failed for too long; the same command resumes.
    """
    if workers > request_settings.parallel:
        raise UsageError(f"{workers} workers make {workers} requests at once; allow that with --parallel {workers}")
    share = replace(
        request_settings, rate=request_settings.rate / workers, parallel=request_settings.parallel // workers
    )
    folder = Folder(out)
    _check_folder(folder, request)
    if folder.is_in_memory:  # which no other process sees
        return _fetch(folder, request, request_settings, share, cluster, progress, dry_run)
    with leased(folder, partial(driver_status, progress, cluster), progress.warn) as lease:
        cluster.watch = lease.check
        return _fetch(folder, request, request_settings, share, cluster, progress, dry_run)


def _fetch(
    folder: Folder,
    request: FetchRequest,
    request_settings: RequestSettings,
    share: RequestSettings,
    cluster: Cluster,
    progress: Progress,
    dry_run: bool,
) -> FetchResult:
    """As `fetch`, in a folder that no other driver works in; `share` is what each worker may do of the requests."""
    if _other_request(folder, request):  # that was only planned
        _clear_choice(folder)
    folder.sweep()
    files = {crawl: _index_files(crawl, request_settings) for crawl in request.crawls}
    for crawl in request.crawls if request.where else ():
        _check_where(request.where, files[crawl][0], request_settings)
    if not folder.exists(FETCH):
        folder.write_json(FETCH, {"request": request.to_json(), "versions": versions(request.recipe)})
    tasks = [_select_task(folder, source, request, crawl, share) for crawl in files for source in files[crawl]]
    try:
        found = _select(folder, tasks, cluster, progress)
    except UsageError:
        _clear_choice(folder)
        raise
    unreadable = {entry["path"] for entry in found.quarantined}
    readable = {crawl: [each.shard for each in files[crawl] if each.path not in unreadable] for crawl in files}
    chosen, entries = _read_chosen(folder, readable)
    if not any(table.num_rows for table in chosen.values()):
        _clear_choice(folder)
        raise InputError(_nothing(found, request.describe()))
    todo, plan = _plan(folder, request, chosen, share, request_settings)
    wanted = () if request.urls is None else (*request.urls.pages.values(), *request.urls.domains.values())
    result = FetchResult(plan, found, [entry for entry in wanted if entry not in entries])
    progress.note(f"{plan.describe()} at {request_settings.rate:g} requests/s")
    if dry_run:
        return result
    run_tasks(archives.STEP, fetch_records, todo, cluster, progress)
    return _finish(folder, request, result, [task.shard for task in tasks], [task.shard for task in todo])


def _index_files(crawl: str, request_settings: RequestSettings) -> list[Input]:
    """The files of a crawl's index, whose sizes are asked for at the rate of all other requests."""
    client = Client(request_settings)

    def found(url: str) -> list[Input]:
        with client.turn():
            return find_again([url])

    urls = index_files_of(f"{SCHEME}{crawl}", crawl)
    return [source for sources in overlapped(found, urls, request_settings.parallel) for source in sources]


def _check_where(where: str, source: Input, request_settings: RequestSettings) -> None:
    try:
        check(where, IndexFile(source, Client(request_settings)).columns)
    except UnreadableArchive as error:
        raise InputError(str(error)) from error


def _check_folder(folder: Folder, request: FetchRequest) -> None:
    """Raise OutputError unless the folder can be written, and is new or has no records of another request."""
    if folder.exists(FETCH):
        other = _other_request(folder, request)
        if other and (folder.list(WARC.folder) or folder.list(PARTS)):
            raise OutputError(f"{folder.url} has records of another request ({', '.join(other)}); choose a new folder")
    elif others := folder.list():
        raise OutputError(f"{folder.url}: not empty and not a fetch (has {others[0]}); choose a new folder")
    folder.check_no_links(OF_FETCH)
    folder.check_writable()


def _other_request(folder: Folder, request: FetchRequest) -> list[str]:
    """In what the request that the folder belongs to differs from this one; nothing for a new folder."""
    if not folder.exists(FETCH):
        return []
    try:
        before = dict(folder.read_json(FETCH)["request"])
    except (ValueError, LookupError, TypeError) as error:
        raise OutputError(f"{folder.url}/{FETCH}: not of a fetch: {explain(error)}") from error
    return [key for key, value in request.to_json().items() if before.get(key) != value]


def _clear_choice(folder: Folder) -> None:
    """Remove what choosing records has written, unless some were fetched."""
    for path in () if folder.exists(WARC.folder) else OF_FETCH:
        folder.remove(path)


def _select_task(
    folder: Folder, source: Input, request: FetchRequest, crawl: str, request_settings: RequestSettings
) -> SelectTask:
    made_from = fingerprint(select.STEP, select.VERSION, request.to_json(), source.identity)
    return SelectTask(folder, source, request.query(crawl), request.filters, request_settings, made_from)


def _select(folder: Folder, tasks: Sequence[SelectTask], cluster: Cluster, progress: Progress) -> FoundRecords:
    """Choose records in the files of the index that are not searched yet; returns what all of them have."""
    paths = {task.shard: task.source.path for task in tasks}
    keep_only(folder, select.STEP, lambda shard, _: shard in paths)
    run_tasks(select.STEP, select_records, tasks, cluster, progress, give_up=_refused)
    matches, removed, quarantined = 0, Counter[str](), []
    for shard, counts in counts_by_shard(folder, select.STEP, paths):
        matches += counts["matches"]
        removed.update(counts["removed"])
        if counts["unreadable"]:
            quarantined.append({"path": paths[shard], "cause": counts["unreadable"]})
            progress.warn(f"quarantined {paths[shard]}: {counts['unreadable']}", event="quarantined", **quarantined[-1])
    return FoundRecords(matches, dict(sorted(removed.items())), quarantined)


def _refused(failure: TaskFailure[SelectTask]) -> str:
    """Raise the error for a file of the index that was not searched."""
    if failure.cause.startswith("--where:"):  # it fails on the values of some rows
        raise UsageError(failure.cause)
    where = f"{failure.item.source.path}: " if failure.kind == "workers" else ""  # other causes name the file
    raise StepFailed(f"{select.STEP}: {where}{failure.cause}")


def _read_chosen(folder: Folder, shards: dict[str, list[str]]) -> tuple[dict[str, pa.Table], set[str]]:
    """The chosen records of each crawl in order, each once, and the entries of the list that they match."""
    entries: set[str] = set()
    chosen: dict[str, pa.Table] = {}
    for crawl, names in shards.items():
        tables = []
        for name in names:
            table = read_table(folder, FOUND.path(name), [*PLACES.names, "entry"])
            entries |= {entry for entry in table["entry"].unique().to_pylist() if entry is not None}
            names_once = table["warc_filename"].dictionary_encode()
            tables.append(table.select(PLACES.names).set_column(0, "warc_filename", names_once))
        chosen[crawl] = _in_order(pa.concat_tables(tables)) if tables else PLACES.empty_table()
    return chosen, entries


def _in_order(table: pa.Table) -> pa.Table:
    """The records by archive and offset, each once; the archives are a dictionary, so that each path is held once."""
    if not table.num_rows:
        return table
    names = table.unify_dictionaries()["warc_filename"].combine_chunks()
    ranks = np.empty(len(names.dictionary), np.int64)
    ranks[np.argsort(np.array(names.dictionary.to_pylist(), np.object_))] = np.arange(len(ranks))
    numbers, offsets = ranks[names.indices.to_numpy()], table["warc_record_offset"].to_numpy()
    order = np.lexsort((offsets, numbers))
    numbers, offsets = numbers[order], offsets[order]
    is_new = np.concatenate([[True], (numbers[1:] != numbers[:-1]) | (offsets[1:] != offsets[:-1])])
    return table.take(pa.array(order[is_new]))


def _divided(table: pa.Table, file_bytes: int) -> Iterator[pa.Table]:
    """The records of each WARC file: as many as fit, at least one."""
    ends = np.cumsum(table["warc_record_length"].to_numpy())
    first = 0
    while first < len(ends):
        begin = int(ends[first - 1]) if first else 0
        last = max(first + 1, int(np.searchsorted(ends, begin + file_bytes, side="right")))
        yield table.slice(first, last - first)
        first = last


def _plan(
    folder: Folder,
    request: FetchRequest,
    chosen: dict[str, pa.Table],
    share: RequestSettings,
    request_settings: RequestSettings,
) -> tuple[list[FetchTask], FetchPlan]:
    """The WARC files to make, whose records are written to _plan/, and what that takes."""
    tasks, requests, download = [], 0, 0
    done = fingerprints(folder, archives.STEP)
    for crawl, table in chosen.items():
        for number, part in enumerate(_divided(table, request.file_bytes)):
            name = f"{crawl}-{number:05d}"
            task = FetchTask(
                folder, name, data_address(), share, fingerprint(archives.STEP, archives.VERSION, _hash(part))
            )
            tasks.append(task)
            ranges = planned(part).ranges
            requests += len(ranges)
            download += sum(each.size for each in ranges)
            if done.get(name) != task.fingerprint:
                with ShardWriter(folder, PLANNED.path(name), PLACES) as writer:
                    writer.write(part)
    names = {task.shard for task in tasks}
    keep_only(folder, archives.STEP, lambda shard, _: shard in names)
    for path in folder.list(WARC.folder):
        if WARC.shard(path) not in names:
            folder.remove(path)
    records = sum(table.num_rows for table in chosen.values())
    size = sum(int(table["warc_record_length"].to_numpy().sum()) for table in chosen.values())
    seconds = max(requests / request_settings.rate, download / ASSUMED_BYTES)
    return tasks, FetchPlan(records, size, len(tasks), requests, download, seconds)


def _hash(table: pa.Table) -> str:
    """A hash of the records of a WARC file."""
    digest = xxhash.xxh3_128()
    for column in table.columns:
        digest.update(repr(column.to_pylist()).encode())
    return digest.hexdigest()


def _nothing(found: FoundRecords, what: str) -> str:
    """Why there is nothing to fetch."""
    if found.quarantined:
        return (
            f"no record was found; {_number(len(found.quarantined), 'index file')} cannot be read: "
            f"{found.quarantined[0]['cause']}"
        )
    if not found.matches:
        return f"no record of {what} matches"
    reasons = ", ".join(f"{reason} {count:,}" for reason, count in found.removed.items())
    return f"all {found.matches:,} records that match were removed: {reasons}"


def _finish(
    folder: Folder, request: FetchRequest, result: FetchResult, selected: Sequence[str], fetched: Sequence[str]
) -> FetchResult:
    """The result with what was fetched, recorded in fetch.json."""
    counted, lost, times, failures = Counter[str](), Counter[str](), Counter[str](), Counter[str]()
    named: list[dict[str, Any]] = []
    for counts in step_counts(folder, archives.STEP, fetched):
        counted.update({key: counts[key] for key in ("records", "bytes", "ranges")})
        lost.update(counts["lost"])
        named += counts["named"]
    for step, shards in ((select.STEP, {*selected}), (archives.STEP, {*fetched})):
        for _, values in (pair for pair in step_times(folder, step) if pair[0] in shards):
            times.update({key: values.get(key, 0) for key in ("requests", "bytes")})
            failures.update(values.get("failures", {}))
    result = replace(
        result,
        written=counted["records"],
        lost=dict(sorted(lost.items())),
        requests=times["requests"],
        received=times["bytes"],
        failures=dict(sorted(failures.items())),
    )
    folder.remove(PARTS)
    folder.write_json(
        FETCH,
        {
            "request": request.to_json(),
            "versions": versions(request.recipe),
            "matches": result.found.matches,
            "removed": result.found.removed,
            "not_found": len(result.not_found),
            "records": result.written,
            "bytes": counted["bytes"],
            "ranges": counted["ranges"],
            "lost": result.lost,
            "lost_records": named,
            "quarantined": result.found.quarantined,
        },
    )
    return result
