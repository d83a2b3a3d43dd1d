"""Where the files of a fetch are in its output folder."""

from __future__ import annotations

from curation.store.paths import ShardFiles

FETCH = "fetch.json"

FOUND = ShardFiles("_index")
"""The records that were chosen, by index file."""

PLANNED = ShardFiles("_plan")
"""The records of each WARC file, in its order."""

PARTS = "_parts"
"""Bytes that have arrived, until their WARC file is written."""

WARC = ShardFiles("warc", ".warc.gz")

OF_FETCH = (FETCH, FOUND.folder, PLANNED.folder, PARTS, WARC.folder, "manifests", "performance")
"""What a fetch writes, directly in the output folder."""
