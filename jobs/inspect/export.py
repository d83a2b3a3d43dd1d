"""`curate export`: the token shards of a run in the formats of other trainers."""

from __future__ import annotations

from curation.errors import InputError, ParameterError
from curation.store.folder import Folder
from curation.store.shards import Output
from curation.tokenize.encoding.token_shards import SPLITS
from curation.tokenize.loading.exports import FORMATS, export


def export_splits(source: str, target: str, form: str, split: str | None) -> list[Output]:
    """Write one split, or each that the run has, to the folder `target`; returns the files.

    Raises ParameterError for an unknown format or split, InputError if there are no tokens, or if the target is where
    the run's own tokens stand.
    """
    if form not in FORMATS:
        raise ParameterError("format", form, f"one of {', '.join(FORMATS)}")
    if split is not None and split not in SPLITS:
        raise ParameterError("split", split, f"one of {', '.join(SPLITS)}")
    run, folder = Folder(source), Folder(target)
    if folder.url in (run.url, f"{run.url}/tokens"):
        raise InputError(f"--to {target}: is the run's own folder; name another")
    folder.check_writable()
    there = [name for name in SPLITS if any(f"/{name}-" in path for path in run.list("tokens", ".parquet"))]
    wanted = [split] if split is not None else there or list(SPLITS)
    return [output for name in wanted for output in export(run.url, folder.url, form, name)]
