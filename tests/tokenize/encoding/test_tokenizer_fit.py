from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import tokenizers
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenized import END, PAD, make_run, make_texts, train_tokenizer
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers

from curation.store.folder import Folder
from curation.text.hosts import host_of
from curation.tokenize.encoding.encoder import Encoder
from curation.tokenize.encoding.measure import COUNTS, CorpusCounter, CorpusCounts, domains, no_counts
from curation.tokenize.encoding.token_shards import TokensSettings
from curation.tokenize.encoding.tokenizer_fit import describe_fit

SETTINGS = TokensSettings(sequence_length=32, shard_rows=64, row_group_rows=16, validation_fraction=0.1)
TEXTS = [*make_texts(60, longest=60), "zebra quartz", "tab\tand\u3000wide\xa0space \x85 end"]
WEB = ["https://a.example/1", "http://www.B.example:8080/x", "https://c.example"]
LANGUAGES = ["en", "de", None]


def batch_of(texts: list[str]) -> pa.RecordBatch:
    columns = {
        "text": pa.array(texts, pa.string()),
        "language": pa.array([LANGUAGES[number % 3] for number in range(len(texts))], pa.string()),
        "url": pa.array([WEB[number % 3] for number in range(len(texts))], pa.string()),
    }
    return pa.record_batch(columns)


def measure(encoder: Encoder, texts: list[str], size: int = 7) -> CorpusCounts:
    counter = CorpusCounter(encoder.vocabulary)
    for first in range(0, len(texts), size):
        batch = batch_of(texts).slice(first, size)
        counter.add(batch, encoder(batch.column("text")))
    return counter.total()


@pytest.fixture(scope="module")
def reference() -> tokenizers.Tokenizer:
    tokenizer = train_tokenizer(TEXTS[:40])
    tokenizer.encode_special_tokens = True
    return tokenizer


@pytest.fixture(scope="module")
def encoder(reference: tokenizers.Tokenizer) -> Encoder:
    return Encoder(reference.to_str())


@settings(max_examples=200, deadline=None, derandomize=True)
@given(st.lists(st.text(st.characters(exclude_categories=["Cs"]), max_size=30), max_size=6))
def test_words_and_characters_are_those_of_python(encoder: Encoder, texts: list[str]) -> None:
    """Bytes, characters and words of any text are those of `encode`, `len` and `split`."""
    counts = measure(encoder, texts).groups["all"].get("all", (0,) * len(COUNTS))
    expected = (
        len(texts),
        sum(len(text.encode()) for text in texts),
        sum(map(len, texts)),
        sum(len(text.split()) for text in texts),
    )
    assert counts[:4] == expected


def test_every_white_space_of_unicode_ends_a_word(encoder: Encoder) -> None:
    """Of the first 70,000 characters, exactly those of `str.isspace` end a word."""
    everything = [chr(code) for code in range(70_000) if not 0xD800 <= code < 0xE000]
    texts = [f"a{character}b" for character in everything]
    counter = CorpusCounter(encoder.vocabulary)
    batch = batch_of(texts)
    counter.add(batch, encoder(batch.column("text")))
    assert counter.total().groups["all"]["all"][3] == sum(len(text.split()) for text in texts)


def test_report_equals_a_count_by_hand(reference: tokenizers.Tokenizer, encoder: Encoder) -> None:
    """Groups, vocabulary usage and longest tokens equal what tokenizers and Python count."""
    report = describe_fit(encoder, measure(encoder, TEXTS))
    encoded = [reference.encode(text, add_special_tokens=False).ids for text in TEXTS]
    english = slice(0, None, 3)
    tokens = sum(map(len, encoded[english]))
    size = sum(len(text.encode()) for text in TEXTS[english])
    assert report["languages"]["en"]["bytes_per_token"] == round(size / tokens, 4)
    words = sum(len(text.split()) for text in TEXTS[english])
    assert report["languages"]["en"]["tokens_per_word"] == round(tokens / words, 4)
    assert {*report["languages"]} == {"en", "de", ""}
    assert {*report["domains"]} == {"a.example", "b.example", "c.example"}
    assert report["domains"]["b.example"] == report["languages"]["de"]
    assert report["corpus"]["tokens"] == sum(map(len, encoded))
    used = Counter(token for ids in encoded for token in ids)
    special = {reference.token_to_id(END), reference.token_to_id(PAD)}
    ordinary = {*reference.get_vocab().values()} - special
    vocabulary = report["vocabulary"]
    assert (vocabulary["size"], vocabulary["special"]) == (len(ordinary) + 2, 2)
    assert vocabulary["unused"] == len(ordinary - used.keys()) > 0
    assert vocabulary["unused_share"] == round(vocabulary["unused"] / len(ordinary), 6)
    assert vocabulary["used_under_10"] == sum(used[number] < 10 for number in ordinary)
    longest = report["longest_tokens"][0]
    spelled = max((reference.decode([number]) for number in ordinary), key=lambda text: len(text.encode()))
    assert longest["bytes"] == len(spelled.encode())
    assert longest["count"] == used[longest["id"]]
    assert reference.decode([longest["id"]]) == longest["text"]


HOSTS = st.sampled_from(
    ["a.example", "www.a.example", "WWW.B.example", "www.www.x", "u@c.example", "[::1]", "", "a_b.d", "www."]
)


@settings(max_examples=200, deadline=None, derandomize=True)
@given(
    st.sampled_from(["http://", "https://", "HTTP://", "ftp://", "", "//", "https:/"]),
    HOSTS,
    st.sampled_from(["", ":80", ":", ":x"]),
    st.sampled_from(["", "/", "?q=http://o.example/", "#f", "/a\nb", " ", "\\x", "$"]),
)
def test_domains_are_those_of_the_report(scheme: str, host: str, port: str, rest: str) -> None:
    """The fast way to get the domain of a URL agrees with `host_of`, which the page report uses."""
    url = scheme + host + port + rest
    assert domains(pa.array([url])).to_pylist() == [host_of(url)]


def test_sums_do_not_depend_on_the_shards(encoder: Encoder) -> None:
    """The report is the same for one shard and for three whose counts were stored as JSON."""
    whole = measure(encoder, TEXTS)
    parts = no_counts(encoder.vocabulary)
    for part in (slice(0, 9), slice(9, 12), slice(12, None)):
        counts = measure(encoder, TEXTS[part])
        parts += CorpusCounts.from_json(json.loads(json.dumps(counts.to_json())))
    assert describe_fit(encoder, parts) == describe_fit(encoder, whole)
    assert (parts.used == whole.used).all()


def test_nothing_measured_has_no_ratios(encoder: Encoder) -> None:
    """Without documents the ratios are None and the whole vocabulary is unused."""
    report = describe_fit(encoder, no_counts(encoder.vocabulary))
    assert report["corpus"]["bytes_per_token"] is None
    assert report["vocabulary"]["unused_share"] == 1.0


def other_tokenizers() -> dict[str, Tokenizer]:
    """Tokenizers of other kinds that other projects use."""
    piece = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    piece.normalizer, piece.pre_tokenizer = normalizers.Lowercase(), pre_tokenizers.Whitespace()
    piece.train_from_iterator(TEXTS, trainers.WordPieceTrainer(vocab_size=300, special_tokens=["[UNK]", "[CLS]"]))
    unigram = Tokenizer(models.Unigram())
    unigram.pre_tokenizer, unigram.decoder = pre_tokenizers.Metaspace(), decoders.Metaspace()
    trainer = trainers.UnigramTrainer(vocab_size=300, special_tokens=["<unk>", "<s>"], unk_token="<unk>")
    unigram.train_from_iterator(TEXTS, trainer)
    fallback = Tokenizer(models.BPE(unk_token="<unk>", byte_fallback=True, fuse_unk=True))
    fallback.pre_tokenizer = pre_tokenizers.Metaspace()
    spelled = [f"<0x{byte:02X}>" for byte in range(256)]
    fallback.train_from_iterator(
        TEXTS[:3], trainers.BpeTrainer(vocab_size=400, special_tokens=["<unk>", "<s>", *spelled], show_progress=False)
    )
    values = json.loads(fallback.to_str())
    values["added_tokens"] = values["added_tokens"][:2]
    return {"wordpiece": piece, "unigram": unigram, "fallback": Tokenizer.from_str(json.dumps(values))}


@pytest.mark.parametrize("kind", ["wordpiece", "unigram", "fallback"])
def test_tokenizers_of_other_kinds_are_measured(kind: str) -> None:
    """Any tokenizer.json can be measured: on text without special tokens the counts are those of tokenizers."""
    other = other_tokenizers()[kind]
    texts = [*(text for text in TEXTS if END not in text and PAD not in text), "an unknown \u2603 snowman"]
    encoder = Encoder(other.to_str())
    report = describe_fit(encoder, measure(encoder, texts))
    expected = [encoding.ids for encoding in other.encode_batch(texts, add_special_tokens=False)]
    assert report["corpus"]["tokens"] == sum(map(len, expected))
    used = np.bincount([token for ids in expected for token in ids], minlength=encoder.vocabulary)
    assert (measure(encoder, texts).used == used).all()
    assert report["vocabulary"]["special"] == 2
    assert report["vocabulary"]["size"] == other.get_vocab_size()


def test_the_step_writes_the_report(tmp_path: Path) -> None:
    """The step writes tokenizer/report.json, lists it in the manifest, and its tokens are the sum of token_count."""
    folder, manifest, _ = make_run(tmp_path, TEXTS, SETTINGS)
    report = folder.read_json("tokenizer/report.json")
    counts = [pq.read_table(folder.path(path))["token_count"].to_pylist() for path in folder.list("corpus")]
    assert report["corpus"]["tokens"] == sum(map(sum, counts)) == manifest.counts["corpus_tokens"]
    assert report["corpus"]["documents"] == len(TEXTS)
    assert {*report["domains"]} == {"example.org"}
    (output,) = manifest.outputs
    assert (output.path, (output.bytes, output.hash)) == ("tokenizer/report.json", folder.hash("tokenizer/report.json"))


def test_a_mixed_in_corpus_is_not_reported(tmp_path: Path) -> None:
    """The report covers the run's own corpus only, not the corpora mixed into its tokens."""
    make_run(tmp_path / "wiki", TEXTS[:9], SETTINGS)
    mixed = TokensSettings(sequence_length=32, mix=(f"{tmp_path}/wiki=3",))
    folder, _, _ = make_run(tmp_path / "run", TEXTS, mixed)
    assert Folder(folder.url).read_json("tokenizer/report.json")["corpus"]["documents"] == len(TEXTS)
