"""Earlier runs: their signatures, in their own input order, to deduplicate another dump against."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from curation.dedup.layout import Shard
from curation.dedup.settings import DedupSettings
from curation.errors import CurationError, InputError
from curation.manifest import fingerprint, read_manifest
from curation.parameters import build
from curation.shards import shard_name
from curation.storage import Folder


def earlier_shards(settings: DedupSettings) -> list[Shard]:
    """The signed shards of all runs of `settings.against`, in their order, not yet counted.

    Raises InputError if a folder holds no run, one that is not filtered whole, or signatures of another kind.
    """
    return [
        Shard(folder, name, 0, 0, earlier=folder.url)
        for folder, run in check_earlier(settings)
        for name in _shards(folder, run)
    ]


def check_earlier(settings: DedupSettings) -> list[tuple[Folder, dict[str, Any]]]:
    """The folders of the earlier runs, and what their run.json says. InputError as for `earlier_shards`."""
    folders = [Folder(url) for url in settings.against] if settings.mode != "within" else []
    return [(folder, _checked(folder, settings)) for folder in folders]


def earlier_marks(shards: Sequence[Shard]) -> list[str]:
    """What the shards of earlier runs are, for the fingerprint of a step that reads them."""
    marks = []
    for shard in shards:
        manifest = read_manifest(shard.folder, "filter", shard.name)
        outputs = [output.hash for output in manifest.outputs] if manifest is not None else []
        marks.append(fingerprint(shard.earlier, shard.name, outputs))
    return marks


def _checked(folder: Folder, settings: DedupSettings) -> dict[str, Any]:
    where = f"dedup.against: {folder.url}"
    try:
        run: dict[str, Any] = folder.read_json("run.json")
    except (OSError, ValueError) as error:
        raise InputError(f"{where}: no run of curate ({error})") from error
    try:
        theirs = build(DedupSettings, run["recipe"]["dedup"], where)
    except CurationError as error:
        raise InputError(str(error)) from error
    if theirs.signature != settings.signature:
        raise InputError(
            f"{where}: its signatures are of another kind: variant, ngram, bands, rows, seed are "
            f"{', '.join(map(str, theirs.signature))}, here {', '.join(map(str, settings.signature))}"
        )
    return run


def _shards(folder: Folder, run: dict[str, Any]) -> list[str]:
    given_up = {entry["path"] for entry in run["quarantined"]}
    names = [shard_name(entry["path"]) for entry in run["inputs"] if entry["path"] not in given_up]
    for name in names:
        if read_manifest(folder, "filter", name) is None:
            raise InputError(f"dedup.against: {folder.url}: shard {name} is not filtered; finish that run first")
    return names
