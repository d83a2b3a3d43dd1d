"""Shared by the tests of the heuristic filters: batches of texts, texts of pages, and the reference's verdicts."""

from __future__ import annotations

import importlib.metadata  # noqa: F401  (datatrove's word tokenizers expect it to be imported)
import os
import random
from collections.abc import Sequence
from contextlib import nullcontext
from functools import cache, lru_cache
from pathlib import Path
from typing import Any

import pyarrow as pa
from datatrove.data import Document
from datatrove.pipeline.filters import (
    C4QualityFilter,
    FineWebQualityFilter,
    GopherQualityFilter,
    GopherRepetitionFilter,
)
from datatrove.utils.word_tokenizers import SpaCyTokenizer
from resiliparse.extract.html2text import extract_plain_text
from resiliparse.parse.html import HTMLTree
from spacy.language import Language
from web_pages import web_pages

from curation.filters.c4 import C4
from curation.filters.fineweb import FineWeb
from curation.filters.gopher_quality import GopherQuality
from curation.filters.gopher_repetition import GopherRepetition
from curation.stages.batch import Batch

FULL = os.environ.get("CURATION_FULL_PARITY") == "1"
"""Set CURATION_FULL_PARITY=1 to compare all texts instead of an evenly spaced sample."""

OURS: dict[str, Any] = {
    "gopher_repetition": GopherRepetition(),
    "gopher_quality": GopherQuality(),
    "c4": C4(),
    "fineweb": FineWeb(),
}
REASONS = {
    "dup_para_frac": "max_dup_paragraph_fraction",
    "dup_para_char_frac": "max_dup_paragraph_characters",
    "dup_line_frac": "max_dup_line_fraction",
    "dup_line_char_frac": "max_dup_line_characters",
    **{f"top_{n}_gram": f"max_top_{n}_gram" for n in (2, 3, 4)},
    **{f"duplicated_{n}_n_grams": f"max_dup_{n}_gram" for n in (5, 6, 7, 8, 9, 10)},
    "gopher_short_doc": "min_words",
    "gopher_long_doc": "max_words",
    "gopher_below_avg_threshold": "min_mean_word_length",
    "gopher_above_avg_threshold": "max_mean_word_length",
    "gopher_too_many_hashes": "max_hash_ratio",
    "gopher_too_many_ellipsis": "max_ellipsis_ratio",
    "gopher_too_many_bullets": "max_bullet_lines",
    "gopher_too_many_end_ellipsis": "max_ellipsis_lines",
    "gopher_below_alpha_threshold": "min_alpha_words",
    "gopher_enough_stop_words": "min_stop_words",
    "lorem_ipsum": "lorem_ipsum",
    "curly_bracket": "curly_bracket",
    "too_few_sentences": "min_sentences",
    "empty": "empty",
    "line_punct_ratio": "min_terminal_lines",
    "short_line_ratio": "max_short_lines",
    "char_dup_ratio": "max_dup_characters",
    "list_ratio": "max_newlines_per_word",
}
"""The reference's reason to ours."""


@cache
def split_once() -> None:
    """Let datatrove split a text into words once, not once for each filter, and equal lines into sentences; and let
    spaCy keep what it knows of words, which datatrove lets it forget after each text to save memory."""
    Language.memory_zone = lambda self, mem=None: nullcontext(mem)
    for name, size in (("word_tokenize", 1 << 9), ("span_tokenize", 1 << 14)):
        remembered = lru_cache(size)(getattr(SpaCyTokenizer, name))
        setattr(SpaCyTokenizer, name, lambda self, text, found=remembered: [*found(self, text)])


@cache
def references() -> dict[str, Any]:
    """datatrove's filters with the parameters of FineWeb."""
    split_once()
    return {
        "gopher_repetition": GopherRepetitionFilter(),
        "gopher_quality": GopherQualityFilter(),
        "c4": C4QualityFilter(filter_no_terminal_punct=False),
        "fineweb": FineWebQualityFilter(),
    }


def verdict(reference: Any, text: str) -> tuple[str | None, str]:
    """The verdict of a filter of datatrove, with our name of the reason, and the text as it leaves the filter.

    An empty text, on which GopherRepetitionFilter divides by zero, is `empty`: a stated difference.
    """
    document = Document(text=text, id="0")
    try:
        result = reference.filter(document)
    except ZeroDivisionError:
        assert text == ""
        return "empty", text
    return (None if result is True else REASONS[result[1]]), document.text


def batch_of(texts: Sequence[str | None]) -> Batch:
    """A batch with the columns that stages need."""
    ids = [str(row) for row in range(len(texts))]
    return Batch(pa.record_batch({"id": pa.array(ids, pa.string()), "text": pa.array(texts, pa.string())}))


def strings(batch: Batch, spans: Any) -> list[list[str]]:
    """The spans of each row as strings."""
    text = batch.characters.codepoints.astype("<u4").tobytes().decode("utf-32-le")
    starts, ends = spans.starts.tolist(), spans.ends.tolist()
    return [
        [text[starts[k] : ends[k]] for k in range(first, last)]
        for first, last in zip(spans.first.tolist(), spans.last.tolist(), strict=True)
    ]


@cache
def page_texts(shared_data: Path) -> list[str]:
    """Two texts of each shared page: the main content, and everything, including menus and lists."""
    texts = []
    for _, page in web_pages(shared_data)[:: 1 if FULL else 10]:
        tree = HTMLTree.parse(page)
        texts += [extract_plain_text(tree, main_content=main) for main in (True, False)]
    return texts


def edited(text: str, seed: int) -> str:
    """A text edited to come close to a threshold: lines are repeated, cut, marked, joined, or turned into lists."""
    dice = random.Random(seed)
    lines = text.split("\n")[:80]
    for _ in range(dice.randrange(1, 4)):
        lines = dice.choice(_EDITS)(lines, dice) or [""]
    return dice.choice(("\n", "\n", "\n\n", "\r\n", "\u2028", "\x85", "\v")).join(lines)


def _repeat(lines: list[str], dice: random.Random) -> list[str]:
    for _ in range(dice.randrange(1, 8)):
        lines.insert(dice.randrange(len(lines) + 1), dice.choice(lines))
    return lines


def _insert(lines: list[str], dice: random.Random) -> list[str]:
    for _ in range(dice.randrange(1, 6)):
        row = dice.randrange(len(lines))
        at = dice.randrange(len(lines[row]) + 1)
        lines[row] = lines[row][:at] + dice.choice(_PIECES) + lines[row][at:]
    return lines


def _mark(lines: list[str], dice: random.Random) -> list[str]:
    before, after = dice.choice((("- ", ""), (" • ", ""), ("", "..."), ("", "…  "), ("# ", ""), ("", "."), ("", "!  ")))
    share = dice.random()
    return [before + line + after if dice.random() < share else line for line in lines]


def _phrase(lines: list[str], dice: random.Random) -> list[str]:
    words = " ".join(lines).split()[:400]
    if not words:
        return lines
    at, size = dice.randrange(len(words)), dice.randrange(2, 12)
    for _ in range(dice.randrange(1, 40)):
        where = dice.randrange(len(words) + 1)
        words[where:where] = words[at : at + size]
    return [" ".join(words[k : k + 25]) for k in range(0, len(words), 25)]


_PIECES = (
    *(" [1] ", "[edit]", " [citation needed]", "[]", "[٣]", "[[2]]", " JavaScript ", " JAVASCRİPT ", "Java\u212acript"),
    *(
        " lorem Ipsum ",
        "{",
        "Terms of Use",
        " uses coo\u212aies ",
        "use  cookies",
        "x" * 1001,
        " foo:) )",
        ": ))",
        " 8)",
    ),
    *(
        "...",
        "…",
        "….",
        "?!",
        ". . .",
        ".  .",
        "。",
        "the",
        " be to of and that have with ",
        "\u00a0",
        "\u200b",
        "\u0301",
    ),
    *("#", "###", "😀😀", "http://a.b.com/c?d=e", "a.b@c.org", "don't", "N.Y.", "e.g.", "\x1c", "\u3000", "IS_ASCII"),
)
_EDITS = (
    _repeat,
    _insert,
    _mark,
    _phrase,
    lambda lines, dice: lines[: dice.randrange(1, 6)],
    lambda lines, dice: [line[: dice.randrange(1, 60)] for line in lines],
    lambda lines, dice: [" ".join(lines)],
    lambda lines, dice: [line for line in lines for _ in range(dice.randrange(1, 3))],
    lambda lines, dice: [" ".join(line.split()[:5]) for line in lines],
    lambda lines, dice: [line.upper() for line in lines],
    lambda lines, dice: [f"{line[: dice.randrange(35, 60)]}{dice.random()}.\n\n\n\n" for line in lines if line.strip()],
    lambda lines, dice: [" ".join(word[:3] for word in line.split()) for line in lines],
    lambda lines, dice: [line.rstrip(".!?") for line in lines],
)
