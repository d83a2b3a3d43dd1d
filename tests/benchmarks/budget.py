"""Where the time of a run goes, from archives to packed tokens, beside a lower bound for each part.

`curate run` with the recipe `web`, one worker, on altered pages, then on 1 GB of text in Parquet. Parts of the filter
step are in processor time, as the run itself records them (performance/), other steps in seconds. The bounds are
measured here on the same data: inflating the archives (isal) or reading the Parquet, parsing the pages with lexbor
(resiliparse), the bare call of fastText, writing the same Parquet, and, for what only looks at text, one copy of it in
memory. What is in no part is start-up, Dask, exchange between processes and waiting.

    python tests/benchmarks/budget.py [--quick] [--repeat N] [--text-mb N]
"""

from __future__ import annotations

import argparse
import ctypes
import io
import json
import os
import resource
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from inputs import repeated, write
from isal import igzip
from pipeline import iter_members, join, pages, timed
from quiet import say_load
from sources import shared_data

PARTS = {
    "read": ("filter", "read"),
    "url": ("filter", "url"),
    "extract": ("filter", "extract"),
    "language": ("filter", "language"),
    "heuristics": ("filter", "gopher_repetition", "gopher_quality", "c4", "fineweb", "paragraphs"),
    "signatures": ("filter", "signatures"),
    "write": ("filter", "write"),
    "deduplicate": ("dedup",),
    "personal data, corpus": ("corpus",),
    "train the tokenizer": ("count", "train-tokenizer"),
    "encode": ("encode",),
    "pack": ("tokens",),
}
"""Step in performance/ and its stages for each part; without stages, the whole step."""

PR_SET_CHILD_SUBREAPER = 36
"""Makes this process the parent of orphans below it (prctl(2))."""


def main() -> None:
    """Run, measure the bounds, print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="one copy of each page")
    parser.add_argument("--repeat", type=int, default=4, help="copies of each page in the archives")
    parser.add_argument("--text-mb", type=int, default=1000, help="MB of text in Parquet, a tenth with --quick")
    args = parser.parse_args()
    say_load()
    with tempfile.TemporaryDirectory() as folder:
        web, text = Path(folder) / "web", Path(folder) / "text"
        join(shared_data() / "web", web, 2, 1 if args.quick else args.repeat)
        out = measure(web, "pages")
        megabytes = write_texts(out, text, args.text_mb // (10 if args.quick else 1))
        measure(text, "MB of text", megabytes)


def measure(source: Path, unit: str, count: float = 0) -> Path:
    """Run on a folder, print the table, and return the run's folder.

    Args:
        source: The inputs.
        unit: What the time is divided by.
        count: How many there are; 0 for the number of documents that the run reads.
    """
    out = source.with_name(f"{source.name}-out")
    command = [sys.executable, "-m", "curation.jobs.cli", "run", str(source), "--out", str(out)]
    wall, whole = timed_with_orphans([*command, "--recipe", "web", "--workers", "1"])
    show(spent(out), bounds(source, out), whole, wall, count or pages(out), unit)
    return out


def write_texts(out: Path, target: Path, megabytes: int) -> float:
    """Write the documents of a run, altered, as Parquet until there is enough; returns the MB of text."""
    documents = pq.read_table(out / "documents", columns=["text"])["text"].to_pylist()
    size = sum(len(text.encode()) for text in documents) / 1e6
    write(target, [*repeated(documents, round(megabytes / size + 0.5))], "parquet", 8)
    return size * round(megabytes / size + 0.5)


def timed_with_orphans(command: list[str]) -> tuple[float, float]:
    """Seconds of a command, and processor seconds of all its processes, also of those that end after it."""
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    wall = timed(command, dict(os.environ))
    with suppress(ChildProcessError):
        while True:
            os.wait()
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def spent(out: Path) -> dict[str, float]:
    """Seconds of each part."""
    steps: dict[str, Counter[str]] = {}
    for path in (out / "performance").glob("*/*.json"):
        values = json.loads(path.read_text())
        seconds = values["seconds"]
        step = steps.setdefault(path.parent.name, Counter())
        step["whole"] += sum(seconds.values()) if isinstance(seconds, dict) else seconds
        step.update(values.get("stages", {}))
    found = {}
    for part, (*names,) in PARTS.items():
        if names[0] == "filter":
            found[part] = sum(steps["filter"][stage] for stage in names[1:])
        else:
            found[part] = sum(steps[step]["whole"] for step in names if step in steps)
    return found


def bounds(source: Path, out: Path) -> dict[str, tuple[float, str]]:
    """Lower bound in seconds of each part that has one, and what it is."""
    archives = [path.read_bytes() for path in sorted(source.glob("*.warc.gz"))]
    documents = pa.concat_tables(pq.read_table(path) for path in sorted((out / "documents").glob("*.parquet")))
    texts = documents.column("text").to_pylist()
    characters = np.zeros(sum(map(len, texts)), np.uint32)
    copy = cpu(lambda: characters.copy())
    found: dict[str, tuple[float, str]] = {}
    if archives:
        found["read"] = (cpu(lambda: [inflated(data) for data in archives]), "inflating (isal)")
        found["extract"] = (cpu_of_parsing(archives), "parsing with lexbor")
    else:
        found["read"] = (cpu(lambda: pq.read_table(source, use_threads=False)), "reading the same Parquet")
    found["language"] = (cpu_of_language(texts), "fastText's own call, kept documents")
    found["heuristics"] = (5 * copy, "five copies of the text")
    found["signatures"] = (copy, "one copy of the text")
    found["write"] = (
        cpu(lambda: pq.write_table(documents, out / "again.parquet", compression="zstd")),
        "the same Parquet",
    )
    found["personal data, corpus"] = (found["write"][0] + copy, "the same Parquet, a copy of the text")
    found["encode"] = (copy, "one copy of the text")
    return found


def cpu(function: Callable[[], Any]) -> float:
    """Processor seconds of a call."""
    started = time.process_time()
    function()
    return time.process_time() - started


def inflated(data: bytes) -> int:
    """Bytes in an archive, inflated in pieces that stay in the processor's cache."""
    with igzip.IGzipFile(fileobj=io.BytesIO(data)) as file:
        return sum(len(piece) for piece in iter(lambda: file.read(1 << 18), b""))


def cpu_of_parsing(archives: list[bytes]) -> float:
    """Processor seconds of lexbor for the pages."""
    from resiliparse.parse.html import HTMLTree

    members = (member for data in archives for member in iter_members(data) if b"\r\n\r\nHTTP/" in member)
    bodies = [member.split(b"\r\n\r\n", 2)[-1] for member in members]
    pages_html = [body.decode("utf-8", "replace") for body in bodies if b"<" in body[:2000]]
    return cpu(lambda: [HTMLTree.parse(html) for html in pages_html])


def cpu_of_language(texts: list[str]) -> float:
    """Processor seconds of the fastText library."""
    import fasttext

    from curation.language.identify import model_path

    model = fasttext.load_model(str(model_path()))
    lines = [text.replace("\n", " ") for text in texts]
    return cpu(lambda: [model.predict(line) for line in lines])


def show(
    parts: dict[str, float], least: dict[str, tuple[float, str]], whole: float, wall: float, count: float, unit: str
) -> None:
    """Print core-ms of each part per page or MB, its bound and their ratio, then JSON lines."""
    print(f"{count:.0f} {unit}, 1 worker, {wall:.1f} s, {whole:.1f} s of processor time: core-ms for each")
    print(f"{'part':24s}{'ms':>8s}{'bound':>8s}{'ratio':>7s}  bound")
    for part, seconds in parts.items():
        bound, what = least.get(part, (0.0, "none stated"))
        ratio = f"{seconds / bound:7.1f}" if bound else f"{'':7s}"
        print(f"{part:24s}{seconds / count * 1e3:8.3f}{bound / count * 1e3:8.3f}{ratio}  {what}")
    rest = whole - sum(parts.values())
    print(f"{'start-up and exchange':24s}{rest / count * 1e3:8.3f}")
    total, bound = sum(parts.values()), sum(value for value, _ in least.values())
    print(f"{'all parts':24s}{total / count * 1e3:8.3f}{bound / count * 1e3:8.3f}{total / bound:7.1f}")
    figures = {
        "ours": round(total / count * 1e3, 3),
        "peer": round(bound / count * 1e3, 3),
        "ratio": round(total / bound, 2),
    }
    name, each = ("budget.text", "core-ms/MB") if "MB" in unit else ("budget.pages", "core-ms/page")
    print(json.dumps({"name": name, **figures, "unit": each, "n": round(count)}))


if __name__ == "__main__":
    main()
