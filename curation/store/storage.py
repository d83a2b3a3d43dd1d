"""Storage that fsspec reaches: which extra a protocol needs, and what the errors of its libraries mean.

Libraries of object stores raise exceptions of their own for missing credentials, an endpoint that does not answer, or a
name that cannot be a bucket's. They are recognized by the package that defines them, also when they are the cause of
another exception, and are told in one line.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, cast

import fsspec
from fsspec.core import split_protocol

from curation.errors import CredentialsFailed, InputError, MissingExtra

EXTRAS = {
    "s3": "s3", "s3a": "s3", "gs": "gs", "gcs": "gs", "az": "az", "abfs": "az", "abfss": "az", "adl": "az", "hf": "hf",
    "http": "http", "https": "http",
}  # fmt: skip
"""Protocols, and the extra of this package that installs what they need."""

OBJECT_STORES = frozenset(protocol for protocol, extra in EXTRAS.items() if extra in ("s3", "gs", "az"))
"""Protocols of stores that have buckets, and no folders that would have to be created."""

_LIBRARIES = frozenset({
    "botocore", "aiobotocore", "s3fs", "gcsfs", "google", "azure", "adlfs", "huggingface_hub", "httpx", "httpx2",
    "requests", "aiohttp",
})  # fmt: skip

_CREDENTIAL_ERRORS = frozenset({
    "NoCredentialsError", "PartialCredentialsError", "CredentialRetrievalError", "TokenRetrievalError",
    "UnauthorizedSSOTokenError", "SSOTokenLoadError", "ProfileNotFound",  # botocore
    "DefaultCredentialsError", "RefreshError",  # google-auth
    "ClientAuthenticationError", "CredentialUnavailableError",  # azure
})  # fmt: skip

_CREDENTIAL_CODES = frozenset({
    "ExpiredToken", "ExpiredTokenException", "RequestExpired", "TokenRefreshRequired", "InvalidToken",
    "InvalidAccessKeyId", "InvalidClientTokenId", "SignatureDoesNotMatch", "RequestTimeTooSkewed",
})  # fmt: skip
"""Codes of S3 for credentials that are wrong or have expired; "AccessDenied" may concern a single object."""

_ERRNO = re.compile(r"^\[Errno -?[0-9]+\] ")
"""How the text of an OSError begins."""

LONGEST_MESSAGE = 300
"""Characters of a library's message that are shown."""


def file_system(url: str) -> tuple[Any, str]:
    """The fsspec file system of a URL or local path, and the path in it.

    Raises:
        MissingExtra: The package that the protocol needs is not installed.
        CredentialsFailed: The library refuses to start without credentials.
        ValueError: There is no such protocol.
    """
    protocol = split_protocol(url)[0] or "file"
    try:
        return cast("tuple[Any, str]", fsspec.core.url_to_fs(url))
    except ImportError as error:
        if protocol in EXTRAS:
            raise MissingExtra(f"{protocol}:// needs an extra: pip install 'curation[{EXTRAS[protocol]}]'") from error
        raise MissingExtra(f"{protocol}://: {_line(error)}") from error
    except Exception as error:
        if is_about_credentials(error):
            raise CredentialsFailed(explain(error)) from error
        raise


def protocols(fs: Any) -> tuple[str, ...]:
    """The protocols of an fsspec file system."""
    return (fs.protocol,) if isinstance(fs.protocol, str) else tuple(fs.protocol)


def is_http(fs: Any) -> bool:
    """Whether an fsspec file system is that of HTTP."""
    return "http" in protocols(fs)


def is_of_storage(error: BaseException) -> bool:
    """Whether a storage library raised it, or caused it; also if it refused an option that the user has set."""
    return any(
        _package(each) in _LIBRARIES or (isinstance(each, TypeError) and _raised_in(each) in _LIBRARIES)
        for each in _chain(error)
    )


def is_io(error: BaseException) -> bool:
    """Whether an error is about input or output: of the system, a connection, or a storage library."""
    return isinstance(error, OSError) or is_of_storage(error)


def is_about_credentials(error: BaseException) -> bool:
    """Whether credentials are missing, wrong or expired, so that no other request would succeed either."""
    return isinstance(error, CredentialsFailed) or any(
        (_package(each) in _LIBRARIES and type(each).__name__ in _CREDENTIAL_ERRORS) or code(each) in _CREDENTIAL_CODES
        for each in _chain(error)
    )


def code(error: BaseException) -> str:
    """The code in S3's answer, such as "NoSuchBucket"; empty for other errors."""
    answer = getattr(error, "response", None)
    return str(answer.get("Error", {}).get("Code", "")) if isinstance(answer, dict) else ""


def explain(error: BaseException) -> str:
    """An error of storage in one line."""
    line = _line(error)
    if isinstance(error, CredentialsFailed):
        return line
    if is_about_credentials(error):
        return f"credentials are missing or not valid (any more): {line}"
    if isinstance(error, PermissionError) and is_of_storage(error):
        return f"access denied: {line}"
    return line


@contextmanager
def input_errors(what: str, missing: str | None = None) -> Iterator[None]:
    """Turn errors of reading an input into an InputError of one line.

    Args:
        what: The input, with which the message begins.
        missing: What to say if there is no such file; None for what the storage says.
    """
    try:
        yield
    except Exception as error:
        if not isinstance(error, (ValueError, ImportError)) and not is_io(error):
            raise
        is_missing = missing is not None and isinstance(error, FileNotFoundError)
        raise InputError(f"{what}: {missing if is_missing else explain(error)}") from error


def _line(error: BaseException) -> str:
    first, _, rest = _ERRNO.sub("", str(error).strip()).partition("\n")
    line = " ".join((f"{first} {rest}" if first.endswith(":") else first).split())
    return line[:LONGEST_MESSAGE] or type(error).__name__


def _package(error: BaseException) -> str:
    return type(error).__module__.partition(".")[0]


def _raised_in(error: BaseException) -> str:
    """The package whose code raised an error; empty if it was not raised."""
    trace, name = error.__traceback__, ""
    while trace is not None:
        name, trace = str(trace.tb_frame.f_globals.get("__name__", "")), trace.tb_next
    return name.partition(".")[0]


def _chain(error: BaseException) -> Iterator[BaseException]:
    """The error, what caused it, and so on."""
    seen: set[int] = set()
    current: BaseException | None = error
    while current is not None and id(current) not in seen:
        seen.add(id(current))
        yield current
        current = current.__cause__
