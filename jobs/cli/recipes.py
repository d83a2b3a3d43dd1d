"""The commands `curate recipe …`."""

from __future__ import annotations

from typing import Annotated

import typer

from curation.jobs.cli.options import AsJson, Settings, TrustCode, print_json

recipes = typer.Typer(help="List, show and compare recipes.", no_args_is_help=True)


@recipes.command(name="list")
def recipe_list() -> None:
    """List the built-in recipes."""
    from curation.recipes.recipe import built_in, load

    for name in built_in():
        print(f"{name}: {load(name).description}")


@recipes.command(name="show")
def recipe_show(
    name: Annotated[str, typer.Argument(metavar="NAME|FILE", help="Built-in recipe or TOML file.")],
    settings: Settings = None,
    as_json: AsJson = False,
) -> None:
    """Show a recipe with every key, its meaning and its value, as TOML to save and edit."""
    from curation.recipes.describe import comment, comments
    from curation.recipes.recipe import load, to_toml

    resolved = load(name, settings or []).resolved()
    if as_json:
        print_json(resolved)
    else:
        meanings = {
            name: {key: comment(text) for key, text in keys.items()} for name, keys in comments(resolved).items()
        }
        print(to_toml(resolved, meanings), end="")


@recipes.command(name="diff")
def recipe_diff(
    left: Annotated[str, typer.Argument(metavar="A", help="Built-in recipe, TOML file, or output folder of a run.")],
    right: Annotated[str, typer.Argument(metavar="B", help="What to compare it with, given in the same ways.")],
    trust_code: TrustCode = False,
    as_json: AsJson = False,
) -> None:
    """Show what differs between two recipes or two runs: stages, values, models, versions."""
    from curation.jobs.inspect.recipe_diff import open_side
    from curation.recipes.differences import compare_sides
    from curation.running.terminal import one_line

    found = compare_sides(*(open_side(name, trust_code=trust_code) for name in (left, right)))
    if as_json:
        print_json([difference.to_json() for difference in found])
    else:
        print("\n".join(one_line(difference.text) for difference in found) if found else "no difference")
