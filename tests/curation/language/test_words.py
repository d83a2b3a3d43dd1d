"""Words by the tokenizer for the language of each text."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.util import find_spec
from typing import Any

import pyarrow as pa
import pytest
from heuristic_cases import batch_of, strings

from curation.filters.gopher_quality import GopherQuality
from curation.language import words
from curation.stages.batch import Batch

TEXTS = {
    "deu_Latn": "Das ist z.B. ein Satz. »Ja«, sagte er.",
    "fr": "L'homme qu'aujourd'hui j'ai vu.",
    "eng_Latn": "Don't stop, it's 8a.m. now.",
    "xyz_Latn": "Don't stop, it's 8a.m. now.",
    "tha_Thai": "ผมไปตลาด ทุกวัน",
}


@pytest.fixture
def forgotten() -> Iterator[None]:
    """What was found to be installed is looked for again, in the test and after it."""
    words.method.cache_clear()
    yield
    words.method.cache_clear()


def in_languages(texts: list[str], languages: list[str | None]) -> Batch:
    return batch_of(texts).with_columns(language=pa.array(languages, pa.string()))


def test_words_are_those_of_the_language() -> None:
    """A text has the words of its language's tokenizer; unknown languages have those for any language."""
    batch = in_languages([*TEXTS.values()][:4], [*TEXTS][:4])
    assert strings(batch, batch.language_words) == [
        ["Das", "ist", "z.B.", "ein", "Satz", ".", "»", "Ja", "«", ",", "sagte", "er", "."],
        ["L'", "homme", "qu'", "aujourd'hui", "j'", "ai", "vu", "."],
        ["Do", "n't", "stop", ",", "it", "'s", "8", "a.m.", "now", "."],
        ["Don't", "stop", ",", "it", "'s", "8a.m", ".", "now", "."],
    ]


def test_words_do_not_depend_on_other_rows() -> None:
    """A text has the same words and flags in a batch of many languages as by itself, and after rows are dropped."""
    texts, names = [*TEXTS.values()] * 2, [*TEXTS, None, None, *[*TEXTS][2:]]
    together = in_languages(texts, names)
    apart = [in_languages([text], [name]) for text, name in zip(texts, names, strict=True)]
    expected = [strings(batch, batch.language_words)[0] for batch in apart]
    assert strings(together, together.language_words) == expected
    assert together.language_words.flags.sum() == sum(batch.language_words.flags.sum() for batch in apart)
    mask = pa.array([number % 3 > 0 for number in range(len(texts))]).to_numpy(zero_copy_only=False)
    kept = together.keep(mask)
    assert strings(kept, kept.language_words) == [cut for cut, keep in zip(expected, mask, strict=True) if keep]
    assert len(in_languages([], []).language_words.starts) == 0


def test_prose_has_the_language_of_its_text() -> None:
    """The prose of a text in Markdown is cut into the words of its language."""
    batch = in_languages(["# z.B. so\n```\ncode\n```"], ["deu_Latn"])
    assert batch.prose.language_words.counts.tolist() == [2]


def test_a_batch_without_languages_has_no_such_words() -> None:
    """Words of the language need the column `language`."""
    with pytest.raises(KeyError, match="language"):
        GopherQuality(words="language")(batch_of(["A text."]))


@pytest.mark.parametrize(
    ("text", "found", "spans"),
    [
        ("a b 1 , 000", ["a", "b", "1,000"], [(0, 1), (2, 3), (4, 11)]),
        ("ab", ["x", "b"], [(1, 2)]),
        ("a\nb", ["a\nb"], [(0, 3)]),
        (" a", ["a"], [(1, 2)]),
        ("", [], []),
    ],
)
def test_words_of_a_library_are_found_in_the_text(text: str, found: list[str], spans: list[tuple[int, int]]) -> None:
    """A word of a library has its place in the text, also if the library joined it; others are left out."""
    assert list(words.spans_of(text, found)) == spans


def test_words_of_a_library_have_flags() -> None:
    """Words that a library finds are marked as having a letter, or as symbols only, like all others."""
    for text in (batch_of(["a1 -- 22 。 ก็"]), batch_of(["# a1 -- *\n```\ncode\n```\n"]).prose):
        found = words._words_of_library(lambda text: words.spans_of(text, text.split()), text.characters)
        assert found.flags.tolist() == text.space_words.flags.tolist()


@pytest.mark.parametrize(
    ("installed", "how"), [((), "spacy xx"), (("icu4py",), "icu tha_Thai"), (("pythainlp",), "library tha_Thai")]
)
def test_what_replaces_a_library(
    installed: tuple[str, ...], how: str, monkeypatch: pytest.MonkeyPatch, forgotten: None
) -> None:
    """Thai is cut by pythainlp, else by ICU, else at white space; a message says so and what to install."""
    monkeypatch.setattr(words, "find_spec", lambda name: find_spec("json") if name in installed else None)
    assert words.method("tha_Thai") == how
    sentences = words.substitutes(["deu_Latn", "tha_Thai", "kaz_Cyrl"])
    thai = [sentence for sentence in sentences if "tha_Thai" in sentence]
    assert [sentence.endswith("pip install 'curation[languages]'") for sentence in thai] == [True] * (
        "library" not in how
    )
    assert [sentence for sentence in sentences if "kaz_Cyrl" in sentence and "stanza (which would download" in sentence]
    assert not any("deu_Latn" in sentence for sentence in sentences)


def test_what_words_depend_on_is_recorded() -> None:
    """How special languages are cut is part of what a recipe depends on; spaCy's languages are not named."""
    assert words.identity(["deu_Latn", "fra_Latn"])["parameters"] == {}
    assert words.identity(["kaz_Cyrl"])["parameters"] == {"kaz_Cyrl": "spacy xx"}


@pytest.mark.parametrize("label", ["tha_Thai", "khm_Khmr", "lao_Laoo", "mya_Mymr", "cmn_Hani", "jpn_Jpan"])
def test_icu_finds_words_without_spaces(label: str) -> None:
    """ICU cuts texts of scripts without spaces into several words."""
    pytest.importorskip("icu4py")
    text = {
        "tha_Thai": "ผมไปตลาดทุกวัน", "khm_Khmr": "ខ្ញុំទៅផ្សាររាល់ថ្ងៃ", "lao_Laoo": "ຂ້ອຍໄປຕະຫຼາດທຸກມື້",
        "mya_Mymr": "ကျွန်တော်စျေးသွားတယ်",
        "cmn_Hani": "我每天去市场", "jpn_Jpan": "私は毎日市場に行きます",
    }[label]  # fmt: skip
    found: Any = list(words._icu(label)(text))
    assert len(found) >= 3
    assert found[0][0] == 0
    assert found[-1][1] == len(text)
