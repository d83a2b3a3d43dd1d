"""report/index.html: the content of stats.json, samples of documents, and time and memory, on one page."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from curation.jobs.steps.plan import Plan
from curation.jobs.steps.report.facts import is_finished
from curation.jobs.steps.report.language_signals import language_figures
from curation.jobs.steps.report.likeness import likeness
from curation.jobs.steps.report.performance import Performance
from curation.jobs.steps.report.samples import Samples
from curation.recipes.recipe import to_toml
from curation.report.counting import KEPT
from curation.report.figures import counted, dates, one_side, ranked, signal_figures, two_sides
from curation.report.funnel import funnel_rows, tokens_per_character
from curation.report.plots import columns
from curation.report.render import compile_templates, render
from curation.store.paths import RUN, TOKENIZER_REPORT

LANGUAGES, DOMAINS, TLDS = 15, 25, 20
LANGUAGE_SIGNALS = 6
"""Maximum number of languages with plots of their own."""


def prepare() -> None:
    """Load what `make_page` needs: it takes half a second, in which a run waits for its workers."""
    compile_templates()
    columns(["a"], {KEPT: [1]})


def make_page(plan: Plan, stats: Mapping[str, Any], samples: Callable[[], Samples], performance: Performance) -> str:
    """Render the page of a run, finished or not.

    Args:
        plan: The run.
        stats: Content of stats.json.
        samples: Returns the documents to show; called after the figures are drawn, which takes as long as reading them.
        performance: Time and memory.
    """
    stages = dict([*plan.recipe.stages, ("pii", plan.recipe.table("pii"))])
    rules = {name: getattr(stage, "rules", ()) for name, stage in stages.items()}
    if plan.recipe.languages:
        rules |= plan.recipe.languages.common_rules(plan.recipe.stages)
    rows = funnel_rows(stats)
    tally = stats["stages"].get("pii", {})
    folder = plan.folder
    run = folder.read_json(RUN) if folder.exists(RUN) else {"versions": {}}
    figures = {
        "signals": signal_figures(stats, rules),
        "language_signals": language_figures(
            plan.recipe, stats.get("language_signals", {}), list(stats.get("funnels", {}))[:LANGUAGE_SIGNALS]
        ),
        "languages": ranked(stats["languages"], LANGUAGES),
        "domains": ranked(stats["domains"], DOMAINS),
        "tlds": ranked(stats["tlds"], TLDS),
        "scores": two_sides("scores", "Score of the identified language", stats["scores"], "score"),
        "lengths": _lengths(stats),
        "cluster_sizes": counted(
            "cluster-sizes", "Clusters by size", "documents", stats["dedup"].get("cluster_sizes", {})
        ),
    }
    shown = samples()
    return render(
        figures
        | {
            "stats": stats,
            "rows": rows,
            "first": next((row.entered for row in rows), 0),
            "rate": tokens_per_character(stats),
            "likeness": likeness(plan.recipe),
            "unfinished": not is_finished(plan, stats),
            "funnels": stats.get("funnels", {}),
            "clusters": shown.clusters,
            "personal": dict(sorted(tally.get("counts", {}).items(), key=lambda item: (-item[1], item[0]))),
            "lost": _lost(stats),
            "bytes_per_token": dict(list(stats["bytes_per_token"].items())[:LANGUAGES]),
            "tokenizer": folder.read_json(TOKENIZER_REPORT) if folder.exists(TOKENIZER_REPORT) else None,
            "performance": performance,
            "kept": shown.by_reason.get(KEPT, ()),
            "removed": _removed(rows, shown),
            "shown": set(shown.by_reason),
            "recipe": to_toml(plan.recipe.resolved()),
            "description": plan.recipe.description,
            "versions": run["versions"],
        }
    )


def _lengths(stats: Mapping[str, Any]) -> list[Any]:
    figures = [
        two_sides("characters", "Characters per document", stats["lengths"], "characters"),
        one_side("tokens", "Tokens per document of the corpus", stats["token_counts"], "tokens"),
        dates(stats["days"]),
    ]
    return [figure for figure in figures if figure is not None]


def _removed(rows: list[Any], samples: Samples) -> list[tuple[str, int, Any]]:
    """Reason, number of documents and samples, in the order of the funnel."""
    named = [(f"{row.stage}.{reason.name}", reason.documents) for row in rows for reason in row.reasons]
    return [(name, documents, samples.by_reason[name]) for name, documents in named if name in samples.by_reason]


def _lost(stats: Mapping[str, Any]) -> dict[str, int]:
    """Damaged records and pages that could not be extracted, by cause."""
    read = {name: count for name, count in stats["read"].items() if name.startswith(("skipped.", "repaired."))}
    return read | dict(stats["stages"].get("extract", {}).get("counts", {}))
