"""How the recipe of a run differs from the built-in one that it was made from, for card, page and terminal."""

from __future__ import annotations

from dataclasses import dataclass

from curation.recipes.alarms import TABLE as ALARMS
from curation.recipes.differences import Difference, Side, compare_sides
from curation.recipes.recipe import Recipe, built_in, load

SHOWN = 4
"""Changes that are shown in one line."""

_OF_RESULTS = ("value", "stage", "order")
"""Kinds of differences between recipes that say how the results differ."""


@dataclass(frozen=True, slots=True)
class Likeness:
    """The built-in recipe that a recipe was made from.

    Attributes:
        base: Its name.
        changes: What differs and changes the results.
    """

    base: str
    changes: tuple[Difference, ...]

    def shown(self) -> list[str]:
        """The first changes, and how many more there are; empty if there is none."""
        more = len(self.changes) - SHOWN
        return [*(change.short() for change in self.changes[:SHOWN]), *([f"{more:,} more"] if more > 0 else [])]


def likeness(recipe: Recipe) -> Likeness | None:
    """The built-in recipe of the same name, or that reproduces the same; None if there is none."""
    base = _base(recipe)
    if base is None:
        return None
    found = compare_sides(Side(base.name, base), Side(recipe.name, recipe))
    of_results = (each for each in found if each.kind in _OF_RESULTS and not each.key.startswith(f"{ALARMS}."))
    return Likeness(base.name, tuple(of_results))


def _base(recipe: Recipe) -> Recipe | None:
    if recipe.name in built_in():
        return load(recipe.name)
    built = (load(name) for name in built_in()) if recipe.reproduces else ()
    return next((base for base in built if base.reproduces == recipe.reproduces), None)
