"""Reading archives compared with warcio, and archives to text compared with datatrove's reader, which uses warcio.

Two figures: `records` finds every response record and takes its body without decoding; `pages` is all of reading, up to
decoded HTML (the reference detects the type, and the charset of what is not UTF-8). Both sides take turns, in one
process per pass, in processor time, so that other load matters little.

    python tests/benchmarks/reading.py [--quick] [--runs N] [FILE ...]
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
from pathlib import Path

from sources import PEER, ROOT, shared_data

HEAD = """
import json, logging, sys, time
logging.disable(logging.CRITICAL)
def timed(work, paths):
    work(paths[:1])
    started = time.process_time()
    count, size = work(paths)
    return {"seconds": time.process_time() - started, "count": count, "size": size}
"""

OURS = """
from collections import Counter
from curation.archives.records import read_records
from curation.archives.http import parse_response
from curation.archives.reader import ReadSettings, read_batches
def records(paths):
    count = size = 0
    for path in paths:
        with open(path, "rb") as stream:
            for record in read_records(stream, Counter(), frozenset({"response"}), 1 << 30):
                count, size = count + 1, size + len(parse_response(record.buffer, record.start, record.end).body)
    return count, size
def pages(paths):
    count = size = 0
    for path in paths:
        with open(path, "rb") as stream:
            for batch in read_batches(stream, path, ReadSettings(), Counter()):
                count, size = count + len(batch), size + batch.table.nbytes
    return count, size
"""

THEIRS = """
from warcio.archiveiterator import ArchiveIterator
from datatrove.pipeline.readers.warc import process_record
def records(paths):
    count = size = 0
    for path in paths:
        with open(path, "rb") as stream:
            for record in ArchiveIterator(stream):
                if record.rec_type == "response":
                    count, size = count + 1, size + len(record.content_stream().read())
    return count, size
def pages(paths):
    count = size = 0
    for path in paths:
        with open(path, "rb") as stream:
            for record in ArchiveIterator(stream):
                page = process_record(record)
                if page:
                    count, size = count + 1, size + len(page["text"])
    return count, size
"""

TAIL = """
print(json.dumps({work.__name__: timed(work, sys.argv[1:]) for work in (records, pages)}))
"""

Pass = dict[str, dict[str, float]]


def main() -> None:
    """Measure both sides and print the table."""
    options = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    options.add_argument("files", nargs="*", help="archives; by default the test pages")
    options.add_argument("--quick", action="store_true", help="two archives")
    options.add_argument("--runs", type=int, default=5)
    chosen = options.parse_args()
    if not PEER.exists():
        sys.exit("the peers are not installed: run `make peers`")
    files = chosen.files or [str(path) for path in shared_archives()][: 2 if chosen.quick else None]
    ours: list[Pass] = []
    theirs: list[Pass] = []
    for _ in range(chosen.runs):
        ours.append(one_pass(Path(sys.executable), HEAD + OURS + TAIL, files))
        theirs.append(one_pass(PEER, HEAD + THEIRS + TAIL, files))
    packed = sum(Path(file).stat().st_size for file in files)
    print(
        f"{len(files)} archives of {packed / 1e6:.0f} MB, median of {chosen.runs} passes, ms of processor time per page"
    )
    print(f"{'':10}{'pages':>8}{'ours':>10}{'theirs':>10}{'ratio':>8}")
    figures = [figure(name, ours, theirs) for name in ("records", "pages")]
    for name, line in zip(("records", "pages"), figures, strict=True):
        print(f"{name:10}{line['n']:>8}{line['ours']:>10.3f}{line['peer']:>10.3f}{line['ratio']:>8.2f}")
    for line in figures:
        print(json.dumps(line))


def shared_archives() -> list[Path]:
    """The archives of test pages."""
    return sorted((shared_data() / "web").glob("*.warc.gz"))


def one_pass(python: Path, program: str, files: list[str]) -> Pass:
    """Seconds, count and size of each kind of work, measured in a new process."""
    command = [str(python), "-c", program, *files]
    found: Pass = json.loads(subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT).stdout)
    return found


def figure(name: str, ours: list[Pass], theirs: list[Pass]) -> dict[str, object]:
    """A figure: milliseconds per page on each side."""
    count = int(ours[0][name]["count"])
    mine = statistics.median(entry[name]["seconds"] for entry in ours) / count * 1000
    other = statistics.median(entry[name]["seconds"] for entry in theirs) / count * 1000
    peer = "warcio" if name == "records" else "datatrove's reader"
    return {
        "name": f"reading.{name}",
        "ours": round(mine, 4),
        "peer": round(other, 4),
        "ratio": round(other / mine, 2),
        "unit": f"ms/page ({peer})",
        "n": count,
    }


if __name__ == "__main__":
    main()
