"""Which columns of a table, or keys of a JSON object, hold the text and what is known about it.

A name with dots is a column of that name, or a field inside one: "metadata.url". By default each value is taken from
the first of the names that well-known corpora use: FineWeb and FineWeb-2, DCLM, Dolma, C4, CulturaX, RedPajama and
OSCAR.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Annotated

from annotated_types import MinLen

from curation.stages.parameters import checked

Names = Annotated[str | tuple[str, ...], MinLen(1), "a name or a list of names"] | None

_WARC = ("metadata.WARC-{}", "metadata.warc-{}", "warc_headers.warc-{}", "warc_headers.WARC-{}", "WARC-{}")


def _warc(*names: str) -> tuple[str, ...]:
    return tuple(pattern.format(name) for name in names for pattern in _WARC)


KNOWN: dict[str, tuple[str, ...]] = {
    "text": ("text", "content", "raw_content"),
    "html": ("html", "raw_html"),
    "id": ("id", "doc_id", *_warc("Record-ID", "record-id")),
    "url": ("url", "uri", *_warc("Target-URI", "target-uri"), "metadata.url", "meta.url"),
    "date": ("date", "timestamp", "created", *_warc("Date", "date"), "date_download", "meta.timestamp"),
    "dump": ("dump",),
    "language": ("language", "lang"),
    "language_score": ("language_score",),
}
"""The names that are tried for each value, the first that is there wins."""


@checked
@dataclass(frozen=True, slots=True)
class ColumnNames:
    """Table [read.columns] of a recipe: names of columns in Parquet, keys in JSON Lines.

    Attributes:
        text: The text of a document. Extraction leaves it as it is.
        html: The HTML of a page, from which the text is extracted. It is read where there is no text, or where this
            key is set and `text` is not.
        id: A name for the document that no other has; where there is none, it is made from file and row.
        url: The address of the page.
        date: When it was read, as text or a time.
        dump: The crawl it is from, where `read.dump` sets none.
        language: The language.
        language_score: Its probability.
    """

    text: Names = None
    html: Names = None
    id: Names = None
    url: Names = None
    date: Names = None
    dump: Names = None
    language: Names = None
    language_score: Names = None

    def candidates(self, name: str) -> tuple[str, ...]:
        """The names to try for a value, in order; none for a text where only `html` is set."""
        chosen: str | tuple[str, ...] | None = getattr(self, name)
        if chosen is None:
            return () if name == "text" and self.html is not None else KNOWN[name]
        return (chosen,) if isinstance(chosen, str) else chosen


VALUES = tuple(part.name for part in fields(ColumnNames))
"""The values that are read."""

DEFAULT_COLUMNS = ColumnNames()
