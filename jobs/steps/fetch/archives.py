"""The fetch step: fetches the records of one WARC file, checks each, and writes the file.

The ranges of a file are divided into lanes, each of which asks for its ranges one after the other and appends what
arrives to a file of its own. So the sizes of these files say how far each lane is, and a killed process resumes at the
byte where it was. This needs a local output folder. On object storage, which cannot append, the bytes are kept on the
worker, and a WARC file that was interrupted is fetched again.
"""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import IO, Any

import numpy as np
import pyarrow as pa

from curation.archives.commoncrawl.client import Client, RequestSettings
from curation.archives.commoncrawl.ranges import ByteRange, divide, merge
from curation.archives.commoncrawl.records import GONE, problem
from curation.archives.http_requests import NotOnServer
from curation.errors import WriteFailed
from curation.jobs.steps.fetch.files import PARTS, PLANNED, WARC
from curation.running.performance import Meter
from curation.store.folder import Folder
from curation.store.manifest import Manifest
from curation.store.shards import Output, read_table
from curation.store.storage import explain

STEP = "fetch"

VERSION = 1

LANES = 16
"""Parts of a WARC file that are fetched next to each other, if so many requests may be made at once."""

NAMED = 20
"""Lost records of a WARC file that are named."""

PLACES = pa.schema([
    ("warc_filename", pa.string()), ("warc_record_offset", pa.int64()), ("warc_record_length", pa.int64()),
    ("content_digest", pa.string()),
])  # fmt: skip
"""The columns of a planned WARC file."""


@dataclass(frozen=True, slots=True)
class FetchTask:
    """One WARC file to make.

    Attributes:
        folder: The output folder.
        shard: Its name, without the ending.
        address: Address below which the archives are.
        request_settings: How to ask for parts of them.
        fingerprint: Of its manifest.
    """

    folder: Folder
    shard: str
    address: str
    request_settings: RequestSettings
    fingerprint: str


@dataclass(frozen=True, slots=True)
class PlannedRecords:
    """The records of a WARC file, by archive and offset.

    Attributes:
        archives: Path of the archive of each record, from `crawl-data/` on.
        offsets: First byte of each record in its archive, in bytes.
        lengths: Length of each record, in bytes.
        digests: Digest of each record's payload by the index; None if unknown.
        ranges: What to ask for.
    """

    archives: Sequence[str]
    offsets: Sequence[int]
    lengths: Sequence[int]
    digests: Sequence[str | None]
    ranges: Sequence[ByteRange]


def planned(table: pa.Table) -> PlannedRecords:
    """The records in a table with the columns PLACES, by archive and offset."""
    numbers = table["warc_filename"].combine_chunks().dictionary_encode().indices.to_numpy().astype(np.int64)
    offsets, lengths = (table[name].to_numpy() for name in ("warc_record_offset", "warc_record_length"))
    return PlannedRecords(
        table["warc_filename"].to_pylist(),
        offsets.tolist(),
        lengths.tolist(),
        table["content_digest"].to_pylist(),
        merge(numbers, offsets, lengths),
    )


def fetch_records(task: FetchTask) -> dict[str, int]:
    """Make one WARC file, its manifest last; returns the number of records planned and written.

    Raises:
        StepFailed: The server failed for too long, or refuses for good.
    """
    meter, client = Meter(), Client(task.request_settings)
    records = planned(read_table(task.folder, PLANNED.path(task.shard)))
    lanes = [records.ranges[part] for part in divide([each.size for each in records.ranges], LANES)]
    lost: list[dict[str, Any]] = []
    causes: Counter[str] = Counter()
    written = 0
    with _parts(task, len(lanes)) as parts:
        with ThreadPoolExecutor(task.request_settings.parallel) as pool:
            try:
                list(pool.map(partial(_fill, task, records, client), parts, lanes))
            except BaseException as error:
                client.stop(error)
                raise
        with task.folder.writing(WARC.path(task.shard)) as file, meter.timed("check"):
            changed: set[str] = set()
            for number, data in _arrived(parts, lanes, records):
                cause, data = _checked(task, records, number, data, client, changed)
                if cause is None:
                    file.write(data)
                    written += 1
                    continue
                causes[cause] += 1
                if len(lost) < NAMED:
                    place = {"archive": records.archives[number], "offset": records.offsets[number]}
                    lost.append({**place, "cause": cause})
        counts = {
            "records": written,
            "ranges": len(records.ranges),
            "bytes": file.size,
            "lost": dict(sorted(causes.items())),
            "named": lost,
        }
        output = Output(WARC.path(task.shard), file.size, file.hash, written)
        times = {**meter.report(), **client.report()}
        Manifest(STEP, task.shard, task.fingerprint, outputs=[output], counts=counts).write(task.folder, times)
    for part in parts:
        part.unlink(missing_ok=True)
    return {"documents_in": len(records.offsets), "documents_out": written}


@contextmanager
def _parts(task: FetchTask, lanes: int) -> Iterator[list[Path]]:
    """The files of the lanes: in the output folder if that is local, else in a temporary one."""
    names = [f"{task.shard}-{task.fingerprint}-{lane:02d}" for lane in range(lanes)]
    if task.folder.is_local:
        task.folder.check_no_link(PARTS)
        folder = Path(task.folder.path(PARTS))
        folder.mkdir(exist_ok=True)
        yield [folder / name for name in names]
        return
    with tempfile.TemporaryDirectory(prefix="curate-fetch-") as folder_name:
        yield [Path(folder_name) / name for name in names]


def _fill(task: FetchTask, records: PlannedRecords, client: Client, part: Path, lane: Sequence[ByteRange]) -> None:
    """Append what is missing of a lane's ranges to its file; bytes that the archive does not have become zeros."""
    with part.open("ab", buffering=0) as file:
        have, begins = file.tell(), 0
        for each in lane:
            ends = begins + each.size
            if have < ends:
                url = f"{task.address}/{records.archives[each.first]}"
                try:
                    client.copy(url, each.start + max(0, have - begins), each.stop, partial(append, file))
                except NotOnServer:
                    file.truncate(ends)
                    file.seek(ends)
                except BaseException as error:
                    client.stop(error)
                    raise
            begins = ends


def append(file: IO[bytes], data: bytes) -> None:
    """Append all of some bytes to a file without a buffer, or none: its size says how much has arrived.

    Raises:
        WriteFailed: The disk is full, or the folder is gone.
    """
    before, left = file.tell(), memoryview(data)
    try:
        while left:
            left = left[file.write(left) :]
    except OSError as error:
        with suppress(OSError):
            file.truncate(before)
        raise WriteFailed(f"cannot write the output: {explain(error)}") from error


def _arrived(
    parts: Sequence[Path], lanes: Sequence[Sequence[ByteRange]], records: PlannedRecords
) -> Iterator[tuple[int, bytes]]:
    """The number and the bytes of each record, in order."""
    for part, lane in zip(parts, lanes, strict=True):
        with part.open("rb") as file:
            for each in lane:
                data = file.read(each.size)
                for number in range(each.first, each.last):
                    start = records.offsets[number] - each.start
                    yield number, data[start : start + records.lengths[number]]


def _checked(
    task: FetchTask, records: PlannedRecords, number: int, data: bytes, client: Client, changed: set[str]
) -> tuple[str | None, bytes]:
    """What is wrong with a record, and its bytes. They are asked for once more, in case they were garbled on the way.

    Args:
        task: The WARC file.
        records: Its records.
        number: Which of them.
        data: What arrived.
        client: Asks again.
        changed: Archives for which that did not help, of which no record is asked for again.
    """
    archive, digest = records.archives[number], records.digests[number]
    cause = problem(data, digest)
    if cause in (None, GONE) or archive in changed:
        return cause, data
    start = records.offsets[number]
    try:
        again = client.read(f"{task.address}/{archive}", start, start + records.lengths[number])
    except NotOnServer:
        return GONE, data
    if problem(again, digest) is not None:
        changed.add(archive)
        return cause, data
    return None, again
