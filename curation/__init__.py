"""Curation of web-crawl dumps into a pretraining corpus, a tokenizer and packed token shards.

The names below are the public Python API (docs/python.md); each is imported from its module when it is first used, so
that `import curation` costs nothing. The command line is `curate`.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from curation.archives.pages import read_archives as read_archives
    from curation.dedup.in_memory import DeduplicatedTable as DeduplicatedTable
    from curation.dedup.in_memory import deduplicate as deduplicate
    from curation.errors import CurationError as CurationError
    from curation.errors import ExtractionError as ExtractionError
    from curation.errors import InputError as InputError
    from curation.errors import ParameterError as ParameterError
    from curation.errors import RecipeError as RecipeError
    from curation.errors import UnreadableArchive as UnreadableArchive
    from curation.extraction.extract import Extract as Extract
    from curation.extraction.page import extract as extract
    from curation.filters.c4 import C4 as C4
    from curation.filters.fineweb import FineWeb as FineWeb
    from curation.filters.gopher_quality import GopherQuality as GopherQuality
    from curation.filters.gopher_repetition import GopherRepetition as GopherRepetition
    from curation.filters.language import Language as Language
    from curation.filters.paragraphs import Paragraphs as Paragraphs
    from curation.filters.pii import Pii as Pii
    from curation.filters.pii import RedactedText as RedactedText
    from curation.filters.pii import redact as redact
    from curation.filters.url import Url as Url
    from curation.language.identify import DetectedLanguage as DetectedLanguage
    from curation.language.identify import detect_language as detect_language
    from curation.recipes.recipe import Recipe as Recipe
    from curation.recipes.recipe import load_recipe as load_recipe
    from curation.stages.batch import Batch as Batch
    from curation.stages.explain import StageExplanation as StageExplanation
    from curation.stages.explain import explain as explain
    from curation.stages.pipeline import Pipeline as Pipeline
    from curation.stages.pipeline import PipelineResult as PipelineResult
    from curation.stages.rules import Rule as Rule
    from curation.stages.stage import Filter as Filter
    from curation.stages.stage import Outcome as Outcome
    from curation.stages.stage import struct as struct
    from curation.tokenize.loading.loader import TokenLoader as TokenLoader
    from curation.tokenize.training.train import train_tokenizer as train_tokenizer

__version__ = "0.2.0.dev0"

_HOME = {
    "Batch": "curation.stages.batch",
    "C4": "curation.filters.c4",
    "CurationError": "curation.errors",
    "DeduplicatedTable": "curation.dedup.in_memory",
    "DetectedLanguage": "curation.language.identify",
    "Extract": "curation.extraction.extract",
    "ExtractionError": "curation.errors",
    "Filter": "curation.stages.stage",
    "FineWeb": "curation.filters.fineweb",
    "GopherQuality": "curation.filters.gopher_quality",
    "GopherRepetition": "curation.filters.gopher_repetition",
    "InputError": "curation.errors",
    "Language": "curation.filters.language",
    "Outcome": "curation.stages.stage",
    "ParameterError": "curation.errors",
    "Paragraphs": "curation.filters.paragraphs",
    "Pii": "curation.filters.pii",
    "Pipeline": "curation.stages.pipeline",
    "PipelineResult": "curation.stages.pipeline",
    "Recipe": "curation.recipes.recipe",
    "RecipeError": "curation.errors",
    "RedactedText": "curation.filters.pii",
    "Rule": "curation.stages.rules",
    "StageExplanation": "curation.stages.explain",
    "TokenLoader": "curation.tokenize.loading.loader",
    "UnreadableArchive": "curation.errors",
    "Url": "curation.filters.url",
    "deduplicate": "curation.dedup.in_memory",
    "detect_language": "curation.language.identify",
    "explain": "curation.stages.explain",
    "extract": "curation.extraction.page",
    "load_recipe": "curation.recipes.recipe",
    "read_archives": "curation.archives.pages",
    "redact": "curation.filters.pii",
    "struct": "curation.stages.stage",
    "train_tokenizer": "curation.tokenize.training.train",
}
"""Where each public name is defined."""

__all__ = ["__version__", *_HOME]


if not TYPE_CHECKING:  # a type checker would take any name for one that exists

    def __getattr__(name: str) -> Any:
        if name not in _HOME:
            raise AttributeError(f"module 'curation' has no attribute {name!r}")
        value = getattr(importlib.import_module(_HOME[name]), name)
        globals()[name] = value
        return value


def __dir__() -> list[str]:
    return sorted({*(name for name in globals() if name.startswith("__")), *__all__})
