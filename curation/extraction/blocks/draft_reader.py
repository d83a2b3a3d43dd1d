"""Reads a draft in Python, for what few pages have."""

from __future__ import annotations

from collections.abc import Iterator

from curation.extraction.blocks.attributes import AttributeReader
from curation.extraction.blocks.draft import BLOCK_AROUND, INSIDE, KIND, Draft
from curation.extraction.blocks.parse import PARENT, TAG


class DraftReader:
    """A draft whose columns are fetched once, as lists."""

    def __init__(self, draft: Draft, attributes: AttributeReader) -> None:
        self.draft, self.attributes = draft, attributes
        self.inside: list[int] = draft.outline[:, INSIDE].tolist()
        self.tags: list[int] = draft.elements[:, TAG].tolist()
        self.parents: list[int] = draft.elements[:, PARENT].tolist()
        self.columns: list[list[int]] = draft.places[:-1].T.tolist()
        self.around: list[int] = self.columns[BLOCK_AROUND]

    def chain(self, element: int) -> Iterator[int]:
        """The elements that give blocks structure at and around `element`, from the innermost out."""
        element = self.inside[element]
        while element:
            yield element
            element = self.inside[self.parents[element]]

    def innermost(self, element: int, kind: int) -> int:
        """The innermost element of a kind at or around `element`; 0 if there is none."""
        return next((around for around in self.chain(element) if _KINDS[self.tags[around]] == kind), 0)


_KINDS: list[int] = KIND.tolist()
