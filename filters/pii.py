"""Replaces personal data in texts: email and IP addresses, phone, card, account and social security numbers, secrets.

`curation.pii` finds candidates by their form and check digits where a match is possible, decides which to trust on web
text, and makes the replacements. No document is removed, and doubtful matches are left alone: a broken number harms a
corpus more than a missed one. Secrets are off by default. So are names and places, which need a language model and are
wrong far more often.

The reference (datatrove 0.10, pipeline/formatters/pii.py) finds only email and IPv4 addresses, mistakes version numbers
for addresses, and assigns replacements in rotation, so that its output depends on the order of documents.
"""

from __future__ import annotations

import hashlib
import os
from collections import Counter
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
from curation.pii.find import KINDS, Search, find, without_collections
from curation.pii.numbering_plans import ANYWHERE
from curation.pii.replacements import replaced, replacement
from curation.stages.batch import Batch
from curation.stages.parameters import Outside, build, checked
from curation.stages.stage import Outcome, struct
from curation.text.buffers import cut_by_size
from curation.text.valid import valid_text

SIGNALS = ("email", "ip", "phone", "credit_card", "iban", "us_ssn", "person", "location", "secret")
"""All kinds of personal data, in the order of the signals; a kind that is not searched for has zeros."""
REGIONS = ("US", "GB", "DE", "FR", "IL", "IN", "BR")
"""presidio's defaults without CA, which shares the numbering plan of the US."""
SLICE_BYTES = 4 << 20
"""Texts are searched in slices of this size, which bounds memory whatever the size of the batch."""
MAX_PASSES = 8
"""A replacement next to other digits can look like another match, so passes are repeated until nothing is found."""

MinScore = Annotated[float, Gt(0), Le(1)]


@checked
@dataclass(frozen=True, slots=True)
class Pii:
    """Replaces personal data in the text. No document is removed.

    Signals: matches replaced in each document, by type. Counts: their sums.

    Attributes:
        types: Types to replace: "email", "ip", "phone", "credit_card", "iban", "us_ssn", "secret".
        replacement: "fake" puts a value that belongs to nobody, the same for the same original everywhere; "tag" puts
            `<EMAIL>` and the like.
        phone_regions: Countries (ISO 3166) whose phone numbers are also found without a country code.
        min_score_email: Evidence required to replace an email address, above 0 to 1 (see docs/personal-data.md).
        min_score_ip: The same for IP addresses.
        min_score_phone: The same for phone numbers.
        min_score_credit_card: The same for credit card numbers.
        min_score_iban: The same for bank account numbers.
        min_score_us_ssn: The same for US social security numbers.
        names: Also replace names of persons, in documents whose language is English or unknown. Needs the extra
            `names`.
        places: Also replace names of places, under the same conditions.
        secret_variable: Name of an environment variable whose value makes the choice of fakes unpredictable. It must be
            set where a run is planned; workers do not need it.
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
    secret_variable: Annotated[str, Outside("an environment variable")] | None = None
    _secret: bytes | None = field(init=False, repr=False, default=None)

    version: ClassVar[int] = 2
    libraries: ClassVar[tuple[str, ...]] = ("presidio-analyzer", "phonenumbers", "tldextract", "regex")

    def __post_init__(self) -> None:
        for kind in self.types:
            if kind not in KINDS:
                hint = "; names and places are separate keys" if kind in SIGNALS else ""
                raise ParameterError("types", kind, f"among {', '.join(sorted(KINDS))}{hint}")
        _check_regions(self.phone_regions)
        if self.names or self.places:
            names.check_available("names" if self.names else "places")
        if self.secret_variable is not None:
            # The value travels with the stage, so workers do not need it in their environment.
            secret = os.environ.get(self.secret_variable, "").encode()
            object.__setattr__(self, "_secret", hashlib.blake2b(secret).digest() if secret else None)

    def assets(self) -> dict[str, str]:
        """Hashes of the language model and the secret, if they are used."""
        hashes = {}
        if self.names or self.places:
            hashes["model"] = names.model_identity()
        if self.secret_variable is not None:
            hashes["secret"] = hashlib.blake2b(self._key(), digest_size=16, person=b"fingerprint").hexdigest()
        return hashes

    @without_collections()
    def __call__(self, batch: Batch, /) -> Outcome:
        """Replace matches in the text; signals and counts say how many of each type."""
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
        """The new text of each row that changes.

        Args:
            texts: The texts of a slice.
            english: Rows to search for names and places.
            counts: Shape (kinds, rows); the number of replaced matches is added to it.
        """
        edited: dict[int, str] = {}
        for row, matches, new in self.replacements(texts, english):
            edited[row] = new
            for kind, count in Counter(match.kind for match in matches if not match.kept).items():
                counts[SIGNALS.index(kind), row] += count
        return edited

    def replacements(self, texts: pa.StringArray, english: frozenset[int]) -> Iterator[tuple[int, list[Match], str]]:
        """Each row with matches, its matches, and its text with them replaced.

        A row is given once per pass in which something is found in it; later matches are in the text already replaced.

        Args:
            texts: The texts to search.
            english: Rows to search for names and places.
        """
        search = self._search()
        wanted = frozenset(kind for kind, on in (("person", self.names), ("location", self.places)) if on)
        finder = names.NameFinder(wanted) if wanted else None
        rows = list(range(len(texts)))
        settled: dict[int, list[tuple[int, int]]] | None = None
        barren: set[str] = set()
        for _ in range(MAX_PASSES):
            found = _to_replace(find(texts, search, settled, barren))
            if finder is not None:
                others = [i for i, row in enumerate(rows) if row in english and i not in found and texts[i].is_valid]
                found |= _to_replace(finder.find({i: texts[i].as_py() for i in others}))
            if not found:
                break
            new = {i: replaced(texts[i].as_py(), found[i], self.replacement, self._key()) for i in sorted(found)}
            yield from ((rows[i], found[i], text) for i, (text, _) in new.items())
            rows = [rows[i] for i in new]
            settled = dict(enumerate(places for _, places in new.values()))
            texts = pa.array([text for text, _ in new.values()], texts.type)

    def _search(self) -> Search:
        # A secret has no score of its own: its form is certain.
        minimums = tuple((kind, getattr(self, f"min_score_{kind}", 1.0)) for kind in KINDS if kind in self.types)
        return Search(minimums, self.phone_regions or (ANYWHERE,))

    def _key(self) -> bytes:
        """The secret as a key; RecipeError if the recipe names a variable that was not set."""
        if self.secret_variable is not None and self._secret is None:
            raise RecipeError(f"[pii]: secret_variable = {self.secret_variable!r}: no such environment variable is set")
        return self._secret or b""


@dataclass(frozen=True, slots=True)
class PersonalData:
    """One piece of personal data that was replaced in a text.

    Attributes:
        kind: Its type, such as "email".
        text: As it was written.
        start: Where it begins in the original text, in code points.
        end: Where it ends in the original text, in code points, exclusive.
        score: The evidence, 0 to 1.
        replacement: What is there now.
    """

    kind: str
    text: str
    start: int
    end: int
    score: float
    replacement: str


@dataclass(frozen=True, slots=True)
class RedactedText:
    """A text with personal data replaced, and what was replaced, in the order of the text."""

    text: str
    found: tuple[PersonalData, ...]


def redact(text: str, **settings: Any) -> RedactedText:
    """Replace the personal data in one text.

    Args:
        text: The text.
        **settings: Parameters of `Pii`: `types` (of "email", "ip", "phone", "credit_card", "iban", "us_ssn",
            "secret"), `replacement` ("fake" or "tag"), `phone_regions`, `min_score_email` and so on, `names` and
            `places` (English only, by a language model that the extra `names` installs).

    Returns:
        The text with the same replacements as in a run, and each match with its position in the original text.

    Raises:
        RecipeError: A setting does not exist or has an invalid value.
        TypeError: The text is no string.

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
    personal: list[PersonalData] = []
    redacted = text
    for _, matches, new in pii.replacements(pa.array([text], pa.string()), frozenset([0])):
        pieces: list[tuple[int, int]] = []
        at, redacted = 0, new
        for match in matches:
            if not match.kept:
                start, end = origin[match.start][0], origin[match.end - 1][1]
                substitute = replacement(match.kind, match.value, pii.replacement, pii._key())
                personal.append(PersonalData(match.kind, text[start:end], start, end, match.score, substitute))
                pieces += [*origin[at : match.start], *[(start, end)] * len(substitute)]
                at = match.end
        origin = pieces + origin[at:]
    return RedactedText(redacted, tuple(sorted(personal, key=lambda item: item.start)))


def _check_regions(regions: tuple[str, ...]) -> None:
    import phonenumbers

    known = phonenumbers.SUPPORTED_REGIONS
    for region in regions:
        if region not in known:
            raise ParameterError("phone_regions", region, f"among {', '.join(sorted(known))}")


def _slices(texts: pa.StringArray) -> Iterator[tuple[int, pa.StringArray]]:
    """The array in slices of about SLICE_BYTES, each with its first row."""
    sizes = pc.fill_null(pc.binary_length(texts), 0).to_numpy(zero_copy_only=False).astype(np.int64)
    for first, last in cut_by_size(sizes, SLICE_BYTES):
        yield first, texts.slice(first, last - first)


def _english(batch: Batch, first: int, rows: int) -> frozenset[int]:
    """Rows of a slice, counted from its row `first` of the batch, whose language is English or unknown."""
    if "language" not in batch.table.schema.names:
        return frozenset(range(rows))
    languages = batch.column("language").slice(first, rows).to_pylist()
    return frozenset(row for row, language in enumerate(languages) if language in (None, "en", "eng_Latn"))


def _to_replace(found: Mapping[int, list[Match]]) -> dict[int, list[Match]]:
    """The rows that have a match to replace."""
    return {row: matches for row, matches in found.items() if not all(match.kept for match in matches)}
