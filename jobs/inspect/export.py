"""`curate export`: the token shards of a run in the formats of other trainers."""

from __future__ import annotations

from curation.errors import InputError, ParameterError
from curation.store.folder import Folder
from curation.store.shards import Output
from curation.tokenize.encoding.token_shards import SPLITS
from curation.tokenize.loading.exports import FORMATS, export


def export_splits(source: str, target: str, form: str, split: str | None) -> list[Output]:
    """Export one split of a run, or all of its splits.

    Args:
        source: Output folder of the run.
        target: Folder to write to.
        form: One of FORMATS.
        split: One of SPLITS, or None for each that the run has.

    Returns:
        The files written.

    Raises:
        ParameterError: The format or split is unknown.
        InputError: There are no tokens, or the target is the run's own folder.
    """
    if form not in FORMATS:
        raise ParameterError("format", form, f"one of {', '.join(FORMATS)}")
    if split is not None and split not in SPLITS:
        raise ParameterError("split", split, f"one of {', '.join(SPLITS)}")
    run, folder = Folder(source), Folder(target)
    if folder.url in (run.url, f"{run.url}/tokens"):
        raise InputError(f"--to {target}: is the run's own folder; choose another")
    folder.check_writable()
    existing = [name for name in SPLITS if any(f"/{name}-" in path for path in run.list("tokens", ".parquet"))]
    splits = [split] if split is not None else existing or list(SPLITS)
    return [output for name in splits for output in export(run.url, folder.url, form, name)]
