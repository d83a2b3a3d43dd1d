"""Repairs text that was decoded with a wrong charset; measures how much of it there is, and the script of a text.

By ftfy (Speer 2019), with the settings of datatrove 0.10's FTFYFormatter (pipeline/formatters/ftfy.py), as in
FineWeb-2: encodings, HTML entities, control characters and terminal codes are repaired, while quotes, ligatures, widths
and the normal form are left alone. Texts equal those of that formatter. ftfy takes milliseconds for a page, so it only
gets lines in which it can change anything: those with an entity, a control character, or one of the characters that it
takes for signs of a wrong charset.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from typing import Any, ClassVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from curation.errors import RecipeError
from curation.stages.batch import Batch
from curation.stages.parameters import Ratio, checked
from curation.stages.rules import Rule
from curation.stages.stage import Rewriter, RewrittenTexts, struct
from curation.text.scripts import main_scripts

_ENTITY = "&#?[0-9A-Za-z]{1,24};"
_CONTROLS = "\\x00-\\x08\\x0b\\x0e-\\x1f\\x7f-\\x9f\u206a-\u206f\ufeff\ufff9-\ufffc"
"""What ftfy removes or replaces by itself."""
_SUSPECT_KINDS = ("bad", "law", "currency", "numeric", "upper_accented", "lower_accented", "box")
_SUSPECT_OTHERS = "ΒΓΞΟÙ"
"""ftfy's kinds of characters, and others, of which each of its signs of a wrong charset has at least one."""
_PER_CHARACTERS = 1000


@checked
@dataclass(frozen=True, slots=True)
class Encoding(Rewriter):
    """Repairs texts that were decoded with a wrong charset.

    Signals: `mojibake`, the sequences of characters that a wrong charset leaves, per 1,000 characters; `left`, the same
    after the repair; `script`, in which most letters are (ISO 15924, such as Latn), and `script_share`, the share of
    letters that are.

    Attributes:
        repair: Whether to repair the text; if false, it is only measured.
        max_left: Remove documents with more such sequences per 1,000 characters after the repair; None removes none.
    """

    repair: bool = True
    max_left: Ratio | None = None

    version: ClassVar[int] = 1
    libraries: ClassVar[tuple[str, ...]] = ("ftfy", "regex")

    def __post_init__(self) -> None:
        if find_spec("ftfy") is None:
            raise RecipeError("the stage encoding needs ftfy, which is not installed: pip install ftfy")

    @property
    def rules(self) -> tuple[Rule, ...]:
        """The ordered table of rules."""
        return () if self.max_left is None else (Rule("left", ">", self.max_left, "max_left"),)

    def rewrite(self, batch: Batch) -> RewrittenTexts:
        """Repair, and measure before and after. Counts: documents that were changed."""
        before, left = np.zeros((2, len(batch)))
        changed = np.zeros(len(batch), dtype=np.int64)
        new: list[str] = []
        for row in np.flatnonzero(_is_suspect(batch.text)).tolist():
            text = batch.text[row].as_py()
            lines = list(_repaired(text))
            before[row] = sum(_badness(old) for old, _ in lines)
            left[row] = sum(_badness(repaired) for _, repaired in lines) if self.repair else before[row]
            repaired = "".join(line for _, line in lines)
            if self.repair and repaired != text:
                changed[row] = 1
                new.append(repaired)
        texts = pc.replace_with_mask(batch.text, pa.array(changed > 0), pa.array(new, batch.text.type))
        script, share = main_scripts(batch.characters)
        size = np.maximum(batch.characters.counts, 1) / _PER_CHARACTERS
        signals = struct(
            mojibake=before / size, left=left / size, script=script, script_share=pa.array(share, from_pandas=True)
        )
        return RewrittenTexts(texts, signals, {"documents_changed": changed})


@cache
def _suspects() -> str:
    """An expression for all that ftfy may change or count, which also matches what it leaves alone."""
    from ftfy.badness import MOJIBAKE_CATEGORIES

    kinds = "".join(MOJIBAKE_CATEGORIES[kind] for kind in _SUSPECT_KINDS)
    return f"{_ENTITY}|[{_CONTROLS}{kinds}{_SUSPECT_OTHERS}]"


@cache
def _suspects_of_python() -> re.Pattern[str]:
    return re.compile(_suspects())


def _is_suspect(texts: pa.StringArray) -> Any:
    """Texts that ftfy may change, shape (rows,)."""
    return pc.match_substring_regex(texts.fill_null(""), _suspects()).to_numpy(zero_copy_only=False)


def _badness(line: str) -> int:
    from ftfy.badness import badness

    return badness(line) if _suspects_of_python().search(line) else 0


def _repaired(text: str) -> Iterator[tuple[str, str]]:
    """Each line of a text, with its end, before and after the repair."""
    import ftfy

    config = ftfy.TextFixerConfig(
        fix_latin_ligatures=False, fix_character_width=False, uncurl_quotes=False, fix_line_breaks=False,
        normalization=None,
    )  # fmt: skip
    for line in re.findall(r"[^\n]*\n|[^\n]+", text):
        yield line, ftfy.fix_text(line, config) if _suspects_of_python().search(line) else line
        if "<" in line:  # then entities may be part of a text about HTML, here and in all lines that follow
            config = config._replace(unescape_html=False)
