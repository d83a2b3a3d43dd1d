"""Web addresses and runs of newlines are cut."""

from __future__ import annotations

import pytest
from heuristic_cases import batch_of

from curation.errors import ParameterError
from curation.filters.formatting import Formatting


@pytest.mark.parametrize(
    ("limit", "before", "after"),
    [
        (2, " a\n\n\n\nb\n\nc\n", " a\n\nb\n\nc\n"),
        (2, "a\n \n\n\nb", "a\n \n\nb"),
        (3, "a\n\n\nb", "a\n\n\nb"),
        (0, "a\n\nb", "ab"),
        (None, "a\n\n\nb", "a\n\n\nb"),
    ],
)
def test_newlines(limit: int | None, before: str, after: str) -> None:
    """At most so many newlines in a row are left, and nothing else changes."""
    assert Formatting(max_newlines=limit)(batch_of([before])).batch.text.to_pylist() == [after]


def test_addresses() -> None:
    """Addresses with a scheme or www. are cut and counted, other words are not."""
    text = "See https://a.org/b?c=d, and HTTP://A.ORG or www.b.com. Not awww.b or http: or a.org"
    outcome = Formatting(addresses=True)(batch_of([text, None]))
    assert outcome.batch.text.to_pylist()[0] == "See and or Not awww.b or http: or a.org"
    assert outcome.signals is not None
    assert outcome.signals.field("addresses").to_pylist() == [3, 0]
    assert outcome.counts == {"addresses": 3}
    assert Formatting()(batch_of([text])).batch.text.to_pylist() == [text]


def test_bad_parameters() -> None:
    """A number of newlines beyond what an expression can have is refused."""
    with pytest.raises(ParameterError, match="max_newlines"):
        Formatting(max_newlines=2**40)
