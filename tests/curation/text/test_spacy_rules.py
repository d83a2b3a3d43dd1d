"""spaCy's rules from the machine's cache: the same as those of spaCy, which is not imported for them."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from spacy.lang.en import English

from curation.text.spacy_rules import english_rules, rules_of


def test_the_cached_rules_are_those_of_spacy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The rules are equal when they are made, when they are read from the cache, and after the cache was damaged."""
    monkeypatch.setenv("CURATION_CACHE_DIR", str(tmp_path))
    expected = rules_of(English.Defaults)
    assert english_rules() == expected
    (cached,) = tmp_path.iterdir()
    assert english_rules() == expected
    for damaged in (b"{", b"{}", b"[]", b""):
        np.save(cached, np.frombuffer(damaged, np.uint8))
        assert english_rules() == expected
    assert list(english_rules().exceptions) == list(expected.exceptions)


def test_spacy_is_not_imported_for_cached_rules(tmp_path: Path) -> None:
    """The second process that needs English words does not import spaCy."""
    program = "import sys; from curation.text.english import tokenizer; print(len(tokenizer()('don’t')[0]), "
    program += "'spacy' in sys.modules)"
    environment = {**os.environ, "CURATION_CACHE_DIR": str(tmp_path)}
    printed = [
        subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True)
        for _ in range(2)
    ]
    assert [done.stdout for done in printed] == ["2 True\n", "2 False\n"]
