"""The dataset card: YAML that the Hub's own reader takes, and a folder that `datasets` loads as it is."""

from __future__ import annotations

from pathlib import Path

import pyarrow.parquet as pq
import pytest
import yaml
from planted import run, verdict_of, write_crawl

from curation.jobs.steps.plan import open_plan
from curation.jobs.steps.report.card import CARD, COLUMNS, card, size_category
from curation.store.folder import Folder
from curation.store.schema import DOCUMENT


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run."""
    folder = tmp_path_factory.mktemp("run")
    run(write_crawl(folder / "crawl"), folder / "out")
    return folder / "out"


def front_matter(text: str) -> dict:  # type: ignore[type-arg]
    """The YAML of a card."""
    _, values, _ = text.split("---\n", 2)
    found: dict = yaml.safe_load(values)  # type: ignore[type-arg]
    return found


def test_the_card_is_what_the_hub_reads(out: Path) -> None:
    """huggingface_hub parses it; languages, size and files are those of the corpus; every column is told."""
    from huggingface_hub import DatasetCard

    text = (out / CARD).read_text()
    data = DatasetCard(text).data
    assert data.language == ["en"]
    assert data.size_categories == ["n<1K"]
    assert data.license == "other"
    assert front_matter(text)["configs"][0]["data_files"] == [{"split": "train", "path": "*.parquet"}]
    assert [part["name"] for part in front_matter(text)["dataset_info"]["features"]] == DOCUMENT.names
    assert list(COLUMNS) == DOCUMENT.names
    assert "26 documents" in text or "25 documents" in text
    assert "near_duplicate" in text.replace("\\", "")


def test_datasets_loads_the_folder_as_it_is(out: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By the card, and by the Parquet builder, offline: the same rows as the files have."""
    monkeypatch.setenv("HF_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("HF_DATASETS_OFFLINE", "1")
    from datasets import load_dataset

    corpus = str(out / "corpus")
    rows = [row for path in sorted((out / "corpus").glob("*.parquet")) for row in pq.read_table(path).to_pylist()]
    by_card = load_dataset(corpus, split="train", cache_dir=str(tmp_path / "cache"))
    by_builder = load_dataset("parquet", data_dir=corpus, split="train", cache_dir=str(tmp_path / "cache"))
    assert by_card.to_list() == rows
    assert by_builder.to_list() == rows
    assert by_card.column_names == DOCUMENT.names


def test_the_card_is_in_the_manifest(out: Path) -> None:
    """A card that was edited is a fault."""
    assert verdict_of(out).sound
    text = (out / CARD).read_text()
    (out / CARD).write_text(text + "mine")
    assert verdict_of(out).wrong[0].file == CARD
    (out / CARD).write_text(text)


def test_hostile_names_stay_text(out: Path) -> None:
    """A recipe's name, a reason or a language that looks like YAML or Markdown changes nothing but itself."""
    plan = open_plan(str(out))
    stats = Folder(str(out)).read_json("report/stats.json")
    hostile = '"\n---\n# <script>alert(1)</script> | [x](javascript:1) \u202e'
    stats["recipe"] = hostile
    stats["languages"] = {hostile: {"documents": 1, "kept": 1}, "no": {"documents": 1, "kept": 1}}
    stats["stages"]["c4"]["reasons"] = {hostile: 1}
    text = card(plan, stats)
    values = front_matter(text)
    assert values["language"] == ["no"]
    assert values["pretty_name"] == hostile.replace("\u202e", "�")
    body = text.split("---\n", 2)[2]
    assert "<script>" not in body.replace("\\<", "")
    assert "\n# <" not in body


@pytest.mark.parametrize(
    ("documents", "name"),
    [(0, "n<1K"), (1000, "1K<n<10K"), (10**6 - 1, "100K<n<1M"), (10**9, "1B<n<10B"), (10**12, "n>1T")],
)
def test_size_categories_are_the_hubs(documents: int, name: str) -> None:
    """Each at its lower bound."""
    assert size_category(documents) == name
