"""docs/tokens.md matches the code: the keys of the table, the metadata of files, and the tokenizer report."""

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
    """The table lists exactly the keys of [tokens], with their defaults."""
    rows = re.findall(r"^\| (`[^|]+`) \| ((?:[^|\\]|\\.)+) \|", section("Keys of `[tokens]`"), re.MULTILINE)
    documented: dict[str, str] = {}
    for names, shown in rows:
        keys, values = re.findall(r"`(\w+)`", names), shown.replace("\\|", "|").replace("`", "").split(", ")
        documented |= dict(zip(keys, values * len(keys) if len(values) == 1 else values, strict=True))
    defaults = {field.name: field.default for field in fields(TokensSettings)}
    assert documented == {name: "none" if value in ((), None) else str(value) for name, value in defaults.items()}


def test_metadata_report_and_formats_are_documented(tmp_path: Path) -> None:
    """The page documents each key of the metadata and of tokenizer/report.json, and each export format."""
    folder, _, _ = make_run(tmp_path, make_texts(20), TokensSettings(sequence_length=32))
    for key in pq.read_schema(folder.path("tokens/train-00000.parquet")).metadata:
        if key.startswith(b"curation."):
            assert f"`{key.decode()}`" in PAGE
    report = folder.read_json("tokenizer/report.json")
    for key in (*report, *report["corpus"], *report["vocabulary"], *report["longest_tokens"][0]):
        assert f"`{key}`" in section("Does the tokenizer fit?")
    for form in FORMATS:
        assert f"| `{form}` |" in section("Exports")
