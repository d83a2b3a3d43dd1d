"""Runs on object stores and HTTP servers: the same bytes, few requests, and one line for everything that is missing."""

from __future__ import annotations

import os
import random
import shutil
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from http.server import SimpleHTTPRequestHandler
from pathlib import Path
from threading import Lock
from typing import Any
from unittest.mock import patch

import pytest
from archives import write_crawl
from object_storage import KEYS, Fault, Quiet, environment, free_port, moto, proxy, serving, wait_for
from processes import command, contents, curate, curate_process

from curation.archives import watched
from curation.errors import OutputError, StepFailed
from curation.store.folder import Folder
from curation.store.lease import LEASE, Lease, read_lease

pytest.importorskip("moto")
s3fs = pytest.importorskip("s3fs")

ARCHIVES = 4
BUSY = b"<Error><Code>SlowDown</Code><Message>Please reduce your request rate.</Message></Error>"
EXPIRED = b"<Error><Code>ExpiredToken</Code><Message>The provided token has expired.</Message></Error>"
DENIED = b"<Error><Code>AccessDenied</Code><Message>Access Denied</Message></Error>"
XML = {"Content-Type": "application/xml"}


@pytest.fixture(scope="module")
def crawl(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("crawl")
    write_crawl(folder, ARCHIVES)
    return folder


@pytest.fixture(scope="module")
def endpoint(crawl: Path) -> Iterator[int]:
    """The port of an S3 endpoint with the archives in s3://crawl/a/ and an empty bucket, s3://made."""
    with moto() as port:
        files = filesystem(port)
        files.mkdir("crawl")
        files.mkdir("made")
        files.put(str(crawl), "crawl/a", recursive=True)
        yield port


def filesystem(port: int) -> Any:
    options = {"key": "key", "secret": "secret", "client_kwargs": {"region_name": "eu-west-1"}}
    return s3fs.S3FileSystem(endpoint_url=f"http://127.0.0.1:{port}", skip_instance_cache=True, **options)


def run(*words: str | Path, url: str = "", start: Any = curate, **variables: str | None) -> Any:
    """Run `curate` with these variables in this process, or in a separate one if `start` is `curate_process`."""
    with patch.dict(os.environ, environment(url, **variables), clear=True):
        s3fs.S3FileSystem.clear_instance_cache()
        watched.close()
        try:
            return start(*words)
        finally:
            s3fs.S3FileSystem.clear_instance_cache()


def filtered(port: int, out: str, *words: str | Path, **variables: Any) -> subprocess.CompletedProcess[str]:
    inputs = words or ("s3://crawl/a/",)
    return run("filter", *inputs, "--out", out, "--workers", "0", url=f"http://127.0.0.1:{port}", **variables)


def refused(done: subprocess.CompletedProcess[str], code: int, *parts: str) -> None:
    """The process ended with the code and said why in one line that has these parts."""
    lines = [line for line in done.stderr.splitlines() if line.startswith("curate: ")]
    assert done.returncode == code, done.stderr
    assert "Traceback" not in done.stderr
    assert len(lines) == 1, done.stderr
    for part in parts:
        assert part in lines[0]


class Files(Quiet, SimpleHTTPRequestHandler):
    """Files of a folder and their listing, also parts of files."""

    def do_GET(self) -> None:
        """A file, or the part of it in the header Range."""
        wanted, path = self.headers.get("Range"), Path(self.translate_path(self.path))
        if not wanted or not path.is_file():
            super().do_GET()
            return
        first, last = wanted.removeprefix("bytes=").split("-")
        data = path.read_bytes()
        body = data[int(first) : int(last) + 1]
        self.send_response(206)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Content-Range", f"bytes {first}-{int(first) + len(body) - 1}/{len(data)}")
        self.end_headers()
        self.wfile.write(body)


@pytest.fixture(scope="module")
def web(crawl: Path) -> Iterator[int]:
    """The port of an HTTP server with the archives."""
    with serving(partial(Files, directory=str(crawl))) as server:
        yield server.server_port


class Flaky:
    """Lets a share of the requests fail, in several ways; of equal requests at most two in a row."""

    def __init__(self, share: float, seed: int) -> None:
        self.share, self.random, self.lock = share, random.Random(seed), Lock()
        self.row: dict[tuple[str, str], int] = {}

    def __call__(self, method: str, path: str) -> Fault | None:
        with self.lock:
            key = method, path.partition("?")[0]
            if self.random.random() >= self.share or self.row.get(key, 0) >= 2:
                self.row[key] = 0
                return None
            self.row[key] = self.row.get(key, 0) + 1
            faults = [
                Fault(503, BUSY, XML),
                Fault(500),
                Fault(429, b"", {"Retry-After": "1"}),
                Fault(),
                Fault(half=True),
            ]
            return self.random.choice(faults if method == "GET" else faults[:4])


def test_failed_requests_cost_no_archive_and_change_no_byte_over_http(web: int, tmp_path: Path) -> None:
    """A proxy that fails every fifth request to an HTTP server, listings too: all is read, with the same bytes."""
    with proxy(web) as server:
        clean = run("filter", f"{server.url}/", "--out", tmp_path / "clean", "--workers", "0")
        assert clean.returncode == 0, clean.stderr
        server.choose = Flaky(0.2, 5)
        done = run("filter", f"{server.url}/", "--out", tmp_path / "out", "--workers", "0")
        assert server.faults >= 2
    assert done.returncode == 0, done.stderr
    assert contents(tmp_path / "out") == contents(tmp_path / "clean")


def test_failed_requests_cost_no_archive_and_change_no_byte_on_s3(endpoint: int, tmp_path: Path) -> None:
    """A proxy that fails 5 % of the requests to S3, for input and output: all is made, with the same bytes."""
    with proxy(endpoint) as server:
        done = filtered(server.server_port, "s3://made/clean")
        assert done.returncode == 0, done.stderr
        server.choose = Flaky(0.05, 3)
        done = filtered(server.server_port, "s3://made/flaky")
        assert server.faults >= 5
    assert done.returncode == 0, done.stderr
    files = filesystem(endpoint)
    for name in ("clean", "flaky"):
        files.get(f"made/{name}/", str(tmp_path / name), recursive=True)
    assert len(contents(tmp_path / "clean", "manifests")) == ARCHIVES
    assert contents(tmp_path / "flaky") == contents(tmp_path / "clean")


def test_planning_over_http_takes_one_request_per_file(web: int, crawl: Path) -> None:
    """A folder is listed once and each file takes one HEAD, which gives its size and time."""
    from curation.archives.inputs import find_inputs

    with proxy(web) as server:
        found = find_inputs([f"{server.url}/"])
        heads = [("HEAD", f"/{path.name}") for path in sorted(crawl.iterdir())]
        assert sorted(server.requests) == sorted([("GET", "/"), *heads])
        server.requests.clear()
        assert find_inputs([entry.path for entry in found]) == found
        assert sorted(server.requests) == heads
    assert [entry.size for entry in found] == [path.stat().st_size for path in sorted(crawl.iterdir())]
    assert all(entry.version for entry in found)


def test_planning_on_s3_takes_one_request_per_file(endpoint: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder is listed without a request per file, and a file that is named takes one request."""
    from curation.archives.inputs import find_inputs

    with proxy(endpoint) as server:
        for name, value in environment(server.url).items():
            monkeypatch.setenv(name, value)
        s3fs.S3FileSystem.clear_instance_cache()
        found = find_inputs(["s3://crawl/a/"])
        assert len(found) == ARCHIVES
        assert len(server.requests) <= 3
        s3fs.S3FileSystem.clear_instance_cache()
        server.requests.clear()
        named = find_inputs([entry.path for entry in found])
        assert [(entry.path, entry.size) for entry in named] == [(entry.path, entry.size) for entry in found]
        assert sorted(server.requests) == [("HEAD", f"/{entry.path.removeprefix('s3://')}") for entry in found]
    s3fs.S3FileSystem.clear_instance_cache()


@pytest.mark.parametrize("status", [405, 501, 403])
def test_a_server_that_refuses_head_is_asked_for_a_byte(web: int, crawl: Path, status: int) -> None:
    """If HEAD is refused, the size comes from a request for the first byte."""
    from curation.archives.inputs import find_inputs

    with proxy(web, lambda method, path: Fault(status) if method == "HEAD" else None) as server:
        (found,) = find_inputs([f"{server.url}/00.warc.gz"])
        assert found.size == (crawl / "00.warc.gz").stat().st_size
        assert server.requests == [("HEAD", "/00.warc.gz"), ("GET", "/00.warc.gz")]


def test_a_changed_file_on_a_server_is_another_version(web: int, crawl: Path, tmp_path: Path) -> None:
    """A file of the same size with another Last-Modified is another version."""
    from curation.archives.inputs import find_inputs

    path = crawl / "00.warc.gz"
    before = find_inputs([f"http://127.0.0.1:{web}/00.warc.gz"])
    times = path.stat()
    os.utime(path, (1, 1))
    after = find_inputs([f"http://127.0.0.1:{web}/00.warc.gz"])
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
    assert before != after


NO_KEYS = dict.fromkeys(KEYS)


def test_missing_credentials(endpoint: int, crawl: Path, tmp_path: Path) -> None:
    """Without credentials, for input or output, a run exits with code 2 and one line."""
    refused(filtered(endpoint, str(tmp_path / "out"), **NO_KEYS), 2, "s3://crawl/a/", "credentials")
    refused(filtered(endpoint, "s3://made/none", crawl, **NO_KEYS), 2, "s3://made/none", "credentials")
    refused(filtered(endpoint, str(tmp_path / "out"), AWS_PROFILE="nobody"), 2, "credentials", "nobody")
    assert not (tmp_path / "out").exists()


def test_a_missing_bucket_is_never_created(endpoint: int, crawl: Path, tmp_path: Path) -> None:
    """An output bucket that does not exist is an error with code 2, and still does not exist; so is one for input."""
    refused(filtered(endpoint, "s3://absent/out", crawl), 2, "s3://absent/out", "bucket")
    assert not filesystem(endpoint).exists("absent")
    refused(filtered(endpoint, str(tmp_path / "out"), "s3://absent/a/"), 2, "s3://absent/a/", "bucket")
    refused(filtered(endpoint, str(tmp_path / "out"), "s3://Not_a bucket/a/"), 2, "bucket name")


def test_denied_access(endpoint: int, crawl: Path, tmp_path: Path) -> None:
    """Denied access to inputs, or to write the output, is an error with code 2."""
    with proxy(endpoint, lambda method, path: Fault(403, DENIED, XML)) as server:
        refused(filtered(server.server_port, str(tmp_path / "out")), 2, "access denied")
    with proxy(endpoint, lambda method, path: Fault(403, DENIED, XML) if method == "PUT" else None) as server:
        refused(filtered(server.server_port, "s3://made/denied", crawl), 2, "access denied")


def test_denied_access_over_http(web: int, tmp_path: Path) -> None:
    """A server that answers 403 to HEAD and GET denies access; the input is not said to be missing."""
    with proxy(web, lambda method, path: Fault(403)) as server:
        done = run("filter", f"{server.url}/00.warc.gz", "--out", tmp_path / "out", "--workers", "0")
    refused(done, 2, "00.warc.gz", "access denied", "403")


def test_credentials_that_expire_during_the_run(endpoint: int, crawl: Path, tmp_path: Path) -> None:
    """The run stops with code 3 and one line, whether inputs or outputs need them, and a rerun resumes."""
    whole = tmp_path / "whole"
    assert filtered(endpoint, str(whole)).returncode == 0
    for out in (str(tmp_path / "out"), "s3://made/expired"):
        with proxy(endpoint) as server:

            def choose(method: str, path: str) -> Fault | None:
                reads = sum("warc.gz" in name and kind == "GET" for kind, name in server.requests)
                return Fault(400, EXPIRED, XML) if reads >= 2 else None

            server.choose = choose
            done = filtered(server.server_port, out, start=curate_process)  # its lease on S3 ends with its process
        refused(done, 3, "expired")
        assert filtered(endpoint, out).returncode == 0
    assert contents(tmp_path / "out") == contents(whole)


def test_an_endpoint_that_does_not_answer(crawl: Path, tmp_path: Path) -> None:
    """Nobody listens at the endpoint: code 2 and one line."""
    refused(filtered(free_port(), str(tmp_path / "out")), 2, "s3://crawl/a/", "connect")


@pytest.mark.parametrize(
    ("module", "protocol", "extra"),
    [("s3fs", "s3", "s3"), ("gcsfs", "gs", "gs"), ("adlfs", "az", "az"), ("huggingface_hub", "hf", "hf")],
)
def test_an_extra_that_is_not_installed(module: str, protocol: str, extra: str, crawl: Path, tmp_path: Path) -> None:
    """The line says what to install, for input and output."""
    program = f"import sys; sys.modules[{module!r}] = None\nfrom curation.jobs.cli.main import main; main()"
    for source, out in ((f"{protocol}://x/a.warc", tmp_path / "out"), (crawl, f"{protocol}://x/out")):
        words = command("filter", source, "--out", out, "--workers", "0")[3:]
        done = subprocess.run([sys.executable, "-c", program, *words], capture_output=True, text=True, check=False)
        refused(done, 2, f"pip install 'curation[{extra}]'")


def test_memory_with_workers(crawl: Path) -> None:
    """Workers do not see the memory of the driver: code 2 instead of a run whose output is nowhere."""
    done = curate("filter", crawl, "--out", "memory://out", "--workers", "2")
    refused(done, 2, "memory", "--workers 0")


def test_a_server_cannot_be_written_to(crawl: Path, web: int) -> None:
    """HTTP is for input only."""
    done = curate("filter", crawl, "--out", f"http://127.0.0.1:{web}/out", "--workers", "0")
    refused(done, 2, "cannot write")


def test_azure(crawl: Path, tmp_path: Path) -> None:
    """A run from and to Azure makes every shard; a missing container is an error and is not created."""
    adlfs = pytest.importorskip("adlfs")
    server = shutil.which("azurite-blob")
    if server is None:
        pytest.skip("needs Azurite")
    port = free_port()
    account = f"AccountName=account;AccountKey=c2VjcmV0;BlobEndpoint=http://127.0.0.1:{port}/account;"
    variables = {"AZURE_STORAGE_CONNECTION_STRING": f"DefaultEndpointsProtocol=http;{account}"}
    words = [server, "--blobPort", str(port), "--location", str(tmp_path / "azure"), "--skipApiVersionCheck"]
    quiet = subprocess.DEVNULL
    env = {**os.environ, "AZURITE_ACCOUNTS": "account:c2VjcmV0"}
    with subprocess.Popen(words, stdout=quiet, stderr=quiet, env=env) as process:
        try:
            wait_for(port, process)
            files = adlfs.AzureBlobFileSystem(connection_string=variables["AZURE_STORAGE_CONNECTION_STRING"])
            for name in ("crawl", "made"):
                files.mkdir(name)
            files.put(str(crawl), "crawl/a", recursive=True)
            done = run("filter", "az://crawl/a/", "--out", "az://made/out", "--workers", "0", **variables)
            assert done.returncode == 0, done.stderr
            files.get("made/out/", str(tmp_path / "out"), recursive=True)
            refused(run("filter", crawl, "--out", "az://absent/out", "--workers", "0", **variables), 2, "container")
            assert not files.exists("absent")
        finally:
            process.terminate()
    assert len(contents(tmp_path / "out", "documents")) == ARCHIVES


@pytest.mark.parametrize("fault", [Fault(503), Fault(429, b"", {"Retry-After": "1"}), Fault()])
def test_failed_requests_while_planning_cost_no_input(web: int, fault: Fault) -> None:
    """Listings and HEAD requests over HTTP that fail once are made again."""
    from curation.archives.inputs import find_inputs

    asked: set[tuple[str, str]] = set()

    def choose(method: str, path: str) -> Fault | None:
        is_first = (method, path) not in asked
        asked.add((method, path))
        return fault if is_first else None

    with proxy(web, choose) as server:
        assert len(find_inputs([f"{server.url}/"])) == ARCHIVES
        assert server.faults == ARCHIVES + 1


def test_one_driver_at_a_time_on_s3(endpoint: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of drivers that start at once exactly one works, a second one is refused, and a stale lease is taken over."""
    for name, value in environment(f"http://127.0.0.1:{endpoint}").items():
        monkeypatch.setenv(name, value)
    s3fs.S3FileSystem.clear_instance_cache()
    folder, said = Folder("s3://made/leased"), list[str]()

    def attempt(_: int) -> Lease | None:
        lease = Lease(folder, dict, said.append)
        try:
            lease.acquire()
        except OutputError as error:
            assert "another run" in str(error)  # noqa: PT017
            return None
        return lease

    with ThreadPoolExecutor(6) as pool:
        (lease,) = [made for made in pool.map(attempt, range(6)) if made is not None]
    lease.renew()
    lease.check()
    assert attempt(0) is None
    folder.write_json(LEASE, {**(read_lease(folder) or {}), "pid": 1 << 22, "token": "other"})
    taken = attempt(0)
    assert taken is not None
    lease.renew()
    with pytest.raises(StepFailed, match="taken over"):
        lease.check()
    taken.release()
    assert read_lease(folder) is None
    assert not said
    create = folder.fs.pipe_file
    monkeypatch.setattr(folder.fs, "pipe_file", lambda path, data, mode="": create(path, data))
    assert attempt(0) is not None
    assert "ignores conditional requests" in said[0]
    s3fs.S3FileSystem.clear_instance_cache()
