"""presidio's recognizers, called directly on windows of text: no engine, no language model, no network.

An engine tokenizes the whole text first and looks at context through the tokens. Here the recognizers answer for many
windows at once, joined by line ends, which no match crosses; what stands around a match is judged in `evidence`.
"""

from __future__ import annotations

import logging
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache
from itertools import accumulate
from threading import RLock
from typing import Any, NamedTuple

from curation.text.hosts import split_host

_JOINED_LENGTH = 50_000
"""Characters of windows joined for one call; the phone recognizer gives up on a text after 65,535 failures."""
_loading = RLock()


class Span(NamedTuple):
    """What a recognizer found: `[start, end)` in the text it was shown, and how sure it is."""

    start: int
    end: int
    score: float


def recognize(kind: str, windows: Sequence[str], regions: tuple[str, ...]) -> list[list[Span]]:
    """What the recognizer of `kind` finds in each window, in order of position; equal windows are looked at once.

    regions: ISO 3166 codes of the countries whose national phone numbers are recognized, each on its own: presidio's
    recognizer for several drops what it finds for one inside of what it takes for a number of another.
    """
    found: dict[str, set[Span]] = {window: set() for window in windows}
    for region in regions if kind == "phone" else ("",):
        recognizer = _recognizer(kind, region)
        for group in _groups(window for window, spans in found.items() if not _is_settled(window, spans)):
            starts = list(accumulate((len(window) + 1 for window in group[:-1]), initial=0))
            for result in recognizer.analyze("\n".join(group), recognizer.supported_entities, None):
                at = bisect_right(starts, result.start) - 1
                span = Span(result.start - starts[at], result.end - starts[at], float(result.score))
                found[group[at]].add(span)
    return [sorted(found[window]) for window in windows]


def _is_settled(window: str, spans: set[Span]) -> bool:
    """Whether one span has all digits of a window, so that another region could only find the same number."""
    return any(not any(map(str.isdigit, window[: span.start] + window[span.end :])) for span in spans)


def _groups(windows: Iterable[str]) -> Iterator[list[str]]:
    group: list[str] = []
    length = 0
    for window in windows:
        if group and length + len(window) > _JOINED_LENGTH:
            yield group
            group, length = [], 0
        group.append(window)
        length += len(window) + 1
    if group:
        yield group


def _recognizer(kind: str, region: str) -> Any:
    with _loading:
        return _load(kind, region)


@cache
def _load(kind: str, region: str) -> Any:
    with without_advice():
        from presidio_analyzer import predefined_recognizers as presidio
    makers: Mapping[str, Any] = {
        "email": presidio.EmailRecognizer,
        "ip": presidio.IpRecognizer,
        "phone": lambda: presidio.PhoneRecognizer(supported_regions=(region,)),
        "credit_card": presidio.CreditCardRecognizer,
        "iban": lambda: presidio.IbanRecognizer(exact_match=True),
        "us_ssn": presidio.UsSsnRecognizer,
    }
    recognizer = makers[kind]()
    if kind == "email":
        recognizer.validate_result = has_public_suffix
    # Expressions are compiled at the first call.
    recognizer.analyze("0", recognizer.supported_entities, None)
    return recognizer


def has_public_suffix(address: str) -> bool:
    """Whether the domain of an e-mail address ends in a suffix of the public list that tldextract carries.

    presidio asks that of the list that it downloads at first use, and of the whole address as if it were a URL.
    """
    return bool(split_host(address.rpartition("@")[2]).fqdn)


@contextmanager
def without_advice() -> Iterator[None]:
    """presidio imports transformers where it is installed, which then warns that PyTorch is not."""
    logger = logging.getLogger("transformers")
    before, logger.disabled = logger.disabled, True
    try:
        yield
    finally:
        logger.disabled = before
