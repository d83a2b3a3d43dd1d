"""Sizes and versions of files on HTTP servers, by one HEAD request for each."""

from __future__ import annotations

from typing import Any

from fsspec.asyn import sync

from curation.archives.streams import TEMPORARY_STATUSES, request

_VERSIONS = ("ETag", "Last-Modified", "Content-MD5")


def http_info(fs: Any, url: str) -> dict[str, Any]:
    """Name, size and version of a file on an HTTP server, in the form of fsspec's `info`.

    A server that refuses HEAD, or tells no size, is asked for the first byte instead.

    Args:
        fs: fsspec's file system for HTTP.
        url: The file's URL.

    Raises:
        FileNotFoundError: There is no such file.
        PermissionError: The server refuses access.
        OSError: The request failed, or its answer is an error.
    """
    return dict(sync(fs.loop, _info, fs, url))


async def _info(fs: Any, url: str) -> dict[str, Any]:
    async with await request(fs, "HEAD", url) as answer:
        _raise_if_gone_or_busy(answer, url)
        if answer.status < 400 and "Content-Length" in answer.headers:
            return _found(url, answer, int(answer.headers["Content-Length"]))
    async with await request(fs, "GET", url, Range="bytes=0-0") as answer:
        _raise_if_gone_or_busy(answer, url)
        if answer.status >= 400:
            _raise(answer)
        total = answer.headers.get("Content-Range", "").rpartition("/")[2]
        if answer.status != 206:
            total = answer.headers.get("Content-Length", "")
        return _found(url, answer, int(total) if total.isdecimal() else 0)


def _raise_if_gone_or_busy(answer: Any, url: str) -> None:
    if answer.status in (404, 410):
        raise FileNotFoundError(url)
    if (answer.status >= 500 and answer.status != 501) or answer.status in TEMPORARY_STATUSES:
        _raise(answer)


def _raise(answer: Any) -> None:
    """Raise the status as an OSError, caused by aiohttp's exception, which has the status and the headers."""
    try:
        answer.raise_for_status()
    except Exception as cause:
        kind = PermissionError if answer.status in (401, 403, 407) else OSError
        raise kind(f"HTTP status {answer.status}") from cause


def _found(url: str, answer: Any, size: int) -> dict[str, Any]:
    version = next((answer.headers[name] for name in _VERSIONS if answer.headers.get(name)), "")
    return {"name": url, "size": size, "type": "file", "ETag": version}
