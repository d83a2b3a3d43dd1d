"""Dataclasses of parameters: what their types refuse, from Python and from a recipe, and what they accept."""

from __future__ import annotations

import dataclasses
import pickle
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import pytest
from annotated_types import Ge, Gt, Le, Lt

from curation.errors import ParameterError, RecipeError
from curation.filters.gopher_quality import GopherQuality
from curation.filters.pii import Pii
from curation.recipes.recipe import STAGES, TABLES, import_class
from curation.stages.parameters import (
    Count,
    LocalPath,
    Ratio,
    Share,
    Text,
    build,
    checked,
    parameters,
    with_absolute_paths,
)


@checked
@dataclass(frozen=True, slots=True)
class Limits:
    """One field of each kind."""

    least: Count | None = 1
    share: Share = 0.5
    ratio: Ratio = 0.5
    score: Annotated[float, Gt(0), Lt(1)] = 0.5
    size: Annotated[int, Ge(2), Le(8)] = 2
    mode: Literal["fast", "exact"] = "fast"
    words: tuple[Text, ...] = ()
    pairs: tuple[tuple[str, str], ...] = ()
    name: str = ""
    on: bool = True


@dataclass(frozen=True)
class Plain:
    """A dataclass without bounds."""

    needed: int
    share: float = 0.5
    names: tuple[str, ...] | None = None
    pattern: object = None


BAD: list[tuple[str, Any, str]] = [
    ("least", "5", 'a whole number, at least 0, or "none"'),
    ("least", True, 'a whole number, at least 0, or "none"'),
    ("least", -1, 'a whole number, at least 0, or "none"'),
    ("least", 1.0, 'a whole number, at least 0, or "none"'),
    ("share", 1.01, "a number, at least 0 and at most 1"),
    ("share", float("nan"), "a number, at least 0 and at most 1"),
    ("share", None, "a number, at least 0 and at most 1"),
    ("ratio", float("inf"), "a number, at least 0"),
    ("score", 0, "a number, above 0 and below 1"),
    ("size", 9, "a whole number, at least 2 and at most 8"),
    ("mode", "slow", "one of fast, exact"),
    ("words", "en", "a list, each item text that is not empty, such as ['en']"),
    ("words", ("a", ""), "a list, each item text that is not empty"),
    ("name", 5, "text"),
    ("on", 1, "true or false"),
]


@pytest.mark.parametrize(("key", "value", "allowed"), BAD)
def test_bad_values_are_refused(key: str, value: Any, allowed: str) -> None:
    """From Python and from a recipe, the error names key, value and what is allowed."""
    with pytest.raises(ParameterError) as error:
        Limits(**{key: value})
    assert (error.value.key, error.value.allowed) == (key, allowed)
    with pytest.raises(RecipeError) as error:
        build(Limits, {key: value}, "mine.toml: stage limits")
    assert str(error.value) == f"mine.toml: stage limits: {key} = {value!r}: must be {allowed}"


def test_good_values_are_kept() -> None:
    """A whole number is accepted for a float and converted; a recipe's lists become tuples, its "none" None."""
    limits = Limits(least=None, share=1, words=("a", "b"))
    assert (limits.least, limits.share, type(limits.share), limits.words) == (None, 1.0, float, ("a", "b"))
    values = {"least": "none", "pairs": [["a", "b"]], "name": "none", "share": 1}
    assert build(Limits, values, "") == Limits(least=None, pairs=(("a", "b"),), name="none", share=1)


def test_python_lists_become_tuples() -> None:
    """A constructor takes lists, nested ones too; a set, which has no order, is refused."""
    limits = Limits(words=["b", "a"], pairs=[["a", "b"]])  # type: ignore[arg-type,list-item]
    assert limits == Limits(words=("b", "a"), pairs=(("a", "b"),))
    assert hash(limits)
    with pytest.raises(ParameterError, match="a set has no order: give a list or tuple"):
        Limits(words={"a"})  # type: ignore[arg-type]


def test_unknown_and_missing_arguments() -> None:
    """The error names the class, the argument and the keys that exist."""
    with pytest.raises(TypeError, match=r"^Limits: .*'lest'; it has least, share"):
        Limits(lest=1)  # type: ignore[call-arg]
    with pytest.raises(RecipeError, match=r"x: unknown key 'lest' \(= 1\); it has least, share"):
        build(Limits, {"lest": 1}, "x")
    with pytest.raises(RecipeError, match="x: needs a value for needed"):
        build(Plain, {}, "x")


def test_a_whole_default_of_a_number_is_stored_as_it_is_read() -> None:
    """Parameters that were stored and read again are the same to the letter, so a rerun has the same fingerprint."""

    @dataclass(frozen=True)
    class Lengths:
        longest: float = 10
        least: int = 3
        is_strict: bool = False

    stored = parameters(build(Lengths, {}, "recipe"))
    assert repr(stored) == repr(parameters(build(Lengths, stored, "run.json")))
    assert repr(stored) == "{'longest': 10.0, 'least': 3, 'is_strict': False}"


def test_a_recipe_checks_the_types_of_a_plain_dataclass() -> None:
    """Values for a dataclass without bounds are checked too, even if pydantic does not know the type of a field."""
    assert build(Plain, {"needed": 1, "share": 2, "names": ["a"]}, "") == Plain(1, 2.0, ("a",))
    assert build(Plain, {"needed": 1, "names": "none"}, "").names is None
    for key, value in (("needed", "1"), ("needed", True), ("share", "x"), ("names", [1])):
        with pytest.raises(RecipeError, match=f"x: {key} = "):
            build(Plain, {"needed": 1, key: value}, "x")
    with pytest.raises(RecipeError, match="not a dataclass"):
        build(dict, {}, "x")


@pytest.mark.parametrize("path", [*STAGES.values(), *TABLES.values()])
def test_stages_and_tables_are_checked_dataclasses(path: str) -> None:
    """Each is frozen, hashable and picklable, and refuses "5" for any number and 1 for any boolean."""
    kind = import_class(path)
    one = kind()
    assert pickle.loads(pickle.dumps(one)) == one
    assert hash(dataclasses.replace(one)) == hash(one)
    with pytest.raises(dataclasses.FrozenInstanceError):
        setattr(one, dataclasses.fields(one)[0].name, None)
    for field in dataclasses.fields(one):
        value = {bool: 1, int: "5", float: "5"}.get(type(getattr(one, field.name)))
        if value is not None:
            with pytest.raises(ParameterError, match=rf"^{field.name} = "):
                dataclasses.replace(one, **{field.name: value})


@dataclass(frozen=True)
class Files:
    """A parameter with a path of each form."""

    file: Annotated[str, LocalPath()] | None = None
    lists: tuple[Annotated[str, LocalPath("@(.+)")], ...] = ()
    fields: Annotated[str, LocalPath("([^#]+).*")] = ""
    name: str = ""


@pytest.mark.parametrize(
    ("key", "value", "expected"),
    [
        ("file", "models/../a.bin", "HERE/a.bin"),
        ("file", "~/a.bin", "HOME/a.bin"),
        ("file", "/models/../a.bin", "/models/../a.bin"),
        ("file", "s3://bucket/a.bin", "s3://bucket/a.bin"),
        ("file", "zip://a.bin::b.zip", "zip://a.bin::b.zip"),
        ("file", "none", "none"),
        ("file", "", ""),
        ("file", 1, 1),
        ("lists", ["a.org", "@a.txt", 1], ["a.org", "@HERE/a.txt", 1]),
        ("lists", "@a.txt", "@HERE/a.txt"),
        ("fields", "a.jsonl#question=prompt", "HERE/a.jsonl#question=prompt"),
        ("name", "a.bin", "a.bin"),
        ("other", "a.bin", "a.bin"),
    ],
)
def test_relative_paths_are_made_absolute(
    key: str, value: Any, expected: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only relative paths of this machine are, in parameters that have them; everything else stays as it is."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", "/home/me")
    expected = eval(repr(expected).replace("HERE", str(tmp_path)).replace("HOME", "/home/me"))
    assert with_absolute_paths(Files, {key: value}) == {key: expected}


def test_a_working_directory_with_a_mark_of_the_form(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A path stays relative where the absolute one would be read in another way."""
    (tmp_path / "a#b").mkdir()
    monkeypatch.chdir(tmp_path / "a#b")
    assert with_absolute_paths(Files, {"fields": "a.jsonl"}) == {"fields": "a.jsonl"}


def test_unpickling_does_not_check_again() -> None:
    """An instance sent to another process arrives unchanged: the environment there is not consulted."""
    assert pickle.loads(pickle.dumps(GopherQuality(min_words=7))).min_words == 7
    assert "_secret" not in {field.name for field in dataclasses.fields(Pii) if field.init}
