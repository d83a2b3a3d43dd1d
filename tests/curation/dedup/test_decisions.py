"""Comparison of a removed document with its survivor."""

from __future__ import annotations

from pathlib import Path

from archives import prose
from signed import documents, run

from curation.dedup.decisions import compare, find_row
from curation.dedup.settings import DedupSettings


def test_comparison_with_the_survivor(tmp_path: Path) -> None:
    """It has shared bands, similarity, equality of texts and the survivor's URL; None for a kept document."""
    body = prose(1, 60)
    texts = [" ".join(body), " ".join(prose(2)), " ".join([*body[:-1], "Another end."]), " ".join(body).upper()]
    urls = [f"https://a.org/{number}" for number in range(4)]
    folder, names, _ = run(tmp_path, documents(texts, url=urls, warc_offset=[5, 6, 7, 8]), DedupSettings(), parts=2)
    edited = compare(folder, names[1], 0)
    copied = compare(folder, names[1], 1)
    assert edited is not None
    assert copied is not None
    assert edited.survivor_url == copied.survivor_url == "https://a.org/0"
    assert 0 < len(edited.shared_bands) < edited.bands == 14
    assert copied.shared_bands == list(range(14))
    assert (edited.same_text, copied.same_text) == (False, True)
    assert 0.72 < (edited.similarity or 0) < 1 == copied.similarity
    assert compare(folder, names[0], 0) is None
    assert find_row(folder, names[1], "3", 8) == 1
    assert find_row(folder, names[1], "3", 9) is None
