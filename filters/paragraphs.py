"""Removes pages that have no paragraphs: product grids, lists of teasers, menus, error pages.

Such pages pass rules on words and sentences once they have enough of them, but their lines are short. mC4 (Xue et al.
2021, arXiv 2010.11934, section 3.1) asks for three lines of at least 200 characters; it counts in whole pages, notices
and footers included. In main text alone, a share of the characters is the fairer measure: short articles have one or
two such lines.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import pyarrow as pa

from curation.stages.batch import Batch
from curation.stages.parameters import Count, Share, Size, checked
from curation.stages.rules import Rule
from curation.stages.stage import Filter, struct
from curation.stages.thresholds import fraction, rules_of


@checked
@dataclass(frozen=True, slots=True)
class Paragraphs(Filter):
    """Removes documents with too few paragraphs: lines of at least `length` characters. None disables a rule.

    Attributes:
        markdown: Whether the text is Markdown, of which the rules measure the prose: no fenced code and no marks.
        min_count: Smallest number of paragraphs.
        min_share: Smallest share, 0 to 1, of the document's characters (without newlines) that are in paragraphs.
        length: Characters from which a line is a paragraph.
    """

    markdown: bool = False
    min_count: Count | None = 3
    min_share: Share | None = None
    length: Size = 200

    version: ClassVar[int] = 1

    @property
    def rules(self) -> tuple[Rule, ...]:
        """The ordered table of rules."""
        return rules_of(self)

    def measure(self, batch: Batch) -> pa.StructArray:
        """The number of paragraphs, and the share of characters in them; null if there are none at all."""
        lines = batch.read_as(markdown=self.markdown).lines
        sizes = lines.ends - lines.starts
        is_long = sizes >= self.length
        return struct(
            count=lines.sums(is_long),
            share=fraction(lines.sums(sizes * is_long), lines.sums(sizes)),
        )
