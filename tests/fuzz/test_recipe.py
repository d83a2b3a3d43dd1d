"""Any text is a recipe or a RecipeError."""

from __future__ import annotations

from collections.abc import Callable
from importlib import resources
from pathlib import Path

from fuzzing import fuzz

from curation.errors import RecipeError
from curation.recipes.recipe import Recipe, built_in, load, to_toml

EVERY_KEY = [to_toml(load(name).resolved()).encode() for name in built_in()]

SEEDS = [
    *((resources.files("curation.jobs") / "recipes" / f"{name}.toml").read_bytes() for name in built_in()),
    *EVERY_KEY,
    b'[[stage]]\nuse = "curation.filters.c4:C4"\nname = "mine"\n[alarms]\nmine = [0.1, 0.5]\nmin_documents = 10\n',
    b'stage = [{use = "url", extra_words = ["b"]}, {use = "language", languages = "$url.extra_words"}]\n',
]

WORDS = (
    b"[", b"]", b"[[", b"{", b"}", b"=", b'"', b"'", b".", b",", b"\n", b'"none"', b"none", b"true", b"0x", b"-1",
    b"nan", b"inf", b"0x" + b"f" * 5000, b"1e999", b"1979-05-27", b"07:32:00", b"$", b"$url.",
    b'"$language.languages"', b"[[stage]]\n", b"use = ", b"name = ", b'use = "language"\n', b'"a.b:C"', b'"os:path"',
    b'":"', b'"."', b'".:x"', b'"curation.errors:CurationError"', b'"curation.filters.pii:Pii"', b"[alarms]\n",
    b"[dedup]\n", b"[pii]\n", b"mix = ", b"[tokens]\n", b'"@"', b'"@/"', b'"\\u0000"', b"[[[[[[[[", b"stage = 1\n",
    b"dedup = 1\n", b"\xff", "é".encode(), b"#",
)  # fmt: skip


def load_or_refuse(path: Path) -> Recipe | RecipeError:
    try:
        return load(str(path))
    except RecipeError as error:
        return error


def checker(path: Path) -> Callable[[bytes], None]:
    def check(data: bytes) -> None:
        path.write_bytes(data)
        recipe = load_or_refuse(path)
        if isinstance(recipe, RecipeError):
            assert "\n" not in str(recipe)
            return
        written = to_toml(recipe.resolved())
        path.write_text(written, encoding="utf-8")
        assert to_toml(load(str(path)).resolved()) == written

    return check


def test_any_text_is_a_recipe_or_an_error(tmp_path: Path) -> None:
    """Text that is no valid recipe is a RecipeError of one line; a valid one can be written and read back."""
    fuzz(checker(tmp_path / "recipe.toml"), SEEDS, WORDS, max_bytes=1 << 15)
