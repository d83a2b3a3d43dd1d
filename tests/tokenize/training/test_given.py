"""Tokenizers that are given: whatever kind they are, ids equal the library's, and special tokens are found."""

from __future__ import annotations

import base64
import json
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from archives import prose
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers

from curation.errors import InputError, ParameterError
from curation.tokenize.encoding.encoder import Encoder, take
from curation.tokenize.training.alphabet import spell
from curation.tokenize.training.given import read_tokenizer
from curation.tokenize.training.patterns import GPT2, GPT4, O200K, split_pattern
from curation.tokenize.training.settings import TokenizerSettings

TEXTS = [
    *("\n".join(prose(seed)) for seed in range(40)),
    "don't  stop\r\n\r\n  1234567 ÄÖÜß 日本語のテキスト 🙂👩‍👩‍👧 …\t\u00a0x </s> <unk> [SEP] <|end_of_text|>",
    "",
    "  leading and trailing  ",
    "naïve café — “quotes” ½ Ⅷ ﬁ e\u0301",
]


def byte_level(pattern: str, *, ignore_merges: bool = False, special: list[str] | None = None) -> Tokenizer:
    """A small byte-level BPE as GPT-2, Llama 3 or Qwen have it, with special tokens as added tokens."""
    tokenizer = Tokenizer(models.BPE(ignore_merges=ignore_merges))
    split = pre_tokenizers.Split(Regex(pattern), "isolated")
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [split, pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)]
    )
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(vocab_size=700, initial_alphabet=alphabet, show_progress=False)
    tokenizer.train_from_iterator(TEXTS, trainer)
    tokenizer.add_special_tokens([AddedToken(token, special=True) for token in special or ["<|endoftext|>"]])
    return tokenizer


def unigram() -> Tokenizer:
    tokenizer = Tokenizer(models.Unigram())
    tokenizer.normalizer = normalizers.NFKC()
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    tokenizer.decoder = decoders.Metaspace()
    special = ["<pad>", "</s>", "<unk>"]
    trainer = trainers.UnigramTrainer(vocab_size=300, special_tokens=special, unk_token="<unk>", show_progress=False)
    tokenizer.train_from_iterator(TEXTS, trainer)
    return tokenizer


def word_piece() -> Tokenizer:
    tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer()
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    trainer = trainers.WordPieceTrainer(vocab_size=300, special_tokens=special, show_progress=False)
    tokenizer.train_from_iterator(TEXTS, trainer)
    return tokenizer


LLAMA = ["<|begin_of_text|>", "<|end_of_text|>", "<|finetune_right_pad_id|>", "<|eot_id|>"]

MADE = {
    "gpt2": lambda: byte_level(GPT2),
    "llama3": lambda: byte_level(GPT4, ignore_merges=True, special=LLAMA),
    "qwen": lambda: byte_level(
        split_pattern("gpt4", "single"), special=["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
    ),
    "unigram": unigram,
    "wordpiece": word_piece,
}

NAMES = {
    "gpt2": ("<|endoftext|>", None, None),
    "llama3": ("<|end_of_text|>", "<|finetune_right_pad_id|>", "<|begin_of_text|>"),
    "qwen": ("<|endoftext|>", None, None),
    "unigram": ("</s>", "<pad>", None),
    "wordpiece": ("[SEP]", "[PAD]", "[CLS]"),
}


@pytest.fixture(scope="module")
def made() -> dict[str, Tokenizer]:
    return {name: make() for name, make in MADE.items()}


def same_ids(encoder: Encoder, tokenizer: Tokenizer, texts: list[str]) -> None:
    encoded = encoder(pa.array(texts, pa.string()))
    for number, text in enumerate(texts):
        ids = encoded.ids[encoded.offsets[number] : encoded.offsets[number + 1]].tolist()
        assert ids == tokenizer.encode(text, add_special_tokens=False).ids, text[:60]


@pytest.mark.parametrize("name", MADE)
def test_ids_are_those_of_the_library(name: str, made: dict[str, Tokenizer], tmp_path: Path) -> None:
    """Ids equal tokenizers', and a text that spells special tokens has none of their ids."""
    made[name].save(str(tmp_path / "tokenizer.json"))
    settings = TokenizerSettings(file=str(tmp_path / "tokenizer.json"))
    encoder = Encoder(settings.given().definition)
    plain = [text for text in TEXTS if "</s>" not in text]
    same_ids(encoder, made[name], plain)
    spelled = encoder(pa.array([TEXTS[40], " ".join(LLAMA)], pa.string())).ids
    unknown = {encoder.find_special_id("<unk>"), encoder.find_special_id("[UNK]")}
    assert not (encoder.special_ids - unknown) & set(spelled.tolist())
    names = settings.special_names()
    assert (names["eos_token"], names["pad_token"], names["bos_token"]) == NAMES[name]


@pytest.mark.parametrize("name", ["gpt2", "llama3", "qwen"])
def test_the_fast_encoder_knows_byte_level_patterns(name: str, made: dict[str, Tokenizer]) -> None:
    """Published byte-level patterns are encoded by the fast engine."""
    assert Encoder(made[name].to_str()).engine == "gigatoken"


def write_ranks(tokenizer: Tokenizer, path: Path) -> dict[str, int]:
    """Write the tokens of a byte-level BPE as a rank file, without special ones; returns their ids."""
    spelled = {spell(bytes([byte])): byte for byte in range(256)}
    vocabulary = {token: number for token, number in tokenizer.get_vocab().items() if token != "<|endoftext|>"}
    ordered = sorted(vocabulary.items(), key=lambda item: item[1])
    write_lines({bytes(spelled[each] for each in token): number for token, number in ordered}, path)
    return vocabulary


def write_lines(ranks: dict[bytes, int], path: Path) -> str:
    """Write tokens and their ranks as tiktoken does; returns the path."""
    path.write_bytes(b"".join(b"%b %d\n" % (base64.b64encode(token), rank) for token, rank in ranks.items()))
    return str(path)


@pytest.mark.parametrize("pattern", [GPT2, GPT4, O200K], ids=["gpt2", "gpt4", "o200k"])
def test_rank_files(pattern: str, tmp_path: Path) -> None:
    """A rank file gives the ids of the tokenizer whose ranks they are, and the special tokens after them."""
    tokenizer = byte_level(pattern)
    vocabulary = write_ranks(tokenizer, tmp_path / "mine.tiktoken")
    settings = TokenizerSettings(file=str(tmp_path / "mine.tiktoken"), pattern=pattern, reserved=1)
    encoder = Encoder(settings.given().definition)
    same_ids(encoder, tokenizer, TEXTS)
    assert encoder.special_id("<|endoftext|>") == len(vocabulary)
    assert settings.special_names()["pad_token"] == "<|padding|>"


def slow_split(token: bytes, ranks: dict[bytes, int]) -> list[bytes]:
    """What tiktoken's rule, written out, makes of a token's bytes: the leftmost pair of the lowest rank is merged."""
    parts = [bytes([byte]) for byte in token]
    while len(parts) > 2:
        pairs = [ranks.get(first + second, ranks[token]) for first, second in pairwise(parts)]
        if min(pairs) >= ranks[token]:
            break
        place = pairs.index(min(pairs))
        parts[place : place + 2] = [parts[place] + parts[place + 1]]
    return parts


@given(tokens=st.lists(st.text("ab", min_size=2, max_size=12), min_size=1, max_size=30, unique=True), data=st.data())
def test_merges_of_rank_files(tokens: list[str], data: st.DataObject) -> None:
    """The merges of a rank file are the pairs that tiktoken's rule leaves of each token, in the order of the ranks."""
    ordered = data.draw(st.permutations(tokens))
    ranks = {bytes([byte]): byte for byte in range(256)}
    ranks |= {token.encode(): 256 + number for number, token in enumerate(ordered)}
    expected = [parts for token in ordered if len(parts := slow_split(token.encode(), ranks)) == 2]
    with TemporaryDirectory() as folder:
        read = read_tokenizer(write_lines(ranks, Path(folder) / "mine.tiktoken"), GPT4, ("<|endoftext|>",))
    merges = json.loads(read.definition)["model"]["merges"]
    assert merges == [[part.decode() for part in parts] for parts in expected]


def test_folders_of_transformers(made: dict[str, Tokenizer], tmp_path: Path) -> None:
    """In a folder, tokenizer_config.json says which tokens end, begin and fill."""
    made["qwen"].save(str(tmp_path / "tokenizer.json"))
    config: dict[str, Any] = {"eos_token": {"content": "<|im_end|>", "special": True}, "pad_token": "<|endoftext|>"}
    (tmp_path / "tokenizer_config.json").write_text(json.dumps(config))
    settings = TokenizerSettings(file=str(tmp_path), begin_token="<|im_start|>")
    names = {"bos_token": "<|im_start|>", "eos_token": "<|im_end|>", "pad_token": "<|endoftext|>"}
    assert settings.special_names() == names
    before = settings.assets()
    (tmp_path / "tokenizer_config.json").write_text("{}")
    read_tokenizer.cache_clear()
    assert settings.assets() != before


@pytest.mark.parametrize("name", ["tiktoken.model", "tokenizer.model", "x.tiktoken"])
def test_rank_files_in_folders(name: str, made: dict[str, Tokenizer], tmp_path: Path) -> None:
    """In a folder with a rank file, tokenizer_config.json says which special tokens there are, and their ids."""
    first = len(write_ranks(made["gpt2"], tmp_path / name))
    added = {str(first + 5): {"content": "[BOS]", "special": True}, str(first + 6): {"content": "[EOS]"}}
    config = {"added_tokens_decoder": added, "bos_token": "[BOS]", "eos_token": "[EOS]", "pad_token": "[PAD]"}
    (tmp_path / "tokenizer_config.json").write_text(json.dumps(config))
    settings = TokenizerSettings(file=str(tmp_path), pattern="gpt2")
    assert settings.special_names() == {"bos_token": "[BOS]", "eos_token": "[EOS]", "pad_token": None}
    encoder = Encoder(settings.given().definition)
    assert (encoder.special_id("[BOS]"), encoder.special_id("[EOS]")) == (first + 5, first + 6)
    assert encoder.find_special_id("<|endoftext|>") is None
    same_ids(encoder, made["gpt2"], TEXTS[:5])


def test_an_end_token_that_the_tokenizer_lacks(made: dict[str, Tokenizer], tmp_path: Path) -> None:
    """An end token that tokenizer_config.json names and the tokenizer lacks is not replaced by another one."""
    made["gpt2"].save(str(tmp_path / "tokenizer.json"))
    (tmp_path / "tokenizer_config.json").write_text('{"eos_token": "<|end_of_text|>"}')
    with pytest.raises(
        ParameterError, match=r"names '<\|end_of_text\|>' as eos_token, which .* does not have: set token"
    ):
        TokenizerSettings(file=str(tmp_path))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "no such file or folder"),
        (b"{}", "cannot be used"),
        (b"some text\n", "neither tokenizer.json nor a tiktoken file: line 1"),
        (b"\n\x0e\n\x05<unk>\x15\x00\x00\x00\x00\x18\x02", "a SentencePiece model, which transformers saves as"),
        (b"IQ== 0\n", "has no token for byte 0"),
    ],
)
def test_files_that_cannot_be_used(content: bytes | None, message: str, tmp_path: Path) -> None:
    """A file that is no tokenizer is refused before anything is made, with the reason."""
    if content is not None:
        (tmp_path / "x").write_bytes(content)
    with pytest.raises(ParameterError, match=message):
        TokenizerSettings(file=str(tmp_path / "x"))


def test_special_tokens_that_are_missing(made: dict[str, Tokenizer], tmp_path: Path) -> None:
    """A token that is named must be there, and one must end documents."""
    made["gpt2"].save(str(tmp_path / "a.json"))
    with pytest.raises(ParameterError, match=r"no token '<eos>' \(eos_token\); it has <\|endoftext\|>"):
        TokenizerSettings(file=str(tmp_path / "a.json"), end_token="<eos>")
    byte_level(GPT2, special=["<|x|>"]).save(str(tmp_path / "b.json"))
    with pytest.raises(ParameterError, match=r"set tokenizer.end_token; it has <\|x\|>"):
        TokenizerSettings(file=str(tmp_path / "b.json"))
    given = read_tokenizer(str(tmp_path / "b.json"), GPT2, ())
    with pytest.raises(InputError):
        given.special_names({"bos_token": "<s>"})


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"end_token": "<|reserved_1|>"}, "end_token = .*different from all other special tokens"),
        ({"pad_token": "a"}, "pad_token = 'a': must be more than the spelling of a single byte"),
        ({"end_token": "the"}, "end_token = 'the': must be divided by the pattern"),
        ({"begin_token": "<|endoftext|>"}, "different"),
    ],
)
def test_special_tokens_share_no_id(values: dict[str, Any], message: str) -> None:
    """A special token that another token could be is refused before training."""
    with pytest.raises(ParameterError, match=message):
        TokenizerSettings(**values)


def test_begin_tokens() -> None:
    """Documents that are taken get a token before and one after them."""
    encoded = Encoder(byte_level(GPT2).to_str())(pa.array(["a", "", "bc"], pa.string()))
    taken = take(encoded, np.array([2, 1, 0]), np.dtype(np.uint16), end=9, begin=8)
    assert taken.ids.tolist() == [8, *encoded.ids[encoded.offsets[2] :].tolist(), 9, 8, 9, 8, encoded.ids[0], 9]
