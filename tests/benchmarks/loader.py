"""Loading: shuffled batches from token shards, compared with litdata and mosaicml-streaming, in one process.

Rows of random ids are written in each side's own format (no loader looks at the ids). Each side then reads them
shuffled, in batches of 16 rows as int64, as its documentation shows: the peers through a PyTorch DataLoader without
workers, ours through TokenLoader with its thread. Each process reads one epoch to warm the page cache, and the next one
is timed. The peers are installed in their own environment (`make peers`).

    python tests/benchmarks/loader.py [--quick] [--runs N] [--tokens N] [--peers PYTHON]
"""

from __future__ import annotations

import argparse
import json
import math
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

import numpy as np  # noqa: E402
import pyarrow as pa  # noqa: E402

from curation.store.folder import Folder  # noqa: E402
from curation.tokenize.encoding.token_shards import (  # noqa: E402
    PackedRows,
    TokensSettings,
    shard_path,
    token_schema,
    write_token_shard,
)

PEERS = ROOT / ".venv-trainers" / "bin" / "python"
LENGTH, VOCABULARY, BATCH = 2048, 50_000, 16
SHARD_ROWS = 8192

OURS = """
import sys, time
sys.path[:0] = sys.argv[3:]
import numpy as np
from curation.tokenize.loading.loader import TokenLoader

def read(loader):
    return sum(batch["input_ids"].size for batch in loader)

loader = TokenLoader(sys.argv[1], 16, epochs=1, seed=1, dtype=np.int64, positions=sys.argv[2] == "positions")
read(loader)
started = time.perf_counter()
print(read(loader) / (time.perf_counter() - started))
"""

LITDATA = """
import sys, time
import numpy as np, torch

def rows(path):
    for row in np.load(path, mmap_mode="r"):
        yield torch.from_numpy(row.astype(np.int32))

if __name__ == "__main__":
    import litdata
    from litdata.streaming import TokensLoader
    mode, source, target = sys.argv[1:]
    if mode == "write":
        size = 2048 * 4096
        litdata.optimize(rows, [source], target, chunk_size=size, item_loader=TokensLoader(), num_workers=1)
    else:
        data = litdata.StreamingDataset(target, item_loader=TokensLoader(block_size=2048), shuffle=True, seed=1)
        def read():
            loader = litdata.StreamingDataLoader(data, batch_size=16, num_workers=0)
            return sum(batch.to(torch.int64).numel() for batch in loader)
        read()
        started = time.perf_counter()
        print(read() / (time.perf_counter() - started))
"""

MOSAIC = """
import sys, time
import numpy as np, torch

if __name__ == "__main__":
    from streaming import MDSWriter, StreamingDataset
    mode, source, target = sys.argv[1:]
    if mode == "write":
        with MDSWriter(out=target, columns={"tokens": "ndarray:uint16:2048"}) as out:
            for row in np.load(source, mmap_mode="r"):
                out.write({"tokens": np.array(row)})
    else:
        data = StreamingDataset(local=target, shuffle=True, shuffle_seed=1, batch_size=16)
        def read():
            loader = torch.utils.data.DataLoader(
                data, batch_size=16, num_workers=0,
                collate_fn=lambda rows: torch.from_numpy(np.stack([row["tokens"] for row in rows]).astype(np.int64)),
            )
            return sum(batch.numel() for batch in loader)
        read()
        started = time.perf_counter()
        print(read() / (time.perf_counter() - started))
"""


def write_ours(rows: np.ndarray, target: Path, compression: str) -> None:
    """Write the rows as token shards with three documents per row."""
    settings = TokensSettings(compression=compression)
    starts = np.tile(np.array([0, 500, 1500], np.int32), SHARD_ROWS)
    labels = {"curation.tokenizer": "random", "curation.sequence_length": str(LENGTH), "curation.pad_id": "65535"}
    labels["curation.vocabulary"] = "65536"  # so that ids are checked
    for number, first in enumerate(range(0, len(rows), SHARD_ROWS)):
        part = rows[first : first + SHARD_ROWS]
        offsets = np.arange(len(part) + 1) * 3
        packed = PackedRows(part, starts[: 3 * len(part)], np.zeros(3 * len(part), np.int64), offsets, 0)
        table = packed.to_arrow(pa.array(["id"]), token_schema(rows.dtype, LENGTH))
        write_token_shard(Folder(str(target)), shard_path("train", number), table, labels, settings)


def run(scratch: Path, python: Path | str, program: str, *arguments: str) -> float | None:
    """Run a program in its own process; returns the last number it prints, NaN if there is none, None if it fails.

    The program is run from a file, because litdata starts processes that import it.
    """
    file = scratch / "program.py"
    file.write_text(program)
    command = [str(python), str(file), *arguments]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        print("\n".join(done.stderr.strip().splitlines()[-3:]), file=sys.stderr)
        return None
    try:
        return float(done.stdout.split()[-1])
    except (IndexError, ValueError):
        return math.nan


def main() -> None:
    """Write the tokens, measure the sides in turn, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--quick", action="store_true", help="a quarter of the tokens, one run")
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--tokens", type=int, default=1 << 27)
    parser.add_argument("--peers", type=Path, default=PEERS, help="Python with litdata and mosaicml-streaming")
    options = parser.parse_args()
    count = options.tokens // (4 if options.quick else 1) // LENGTH
    with tempfile.TemporaryDirectory() as scratch:
        measure(Path(scratch), count, 1 if options.quick else options.runs, options.peers)


def measure(scratch: Path, count: int, runs: int, peers: Path) -> None:
    """Time every side `runs` times, in turn, and print the results."""
    rows = np.random.default_rng(0).integers(0, VOCABULARY, (count, LENGTH)).astype(np.uint16)
    np.save(scratch / "rows.npy", rows)
    for compression in ("none", "zstd"):
        write_ours(rows, scratch / compression, compression)
    sides: dict[str, tuple[Path | str, str, tuple[str, ...]]] = {
        "ours, mapped": (sys.executable, OURS, (str(scratch / "none"), "", str(ROOT))),
        "ours, mapped, with position and segment ids": (
            sys.executable,
            OURS,
            (str(scratch / "none"), "positions", str(ROOT)),
        ),
        "ours, zstd": (sys.executable, OURS, (str(scratch / "zstd"), "", str(ROOT))),
    }
    if not peers.exists():
        print(f"{peers} not found: run `make peers` to compare with litdata and mosaicml-streaming", file=sys.stderr)
    for name, program in {"litdata": LITDATA, "mosaicml-streaming": MOSAIC}.items():
        places = (str(scratch / "rows.npy"), str(scratch / name))
        if peers.exists() and run(scratch, peers, program, "write", *places) is not None:
            sides[name] = (peers, program, ("read", *places))
    found: dict[str, list[float]] = {name: [] for name in sides}
    for _ in range(runs):
        for name, (python, program, arguments) in sides.items():
            speed = run(scratch, python, program, *arguments)
            if speed is not None:
                found[name].append(speed)
    show(found, rows.size, runs)


def show(found: dict[str, list[float]], tokens: int, runs: int) -> None:
    """Print the table, then a JSON line for each peer and for the goal."""
    print(f"{tokens:,} tokens, shuffled, warm page cache, one process, median of {runs} runs")
    medians = {name: statistics.median(speeds) for name, speeds in found.items() if speeds}
    for name, speed in medians.items():
        print(f"  {name:<46} {speed / 1e6:8.1f} million tokens/s")
    ours = medians["ours, mapped"]
    for name in ("litdata", "mosaicml-streaming"):
        if name in medians:
            figure = {"name": f"loader.against_{name}", "ours": round(ours), "peer": round(medians[name])}
            print(json.dumps({**figure, "ratio": round(ours / medians[name], 2), "unit": "tokens/s", "n": tokens}))
    goal = {"name": "loader.against_goal", "ours": round(ours), "peer": GOAL, "ratio": round(ours / GOAL, 2)}
    print(json.dumps({**goal, "unit": "tokens/s", "n": tokens}))


GOAL = 20_000_000
"""Tokens per second per process: more than an accelerator consumes when it trains a language model."""


if __name__ == "__main__":
    main()
