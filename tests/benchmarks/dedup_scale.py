"""Deduplication at scale: time, memory and spilled bytes from signatures to drop lists.

Signatures are generated rather than computed from text (synthetic_signatures.py): a fifth of the documents are in
clusters of very different sizes, the largest of 100,000. The measured part is what `curate dedup` does, on two workers,
at 0.5, 1, 2.5 and 5 million documents. Memory is that of the driver and the workers together, as the sum of their
proportional shares (PSS), sampled twice per second. CPU is theirs, too, without that of the sampling. A spilled byte is
written once and read once. Growth is the factor of CPU per doubling of the documents.

Up to 5 million documents, bringing equal keys together is also measured on its own, through this project's exchange and
through Dask's P2P shuffle, with the same input rows and the same resulting pairs.

    python tests/benchmarks/dedup_scale.py [--quick] [--millions 0.5,1,2.5,5] [--folder DIR]
"""

from __future__ import annotations

import argparse
import json
import math
import sys
import tempfile
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "tests" / "benchmarks")]

import numpy as np  # noqa: E402
import psutil  # noqa: E402
from bpe import tree_memory  # noqa: E402
from synthetic_signatures import make_clusters, make_minima, write_shard  # noqa: E402

from curation.arrays import Int64s  # noqa: E402
from curation.dedup.algorithms.pair_search import find_pairs  # noqa: E402
from curation.dedup.documents import WORK, PartitionTask, RangeTask, Shard, Work, plan_work  # noqa: E402
from curation.dedup.keys import KEYS, band_rows, keys_exchange, read_signatures, spread  # noqa: E402
from curation.dedup.run import deduplicate, number_shards  # noqa: E402
from curation.dedup.settings import DedupSettings  # noqa: E402
from curation.dedup.signatures import band_keys  # noqa: E402
from curation.dedup.survivor_rules import SurvivorValue  # noqa: E402
from curation.running.cluster import Cluster, open_cluster  # noqa: E402
from curation.store.exchange import partition_of  # noqa: E402
from curation.store.folder import Folder  # noqa: E402

SHARD_DOCUMENTS = 20_000
SETTINGS = DedupSettings()

COMPARED = 5_000_000
"""Documents up to which the exchange is compared with P2P, whose memory grows with them."""

SAMPLING_SECONDS = 0.5

COLUMNS = {
    "millions": 8, "seconds": 9, "CPU s": 9, "growth": 8, "GB memory": 11, "GB spilled": 12, "at once": 9,
    "GB read": 9, "pairs": 12, "removed": 12,
}  # fmt: skip
"""Columns of the table, and their widths."""

COMPARED_COLUMNS = (("CPU s", 13), ("GB", 9), ("CPU s", 9), ("GB", 9))
"""Columns of the comparison, for the exchange and for P2P."""


@dataclass
class Usage:
    """What this process and its descendants used: bytes of memory and disk at the peak, the others in total."""

    seconds: float = 0.0
    cpu: float = 0.0
    memory: int = 0
    disk: int = 0
    read: int = 0


def processes() -> list[psutil.Process]:
    """This process and its descendants."""
    this = psutil.Process()
    return [this, *this.children(recursive=True)]


def totals() -> tuple[float, int]:
    """CPU seconds, and bytes read other than through memory maps, of all processes that exist."""
    times = [process.cpu_times() for process in processes()]
    read = sum(process.io_counters().read_chars for process in processes())
    return sum(time.user + time.system for time in times), read


def size_of(folder: Path) -> int:
    """Bytes of all files in a folder."""
    total = 0
    for path in folder.rglob("*"):
        with suppress(FileNotFoundError):
            total += path.stat().st_size
    return total


@contextmanager
def watched(folder: Path) -> Iterator[Usage]:
    """Measure the block, and the bytes that it has in a folder."""
    usage, stop = Usage(), threading.Event()

    def watch() -> None:
        while not stop.wait(SAMPLING_SECONDS):
            usage.memory = max(usage.memory, tree_memory(psutil.Process())[1])
            usage.disk = max(usage.disk, size_of(folder))
        usage.cpu -= time.thread_time()

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    before, started = totals(), time.perf_counter()
    try:
        yield usage
    finally:
        usage.seconds = time.perf_counter() - started
        cpu, usage.read = (after - first for after, first in zip(totals(), before, strict=True))
        usage.cpu += cpu
        stop.set()
        thread.join()


@dataclass(frozen=True, slots=True)
class ShardTask:
    """A shard to generate, with the cluster of each document."""

    folder: Folder
    name: str
    clusters: Int64s
    seed: int


def make(task: ShardTask) -> None:
    """Write one shard."""
    write_shard(task.folder, task.name, make_minima(task.clusters, SETTINGS.permutations, task.seed), SETTINGS)


def count_received(task: PartitionTask) -> int:
    """The number of pairs in a partition."""
    rows = task.exchange.receive_table(task.number, KEYS)
    bands, keys, checks, documents = (rows.column(name).to_numpy() for name in KEYS.names)
    return len(find_pairs(bands, keys, checks, documents, True)[0])


def exchange_pairs(cluster: Cluster, work: Work, tasks: list[RangeTask]) -> int:
    """Count pairs with equal keys, through the project's exchange."""
    exchange = keys_exchange(work)
    cluster.gather(spread, tasks)
    partition_tasks = [PartitionTask(work, exchange, number) for number in range(exchange.partitions)]
    found = cluster.gather(count_received, partition_tasks)
    work.folder.remove("dedup")
    return sum(found)


def range_frame(task: RangeTask) -> Any:
    """The key rows of a range as a data frame, with their partition."""
    import pandas as pd
    import pyarrow as pa

    partitions = keys_exchange(task.work).partitions
    batches = [
        band_rows(documents, band_keys(batch))
        for shard in task.shards
        for documents, batch in read_signatures(shard, ["keys"])
    ]
    frame = pa.Table.from_batches(batches, schema=KEYS).to_pandas()
    frame["partition"] = partition_of(frame["key"].to_numpy(), partitions).astype(np.int64)
    assert isinstance(frame, pd.DataFrame)
    return frame


def count_pairs(frame: Any) -> Any:
    """The number of pairs in a partition, as a data frame of one row."""
    import pandas as pd

    bands, keys, checks, documents = (frame[name].to_numpy() for name in KEYS.names)
    return pd.DataFrame({"pairs": [len(find_pairs(bands, keys, checks, documents, True)[0])]})


def p2p_pairs(cluster: Cluster, work: Work, tasks: list[RangeTask]) -> int:
    """Count the same pairs through Dask's P2P shuffle."""
    import dask.dataframe as dd
    import pandas as pd

    assert cluster.client is not None
    frame = dd.from_map(range_frame, tasks, meta=range_frame(RangeTask(work, 0, ())))
    shuffled = frame.shuffle("partition", npartitions=keys_exchange(work).partitions, shuffle_method="p2p")
    counted = shuffled.map_partitions(count_pairs, meta=pd.DataFrame({"pairs": pd.Series([], dtype="int64")}))
    return int(counted["pairs"].sum().compute(scheduler=cluster.client))


def measure(root: Path, documents: int) -> tuple[Usage, dict[str, int]]:
    """Generate the signatures of one size, and deduplicate them. Returns what it took, and counts."""
    folder, names = Folder(str(root)), shard_names(documents)
    parts = np.array_split(make_clusters(documents), len(names))
    with open_cluster(2) as cluster:
        cluster.gather(make, [ShardTask(folder, *entry) for entry in zip(names, parts, range(len(names)), strict=True)])
    del parts
    shards = [Shard(folder, name, 0, 0) for name in names]
    with open_cluster(2) as cluster:
        cluster.gather(abs, [1, 2])  # starts the workers
        with watched(root / WORK) as usage:
            found = deduplicate(folder, SETTINGS, SurvivorValue(), shards, cluster, "fingerprint")
    folder.remove(WORK)
    counts = {"pairs": found.counts["pairs"], "removed": sum(found.counts["removed"].values())}
    return usage, {**counts, "spilled": found.performance["spilled_bytes"]}


def shard_names(documents: int) -> list[str]:
    """Names of the generated shards."""
    return [f"synthetic-{number:05d}" for number in range(documents // SHARD_DOCUMENTS)]


def compare(root: Path, documents: int) -> list[Usage]:
    """Bring the equal keys of generated signatures together, through the exchange and through P2P."""
    folder = Folder(str(root))
    shards = number_shards([Shard(folder, name, 0, 0) for name in shard_names(documents)], Cluster())
    work, tasks = plan_work(folder, replace(SETTINGS, exact=False), SurvivorValue(), shards)
    usages, pairs = [], []
    for side in (exchange_pairs, p2p_pairs):
        with open_cluster(2) as cluster:
            cluster.gather(abs, [1, 2])
            with watched(root / WORK) as usage:
                pairs.append(side(cluster, work, tasks))
        usages.append(usage)
    assert pairs[0] == pairs[1], "the two sides found different pairs"
    return usages


def figure(name: str, value: float, peer: float | None, unit: str, n: int) -> dict[str, Any]:
    """A figure; more is better, except for gigabytes. Without a peer, peer and ratio are null."""
    ratio = None if peer is None else peer / value if unit == "GB" else value / peer
    rounded = [None if number is None else round(number, 3) for number in (value, peer, ratio)]
    return {"name": name, **dict(zip(("ours", "peer", "ratio"), rounded, strict=True)), "unit": unit, "n": n}


def growth(value: float, smaller: float, doublings: float) -> float:
    """The factor per doubling."""
    return (value / smaller) ** (1 / doublings) if smaller else math.nan


def row(cells: Iterable[str], widths: Iterable[int]) -> str:
    """Cells of these widths, aligned to the right."""
    return "".join(f"{cell:>{width}}" for cell, width in zip(cells, widths, strict=False))


def main() -> None:
    """Measure all sizes, then print the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="0.04 and 0.1 million documents only")
    parser.add_argument("--millions", default="0.5,1,2.5,5", help="sizes, in millions of documents")
    parser.add_argument(
        "--folder", help="scratch folder; needs about 260 bytes per document, and 550 more for spilled rows"
    )
    arguments = parser.parse_args()
    sizes = [0.04, 0.1] if arguments.quick else [float(size) for size in arguments.millions.split(",")]
    print(f"{'':>8}{'signatures to drop lists, two workers':^94}{'equal keys: exchange':^22}{'through P2P':^18}")
    print(row(*zip(*COLUMNS.items(), *COMPARED_COLUMNS, strict=True)))
    figures = []
    before: tuple[float, float] = (1, 0)
    with tempfile.TemporaryDirectory(dir=arguments.folder) as temporary:
        measure(Path(temporary), SHARD_DOCUMENTS)  # compiles the kernels
    for size in sizes:
        documents = round(size * 1e6)
        with tempfile.TemporaryDirectory(dir=arguments.folder) as temporary:
            usage, counts = measure(Path(temporary), documents)
            spilled, memory = counts["spilled"] / 1e9, usage.memory / 1e9
            factor = growth(usage.cpu, before[1], math.log2(size / before[0]))
            before = size, usage.cpu
            cells = [f"{size:.2f}", f"{usage.seconds:.1f}", f"{usage.cpu:.1f}", f"{factor:.2f}", f"{memory:.2f}"]
            cells += [f"{spilled:.2f}", f"{usage.disk / 1e9:.2f}", f"{usage.read / 1e9 + spilled:.2f}"]
            cells += [f"{counts['pairs']:,}", f"{counts['removed']:,}"]
            print(row(cells, COLUMNS.values()), end="", flush=True)
            sides = compare(Path(temporary), documents) if documents <= COMPARED else []
        shown = [value for side in sides for value in (f"{side.cpu:.1f}", f"{side.memory / 1e9:.2f}")]
        print(row(shown, (width for _, width in COMPARED_COLUMNS)))
        figures += [
            figure("dedup from signatures to drop lists", documents / usage.cpu, None, "documents/CPU s", documents),
            figure("dedup peak memory of all processes", memory, None, "GB", documents),
            figure("dedup bytes spilled", spilled, None, "GB", documents),
        ]
        if sides:
            rates = [documents / side.cpu for side in sides]
            name = "dedup equal keys brought together, compared with P2P"
            figures.append(figure(name, *rates, "documents/CPU s", documents))
            peaks = [side.memory / 1e9 for side in sides]
            figures.append(figure("dedup memory for equal keys, compared with P2P", *peaks, "GB", documents))
    for entry in figures:
        print(json.dumps(entry))


if __name__ == "__main__":
    main()
