"""Tokenizer training compared with tokenizers' BpeTrainer: wall time and peak memory of whole processes.

Ours is the step that `curate train-tokenizer` runs: read the corpus, count (in threads, or in workers where that pays),
merge the counts, learn the merges, write tokenizer.json. tokenizers reads the same Parquet files and trains from an
iterator. Each side runs in its own process, in turn, at four sizes. Memory is that of the process and its children,
sampled every 50 ms, as the sum of resident memory (RSS, which counts shared pages in each process) and of proportional
shares (PSS). Merges must be equal at every size, and on the smallest one for a grid of settings.

The text is that of Debian's documentation packages (about 280 MB in 26 languages), fetched with `apt-get download`, or
the files below --text (HTML is stripped; a Parquet file with a column `text` works too).

    python tests/benchmarks/bpe.py [--quick] [--text DIR|FILE.parquet] [--vocabulary N] [--workers N] [--shares 0.5,1]
                                   [--no-grid]
"""

from __future__ import annotations

import argparse
import json
import random
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from multiprocessing import Pool
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "tests"), str(ROOT / "tests" / "support")]

LANGUAGES = (
    "cs",
    "de",
    "el",
    "es",
    "fr",
    "hi",
    "hu",
    "it",
    "ja",
    "ko",
    "nl",
    "pl",
    "pt-br",
    "ru",
    "sv",
    "tr",
    "vi",
    "zh-cn",
)
PACKAGES = (
    "openjdk-17-doc", "debian-handbook", "python3.11-doc", "postgresql-doc-15", "linux-doc-6.1",
    *(f"libreoffice-help-{language}" for language in LANGUAGES),
)  # fmt: skip
SUFFIXES = {".html", ".htm", ".txt", ".rst", ".md"}
SHARES = (0.125, 0.25, 0.5, 1.0)
SHARD_BYTES = 16 << 20
SAMPLING_SECONDS = 0.05
QUICK_BYTES = 16 << 20

GRID: tuple[dict[str, Any], ...] = (
    {"vocab_size": 1000},
    {"vocab_size": 32_000, "pattern": "gpt2"},
    {"vocab_size": 32_000, "pattern": "o200k"},
    {"vocab_size": 32_000, "digits": "single", "min_frequency": 5},
    {"vocab_size": 32_000, "max_token_length": 12},
    {"vocab_size": 100_000},
)


def read_file(path: str) -> str:
    """The text of a file."""
    data = Path(path).read_bytes().decode("utf-8", "replace")
    if not path.endswith((".html", ".htm")):
        return data
    from resiliparse.extract.html2text import extract_plain_text

    return str(extract_plain_text(data, main_content=False))


def read_texts(source: Path) -> list[str]:
    """The texts of a Parquet file or of all files below a folder, shuffled so that languages are mixed."""
    if source.is_file():
        import pyarrow.parquet as pq

        texts = pq.read_table(source, columns=["text"])["text"].to_pylist()
    else:
        paths = sorted(str(path) for path in source.rglob("*") if path.suffix in SUFFIXES and path.is_file())
        with Pool(2) as pool:
            texts = pool.map(read_file, paths, chunksize=64)
    texts = [text for text in texts if text]
    random.Random(0).shuffle(texts)
    return texts


def fetch(folder: Path) -> Path:
    """Download and unpack Debian's packages."""
    unpacked = folder / "unpacked"
    for package in PACKAGES:
        done = subprocess.run(["apt-get", "download", package], cwd=folder, capture_output=True, text=True, check=False)
        if done.returncode:
            print(f"download failed: {package}: {done.stderr.strip().splitlines()[-1:]}", file=sys.stderr)
    for archive in folder.glob("*.deb"):
        subprocess.run(["dpkg-deb", "-x", str(archive), str(unpacked)], check=True)
    if not unpacked.is_dir():
        sys.exit("no text: name a folder or a Parquet file with --text")
    return unpacked


def web_texts() -> list[str]:
    """The text of the pages of the test data."""
    from conftest import find_shared_data
    from encoding import web_texts as texts_of

    data = find_shared_data()
    return list(texts_of(sorted((data / "web").glob("*.warc.gz")))) if data else []


def write_corpora(texts: Sequence[str], shares: Sequence[float], scratch: Path) -> dict[float, Path]:
    """Write a corpus of each share of the texts, in shards of about SHARD_BYTES."""
    from tokenized import write_corpus

    from curation.store.folder import Folder

    total = sum(len(text.encode("utf-8", "replace")) for text in texts)
    folders = {}
    for share in shares:
        part = [text.encode("utf-8", "replace").decode() for text in texts[: int(share * len(texts))]]
        shards = max(2, round(share * total / SHARD_BYTES))
        folders[share] = scratch / f"corpus-{share}"
        write_corpus(Folder(str(folders[share])), {f"s{n:03d}": part[n::shards] for n in range(shards)})
    return folders


@dataclass(frozen=True, slots=True)
class SideRun:
    """A run of one side: wall and processor seconds, peak RSS and PSS in bytes, and the statistics it printed."""

    seconds: float
    processor: float
    resident: int
    proportional: int
    statistics: dict[str, Any]


def tree_memory(process: Any) -> tuple[int, int]:
    """RSS and PSS, in bytes, of a process and its descendants."""
    import psutil

    resident = proportional = 0
    try:
        members = [process, *process.children(recursive=True)]
    except psutil.NoSuchProcess:
        return 0, 0
    for member in members:
        try:
            lines = Path(f"/proc/{member.pid}/smaps_rollup").read_text().splitlines()
        except OSError:
            continue
        sizes = {line.split(":")[0]: int(line.split()[1]) * 1024 for line in lines if line.endswith("kB")}
        resident += sizes.get("Rss", 0)
        proportional += sizes.get("Pss", 0)
    return resident, proportional


def processor_seconds() -> float:
    """Processor time of all child processes that have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def run_side(side: str, folder: Path, settings: dict[str, Any], workers: int) -> SideRun:
    """Run one side in its own process and sample its memory."""
    import psutil

    words = [sys.executable, __file__, "--side", side, "--folder", str(folder), "--settings", json.dumps(settings)]
    started, before = time.perf_counter(), processor_seconds()
    with subprocess.Popen([*words, "--workers", str(workers)], stdout=subprocess.PIPE, text=True) as child:
        process = psutil.Process(child.pid)
        resident = proportional = 0
        while child.poll() is None:
            now = tree_memory(process)
            resident, proportional = max(resident, now[0]), max(proportional, now[1])
            time.sleep(SAMPLING_SECONDS)
        seconds = time.perf_counter() - started
        printed = child.stdout.read() if child.stdout else ""
    if child.returncode:
        sys.exit(f"{side} failed")
    return SideRun(seconds, processor_seconds() - before, resident, proportional, json.loads(printed.splitlines()[-1]))


def ours(folder: Path, settings: dict[str, Any], workers: int) -> dict[str, Any]:
    """Run the training step."""
    from curation.jobs.steps.progress import Progress
    from curation.jobs.steps.train_tokenizer import make_tokenizer
    from curation.running.cluster import open_cluster
    from curation.store.folder import Folder
    from curation.tokenize.training.settings import TokenizerSettings

    out = Folder(str(folder))
    shards = sorted(path.stem for path in (folder / "corpus").glob("*.parquet"))
    for path in ("manifests", "performance", "tokenizer"):
        out.remove(path)
    with open_cluster(workers=workers) as cluster:
        made = make_tokenizer(
            out, shards, TokenizerSettings(**settings), "benchmark", "benchmark", cluster, Progress("silent")
        )
    stages = out.read_json("performance/train-tokenizer/all.json")["stages"]
    return {"stages": stages, "counts": dict(made.counts)}


def tokenizers_trainer(folder: Path, settings: dict[str, Any]) -> dict[str, Any]:
    """Run tokenizers' trainer on an iterator over the same files; writes reference.json next to the corpus."""
    import pyarrow.parquet as pq
    from tokenizers import Regex, Tokenizer, models, pre_tokenizers, trainers

    from curation.tokenize.training.settings import TokenizerSettings

    chosen = TokenizerSettings(**settings)
    tokenizer = Tokenizer(models.BPE())
    split = pre_tokenizers.Split(Regex(chosen.split_pattern), "isolated")
    byte_level = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([split, byte_level])
    trainer = trainers.BpeTrainer(
        vocab_size=chosen.vocab_size - len(chosen.special_tokens),
        min_frequency=chosen.min_frequency,
        max_token_length=chosen.max_token_length,
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )

    def batches() -> Iterator[list[str]]:
        for path in sorted((folder / "corpus").glob("*.parquet")):
            for batch in pq.ParquetFile(path).iter_batches(256, columns=["text"]):
                yield batch["text"].to_pylist()

    tokenizer.train_from_iterator(batches(), trainer)
    tokenizer.save(str(folder / "reference.json"))
    return {}


def is_equal(folder: Path) -> bool:
    """Whether both files have the same merges in the same order, and the same tokens except our special ones."""
    mine = json.loads((folder / "tokenizer" / "tokenizer.json").read_text())["model"]
    theirs = json.loads((folder / "reference.json").read_text())["model"]
    return bool(mine["merges"] == theirs["merges"] and theirs["vocab"].items() <= mine["vocab"].items())


def compare(folder: Path, settings: dict[str, Any], workers: int) -> tuple[SideRun, SideRun]:
    """Run both sides in turn; exits if their merges differ."""
    mine, theirs = run_side("ours", folder, settings, workers), run_side("tokenizers", folder, settings, 0)
    if not is_equal(folder):
        sys.exit(f"merges differ: {settings}, {folder}")
    return mine, theirs


def compile_seconds(folder: Path, workers: int) -> float:
    """Seconds that the first run on a machine takes longer than the second, because numba compiles and caches."""
    settings = {"vocab_size": 300}
    first, second = (run_side("ours", folder, settings, workers).seconds for _ in range(2))
    return max(first - second, 0.0)


def clear_compiled() -> None:
    """Remove the trainer's kernels from numba's cache."""
    for path in (ROOT / "tokenize" / "training" / "__pycache__").glob("*.nb?"):
        path.unlink()


def show(share: float, megabytes: float, mine: SideRun, theirs: SideRun) -> None:
    """Print a line of the table."""
    words = " ".join(f"{name} {seconds:.1f}" for name, seconds in mine.statistics["stages"].items())
    print(
        f"{megabytes:8.1f} MB {mine.seconds:8.1f} s {theirs.seconds:8.1f} s {theirs.seconds / mine.seconds:6.1f}x"
        f" {mine.processor:7.1f} {theirs.processor:7.1f} s {theirs.processor / mine.processor:6.1f}x"
        f" {mine.proportional / 1e6:7.0f} {theirs.proportional / 1e6:7.0f} MB"
        f" {theirs.proportional / mine.proportional:5.2f}x"
        f" {mine.resident / 1e6:7.0f} {theirs.resident / 1e6:7.0f} MB"
        f" {theirs.resident / mine.resident:5.2f}x   {words}",
        flush=True,
    )


def figure(name: str, mine: float, theirs: float, unit: str, n: int) -> dict[str, Any]:
    """A figure where less is better."""
    ratio = round(theirs / max(mine, 1e-9), 2)
    return {"name": name, "ours": round(mine, 2), "peer": round(theirs, 2), "ratio": ratio, "unit": unit, "n": n}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--quick", action="store_true", help="16 MB of text and a short grid")
    parser.add_argument(
        "--text", type=Path, help="folder of text or HTML files, or a Parquet file, instead of Debian's packages"
    )
    parser.add_argument("--vocabulary", type=int, default=100_000)
    parser.add_argument("--workers", type=int, default=2, help="worker processes of our side; 0: all in one process")
    parser.add_argument("--shares", default=",".join(map(str, SHARES)), help="shares of the text to train on")
    parser.add_argument("--no-grid", action="store_true", help="skip the grid of settings")
    for name in ("side", "folder", "settings"):
        parser.add_argument(f"--{name}", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.side:
        work = (Path(options.folder), json.loads(options.settings))
        print(json.dumps(ours(*work, options.workers) if options.side == "ours" else tokenizers_trainer(*work)))
        return
    with tempfile.TemporaryDirectory(prefix="bpe-") as name:
        measure(options, Path(name))


def measure(options: argparse.Namespace, scratch: Path) -> None:
    """Run everything in a scratch folder."""
    texts = gather_texts(options, scratch)
    if options.quick:
        texts = shorten(texts, QUICK_BYTES)
    shares = [float(share) for share in options.shares.split(",")]
    folders = write_corpora(texts, shares, scratch)
    clear_compiled()
    compiling = compile_seconds(folders[shares[0]], options.workers)
    print(f"first run on a machine: {compiling:.0f} s more to compile kernels, then cached on disk\n")
    print("    text        ours  tokenizers  ratio   CPU ours  theirs  ratio    PSS ours  theirs  ratio", end="")
    print("   RSS ours  theirs  ratio   stages, s")
    figures = []
    for share, folder in folders.items():
        mine, theirs = compare(folder, {"vocab_size": options.vocabulary}, options.workers)
        megabytes = mine.statistics["counts"]["bytes"] / 1e6
        show(share, megabytes, mine, theirs)
        n = mine.statistics["counts"]["documents"]
        figures.append(figure(f"bpe.seconds_{megabytes:.0f}_mb", mine.seconds, theirs.seconds, "s", n))
        figures.append(figure(f"bpe.cpu_seconds_{megabytes:.0f}_mb", mine.processor, theirs.processor, "s", n))
        memory = (mine.proportional / 1e6, theirs.proportional / 1e6)
        figures.append(figure(f"bpe.peak_memory_{megabytes:.0f}_mb", *memory, "MB", n))
    grid = GRID[: 0 if options.no_grid else 3 if options.quick else len(GRID)]
    for settings in grid:
        compare(folders[shares[0]], settings, options.workers)
        print(f"equal merges: {json.dumps(settings)}", flush=True)
    if grid:
        figures.append(figure("bpe.settings_with_equal_merges", len(grid), len(grid), "settings", len(grid)))
    for line in figures:
        print(json.dumps(line))


def gather_texts(options: argparse.Namespace, scratch: Path) -> list[str]:
    """The texts that the options select."""
    if options.text is not None:
        return read_texts(options.text)
    if options.quick and (texts := web_texts()):
        return texts
    unpacked = fetch(scratch)
    texts = read_texts(unpacked)
    shutil.rmtree(unpacked)
    return texts


def shorten(texts: Sequence[str], most: int) -> list[str]:
    """The first texts, of about `most` characters in total."""
    taken, size = [], 0
    for text in texts:
        if size > most:
            break
        taken.append(text)
        size += len(text)
    return taken


if __name__ == "__main__":
    main()
