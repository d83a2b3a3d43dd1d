"""Which files of a folder are inputs: those that its dataset card names, as on the Hugging Face Hub, or all data files.

A folder from the Hub has a README.md that begins with YAML: `configs` lists the data files of each subset, as patterns
by split. Without one, all files count whose ending says that they hold documents. Files like `.txt` and `.json`, which
are as often notes about data, count where there is nothing else.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterable, Mapping
from contextlib import suppress
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from curation.archives.kinds import ARCHIVE_ENDINGS, ENDINGS, UNSURE_ENDINGS

CARD = "README.md"

CARD_BYTES = 4 << 20
"""Bytes of a card that are read. Its YAML comes first; those of the largest data sets have some hundred kilobytes."""

_YAML = re.compile(r"\A\ufeff?---[ \t]*\r?\n(.*?)^---[ \t]*\r?$", re.DOTALL | re.MULTILINE)


def chosen_files(fs: Any, folder: str, listed: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The files of a folder that are inputs.

    Args:
        fs: The fsspec file system.
        folder: Path of the folder on it.
        listed: All files below the folder, as the file system describes them.
    """
    root = folder.rstrip("/") + "/"
    by_path = {str(info["name"]).removeprefix(root).lstrip("/"): info for info in listed}
    data = [path for path in by_path if _is_data(path)]
    sure = [path for path in data if path.lower().endswith(ENDINGS)]
    chosen = sure or [path for path in data if posixpath.basename(path).lower() not in _NOTES]
    if CARD in by_path and chosen:
        named = _named_by_card(_read_card(fs, str(by_path[CARD]["name"])), data)
        chosen = named or chosen
    return [by_path[path] for path in chosen]


_NOTES = frozenset({"license.txt", "readme.txt", "dataset_infos.json", "dataset_info.json", "state.json"})
"""Files that come with data sets."""


def _is_data(path: str) -> bool:
    """Whether a file may hold documents: by its ending, and not hidden, except for archives, whose names are clear."""
    name = path.lower()
    if name.endswith(ARCHIVE_ENDINGS):
        return True
    is_hidden = any(part.startswith((".", "_")) for part in name.split("/"))
    return not is_hidden and name.endswith((*ENDINGS, *UNSURE_ENDINGS))


def _read_card(fs: Any, path: str) -> str:
    with fs.open(path, "rb") as file:
        return bytes(file.read(CARD_BYTES)).decode(errors="replace")


def _named_by_card(card: str, data: Iterable[str]) -> list[str]:
    """The data files of the default subset, of its split "train" if it has one; of all subsets if it has no files."""
    data = sorted(data)
    subsets = [_patterns(config) for config in _configs(card)]
    for patterns in subsets[:1]:
        if named := _matching(patterns, data):
            return named
    return _matching([pattern for patterns in subsets for pattern in patterns], data)


def _configs(card: str) -> list[Mapping[str, Any]]:
    """The subsets of a card, the default one first."""
    import yaml

    match = _YAML.match(card)
    try:
        metadata = yaml.safe_load(match[1]) if match else None
    except (yaml.YAMLError, RecursionError, ValueError):
        return []
    configs = metadata.get("configs") if isinstance(metadata, dict) else None
    found = [config for config in configs if isinstance(config, dict)] if isinstance(configs, list) else []
    return sorted(found, key=lambda config: (config.get("default") is not True, config.get("config_name") != "default"))


def _patterns(config: Mapping[str, Any]) -> list[str]:
    files = config.get("data_files")
    entries = files if isinstance(files, list) else [files]
    splits = [entry for entry in entries if isinstance(entry, dict)]
    train = [entry for entry in splits if entry.get("split") == "train"] or splits
    values = [entry.get("path") for entry in train] + [entry for entry in entries if isinstance(entry, str)]
    prefix = config.get("data_dir") if isinstance(config.get("data_dir"), str) else ""
    patterns = [str(each) for value in values for each in (value if isinstance(value, list) else [value]) if each]
    if not patterns and prefix:
        patterns = ["**"]
    return [posixpath.normpath(posixpath.join(str(prefix), pattern)) for pattern in patterns]


def _matching(patterns: Iterable[str], data: list[str]) -> list[str]:
    """The paths that a pattern matches, in their order. Arrow's expressions take linear time, whatever a card says."""
    paths = pa.array(data, pa.string())
    found: set[str] = set()
    for pattern in patterns:
        with suppress(pa.ArrowInvalid):  # a set of characters that is none
            found.update(paths.filter(pc.match_substring_regex(paths, f"^(?:{expression(pattern)})$")).to_pylist())
    return [path for path in data if path in found]


def expression(pattern: str) -> str:
    """A glob pattern as a regular expression: `*` and `?` end at a slash, `**` does not.

    >>> [bool(re.fullmatch(expression("data/**/*.parquet"), f"data/{name}")) for name in ("x.parquet", "a/b/x.parquet")]
    [True, True]
    """
    wildcards = {"**/": "(?:.*/)?", "**": ".*", "*": "[^/]*", "?": "[^/]"}
    parts = re.split(r"(\*\*/?|\*|\?|\[[^\[\]]*\])", pattern)
    return "".join(
        wildcards.get(part) or (part.replace("[!", "[^") if part.startswith("[") else re.escape(part)) for part in parts
    )
