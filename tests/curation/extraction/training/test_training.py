"""Training of the extractor "blocks": annotations, labels, the same bytes for the same pages, and use of the model."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from curation.errors import InputError, UsageError
from curation.extraction.extract import Extract
from curation.extraction.training.command import train_extractor
from curation.extraction.training.fit import to_trees, word_f1
from curation.extraction.training.gold import read_gold
from curation.extraction.training.labels import label, label_by_snippets, words_of
from tests.curation.extraction.test_extract import batch


def story(number: int) -> str:
    names = ("harbour", "mountain", "river", "garden", "market", "castle")
    return (
        f"On day {number} the people of the {names[number % 6]} {number} met their neighbours and talked of old times."
    )


def annotated(number: int) -> dict[str, Any]:
    """A page of its own domain whose main text is in `<div class=story>`, between a menu and advertising."""
    lines = [story(number * 10 + part) for part in range(4)]
    html = (
        "<html><body><div class=menu><a href=/>Home page</a> <a href=/x>Other things to see here</a></div>"
        f"<div class=story>{''.join(f'<p>{line}</p>' for line in lines)}</div>"
        f"<div class=promo><p>Buy our wonderful number {number} today, it is the best that money can buy.</p></div>"
    )
    return {
        "url": f"https://site{number}.com/a",
        "html": html,
        "main_content": "\n".join(lines),
        "page_type": "article",
    }


@pytest.fixture(scope="module")
def gold(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("gold") / "pages.jsonl"
    path.write_text("".join(json.dumps(annotated(number)) + "\n" for number in range(40)))
    return path


def test_the_model_learns_and_the_same_pages_give_the_same_bytes(gold: Path, tmp_path: Path) -> None:
    """A model trained on pages of one kind extracts an unseen one; training again gives the same bytes."""
    first = train_extractor([gold], tmp_path / "a.npz", folds=3)
    second = train_extractor([gold], tmp_path / "b.npz", folds=0)
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()
    assert first["sha256"] == second["sha256"]
    assert second["cross_validation"] is None
    assert first["cross_validation"]["f1"] > 0.9
    stage = Extract(extractor="blocks", blocks_model=str(tmp_path / "a.npz"))
    (text,) = stage(batch(annotated(1234)["html"])).batch.text.to_pylist()
    assert word_f1(text, annotated(1234)["main_content"]) == 1


def test_another_model_is_another_fingerprint(gold: Path, tmp_path: Path) -> None:
    """The hash of the model is among the stage's assets."""
    train_extractor([gold], tmp_path / "a.npz", folds=0)
    own, bundled = Extract(extractor="blocks", blocks_model=str(tmp_path / "a.npz")), Extract(extractor="blocks")
    assert own.assets() != bundled.assets()
    assert "blocks_model" not in Extract(extractor="resiliparse").assets()


def test_words_of_the_annotation_are_labeled_once() -> None:
    """Four words in a row that occur in the annotation are main text; a second copy on the page is not."""
    teaser, body, menu = (
        "one two three four five",
        "zero one two three four five six seven",
        "home about contact us now",
    )
    shares = label([words_of(each) for each in (teaser, menu, body)], body)
    assert shares.tolist() == [0, 0, 1]


def test_a_short_line_of_the_annotation_is_main_text() -> None:
    """A block of few words is main text if it equals a line."""
    assert label([["two", "words"], ["other", "words"]], "A text\nTwo words\n and more").tolist() == [0.9, 0]


def test_snippets_label_the_blocks_they_tell_something_about() -> None:
    """A wanted snippet labels the longest block with it, an unwanted one blocks that are hardly more than it."""
    blocks = [words_of(each) for each in ("the boats lay", "and the boats lay still all day", "share this", "other")]
    shares, labeled = label_by_snippets(blocks, ["the boats lay"], ["Share this!"])
    assert shares.tolist() == [0, 1, 0, 0]
    assert labeled.tolist() == [False, True, True, False]


def test_gold_may_be_gzip_with_pages_in_an_archive(tmp_path: Path, shared_data: Path) -> None:
    """Annotations without html get it from archives by URL; those of missing pages are left out."""
    with gzip.open(shared_data / "gold" / "readability.jsonl.gz", "rt") as file:
        lines = [json.loads(line) for line in file][:3]
    with gzip.open(tmp_path / "gold.jsonl.gz", "wt") as file:
        for line in (*lines, {"url": "http://absent.example/", "text": "x"}):
            file.write(json.dumps(line) + "\n")
    pages, missing = read_gold([tmp_path / "gold.jsonl.gz", shared_data / "gold" / "readability.warc.gz"])
    assert [page.url for page in pages] == sorted(line["url"] for line in lines)
    assert missing == 1


@pytest.mark.parametrize("line", ["{}", "[1]", "{", '{"url": "http://a.b/"}'])
def test_a_line_that_is_no_annotation_is_named(tmp_path: Path, line: str) -> None:
    """A bad line is an error that names the file."""
    (tmp_path / "gold.jsonl").write_text(line + "\n")
    with pytest.raises(InputError, match=r"gold\.jsonl"):
        read_gold([tmp_path / "gold.jsonl"])


def test_usage_errors(gold: Path, tmp_path: Path) -> None:
    """Too many folds, and a name that no model has, are errors before training."""
    with pytest.raises(UsageError, match="folds"):
        train_extractor([gold], tmp_path / "a.npz", folds=41)
    with pytest.raises(UsageError, match=r"\.npz"):
        train_extractor([gold], tmp_path / "a.bin", folds=0)


def test_trees_decide_as_lightgbm_does() -> None:
    """The arrays give LightGBM's own predictions, thresholds between two single-precision numbers included."""
    lightgbm = pytest.importorskip("lightgbm")
    from curation.extraction.blocks.measure import COUNT
    from curation.extraction.blocks.model import predict

    random = np.random.default_rng(0)
    rows = random.normal(size=(2000, COUNT)).astype(np.float32)
    target = (rows[:, 0] + rows[:, 1] ** 2 > random.normal(size=2000)).astype(float)
    settings = {"objective": "cross_entropy", "verbose": -1, "num_threads": 1}
    booster = lightgbm.train(settings, lightgbm.Dataset(rows, target), 30)
    mine = predict(to_trees(booster.model_to_string()), rows)
    assert np.abs(mine - booster.predict(rows.astype(np.float64))).max() < 1e-6
