"""The commands about tokens: explain --token, tokenizer-report, export."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from click.testing import Result
from tokenized import PAD, make_run, make_texts, train_tokenizer, write_corpus
from typer.testing import CliRunner

from curation.errors import CurationError, InputError, ParameterError
from curation.jobs.cli import tokens
from curation.jobs.cli.main import app
from curation.store.folder import Folder
from curation.tokenize.encoding.token_shards import TokensSettings
from curation.tokenize.loading.exports import FORMATS

SETTINGS = TokensSettings(sequence_length=32, shard_rows=64, row_group_rows=16, validation_fraction=0.1)
TEXTS = [*make_texts(60, longest=60), "\x1b[31mred\x1b[0m [bold]river[/bold]\n" * 30]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("run")
    make_run(path, TEXTS, SETTINGS)
    return str(path)


def call(*words: str) -> Result:
    return CliRunner().invoke(app, list(words), env={"COLUMNS": "200"})


def answer(*words: str) -> str:
    done = call(*words)
    assert done.exit_code == 0, done.exception
    return done.stdout


def test_explain_a_token(run: str) -> None:
    """The document, its URL, archive and offset are told, and the command that explains it on."""
    rows = pq.read_table(f"{run}/tokens/train-00000.parquet").to_pylist()
    found = json.loads(answer("explain", run, "--token", "train-00000:3:7", "--json"))
    piece = max(at for at, start in enumerate(rows[3]["document_starts"]) if start <= 7)
    name = rows[3]["document_ids"][piece]
    assert (found["token"], found["document_id"]) == (rows[3]["input_ids"][7], name)
    assert found["document"]["url"] == f"https://example.org/{name}"
    assert found["document"]["file_path"] == f"{name.split('/')[0]}.warc.gz"
    assert found["explain"] == f"curate explain {run} {name}"
    shown = answer("explain", run, "--token", "train-00000:3:7")
    assert f"https://example.org/{name}" in shown
    assert f"»{found['text']}«" in shown.replace("\n", "")
    assert f"curate explain {run} {name}" in shown


def test_text_of_a_token_is_safe_to_print(run: str) -> None:
    """Control characters and markup of the page do not reach the terminal."""
    rows = pq.read_table(f"{run}/tokens/train-00000.parquet")["document_ids"].to_pylist()
    row = next(number for number, names in enumerate(rows) if names == ["shard-0/20"])
    shown = answer("explain", run, "--token", f"train-00000:{row}:9")
    assert "\x1b[31m" not in shown
    assert "[bold]river" in shown


def test_padding_is_told(run: str) -> None:
    """A token of padding has no document, and says so."""
    paths = sorted(Path(run).glob("tokens/train-*.parquet"))
    row = pq.read_metadata(paths[-1]).num_rows - 1
    shown = answer("explain", run, "--token", f"{paths[-1].stem}:{row}:31")
    assert PAD in shown
    assert "this is padding" in shown


@pytest.mark.parametrize("words", [(), ("some-id", "--token", "train-00000:0:0")])
def test_explain_takes_one_of_both(run: str, words: tuple[str, ...]) -> None:
    """Neither a key nor a token, or both, is a mistake of usage."""
    done = call("explain", run, *words)
    assert isinstance(done.exception, CurationError)
    assert done.exception.exit_code == 2
    with pytest.raises(InputError, match="SHARD:ROW:POSITION"):
        raise call("explain", run, "--token", "nonsense").exception  # type: ignore[misc]


def test_tokenizer_report_side_by_side(run: str, tmp_path: Path) -> None:
    """Another tokenizer is measured on the same documents; its numbers are those of tokenizers."""
    other = train_tokenizer(TEXTS, 300)
    other.save(str(tmp_path / "other.json"))
    words = ("tokenizer-report", run, "--against", str(tmp_path / "other.json"))
    reports = json.loads(answer(*words, "--json"))["tokenizers"]
    own, theirs = reports["tokenizer/tokenizer.json"], reports[str(tmp_path / "other.json")]
    assert own == Folder(run).read_json("tokenizer/report.json")
    other.encode_special_tokens = True
    assert theirs["corpus"]["tokens"] == sum(len(encoding.ids) for encoding in other.encode_batch(TEXTS))
    for name in ("documents", "bytes", "characters", "words"):
        assert theirs["corpus"][name] == own["corpus"][name]
    shown = answer(*words)
    assert f"{own['corpus']['bytes_per_token']:.3f}" in shown
    assert f"{theirs['corpus']['bytes_per_token']:.3f}" in shown
    assert "example.org" in shown


def test_tokenizer_report_before_the_tokens_are_made(tmp_path: Path) -> None:
    """With a corpus and a tokenizer alone the report is measured now, and says what the step will write."""
    folder, _, _ = make_run(tmp_path / "made", TEXTS, SETTINGS)
    bare = Folder(str(tmp_path / "bare"))
    write_corpus(bare, {f"shard-{number}": TEXTS[number::3] for number in range(3)})
    with pytest.raises(InputError, match="train-tokenizer"):
        raise call("tokenizer-report", bare.url).exception  # type: ignore[misc]
    bare.write("tokenizer/tokenizer.json", folder.read("tokenizer/tokenizer.json"))
    report = json.loads(answer("tokenizer-report", bare.url, "--json"))
    assert report["tokenizers"]["tokenizer/tokenizer.json"] == folder.read_json("tokenizer/report.json")


def test_a_report_of_an_earlier_tokenizer_is_not_shown(tmp_path: Path) -> None:
    """Once the tokenizer is another, the report that stands there counts for nothing."""
    folder, _, _ = make_run(tmp_path, TEXTS, SETTINGS)
    before = folder.read_json("tokenizer/report.json")
    folder.write("tokenizer/tokenizer.json", train_tokenizer(TEXTS, 300).to_str().encode())
    report = json.loads(answer("tokenizer-report", folder.url, "--json"))["tokenizers"]["tokenizer/tokenizer.json"]
    assert report["vocabulary"]["size"] == 300 != before["vocabulary"]["size"]
    assert report["corpus"]["tokens"] > before["corpus"]["tokens"]


def test_a_sample_is_a_share_of_the_documents_by_id(run: str) -> None:
    """Half of the documents are measured, the same ones each time; a share of none is refused."""
    first, again = (answer("tokenizer-report", run, "--sample", "0.5", "--json") for _ in range(2))
    assert first == again
    documents = json.loads(first)["tokenizers"]["tokenizer/tokenizer.json"]["corpus"]["documents"]
    assert len(TEXTS) * 0.25 < documents < len(TEXTS) * 0.75
    with pytest.raises(ParameterError, match="sample"):
        raise call("tokenizer-report", run, "--sample", "0").exception  # type: ignore[misc]


@pytest.mark.parametrize("content", [None, "{}", "no JSON", '{"model": {"type": "BPE", "vocab": {}}}'])
def test_what_is_no_tokenizer_is_an_input_error(run: str, tmp_path: Path, content: str | None) -> None:
    """A file that is not there, or no tokenizer, is named."""
    if content is not None:
        (tmp_path / "other.json").write_text(content)
    with pytest.raises(InputError, match=r"other\.json"):
        raise call("tokenizer-report", run, "--against", str(tmp_path / "other.json")).exception  # type: ignore[misc]


def test_export_writes_each_split(run: str, tmp_path: Path) -> None:
    """Without --split both are written; the ids of bin are the rows' own, in order, without padding."""
    listed = json.loads(answer("export", run, "--format", "bin", "--to", str(tmp_path), "--json"))
    assert {output["path"] for output in listed} == {
        f"{split}{suffix}" for split in ("train", "validation") for suffix in (".bin", ".documents.npy", ".json")
    }
    rows = [np.array(pq.read_table(path)["input_ids"].to_pylist()) for path in sorted(Path(run).glob("tokens/train-*"))]
    written = np.concatenate([part.reshape(-1) for part in rows])
    assert np.fromfile(tmp_path / "train.bin", np.uint16).tolist() == written[written != 1].tolist()
    assert "documents" in answer("export", run, "-f", "megatron", "--to", str(tmp_path / "m"), "--split", "train")
    assert not (tmp_path / "m" / "validation.bin").exists()


def test_help_of_export_names_every_format() -> None:
    """The help shows the formats that exist, in their order."""
    assert f'metavar="{"|".join(FORMATS)}"' in Path(tokens.__file__).read_text(encoding="utf-8")


def test_export_to_an_object_store(run: str) -> None:
    """The target may be any fsspec URL."""
    answer("export", run, "--format", "llmc", "--to", "memory://exported", "--split", "train")
    assert Folder("memory://exported").list() == ["train.json", "train_000000.bin"]


def test_export_refuses_what_cannot_be(run: str, tmp_path: Path) -> None:
    """An unknown format or split, the run's own folder, and a run without tokens are refused."""
    for words, error in {
        ("--format", "tfrecord", "--to", str(tmp_path)): ParameterError,
        ("--format", "bin", "--to", str(tmp_path), "--split", "test"): ParameterError,
        ("--format", "bin", "--to", run): InputError,
    }.items():
        assert isinstance(call("export", run, *words).exception, error)
    make_run(tmp_path / "none", [], replace(SETTINGS), shards=1)
    assert isinstance(
        call("export", str(tmp_path / "none"), "-f", "bin", "--to", f"{tmp_path}/x").exception, InputError
    )
