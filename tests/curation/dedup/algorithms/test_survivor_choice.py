"""Survivors: the best document is kept, and a large cluster does not remove documents unlike its survivor."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from archives import prose
from signed import documents, dropped, run

from curation.dedup.algorithms.survivor_choice import ClusterMembers, choose
from curation.dedup.settings import DedupSettings
from curation.dedup.survivor_rules import RULES, SurvivorValue, as_numbers, survivor_value
from curation.errors import ParameterError, RecipeError
from curation.filters.gopher_quality import GopherQuality
from curation.recipes.recipe import load


def members(roots: list[int], **columns: Any) -> ClusterMembers:
    count = len(roots)
    return ClusterMembers(
        np.array(roots),
        np.array(columns.get("documents", range(count))),
        np.array(columns.get("earlier", [False] * count)),
        np.array(columns.get("values", [0.0] * count)),
        np.array(columns.get("sketches", np.zeros((count, 112))), np.uint8),
    )


def removed_members(choice: Any) -> dict[int, int]:
    """Index of each removed member → index of its survivor."""
    pairs = zip(choice.order.tolist(), choice.survivors.tolist(), strict=True)
    return {place: survivor for place, survivor in pairs if place != survivor}


def test_the_highest_value_wins_then_the_first() -> None:
    """Unknown values come last; documents of earlier runs take precedence, whatever their value."""
    nan = float("nan")
    assert removed_members(choose(members([0, 0, 0], values=[nan, 2.0, 2.0]), 0.7, None)) == {0: 1, 2: 1}
    assert removed_members(choose(members([0, 0, 0], values=[nan, nan, nan]), 0.7, None)) == {1: 0, 2: 0}
    earlier = members([0, 0, 0], values=[1.0, 0.0, 9.0], earlier=[False, True, False])
    assert removed_members(choose(earlier, 0.7, None)) == {0: 1, 2: 1}


def test_a_large_cluster_is_split() -> None:
    """If a ~ b ~ c but c is unlike a, one document is kept within the limit, and c is kept as well above it."""
    random = np.random.default_rng(2)
    a = random.integers(0, 256, 112)
    b, c = a.copy(), random.integers(0, 256, 112)
    b[:14] = c[:14]
    sketches = np.array([a, b, c, c])
    assert removed_members(choose(members([0] * 4, sketches=sketches), 0.7, 4)) == {1: 0, 2: 0, 3: 0}
    choice = choose(members([0] * 4, sketches=sketches), 0.7, 3)
    assert removed_members(choice) == {1: 0, 3: 2}
    assert choice.sizes.tolist() == [2, 2, 2, 2]


def chain(length: int) -> list[str]:
    """Texts each of which shares nine tenths with the next, while the first shares nothing with the last."""
    random = np.random.default_rng(7)
    words = ["".join(random.choice(list("abcdefghijklmnopqrstuvwxyz"), 8)) for _ in range(400 + 20 * length)]
    return [" ".join(words[20 * number : 20 * number + 400]) for number in range(length)]


def test_large_clusters_are_reported(tmp_path: Path) -> None:
    """Unlike documents of a chain above the limit are kept, and the large cluster is reported."""
    texts = chain(60)
    small = run(tmp_path / "swallowed", documents(texts), DedupSettings(max_cluster_size=None))
    assert len(dropped(*small[:2])) == 59
    folder, names, found = run(tmp_path / "examined", documents(texts), DedupSettings(max_cluster_size=20))
    removed = dropped(folder, names)
    assert 30 < len(removed) < 59
    assert min(row["similarity"] for row in removed.values()) >= 0.72
    assert {row["cluster_id"] for row in removed.values()} == {"0"}
    (row,) = pq.read_table(folder.path("dedup/large_clusters.parquet")).to_pylist()
    assert (row["cluster_id"], row["documents"], row["kept"]) == ("0", 60, 60 - len(removed))
    assert row["similarity_least"] >= 0.72
    assert found.counts["large_clusters"] == 1


def test_best_by_a_signal(tmp_path: Path) -> None:
    """`best:stage.signal` measures documents as the stage of the recipe does."""
    stages = [("gopher_quality", GopherQuality())]
    body = prose(3, 60)
    texts = [" ".join(body), " ".join([*body, "One more sentence of some words."]), " ".join(prose(4))]
    folder, names, _ = run(tmp_path, documents(texts), DedupSettings())
    rows = np.array([0, 1, 2])
    best = survivor_value("best:gopher_quality.words", stages)
    values = best.of(folder, names[0], rows)
    assert values[1] > values[0] > 0
    assert best.of(folder, names[0], rows[1:2]).tolist() == values[1:2].tolist()


def test_a_rule_is_one_entry_of_the_table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A rule added to RULES is taken by recipes, named in errors, and keeps the document with most of its column."""
    with pytest.raises(RecipeError, match="an-added-rule"):
        load("fineweb", ["dedup.survivor=an-added-rule"])
    monkeypatch.setitem(RULES, "an-added-rule", SurvivorValue("language_score"))
    settings = load("fineweb", ["dedup.survivor=an-added-rule"]).table("dedup")
    rows = documents([" ".join(prose(3, 60))] * 3, language_score=[0.2, 0.9, None])
    assert set(dropped(*run(tmp_path, rows, settings)[:2])) == {"0", "2"}
    with pytest.raises(ParameterError, match=f"one of {', '.join(RULES)}, or best:"):
        DedupSettings(survivor="other")


def test_unknown_rules_are_refused() -> None:
    """The error for an unknown name, column or signal lists the known ones."""
    with pytest.raises(ParameterError, match="first, longest, newest"):
        survivor_value("shortest")
    with pytest.raises(ParameterError, match=r"language_score.*gopher_quality\.words"):
        survivor_value("best:nothing", [("gopher_quality", GopherQuality())])


def test_dates_are_moments() -> None:
    """Dates are compared as points in time, not as text; an invalid date counts as unknown."""
    import pyarrow as pa

    values = pa.chunked_array([["2024-01-01T02:00:00+02:00", "2024-01-01T00:00:00Z", "2023-12-31", "soon", None]])
    numbers = as_numbers(values)
    assert numbers[0] == numbers[1] > numbers[2]
    assert np.isnan(numbers[3:]).all()
