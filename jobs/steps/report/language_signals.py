"""Histograms of signals by language, for recipes whose parameters differ by language.

The manifests of the filter step count all languages together. These are counted from the stored signals when the report
is made: of each language that the recipe names, the signals whose thresholds it has of its own.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import pyarrow as pa

from curation.jobs.steps.moved_rules import MeasuredRows, kept_rows, pairs_of, removed_rows
from curation.language.labels import full_label, label_of
from curation.recipes.language_values import IN_HISTOGRAMS
from curation.recipes.recipe import Recipe
from curation.report.figures import Figure, signal_figures
from curation.stages.batch import Batch
from curation.stages.by_language import language_stage, languages_of
from curation.stages.rules import Rule
from curation.stages.signals import Histogram, add_histograms, histograms, to_json
from curation.store.folder import Folder
from curation.store.paths import DOCUMENTS, REMOVED_BY_FILTER, SIGNALS
from curation.store.shards import read_numbered, read_table

Named = Mapping[str, Mapping[str, Any]]
"""Histograms in JSON's form, by language, then by `stage.signal`."""


def wanted_languages(recipe: Recipe) -> frozenset[str]:
    """The labels of the languages that have histograms: those that a recipe names, if they are several and not many."""
    if not recipe.languages or not recipe.table("signals").stored:
        return frozenset()
    names = getattr(recipe.stages[language_stage(recipe.stages)][1], "languages", ())
    return frozenset(full_label(name) or name for name in names) if 1 < len(names) <= IN_HISTOGRAMS else frozenset()


def language_rules(recipe: Recipe, language: str) -> dict[str, tuple[Rule, ...]]:
    """The rules whose thresholds a language has of its own, by the name of their stage.

    Args:
        recipe: The recipe.
        language: The language, as in the column `language`.
    """
    values = recipe.languages.values_for(label_of(language), recipe.stages)
    stages = recipe.stages_of(language)
    rules = {name: getattr(stage, "rules", ()) for name, stage in stages if name in values}
    own = {name: tuple(rule for rule in each if rule.reason in values[name]) for name, each in rules.items()}
    return {name: each for name, each in own.items() if each}


def count_language_signals(folder: Folder, shard: str, recipe: Recipe) -> Named:
    """The histograms of one shard, each of the documents that reached the stage.

    Args:
        folder: Output folder of a run.
        shard: A filtered shard.
        recipe: Its recipe.
    """
    wanted = wanted_languages(recipe)
    if not wanted:
        return {}
    found: dict[str, dict[str, Histogram]] = {}
    for languages, rows in _measured(folder, shard, recipe):
        for language, mask in languages_of(Batch(pa.record_batch({"language": languages}))):
            if language is None or label_of(language) not in wanted:
                continue
            rules = language_rules(recipe, language)
            for number, (name, _) in enumerate(recipe.stages):
                if name not in rules:
                    continue
                entered = rows.where(mask & (rows.position >= number)).of(name)
                counted = histograms(name, entered, rules[name])
                signals = {f"{name}.{rule.signal}" for rule in rules[name]}
                own = {signal: each for signal, each in counted.items() if signal in signals}
                found[language] = add_histograms(found.get(language, {}), own)
    return {language: to_json(each) for language, each in sorted(found.items())}


def _measured(folder: Folder, shard: str, recipe: Recipe) -> Iterator[tuple[pa.Array, MeasuredRows]]:
    """What was measured of the documents of a shard, kept ones first, with their languages."""
    stages = pairs_of(recipe.stages, recipe.stages)
    languages = read_table(folder, DOCUMENTS.path(shard), ["language"])["language"].combine_chunks()
    for numbers, batch in read_numbered(folder, SIGNALS.path(shard)):
        yield languages.slice(int(numbers[0]), len(numbers)), kept_rows(batch, stages)
    columns = ["language", "stage", "reason", "signals"]
    for _, batch in read_numbered(folder, REMOVED_BY_FILTER.path(shard), columns):
        yield batch["language"], removed_rows(batch, stages)


def language_figures(recipe: Recipe, signals: Named, languages: Sequence[str]) -> dict[str, dict[str, list[Figure]]]:
    """The figures of some languages, by language, then by stage.

    Args:
        recipe: The recipe.
        signals: Histograms by language, as in stats.json.
        languages: The languages to show.
    """
    shown = {}
    for language in languages:
        rules, own = language_rules(recipe, language), signals.get(language, {})
        violations = {
            name: {rule.reason: _violating(own.get(f"{name}.{rule.signal}"), rule) for rule in each}
            for name, each in rules.items()
        }
        stats = {"stages": {name: {"violations": each} for name, each in violations.items()}, "signals": own}
        shown[language] = {
            name: [replace(figure, key=f"{figure.key}-{language}") for figure in figures]
            for name, figures in signal_figures(stats, rules).items()
        }
    return {language: figures for language, figures in shown.items() if figures}


def _violating(histogram: Any, rule: Rule) -> int:
    return Histogram.from_json(histogram).violating(rule) if histogram is not None else 0
