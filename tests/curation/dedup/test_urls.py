"""URL duplicates: of several captures of a page the newest is kept."""

from __future__ import annotations

from pathlib import Path

import pytest
from archives import prose
from signed import clusters, documents, dropped, run

from curation.dedup.settings import DedupSettings
from curation.dedup.urls import normalize_url


@pytest.mark.parametrize(
    ("left", "right"),
    [
        ("http://Example.org/a", "https://example.org/a/"),
        ("https://example.org:443/a#part", "https://example.org/a"),
        ("https://example.org/%7Ea?x=1&utm_source=y&fbclid=3", "https://example.org/~a?x=1"),
        ("https://user:pw@example.org./", "https://example.org"),
        ("https://example.org/ä b", "https://example.org/%C3%A4%20b"),
    ],
)
def test_the_same_page(left: str, right: str) -> None:
    """Scheme, default port, fragment, tracking, user, final slash and escapes do not distinguish pages."""
    assert normalize_url(left) == normalize_url(right)


@pytest.mark.parametrize(
    ("left", "right"),
    [
        ("https://example.org/a", "https://example.org/A"),
        ("https://example.org/a?x=1", "https://example.org/a?x=2"),
        ("https://example.org:8080/", "https://example.org/"),
        ("https://a.example.org/", "https://example.org/"),
        ("http://[broken", "http://[other"),
    ],
)
def test_different_pages(left: str, right: str) -> None:
    """Path, query, port and host distinguish pages."""
    assert normalize_url(left) != normalize_url(right)


def test_the_newest_is_kept(tmp_path: Path) -> None:
    """Of three captures the newest is kept; a copy of an older one elsewhere does not lose to a removed document."""
    old, middle, new = (" ".join(prose(seed)) for seed in (1, 2, 3))
    rows = documents(
        [old, new, middle, old, old],
        url=["https://a.org/x", "http://a.org/x/", "https://a.org/x#top", "https://b.org/mirror", None],
        date=["2023-01-01T00:00:00Z", "2024-01-01T00:00:00Z", "2023-06-01T00:00:00Z", "2022-01-01T00:00:00Z", None],
    )
    folder, names, found = run(tmp_path, rows, DedupSettings(url=True), parts=3)
    removed = dropped(folder, names)
    assert {name: (row["reason"], row["survivor_id"]) for name, row in removed.items()} == {
        "0": ("url_duplicate", "1"),
        "2": ("url_duplicate", "1"),
        "4": ("exact_duplicate", "3"),
    }
    assert removed["0"]["cluster_size"] == 3
    assert removed["0"]["similarity"] is None
    assert frozenset({"3", "4"}) in clusters(folder, names)
    assert found.counts["removed"] == {"exact_duplicate": 1, "url_duplicate": 2}
