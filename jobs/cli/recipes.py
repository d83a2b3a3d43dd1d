"""The commands `curate recipe …`."""

from __future__ import annotations

from typing import Annotated

import typer

from curation.jobs.cli.options import AsJson, Settings, print_json

recipes = typer.Typer(help="List, show and compare recipes.", no_args_is_help=True)


@recipes.command(name="list")
def recipe_list() -> None:
    """The built-in recipes."""
    from curation.recipes.recipe import built_in, load

    for name in built_in():
        print(f"{name}: {load(name).description}")


@recipes.command(name="show")
def recipe_show(
    name: Annotated[str, typer.Argument(metavar="NAME|FILE")],
    settings: Settings = None,
    as_json: AsJson = False,
) -> None:
    """A recipe with every key and its value, defaults filled in, as TOML that can be saved and edited."""
    from curation.recipes.recipe import load, to_toml

    resolved = load(name, settings or []).resolved()
    if as_json:
        print_json(resolved)
    else:
        print(to_toml(resolved), end="")


@recipes.command(name="diff")
def recipe_diff(
    left: Annotated[str, typer.Argument(metavar="A", help="Recipe name, TOML file, or output folder of a run.")],
    right: Annotated[str, typer.Argument(metavar="B", help="The same.")],
    as_json: AsJson = False,
) -> None:
    """Say what differs between two recipes, or two runs: stages, values, models, versions."""
    from curation.jobs.inspect.recipe_diff import compare_sides, open_side
    from curation.report.excerpts import harmless

    found = compare_sides(open_side(left), open_side(right))
    if as_json:
        print_json([difference.to_json() for difference in found])
    else:
        print("\n".join(harmless(difference.text) for difference in found) if found else "no difference")
