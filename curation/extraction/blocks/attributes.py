"""Attributes of elements, read from the source where they matter: `parse` keeps what it needs itself."""

from __future__ import annotations

import re

from curation.arrays import Int64s
from curation.extraction.blocks.parse import OPENED

TAG_BYTES = 2000
"""Bytes of a start tag in which attributes are looked for."""
CLASS_CHARACTERS = 300
"""Characters of a class that are looked at."""

_ATTRIBUTE = re.compile(rb"""([^\s"'<>/=]+)\s*(?:=\s*(?:"([^"]*)"|'([^']*)'|([^\s>"']+)))?|(>)""")


class AttributeReader:
    """Reads the attributes of a page's elements."""

    def __init__(self, elements: Int64s, source: bytes) -> None:
        self.elements, self.source = elements, source
        self.known: dict[int, dict[str, str]] = {}

    def read(self, element: int) -> dict[str, str]:
        """The attributes of an element, by name in lower case."""
        known = self.known.get(element)
        if known is None:
            known = self.known[element] = {}
            start = int(self.elements[element, OPENED])
            if element > 0:
                for match in _ATTRIBUTE.finditer(self.source, start, start + TAG_BYTES):
                    name, *values, closing = match.groups()
                    if closing:
                        break
                    value = next((value for value in values if value is not None), b"")
                    known.setdefault(name.decode(errors="replace").lower(), value.decode(errors="replace"))
        return known

    def classes(self, element: int) -> str:
        """The beginning of an element's class, in lower case."""
        return self.read(element).get("class", "")[:CLASS_CHARACTERS].lower()

    def number(self, element: int, name: bytes, default: int) -> int:
        """A number of at most nine digits; `default` if the attribute is none."""
        if not self.may_have(element, name):
            return default
        text = self.read(element).get(name.decode(), "").strip()
        return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else default

    def may_have(self, element: int, name: bytes) -> bool:
        """Whether a name is in the start tag of an element, as far as that is seen without reading its attributes."""
        start = int(self.elements[element, OPENED])
        end = self.source.find(b">", start, start + TAG_BYTES)
        tag = self.source[start:end].lower()
        return end < 0 or name in tag or tag.count(b'"') % 2 > 0 or tag.count(b"'") % 2 > 0
