"""Web archives for tests, built record by record so that each can be broken on purpose."""

from __future__ import annotations

import gzip
import random
import uuid
from collections.abc import Iterable, Sequence
from pathlib import Path


def response(
    url: str,
    body: bytes | str,
    *,
    kind: str = "response",
    http: Sequence[str] = ("HTTP/1.1 200 OK", "Content-Type: text/html; charset=utf-8"),
    headers: Sequence[str] = ("WARC-Identified-Payload-Type: text/html",),
    length: int | None = None,
) -> bytes:
    """One uncompressed WARC record; `length` is a false Content-Length."""
    payload = body.encode() if isinstance(body, str) else body
    block = ("\r\n".join(http) + "\r\n\r\n").encode() + payload if http else payload
    name = uuid.uuid5(uuid.NAMESPACE_URL, url)
    lines = [
        "WARC/1.0",
        f"WARC-Type: {kind}",
        f"WARC-Record-ID: <urn:uuid:{name}>",
        f"WARC-Target-URI: {url}",
        "WARC-Date: 2024-05-18T01:58:10Z",
        *headers,
        f"Content-Length: {len(block) if length is None else length}",
    ]
    return ("\r\n".join(lines) + "\r\n\r\n").encode() + block + b"\r\n\r\n"


def warcinfo() -> bytes:
    """The first record of an archive."""
    return response("urn:info", "software: tests\r\n", kind="warcinfo", http=(), headers=())


def page(title: str, *paragraphs: str) -> str:
    """A small HTML page."""
    body = "".join(f"<p>{paragraph}</p>" for paragraph in paragraphs)
    return f"<!DOCTYPE html><html><head><title>{title}</title></head><body><article>{body}</article></body></html>"


def members(records: Iterable[bytes]) -> bytes:
    """Records compressed as in CommonCrawl: one gzip member each."""
    return b"".join(gzip.compress(record, 6, mtime=0) for record in records)


def write_archive(path: Path, records: Iterable[bytes]) -> Path:
    """A .warc.gz file of these records."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(members([warcinfo(), *records]))
    return path


_WHO = [
    "teacher",
    "farmer",
    "sailor",
    "painter",
    "doctor",
    "neighbour",
    "engineer",
    "writer",
    "gardener",
    "baker",
    "child",
    "traveller",
    "judge",
]
_DID = [
    "watched",
    "carried",
    "repaired",
    "found",
    "painted",
    "described",
    "measured",
    "sold",
    "forgot",
    "remembered",
    "opened",
    "followed",
]
_WHAT = [
    "bridge",
    "lantern",
    "letter",
    "garden",
    "boat",
    "window",
    "machine",
    "story",
    "harvest",
    "map",
    "kitchen",
    "river",
    "clock",
    "song",
]
_KIND = [
    "old",
    "quiet",
    "broken",
    "yellow",
    "heavy",
    "careful",
    "distant",
    "early",
    "narrow",
    "bright",
    "patient",
    "cold",
    "simple",
    "strange",
]
_WHEN = [
    "before breakfast",
    "after the storm",
    "in the spring",
    "at noon",
    "during the war",
    "last winter",
    "on Sundays",
]


def prose(seed: int, sentences: int = 24) -> list[str]:
    """Paragraphs of generated English that every heuristic of the recipe `fineweb` keeps; they differ by seed."""
    chance = random.Random(seed)
    chosen = []
    for number in range(sentences):
        who, did, what, kind = (chance.sample(words, 2) for words in (_WHO, _DID, _WHAT, _KIND))
        when, count = chance.choice(_WHEN), chance.randint(3, 999)
        templates = (
            f"{when.capitalize()} the {kind[0]} {who[0]} {did[0]} a {what[0]} and {count} pages of {what[1]}.",
            f"Have you {did[0]} some of it with a {who[1]}, or {did[1]} the {kind[0]} {what[0]} {when}?",
            f"To be {kind[0]} is to know that {who[0]} {seed}-{number} {did[1]} {what[1]} of {kind[1]} {what[0]}.",
            f"A {who[0]} and others {did[0]} {what[0]}, {kind[0]} {what[1]} and whatever {who[1]} {did[1]} {when}!",
            f"{kind[0].capitalize()} or {kind[1]}, that {what[0]} belongs to {who[1]} {count} who {did[1]} it {when}.",
        )
        chosen.append(chance.choice(templates))
    return [" ".join(chosen[start : start + 4]) for start in range(0, sentences, 4)]


def write_crawl(folder: Path, archives: int) -> None:
    """Write archives of four pages each, every archive of a host of its own."""
    for number in range(archives):
        records = [response(f"https://{number}.org/{n}", page("good", *prose(7 * number + n))) for n in range(4)]
        write_archive(folder / f"{number:02d}.warc.gz", records)
