"""Exports a token set in the formats of other trainers: the same documents in the same order, without padding."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress

from curation.errors import OutputError, ParameterError
from curation.store.folder import Folder
from curation.store.shards import Output
from curation.tokenize.encoding.token_shards import SPLITS
from curation.tokenize.loading.export_formats import OWN_FILES, WRITERS, id_type
from curation.tokenize.loading.token_set import TokenSet

FORMATS = tuple(WRITERS)


def export(source: str, target: str, form: str, split: str = "train", file_tokens: int | None = None) -> list[Output]:
    """Export one split of a run for another trainer.

    The formats are described in docs/tokens.md. Each has `<split>.json` with the type of the ids, the size of the
    vocabulary, and the ids of the end and of padding. At most two files are open at a time.

    Args:
        source: Folder of the run, or of its token shards.
        target: Folder to write to.
        form: One of FORMATS.
        split: "train" or "validation".
        file_tokens: Tokens per file of `llmc`, `olmo`, `litdata` and `mds`; by default what suits the reader.

    Returns:
        The files written; their `rows` are documents.

    Raises:
        InputError: There are no tokens, an id is not in the vocabulary, or the format cannot hold the vocabulary.
        OutputError: The target holds an export in another format, or of another tokenizer.
        ParameterError: The format is unknown.
    """
    if form not in FORMATS:
        raise ParameterError("form", form, f"one of {', '.join(FORMATS)}")
    tokens, folder = TokenSet(source, split), Folder(target)
    _check_target(folder, form, tokens)
    outputs, counts = WRITERS[form](tokens, folder, id_type(tokens, form), file_tokens)
    return [*outputs, _write_labels(tokens, folder, form, counts)]


def _check_target(folder: Folder, form: str, tokens: TokenSet) -> None:
    """Raise OutputError if the folder has an export in another format, or a split of another tokenizer.

    Formats have file names in common, so the second export would overwrite parts of the first.
    """
    for split in SPLITS:
        for other, file in OWN_FILES.items():
            if other != form and folder.exists(file.format(split)):
                raise OutputError(f"{folder.url} has an export in the format {other}; choose another folder")
        path, labels = f"{split}.json", None
        if split != tokens.split and folder.exists(path):
            with suppress(ValueError):  # a file of somebody else
                labels = folder.read_json(path)
        made_by = labels.get("tokenizer") if isinstance(labels, dict) else None
        if made_by not in (None, tokens.metadata.get("curation.tokenizer")):
            raise OutputError(f"{folder.url} has the split {split} of another tokenizer; choose another folder")


def _write_labels(tokens: TokenSet, folder: Folder, form: str, counts: Mapping[str, int]) -> Output:
    """Write `<split>.json`: what a training program has to know about the ids."""
    numbers = {name: tokens.number(f"curation.{name}", -1) for name in ("vocabulary", "end_id", "pad_id", "seed")}
    labels = {
        "format": form,
        "dtype": id_type(tokens, form).name,
        **counts,
        **{name: number if number >= 0 else None for name, number in numbers.items()},
        **{name: tokens.metadata.get(f"curation.{name}") for name in ("tokenizer", "packing")},
    }
    path = f"{tokens.split}.json"
    digest = folder.write_json(path, labels)
    return Output(path, folder.size(path), digest, 0)
