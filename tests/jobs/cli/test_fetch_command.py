"""The command `curate fetch`: what it prints, and its exit codes."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from commoncrawl import CRAWL, crawl_server, pages, write_crawl_data
from typer.testing import CliRunner

from curation.errors import InputError, UsageError
from curation.jobs.cli.main import app

pytest.importorskip("duckdb")

OPTIONS = ("--workers", "0", "--rate", "500", "--set", "url.builtin_lists=false")


@pytest.fixture(scope="module")
def crawl(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    folder = tmp_path_factory.mktemp("commoncrawl")
    write_crawl_data(folder, pages(40))
    with crawl_server(folder) as server:
        (folder / "url").write_text(server.url)
        yield folder


def call(crawl: Path, monkeypatch: pytest.MonkeyPatch, *words: str) -> Any:
    monkeypatch.setenv("CURATE_COMMONCRAWL", (crawl / "url").read_text())
    monkeypatch.setenv("CURATION_RETRY_SECONDS", "0")
    return CliRunner().invoke(app, ["fetch", f"cc:{CRAWL}", *OPTIONS, *words])


def test_a_dry_run_and_the_fetch(crawl: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A dry run prints the plan, and the command without it the same plan and what was done."""
    words = ("--where", "url_host_tld = 'de'", "--out", str(tmp_path / "out"))
    dry = call(crawl, monkeypatch, *words, "--dry-run")
    assert dry.exit_code == 0, dry.output
    lines = [line.split(maxsplit=1) for line in dry.stdout.splitlines()]
    assert [line[0] for line in lines] == ["matches", "plan"]
    done = call(crawl, monkeypatch, *words)
    assert done.exit_code == 0, done.output
    assert done.stdout.splitlines()[:2] == dry.stdout.splitlines()
    assert done.stdout.splitlines()[2] == "written    15 records"
    assert "15 records of" in done.stderr
    printed = call(crawl, monkeypatch, *words, "--json")
    assert json.loads(printed.stdout)["written"] == 15


def test_what_is_not_there_is_named(crawl: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Entries without a record are listed, and a lost record leads to exit code 1."""
    (tmp_path / "list.txt").write_text("host0.de\nnosuch.example\n")
    folder = crawl / "crawl-data" / CRAWL
    archive = next(folder.rglob("warc/*-00001.warc.gz"))
    archive.rename(crawl / "moved")
    try:
        done = call(crawl, monkeypatch, "--urls", str(tmp_path / "list.txt"), "--out", str(tmp_path / "out"))
    finally:
        (crawl / "moved").rename(archive)
    assert done.exit_code == 1, done.output
    assert "not found  1 of the list: nosuch.example" in done.stdout
    assert "written    7 records, 3 lost (gone 3)" in done.stdout


def test_every_request_has_the_contact(crawl: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """--contact is sent with all requests, also with those for lists, for sizes and for the index."""
    monkeypatch.setenv("CURATE_CONTACT", "")  # and so restored at the end
    with crawl_server(crawl) as server:
        monkeypatch.setenv("CURATE_COMMONCRAWL", server.url)
        words = ("--where", "true", "--out", str(tmp_path / "out"), "--dry-run", "--contact", "me@example.org")
        done = CliRunner().invoke(app, ["fetch", f"cc:{CRAWL}", *OPTIONS, *words])
        assert done.exit_code == 0, done.output
        (agent,) = server.seen.agents
    assert agent.endswith("(me@example.org)")


@pytest.mark.parametrize(
    ("words", "error"),
    [
        (("--where", "true", "--contact", "müller"), UsageError),
        (("--where", "nosuch = 1"), UsageError),
        (("--where", "false"), InputError),
        ((), UsageError),
        (("--urls", "nosuch.txt"), InputError),
        (("--where", "true", "--scheduler", "tcp://x"), UsageError),
        (("--where", "true", "--parallel", "1", "--workers", "2"), UsageError),
    ],
    ids=str,
)
def test_usage_errors(
    crawl: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...], error: type[UsageError]
) -> None:
    """A request that cannot be served exits with code 2, and no file is left."""
    done = call(crawl, monkeypatch, *words, "--out", str(tmp_path / "out"))
    assert isinstance(done.exception, error)
    assert done.exception.exit_code == 2
    assert "[Errno" not in str(done.exception)
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]
