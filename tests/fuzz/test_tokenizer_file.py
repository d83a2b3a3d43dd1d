"""Fuzzes the files of tokenizers that are given: tokenizer.json, rank files, and the files next to them."""

from __future__ import annotations

import base64
import json
from pathlib import Path

from fuzzing import fuzz

from curation.errors import InputError
from curation.tokenize.training.given import GivenTokenizer, read_tokenizer
from curation.tokenize.training.patterns import GPT4

RANKS = b"".join(
    b"%b %d\n" % (base64.b64encode(token), rank)
    for rank, token in enumerate([*(bytes([byte]) for byte in range(256)), b"th", b"the", b" the", b"in"])
)
SPECIAL = ("<|endoftext|>", "<pad>")


def tokenizer_json() -> bytes:
    """A small tokenizer as the library writes it."""
    from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers

    vocabulary = {"a": 0, "b": 1, "ab": 2, "<|endoftext|>": 3}
    tokenizer = Tokenizer(models.BPE(vocabulary, [("a", "b")]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens([AddedToken("<|endoftext|>", special=True)])
    written: str = tokenizer.to_str()
    return written.encode()


UNIGRAM = {
    "model": {"type": "Unigram", "unk_id": 0, "vocab": [["<unk>", 0.0], ["a", -1.5], ["</s>", 0.0]]},
    "added_tokens": [{"id": 2, "content": "</s>", "special": True, "single_word": False, "lstrip": False,
                      "rstrip": False, "normalized": False}],
}  # fmt: skip
SEEDS = [
    b"{}\0" + tokenizer_json(),
    b'{"eos_token": {"content": "</s>"}, "pad_token": null}\0' + json.dumps(UNIGRAM).encode(),
    b"[]\0" + RANKS,
    b'{"added_tokens_decoder": {"300": {"content": "<s>"}}, "eos_token": "<s>"}\0' + RANKS,
    b"{}\0" + RANKS + b"%b 260\n" % base64.b64encode(b"in" * 10_000),
]
WORDS = [
    *(
        b"{",
        b"}",
        b"[",
        b"]",
        b",",
        b":",
        b'"',
        b"null",
        b"true",
        b"-1",
        b"1e999",
        b"9" * 5000,
        b"[" * 3000,
        b'"a"',
        b'"id"',
    ),
    *(
        b'"model"',
        b'"vocab"',
        b'"merges"',
        b'"added_tokens"',
        b'"eos_token"',
        b'"type"',
        b"\\ud800",
        b"\xff",
        b"\0",
        b"\n",
    ),
    *(b"YWI= 300\n", b"YWI= 3\n", b" ", b"=", base64.b64encode(b"in" * 3000) + b" 400\n", b"-5", "é".encode()),
]


def read_or_refuse(folder: Path) -> GivenTokenizer | InputError:
    try:
        return read_tokenizer.__wrapped__(str(folder), GPT4, SPECIAL)
    except InputError as error:
        return error


def names_or_refuse(tokenizer: GivenTokenizer) -> dict[str, str | None] | InputError:
    try:
        return tokenizer.special_names({})
    except InputError as error:
        return error


def test_any_file_is_a_tokenizer_or_an_error(tmp_path: Path) -> None:
    """Any file is a tokenizer, whose special tokens are found or refused, or is an error of one line."""

    def check(data: bytes) -> None:
        config, _, definition = data.partition(b"\0")
        (tmp_path / "tokenizer_config.json").write_bytes(config)
        (tmp_path / "tokenizer.json").write_bytes(definition)
        tokenizer = read_or_refuse(tmp_path)
        found = names_or_refuse(tokenizer) if isinstance(tokenizer, GivenTokenizer) else tokenizer
        assert isinstance(found, dict) or "\n" not in str(found)

    fuzz(check, SEEDS, WORDS, max_bytes=1 << 15, seconds=1.5)
