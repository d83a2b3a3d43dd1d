"""presidio's recognizers, called directly on windows of text: no engine, no language model, no network.

presidio's engine tokenizes the complete text and reads context from the tokens. Here a recognizer processes many
windows per call, joined by line ends, which no match crosses; the text around a match is judged in `context` and
`evidence`.
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
"""Characters of windows to join per call; the phone recognizer gives up on a text after 65,535 failures."""
_LOAD_LOCK = RLock()


class Span(NamedTuple):
    """A recognizer's result: `[start, end)` in the text it was given, and its score."""

    start: int
    end: int
    score: float


def recognize(kind: str, windows: Sequence[str], regions: tuple[str, ...]) -> list[list[Span]]:
    """Run the recognizer of a kind on windows of text. Equal windows are processed once.

    Args:
        kind: Kind of personal data.
        windows: The windows.
        regions: Countries (ISO 3166) of national phone numbers. Each is recognized separately, because presidio's
            recognizer for several drops a number of one country inside what it takes for a number of another.

    Returns:
        The spans in each window, in order of position.
    """
    spans_by_window: dict[str, set[Span]] = {window: set() for window in windows}
    for region in regions if kind == "phone" else ("",):
        recognizer = _recognizer(kind, region)
        for group in _groups(window for window, spans in spans_by_window.items() if not _is_settled(window, spans)):
            starts = list(accumulate((len(window) + 1 for window in group[:-1]), initial=0))
            for result in recognizer.analyze("\n".join(group), recognizer.supported_entities, None):
                at = bisect_right(starts, result.start) - 1
                span = Span(result.start - starts[at], result.end - starts[at], float(result.score))
                spans_by_window[group[at]].add(span)
    return [sorted(spans_by_window[window]) for window in windows]


def _is_settled(window: str, spans: set[Span]) -> bool:
    """Whether one span covers all digits of a window, so that another region could only find the same number."""
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
    with _LOAD_LOCK:
        return _load(kind, region)


@cache
def _load(kind: str, region: str) -> Any:
    with without_advice():
        from presidio_analyzer import predefined_recognizers as presidio
    factories: Mapping[str, Any] = {
        "email": presidio.EmailRecognizer,
        "ip": presidio.IpRecognizer,
        "phone": lambda: presidio.PhoneRecognizer(supported_regions=(region,)),
        "credit_card": presidio.CreditCardRecognizer,
        "iban": lambda: presidio.IbanRecognizer(exact_match=True),
        "us_ssn": presidio.UsSsnRecognizer,
    }
    recognizer = factories[kind]()
    if kind == "email":
        recognizer.validate_result = has_public_suffix
    # Expressions are compiled on the first call.
    recognizer.analyze("0", recognizer.supported_entities, None)
    return recognizer


def has_public_suffix(address: str) -> bool:
    """Whether the domain of an e-mail address has a suffix in the public suffix list bundled with tldextract.

    presidio checks this with a list that it downloads on first use, and for the complete address as if it were a URL.
    """
    return bool(split_host(address.rpartition("@")[2]).fqdn)


@contextmanager
def without_advice() -> Iterator[None]:
    """Silence a warning: presidio imports transformers if installed, which warns if PyTorch is not."""
    logger = logging.getLogger("transformers")
    before, logger.disabled = logger.disabled, True
    try:
        yield
    finally:
        logger.disabled = before
