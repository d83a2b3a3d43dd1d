"""Deduplication at scale: time, memory and spilled bytes from signatures to drop lists.

Signatures are generated rather than computed from text (synthetic_signatures.py). Measured are time, the memory of all
processes together (resident, with shared pages counted in each) and the bytes spilled, at 0.5, 1, 2.5 and 5 million
documents on two workers. Bringing equal keys together is also measured on its own, through this project's exchange and
through Dask's P2P shuffle, with the same input rows and the same resulting pairs.

    python tests/benchmarks/dedup_scale.py [--quick] [--millions 0.5,1,2.5,5] [--folder DIR]
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "tests" / "benchmarks")]

import numpy as np  # noqa: E402
import psutil  # noqa: E402
from synthetic_signatures import make_minima, write_shard  # noqa: E402

from curation.dedup.algorithms.pair_search import find_pairs  # noqa: E402
from curation.dedup.documents import PartitionTask, RangeTask, Shard, Work, plan_work  # noqa: E402
from curation.dedup.keys import KEYS, band_rows, keys_exchange, read_signatures, spread  # noqa: E402
from curation.dedup.run import deduplicate, number_shards  # noqa: E402
from curation.dedup.settings import DedupSettings  # noqa: E402
from curation.dedup.signatures import band_keys  # noqa: E402
from curation.dedup.survivor_rules import SurvivorValue  # noqa: E402
from curation.running.cluster import Cluster, open_cluster  # noqa: E402
from curation.store.exchange import partition_of  # noqa: E402
from curation.store.folder import Folder  # noqa: E402

SHARD_DOCUMENTS = 20_000
SETTINGS = DedupSettings(exact=False)


@dataclass
class Peak:
    """Peak memory of this process and its descendants, in bytes, sampled ten times per second."""

    bytes: int = 0


@contextmanager
def watched() -> Iterator[Peak]:
    """Sample memory during the block."""
    peak, stop = Peak(), threading.Event()

    def watch() -> None:
        this = psutil.Process()
        while not stop.wait(0.1):
            total = 0
            for process in [this, *this.children(recursive=True)]:
                try:
                    total += process.memory_info().rss
                except psutil.NoSuchProcess:
                    continue
            peak.bytes = max(peak.bytes, total)

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    try:
        yield peak
    finally:
        stop.set()
        thread.join()


def make(task: tuple[Folder, str, int]) -> None:
    """Write one shard."""
    folder, name, seed = task
    write_shard(folder, name, make_minima(SHARD_DOCUMENTS, SETTINGS.permutations, seed)[0], SETTINGS)


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


def timed(work: Callable[[], Any]) -> tuple[float, float, Any]:
    """Seconds, peak gigabytes, and the result."""
    with watched() as peak:
        started = time.perf_counter()
        value = work()
        seconds = time.perf_counter() - started
    return seconds, peak.bytes / 1e9, value


def measure(root: Path, documents: int) -> list[dict[str, Any]]:
    """Measure one size, print its line and return its figures."""
    folder = Folder(str(root / str(documents)))
    names = [f"synthetic-{number:05d}" for number in range(documents // SHARD_DOCUMENTS)]
    with open_cluster(2) as cluster:
        cluster.gather(make, [(folder, name, number) for number, name in enumerate(names)])
    shards = [Shard(folder, name, 0, 0) for name in names]
    with open_cluster(2) as cluster:
        cluster.gather(abs, [1])
        whole = timed(lambda: deduplicate(folder, SETTINGS, SurvivorValue(), shards, cluster, "fingerprint"))
        found = whole[2]
    work, tasks = plan_work(folder, SETTINGS, SurvivorValue(), number_shards(shards, Cluster()))
    sides = []
    for side in (exchange_pairs, p2p_pairs):
        with open_cluster(2) as cluster:
            cluster.gather(abs, [1])
            sides.append(timed(lambda side=side, cluster=cluster: side(cluster, work, tasks)))
    shutil.rmtree(folder.url)
    assert sides[0][2] == sides[1][2], "the two sides found different pairs"
    spilled = found.performance["spilled_bytes"] / 1e9
    print(
        f"{documents / 1e6:>9.2f}{whole[0]:>10.1f}{whole[1]:>9.2f}{spilled:>12.2f}{found.counts['pairs']:>12,}"
        f"{sides[0][0]:>14.1f}{sides[0][1]:>8.2f}{sides[1][0]:>12.1f}{sides[1][1]:>8.2f}",
        flush=True,
    )
    figures = [
        ("dedup from signatures to drop lists", documents / whole[0], None, "documents/s"),
        ("dedup peak memory of all processes", whole[1], None, "GB"),
        ("dedup bytes spilled", spilled, None, "GB"),
        (
            "dedup equal keys brought together, compared with P2P",
            documents / sides[0][0],
            documents / sides[1][0],
            "documents/s",
        ),
        ("dedup memory for equal keys, compared with P2P", sides[0][1], sides[1][1], "GB"),
    ]
    return [figure(*entry, documents) for entry in figures]


def figure(name: str, value: float, peer: float | None, unit: str, n: int) -> dict[str, Any]:
    """A figure; more is better, except for gigabytes. Without a peer, peer and ratio are null."""
    ratio = None if peer is None else peer / value if unit == "GB" else value / peer
    rounded = [None if number is None else round(number, 3) for number in (value, peer, ratio)]
    return {"name": name, **dict(zip(("ours", "peer", "ratio"), rounded, strict=True)), "unit": unit, "n": n}


def main() -> None:
    """Measure all sizes, then print the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="0.04 and 0.1 million documents only")
    parser.add_argument("--millions", default="0.5,1,2.5,5", help="sizes, in millions of documents")
    parser.add_argument(
        "--folder", help="scratch folder; needs about 250 bytes per document, and as much again for spilled rows"
    )
    arguments = parser.parse_args()
    sizes = [0.04, 0.1] if arguments.quick else [float(size) for size in arguments.millions.split(",")]
    print(f"{'':>9}{'signatures to drop lists':^43}{'keys: exchange':^22}{'keys: P2P':^20}")
    print(
        f"{'millions':>9}{'seconds':>10}{'GB':>9}{'GB spilled':>12}{'pairs':>12}"
        f"{'seconds':>14}{'GB':>8}{'seconds':>12}{'GB':>8}"
    )
    figures = []
    with tempfile.TemporaryDirectory(dir=arguments.folder) as temporary:
        for size in sizes:
            figures += measure(Path(temporary), round(size * 1e6))
    for entry in figures:
        print(json.dumps(entry))


if __name__ == "__main__":
    main()
