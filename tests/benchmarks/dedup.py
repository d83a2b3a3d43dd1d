"""Deduplication compared with datatrove 0.10: speed from texts to drop lists, recall and precision.

Both sides read the same documents (from Parquet and JSON lines), compute signatures, find pairs, cluster, and write the
documents to remove, with two processes each. The text is real, with known near-duplicates (near_duplicates.py). Quality
is the share of pairs found at each similarity, next to the curve 1 − (1 − s⁸)¹⁴, and recall and precision against all
pairs, found by brute force.

    python tests/benchmarks/dedup.py [--quick] [--documents N] [--text FOLDER]
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "tests"), str(ROOT / "tests" / "benchmarks")]

import numpy as np  # noqa: E402
import pyarrow.parquet as pq  # noqa: E402
import xxhash  # noqa: E402
from near_duplicates import SIMILARITIES, GeneratedDocument, generate, jaccard, paragraphs, write  # noqa: E402

from curation.dedup.algorithms.minhash import similarity as estimate  # noqa: E402
from curation.dedup.algorithms.normalization import simplify  # noqa: E402
from curation.dedup.documents import Shard  # noqa: E402
from curation.dedup.run import deduplicate  # noqa: E402
from curation.dedup.settings import DedupSettings  # noqa: E402
from curation.dedup.signatures import band_keys, shingles, signature_schema, signatures, sketches  # noqa: E402
from curation.dedup.survivor_rules import SurvivorValue  # noqa: E402
from curation.running.cluster import open_cluster  # noqa: E402
from curation.stages.batch import Batch  # noqa: E402
from curation.store.folder import Folder  # noqa: E402
from curation.store.shards import ShardWriter, read_shard  # noqa: E402

WORKERS = 2
RUNS = 3
"""Runs of our side, of which the median counts. The reference takes minutes and runs once."""


def sign(task: tuple[Folder, str, DedupSettings]) -> int:
    """Write the signatures of one shard."""
    folder, name, settings = task
    with ShardWriter(folder, f"signatures/{name}.parquet", signature_schema(settings)) as writer:
        for batch in read_shard(folder, f"documents/{name}.parquet", ["text"]):
            writer.write(signatures(Batch(batch), settings))
    return writer.output.rows


def ours(folder: Folder, names: Sequence[str], settings: DedupSettings) -> tuple[float, float, int]:
    """Seconds for the signatures and in total, and the number of documents removed."""
    with open_cluster(WORKERS) as cluster:
        list(cluster.each(sign, [(folder, names[0], settings)] * WORKERS))  # start the workers, compile the kernels
        started = time.perf_counter()
        list(cluster.each(sign, [(folder, name, settings) for name in names]))
        signed = time.perf_counter() - started
        folder.remove("dedup")
        found = deduplicate(
            folder, settings, SurvivorValue(), [Shard(folder, name, 0, 0) for name in names], cluster, "fingerprint"
        )
        return signed, time.perf_counter() - started, sum(found.counts["removed"].values())


def hash_text(text: str) -> int:
    """xxHash of a str. datatrove 0.10 passes a str, which xxhash 4 no longer accepts."""
    return int(xxhash.xxh64_intdigest(text.encode()))


def theirs(path: Path, tasks: int) -> tuple[float, float, int]:
    """The same for datatrove's steps, on the JSON lines in path/documents."""
    from datatrove.executor import LocalPipelineExecutor
    from datatrove.pipeline.dedup import MinhashDedupBuckets, MinhashDedupCluster, MinhashDedupSignature
    from datatrove.pipeline.readers import JsonlReader

    signer = MinhashDedupSignature(str(path / "signatures"))
    signer._hash_func = hash_text
    steps: list[tuple[list[Any], int]] = [
        ([JsonlReader(str(path / "documents")), signer], tasks),
        ([MinhashDedupBuckets(str(path / "signatures"), str(path / "buckets"))], 14),
        ([MinhashDedupCluster(str(path / "buckets"), str(path / "clusters"))], 1),
    ]
    times = []
    started = time.perf_counter()
    for number, (pipeline, count) in enumerate(steps):
        LocalPipelineExecutor(
            pipeline,
            tasks=count,
            workers=min(WORKERS, count),
            logging_dir=str(path / f"logs-{number}"),
            skip_completed=False,
        ).run()
        times.append(time.perf_counter() - started)
    removed = sum(file.stat().st_size // 4 for file in (path / "clusters").glob("*.remove"))
    return times[0], times[-1], removed


def speed(documents: Sequence[GeneratedDocument], tasks: int = 8) -> list[dict[str, Any]]:
    """Run both sides, print the table and return the figures."""
    figures = []
    with tempfile.TemporaryDirectory() as temporary:
        path = Path(temporary)
        names = write(Folder(str(path / "ours")), iter(documents), -(-len(documents) // tasks))
        (path / "theirs" / "documents").mkdir(parents=True)
        for number in range(tasks):
            part = [
                {"text": d.text, "id": str(i)} for i, d in enumerate(documents) if i * tasks // len(documents) == number
            ]
            lines = "".join(json.dumps(row) + "\n" for row in part)
            (path / "theirs" / "documents" / f"{number:05d}.jsonl").write_text(lines)
        peer = quietly(lambda: theirs(path / "theirs", tasks))
        shutil.rmtree(path / "theirs")
        print(f"{'':<34}{'signatures':>16}{'texts to drop lists':>22}{'removed':>9}")
        print(f"{'datatrove 0.10':<34}{peer[0]:>14.1f} s{peer[1]:>20.1f} s{peer[2]:>9}")
        for label, settings in (
            ("curation, variant datatrove", DedupSettings(variant="datatrove", verify=False, exact=False)),
            ("curation, variant fast, verified", DedupSettings()),
        ):
            runs = sorted(ours(Folder(str(path / "ours")), names, settings) for _ in range(RUNS))
            mine = runs[RUNS // 2]
            print(f"{label:<34}{mine[0]:>14.1f} s{mine[1]:>20.1f} s{mine[2]:>9}")
            for what, at in (("signatures", 0), ("texts to drop lists", 1)):
                rates = (len(documents) / mine[at], len(documents) / peer[at])
                figures.append(figure(f"dedup {what} ({settings.variant})", *rates, "documents/s", len(documents)))
    return figures


def quietly(work: Callable[[], Any]) -> Any:
    """Run without the log that datatrove's processes write to stderr."""
    sys.stderr.flush()
    kept, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    try:
        return work()
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)


def by_similarity(documents: Sequence[GeneratedDocument], settings: DedupSettings) -> None:
    """Print the share of copies that share a band and that pass verification, by similarity, next to the theory."""
    batches = [documents[start : start + 1000] for start in range(0, len(documents), 1000)]
    signed = [signatures(batch_of([document.text for document in batch]), settings) for batch in batches]
    keys, sketch = np.concatenate([band_keys(t) for t in signed]), np.concatenate([sketches(t) for t in signed])
    print(f"\n{'similarity':<14}{'pairs':>7}{'theory':>9}{'share a band':>15}{'verified':>11}")
    copies = [
        (i, d.original, jaccard(d.text, documents[d.original].text))
        for i, d in enumerate(documents)
        if d.original is not None
    ]
    for aimed in SIMILARITIES:
        pairs = [pair for pair in copies if abs(pair[2] - aimed) < 0.025]
        if not pairs:
            continue
        left, right, true = (np.array(column) for column in zip(*pairs, strict=True))
        shared = (keys[left] == keys[right]).any(axis=1)
        passed = shared & (estimate(sketch[left], sketch[right]) >= settings.threshold)
        theory = np.mean([settings.probability(value) for value in true])
        print(f"{aimed:<14}{len(pairs):>7}{theory:>9.3f}{shared.mean():>15.3f}{passed.mean():>11.3f}")


def batch_of(values: Sequence[str]) -> Batch:
    """A batch with only texts."""
    import pyarrow as pa

    return Batch(pa.RecordBatch.from_pydict({"text": pa.array(values, pa.string())}))


def brute_force(values: Sequence[str], settings: DedupSettings, least: float) -> dict[tuple[int, int], float]:
    """Every pair of texts whose shingles have a Jaccard similarity of at least `least`."""
    from scipy.sparse import csr_matrix

    found: dict[tuple[int, int], float] = {}
    parts = [
        shingles(simplify(batch_of(values[start : start + 1000]).characters), settings)
        for start in range(0, len(values), 1000)
    ]
    sets = [np.unique(part.hashes[a:b]) for part in parts for a, b in zip(part.first, part.last, strict=True)]
    sizes = np.array([len(one) for one in sets])
    _, columns = np.unique(np.concatenate(sets), return_inverse=True)
    matrix = csr_matrix((np.ones(len(columns), np.float32), columns, np.r_[0, np.cumsum(sizes)]))
    turned = matrix.T.tocsr()
    for start in range(0, len(values), 500):
        common = (matrix[start : start + 500] @ turned).tocoo()
        rows = common.row + start
        true = common.data / (sizes[rows] + sizes[common.col] - common.data)
        chosen = (rows < common.col) & (true >= least)
        pairs = zip(rows[chosen].tolist(), common.col[chosen].tolist(), strict=True)
        found.update(zip(pairs, true[chosen].tolist(), strict=True))
    return found


def against_brute_force(documents: Sequence[GeneratedDocument], settings: DedupSettings) -> list[dict[str, Any]]:
    """Recall and precision of the pairs found, compared with all pairs."""
    truth = brute_force([document.text for document in documents], settings, 0.3)
    with tempfile.TemporaryDirectory() as temporary:
        folder = Folder(temporary)
        names = write(folder, iter(documents), 5000)
        ours(folder, names, settings)
        pairs = pq.read_table(folder.path("dedup/pairs"))
    found = set(zip(pairs["left"].to_pylist(), pairs["right"].to_pylist(), strict=True))
    wanted = {pair: true for pair, true in truth.items() if true >= settings.threshold}
    expected = sum(settings.probability(true) for true in wanted.values()) / max(len(wanted), 1)
    recall = len(found & wanted.keys()) / max(len(wanted), 1)
    precision = len(found & wanted.keys()) / max(len(found), 1)
    close = np.mean([truth.get(pair, 0.0) >= settings.threshold - 0.1 for pair in found]) if found else 1.0
    n = len(documents)
    print(f"\ncompared with brute force on {n} documents, threshold {settings.threshold}: {len(wanted)} pairs exist,")
    print(
        f"{len(found)} found; recall {recall:.3f} (expected from the curve: {expected:.3f}), precision {precision:.3f};"
    )
    print(f"{close:.3f} of the pairs found are above the threshold or less than 0.1 below it")
    return [
        figure("dedup recall at threshold, compared with the curve", recall, expected, "share of pairs", n),
        figure("dedup precision, verified", precision, 1.0, "share of pairs", n),
    ]


def figure(name: str, value: float, peer: float, unit: str, n: int) -> dict[str, Any]:
    """A figure where more is better."""
    return {
        "name": name,
        "ours": round(value, 3),
        "peer": round(peer, 3),
        "ratio": round(value / peer, 3),
        "unit": unit,
        "n": n,
    }


def main() -> None:
    """Measure speed and quality, then print the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="fewer documents, under two minutes")
    parser.add_argument(
        "--documents", type=int, help="documents to measure speed on [default: 100000, or 1000 with --quick]"
    )
    parser.add_argument("--text", type=Path, help="folder of HTML or text files instead of the test data")
    arguments = parser.parse_args()
    documents = arguments.documents or (1_000 if arguments.quick else 100_000)
    pool = paragraphs(arguments.text)
    figures = speed(list(generate(documents, pool)))
    sample = list(generate(2_000 if arguments.quick else 20_000, pool, seed=2))
    for settings in (DedupSettings(variant="datatrove"), DedupSettings()):
        print(f"\nvariant {settings.variant}", end="")
        by_similarity(sample, settings)
    figures += against_brute_force(sample, DedupSettings())
    for entry in figures:
        print(json.dumps(entry))


if __name__ == "__main__":
    main()
