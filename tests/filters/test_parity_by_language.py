"""Under the recipe fineweb-2, verdict and reason equal those of datatrove's blocks with a language's published values.

Texts are real pages in the language, sentences put together, and edited ones that come close to the thresholds.
Languages whose words need a library of their own are compared if it is installed (`pip install curation[languages]`).
"""

from __future__ import annotations

import gzip
import json
from collections import Counter, defaultdict
from functools import cache
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from datatrove.data import Document
from datatrove.pipeline.filters import FineWebQualityFilter, GopherQualityFilter, GopherRepetitionFilter
from heuristic_cases import FULL, REASONS, edited, page_texts, split_once

from curation.language import identify
from curation.language.labels import label_of
from curation.language.words import missing
from curation.recipes.language_values import built_in_file
from curation.recipes.recipe import Recipe, load
from curation.stages.batch import Batch

LANGUAGES = ("de", "es", "fr", "pl", "ru", "pt", "ar", "it", "zh", "ja", "th", "vi", "hi")
OF_FILTERS = ("gopher_repetition", "fineweb", "gopher_quality")


@cache
def recipe() -> Recipe:
    return load("fineweb-2")


@cache
def published(shared_data: Path) -> dict[str, dict[str, Any]]:
    """FineWeb-2's values, as published."""
    with gzip.open(shared_data / "recipes" / "fineweb-2.jsonl.gz", "rt", encoding="utf-8") as lines:
        return {values["language"]: values for values in map(json.loads, lines)}


@cache
def sentences(shared_data: Path) -> dict[str, list[str]]:
    found: dict[str, list[str]] = defaultdict(list)
    with gzip.open(shared_data / "language" / "lingua-sentences.tsv.gz", "rt", encoding="utf-8") as lines:
        for line in lines:
            code, sentence = line.rstrip("\n").split("\t", 1)
            found[code].append(sentence)
    return found


@cache
def pages(shared_data: Path) -> dict[str, list[str]]:
    """The texts of the shared pages by language."""
    texts = [text for text in page_texts(shared_data) if text.strip()]
    found: dict[str, list[str]] = defaultdict(list)
    for text, language in zip(texts, identify.predict_all(pa.array(texts)).languages, strict=True):
        found[language or ""].append(text)
    return found


def texts_in(code: str, shared_data: Path) -> list[str]:
    own, more = sentences(shared_data)[code][: None if FULL else 130], pages(shared_data)[code]
    joined = ["\n".join(own[at : at + 6]) for at in range(0, len(own), 6)]
    joined += [" ".join(own[at : at + 9]) for at in range(0, len(own), 9)]
    joined += more if FULL else more[:5]
    return [text.replace("IS_ALPHA", "IS_BETA") for text in (*joined, *map(edited, joined, range(len(joined)))) if text]


def reference(values: dict[str, Any]) -> dict[str, Any]:
    """The blocks of FineWeb-2's pipeline with the values of a language."""
    split_once()
    language = values["language"]
    return {
        "gopher_repetition": GopherRepetitionFilter(
            language=language,
            dup_para_frac=0,
            dup_line_char_frac=0,
            dup_para_char_frac=0,
            dup_line_frac=values["dup_line_frac"],
            top_n_grams=values["top_n_grams"],
            dup_n_grams=values["dup_n_grams"],
        ),
        "fineweb": FineWebQualityFilter(
            language=language,
            short_line_thr=999,
            char_duplicates_ratio=0.1,
            line_punct_thr=values["line_punct_thr"],
            new_line_ratio=values["new_line_ratio"],
        ),
        "gopher_quality": GopherQualityFilter(
            language=language,
            max_avg_word_length=values["max_avg_word_length"],
            min_avg_word_length=values["min_avg_word_length"],
            stop_words=values["stopwords"],
            max_non_alpha_words_ratio=values["max_non_alpha_words_ratio"],
            min_stop_words=2,
        ),
    }


def verdict(block: Any, text: str) -> str | None:
    try:
        result = block.filter(Document(text=text, id="0"))
    except ZeroDivisionError:  # a text without words: its ratios are null here
        return "no words"
    return None if result is True else REASONS[result[1]]


@pytest.mark.parametrize("code", LANGUAGES)
def test_verdicts_equal_those_of_the_reference(code: str, shared_data: Path) -> None:
    """Every text in the language gets the reference's verdict and reason from each of the three filters."""
    label = label_of(code)
    if packages := missing(label):
        pytest.skip(f"needs {', '.join(packages)}")
    texts = texts_in(code, shared_data)
    batch = Batch(
        pa.record_batch({"id": [*map(str, range(len(texts)))], "text": texts, "language": [label] * len(texts)})
    )
    stages = dict(recipe().stages_of(label))
    seen: Counter[str | None] = Counter()
    for name, block in reference(published(shared_data)[label]).items():
        outcome = stages[name](batch)
        assert outcome.reasons is not None
        for text, reason in zip(texts, outcome.reasons.to_pylist(), strict=True):
            expected = verdict(block, text)
            assert expected in (reason, "no words"), (name, text)
            seen[expected] += 1
    assert seen[None] > 40
    assert len(seen) > 8


def test_the_file_has_the_published_values(shared_data: Path) -> None:
    """For every language, the packaged values give the published thresholds; one that cannot be violated is none."""
    stages, ours = load("fineweb-2").stages, built_in_file("fineweb-2")
    theirs = published(shared_data)
    assert ours.keys() == theirs.keys()
    for label, values in theirs.items():
        own = ours[label]
        assert own["language"] == {"min_score": values["language_score"]}
        assert own["gopher_quality"] == {
            "min_mean_word_length": values["min_avg_word_length"] or "none",
            "max_mean_word_length": values["max_avg_word_length"],
            "min_alpha_words": values["max_non_alpha_words_ratio"],
            "stop_words": values["stopwords"],
        }
        lines = values["line_punct_thr"]
        assert own["fineweb"] == {
            "min_terminal_lines": lines if lines >= 0 else "none",
            "max_newlines_per_word": values["new_line_ratio"],
        }
        shares = {"max_dup_line_fraction": values["dup_line_frac"]}
        shares |= {f"max_dup_{size}_gram": share for size, share in values["dup_n_grams"]}
        assert own["gopher_repetition"] == {
            **{key: share if 0 < share <= 1 else "none" for key, share in shares.items()},
            **{f"max_top_{size}_gram": share for size, share in values["top_n_grams"]},
        }
    last = ["encoding", "table_symbols"]
    assert [name for name, _ in stages] == ["url", "extract", "language", *OF_FILTERS, *last]
