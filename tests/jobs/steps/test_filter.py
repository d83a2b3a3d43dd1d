"""The filter step: what it does besides applying the stages, which tests/jobs/steps/test_run.py covers."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from curation.jobs.steps import filter as step
from curation.jobs.steps import run, train_tokenizer
from curation.recipes.recipe import load
from curation.stages.batch import Batch


def stage(called: list[str], name: str, module: str = "curation.filters.sample", fails: bool = False) -> Any:
    """A stage that records its name when it is called with a batch."""

    def call(self: object, batch: Batch) -> None:
        assert len(batch) == 0
        called.append(name)
        if fails:
            raise KeyError("html")

    return type(name, (), {"__call__": call, "__module__": module})()


def test_kernels_are_compiled_from_the_last_stage_to_the_first() -> None:
    """Stages of the package are called from the last to the first; one that fails hinders no other."""
    called: list[str] = []
    stages = [
        ("url", stage(called, "url")),
        ("extract", stage(called, "extract", fails=True)),
        ("mine", stage(called, "mine", module="mine")),
        ("c4", stage(called, "c4")),
    ]
    recipe: Any = SimpleNamespace(stages=stages)
    step.compile_kernels(recipe)
    assert called == ["c4", "extract", "url"]


@pytest.mark.parametrize(("recipe", "expected"), [("fineweb", True), ("web", False)])
def test_kernels_that_only_one_recipe_needs_are_missed(
    monkeypatch: pytest.MonkeyPatch, recipe: str, expected: bool
) -> None:
    """After a run of `fineweb`, the cache lacks the kernels of the extractor of `web`."""
    monkeypatch.setattr(step, "is_cached", lambda kernel: "blocks" not in kernel.__module__)
    assert step.is_compiled(load(recipe)) is expected


@pytest.mark.parametrize(
    ("commands", "file", "is_cold", "expected"),
    [
        (("filter", "train-tokenizer"), None, True, ["training", "filter"]),
        (("filter", "train-tokenizer"), None, False, ["training"]),
        (("filter", "train-tokenizer"), "given.json", False, []),
        (("filter",), None, True, ["filter"]),
        (("dedup", "report"), None, True, ["report"]),
    ],
)
def test_only_what_is_needed_is_loaded_ahead(
    monkeypatch: pytest.MonkeyPatch, commands: tuple[str, ...], file: str | None, is_cold: bool, expected: list[str]
) -> None:
    """Kernels of training if this run trains, those of the filter step if the cache lacks kernels, and the report's."""
    compiled: list[str] = []
    monkeypatch.setattr(train_tokenizer, "compile_kernels", lambda: compiled.append("training"))
    monkeypatch.setattr(step, "compile_kernels", lambda recipe: compiled.append("filter"))
    monkeypatch.setattr("curation.jobs.steps.report.page.prepare", lambda: compiled.append("report"))
    monkeypatch.setattr(step, "is_compiled", lambda recipe: not is_cold)
    recipe: Any = SimpleNamespace(table=lambda name: SimpleNamespace(file=file))
    said: list[str] = []
    run._load_ahead(recipe, commands, SimpleNamespace(note=said.append))  # type: ignore[arg-type]
    assert compiled == expected
    assert len(said) == ("filter" in expected)
