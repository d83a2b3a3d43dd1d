"""Any `--set KEY=VALUE` is applied or refused."""

from __future__ import annotations

from fuzzing import fuzz

from curation.errors import UsageError
from curation.jobs.steps.moved_rules import MovedStage, moved_stages
from curation.recipes.recipe import Recipe, from_document, load

RECIPES = [load(name) for name in ("fineweb", "web")]

SEEDS = [
    f"{owner}.{key}={value!r}".encode()
    for recipe in RECIPES
    for owner, keys in {
        **{name: entry for (name, _), entry in zip(recipe.stages, recipe.resolved()["stage"], strict=True)},
        **{name: recipe.resolved()[name] for name, _ in recipe.tables},
    }.items()
    for key, value in keys.items()
] + [
    b"gopher_quality.min_words=80",
    b"language.min_score = 0.8",
    b'language.languages=["de", "fr"]',
    b"extract.extractor=resiliparse",
    b"alarms.gopher_quality=[0.0, 0.5]",
    b"alarms.min_documents=none",
    b"c4.min_sentences=none",
    'url.extra_domains=["münchen-shop.com", "203.0.112.45"]'.encode(),
    b'url.extra_urls=["site-c.com/private/h"]',
    b"url.matching=fixed",
    b"tokenizer.pattern=\\w+|\\s+",
    b"tokens.mix=['/data/wiki=2.5']",
]

WORDS = (
    b"=", b".", b"none", b"true", b"[", b"]", b"{a=1}", b'"', b"0x" + b"f" * 5000, b"9" * 5000, b"1e999", b"-1",
    b"nan", b"1979-05-27", b"$language.x", b"[[[[[[[[", b"\n", b"\0", b"\xff", "é".encode(), b"@", b"url.", b"dedup.",
    b"(", b"tokenizer.pattern=", b"extra_words=",
)  # fmt: skip


def moved_or_refused(recipe: Recipe, setting: str) -> list[MovedStage] | UsageError:
    """What `curate what-if` makes of a setting."""
    try:
        return moved_stages(recipe, from_document(recipe.resolved(), "run.json", [setting]))
    except UsageError as error:
        return error


def check(data: bytes) -> None:
    for recipe in RECIPES:
        moved = moved_or_refused(recipe, data.decode("utf-8", "surrogateescape"))
        assert not isinstance(moved, UsageError) or "\n" not in str(moved)


def test_any_setting_is_applied_or_refused() -> None:
    """A setting gives a recipe, for which what-if has an answer or an error of one line."""
    fuzz(check, SEEDS, WORDS, max_bytes=1 << 15)
