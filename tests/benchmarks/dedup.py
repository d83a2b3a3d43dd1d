"""Deduplication against datatrove 0.10: speed from texts to drop lists, and what is found of what there is.

Both sides read the same documents from Parquet and JSON lines, sign them, find pairs, cluster and write which documents
go, with two processes each. The text is real, the near-duplicates are known (near_duplicates.py). Then quality: how
many pairs of each similarity are found, beside the curve 1 − (1 − s⁸)¹⁴, and recall and precision against every pair
there is, found by brute force.

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
from near_duplicates import SIMILARITIES, Made, generate, jaccard, paragraphs, write  # noqa: E402

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
"""Times that ours is run, the median taken; the reference takes minutes and is run once."""


def sign(task: tuple[Folder, str, DedupSettings]) -> int:
    """Signatures of one shard."""
    folder, name, settings = task
    with ShardWriter(folder, f"signatures/{name}.parquet", signature_schema(settings)) as writer:
        for batch in read_shard(folder, f"documents/{name}.parquet", ["text"]):
            writer.write(signatures(Batch(batch), settings))
    return writer.output.rows


def ours(folder: Folder, names: Sequence[str], settings: DedupSettings) -> tuple[float, float, int]:
    """Seconds of signing and of the whole, and documents removed."""
    with open_cluster(WORKERS) as cluster:
        list(cluster.each(sign, [(folder, names[0], settings)] * WORKERS))  # workers up, kernels compiled
        started = time.perf_counter()
        list(cluster.each(sign, [(folder, name, settings) for name in names]))
        signed = time.perf_counter() - started
        folder.remove("dedup")
        found = deduplicate(
            folder, settings, SurvivorValue(), [Shard(folder, name, 0, 0) for name in names], cluster, "mark"
        )
        return signed, time.perf_counter() - started, sum(found.counts["removed"].values())


def hash_text(text: str) -> int:
    """xxHash of a str, which xxhash 4 no longer takes by itself as datatrove 0.10 expects."""
    return int(xxhash.xxh64_intdigest(text.encode()))


def theirs(path: Path, tasks: int) -> tuple[float, float, int]:
    """The same of datatrove's four steps, on the JSON lines in path/documents."""
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


def speed(made: Sequence[Made], tasks: int = 8) -> list[dict[str, Any]]:
    """Both sides in one go, printed and as figures."""
    figures = []
    with tempfile.TemporaryDirectory() as temporary:
        path = Path(temporary)
        names = write(Folder(str(path / "ours")), iter(made), -(-len(made) // tasks))
        (path / "theirs" / "documents").mkdir(parents=True)
        for number in range(tasks):
            part = [{"text": d.text, "id": str(i)} for i, d in enumerate(made) if i * tasks // len(made) == number]
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
                rates = (len(made) / mine[at], len(made) / peer[at])
                figures.append(figure(f"dedup {what} ({settings.variant})", *rates, "documents/s", len(made)))
    return figures


def quietly(work: Callable[[], Any]) -> Any:
    """Run without datatrove's log, which its processes write to stderr."""
    sys.stderr.flush()
    kept, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    try:
        return work()
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)


def by_similarity(made: Sequence[Made], settings: DedupSettings) -> None:
    """How many copies of each similarity share a band, and how many pass verification, beside the theory."""
    batches = [made[start : start + 1000] for start in range(0, len(made), 1000)]
    signed = [signatures(batch_of([document.text for document in batch]), settings) for batch in batches]
    keys, sketch = np.concatenate([band_keys(t) for t in signed]), np.concatenate([sketches(t) for t in signed])
    print(f"\n{'similarity':<14}{'pairs':>7}{'theory':>9}{'share a band':>15}{'verified':>11}")
    copies = [
        (i, d.original, jaccard(d.text, made[d.original].text)) for i, d in enumerate(made) if d.original is not None
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
    """A batch of nothing but texts."""
    import pyarrow as pa

    return Batch(pa.RecordBatch.from_pydict({"text": pa.array(values, pa.string())}))


def brute_force(values: Sequence[str], settings: DedupSettings, least: float) -> dict[tuple[int, int], float]:
    """Every pair of texts whose shingles have at least this Jaccard similarity."""
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


def against_brute_force(made: Sequence[Made], settings: DedupSettings) -> list[dict[str, Any]]:
    """Recall and precision of the pairs found, against all pairs there are."""
    truth = brute_force([document.text for document in made], settings, 0.3)
    with tempfile.TemporaryDirectory() as temporary:
        folder = Folder(temporary)
        names = write(folder, iter(made), 5000)
        ours(folder, names, settings)
        pairs = pq.read_table(folder.path("dedup/pairs"))
    found = set(zip(pairs["left"].to_pylist(), pairs["right"].to_pylist(), strict=True))
    wanted = {pair: true for pair, true in truth.items() if true >= settings.threshold}
    expected = sum(settings.probability(true) for true in wanted.values()) / max(len(wanted), 1)
    recall = len(found & wanted.keys()) / max(len(wanted), 1)
    precision = len(found & wanted.keys()) / max(len(found), 1)
    close = np.mean([truth.get(pair, 0.0) >= settings.threshold - 0.1 for pair in found]) if found else 1.0
    n = len(made)
    print(f"\nagainst brute force on {n} documents, threshold {settings.threshold}: {len(wanted)} pairs there are,")
    print(f"{len(found)} found; recall {recall:.3f} (the curve promises {expected:.3f}), precision {precision:.3f}, ")
    print(f"of those found {close:.3f} within .1 of the threshold or above")
    return [
        figure("dedup recall at threshold, against the curve", recall, expected, "share of pairs", n),
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
    """Speed, then quality, then the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="under two minutes, on fewer documents")
    parser.add_argument("--documents", type=int, help="documents for speed [default: 100000, quick 1000]")
    parser.add_argument("--text", type=Path, help="folder of HTML or text files, instead of the shared pages")
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
