"""`curate recipe diff`: opens what it compares, a recipe or the run in a folder."""

from __future__ import annotations

from curation.errors import OutputError
from curation.jobs.steps.plan import read_run
from curation.recipes.differences import Side
from curation.recipes.recipe import from_document, load
from curation.store.folder import Folder
from curation.store.paths import RUN


def open_side(name: str, *, trust_code: bool = False) -> Side:
    """Open a recipe by name or TOML file, or the run in an output folder.

    Args:
        name: The recipe or folder.
        trust_code: Use code, models and variables that the folder of a run names.

    Raises:
        OutputError: run.json in the folder is not that of a curate run.
        NotTrusted: The folder names one of these, and is not trusted.
    """
    folder = Folder(name)
    if not folder.exists(RUN):
        return Side(name, load(name))
    try:
        run = read_run(folder)
        recipe = from_document(run["recipe"], f"{name}/{RUN}", trusted=trust_code, stored=run.get("stages"))
    except (ValueError, KeyError, TypeError) as error:
        raise OutputError(f"{name}/{RUN}: not a curate run ({error})") from error
    return Side(name, recipe, run["versions"], run["fingerprint"])
