"""Lines of table symbols are removed as datatrove's SymbolLinesFormatter removes them."""

from __future__ import annotations

import pytest
from datatrove.pipeline.formatters import SymbolLinesFormatter
from heuristic_cases import batch_of
from hypothesis import given, settings
from hypothesis import strategies as st

from curation.errors import ParameterError
from curation.filters.table_symbols import TableSymbols

TEXTS = st.lists(st.sampled_from(["|", " ", "a", "-", "\n", "\r\n", "\u2028", "\t", "||", "\n\n"]), max_size=20).map(
    "".join
)


def edited(text: str | None, **parameters: str) -> str:
    return str(TableSymbols(**parameters)(batch_of([text])).batch.text[0].as_py())


def test_rows_of_a_table() -> None:
    """A run of lines of bars becomes an empty paragraph; bars among words stay."""
    assert edited("Head\n| |\n|||\n| a | b |\n|\nEnd") == "Head\n\n\n| a | b |\n\n\nEnd"
    assert edited("a\n |\t|\nb") == "a\n |\t|\nb"
    outcome = TableSymbols()(batch_of(["|\n|\na", "b", None]))
    assert outcome.signals is not None
    assert outcome.signals.field("lines").to_pylist() == [2, 0, 0]
    assert outcome.counts == {"lines_removed": 2}


@given(TEXTS, st.sampled_from(["|", "|-"]), st.sampled_from(["\n", "", "*"]))
@settings(max_examples=300, deadline=None)
def test_texts_equal_the_references(text: str, symbols: str, replacement: str) -> None:
    """Any text becomes what the reference makes of it."""
    reference = SymbolLinesFormatter(symbols_to_remove=list(symbols), replace_char=replacement)
    assert edited(text, symbols=symbols, replacement=replacement) == reference.format(text)


def test_bad_parameters() -> None:
    """There must be symbols."""
    with pytest.raises(ParameterError, match="symbols"):
        TableSymbols(symbols="")
