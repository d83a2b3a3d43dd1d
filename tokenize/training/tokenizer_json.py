"""The tokenizer as files: tokenizer.json for tokenizers and compatible tools, tokenizer_config.json for transformers.

Special tokens are vocabulary entries with the highest ids that no merge produces. They are not "added tokens", because
those are searched for in every text: a web page that spells <|endoftext|> would end a document in the middle. Here such
a spelling is plain text in every program that loads the file. The price: plain `tokenizers` does not skip special ids
when decoding. transformers does, because tokenizer_config.json names them and also says to split them in text.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from curation.tokenize.training.settings import TokenizerSettings

NO_LIMIT = 10**30
"""The number that transformers uses for a tokenizer without a maximum length."""


def tokenizer_json(vocabulary: Mapping[str, int], merges: Sequence[Any], settings: TokenizerSettings) -> bytes:
    """Content of tokenizer.json.

    Args:
        vocabulary: Byte-level spelling → id (0, 1, …), without special tokens.
        merges: The merged pairs of spellings, in order.
        settings: Recipe table [tokenizer].
    """
    ids = dict(sorted(vocabulary.items(), key=lambda item: item[1]))
    for token in settings.special_tokens:
        ids[token] = len(ids)
    split = {"type": "Split", "pattern": {"Regex": settings.split_pattern}, "behavior": "Isolated", "invert": False}
    byte_level = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": False}
    value: dict[str, Any] = {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [],
        "normalizer": None,
        "pre_tokenizer": {"type": "Sequence", "pretokenizers": [split, byte_level]},
        "post_processor": None,
        "decoder": {"type": "ByteLevel", "add_prefix_space": True, "trim_offsets": True, "use_regex": True},
        "model": {
            "type": "BPE",
            "dropout": None,
            "unk_token": None,
            "continuing_subword_prefix": None,
            "end_of_word_suffix": None,
            "fuse_unk": False,
            "byte_fallback": False,
            "ignore_merges": False,
            "vocab": ids,
            "merges": [list(pair) for pair in merges],
        },
    }
    return (json.dumps(value, ensure_ascii=False, indent=1) + "\n").encode()


def tokenizer_config_json(settings: TokenizerSettings) -> bytes:
    """Content of tokenizer_config.json."""
    value = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "bos_token": None,
        "eos_token": settings.end_token,
        "pad_token": settings.pad_token,
        "unk_token": None,
        "split_special_tokens": True,
        "add_prefix_space": False,
        "clean_up_tokenization_spaces": False,
        "model_max_length": NO_LIMIT,
    }
    return (json.dumps(value, ensure_ascii=False, indent=1) + "\n").encode()
