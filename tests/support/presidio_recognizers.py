"""presidio's recognizers, called directly: the reference for this project's own."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

from presidio_analyzer import predefined_recognizers as presidio

from curation.pii.evidence import Match
from curation.pii.find import KINDS, Search, without_overlaps
from curation.pii.recognizers import Span
from curation.text.hosts import has_public_suffix


@cache
def recognizer(kind: str, region: str) -> Any:
    """presidio's recognizer of a kind; that of phone numbers for one region."""
    factories: Mapping[str, Any] = {
        "email": presidio.EmailRecognizer,
        "ip": presidio.IpRecognizer,
        "phone": lambda: presidio.PhoneRecognizer(supported_regions=(region,)),
        "credit_card": presidio.CreditCardRecognizer,
        "iban": lambda: presidio.IbanRecognizer(exact_match=True),
        "us_ssn": presidio.UsSsnRecognizer,
    }
    made = factories[kind]()
    if kind == "email":
        # presidio downloads a list of suffixes on first use, and takes the complete address for a URL.
        made.validate_result = lambda address: has_public_suffix(address.rpartition("@")[2])
    return made


def on_complete_text(text: str, search: Search) -> list[Match]:
    """Matches of presidio's recognizers on the complete text, judged by this project's rules."""
    found = []
    for name, minimum in search.minimums:
        kind = KINDS[name]
        for region in search.regions if name == "phone" else ("",):
            made = recognizer(name, region)
            for result in made.analyze(kind.shown(text), made.supported_entities, None):
                end = result.end
                if name == "ip":
                    # presidio's match has the prefix length and the zone.
                    end = result.start + len(text[result.start : end].partition("/")[0].partition("%")[0])
                match = kind.judge(text, Span(result.start, end, float(result.score)), search.regions)
                if match is not None and match.score >= minimum:
                    found.append(match)
    return without_overlaps(found)
