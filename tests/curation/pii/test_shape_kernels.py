"""The kernel tells how numbers are printed as the expressions for it do."""

from __future__ import annotations

import re

import numpy as np
import pyarrow as pa
from hypothesis import example, given, settings
from hypothesis import strategies as st

from curation.pii import phones
from curation.pii.shape_kernels import HAS_PLUS, HAS_SLASH, IS_ABROAD, IS_GROUPED
from curation.pii.windows import spelled
from curation.text import views

PIECES = st.sampled_from(
    [
        *("212", "736", "5000", "(212)", "(11)", "91234", "9123", "0", "00", "030", "1", "12", "199", "5", "\uff12"),
        *(" ", " ", "-", "-", ".", "/", "(", ")", "[", "]", "\uff08", "\uff09", "+", "\uff0b", "\u00a0", "\u2010"),
    ]
)
NUMBERS = st.lists(PIECES, min_size=1, max_size=9).map("".join).filter(lambda text: re.search(r"\d", text))


def printed(text: str) -> tuple[int, str]:
    """How the kernel says that a number is printed, and the number without a bracket that is not part of it."""
    characters = views.characters(pa.array([f"{text}\n"], pa.string()))
    numbers = np.array([[0, 0, len(text), 0, 0]])
    *_, found = phones._shapes(characters, np.zeros(1, np.int64), numbers)
    return int(found[0]), text[numbers[0, 1] :]


@settings(deadline=None, derandomize=True, max_examples=2000)
@given(NUMBERS)
@example("(212) 736-5000")
@example("1 (212)736.5000")
@example("1    212-736-5000")
@example("(11) 91234-5000")
@example("(11)9123-5000")
@example("(11) 81234-5000")
@example("(030) 736")
@example("03012/5")
@example("030123/5")
def test_how_numbers_are_printed(text: str) -> None:
    how, number = printed(text)
    form = spelled(number)
    assert bool(how & HAS_SLASH) == ("/" in number)
    assert bool(how & HAS_PLUS) == (re.match("[(\uff08\\[\uff3b]?[+\uff0b]", number) is not None)
    assert bool(how & IS_ABROAD) == (re.match("[(\uff08\\[\uff3b]?00", number) is not None)
    assert bool(how & IS_GROUPED) == (phones._GROUPED.match(form) is not None)
