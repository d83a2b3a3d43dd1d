"""`curate what-if --sweep`: the answers for a range of values of one key, as a table with a bar for each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from rich.console import Console
from rich.text import Text

from curation.errors import RecipeError, UsageError
from curation.jobs.inspect.what_if.counts import StageOutput
from curation.jobs.inspect.what_if.view import cells, output_to_json
from curation.jobs.inspect.what_if.what_if import changed_recipe, count_changed, what_if
from curation.jobs.steps.plan import Plan, differences
from curation.recipes.differences import describe_value, value_of
from curation.recipes.recipe import Recipe
from curation.report.tables import FittedTable
from curation.report.terminal import styled
from curation.running.cluster import Cluster
from curation.running.terminal import one_line

MOST_VALUES = 100
"""Values of a sweep: all signals are read once for each."""

BAR = 24
"""Columns of the longest bar."""


@dataclass(frozen=True, slots=True)
class Sweep:
    """The answers for a range of values.

    Attributes:
        key: The key, such as "gopher_quality.min_words".
        now: Its value in the run.
        described: The same as text, with the values of languages.
        entered: Documents that enter the first stage.
        kept: What leaves the last stage, by value, in the order of the range.
        tokens_per_character: Of the corpus; 0 before tokens are counted.
    """

    key: str
    now: Any
    described: str
    entered: int
    kept: Mapping[str, StageOutput]
    tokens_per_character: float


def sweep(plan: Plan, wanted: str, settings: Sequence[str], cluster: Cluster, *, measure: bool = False) -> Sweep:
    """Count what the run would keep with each value of a range.

    Args:
        plan: The run.
        wanted: The key and its values, as KEY=A:B:STEP.
        settings: Other changed keys, as KEY=VALUE.
        cluster: Where to count.
        measure: As in `what_if`.

    Raises:
        RecipeError: A setting is invalid; UsageError if the range is, or stored signals cannot answer.
    """
    key, values = parse_range(wanted)
    changed_recipe(plan, settings)  # so that an error below is one of the range
    recipes = {value: _with_value(plan, settings, wanted, f"{key}={value}") for value in values}
    own = plan.recipe.resolved()
    moved = {value: recipe for value, recipe in recipes.items() if differences(own, recipe.resolved())}
    answers = {value: count_changed(plan, recipe, cluster, measure=measure) for value, recipe in moved.items()}
    any_answer = next(iter(answers.values()), None) or what_if(plan, settings, cluster)
    now = any_answer.whole.now
    kept = {value: answers[value].whole if value in answers else StageOutput(now, now, now) for value in values}
    now_and_described = value_of(plan.recipe, key), describe_value(plan.recipe, key)
    return Sweep(key, *now_and_described, any_answer.counted.entered, kept, any_answer.tokens_per_character)


def _with_value(plan: Plan, settings: Sequence[str], wanted: str, setting: str) -> Recipe:
    """The recipe with one value of the range."""
    try:
        return changed_recipe(plan, [*settings, setting])
    except RecipeError as error:
        reason = str(error).removeprefix("--set").removeprefix(f" {setting}").removeprefix(": ")
        raise UsageError(f"--sweep {wanted}: {reason}") from error


def parse_range(wanted: str) -> tuple[str, list[str]]:
    """The key and the values of a range, of which the last one is included if a step ends there.

    >>> parse_range("c4.min_sentences=1:5:2")
    ('c4.min_sentences', ['1', '3', '5'])
    >>> parse_range("language.min_score=0.5:0.64:0.05")
    ('language.min_score', ['0.50', '0.55', '0.60'])

    Raises:
        UsageError: It is not KEY=A:B:STEP, or has no values or more than MOST_VALUES.
    """
    where = f"--sweep {wanted}"
    key, _, text = wanted.partition("=")
    try:
        first, last, step = map(Decimal, text.split(":"))
        number = int((last - first) / step) + 1
    except (ValueError, ArithmeticError) as error:
        raise UsageError(f"{where}: must be KEY=A:B:STEP, such as gopher_quality.min_words=20:100:10") from error
    if (last - first) / step < 0:
        raise UsageError(f"{where}: steps of {step} do not lead from {first} to {last}")
    if number > MOST_VALUES:
        raise UsageError(f"{where}: {number:,} values; a sweep has at most {MOST_VALUES}")
    return key.strip(), [f"{first + place * step:f}" for place in range(number)]


def show(answer: Sweep, console: Console) -> None:
    """Print a row for each value, with a bar as long as what is kept."""
    console.print(styled((one_line(f"{answer.key}, now {answer.described}"), "bold")))
    rate = answer.tokens_per_character
    tokens = ["≈ tokens"] if rate else []
    names = ("value", "documents now", "then", "difference", "characters then", "difference", *tokens, "")
    bar = len(names) - 1
    table = FittedTable(*names, left=(bar,), optional=(5, 4, 1), least={bar: BAR})
    longest = max((kept.most.documents for kept in answer.kept.values()), default=0)
    for value, kept in answer.kept.items():
        table.add_row(value, *cells(kept, rate), _bar(kept, longest))
    console.print(table)
    console.print(f"{answer.entered:,} documents were read; the longest bar is {longest:,}.")
    if not all(kept.exact for kept in answer.kept.values()):
        console.print("░: stored signals do not show whether these would be kept; --measure finds out.")


def _bar(kept: StageOutput, longest: int) -> Text:
    least, most = (round(BAR * amount.documents / max(1, longest)) for amount in (kept.least, kept.most))
    return Text("█" * least + "░" * (most - least))


def to_json(answer: Sweep) -> dict[str, Any]:
    """Convert the answer to plain values for JSON."""
    rate = answer.tokens_per_character
    values = [{"value": value, **output_to_json(kept, rate)} for value, kept in answer.kept.items()]
    return {"key": answer.key, "now": answer.now, "documents_in": answer.entered, "values": values}
