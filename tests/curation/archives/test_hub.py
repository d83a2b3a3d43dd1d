"""Folders of files: which of them are inputs, with a dataset card and without."""

from __future__ import annotations

from pathlib import Path

import pytest

from curation.archives.inputs import find_inputs
from curation.errors import InputError

CARD = """---
license: odc-by
configs:
- config_name: sample
  data_files:
  - split: train
    path: sample/*.parquet
- config_name: default
  data_files:
  - split: train
    path: ["data/**/*.parquet", "more/[ab].jsonl"]
  - split: test
    path: data/test.parquet
---
# A data set
"""


def found(folder: Path, *names: str, card: str | None = None) -> list[str]:
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"")
    if card is not None:
        (folder / "README.md").write_text(card)
    return [str(Path(entry.path).relative_to(folder)) for entry in find_inputs([str(folder)])]


def test_data_files_of_all_kinds(tmp_path: Path) -> None:
    """Archives, Parquet and JSON Lines of a folder are inputs; hidden files, and text files beside them, are not."""
    names = (
        "a.warc.gz",
        "b/c.parquet",
        "d.JSONL.zst",
        "e.json.gz",
        ".cache/f.parquet",
        "_tmp/g.jsonl",
        "h.txt",
        "i.json",
    )
    assert found(tmp_path, *names) == ["a.warc.gz", "b/c.parquet", "d.JSONL.zst", "e.json.gz"]


def test_text_files_count_where_there_is_nothing_else(tmp_path: Path) -> None:
    """A folder of text or JSON files is read, without the notes that come with data sets."""
    assert found(tmp_path, "a.txt", "b.txt.gz", "c.json", "LICENSE.txt", "dataset_infos.json") == [
        "a.txt", "b.txt.gz", "c.json",
    ]  # fmt: skip


def test_a_card_names_the_files(tmp_path: Path) -> None:
    """The training split of the default subset is read, in the order of the paths."""
    names = ("data/x/2.parquet", "data/1.parquet", "more/a.jsonl", "more/c.jsonl", "sample/1.parquet", "other.parquet")
    assert found(tmp_path, *names, card=CARD) == ["data/1.parquet", "data/x/2.parquet", "more/a.jsonl"]


def test_a_subset_alone(tmp_path: Path) -> None:
    """Where the default subset was not downloaded, the files of the others are read."""
    assert found(tmp_path, "sample/1.parquet", "x.parquet", card=CARD) == ["sample/1.parquet"]


@pytest.mark.parametrize(
    "card",
    ["", "# No metadata", "---\n: [\n---\n", "---\nconfigs: 3\n---\n", "---\nconfigs:\n- data_files: none/*\n---\n"],
)
def test_cards_that_name_no_file(card: str, tmp_path: Path) -> None:
    """A card without usable patterns changes nothing."""
    assert found(tmp_path, "a.parquet", "b.parquet", card=card) == ["a.parquet", "b.parquet"]


def test_a_folder_without_data(tmp_path: Path) -> None:
    """A folder with nothing to read is refused with the endings that are looked for."""
    with pytest.raises(InputError, match=r"no file in it ends in \.warc.*\.parquet.*\.jsonl"):
        found(tmp_path, "README.md", "a.pdf")
