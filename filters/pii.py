"""Personal data: e-mail and IP addresses, phone, card, account and social security numbers, replaced in the text.

presidio-analyzer's recognizers, checksums included, find them; `curation.pii` decides which of their matches hold on
web text, shows the recognizers only where something can be, and makes the replacements. Nothing is removed: broken
numbers harm a corpus more than a missed one, so what is doubtful stays. Names and places need a language model, are
wrong far more often, and are off by default.

The reference (datatrove 0.10, pipeline/formatters/pii.py) knows e-mail and IPv4 only, takes version numbers for
addresses, and hands out its replacements in turn, so that its output depends on the order of documents.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from annotated_types import Gt, Le

from curation.arrays import Int32s
from curation.errors import ParameterError, RecipeError
from curation.pii import names
from curation.pii.evidence import Match
from curation.pii.find import KINDS, Search, find
from curation.pii.replacements import replace, replacement
from curation.stages.batch import Batch
from curation.stages.parameters import build, checked
from curation.stages.stage import Outcome, struct
from curation.text.valid import valid_text

SIGNALS = ("email", "ip", "phone", "credit_card", "iban", "us_ssn", "person", "location")
"""The kinds, in the order of the signals; one that is not looked for has zeros."""
REGIONS = ("US", "GB", "DE", "FR", "IL", "IN", "BR")
"""presidio's own, but for CA, which shares the numbering plan of the US."""
ANYWHERE = "ZZ"
"""libphonenumber's region in which only numbers with a country code are numbers."""
SLICE_BYTES = 4 << 20
"""Texts are searched in slices of this size, so that memory stays bounded whatever the batch."""
MAX_PASSES = 8
"""A replacement can, next to other digits, look like something else; passes go on until nothing is found."""

MinScore = Annotated[float, Gt(0), Le(1)]


@checked
@dataclass(frozen=True, slots=True)
class Pii:
    """Replaces personal data of the `types` given; nothing is removed.

    replacement: "fake" for a value that belongs to nobody, the same for the same original everywhere, or "tag" for
    `<EMAIL>`. phone_regions: countries (ISO 3166) whose numbers are found without a country code too. min_score_*: the
    evidence needed, 0 to 1 (docs/personal-data.md). names, places: also replace names of persons and of places, in
    documents whose language is English or not known (needs the extra `names`). secret_variable: name of an environment
    variable whose value makes the choice of fakes unpredictable; to be set where a run is planned, not on workers.
    Signals: matches replaced in each document, by type. Counts: their sums.
    """

    types: tuple[str, ...] = ("email", "ip", "phone", "credit_card", "iban", "us_ssn")
    replacement: Literal["fake", "tag"] = "fake"
    phone_regions: tuple[str, ...] = REGIONS
    min_score_email: MinScore = 0.5
    min_score_ip: MinScore = 0.5
    min_score_phone: MinScore = 0.5
    min_score_credit_card: MinScore = 0.5
    min_score_iban: MinScore = 0.5
    min_score_us_ssn: MinScore = 0.4
    names: bool = False
    places: bool = False
    secret_variable: str | None = None
    _secret: bytes | None = field(init=False, repr=False, default=None)

    version: ClassVar[int] = 1
    libraries: ClassVar[tuple[str, ...]] = ("presidio-analyzer", "phonenumbers", "tldextract", "regex")

    def __post_init__(self) -> None:
        for kind in self.types:
            if kind not in KINDS:
                also = "; names and places are keys of their own" if kind in SIGNALS else ""
                raise ParameterError("types", kind, f"among {', '.join(sorted(KINDS))}{also}")
        _check_regions(self.phone_regions)
        if self.names or self.places:
            names.check_available("names" if self.names else "places")
        if self.secret_variable is not None:
            # Workers get the value with the stage, so it need not be in their environment.
            secret = os.environ.get(self.secret_variable, "").encode()
            object.__setattr__(self, "_secret", hashlib.blake2b(secret).digest() if secret else None)

    def assets(self) -> dict[str, str]:
        """Hashes of the language model and the secret, as far as they are used."""
        found = {}
        if self.names or self.places:
            found["model"] = names.model_identity()
        if self.secret_variable is not None:
            found["secret"] = hashlib.blake2b(self._key(), digest_size=16, person=b"fingerprint").hexdigest()
        return found

    def __call__(self, batch: Batch, /) -> Outcome:
        """Edit the text; signals and counts say how many matches of each type were replaced."""
        text = batch.text
        counts = np.zeros((len(SIGNALS), len(batch)), dtype=np.int32)
        edited: dict[int, str] = {}
        for first, part in _slices(text):
            english = _english(batch, first, len(part)) if self.names or self.places else frozenset()
            for row, new in self._edited(part, english, counts[:, first : first + len(part)]).items():
                edited[first + row] = new
        if edited:
            mask = np.zeros(len(batch), dtype=np.bool_)
            mask[list(edited)] = True
            new_texts = pa.array([edited[row] for row in sorted(edited)], text.type)
            batch = batch.with_columns(text=pc.replace_with_mask(text, pa.array(mask), new_texts))
        totals = {kind: int(count) for kind, count in zip(SIGNALS, counts.sum(axis=1), strict=True) if count}
        return Outcome(batch, None, struct(**dict(zip(SIGNALS, counts, strict=True))), totals)

    def _edited(self, texts: pa.StringArray, english: frozenset[int], counts: Int32s) -> dict[int, str]:
        """The new text of each row that changes; names are looked for in the rows `english`.

        counts: (kinds, rows), to which the matches replaced are added.
        """
        edited: dict[int, str] = {}
        for row, matches, new in self.replacements(texts, english):
            edited[row] = new
            for match in matches:
                counts[SIGNALS.index(match.kind), row] += not match.kept
        return edited

    def replacements(self, texts: pa.StringArray, english: frozenset[int]) -> Iterator[tuple[int, list[Match], str]]:
        """Row, matches in its text, and the text with them replaced; a row comes again until nothing is found."""
        search = self._search()
        wanted = frozenset(kind for kind, on in (("person", self.names), ("location", self.places)) if on)
        finder = names.NameFinder(wanted) if wanted else None
        rows = list(range(len(texts)))
        for _ in range(MAX_PASSES):
            found = _to_replace(find(texts, search))
            if finder is not None:
                others = [i for i, row in enumerate(rows) if row in english and i not in found and texts[i].is_valid]
                found |= _to_replace(finder.find({i: texts[i].as_py() for i in others}))
            if not found:
                break
            new = {i: replace(texts[i].as_py(), found[i], self.replacement, self._key()) for i in sorted(found)}
            yield from ((rows[i], found[i], text) for i, text in new.items())
            rows = [rows[i] for i in new]
            texts = pa.array(list(new.values()), texts.type)

    def _search(self) -> Search:
        minimums = tuple((kind, getattr(self, f"min_score_{kind}")) for kind in KINDS if kind in self.types)
        return Search(minimums, self.phone_regions or (ANYWHERE,))

    def _key(self) -> bytes:
        """The secret as a key; RecipeError where it is named but was not set."""
        if self.secret_variable is not None and self._secret is None:
            raise RecipeError(f"[pii]: secret_variable = {self.secret_variable!r}: no such environment variable is set")
        return self._secret or b""


@dataclass(frozen=True, slots=True)
class PersonalData:
    """What was found in a text at `start` to `end` (code points), and what stands there now.

    score: the evidence, 0 to 1. text: as it was written.
    """

    kind: str
    text: str
    start: int
    end: int
    score: float
    replacement: str


@dataclass(frozen=True, slots=True)
class RedactedText:
    """A text with personal data replaced, and what was found, in the order of the text."""

    text: str
    found: tuple[PersonalData, ...]


def redact(text: str, **settings: Any) -> RedactedText:
    """Find and replace the personal data in one text.

    Args:
        text: The text.
        **settings: Parameters of `Pii`: `types` (of "email", "ip", "phone", "credit_card",
            "iban", "us_ssn"), `replacement` ("fake" or "tag"), `phone_regions`, `min_score_email` and so on, `names`
            and `places` (English, by a language model that the extra `names` brings).

    Returns:
        The text with replacements, the same as in a run, and each thing found with its place in the text given.

    Raises:
        RecipeError: There is no such setting, or it cannot have this value.

    Example:
        >>> from curation import redact
        >>> found = redact("Write to jane.doe@corp.io today.", replacement="tag")
        >>> found.text
        'Write to <EMAIL> today.'
        >>> found.found[0].kind, found.found[0].text
        ('email', 'jane.doe@corp.io')
    """
    pii = build(Pii, settings, "redact()")
    text = valid_text(text)
    origin = [(place, place + 1) for place in range(len(text))]
    found: list[PersonalData] = []
    redacted = text
    for _, matches, new in pii.replacements(pa.array([text], pa.string()), frozenset([0])):
        pieces: list[tuple[int, int]] = []
        at, redacted = 0, new
        for match in matches:
            if not match.kept:
                start, end = origin[match.start][0], origin[match.end - 1][1]
                stands = replacement(match.kind, match.value, pii.replacement, pii._key())
                found.append(PersonalData(match.kind, text[start:end], start, end, match.score, stands))
                pieces += [*origin[at : match.start], *[(start, end)] * len(stands)]
                at = match.end
        origin = pieces + origin[at:]
    return RedactedText(redacted, tuple(sorted(found, key=lambda one: one.start)))


def _check_regions(regions: tuple[str, ...]) -> None:
    import phonenumbers

    known = phonenumbers.SUPPORTED_REGIONS
    for region in regions:
        if region not in known:
            raise ParameterError("phone_regions", region, f"among {', '.join(sorted(known))}")


def _slices(texts: pa.StringArray) -> Iterator[tuple[int, pa.StringArray]]:
    """The array in slices of about SLICE_BYTES, each with the row it begins at."""
    sizes = np.cumsum(pc.fill_null(pc.binary_length(texts), 0).to_numpy(zero_copy_only=False).astype(np.int64))
    first = 0
    while first < len(texts):
        before = sizes[first - 1] if first else 0
        last = max(first + 1, int(np.searchsorted(sizes, before + SLICE_BYTES, side="right")))
        yield first, texts.slice(first, last - first)
        first = last


def _english(batch: Batch, first: int, rows: int) -> frozenset[int]:
    """Of the rows from `first` on those, counted from there, whose language is English or not known."""
    if "language" not in batch.table.schema.names:
        return frozenset(range(rows))
    languages = batch.column("language").slice(first, rows).to_pylist()
    return frozenset(row for row, language in enumerate(languages) if language in (None, "en", "eng_Latn"))


def _to_replace(found: Mapping[int, list[Match]]) -> dict[int, list[Match]]:
    """The rows in which something is to be replaced."""
    return {row: matches for row, matches in found.items() if not all(match.kept for match in matches)}
