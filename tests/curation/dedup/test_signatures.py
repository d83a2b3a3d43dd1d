"""Signatures: the reference's bits, the theoretical match rates, and dependence on nothing but the text."""

from __future__ import annotations

import random

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pages import texts
from signed import reference_signer
from stages import documents

from curation.dedup.algorithms import minhash
from curation.dedup.algorithms.normalization import simplify
from curation.dedup.settings import DedupSettings
from curation.dedup.signatures import band_keys, minima, shingles, signature_schema, signatures, sketches

REFERENCE = DedupSettings(variant="datatrove", bands=14, rows=8)
FAST = DedupSettings(variant="fast", bands=14, rows=8)


def our_minima(values: list[str], chosen: DedupSettings) -> np.ndarray:
    parts = shingles(simplify(documents(*values).characters), chosen)
    return np.asarray(minima(parts, chosen))


def their_minima(values: list[str]) -> list[list[int] | None]:
    step = reference_signer("/tmp")
    found: list[list[int] | None] = []
    for text in values:
        hashes = step.get_shingles(text)
        found.append([n for band in step.get_signature(hashes) for n in band] if hashes.size else None)
    return found


def simplified(values: list[str]) -> list[str]:
    view = simplify(documents(*values).characters)
    codes = view.codepoints
    return ["".join(map(chr, codes[a:b])) for a, b in zip(view.first.tolist(), view.last.tolist(), strict=True)]


def check(values: list[str]) -> None:
    ours = our_minima(values, REFERENCE)
    for row, theirs in zip(ours, their_minima(values), strict=True):
        if theirs is None:
            assert (row == np.iinfo(row.dtype).max).all()
        else:
            assert row.tolist() == theirs


def test_bits_equal_the_reference_on_real_texts(shared_data) -> None:  # type: ignore[no-untyped-def]
    """All minima equal datatrove's, in all languages of the shared pages."""
    check(list(texts(shared_data, 12)))


tricky = st.text(
    st.one_of(
        st.sampled_from(" .,-'0123456789\n\tabcXYZßẞİıﬁÅåΣσςé́̈٣५①②Ⅷ٫٬⎖一二あア…‘’“”—"),
        st.characters(exclude_categories=("Cs",)),
    ),
    max_size=60,
)


@settings(deadline=None, derandomize=True, max_examples=150)
@given(st.lists(tricky, min_size=1, max_size=4))
def test_simplified_text_equals_the_reference(values: list[str]) -> None:
    """Simplified text equals that of `simplify_text`, over all of Unicode."""
    from datatrove.utils.text import simplify_text

    assert simplified(values) == [simplify_text(value) for value in values]


@settings(deadline=None, derandomize=True, max_examples=60)
@given(st.lists(tricky, min_size=1, max_size=4))
def test_bits_equal_the_reference_on_odd_texts(values: list[str]) -> None:
    """All minima equal datatrove's for odd texts, over all of Unicode."""
    check(values)


@pytest.mark.parametrize("chosen", [REFERENCE, FAST], ids=["datatrove", "fast"])
def test_signatures_do_not_depend_on_the_batch(chosen: DedupSettings) -> None:
    """A document's signature is the same alone, in a batch, and after rows were dropped."""
    values = ["one two three four five six seven", "", "too short", "a b c d e f g h " * 40]
    batch = documents(*values)
    together = signatures(batch, chosen)
    assert together.schema.equals(signature_schema(chosen))
    alone = pa.Table.from_batches([signatures(documents(value), chosen) for value in values])
    assert pa.Table.from_batches([together]).equals(alone.combine_chunks())
    assert signatures(batch.keep(np.array([True, False, False, True])), chosen).equals(together.take([0, 3]))


def test_short_texts_have_no_signature() -> None:
    """A text of fewer than five words has null keys and sketch."""
    table = signatures(documents("one two three four", "one two three four five"), FAST)
    assert table.column("keys").is_valid().to_pylist() == [False, True]
    assert table.column("sketch").is_valid().to_pylist() == [False, True]


def test_at_most_250_bytes_per_document() -> None:
    """A stored signature takes at most 250 bytes."""
    widths = [field.type.bit_width // 8 for field in signature_schema(FAST)]
    assert sum(widths) <= 250


def word(chance: random.Random) -> str:
    return "".join(chance.choices("abcdefghijklmnopqrstuvwxyz", k=9))


def pair_of(similarity: float, words: int, chance: random.Random) -> tuple[str, str, float]:
    """Two texts, and the true Jaccard similarity of their word 5-grams."""
    left = [word(chance) for _ in range(words)]
    right = list(left)
    changed = round(words * (1 - similarity) / (1 + similarity) / 5)
    for block in chance.sample(range(words // 10), max(1, changed)):
        right[block * 10 + 5] = word(chance)
    grams = [{tuple(text[i : i + 5]) for i in range(words - 4)} for text in (left, right)]
    return " ".join(left), " ".join(right), len(grams[0] & grams[1]) / len(grams[0] | grams[1])


@pytest.mark.parametrize("chosen", [REFERENCE, FAST], ids=["datatrove", "fast"])
@pytest.mark.parametrize("similarity", [0.6, 0.75, 0.85])
def test_match_rates_follow_theory(chosen: DedupSettings, similarity: float) -> None:
    """Pairs share a band with probability 1 − (1 − s⁸)¹⁴, and the sketch estimates their similarity."""
    chance = random.Random(int(similarity * 100))
    pairs = [pair_of(similarity, 400, chance) for _ in range(250)]
    keys, sketch = [], []
    for side in (0, 1):
        table = signatures(documents(*[pair[side] for pair in pairs]), chosen)
        keys.append(band_keys(table))
        sketch.append(sketches(table))
    shared = (keys[0] == keys[1]).any(axis=1).mean()
    expected = np.mean([chosen.probability(true) for *_, true in pairs])
    assert abs(shared - expected) < 4 * np.sqrt(0.25 / len(pairs))
    estimate = minhash.similarity(sketch[0], sketch[1])
    assert abs(np.mean(estimate - [true for *_, true in pairs])) < 0.02
