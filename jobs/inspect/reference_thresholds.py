"""`curate calibrate --reference`: thresholds of languages, derived from good texts by FineWeb-2's methods.

A threshold that was chosen for English is carried over to another language by what both languages' good texts measure.
FineWeb-2's paper (arXiv 2506.20920, section 4.4 and appendix A.6) compares five methods, see `METHODS`, and takes one
for each filter. Its scripts are not published, so `ADAPTED` follows the published values: limits for repetition above 1
come from no other method than mean-std, and many of the other limits are fractions of small numbers, 7/9 or 1/16, as
quantiles are. Of good texts, quantile removes the share that English loses, where 10-tail always removes a tenth.
"""

from __future__ import annotations

import math
import os
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from rich.console import Console
from rich.table import Table

from curation.arrays import Float64s
from curation.errors import InputError, OutputError, UsageError
from curation.filters.fineweb import FineWeb
from curation.filters.gopher_quality import GopherQuality
from curation.filters.gopher_repetition import DUPLICATE_SIZES, TOP_SIZES, GopherRepetition
from curation.jobs.inspect.train_quality import NOT_FOR_TEXTS, read_documents
from curation.language import identify
from curation.language.labels import full_label, label_of, languages, model_label, some
from curation.recipes.recipe import Recipe, built_in, load, toml_value
from curation.stages.batch import Batch, WordKind
from curation.stages.by_language import language_stage, languages_of
from curation.stages.rules import Rule, violations
from curation.stages.stage import measure

ENGLISH = "eng_Latn"

LEAST = 50
"""Documents of a language without which it gets no thresholds: a tail of 10 % is five of them."""

TAIL = 0.1
"""The share that the method 10-tail removes."""

STOP_WORD_SHARES = (0.008, 0.003, 0.002)
"""Shares of all words from which on a word is a stop word; the next one counts if the ones before give too few."""

LEAST_STOP_WORDS = 8
"""How many stop words are enough: Gopher has eight."""

WHOLE = ("min_mean_word_length", "max_mean_word_length")
"""Parameters with a whole number, as FineWeb-2 publishes them."""


def _mean_std(rule: Rule, english: Float64s, own: Float64s) -> float:
    return float(own.mean() + (rule.threshold - english.mean()) / english.std() * own.std())


def _quantile(rule: Rule, english: Float64s, own: Float64s) -> float:
    below = english < rule.threshold if rule.comparison == "<" else english <= rule.threshold
    return float(np.quantile(own, below.mean()))


def _ten_tail(rule: Rule, english: Float64s, own: Float64s) -> float:
    return float(np.quantile(own, TAIL if rule.comparison == "<" else 1 - TAIL))


def _median_ratio(rule: Rule, english: Float64s, own: Float64s) -> float:
    return float(rule.threshold * np.median(own) / np.median(english))


def _english(rule: Rule, english: Float64s, own: Float64s) -> float:
    return float(rule.threshold)


METHODS: dict[str, Callable[[Rule, Float64s, Float64s], float]] = {
    "mean-std": _mean_std,
    "quantile": _quantile,
    "10-tail": _ten_tail,
    "median-ratio": _median_ratio,
    "english": _english,
}
"""How a threshold is carried over: as many standard deviations from the mean, the quantile that it is in English, the
quantile that removes a tenth, in the ratio of the medians, or not at all."""

ADAPTED: dict[type[Any], dict[str, str]] = {
    GopherRepetition: dict.fromkeys(
        (
            "max_dup_line_fraction",
            *(f"max_top_{size}_gram" for size in TOP_SIZES),
            *(f"max_dup_{size}_gram" for size in DUPLICATE_SIZES),
        ),
        "mean-std",
    ),
    GopherQuality: dict.fromkeys(("min_mean_word_length", "max_mean_word_length", "min_alpha_words"), "quantile"),
    FineWeb: dict.fromkeys(("min_terminal_lines", "max_newlines_per_word"), "quantile"),
}
"""The parameters whose values FineWeb-2 has by language, and the method for each."""


@dataclass(slots=True)
class Measured:
    """What the documents of one language measure.

    Attributes:
        documents: How many there are.
        signals: Values by `stage.signal`, in parts.
        words: How often each word occurs, in lower case.
    """

    documents: int = 0
    signals: dict[str, list[Float64s]] = field(default_factory=dict)
    words: Counter[str] = field(default_factory=Counter)

    def values(self, name: str) -> Float64s:
        """The values of a signal that are not null."""
        values = np.concatenate(self.signals.get(name, [np.zeros(0)]))
        return values[~np.isnan(values)]


@dataclass(frozen=True, slots=True)
class AdaptedRule:
    """A rule whose threshold differs by language.

    Attributes:
        stage: Name of the stage.
        rule: The rule with English's threshold.
        method: A name in METHODS.
    """

    stage: str
    rule: Rule
    method: str

    @property
    def key(self) -> str:
        """The key in a recipe."""
        return f"{self.stage}.{self.rule.reason}"

    @property
    def signal(self) -> str:
        """The signal, as `Measured` calls it."""
        return f"{self.stage}.{self.rule.signal}"


def derive_thresholds(sources: Sequence[str], recipe: str, methods: Sequence[str], out: Path) -> dict[str, Any]:
    """Derive the thresholds of the languages of good texts, and write a recipe with them.

    Args:
        sources: Run folders, folders and files of documents, some of them in English.
        recipe: Built-in recipe or TOML file, whose thresholds are those for English.
        methods: `stage.parameter=METHOD`, in place of those in ADAPTED.
        out: The recipe to write, which extends `recipe`; replaced only when it is complete.

    Returns:
        `recipe`, `out`, `documents` by language, `left_out` (documents of languages with too few), `not_in_model`
        (languages that the recipe's language model does not know), and by language `thresholds` (by key: `method`,
        `english`, `threshold`, and the shares removed: `removed_of_english`, `removed_by_english`, `removed`) and
        `stop_words`.

    Raises:
        UsageError: The recipe or a method cannot be used.
        InputError: The texts cannot be read, or too few of them are in English or in another language.
        OutputError: The recipe cannot be written.
    """
    _check_output(out, recipe)
    changes = {f"{name}.words": "language" for name, stage in load(recipe).stages if _counts_english_words(stage)}
    loaded = load(recipe, [f"{key}={toml_value(value)}" for key, value in changes.items()])
    adapted = adapted_rules(loaded, methods)
    measured = measure_reference(sources, loaded)
    counts = {label: each.documents for label, each in sorted(measured.items())}
    enough = [label for label, count in counts.items() if count >= LEAST and label in languages()]
    if ENGLISH not in enough:
        raise InputError(
            f"--reference: {counts.get(ENGLISH, 0):,} documents in English, and {LEAST} are needed: thresholds are "
            "carried over from English, so name English texts of the same kind, too"
        )
    wanted = [label for label in enough if label != ENGLISH]
    if not wanted:
        others = some(f"{label} {count:,}" for label, count in counts.items() if label != ENGLISH) or "none"
        raise InputError(f"--reference: a language needs {LEAST} documents; besides English there are: {others}")
    thresholds = {label: _thresholds(loaded, adapted, measured[ENGLISH], measured[label]) for label in wanted}
    stop_words = {label: find_stop_words(measured[label].words, measured[ENGLISH].words) for label in wanted}
    values = {label: _values(loaded, thresholds[label], stop_words[label]) for label in wanted}
    unknown = _add_languages(changes, loaded, wanted)
    _write(out, _toml(recipe, out, changes, values))
    return {
        "recipe": recipe,
        "out": str(out),
        "documents": {label: counts[label] for label in enough},
        "left_out": {label: count for label, count in counts.items() if label not in enough},
        "not_in_model": unknown,
        "thresholds": thresholds,
        "stop_words": stop_words,
    }


def _counts_english_words(stage: Any) -> bool:
    """Whether a stage splits words as in English, whatever the language is, and need not."""
    if getattr(stage, "words", None) != "spacy":
        return False
    try:
        replace(stage, words="language")
    except ValueError:
        return False
    return True


def _check_output(out: Path, recipe: str) -> None:
    if not out.parent.is_dir():
        raise OutputError(f"--out {out}: the folder does not exist")
    if out.suffix != ".toml":
        raise OutputError(f"--out {out}: the recipe's name must end in .toml")
    if recipe not in built_in() and out.resolve() == Path(recipe).resolve():
        raise OutputError(f"--out {out}: is the recipe itself; the thresholds go into one that extends it")


def adapted_rules(recipe: Recipe, methods: Sequence[str]) -> list[AdaptedRule]:
    """The rules of a recipe whose thresholds are carried over, with the method for each.

    Args:
        recipe: The recipe.
        methods: `stage.parameter=METHOD`, in place of those in ADAPTED.

    Raises:
        UsageError: The recipe identifies no language; there is no such rule or method.
    """
    stages = _text_stages(recipe, ENGLISH)
    rules = {
        f"{name}.{rule.reason}": (name, rule, ADAPTED.get(type(stage), {}).get(rule.reason))
        for name, stage in stages
        for rule in getattr(stage, "rules", ())
        if hasattr(stage, rule.reason) and rule.comparison in ("<", ">")
    }
    chosen = {key: method for key, (_, _, method) in rules.items() if method is not None}
    for given in methods:
        key, _, method = given.partition("=")
        if key not in rules:
            raise UsageError(f"--method {given}: no rule of that name; there are {', '.join(rules)}")
        if method not in METHODS:
            raise UsageError(f"--method {given}: no such method; there are {', '.join(METHODS)}")
        chosen[key] = method
    found = [AdaptedRule(*rules[key][:2], chosen[key]) for key in rules if key in chosen]
    if not found:
        raise UsageError(f"recipe {recipe.name}: no rule to adapt; name one with --method: {', '.join(rules)}")
    return found


def _has_stop_words(stage: Any) -> bool:
    return hasattr(stage, "stop_words") and hasattr(stage, "words")


def _text_stages(recipe: Recipe, language: str) -> list[tuple[str, Any]]:
    """The stages that judge texts, with the parameters of a language."""
    stages = recipe.stages_of(language)
    at = language_stage(stages)
    if at == len(stages):
        raise UsageError(f"recipe {recipe.name}: thresholds by language need a stage that identifies it, language")
    return [(name, stage) for name, stage in stages[at + 1 :] if name not in NOT_FOR_TEXTS]


def measure_reference(sources: Sequence[str], recipe: Recipe) -> dict[str, Measured]:
    """Measure documents by the stages of a recipe, none of which removes any; by language, with script.

    A document's language is the one in its column `language`, or, if there is none that is known, the one that the
    recipe's model identifies.

    Args:
        sources: Run folders, folders and files of documents.
        recipe: The recipe.
    """
    found: dict[str, Measured] = {}
    for batch in _with_languages(sources, recipe):
        for language, rows in languages_of(batch):
            label = language or ""
            stages = _text_stages(recipe, label)
            own, total = batch.keep(rows), found.setdefault(label, Measured())
            total.documents += len(own)
            for name, values in measure(stages, own).items():
                if not pa.types.is_string(values.type):
                    numbers = values.cast(pa.float64()).fill_null(np.nan).to_numpy(zero_copy_only=False)
                    total.signals.setdefault(name, []).append(np.asarray(numbers, np.float64))
            for kind in {stage.words for _, stage in stages if _has_stop_words(stage)}:
                _count_words(own, kind, total.words)
    return found


def _with_languages(sources: Sequence[str], recipe: Recipe) -> Iterator[Batch]:
    """The documents that have a text, with their languages as labels with script."""
    model = getattr(recipe.stages[language_stage(recipe.stages)][1], "model", None)
    for table in read_documents(sources):
        filled = Batch(table.filter(pa.array([bool((text or "").strip()) for text in table["text"].to_pylist()])))
        if not len(filled):
            continue
        named = [full_label(name or "") for name in filled.column("language").to_pylist()]
        if None in named:
            identified = identify.predict_all(filled.text, path=model).languages
            named = [name or label_of(other or "") for name, other in zip(named, identified, strict=True)]
        yield filled.with_columns(language=pa.array(named, pa.string()))


def _count_words(batch: Batch, kind: WordKind, counts: Counter[str]) -> None:
    text = batch.characters.codepoints.astype("<u4").tobytes().decode("utf-32-le")
    words = batch.words_by(kind)
    counts.update(
        text[start:end].lower() for start, end in zip(words.starts.tolist(), words.ends.tolist(), strict=True)
    )


def find_stop_words(words: Counter[str], english: Counter[str]) -> list[str]:
    """The words that are frequent enough to be in every longer text, most frequent first.

    Words that are as frequent in English are left out: translations have English names and quotes in them.

    >>> find_stop_words(Counter({"der": 500, "und": 400, "the": 99, "haus": 1}), Counter({"the": 4, ".": 6}))
    ['der', 'und']
    """
    total, of_english = words.total(), max(english.total(), 1)
    ranked = sorted(
        (
            (count, word)
            for word, count in words.items()
            if any(map(str.isalpha, word)) and count / total > english[word] / of_english
        ),
        reverse=True,
    )
    found: list[str] = []
    for share in STOP_WORD_SHARES:
        found = [word for count, word in ranked if count > share * total]
        if len(found) >= LEAST_STOP_WORDS:
            break
    return found


def _thresholds(recipe: Recipe, adapted: Sequence[AdaptedRule], english: Measured, own: Measured) -> dict[str, Any]:
    """What becomes of each rule; those of which either language has no value are left out.

    A signal that is the same in all texts says nothing about a limit, such as newlines in texts of one line: there,
    English's threshold holds.
    """
    stages, found = dict(recipe.stages), {}
    for each in adapted:
        values = english.values(each.signal), own.values(each.signal)
        if not (len(values[0]) and len(values[1])):
            continue
        method = each.method if np.ptp(values[1]) > 0 else "english"
        with np.errstate(all="ignore"):
            exact = METHODS[method](each.rule, *values)
        if not math.isfinite(exact):
            method, exact = "english", each.rule.threshold
        threshold = _allowed(stages[each.stage], each.rule, exact)
        found[each.key] = {
            "method": method,
            "english": each.rule.threshold,
            "threshold": threshold,
            "removed_of_english": _removed(values[0], each.rule, each.rule.threshold),
            "removed_by_english": _removed(values[1], each.rule, each.rule.threshold),
            "removed": _removed(values[1], each.rule, threshold),
        }
    return found


def _allowed(stage: Any, rule: Rule, exact: float) -> float | None:
    """A threshold as a recipe may have it, rounded so that the rule removes no more; None if it can remove nothing.

    A limit that is not allowed (a share above 1, a number below 0) is one that no text can violate.
    """
    outward = math.floor if rule.comparison == "<" else math.ceil
    is_whole = rule.reason in WHOLE or isinstance(rule.threshold, int)
    threshold = outward(exact) if is_whole else outward(round(exact * 1000, 6)) / 1000
    if rule.comparison == "<" and threshold <= 0:
        return None
    try:
        replace(stage, **{rule.reason: threshold})
    except ValueError:
        return None
    return threshold


def _removed(values: Float64s, rule: Rule, threshold: float | None) -> float:
    """The share of documents that a rule removes with a threshold."""
    if threshold is None:
        return 0.0
    signals = pa.StructArray.from_arrays([pa.array(values)], [rule.signal])
    return round(float(violations(signals, replace(rule, threshold=threshold)).mean()), 4)


def _values(recipe: Recipe, thresholds: dict[str, Any], stop_words: list[str]) -> dict[str, Any]:
    """The table of a language."""
    values: dict[str, Any] = {key: each["threshold"] for key, each in thresholds.items()}
    for name, stage in _text_stages(recipe, ENGLISH):
        if _has_stop_words(stage) and stop_words:
            values[f"{name}.stop_words"] = stop_words
    return values


def _add_languages(changes: dict[str, Any], recipe: Recipe, wanted: Sequence[str]) -> list[str]:
    """Add languages to those that a recipe keeps, unless it keeps all; returns those that its model does not know."""
    name, stage = recipe.stages[language_stage(recipe.stages)]
    known = identify.labels(getattr(stage, "model", None))
    unknown = [label for label in wanted if model_label(label, known) is None]
    kept = list(getattr(stage, "languages", ()))
    new = [label for label in wanted if label not in {full_label(each) for each in kept} and label not in unknown]
    if kept and new:
        changes[f"{name}.languages"] = [*kept, *new]
    return unknown


def _toml(recipe: str, out: Path, changes: dict[str, Any], values: dict[str, dict[str, Any]]) -> str:
    base = recipe if recipe in built_in() else os.path.relpath(recipe, out.parent)
    lines = [f"extends = {toml_value(base)}"]
    if changes:
        lines += ["", "[set]", *(f"{toml_value(key)} = {toml_value(value)}" for key, value in changes.items())]
    for label, own in values.items():
        lines += ["", f"[language.{label}]", *(f"{key} = {toml_value(value)}" for key, value in own.items())]
    return "\n".join(lines) + "\n"


def _write(out: Path, text: str) -> None:
    """Write a recipe once it is known that it can be loaded."""
    partial = out.with_name(f"{out.name}.partial")
    try:
        partial.write_text(text, encoding="utf-8")
        load(str(partial))
        partial.replace(out)
    except OSError as error:
        raise OutputError(f"--out {out}: {error.strerror or error}") from error
    finally:
        partial.unlink(missing_ok=True)


def show(result: dict[str, Any], console: Console) -> None:
    """Print a table per language, and what was left out."""
    counts = result["documents"]
    for label, thresholds in result["thresholds"].items():
        console.print(
            f"{label}: {counts[label]:,} documents, English: {counts[ENGLISH]:,}. Each rule's threshold "
            f"for English, what it removes by itself, the threshold for {label}, and what that one removes:"
        )
        table = Table()
        table.add_column("rule", no_wrap=True)
        table.add_column("method", no_wrap=True)
        for name in (
            "threshold,\nEnglish",
            "English\nremoved",
            f"{label}\nremoved",
            f"threshold,\n{label}",
            f"{label}\nremoved",
        ):
            table.add_column(name, justify="right")
        for key, each in thresholds.items():
            own = "none" if each["threshold"] is None else f"{each['threshold']:g}"
            removed = (f"{each[name]:.1%}" for name in ("removed_of_english", "removed_by_english"))
            table.add_row(key, each["method"], f"{each['english']:g}", *removed, own, f"{each['removed']:.1%}")
        console.print(table)
        console.print(f"stop words: {' '.join(result['stop_words'][label])}")
    if left_out := result["left_out"]:
        named = some(f"{label or 'unknown'} {count:,}" for label, count in left_out.items())
        console.print(f"left out, fewer than {LEAST} documents or no known language: {named}")
    if result["not_in_model"]:
        console.print(
            f"the recipe's language model does not know {', '.join(result['not_in_model'])}: set language.model to one "
            "that does, and add them to language.languages"
        )
    console.print(f"{result['out']}: written. Use it: --recipe {result['out']}")
