"""The published recipes as a whole: what they keep, and that each rule can be explained and moved."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from heuristic_cases import batch_of

from curation.jobs.steps.moved_rules import movable
from curation.recipes.recipe import load
from curation.stages.batch import Batch
from curation.stages.stage import Rewriter, apply, as_if_kept, signal_type

RECIPES = ("gopher", "refinedweb", "dclm", "dolma3")

ARTICLE = (
    """Our town museum opened in 1921, when a rich baker left his house to the people. He had collected coins
and clocks all his life. Nobody knew what to do with them.

A young teacher offered to sort everything. She wrote small cards by hand, one for every piece, and her neighbors came
to read them on Sunday afternoons. Soon there was no room left. So they bought the stable next door with money that had
been meant for a fountain.

Today you can walk through nine rooms. The oldest clock still runs, although it loses ten minutes each day. Children
like the cellar most, because of its steep stairs and cold walls. If you visit, bring a jacket, leave your bag at the
door, and ask for Mrs. Lind! She knows stories about each object, even those which are not quite true. Can anyone prove
that a king once slept here? Probably not.""".replace("\n\n", "@")
    .replace("\n", " ")
    .replace("@", "\n\n")
)
SHORT = "The museum is closed today."
GERMAN = "Das Museum der Stadt ist heute leider geschlossen, und morgen wird es auch nicht geöffnet. " * 8
COUNTED = ARTICLE.replace("\n\nToday", "\n3 likes\n12 COMMENTS\nHOME NEWS\nToday")
REPEATED = "\n".join([ARTICLE.split("\n")[0]] * 3 + [ARTICLE.split("\n")[2]])


def stages(name: str) -> list[tuple[str, Any]]:
    """The stages of a recipe after extraction."""
    found = list(load(name).stages)
    return found[[stage for stage, _ in found].index("extract") + 1 :]


def batch(*texts: str) -> Batch:
    table = batch_of(texts)
    nulls = {"language": pa.nulls(len(texts), pa.string()), "language_score": pa.nulls(len(texts), pa.float64())}
    return table.with_columns(**nulls)


GOPHER = ("gopher_quality.min_words", "language.languages", "gopher_repetition.max_dup_line_fraction")


@pytest.mark.parametrize(
    ("name", "short", "german", "repeated"),
    [
        ("gopher", *GOPHER),
        ("refinedweb", "gopher_repetition.max_top_2_gram", *GOPHER[1:]),
        ("dclm", "dclm_quality.min_words", "language.languages", "dclm_repetition.max_dup_line_fraction"),
        (
            "dolma3",
            *("dclm_quality.min_characters", "dclm_quality.min_stop_words", "dclm_repetition.max_dup_line_fraction"),
        ),
    ],
)
def test_recipes(name: str, short: str, german: str, repeated: str) -> None:
    """An article is kept as it is, counters and lines in capitals are cut out of one, and junk has its reason."""
    texts = [ARTICLE, COUNTED, SHORT, GERMAN, REPEATED]
    start = batch(*texts)
    applied = apply(stages(name), start, signal_type(stages(name), start.keep(np.zeros(5, np.bool_))))
    kept = dict(zip(applied.kept.column("id").to_pylist(), applied.kept.text.to_pylist(), strict=True))
    assert kept["0"] == ARTICLE
    assert kept["1"] == (COUNTED if name == "gopher" else ARTICLE.replace("\n\nToday", "\nToday"))
    reasons = {row["id"]: row["reason"] for rows in applied.removed for row in rows.to_pylist()}
    assert reasons == {"2": short, "3": german, "4": repeated}


@pytest.mark.parametrize("name", RECIPES)
def test_rules_can_be_moved(name: str) -> None:
    """The keys of all rules of these stages can be tried in `curate what-if`; removed texts are edited as if kept."""
    keys = movable(load(name).stages)
    for stage_name, stage in stages(name):
        for rule in getattr(stage, "rules", ()):
            wanted = rule.reason in ("empty", "languages") or f"{stage_name}.{rule.reason}" in keys
            assert wanted, f"{stage_name}.{rule.reason}"
        if isinstance(stage, Rewriter) and stage.rules:
            before = batch("one\ntwo\nA line of words.")
            outcome = stage(before)
            assert outcome.reasons is not None
            assert outcome.reasons.to_pylist() == ["max_removed_words"]
            assert as_if_kept(stage, before, outcome, np.ones(1, np.bool_)).text.to_pylist() == ["A line of words."]


@pytest.mark.parametrize("name", RECIPES)
def test_what_is_reproduced_is_said(name: str) -> None:
    """Each recipe says what it reproduces and what not, and where the details are."""
    said = load(name).reproduces
    assert "; not its " in said
    assert "docs/published-recipes.md" in said
