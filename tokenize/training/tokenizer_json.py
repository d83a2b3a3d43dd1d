"""The tokenizer as files: tokenizer.json for tokenizers and compatible tools, tokenizer_config.json for transformers.

Special tokens are vocabulary entries with the highest ids that no merge produces. They are not "added tokens", because
those are searched for in every text: a web page that spells <|endoftext|> would end a document in the middle. Here such
a spelling is plain text in every program that loads the file. The price: plain `tokenizers` does not skip special ids
when decoding. transformers does, because tokenizer_config.json names them and also says to split them in text.

With `special_in_text = "parse"` they are added tokens after all, with the same ids, as chat templates need them. The
corpus is encoded as before: there they stay text.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
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
    special = {token: len(ids) + number for number, token in enumerate(settings.special_tokens)}
    pairs = [list(pair) for pair in merges]
    if settings.special_in_text == "parse":
        return bpe_json(ids, pairs, settings.split_pattern, added=special)
    return bpe_json(ids | special, pairs, settings.split_pattern)


def bpe_json(
    vocabulary: Mapping[str, int], merges: Sequence[list[str]], pattern: str, added: Mapping[str, int] | None = None
) -> bytes:
    """A byte-level BPE as tokenizer.json.

    Args:
        vocabulary: Byte-level spelling → id.
        merges: The merged pairs of spellings, in order.
        pattern: The regular expression that cuts text into pre-tokens.
        added: Special tokens → id that programs look for in texts.
    """
    split = {"type": "Split", "pattern": {"Regex": pattern}, "behavior": "Isolated", "invert": False}
    byte_level = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": False}
    flags = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": True}
    value: dict[str, Any] = {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [{"id": number, "content": token, **flags} for token, number in (added or {}).items()],
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
            "vocab": dict(vocabulary),
            "merges": list(merges),
        },
    }
    return (json.dumps(value, ensure_ascii=False, indent=1) + "\n").encode()


def tokenizer_config_json(
    names: Mapping[str, str | None], special_in_text: str = "split", given: Mapping[str, Any] | None = None
) -> bytes:
    """Content of tokenizer_config.json.

    Args:
        names: The special tokens `bos_token`, `eos_token` and `pad_token`.
        special_in_text: Of the recipe table [tokenizer].
        given: The file that came with a given tokenizer; None for one that was trained.
    """
    value = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "bos_token": None,
        "eos_token": None,
        "pad_token": None,
        "unk_token": None,
        "split_special_tokens": special_in_text == "split",
        "add_prefix_space": False,
        "clean_up_tokenization_spaces": False,
        "model_max_length": NO_LIMIT,
    }
    if given is not None:
        del value["split_special_tokens"], value["add_prefix_space"]
        value |= given
    return (json.dumps({**value, **names}, ensure_ascii=False, indent=1) + "\n").encode()
