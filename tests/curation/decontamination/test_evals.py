"""Benchmark items from files."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from items import CHOICES, write_items

from curation.decontamination.evals import suites
from curation.errors import InputError


def test_fields(tmp_path: Path) -> None:
    """Numbers choose among the choices, lists and mappings with text are texts, and ids are kept."""
    path = write_items(
        tmp_path,
        {"id": 7, "question": "Q", "choices": CHOICES, "answer": 2},
        {"task_id": "T/1", "question": ["Q", "R"], "answer": {"text": ["S"]}, "choices": {"text": ["x", "y"]}},
        {"question": "Q", "answer": 12, "passage": None},
    )
    (suite,) = suites((path,))
    first, second, third = suite.items()
    assert (suite.name, first.key, first.answer, first.choices) == ("quiz", "7", CHOICES[2], tuple(CHOICES))
    assert (second.key, second.question, second.answer, second.choices) == ("T/1", "Q R", "S", ("x", "y"))
    assert (third.key, third.answer, third.passage) == ("2", "12", "")


def test_files_of_any_kind_and_names_of_fields(tmp_path: Path) -> None:
    """Parquet, gzip and folders are read; names after # say which field is which."""
    pq.write_table(pa.table({"prompt": ["P"], "canonical": ["C"]}), tmp_path / "code.parquet")
    with gzip.open(tmp_path / "more.jsonl.gz", "wt") as file:
        file.write(json.dumps({"prompt": "Z"}) + "\n")
    named = suites((f"{tmp_path}/code.parquet#question=prompt&answer=canonical",))
    assert [(item.question, item.answer) for item in named[0].items()] == [("P", "C")]
    assert [suite.name for suite in suites((f"{tmp_path}#question=prompt",))] == ["code", "more"]


def test_what_is_no_suite(tmp_path: Path) -> None:
    """A missing file or field, an empty file and an unknown name are errors that say what there is."""
    path = write_items(tmp_path, {"body": "x", "reply": "y"})
    (tmp_path / "empty.jsonl").write_text("")
    for argument, message in (
        (str(tmp_path / "none"), "no such file or folder"),
        (path, "its fields are body, reply; name them"),
        (f"{path}#question=body&answer=solution", "no item has the field 'solution' for the answer"),
        (f"{path}#topic=body", "names of fields"),
        (str(tmp_path / "empty.jsonl"), "no items"),
    ):
        with pytest.raises(InputError, match=message):
            [suite.check() for suite in suites((argument,))]
    suites((f"{path}#question=body",))[0].check()
