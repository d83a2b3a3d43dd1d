"""A tokenizer that is given instead of trained: tokenizer.json, tiktoken's rank file, or a folder of transformers.

Whatever it is, the run gets a tokenizer.json and a tokenizer_config.json that names the special tokens, so that later
steps know one format. A rank file is converted: the rank of a token says when it is merged, so that the two parts of
each merge are what the tokens of lower rank make of its bytes.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import posixpath
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from heapq import heapify, heappop, heappush
from typing import Any

import fsspec

from curation.errors import InputError
from curation.tokenize.training.alphabet import spell, unspell
from curation.tokenize.training.patterns import PATTERNS
from curation.tokenize.training.tokenizer_json import bpe_json

END, PAD = "<|endoftext|>", "<|padding|>"
"""Special tokens of a tokenizer that is trained here, unless the recipe names others."""

KNOWN_TOKENS = {
    "eos_token": (END, "<|end_of_text|>", "</s>", "<eos>", "<｜end▁of▁sentence｜>", "[SEP]"),
    "pad_token": (PAD, "<|pad|>", "<pad>", "[PAD]", "<|finetune_right_pad_id|>"),
    "bos_token": ("<|begin_of_text|>", "<s>", "<bos>", "<｜begin▁of▁sentence｜>", "[CLS]"),
}
"""Names under which published tokenizers have the special tokens, for a file that does not say which they are."""

NAMES = ("tokenizer.json", "tokenizer.model", "tiktoken.model")
"""The file of a tokenizer in a folder of transformers, first choice first."""

SENTENCEPIECE = b"\n"
"""The first byte of a SentencePiece model: the tag of its list of pieces."""

_RANK_FILES: dict[str, tuple[str, dict[str, int]]] = {
    "gpt2": ("gpt2", {END: 50256}),
    "r50k_base": ("gpt2", {END: 50256}),
    "p50k_base": ("gpt2", {END: 50256}),
    "cl100k_base": (
        "gpt4",
        {
            END: 100257, "<|fim_prefix|>": 100258, "<|fim_middle|>": 100259, "<|fim_suffix|>": 100260,
            "<|endofprompt|>": 100276,
        },
    ),
    "o200k_base": ("o200k", {END: 199999, "<|endofprompt|>": 200018}),
}  # fmt: skip
"""Pattern and special tokens of the rank files that OpenAI publishes (tiktoken_ext/openai_public.py), by name."""


@dataclass(frozen=True, slots=True)
class GivenTokenizer:
    """A tokenizer that was read.

    Attributes:
        definition: Content of tokenizer.json.
        config: Content of tokenizer_config.json as far as there is one.
    """

    definition: bytes
    config: Mapping[str, Any]

    @property
    def hash(self) -> str:
        """blake2b-128 of both, in hex."""
        config = json.dumps(self.config, sort_keys=True).encode()
        return hashlib.blake2b(self.definition + b"\0" + config, digest_size=16).hexdigest()

    def special_names(self, wanted: Mapping[str, str | None]) -> dict[str, str | None]:
        """The names of `eos_token`, `pad_token` and `bos_token`; None for one that there is not.

        Args:
            wanted: The names that the recipe gives them; None for those that the tokenizer says itself.

        Raises:
            InputError: It has no token of a name that is wanted, or no token that ends a document.
        """
        tokens = _tokens(json.loads(self.definition))
        names: dict[str, str | None] = {}
        for role, known in KNOWN_TOKENS.items():
            name = wanted.get(role)
            if name is not None and name not in tokens:
                raise InputError(f"the tokenizer has no token {name!r} ({role}); it has {_listed(tokens)}")
            said = self.config.get(role)
            said = said.get("content") if isinstance(said, dict) else said
            if isinstance(said, str) and said not in tokens and name is None and role == "eos_token":
                raise InputError(
                    f"tokenizer_config.json names {said!r} as {role}, which the tokenizer does not have: set "
                    f"tokenizer.end_token; it has {_listed(tokens)}"
                )
            candidates = [name or said] if isinstance(name or said, str) else known
            names[role] = next((each for each in candidates if each in tokens), None)
        if names["eos_token"] is None:
            raise InputError(
                f"the tokenizer does not say which token ends a document: set tokenizer.end_token; it has "
                f"{_listed(tokens)}"
            )
        return names


@lru_cache(maxsize=4)
def read_tokenizer(path: str, pattern: str, special_tokens: tuple[str, ...]) -> GivenTokenizer:
    """Read a tokenizer.

    Args:
        path: Path or fsspec URL of a tokenizer.json, of a rank file, or of a folder with either.
        pattern: For a rank file that is not one of OpenAI's, the regular expression that cuts text into pre-tokens.
        special_tokens: The special tokens that such a file gets, after its own.

    Raises:
        InputError: There is none, or it cannot be used.
    """
    try:
        data, name, config = _read(path)
        if data.lstrip()[:1] == b"{":
            definition = data
            json.loads(data)["model"]["vocab"]
        else:
            definition = _from_ranks(_parse_ranks(data), name, pattern, special_tokens, _added_tokens(config))
        import tokenizers

        tokenizers.Tokenizer.from_str(definition.decode())
    except InputError:
        raise
    except Exception as error:  # the library raises bare Exception for a file that it cannot use
        message = (str(error).splitlines() or [type(error).__name__])[0]
        raise InputError(f"tokenizer {path}: cannot be used ({message})") from error
    return GivenTokenizer(definition, config)


def _read(path: str) -> tuple[bytes, str, dict[str, Any]]:
    """The content of the file, its name without ending, and the tokenizer_config.json beside it."""
    fs, root = fsspec.core.url_to_fs(path)
    config: dict[str, Any] = {}
    if fs.isdir(root):
        inside = {posixpath.basename(each): each for each in fs.ls(root, detail=False)}
        found = next((inside[name] for name in NAMES if name in inside), None)
        if found is None:
            ranks = sorted(name for name in inside if name.endswith(".tiktoken"))
            found = inside[ranks[0]] if ranks else None
        if found is None:
            raise InputError(f"tokenizer {path}: no {', '.join(NAMES)} or *.tiktoken in this folder")
        for name in ("special_tokens_map.json", "tokenizer_config.json"):
            if name in inside:
                read = json.loads(fs.cat_file(inside[name]))
                config |= read if isinstance(read, dict) else {}
        root = found
    elif not fs.exists(root):
        raise InputError(f"tokenizer {path}: no such file or folder")
    return fs.cat_file(root), posixpath.basename(root).removesuffix(".tiktoken"), config


def _parse_ranks(data: bytes) -> dict[bytes, int]:
    ranks: dict[bytes, int] = {}
    for number, line in enumerate(data.splitlines(), start=1):
        if not line.strip():
            continue
        token, _, rank = line.partition(b" ")
        try:
            ranks[base64.b64decode(token, validate=True)] = int(rank)
        except (binascii.Error, ValueError):
            why = f"line {number} is not a token in base64 and its rank"
            if data.startswith(SENTENCEPIECE):
                why = "a SentencePiece model, which transformers saves as tokenizer.json"
            raise InputError(f"tokenizer: neither tokenizer.json nor a tiktoken file: {why}") from None
    missing = [byte for byte in range(256) if bytes([byte]) not in ranks]
    if missing or len({*ranks.values()}) < len(ranks):
        problem = f"has no token for byte {missing[0]}" if missing else "gives two tokens the same rank"
        raise InputError(f"tokenizer: the tiktoken file {problem}")
    return ranks


def _added_tokens(config: Mapping[str, Any]) -> dict[str, int]:
    """The tokens that tokenizer_config.json adds to those of the file, and their ids."""
    return {token["content"]: int(number) for number, token in (config.get("added_tokens_decoder") or {}).items()}


def _from_ranks(
    ranks: dict[bytes, int], name: str, pattern: str, special_tokens: Iterable[str], added: dict[str, int]
) -> bytes:
    """A rank file as tokenizer.json, with the tokens `added` to it if there are any, else with `special_tokens`."""
    if name in _RANK_FILES:
        known, special = _RANK_FILES[name]
        pattern = PATTERNS[known]
    elif added:
        special = added
    else:
        first = max(ranks.values()) + 1
        special = {token: first + number for number, token in enumerate(special_tokens)}
    taken = {*ranks.values()}
    clash = [token for token, number in special.items() if number in taken]
    if clash:
        raise InputError(f"tokenizer: the special token {clash[0]!r} has the id of another token")
    vocabulary = {spell(token): number for token, number in sorted(ranks.items(), key=lambda item: item[1])}
    return bpe_json(vocabulary, _merges(ranks), pattern, added=special)


def rank_file(vocabulary: Mapping[str, int], merges: Sequence[list[str]]) -> bytes | None:
    """A trained vocabulary as tiktoken's rank file, or None if tiktoken would merge other pairs.

    tiktoken merges any two tokens that make a third one, not only the pair that the third one was learned from.

    Args:
        vocabulary: Byte-level spelling → id, without special tokens.
        merges: The merged pairs of spellings, in order.
    """
    ranks = {unspell(token): number for token, number in vocabulary.items()}
    if _merges(ranks) != merges:
        return None
    lines = (b"%b %d\n" % (base64.b64encode(token), rank) for token, rank in ranks.items())
    return b"".join(lines)


def _merges(ranks: Mapping[bytes, int]) -> list[list[str]]:
    """The pairs of spellings that tiktoken merges first to make each token, in the order of the ranks."""
    merges = []
    for token in sorted((token for token in ranks if len(token) > 1), key=ranks.__getitem__):
        parts = _split(token, ranks, ranks[token])
        if len(parts) == 2:
            merges.append([spell(part) for part in parts])
    return merges


def _split(token: bytes, ranks: Mapping[bytes, int], below: int) -> list[bytes]:
    """What merges of a lower rank than `below` make of the bytes of a token; the lowest comes first, then the left."""
    ends = [*range(1, len(token) + 1)]  # end of the part that starts here; 0 if it was merged into the one before
    starts = [*range(-1, len(token))]  # start of the part that ends here
    parts = len(token)
    pairs = [(rank, at, at + 2) for at in range(parts - 1) if (rank := ranks.get(token[at : at + 2], below)) < below]
    heapify(pairs)
    while pairs and parts > 2:
        _, start, stop = heappop(pairs)
        middle = ends[start]
        if middle in (0, len(token)) or ends[middle] != stop:  # one of the two was merged meanwhile
            continue
        ends[start], ends[middle], starts[stop] = stop, 0, start
        parts -= 1
        for first, last in ((starts[start], stop), (start, ends[stop] if stop < len(token) else 0)):
            rank = ranks.get(token[first:last], below) if 0 <= first < last else below
            if rank < below:
                heappush(pairs, (rank, first, last))
    return [token[at : ends[at]] for at in range(len(token)) if ends[at]]


def _tokens(values: Mapping[str, Any]) -> dict[str, int]:
    """The id of every token of a tokenizer.json by its spelling."""
    vocabulary = values["model"]["vocab"]
    if not isinstance(vocabulary, dict):
        vocabulary = {entry[0]: number for number, entry in enumerate(vocabulary)}
    return {**vocabulary, **{token["content"]: int(token["id"]) for token in values.get("added_tokens") or ()}}


def _listed(tokens: Mapping[str, int]) -> str:
    """The tokens that look like special ones, for an error."""
    found = [token for token in tokens if len(token) > 2 and token[0] in "<[" and token[-1] in ">]"]
    return ", ".join(found[:20]) or "none that look special"
