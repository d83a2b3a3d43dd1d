"""The test data that benchmarks read."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

from fastwarc.warc import ArchiveIterator, WarcRecordType
from resiliparse.extract.html2text import extract_plain_text
from resiliparse.parse.encoding import detect_encoding
from resiliparse.parse.html import HTMLTree

ROOT = Path(__file__).resolve().parents[2]
PEER = ROOT / ".venv-peers" / "bin" / "python"
"""The environment of the libraries to compare with (`make peers`)."""


def shared_data(*needed: str) -> Path:
    """The folder of test data, as the tests find it.

    Args:
        *needed: Folders that it must contain besides web/.
    """
    folders = ("web", *needed)
    for candidate in (os.environ.get("CURATION_TEST_DATA"), ROOT.parent / "shared" / "data"):
        if candidate and all((Path(candidate) / name).is_dir() for name in folders):
            return Path(candidate)
    wanted = " and ".join(f"{name}/" for name in folders)
    sys.exit(f"no data: set CURATION_TEST_DATA to the folder that contains {wanted}")


def page_texts(step: int) -> Iterator[str]:
    """The main content of every `step`-th page of web/ that has any."""
    for path in sorted((shared_data() / "web").glob("*.warc.gz")):
        with path.open("rb") as stream:
            for number, record in enumerate(ArchiveIterator(stream, record_types=WarcRecordType.response)):
                if number % step or "html" not in (record.http_content_type or ""):
                    continue
                page = record.reader.read()
                tree = HTMLTree.parse_from_bytes(page, detect_encoding(page))
                text = extract_plain_text(tree, main_content=True)
                if text.strip():
                    yield text
