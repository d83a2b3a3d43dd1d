"""docs/multilingual.md: its recipe and its numbers."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

from source_files import ROOT

from curation.language import identify
from curation.language.labels import languages
from curation.recipes.language_values import built_in_file
from curation.recipes.recipe import load

PAGE = (ROOT / "docs" / "multilingual.md").read_text(encoding="utf-8")


def test_the_recipe_on_the_page_works(tmp_path: Path) -> None:
    """The example loads, and German has the values that it sets."""
    file = tmp_path / "mine.toml"
    file.write_text(re.findall(r"```toml\n(.*?)```", PAGE, re.DOTALL)[0])
    german = dict(load(str(file)).stages_of("de"))
    assert german["language"].min_score == 0.8  # type: ignore[attr-defined]
    quality = german["gopher_quality"]
    assert (quality.max_mean_word_length, quality.max_hash_ratio) == (14, 0.05)  # type: ignore[attr-defined]


def test_the_languages_of_the_model() -> None:
    """The page lists the labels of lid.176, which errors refer to."""
    known = sorted(identify.labels())
    listed = re.findall(r"these (\d+) languages, by its own labels:\n\n(.*?)\n\n", PAGE, re.DOTALL)
    assert [(count, text.replace("\n", " ")) for count, text in listed] == [(str(len(known)), ", ".join(known))]


def test_the_numbers_of_tokenizers() -> None:
    """The table says how many of FineWeb-2's languages have each tokenizer."""
    entries = [languages()[label] for label in built_in_file("fineweb-2")]
    special = Counter(entry.code for entry in entries if entry.code in ("vi", "zh", "ja"))
    kinds = Counter(entry.tokenizer for entry in entries)
    rules = kinds["SpaCyTokenizer"] - sum(special.values())
    codes = {entry.code for entry in entries if entry.tokenizer == "SpaCyTokenizer"} - {*special}
    for name, count in (
        (f"spaCy's rules for {len(codes)} languages", f"{rules:,}"),
        ("Stanza", kinds["StanzaTokenizer"]),
        ("Indic NLP", kinds["IndicNLPTokenizer"]),
        ("any language (white space and punctuation)", kinds["WhitespaceTokenizer"]),
        ("PyThaiNLP", kinds["ThaiTokenizer"]),
        ("pyvi (through spaCy)", special["vi"]),
        ("Pyidaungsu (Burmese)", kinds["BurmeseTokenizer"]),
        ("jieba (through spaCy)", special["zh"]),
        ("Botok (Tibetan)", kinds["TibetanTokenizer"]),
        ("LaoNLP, Khmer NLTK", f"{kinds['LaoTokenizer']}, {kinds['KhmerTokenizer']}"),
        ("Kiwi (Korean)", kinds["KiwiTokenizer"]),
        ("Sudachi (Japanese, through spaCy)", special["ja"]),
    ):
        assert f"| {name} | {count} |" in PAGE
