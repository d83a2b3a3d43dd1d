"""Crawls by name, and samples of their archives."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from commoncrawl import CRAWL, Misbehavior, crawl_server, pages, write_crawl_data
from hypothesis import given, settings
from hypothesis import strategies as st
from object_storage import free_port

from curation.archives.commoncrawl.names import archives_of, index_files_of, parse_name
from curation.archives.inputs import find_inputs, in_sample
from curation.archives.reader import dump_of
from curation.errors import InputError

OTHER = "CC-MAIN-2024-51"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """Two crawls, the first with 12 archives."""
    folder = tmp_path_factory.mktemp("commoncrawl")
    write_crawl_data(folder, pages(12), archives=2, crawl=OTHER)
    write_crawl_data(folder, pages(24), archives=12)
    with crawl_server(folder) as server:
        yield server


@pytest.fixture(autouse=True)
def _addresses(server: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CURATE_COMMONCRAWL", f"{server.url}/")
    monkeypatch.setenv("CURATE_COMMONCRAWL_INDEX", server.url)
    monkeypatch.setenv("CURATION_RETRY_SECONDS", "0")


def test_a_name_means_the_archives_of_a_crawl(server: Any) -> None:
    """The name of a crawl gives the URLs in its list, in the order of the list, below the address that is set."""
    found = archives_of(f"cc:{CRAWL}")
    assert len(found) == 12
    assert all(url.startswith(f"{server.url}/crawl-data/{CRAWL}/segments/17") for url in found)
    assert [url.rpartition("-")[2] for url in found] == [f"{number:05d}.warc.gz" for number in range(12)]


def test_latest_is_the_newest_crawl() -> None:
    """cc:latest means the first crawl in the list of crawls."""
    assert archives_of("cc:latest") == archives_of(f"cc:{CRAWL}")


def test_wet_and_segments() -> None:
    """/wet means the texts, and the path of a segment, or more of it, the archives below it."""
    assert {url.rpartition(".warc")[2] for url in archives_of(f"cc:{CRAWL}/wet")} == {".wet.gz"}
    segment = archives_of(f"cc:{CRAWL}/segments/171.0")
    assert len(segment) == 6
    assert archives_of(f"cc:{CRAWL}/segments/171.0/") == segment
    assert {url.rpartition(".warc")[2] for url in archives_of(f"cc:{CRAWL}/segments/171.0/wet")} == {".wet.gz"}
    name = segment[3].partition("crawl-data/")[2]
    assert archives_of(f"cc:{name}") == [segment[3]]


def test_several_crawls_are_told_apart() -> None:
    """The archives of two crawls are inputs of one run, and their paths say from which dump they are."""
    inputs = find_inputs([f"cc:{OTHER}", f"cc:{CRAWL}/segments/170.0"])
    assert [dump_of(each.path) for each in inputs] == [OTHER] * 2 + [CRAWL] * 6
    assert all(each.size and each.version for each in inputs)


def test_the_index_of_a_crawl() -> None:
    """Only the files of the index that describe WARC archives are listed."""
    found = index_files_of(f"cc:{CRAWL}", CRAWL)
    assert [url.rpartition("/")[2] for url in found] == ["part-00000.gz.parquet", "part-00001.gz.parquet"]
    assert all("/subset=warc/" in url for url in found)


@pytest.mark.parametrize(
    "name",
    ["CC-MAIN-2099-99", "newest", "", "CC-MAIN-2025-08/wat", f"{CRAWL}/segments/99", f"{CRAWL}/segments/../..", "a\nb"],
)
def test_a_name_that_means_nothing(name: str) -> None:
    """A crawl or segment that does not exist, or something else, is an error in one line that names it."""
    with pytest.raises(InputError, match=r"^input cc:[^\n]*$"):
        archives_of(f"cc:{name}")


@given(
    st.one_of(
        st.text(max_size=40), st.from_regex(r"(latest|CC-MAIN-\d{4}-\d\d)/(wet|segments/[\w./%-]*)", fullmatch=True)
    )
)
@settings(max_examples=100, deadline=None)
def test_every_name_is_inside_its_crawl_or_an_error(name: str) -> None:
    """Whatever is given means a folder of a crawl, or is an error in one line."""
    try:
        found = parse_name(f"cc:{name}")
    except InputError as error:
        message = str(error)
    else:
        message = ""
        assert f"{found.folder}/".startswith(f"crawl-data/{found.crawl}/")
        assert ".." not in found.folder.split("/")
    assert "\n" not in message


def test_no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a network, or with a server that only answers 503, a name is an error in one line."""
    monkeypatch.setenv("CURATE_COMMONCRAWL", f"http://127.0.0.1:{free_port()}")
    with pytest.raises(InputError, match=rf"^input cc:{CRAWL}: [^\n]+$"):
        archives_of(f"cc:{CRAWL}")
    monkeypatch.setenv("CURATE_COMMONCRAWL_INDEX", f"http://127.0.0.1:{free_port()}")
    with pytest.raises(InputError, match=r"^input cc:latest: [^\n]+$"):
        archives_of("cc:latest")


def test_a_local_copy(server: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The address may be a folder."""
    write_crawl_data(tmp_path, pages(6))
    monkeypatch.setenv("CURATE_COMMONCRAWL", str(tmp_path))
    assert [each.path for each in find_inputs([f"cc:{CRAWL}"])] == archives_of(f"cc:{CRAWL}")


def test_only_the_sample_is_asked_for(server: Any) -> None:
    """A sample of a crawl takes requests for its own archives only, and is the same on every server."""
    server.seen.requests.clear()
    found = find_inputs([f"cc:{CRAWL}"], 0.3, 1)
    assert 0 < len(found) < 9
    assert server.seen.requests["HEAD"] <= len(found) + 2  # those of the list, and of the first that is left out
    paths = [url.replace(server.url, "s3://commoncrawl") for url in archives_of(f"cc:{CRAWL}")]
    chosen = [path.rpartition("/")[2] for path in paths if in_sample(path, 0.3, 1)]
    assert [each.path.rpartition("/")[2] for each in found] == chosen


def test_a_sample_of_other_inputs(tmp_path: Path) -> None:
    """Files in folders, globs and lists are sampled like archives of a crawl."""
    for number in range(20):
        (tmp_path / f"{number}.warc").write_bytes(b"x")
    (tmp_path / "list.txt").write_text("".join(f"{tmp_path}/{number}.warc\n" for number in range(20)))
    by_folder = {each.path for each in find_inputs([str(tmp_path)], 0.4, 3)}
    assert 0 < len(by_folder) < 20
    for argument in (f"{tmp_path}/*.warc", f"@{tmp_path}/list.txt"):
        assert {each.path for each in find_inputs([argument], 0.4, 3)} == by_folder
    assert {each.path for each in find_inputs([str(tmp_path)], 0.4, 4)} != by_folder


def test_a_sample_has_a_file(tmp_path: Path) -> None:
    """The smallest sample is the one file that all larger ones have, in a crawl, a list of URLs and a folder."""
    write_crawl_data(tmp_path, pages(12), archives=6)
    for arguments in ([f"cc:{CRAWL}"], archives_of(f"cc:{CRAWL}"), [str(tmp_path / "crawl-data")]):
        (one,) = find_inputs(arguments, 1e-9, 5)
        assert all(one in find_inputs(arguments, share, 5) for share in (0.01, 0.2, 0.6))


@given(st.text(max_size=30), st.floats(0, 1), st.floats(0, 1), st.integers())
@settings(max_examples=50, deadline=None)
def test_a_larger_sample_has_all_of_a_smaller_one(path: str, one: float, two: float, seed: int) -> None:
    """A file in a sample is in every larger one with the same seed, and the whole has all files."""
    if in_sample(path, min(one, two), seed):
        assert in_sample(path, max(one, two), seed)
    assert in_sample(path, 1.0, seed)
    assert not in_sample(path, 0.0, seed)


def test_the_share_of_a_sample() -> None:
    """A sample has about its share of the files."""
    assert 80 <= sum(in_sample(f"s3://x/{number}.warc.gz", 0.1, 7) for number in range(1000)) <= 120


@pytest.mark.parametrize("status", [403, 503])
def test_a_server_that_refuses_is_not_a_missing_crawl(server: Any, status: int) -> None:
    """A server that answers with an error has not said that there is no such crawl: the message has its answer."""
    server.choose = lambda method, path, wanted: Misbehavior(status=status)
    try:
        with pytest.raises(
            InputError, match=rf"warc\.paths\.gz: .*HTTP status {status}; given up after 0 s of at most 0 s$"
        ):
            archives_of(f"cc:{CRAWL}")
    finally:
        server.choose = lambda method, path, wanted: None


def test_a_list_of_something_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A page in place of a list of paths, as from the login of a network, is named as such."""
    monkeypatch.setenv("CURATE_COMMONCRAWL", str(tmp_path))
    page = tmp_path / "crawl-data" / CRAWL / "warc.paths.gz"
    page.parent.mkdir(parents=True)
    page.write_text("<html>log in</html>")
    with pytest.raises(InputError, match="is not a list of paths below crawl-data/"):
        archives_of(f"cc:{CRAWL}")
