"""The main job from archives to tokens: complete, reproducible, resumable, with clear errors."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import time
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import processes
import pyarrow.parquet as pq
import pytest
from archives import page, prose, response, write_archive
from processes import command, contents, workers_of

from curation.store import schema

SETTINGS = [
    "tokenizer.vocab_size=600",
    "tokens.sequence_length=64",
    "extract.extractor=resiliparse",
    "tokens.validation_fraction=0.1",
]
SEEDS = {"a": range(10, 22), "b": range(22, 34), "c": range(34, 40)}


@pytest.fixture(scope="module")
def crawl(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three archives: good pages, an exact and an edited copy, and a German, a thin, a listed and a private page."""
    folder = tmp_path_factory.mktemp("crawl")
    for name, seeds in SEEDS.items():
        records = [response(f"https://{name}.org/{seed}", page("good", *prose(seed))) for seed in seeds]
        if name == "b":
            records.append(response("https://b.org/copy", page("copy", *prose(13))))
            records.append(response("https://b.org/edited", page("edited", *prose(14), "One more line stands here.")))
            records.append(
                response("https://b.org/german", page("deutsch", "Der alte Mann ging langsam nach Hause. " * 9))
            )
            records.append(
                response(
                    "https://b.org/thin",
                    page(
                        "thin",
                        "The shop on the corner of our street will be closed until Monday, "
                        "and nobody knows whether that was planned.",
                    ),
                )
            )
            records.append(response("https://b.org/porn-sex", page("listed", *prose(77))))
            private = page("private", *prose(78), "Write to jane.doe@corp.io and she will answer the letter.")
            records.append(response("https://b.org/private", private))
        write_archive(folder / f"{name}.warc.gz", records)
    return folder


curate = partial(processes.curate, settings=SETTINGS)


def rows(out: Path, place: str) -> list[dict[str, Any]]:
    return [row for path in sorted((out / place).glob("*.parquet")) for row in pq.read_table(path).to_pylist()]


@pytest.fixture(scope="module")
def run(crawl: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run in one process."""
    out = tmp_path_factory.mktemp("run") / "out"
    done = curate("run", crawl, "--out", out, "--workers", "0")
    assert done.returncode == 0, done.stderr
    return out


def test_every_document_is_accounted_for(run: Path) -> None:
    """Each page is kept or removed once, with the expected reason, and the corpus has the documented columns."""
    kept = {row["url"] for row in rows(run, "corpus")}
    removed = {row["url"]: row["reason"] for place in ("filter", "dedup") for row in rows(run, f"removed/{place}")}
    assert not kept & set(removed)
    assert len(kept) + len(removed) == 36
    assert removed["https://b.org/copy"] == "dedup.exact_duplicate"
    assert removed["https://b.org/edited"] == "dedup.near_duplicate"
    assert removed["https://b.org/german"] in ("language.languages", "extract.language_floor")
    assert removed["https://b.org/thin"] == "gopher_quality.min_words"
    assert removed["https://b.org/porn-sex"] == "url.hard_word"
    assert len(removed) == 5
    for path in (run / "corpus").glob("*.parquet"):
        assert pq.read_schema(path).equals(schema.DOCUMENT)


def test_columns_are_filled(run: Path) -> None:
    """Language, cluster size, position in the archive, and a token count by the run's own tokenizer are filled."""
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(run / "tokenizer" / "tokenizer.json"))
    sizes = {}
    for row in rows(run, "corpus"):
        assert row["language"] == "en"
        assert row["language_score"] > 0.65
        assert row["warc_offset"] > 0
        assert abs(row["token_count"] - len(tokenizer.encode(row["text"]).ids)) <= 1
        sizes[row["url"]] = row["minhash_cluster_size"]
    assert sizes.pop("https://a.org/13") == 2
    assert sizes.pop("https://a.org/14") == 2
    assert set(sizes.values()) == {1}


def test_personal_data_is_replaced(run: Path) -> None:
    """The address on the page is not in the corpus, and its replacement is."""
    text = next(row["text"] for row in rows(run, "corpus") if row["url"] == "https://b.org/private")
    assert "jane.doe@corp.io" not in text
    assert "@example." in text


def test_tokens_hold_the_corpus_once(run: Path) -> None:
    """The token shards have every token of the corpus, one end token per document, and padding."""
    end = json.loads((run / "tokenizer" / "tokenizer.json").read_text())["model"]["vocab"]["<|endoftext|>"]
    ends = total = 0
    for path in (run / "tokens").glob("*.parquet"):
        table = pq.read_table(path)
        ids = np.concatenate([np.asarray(row) for row in table["input_ids"].to_pylist()])
        starts, names = table["document_starts"].to_pylist(), table["document_ids"].to_pylist()
        padding = sum(64 - row[-1] for row, of in zip(starts, names, strict=True) if of[-1] is None)
        ends += int((ids == end).sum())
        total += len(ids) - padding
    documents = rows(run, "corpus")
    assert ends == len(documents)
    counted = sum(row["token_count"] for row in documents)
    assert total in (counted, counted + len(documents))
    assert len(list((run / "tokens").glob("validation-*.parquet"))) == 1


def test_a_rerun_writes_nothing(crawl: Path, run: Path) -> None:
    """Nothing is repeated, and no file changes."""
    before = {path: path.stat().st_mtime_ns for path in run.rglob("*") if path.is_file()}
    started = time.monotonic()
    done = curate("run", crawl, "--out", run)
    assert done.returncode == 0, done.stderr
    assert {path: path.stat().st_mtime_ns for path in run.rglob("*") if path.is_file()} == before
    assert time.monotonic() - started < 60  # generous, against a hang: workers must not even be started
    assert "workers, dashboard" not in done.stderr


def test_the_same_bytes_for_any_number_of_workers(crawl: Path, run: Path, tmp_path: Path) -> None:
    """Two workers and none write identical files."""
    done = curate("run", crawl, "--out", tmp_path / "out", "--workers", "2")
    assert done.returncode == 0, done.stderr
    assert contents(tmp_path / "out") == contents(run)


def test_a_killed_run_resumes(crawl: Path, run: Path, tmp_path: Path) -> None:
    """After SIGKILL of the driver in the filter step, the same command gives the same bytes and no extra files."""
    out = tmp_path / "out"
    words = command("run", crawl, "--out", out, "--workers", "1", settings=SETTINGS)
    with subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        while process.poll() is None and not any((out / "manifests" / "filter").glob("*")):
            time.sleep(0.01)
        process.send_signal(signal.SIGKILL)
    assert not (out / "manifests" / "report" / "all.json").exists()
    done = curate("run", crawl, "--out", out, "--workers", "0")
    assert done.returncode == 0, done.stderr
    assert contents(out) == contents(run)


def test_a_killed_worker_costs_nothing(crawl: Path, run: Path, tmp_path: Path) -> None:
    """A worker process killed in the filter step is replaced, and the result is the same."""
    out = tmp_path / "out"
    words = command("filter", crawl, "--out", out, "--workers", "2", settings=SETTINGS)
    with subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as process:
        while process.poll() is None and not (out / "documents").exists():
            time.sleep(0.01)
        workers = workers_of(process.pid)
        assert workers
        workers[0].kill()
        _, errors = process.communicate(timeout=300)
    assert process.returncode == 0, errors
    made = contents(out)
    assert made == {name: value for name, value in contents(run).items() if name in made}
    assert len(contents(out, "documents")) == len(SEEDS)


def test_single_steps_make_the_same_run(crawl: Path, run: Path, tmp_path: Path) -> None:
    """The steps as separate commands, with inputs only in the first, give the bytes of the whole run."""
    out = tmp_path / "out"
    assert curate("filter", crawl, "--out", out, "--workers", "0").returncode == 0
    for step in ("dedup", "train-tokenizer", "tokenize"):
        done = curate(step, "--out", out, "--workers", "0", settings=[])
        assert done.returncode == 0, done.stderr
    assert curate("report", out, settings=[]).returncode == 0
    assert contents(out) == contents(run)


def test_a_step_whose_input_is_missing_fails_resumably(crawl: Path, tmp_path: Path) -> None:
    """A step whose input does not exist yet says which step to run first and exits with code 3."""
    done = curate("tokenize", crawl, "--out", tmp_path / "out", "--workers", "0")
    assert done.returncode == 3
    assert "filter" in done.stderr


def test_an_unreadable_input_is_quarantined(crawl: Path, tmp_path: Path) -> None:
    """It is named on stderr and in run.json with its cause, the rest is done, and the exit code is 1."""
    bad = tmp_path / "bad.warc.gz"
    bad.write_bytes(b"no archive at all" * 99)
    done = curate("run", crawl / "a.warc.gz", bad, "--out", tmp_path / "out", "--workers", "0")
    assert done.returncode == 1, done.stderr
    assert "bad.warc.gz" in done.stderr
    (entry,) = json.loads((tmp_path / "out" / "run.json").read_text())["quarantined"]
    assert entry["path"] == str(bad)
    assert "no WARC" in entry["cause"] or "archive" in entry["cause"]
    assert len(rows(tmp_path / "out", "corpus")) == 12


def test_only_unreadable_inputs(tmp_path: Path) -> None:
    """If no input is an archive, later steps are skipped with the cause, the report is made, and it exits with 1."""
    bad = tmp_path / "bad.warc.gz"
    bad.write_bytes(b"no archive at all" * 99)
    done = curate("run", bad, "--out", tmp_path / "out", "--workers", "0")
    assert done.returncode == 1, done.stderr
    for step in ("dedup", "corpus", "train-tokenizer", "tokens"):
        assert f"{step}: skipped, because no input could be read" in done.stderr
    assert "stage" in done.stdout


def test_no_document_is_kept(tmp_path: Path) -> None:
    """If the stages remove every document, the funnel is printed, later steps are skipped, and it exits with 0."""
    write_archive(tmp_path / "thin.warc.gz", [response("https://a.org/1", page("thin", "Too short to keep."))])
    for step in ("run", "tokenize", "run"):
        done = curate(step, tmp_path / "thin.warc.gz", "--out", tmp_path / "out", "--workers", "0")
        assert done.returncode == 0, done.stderr
        assert "tokens: skipped, because no document was kept" in done.stderr
    assert "train-tokenizer: skipped" in done.stderr
    assert "stage" in done.stdout
    assert "removed because" in done.stdout


def read_only(folder: Path, *arguments: str | Path, settings: list[str]) -> subprocess.CompletedProcess[str]:
    """Run `curate` in a mount namespace in which the folder is read-only."""
    mount = 'mount --bind "$0" "$0" && mount -o remount,ro,bind "$0" && exec "$@"'
    words = ["unshare", "--mount", "sh", "-c", mount, str(folder), *command(*arguments, settings=settings)]
    return subprocess.run(words, capture_output=True, text=True, check=False, timeout=300)


def test_a_finished_run_that_cannot_be_written(crawl: Path, run: Path) -> None:
    """On a read-only mount a finished run exits with 0, and one that has something to do with 2 and the cause."""
    if shutil.which("unshare") is None or "ro" not in read_only_mount(run):
        pytest.skip("needs the right to mount")
    before = contents(run)
    done = read_only(run, "run", crawl, "--out", run, "--workers", "0", settings=SETTINGS)
    assert done.returncode == 0, done.stderr
    assert "nothing to do" in done.stderr
    more = [*SETTINGS, "tokens.seed=7"]
    refused = read_only(run, "run", crawl, "--out", run, "--workers", "0", "--update", settings=more)
    assert refused.returncode == 2, refused.stderr
    assert "cannot write" in refused.stderr
    assert "Traceback" not in refused.stderr
    assert contents(run) == before


def read_only_mount(folder: Path) -> str:
    """Options of a read-only mount of the folder, empty if this process may not mount."""
    mount = 'mount --bind "$0" "$0" && mount -o remount,ro,bind "$0" && findmnt -no OPTIONS "$0"'
    words = ["unshare", "--mount", "sh", "-c", mount, str(folder)]
    return subprocess.run(words, capture_output=True, text=True, check=False).stdout


MISTAKES: list[tuple[str, list[str], str]] = [
    ("unknown option", ["run", "{crawl}", "--out", "{out}", "--colour"], "--colour"),
    ("no output", ["run", "{crawl}"], "--out"),
    ("no input", ["run", "--out", "{out}"], "no input"),
    ("missing input", ["run", "{crawl}/none.warc.gz", "--out", "{out}"], "none.warc.gz"),
    ("unknown recipe", ["run", "{crawl}", "--out", "{out}", "--recipe", "finweb"], "fineweb"),
    ("bad key", ["run", "{crawl}", "--out", "{out}", "--set", "c4.min_sentence=3"], "min_sentences"),
    ("bad value", ["run", "{crawl}", "--out", "{out}", "--set", "c4.min_sentences=few"], "'few'"),
    ("unknown step", ["run", "{crawl}", "--out", "{out}", "--steps", "filter,sort"], "sort"),
    (
        "both workers",
        ["run", "{crawl}", "--out", "{out}", "--workers", "1", "--scheduler", "tcp://x:1"],
        "mutually exclusive",
    ),
    ("no scheduler", ["run", "{crawl}", "--out", "{out}", "--scheduler", "/none.json"], "scheduler"),
    ("unwritable", ["run", "{crawl}", "--out", "/proc/none"], "cannot write"),
    ("not a run", ["report", "{crawl}"], "not a curate run"),
    ("not ours", ["run", "{crawl}", "--out", "{crawl}"], "not empty"),
    ("negative workers", ["run", "{crawl}", "--out", "{out}", "--workers", "-1"], "workers"),
]


@pytest.mark.parametrize(("name", "arguments", "message"), MISTAKES, ids=[name for name, _, _ in MISTAKES])
def test_usage_errors_write_nothing(crawl: Path, tmp_path: Path, name: str, arguments: list[str], message: str) -> None:
    """An invalid request exits with code 2, a message that names the mistake, and no output folder."""
    before = contents(crawl)
    done = curate(*[word.format(crawl=crawl, out=tmp_path / "out") for word in arguments], settings=[])
    assert done.returncode == 2, done.stderr
    assert message in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "out").exists()
    assert contents(crawl) == before


def test_the_folder_of_another_recipe_is_refused(crawl: Path, run: Path) -> None:
    """The error for another recipe names what differs, for fewer inputs what is missing; nothing changes."""
    before = contents(run)
    done = curate("run", crawl, "--out", run, settings=[*SETTINGS, "gopher_quality.min_words=60"])
    assert done.returncode == 2
    assert "gopher_quality.min_words: 50 → 60" in done.stderr
    assert "--update" in done.stderr
    done = curate("run", crawl / "a.warc.gz", "--out", run)
    assert done.returncode == 2
    assert "b.warc.gz" in done.stderr
    assert contents(run) == before


def test_update_redoes_only_affected_steps(crawl: Path, tmp_path: Path) -> None:
    """A new vocabulary size does not touch the filter step's files and ends as a run of that recipe would."""
    out, fresh = tmp_path / "out", tmp_path / "fresh"
    assert curate("run", crawl, "--out", out, "--workers", "0").returncode == 0
    kept = {path: path.stat().st_mtime_ns for path in (out / "documents").iterdir()}
    changed = [*SETTINGS[1:], "tokenizer.vocab_size=500"]
    assert curate("run", crawl, "--out", out, "--workers", "0", "--update", settings=changed).returncode == 0
    assert {path: path.stat().st_mtime_ns for path in (out / "documents").iterdir()} == kept
    assert curate("run", crawl, "--out", fresh, "--workers", "0", settings=changed).returncode == 0
    assert contents(out) == contents(fresh)


def test_more_inputs_may_be_added(crawl: Path, tmp_path: Path) -> None:
    """A run extended by an archive says so, and equals one made with all archives at once."""
    out, once = tmp_path / "out", tmp_path / "once"
    first, second = crawl / "a.warc.gz", crawl / "b.warc.gz"
    assert curate("run", first, "--out", out, "--workers", "0").returncode == 0
    extended = curate("run", first, second, "--out", out, "--workers", "0")
    assert extended.returncode == 0
    assert "1 inputs are added to 1: what is made of all is made again" in extended.stderr
    made = curate("run", first, second, "--out", once, "--workers", "0")
    assert made.returncode == 0
    assert "added" not in made.stderr
    assert contents(out) == contents(once)


def test_results_go_to_stdout_and_json_is_for_machines(crawl: Path, run: Path) -> None:
    """With --json stdout is one JSON value and stderr is JSON lines; without it, stdout is the tables."""
    done = curate("run", crawl, "--out", run, "--json")
    stats = json.loads(done.stdout)
    assert stats["stages"]["dedup"]["reasons"] == {"exact_duplicate": 1, "near_duplicate": 1}
    assert all(json.loads(line)["event"] for line in done.stderr.splitlines())
    assert stats == json.loads((run / "report" / "stats.json").read_text())
    plain = curate("report", run, settings=[])
    assert "gopher_quality" in plain.stdout
    assert "gopher_quality" not in plain.stderr
