"""Decontamination in a run, of other corpora, and its measurement."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from archives import page, prose, response, write_archive
from items import FARM, PASSAGE, write_items
from kills import kill_at_rename
from planted import run as run_steps
from typer.testing import CliRunner

from curation.jobs.cli.main import app
from curation.jobs.steps import decontaminate_files


def call(*words: object) -> Any:
    return CliRunner().invoke(app, [str(word) for word in words])


def bytes_of(out: Path) -> dict[str, bytes]:
    """Everything that is the same for equal runs."""
    folders = ("performance", "report")
    paths = [
        path for path in sorted(out.rglob("*")) if path.is_file() and path.relative_to(out).parts[0] not in folders
    ]
    return {str(path.relative_to(out)): path.read_bytes() for path in paths}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A deduplicated run of pages, two of which have an item."""
    folder = tmp_path_factory.mktemp("crawl")
    records = [response(f"https://a.org/{seed}", page("good", *prose(seed))) for seed in range(8)]
    records.append(response("https://a.org/quiz", page("quiz", *prose(20), FARM, *prose(21))))
    records.append(response("https://a.org/cape", page("cape", *prose(22), PASSAGE, *prose(23))))
    write_archive(folder / "a.warc.gz", records)
    out = tmp_path_factory.mktemp("run") / "out"
    run_steps(folder, out, command="filter")
    assert call("dedup", "--out", out, "--workers", 0).exit_code == 0
    return out


@pytest.fixture
def out(made: Path, tmp_path: Path) -> Path:
    """A copy of the run."""
    return Path(shutil.copytree(made, tmp_path / "out"))


def test_a_run_is_decontaminated(out: Path, tmp_path: Path) -> None:
    """The document with a question is removed with evidence, that with a passage is marked, and all commands say so."""
    quiz = write_items(tmp_path)
    before = pq.read_table(out / "corpus")["url"].to_pylist()
    done = call("decontaminate", "--out", out, "--against", quiz, "--workers", 0, "--json")
    assert done.exit_code == 0, done.output
    found = json.loads(done.stdout)["quiz"]
    assert (found["items"], found["drop"], found["cut"], found["mark"]) == (2, 1, 0, 1)
    assert [example["item"] for example in found["examples"]] == ["cape", "farm"]
    assert set(before) - set(pq.read_table(out / "corpus")["url"].to_pylist()) == {"https://a.org/quiz"}
    (removed,) = pq.read_table(out / "removed" / "dedup").to_pylist()
    assert (removed["reason"], removed["signals"]["decontaminate.item"]) == ("decontaminate.min_question", "farm")
    listed = pq.read_table(out / "decontamination").to_pylist()
    assert {(row["url"], row["outcome"]) for row in listed} == {
        ("https://a.org/quiz", "drop"), ("https://a.org/cape", "mark")
    }  # fmt: skip
    explained = call("explain", out, "https://a.org/quiz", "--trust-code").stdout
    assert "decontaminate.min_question" in explained
    assert "Okonkwo" in explained
    report = call("report", out, "--trust-code", "--json")
    assert json.loads(report.stdout)["contamination"]["quiz"]["items"] == 2
    assert "Farmer Okonkwo" in (out / "report" / "index.html").read_text()
    verdict = call("verify", out, "--trust-code").stdout
    assert "decontamination" not in verdict
    assert "wrong" not in verdict


def test_it_is_off_by_default_and_changes_nothing(out: Path, tmp_path: Path) -> None:
    """A run that was decontaminated and then is not any more has the bytes of one that never was."""
    before = bytes_of(out)
    quiz = write_items(tmp_path)
    assert call("decontaminate", "--out", out, "--against", quiz, "--workers", 0).exit_code == 0
    assert bytes_of(out) != before
    words = ("dedup", "--out", out, "--workers", 0, "--set", "decontaminate.against=[]", "--update", "--trust-code")
    assert call(*words).exit_code == 0
    assert bytes_of(out) == before


def test_a_corpus_of_other_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Parquet keeps its columns and JSON Lines its texts; an interrupted command resumes to the same bytes."""
    corpus, quiz = tmp_path / "corpus", write_items(tmp_path)
    corpus.mkdir()
    pq.write_table(pa.table({"stars": [1, 2, 3], "text": ["fine", FARM, "good"]}), corpus / "a.parquet")
    (corpus / "b.jsonl").write_text(json.dumps({"text": f"x {PASSAGE}"}) + "\n" + json.dumps({"text": FARM}) + "\n")
    words = ("decontaminate", corpus, "--against", quiz, "--workers", 0, "--json")
    whole = call(*words, "--out", tmp_path / "whole")
    assert whole.exit_code == 0, whole.output
    assert json.loads(whole.stdout)["quiz"]["drop"] == 2
    tables = [pq.read_table(path) for path in sorted((tmp_path / "whole" / "corpus").glob("*.parquet"))]
    assert tables[0].to_pydict() == {"stars": [1, 3], "text": ["fine", "good"]}
    assert tables[1]["id"].to_pylist() == [f"{corpus}/b.jsonl#0"]
    make = decontaminate_files.decontaminate_file

    def fail_on_second(task: decontaminate_files.CorpusFile) -> dict[str, int]:
        if task.path.endswith("b.jsonl"):
            raise ValueError("stopped")
        return make(task)

    monkeypatch.setattr(decontaminate_files, "decontaminate_file", fail_on_second)
    assert call(*words, "--out", tmp_path / "again").exception.exit_code == 3
    monkeypatch.undo()
    assert call(*words, "--out", tmp_path / "again").exit_code == 0
    assert bytes_of(tmp_path / "again") == bytes_of(tmp_path / "whole")


def test_killed_at_any_file_it_resumes(out: Path, tmp_path: Path) -> None:
    """After SIGKILL before any rename, of a run or of files, no file is half-written, and a rerun gives equal bytes."""
    corpus, quiz = tmp_path / "corpus", write_items(tmp_path)
    corpus.mkdir()
    for name in ("a", "b"):
        (corpus / f"{name}.jsonl").write_text(json.dumps({"text": FARM}) + "\n" + json.dumps({"text": name}) + "\n")
    options = ("--against", quiz, "--workers", 0, "--trust-code")
    before = bytes_of(out)
    for words, start in (((), out), ((corpus,), tmp_path / "none")):
        whole, again = (tmp_path / f"{name}{len(words)}" for name in ("whole", "again"))
        for copy in (whole, again):
            if start.exists():
                shutil.copytree(start, copy)
        assert call("decontaminate", *words, "--out", whole, *options).exit_code == 0
        expected = bytes_of(whole)
        kills = 0
        while kill_at_rename(kills + 1, "decontaminate", *words, "--out", again, *options):
            kills += 1
            for name, content in bytes_of(again).items():
                assert content in (expected.get(name), before.get(name)) or Path(name).name.startswith("."), name
        assert kills >= 3
        assert bytes_of(again) == expected


def test_a_corpus_is_not_its_own_output(tmp_path: Path) -> None:
    """An output folder in the corpus, or a corpus in the output, is refused: a rerun would read what it wrote."""
    quiz, corpus = write_items(tmp_path), tmp_path / "corpus"
    corpus.mkdir()
    (corpus / "a.jsonl").write_text(json.dumps({"text": FARM}) + "\n")
    for source, out in (
        (corpus, corpus),
        (corpus, corpus / "clean"),
        (corpus, tmp_path),
        (corpus / "a.jsonl", tmp_path),
    ):
        done = call("decontaminate", source, "--out", out, "--against", quiz, "--workers", 0)
        assert done.exception.exit_code == 2
        assert "would take its own output for the corpus" in str(done.exception)
    assert bytes_of(corpus).keys() == {"a.jsonl"}


def test_recall_is_measured(out: Path, tmp_path: Path) -> None:
    """--plant prints recall by kind and precision, and writes nothing."""
    before = bytes_of(out)
    done = call("decontaminate", "--out", out, "--against", write_items(tmp_path), "--plant", 25, "--json")
    assert done.exit_code == 0, done.output
    result = json.loads(done.stdout)
    assert result["planted"] == 25
    assert result["too_short"] == {"quiz": 1}
    assert set(result["recall"]) == {"verbatim", "rewrapped", "embedded", "edited", "recased"}
    # One item of four cannot be matched, and two are really on untouched pages.
    assert 0.5 < sum(result["recall"].values()) / 5 < 1
    assert result["flagged"] == 2
    assert bytes_of(out) == before


def test_a_damaged_file_is_named_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Damage behind the first rows is not taken for a failure of storage, which may pass and is tried again."""
    monkeypatch.setenv("CURATION_RETRY_SECONDS", "1")
    path = tmp_path / "a.parquet"
    pq.write_table(pa.table({"text": [f"text {number}" for number in range(6000)]}), path, row_group_size=3000)
    data = bytearray(path.read_bytes())
    begin = pq.read_metadata(path).row_group(1).column(0).data_page_offset
    data[begin : begin + 20] = b"\xff" * 20
    path.write_bytes(data)
    done = call("decontaminate", path, "--against", write_items(tmp_path), "--out", tmp_path / "out", "--workers", 0)
    assert done.exception.exit_code == 3
    assert str(done.exception).startswith(f"decontaminate: {path}: cannot be read: ")
    assert "tried again" not in done.output


def test_bad_input_writes_nothing(made: Path, tmp_path: Path) -> None:
    """Evals without the named field, a corpus of no documents, and no corpus give one line and exit code 2."""
    quiz, out = write_items(tmp_path), tmp_path / "out"
    (tmp_path / "empty.jsonl").write_text("")
    (tmp_path / "other.jsonl").write_text('{"body": 1}\n')
    for words, message in (
        ((tmp_path / "empty.jsonl", "--against", quiz), "no documents"),
        ((tmp_path / "other.jsonl", "--against", quiz), 'no field "text"'),
        ((tmp_path / "other.jsonl",), "--against"),
        ((tmp_path / "other.jsonl", "--against", tmp_path / "*.none"), "no Parquet, JSON Lines or text file"),
        ((tmp_path / "other.jsonl", "--against", f"{quiz}#question=prompt"), "no item has the field 'prompt'"),
        (("--against", quiz), "holds no run"),
    ):
        done = call("decontaminate", *words, "--out", out, "--workers", 0)
        assert done.exception.exit_code == 2, done.output
        assert message in str(done.exception)
        assert not out.exists()
    before = bytes_of(made)
    assert call("decontaminate", "--out", made, "--against", f"{quiz}#question=prompt").exception.exit_code == 2
    assert bytes_of(made) == before
