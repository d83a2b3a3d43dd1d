"""The URL filter's start-up and look-ups compared with datatrove's, each side in its own processes.

Start-up is the time from a running interpreter with the module imported to the first verdict. First start: on a machine
with nothing cached (ours builds its hash file, datatrove unpacks its lists). Later start: every process after that.
`fixed` is ours with `matching = "fixed"`, which finds entries that neither of the other two does.

    python tests/benchmarks/urls.py [--quick] [--runs N]
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PEER = ROOT / ".venv-peers" / "bin" / "python"

TAIL = """
import json, resource, time
urls = [f"https://www.site{n % 900}.co.uk/path/{n}/some-words-here?x={n}" for n in range(20000)]
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
started = time.perf_counter()
judge(urls[:1])
ready = time.perf_counter()
judge(urls)
done = time.perf_counter()
memory = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
print(json.dumps({"start": ready - started, "url": (done - ready) / len(urls), "memory": memory}))
"""

OURS = """
import pyarrow as pa
from curation.stages.batch import Batch
from curation.filters.url import Url
def judge(urls):
    return Url(matching=MATCHING)(Batch(pa.record_batch({"url": urls, "text": [""] * len(urls)})))
"""

THEIRS = """
import logging
logging.disable(logging.CRITICAL)
from loguru import logger
logger.remove()
from datatrove.data import Document
from datatrove.pipeline.filters import URLFilter
made = []
def judge(urls):
    made[:] = made or [URLFilter()]
    for url in urls:
        made[0].filter(Document(text="", id="", metadata={"url": url}))
"""


def main() -> None:
    """Measure both sides and print the table."""
    options = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    options.add_argument("--quick", action="store_true", help="two later starts")
    options.add_argument("--runs", type=int, default=5)
    chosen = options.parse_args()
    if not PEER.exists():
        sys.exit("the peers are not installed: run `make peers`")
    runs = 2 if chosen.quick else chosen.runs
    ours, fixed, theirs = [], [], []
    with tempfile.TemporaryDirectory() as folder:
        for _ in range(runs + 1):
            ours.append(one_process(sys.executable, f"MATCHING = 'reference'{OURS}", folder))
            fixed.append(one_process(sys.executable, f"MATCHING = 'fixed'{OURS}", folder))
            theirs.append(one_process(str(PEER), THEIRS, folder))
    lines = [
        figure("urls.first_start", "s", ours[:1], theirs[:1], "start", 1),
        figure("urls.later_start", "s", ours[1:], theirs[1:], "start", 1),
        figure("urls.look_up", "µs/url", ours[1:], theirs[1:], "url", 1e6),
        figure("urls.memory", "MB/process", ours[1:], theirs[1:], "memory", 1),
        figure("urls.fixed.later_start", "s", fixed[1:], theirs[1:], "start", 1),
        figure("urls.fixed.look_up", "µs/url", fixed[1:], theirs[1:], "url", 1e6),
        figure("urls.fixed.memory", "MB/process", fixed[1:], theirs[1:], "memory", 1),
    ]
    print(f"{'':24}{'ours':>10}{'theirs':>10}{'ratio':>8}  unit")
    for line in lines:
        print(f"{line['name']:24}{line['ours']:>10.3f}{line['peer']:>10.3f}{line['ratio']:>8.2f}  {line['unit']}")
    for line in lines:
        print(json.dumps(line, ensure_ascii=False))


def one_process(python: str, program: str, folder: str) -> dict[str, float]:
    """The measurements of a new process, with its caches in `folder`."""
    environment = os.environ | {"CURATION_CACHE_DIR": f"{folder}/ours", "HF_HOME": f"{folder}/theirs"}
    environment |= {"HF_ASSETS_CACHE": f"{folder}/theirs/assets", "TLDEXTRACT_CACHE": f"{folder}/theirs/suffixes"}
    done = subprocess.run([python, "-c", program + TAIL], env=environment, capture_output=True, text=True, cwd=ROOT)
    if done.returncode:
        sys.exit(done.stderr)
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


def figure(
    name: str, unit: str, ours: list[dict[str, float]], theirs: list[dict[str, float]], key: str, factor: float
) -> dict[str, object]:
    """A figure: the medians of each side."""
    mine = statistics.median(entry[key] for entry in ours) * factor
    other = statistics.median(entry[key] for entry in theirs) * factor
    ratio = round(other / mine, 2)
    return {"name": name, "ours": round(mine, 4), "peer": round(other, 4), "ratio": ratio, "unit": unit, "n": len(ours)}


if __name__ == "__main__":
    main()
