"""Deduplication within each language."""

from __future__ import annotations

import pytest

from curation import deduplicate
from curation.dedup.settings import DedupSettings
from curation.errors import InputError

TEXT = "The ferry leaves the harbour at nine and comes back in the evening when the last guest is on board."
NEAR = TEXT.replace("nine", "ten")
TABLE = {
    "text": [TEXT, TEXT, TEXT, NEAR * 3, NEAR * 3 + " Today.", NEAR * 3 + " Today.", TEXT],
    "language": ["deu_Latn", "fra_Latn", "deu_Latn", "deu_Latn", "deu_Latn", "fra_Latn", None],
}


def test_documents_of_one_language_are_compared() -> None:
    """With the scope "language" copies in two languages are kept, those in one are removed, exact and near ones."""
    found = deduplicate(TABLE, scope="language")
    assert found.removed["survivor"] == [0, 3]
    assert found.removed["reason"] == ["exact_duplicate", "near_duplicate"]
    assert len(deduplicate(TABLE).kept["text"]) == 2


def test_one_address_may_have_a_page_in_each_language() -> None:
    """With the scope "language" the newest of an address is kept in each language."""
    texts = [f"{word} {TEXT}" for word in ("one", "two", "three")]
    table = {"text": [text[: 40 * n] for n, text in enumerate(texts, 1)], "language": ["a", "b", "a"]}
    table |= {"url": ["http://a.org/"] * 3, "date": ["2024-01-01", "2024-01-02", "2024-01-03"]}
    assert deduplicate(table, url=True, scope="language").kept["language"] == ["b", "a"]
    assert deduplicate(table, url=True).kept["language"] == ["a"]


def test_the_scope_needs_the_language() -> None:
    """Without a column `language` the scope is an error that names the column."""
    with pytest.raises(InputError, match="needs the column 'language'"):
        deduplicate({"text": [TEXT]}, scope="language")


def test_runs_of_another_scope_cannot_be_compared() -> None:
    """The scope is part of what signatures depend on, so that an earlier run needs the same."""
    assert DedupSettings(scope="language").signature != DedupSettings().signature
    assert len(DedupSettings().signature) == 5
