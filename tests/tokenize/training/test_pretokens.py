"""The splitting kernels split where tokenizers splits."""

from __future__ import annotations

from functools import cache

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer

from curation.tokenize.training.alphabet import spell
from curation.tokenize.training.patterns import PATTERNS, split_pattern
from curation.tokenize.training.pretokens import Splitter, flat_text
from curation.tokenize.training.settings import TokenizerSettings
from curation.tokenize.training.tokenizer_json import tokenizer_json

CUSTOM = r"\p{Lu}\p{Ll}+|\w+|[^\w\s]+|\s+"
KINDS = [(pattern, digits) for pattern in (*PATTERNS, CUSTOM) for digits in ("groups", "single")]
SURROUNDINGS = ["{}", " {}", "a{}b", "A{}", "1{}2", "\n{}\r", "'{}", "  {}  ", "/{}/", "'l{}", "\u0301{}"]


@cache
def written(pattern: str, digits: str) -> Tokenizer:
    """The tokenizer of the written file, without merges."""
    chosen = TokenizerSettings(pattern=pattern, digits=digits)  # type: ignore[arg-type]
    vocabulary = {spell(bytes([byte])): byte for byte in range(256)}
    return Tokenizer.from_buffer(tokenizer_json(vocabulary, [], chosen))


def counting(texts: list[str], pattern: str, digits: str) -> list[str]:
    """The pre-tokens that are counted, as tokenizer.json spells them."""
    text = flat_text(pa.array(texts, pa.large_string()))
    ends = Splitter(split_pattern(pattern, digits))(text).tolist()
    octets = text.data.tobytes()
    return [spell(octets[first:last]) for first, last in zip([0, *ends[:-1]], ends, strict=True)] if ends else []


def encoding(texts: list[str], pattern: str, digits: str) -> list[str]:
    """The pre-tokens of the written tokenizer."""
    split = written(pattern, digits).pre_tokenizer.pre_tokenize_str
    return [piece for text in texts for piece, _ in split(text)]


@pytest.mark.parametrize(("pattern", "digits"), KINDS)
def test_built_in_patterns_have_a_kernel(pattern: str, digits: str) -> None:
    """Only a custom pattern uses tokenizers' engine."""
    assert Splitter(split_pattern(pattern, digits)).engine == ("tokenizers" if pattern == CUSTOM else "kernel")


@pytest.mark.parametrize(("pattern", "digits"), KINDS)
@settings(max_examples=150, deadline=None, derandomize=True)
@given(
    texts=st.lists(
        st.text(st.characters(exclude_categories=["Cs"]))
        | st.text(st.sampled_from("aBé日ǅ \n\r\t'sTlLvrE12٣/.-ſ\u0301")),
        max_size=4,
    )
)
def test_counting_splits_as_the_written_tokenizer(pattern: str, digits: str, texts: list[str]) -> None:
    """Counting and the written tokenizer split any Unicode text alike."""
    assert counting(texts, pattern, digits) == encoding(texts, pattern, digits)


@pytest.mark.parametrize("pattern", sorted(PATTERNS))
def test_every_character_in_every_place(pattern: str) -> None:
    """Every Unicode character, alone and next to letters, digits, spaces and quotes, is split alike."""
    populated = [*range(0x3400), *range(0x4DB0, 0x4E10), *range(0x9F00, 0xAD00), *range(0xD700, 0xD800)]
    populated += [*range(0xE000, 0xE100), *range(0xF900, 0x12600), *range(0x16800, 0x18D00), *range(0x1AFF0, 0x20010)]
    populated += [*range(0x2A600, 0x2A800), *range(0xE0000, 0xE0200)]
    for first in range(0, len(populated), 64):
        characters = [chr(code) for code in populated[first : first + 64]]
        place = SURROUNDINGS[first // 64 % len(SURROUNDINGS)]
        texts = ["".join(characters), " ".join(place.format(character) for character in characters)]
        assert counting(texts, pattern, "groups") == encoding(texts, pattern, "groups")


def test_slices_and_nulls() -> None:
    """Slices of string and large_string arrays are read correctly, and a null is an empty text."""
    for width in (pa.string(), pa.large_string()):
        array = pa.array(["no", "Grüße du", None, "x y", "no"], width)[1:4]
        text = flat_text(array)
        assert text.data.tobytes() == "Grüße dux y".encode()
        assert text.offsets.tolist() == [0, 10, 10, 13]
    assert flat_text(pa.array([], pa.string())).offsets.tolist() == [0]
