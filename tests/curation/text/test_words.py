"""The memo of chunks: words never depend on its content."""

from __future__ import annotations

import random
import threading

import numpy as np
import pytest
from heuristic_cases import FULL, batch_of, strings

from curation.stages.batch import Batch
from curation.text import english, views, words
from curation.text.kernels.characters import classes
from curation.text.kernels.chunks import Texts
from curation.text.word_memo import MAX_STORED, Memo


def some_texts(count: int, seed: int) -> list[str]:
    dice = random.Random(seed)
    stems = ["don't", "8a.m.", "foo:)", ")", "U.S.", "end.", "(see", "http://a.org/b", "é-é", "的。", "x" * 70 + "."]
    return [
        " ".join(f"{dice.choice(stems)}{dice.choice(('', dice.randrange(900)))}" for _ in range(dice.randrange(60)))
        for _ in range(count)
    ]


def words_of(batch: Batch, memo: Memo, monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    monkeypatch.setattr(words, "_MEMO", memo)
    return strings(batch, views.words(batch.characters))


def test_words_do_not_depend_on_the_memo(monkeypatch: pytest.MonkeyPatch) -> None:
    """Words are the same whether the memo is empty, warm or cleared before each batch."""
    texts = some_texts(60, seed=1)
    batch = batch_of(texts)
    warm, tiny = Memo(), Memo(max_entries=1)
    expected = words_of(batch, Memo(), monkeypatch)
    for memo in (warm, warm, tiny, tiny):
        assert words_of(batch, memo, monkeypatch) == expected
    alone = [words_of(batch_of([text]), tiny, monkeypatch)[0] for text in texts]
    assert alone == expected


def test_the_memo_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """The memo is cleared once it exceeds its limit, and it never stores long chunks."""
    memo = Memo(max_entries=1000)
    for number in range(5):
        words_of(batch_of([f"w{number}.{k}" for k in range(700)]), memo, monkeypatch)
        assert memo.entries <= 1000 + 700
    before = memo.entries
    words_of(batch_of(["y" * MAX_STORED + "!" + str(k) for k in range(50)]), memo, monkeypatch)
    assert memo.entries <= max(before, 1000)


def test_a_failure_leaves_no_half_known_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    """If tokenizing fails in the middle of a batch, the next batch still gets the right words."""
    memo = Memo()
    batch = batch_of(["don't 8:) a.b.org"])
    expected = words_of(batch, Memo(), monkeypatch)
    tokenize = english.tokenizer()
    calls = iter([tokenize("don't")])
    with monkeypatch.context() as broken:
        words_of(batch_of(["warm"]), memo, broken)
        broken.setattr(english, "tokenizer", lambda: lambda chunk: next(calls))
        with pytest.raises(StopIteration):
            words_of(batch, memo, broken)
    assert words_of(batch, memo, monkeypatch) == expected


def test_two_threads_share_the_memo(monkeypatch: pytest.MonkeyPatch) -> None:
    """Threads that fill and clear a shared memo concurrently get the same words as each would alone."""
    monkeypatch.setattr(words, "_MEMO", Memo(max_entries=600))
    batches = [batch_of(some_texts(20, seed)) for seed in range(12)]
    for batch in batches:
        batch.characters  # noqa: B018  (computed before the threads start)
    expected = [strings(batch, views.words(batch.characters)) for batch in batches]
    found: dict[tuple[int, int], list[list[str]]] = {}

    def work(worker: int) -> None:
        for turn in range(4):
            for number in np.random.default_rng(worker + turn).permutation(len(batches)).tolist():
                batch = batches[number]
                found[worker * 4 + turn, number] = strings(batch, views.words(batch.characters))

    threads = [threading.Thread(target=work, args=(worker,)) for worker in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 16 * len(batches)
    assert all(answer == expected[number] for (_, number), answer in found.items())


COLD = [
    "house",
    "Paris",
    "USA",
    "école",
    "ÉCOLE",
    "Москва",
    "世界",
    "مرحبا",
    "iPhone",
    "zz",
    "km",
    "2019",
    "007",
    "55",
    "3",
]
BETWEEN = [*"-/.,:'’", "--", "–", "_", "@", ""]
BEFORE = ["", "", "", *"([\"“#$-'%", "(("]
AFTER = [*",.;:!?)]\"”%'’…", "'s", "’s", "'S", ").", ".)", "..", ":)", "%."]


def nearly_simple_chunk(dice: random.Random) -> str:
    def token() -> str:
        return dice.choice(COLD if dice.random() < 0.7 else english.tokenizer().hot_runs())

    chunk = dice.choice(BEFORE) + token()
    while dice.random() < 0.4:
        chunk += dice.choice(BETWEEN) + token()
    while dice.random() < 0.5:
        chunk += dice.choice(AFTER)
    return chunk


def test_simple_chunks_agree_with_the_tokenizer() -> None:
    """Chunks that are simple or nearly so have the tokenizer's words and edges."""
    dice = random.Random(3)
    chunks = [nearly_simple_chunk(dice) for _ in range(40_000 if FULL else 12_000)]
    batch = batch_of(chunks)
    characters = batch.characters
    found, known, _ = Memo().resolve(Texts(characters.codepoints, characters.first, characters.last, classes()))
    for chunk, entry, cut in zip(chunks, found.entries.tolist(), strings(batch, batch.words), strict=True):
        expected, edge = english.tokenizer()(chunk)
        assert cut == list(expected), chunk
        assert entry < 0 or known.edges[entry] == edge, chunk


def test_no_exception_is_simple() -> None:
    """spaCy's exceptions, alone or with a comma or a bracket, have the tokenizer's words."""
    texts = [key for key in english.tokenizer().specials if key.strip()]
    for chunks in (texts, [f"{text}," for text in texts], [f"({text}" for text in texts]):
        batch = batch_of(chunks)
        assert strings(batch, batch.words) == [list(english.tokenizer()(chunk)[0]) for chunk in chunks]


def test_no_words() -> None:
    """Empty batches, empty texts and texts of white space have no words."""
    assert len(batch_of([]).words.starts) == 0
    batch = batch_of(["", " \n\u2003\t", None])
    assert strings(batch, batch.words) == [[], [], []]
