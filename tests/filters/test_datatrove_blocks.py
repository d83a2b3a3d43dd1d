"""Filter blocks of datatrove as stages."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from datatrove.pipeline import base
from heuristic_cases import batch_of, edited, page_texts, references
from source_files import ROOT

from curation.errors import RecipeError
from curation.filters import datatrove_blocks
from curation.filters.datatrove_blocks import block_class
from curation.recipes.recipe import from_document, load, to_toml
from curation.stages.batch import Batch


def recipe(use: str, **keys: Any) -> Any:
    """The recipe with one stage."""
    return from_document({"name": "r", "stage": [{"use": use, **keys}]}, "r.toml")


def test_verdicts_reasons_and_texts_are_the_blocks(shared_data: Path) -> None:
    """On pages, edited ones too, each block says what it says when it is asked itself."""
    from datatrove.data import Document

    texts = [edited(text[:2000], seed) for seed, text in enumerate(page_texts(shared_data)[:60])] + ["", "a b"]
    seen = set()
    for name, block in {type(block).__name__: block for block in references().values()}.items():
        keys = {"filter_no_terminal_punct": False} if name == "C4QualityFilter" else {}
        outcome = block_class(name)(**keys)(batch_of(texts))
        for text, reason, left in zip(texts, outcome.reasons.to_pylist(), outcome.batch.text.to_pylist(), strict=True):
            document = Document(text=text, id="0")
            try:
                verdict = block.filter(document)
            except ZeroDivisionError:
                verdict = (False, "error")
            assert reason == (None if verdict is True else verdict[1])
            assert left == (document.text if verdict is True else text)
            seen.add(reason)
    assert len(seen) > 8


def test_threads() -> None:
    """Threads that use a block for the first time at once get its verdicts, not errors of half-loaded libraries."""
    program = (
        "from concurrent.futures import ThreadPoolExecutor\n"
        "from heuristic_cases import batch_of\n"
        "from curation.filters.datatrove_blocks import block_class\n"
        "stage = block_class('FineWebQualityFilter')()\n"
        "batch = batch_of(['A line that ends. ' * 9 + str(n) + '.' for n in range(9)])\n"
        "with ThreadPoolExecutor(8) as pool:\n"
        "    found = list(pool.map(lambda _: stage(batch).reasons.to_pylist(), range(8)))\n"
        "assert found == [[None] * 9] * 8, found\n"
    )
    path = os.pathsep.join([str(ROOT), str(ROOT / "tests" / "support"), os.environ.get("PYTHONPATH", "")])
    environment = os.environ | {"PYTHONPATH": path}
    done = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_in_a_recipe() -> None:
    """A block is a stage by its name, with its arguments as keys; the recipe survives being written and pickled."""
    made = recipe("datatrove:GopherQualityFilter", min_doc_words=2, stop_words=["a", "b"], min_stop_words="none")
    [(name, stage)] = made.stages
    assert name == "GopherQualityFilter"
    assert (stage.min_doc_words, stage.stop_words, stage.min_stop_words) == (2, ("a", "b"), None)
    assert pickle.loads(pickle.dumps(stage)) == stage
    assert stage(batch_of(["word", "a b c"])).reasons.to_pylist() == ["gopher_short_doc", "gopher_below_avg_threshold"]
    text = to_toml(made.resolved())
    assert 'use = "datatrove:GopherQualityFilter"' in text
    assert from_document(made.resolved(), "again").identity() == made.identity()


def test_two_of_a_kind_need_names(tmp_path: Path) -> None:
    """Settings reach a block by its name."""
    file = tmp_path / "two.toml"
    file.write_text(
        '[[stage]]\nuse = "datatrove:RegexFilter"\nregex_exp = "x"\n'
        '[[stage]]\nuse = "datatrove:RegexFilter"\nname = "other"\nregex_exp = "y"\n'
    )
    stages = dict(load(str(file), ["other.regex_exp=z"]).stages)
    batch = batch_of(["x", "z", "y"])
    assert stages["RegexFilter"](batch).reasons.to_pylist() == ["removed", None, None]  # type: ignore[union-attr]
    assert stages["other"](batch).reasons.to_pylist() == [None, "removed", None]  # type: ignore[union-attr]


def test_metadata(monkeypatch: pytest.MonkeyPatch) -> None:
    """A block finds a document's URL; a document on which it fails is removed as an error."""
    monkeypatch.setattr(base, "check_required_dependencies", lambda *_: None)
    table = {
        "id": ["1", "2"],
        "text": ["a", "b"],
        "url": ["https://xxx.com/", None],
        "language": pa.nulls(2, pa.string()),
    }
    batch = Batch(pa.record_batch(table))
    stage = block_class("URLFilter")(use_integrated_lists=False, extra_domains=("xxx.com",))
    assert stage(batch).reasons.to_pylist() == ["domain", "error"]


@pytest.mark.parametrize(
    ("use", "keys", "message"),
    [
        ("datatrove:NoFilter", {}, "no filter NoFilter that a recipe can use; it has C4"),
        ("datatrove:", {}, '\'datatrove:\': must be "module:Class", such as "datatrove:GopherQualityFilter"'),
        ("json:", {}, "'json:': must be \"module:Class\""),
        (":JSONDecoder", {}, "':JSONDecoder': must be \"module:Class\""),
        ("datatrove:LambdaFilter", {}, "no filter LambdaFilter"),
        ("datatrove:BaseFilter", {}, "no filter BaseFilter"),
        ("datatrove:SamplerFilter", {"rate": 0.5}, "draws at random"),
        ("datatrove:RegexFilter", {}, "regex_exp"),
        ("datatrove:RegexFilter", {"regex_exp": "("}, "datatrove:RegexFilter: missing )"),
        ("datatrove:RegexFilter", {}, "needs a value for regex_exp"),
        ("datatrove:GopherQualityFilter", {"language": "qq"}, "Language 'qq' doesn't have a tokenizer assigned"),
        ("datatrove:GopherQualityFilter", {"min_words": 1}, "unknown key 'min_words'"),
        ("datatrove:GopherQualityFilter", {"exclusion_writer": 1}, "unknown key"),
        ("datatrove:GopherQualityFilter", {"min_doc_words": "5"}, "min_doc_words = '5': must be a whole number"),
        ("datatrove:GopherQualityFilter", {"stop_words": "the"}, "stop_words = 'the': must be a list, each item text"),
        ("datatrove:FineWebQualityFilter", {"line_punct_thr": [1]}, "line_punct_thr = [1]: must be a number"),
        ("datatrove:C4QualityFilter", {"filter_policy": 1}, "filter_policy = 1: must be true or false"),
        (
            "datatrove:GopherRepetitionFilter",
            {"top_n_grams": [2]},
            "must be a list, each item a list of a whole number",
        ),
        ("datatrove:LanguageFilter", {"backend": "x"}, "must be one of ft176, glotlid"),
    ],
)
def test_what_cannot_be_used_is_named_in_one_line(use: str, keys: dict[str, Any], message: str) -> None:
    """An unknown block, one that needs code or chance, and a wrong argument are errors of one line."""
    with pytest.raises(RecipeError) as raised:
        recipe(use, **keys)
    assert message in str(raised.value)
    assert "\n" not in str(raised.value)


def test_values_that_a_block_takes() -> None:
    """Fractions where datatrove says int, "none", and lists of any length are accepted."""
    keys = {"min_avg_word_length": 3.5, "max_doc_words": "none", "stop_words": ["the", "of", "and"]}
    (_, stage), *_ = recipe("datatrove:GopherQualityFilter", **keys).stages
    assert (stage.min_avg_word_length, stage.max_doc_words, stage.stop_words) == (3.5, None, ("the", "of", "and"))
    (_, stage), *_ = recipe("datatrove:GopherRepetitionFilter", top_n_grams=[[2, 0.5], [3, 1]]).stages
    assert stage.top_n_grams == ((2, 0.5), (3, 1.0))


def test_a_block_that_cannot_work(monkeypatch: pytest.MonkeyPatch) -> None:
    """A block that fails on any document, because of its arguments, stops the run instead of removing everything."""
    monkeypatch.setattr("datatrove.utils.word_tokenizers.load_word_tokenizer", lambda _: None)
    stage = block_class("GopherQualityFilter")(language="no such")
    monkeypatch.undo()
    with pytest.raises(RuntimeError, match=r"datatrove:GopherQualityFilter fails on every document: .*no such"):
        stage(batch_of(["a"]))


def test_without_datatrove(monkeypatch: pytest.MonkeyPatch) -> None:
    """If datatrove cannot be imported, the recipe is refused in one line."""
    monkeypatch.setitem(__import__("sys").modules, "datatrove.pipeline", None)
    monkeypatch.setattr(datatrove_blocks, "_filters", datatrove_blocks._filters.__wrapped__)
    block_class.cache_clear()
    with pytest.raises(RecipeError, match=r"cannot import datatrove:GopherQualityFilter: .*datatrove"):
        recipe("datatrove:GopherQualityFilter")


def test_blocks_keep_nothing() -> None:
    """No statistics are collected, so that a block does not grow with the documents."""
    stage = block_class("GopherQualityFilter")()
    stage(batch_of(["a b c"] * 5))
    assert not datatrove_blocks._block(stage).stats.stats
