"""Reads a draft in Python, where few pages have what is looked for, so that kernels would only cost their compilation."""

from __future__ import annotations

from collections.abc import Iterator

from curation.extraction.blocks.attributes import AttributeReader
from curation.extraction.blocks.draft import AFTER, FIRST, INSIDE, KIND, Draft
from curation.extraction.blocks.parse import PARENT, TAG


class DraftReader:
    """A draft whose columns are fetched once, as lists. Places are as in the draft; runs count from the first one."""

    def __init__(self, draft: Draft, source: bytes, attributes: AttributeReader) -> None:
        self.draft, self.source, self.attributes = draft, source, attributes
        self.text = draft.text.tobytes()
        self.tags: list[int] = draft.elements[:, TAG].tolist()
        self.parents: list[int] = draft.elements[:, PARENT].tolist()
        self.inside: list[int] = draft.outline[:, INSIDE].tolist()
        columns: list[list[int]] = draft.places[:-1].T.tolist()
        self.blocks, self.around, _, _, self.look, _, self.breaks, self.begin, self.stop, self.line_mark, _ = columns
        self.first_run = [run - columns[FIRST][0] for run in columns[FIRST]]
        self.end_run = [run - columns[FIRST][0] for run in columns[AFTER]]
        runs: list[list[int]] = draft.runs[columns[FIRST][0] : columns[AFTER][-1]].T.tolist()
        self.start, self.end, self.element, self.flags = runs

    def chain(self, element: int) -> Iterator[int]:
        """The elements that give blocks structure at and around `element`, from the innermost out."""
        element = self.inside[element]
        while element:
            yield element
            element = self.inside[self.parents[element]]

    def innermost(self, element: int, kind: int) -> int:
        """The innermost element of a kind at or around `element`; 0 if there is none."""
        return next((around for around in self.chain(element) if _KINDS[self.tags[around]] == kind), 0)

    def plain(self, place: int) -> str:
        """The text of a block as it is."""
        return self.text[self.start[self.first_run[place]] : self.end[self.end_run[place] - 1]].decode(errors="replace")


_KINDS: list[int] = KIND.tolist()
