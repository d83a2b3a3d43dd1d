"""docs/tokens.md is true: the keys of the table, what a file says of itself, and the report on the tokenizer."""

from __future__ import annotations

import re
from dataclasses import fields
from pathlib import Path

import pyarrow.parquet as pq
from tokenized import make_run, make_texts

from curation.tokenize.encoding.token_shards import TokensSettings
from curation.tokenize.loading.exports import FORMATS

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "tokens.md").read_text(encoding="utf-8")


def section(title: str) -> str:
    return PAGE.partition(f"\n## {title}\n")[2].partition("\n## ")[0]


def test_every_key_with_its_default() -> None:
    """The table has each key of [tokens] and no other, with the default it has."""
    rows = re.findall(r"^\| (`[^|]+`) \| ((?:[^|\\]|\\.)+) \|", section("The keys of `[tokens]`"), re.MULTILINE)
    told: dict[str, str] = {}
    for names, shown in rows:
        keys, values = re.findall(r"`(\w+)`", names), shown.replace("\\|", "|").replace("`", "").split(", ")
        told |= dict(zip(keys, values * len(keys) if len(values) == 1 else values, strict=True))
    defaults = {field.name: field.default for field in fields(TokensSettings)}
    assert told == {name: "none" if value == () else str(value) for name, value in defaults.items()}


def test_metadata_report_and_formats_are_named(tmp_path: Path) -> None:
    """Each key of the files' metadata, of tokenizer/report.json and of what it counts, and each format, is named."""
    folder, _, _ = make_run(tmp_path, make_texts(20), TokensSettings(sequence_length=32))
    for key in pq.read_schema(folder.path("tokens/train-00000.parquet")).metadata:
        if key.startswith(b"curation."):
            assert f"`{key.decode()}`" in PAGE
    report = folder.read_json("tokenizer/report.json")
    for key in (*report, *report["corpus"], *report["vocabulary"], *report["longest_tokens"][0]):
        assert f"`{key}`" in section("Does the tokenizer fit?")
    for form in FORMATS:
        assert f"| `{form}` |" in section("Exports")
