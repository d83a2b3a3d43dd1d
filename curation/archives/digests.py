"""Whether the content of a record agrees with the digest that its header states."""

from __future__ import annotations

import base64
import binascii
import hashlib
from collections.abc import Iterable

ALGORITHMS = {
    "sha1": "sha1",
    "sha-1": "sha1",
    "md5": "md5",
    "sha256": "sha256",
    "sha-256": "sha256",
    "sha512": "sha512",
    "sha-512": "sha512",
}
"""Names in WARC-Block-Digest and WARC-Payload-Digest, lower-cased, with hashlib's name."""


def confirms(stated: str, contents: Iterable[bytes | memoryview]) -> bool:
    """Whether one of the contents has a stated digest.

    Args:
        stated: Value of a digest field, "algorithm:digest"; base 32, base 64 and hexadecimal digits are understood.
        contents: What the digest may be of.

    Returns:
        False too for an unknown algorithm or digits that are none.
    """
    algorithm, _, digits = stated.strip().partition(":")
    name = ALGORITHMS.get(algorithm.lower())
    if name is None:
        return False
    for content in contents:
        digest = hashlib.new(name, content, usedforsecurity=False).digest()
        if digest in _decoded(digits, len(digest)):
            return True
    return False


def _decoded(digits: str, size: int) -> list[bytes]:
    """The digests of `size` bytes that digits can mean."""
    found = []
    for decode, text in (
        (bytes.fromhex, digits),
        (base64.b32decode, _padded(digits.upper(), 8)),
        (base64.b64decode, _padded(digits.replace("-", "+").replace("_", "/"), 4)),
    ):
        try:
            value = decode(text)
        except (ValueError, binascii.Error):
            continue
        if len(value) == size:
            found.append(value)
    return found


def _padded(digits: str, unit: int) -> str:
    digits = digits.rstrip("=")
    return digits + "=" * (-len(digits) % unit)
