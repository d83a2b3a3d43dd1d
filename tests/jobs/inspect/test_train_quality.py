"""`curate train-quality`: a model from good and other documents, measured on other domains."""

from __future__ import annotations

import json
import random
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from fasttext_files import fasttext_model
from kills import kill_at_rename
from resiliparse.extract.html2text import extract_plain_text
from typer.testing import CliRunner
from web_pages import web_pages

from curation.filters.quality import Quality
from curation.jobs.cli.main import app
from curation.quality.model import load
from curation.quality.train import Examples, auc, balance, cross_validate, figures, folds_of
from curation.text.hosts import registered_domain

GOOD = ["theorem", "proof", "lemma", "because", "therefore", "measure", "energy", "method", "result", "analysis"]
OTHER = ["buy", "sale", "cheap", "click", "offer", "deal", "shipping", "cart", "discount", "login"]
COMMON = ["the", "of", "and", "to", "in", "is", "that", "for", "it", "with", "as", "was", "on", "are", "by"]


def write_side(path: Path, words: list[str], count: int = 40, seed: int = 0) -> str:
    """Documents of as many domains in which a few words are typical of the side."""
    chance = random.Random(seed)
    with path.open("w") as file:
        for number in range(count):
            text = " ".join(chance.choice(words if chance.random() < 0.1 else COMMON) for _ in range(60))
            file.write(json.dumps({"text": text, "url": f"https://site{seed}{number}.org/a"}) + "\n")
    return str(path)


OFF = ("min_alpha_words", "min_stop_words", "min_mean_word_length", "max_mean_word_length")


@pytest.fixture
def sides(tmp_path: Path) -> list[str]:
    """The options that name both sides."""
    good, other = write_side(tmp_path / "good.jsonl", GOOD), write_side(tmp_path / "other.jsonl", OTHER, seed=1)
    return ["--positive", good, "--negative", other, "--recipe", "none"]


def call(*words: object) -> Any:
    return CliRunner().invoke(app, ["train-quality", *map(str, words)])


def test_a_model_is_trained_and_measured(sides: list[str], tmp_path: Path) -> None:
    """The model separates unseen domains, says so on its card, has quantiles, and is the same every time."""
    paths = [tmp_path / "a.npz", tmp_path / "b.npz"]
    results = [call(*sides, "--out", path, "--json") for path in paths]
    assert results[0].exit_code == 0, results[0].output
    result = json.loads(results[0].stdout)
    held = result["cross_validation"]
    assert held["auc"] > 0.9
    assert (held["documents"], held["domains"]) == (80, 80)
    assert sum(each["documents"] for each in held["calibration"]) == 80
    assert paths[0].read_bytes() == paths[1].read_bytes()
    assert Path(f"{paths[0]}.json").read_bytes() == Path(f"{paths[1]}.json").read_bytes()
    model = load(str(paths[0]))
    assert model.card.training is not None
    assert model.card.training["cross_validation"] == held
    good, other = model.score(pa.array(["theorem proof the lemma", "buy cheap the offer"]))
    assert good > 0.5 > other
    assert Quality(models=(str(paths[0]),), min_percentile=50.0).rules
    assert "AUC" in call(*sides, "--out", paths[0]).stdout


def test_the_order_of_documents_does_not_matter(sides: list[str], tmp_path: Path) -> None:
    """Files in another order, and copies of documents, give the same model."""
    assert call(*sides, "--out", tmp_path / "a.npz").exit_code == 0
    lines = Path(sides[1]).read_text().splitlines(keepends=True)
    Path(sides[1]).write_text("".join([*reversed(lines), lines[0]]))
    assert call(*sides, "--out", tmp_path / "b.npz").exit_code == 0
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()


def test_copies_on_other_domains_are_not_unseen(sides: list[str], tmp_path: Path) -> None:
    """Of near-duplicates on several domains only one is measured, so that copies do not raise the AUC."""
    before = json.loads(call(*sides, "--out", tmp_path / "a.npz", "--json").stdout)["cross_validation"]
    for side in (sides[1], sides[3]):
        rows = [json.loads(line) for line in Path(side).read_text().splitlines()]
        with Path(side).open("a") as file:
            for number in range(20):
                row = {"text": f"{rows[0]['text']} copy {number}", "url": f"https://copy{number}.org"}
                file.write(json.dumps(row) + "\n")
    after = json.loads(call(*sides, "--out", tmp_path / "a.npz", "--json").stdout)
    assert after["positive"]["documents"] == 60
    assert after["cross_validation"]["documents"] == before["documents"] == 80


def test_documents_without_a_url_are_said(sides: list[str], tmp_path: Path) -> None:
    """Documents whose site is not known are counted, and the output says what that means for the AUC."""
    assert "have no URL" not in call(*sides, "--out", tmp_path / "a.npz").stdout
    rows = [json.loads(line) for line in Path(sides[1]).read_text().splitlines()]
    Path(sides[1]).write_text("".join(json.dumps({"text": row["text"]}) + "\n" for row in rows))
    assert "40 of them have no URL" in call(*sides, "--out", tmp_path / "a.npz").stdout


def test_killed_it_leaves_no_half_model(sides: list[str], tmp_path: Path) -> None:
    """After SIGKILL before the card or before the model there is no model, and a rerun gives both, byte for byte."""
    whole, again = tmp_path / "whole.npz", tmp_path / "again.npz"
    assert call(*sides, "--out", whole).exit_code == 0
    kills = 0
    while kill_at_rename(kills + 1, "train-quality", *sides, "--out", again):
        kills += 1
        assert not again.exists()
    assert kills >= 2
    assert again.read_bytes() == whole.read_bytes()
    assert Path(f"{again}.json").read_bytes() == Path(f"{whole}.json").read_bytes()


def test_the_recipe_cleans_both_sides(sides: list[str], tmp_path: Path) -> None:
    """Documents that the recipe's stages for texts remove are not trained on, and counted by reason."""
    with Path(sides[1]).open("a") as file:
        file.write(json.dumps({"text": "theorem " * 9, "url": "https://short.org"}) + "\n")
    recipe = tmp_path / "mine.toml"
    rules = "".join(f'{key} = "none"\n' for key in OFF)
    recipe.write_text(f'[[stage]]\nuse = "gopher_quality"\nmin_words = 50\n{rules}')
    words = [*sides[:-1], recipe]
    done = call(*words, "--out", tmp_path / "a.npz", "--json")
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout)["positive"]["removed"] == {"gopher_quality.min_words": 1}


def test_folds_are_of_domains() -> None:
    """Documents of a domain are in one fold, which does not depend on the other domains."""
    names = np.array(["a.org", "b.org", "a.org", "c.org"], object)
    folds = folds_of(names, 5)
    assert folds[0] == folds[2]
    assert folds_of(names[1:2], 5)[0] == folds[1]


def test_both_classes_weigh_the_same() -> None:
    """The costs of a class of one add up to those of a class of three."""
    assert balance(np.array([True, False, False, False])).tolist() == pytest.approx([2, 2 / 3, 2 / 3, 2 / 3])


def test_auc() -> None:
    """AUC is 1 for a perfect order, 0.5 for equal scores, and NaN with one class."""
    good = np.array([False, False, True])
    assert auc(np.array([0.1, 0.2, 0.3]), good) == 1
    assert auc(np.array([0.2, 0.2, 0.2]), good) == 0.5
    assert np.isnan(auc(np.array([0.1]), np.array([True])))


def test_the_whole_library_is_asked_for(sides: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the training part of fastText the error says what to install, and nothing is written."""
    monkeypatch.setitem(sys.modules, "fasttext", SimpleNamespace(load_model=None))
    done = call(*sides, "--kind", "fasttext", "--out", tmp_path / "m.bin")
    assert done.exception.exit_code == 2
    assert "pip install" in str(done.exception)
    assert not (tmp_path / "m.bin").exists()


def test_fasttext_trains_on_labeled_lines(sides: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """fastText gets one labeled line per document, one thread and a seed, and its model is scored by the good label."""
    seen: list[tuple[list[str], dict[str, Any]]] = []

    def train_supervised(path: str, **parameters: Any) -> Any:
        seen.append((Path(path).read_text().splitlines(), parameters))
        return SimpleNamespace(save_model=lambda to: fasttext_model(Path(to), labels=("hq", "other")))

    monkeypatch.setitem(sys.modules, "fasttext", SimpleNamespace(train_supervised=train_supervised))
    done = call(*sides, "--kind", "fasttext", "--out", tmp_path / "m.bin")
    assert done.exit_code == 0, done.output
    lines, parameters = seen[-1]
    assert len(lines) == 80
    assert sorted({line.split()[0] for line in lines}) == ["__label__hq", "__label__other"]
    assert (parameters["thread"], parameters["seed"]) == (1, 0)
    assert load(str(tmp_path / "m.bin")).labels == ("hq",)


def test_bad_input_writes_nothing(sides: list[str], tmp_path: Path) -> None:
    """An empty class, a class of one domain, no folder and an unknown kind give one line and exit code 2."""
    out = tmp_path / "m.npz"
    (tmp_path / "empty.jsonl").write_text("")
    lines = [json.dumps({"text": f"text {number}", "url": "https://one.org"}) for number in range(30)]
    (tmp_path / "one.jsonl").write_text("\n".join(lines))
    for words, message in (
        ([*sides, "--out", tmp_path / "none" / "m.npz"], "the folder does not exist"),
        ([*sides, "--out", out, "--kind", "bert"], "must be linear or fasttext"),
        ([*sides[:3], tmp_path / "empty.jsonl", "--recipe", "none", "--out", out], "0 documents"),
        ([*sides[:3], tmp_path / "one.jsonl", "--recipe", "none", "--out", out], "1 domains"),
        ([*sides[:3], tmp_path / "none", "--out", out], "no such file or folder"),
        ([*sides, "--out", tmp_path], "is a folder"),
        ([*sides, "--out", sides[1]], "is a file of documents"),
    ):
        done = call(*words)
        assert done.exception.exit_code == 2, done.output
        assert message in str(done.exception)
        assert sorted(path.name for path in tmp_path.iterdir() if path.suffix in (".npz", ".partial")) == []


def test_gold(shared_data: Path) -> None:
    """On pages labeled by hand, the model separates quality 4 and 5 from 1 and 2 on domains it has not seen."""
    labels = {row["url"]: row["quality"] for row in map(json.loads, (shared_data / "gold/keep.jsonl").open())}
    pages = {url: html for url, html in web_pages(shared_data) if not 2 < labels.get(url, 3) < 4}
    texts = [extract_plain_text(html, main_content=True) for html in pages.values()]
    good = np.array([labels[url] >= 4 for url in pages])
    domains = np.array([registered_domain(url) for url in pages], object)
    examples = Examples(pa.array(texts, pa.string()), good, domains)
    measured = figures(cross_validate(examples, "linear", 5), examples)
    assert measured["documents"] > 100
    assert measured["auc"] > 0.85
