"""Survivors: the best stays, and a large cluster does not swallow what is unlike its survivor."""

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


def losers(choice: Any) -> dict[int, int]:
    """Place of each member that goes → place of its survivor."""
    pairs = zip(choice.order.tolist(), choice.survivors.tolist(), strict=True)
    return {place: survivor for place, survivor in pairs if place != survivor}


def test_most_of_the_value_wins_then_the_first() -> None:
    """Unknown values come last; documents of earlier runs before all others, whatever their value."""
    nan = float("nan")
    assert losers(choose(members([0, 0, 0], values=[nan, 2.0, 2.0]), 0.7, None)) == {0: 1, 2: 1}
    assert losers(choose(members([0, 0, 0], values=[nan, nan, nan]), 0.7, None)) == {1: 0, 2: 0}
    earlier = members([0, 0, 0], values=[1.0, 0.0, 9.0], earlier=[False, True, False])
    assert losers(choose(earlier, 0.7, None)) == {0: 1, 2: 1}


def test_a_large_cluster_is_taken_apart() -> None:
    """a ~ b ~ c with c unlike a: one cluster within the limit, above it c stays as well."""
    random = np.random.default_rng(2)
    a = random.integers(0, 256, 112)
    b, c = a.copy(), random.integers(0, 256, 112)
    b[:14] = c[:14]
    sketches = np.array([a, b, c, c])
    assert losers(choose(members([0] * 4, sketches=sketches), 0.7, 4)) == {1: 0, 2: 0, 3: 0}
    choice = choose(members([0] * 4, sketches=sketches), 0.7, 3)
    assert losers(choice) == {1: 0, 3: 2}
    assert choice.sizes.tolist() == [2, 2, 2, 2]


def chain(length: int) -> list[str]:
    """Texts of which each shares nine tenths with the next, and the first nothing with the last."""
    random = np.random.default_rng(7)
    words = ["".join(random.choice(list("abcdefghijklmnopqrstuvwxyz"), 8)) for _ in range(400 + 20 * length)]
    return [" ".join(words[20 * number : 20 * number + 400]) for number in range(length)]


def test_large_clusters_are_reported(tmp_path: Path) -> None:
    """A chain above the limit is not swallowed: unlike documents stay, and the report names the cluster."""
    texts = chain(60)
    small = run(tmp_path / "swallowed", documents(texts), DedupSettings(max_cluster_size=None))
    assert len(dropped(*small[:2])) == 59
    folder, names, found = run(tmp_path / "examined", documents(texts), DedupSettings(max_cluster_size=20))
    gone = dropped(folder, names)
    assert 30 < len(gone) < 59
    assert min(row["similarity"] for row in gone.values()) >= 0.72
    assert {row["cluster_id"] for row in gone.values()} == {"0"}
    (row,) = pq.read_table(folder.path("dedup/large_clusters.parquet")).to_pylist()
    assert (row["cluster_id"], row["documents"], row["kept"]) == ("0", 60, 60 - len(gone))
    assert row["similarity_least"] >= 0.72
    assert found.counts["large_clusters"] == 1


def test_best_by_a_signal(tmp_path: Path) -> None:
    """`best:stage.signal` measures the documents of clusters as the recipe's stage does."""
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
    with pytest.raises(RecipeError, match="surest"):
        load("fineweb", ["dedup.survivor=surest"])
    monkeypatch.setitem(RULES, "surest", SurvivorValue("language_score"))
    settings = load("fineweb", ["dedup.survivor=surest"]).table("dedup")
    rows = documents([" ".join(prose(3, 60))] * 3, language_score=[0.2, 0.9, None])
    assert set(dropped(*run(tmp_path, rows, settings)[:2])) == {"0", "2"}
    with pytest.raises(ParameterError, match="one of first, longest, newest, surest, or best:"):
        DedupSettings(survivor="other")


def test_rules_that_there_are_not() -> None:
    """An unknown name, column or signal is refused by a message that lists what there is."""
    with pytest.raises(ParameterError, match="first, longest, newest"):
        survivor_value("shortest")
    with pytest.raises(ParameterError, match=r"language_score.*gopher_quality\.words"):
        survivor_value("best:nothing", [("gopher_quality", GopherQuality())])


def test_dates_are_moments() -> None:
    """Dates are compared as moments, not as text; what is no date counts as unknown."""
    import pyarrow as pa

    values = pa.chunked_array([["2024-01-01T02:00:00+02:00", "2024-01-01T00:00:00Z", "2023-12-31", "soon", None]])
    numbers = as_numbers(values)
    assert numbers[0] == numbers[1] > numbers[2]
    assert np.isnan(numbers[3:]).all()
