"""Media types: which value of a header is valid, groups of types, and what the first bytes say."""

from __future__ import annotations

import pytest
from growth import assert_linear

from curation.archives.media_types import GROUPS, begins_html, group_of, media_type, sniff


@pytest.mark.parametrize(
    ("value", "essence", "chosen"),
    [
        ("Text/HTML", "text/html", "Text/HTML"),
        (" text/html ;charset=x", "text/html", "text/html ;charset=x"),
        ("text/html; charset=a, text/html; charset=b", "text/html", "text/html; charset=b"),
        ("text/html; charset=a, text/html", "text/html", "text/html; charset=a"),
        ("text/html; charset=a, text/plain", "text/plain", "text/plain"),
        ("text/html; charset=a, nonsense", "text/html", "text/html; charset=a"),
        ("text/html, */*", "text/html", "text/html"),
        ('text/html; title="a, b/c"', "text/html", 'text/html; title="a, b/c"'),
        ('text/html; title="a\\", b/c', "text/html", 'text/html; title="a\\", b/c'),
        ("text/html,", "text/html", "text/html"),
        ("text/html; text/html", "text/html", "text/html; text/html"),
        ("text/html charset=utf-8", "", "text/html charset=utf-8"),
        ("text / html", "", "text / html"),
        ("text/", "", "text/"),
        ("/html", "", "/html"),
        ("html", "", "html"),
        ('"text/html"', "", '"text/html"'),
        ("text/html\0", "", "text/html\0"),
        ("", "", ""),
    ],
)
def test_the_last_valid_type_counts(value: str, essence: str, chosen: str) -> None:
    """The last valid value is the type, with the charset of an earlier value of the same type if it has none."""
    assert media_type(value) == (essence, chosen)


@pytest.mark.parametrize(
    ("essence", "group"),
    [
        ("text/html", "html"),
        ("image/svg+xml", "image"),
        ("application/ld+json", "json"),
        ("application/soap+xml", "xml"),
        ("application/vnd.openxmlformats-officedocument.wordprocessingml.document", "office"),
        ("application/x-a-million-types", "other"),
        ("", None),
        ("application/octet-stream", None),
        ("application/http", None),
        ("*/*", None),
    ],
)
def test_types_have_groups(essence: str, group: str | None) -> None:
    """Known types, families and suffixes have a group, others are other, and some say nothing."""
    assert group_of(essence) == group


def test_there_are_few_groups() -> None:
    """No type makes a group of its own, so counters are few."""
    found = {group_of(f"{kind}/x-{n}") for kind in ("text", "application", "image", "x-y") for n in range(1000)}
    assert found == {"other", "image"}
    assert len({*GROUPS.values()}) < 20


@pytest.mark.parametrize(
    ("body", "group"),
    [
        (b"<html>", "html"),
        (b"\xef\xbb\xbf\r\n <!-- a -->\n<!DocType  HTML>", "html"),
        (b"<?xml version='1.0'?>\n<!-- > --><?x y?><HTML lang=x>", "html"),
        (b"<!--><p>x", "html"),
        (b"<!---->" * 200 + b"<i>", "html"),
        (b"\n" * 9000 + b"<div>", "html"),
        ("\ufeff<html>é".encode("utf-16-le"), "html"),
        (b"<htmlx>", "text"),
        (b"<!-- not closed <html>", "text"),
        (b"<?xml version='1.0'?><rss version='2'>", "feed"),
        (b"<feed xmlns='x'>", "feed"),
        (b"<?xml version='1.0'?><note>", "xml"),
        (b"<svg width=1>", "image"),
        (b"%PDF-1.7", "pdf"),
        (b"\x89PNG\r\n\x1a\n", "image"),
        (b"PK\x03\x04", "archive"),
        (b'{"a": 1}', "json"),
        (b'[{"a": 1}]', "json"),
        (b"[Intro] Some text", "text"),
        ("Größe".encode(), "text"),
        (b"\x01\x02\x03", "binary"),
        (b"", "text"),
    ],
)
def test_the_first_bytes_show_the_type(body: bytes, group: str) -> None:
    """A body without a type is what its first bytes are."""
    assert sniff(body) == sniff(memoryview(body)) == group


@pytest.mark.parametrize(
    ("run", "make"),
    [
        (begins_html, lambda n: b"<!---->" * n),
        (begins_html, lambda n: b"<!-- " * n),
        (begins_html, lambda n: b"<?x " * n),
        (begins_html, lambda n: b" \n" * n),
        (begins_html, lambda n: b"<!doctype" + b" " * n),
        (sniff, lambda n: b"{" + b" " * n),
        (media_type.__wrapped__, lambda n: "text/html" + " " * n + "x"),
        (media_type.__wrapped__, lambda n: '"' * n + ","),
        (media_type.__wrapped__, lambda n: '",\\' * n),
        (media_type.__wrapped__, lambda n: "a/b," * n),
        (media_type.__wrapped__, lambda n: "a" * n + "/"),
    ],
)
def test_types_take_linear_time(run, make) -> None:  # type: ignore[no-untyped-def]
    """No header and no body takes more than linear time."""
    assert_linear(run, make, 1 << 14)
