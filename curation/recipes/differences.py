"""The differences between two recipes or two runs, in plain language.

If a key is the threshold of a rule, the rule itself says what the change means, so that this works for any filter, also
for one that a recipe imports: `gopher_quality.min_words: gopher_quality keeps documents with words >= 80 (was 50,
stricter)`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from curation.language.labels import full_label
from curation.recipes.language_values import stage_key
from curation.recipes.recipe import Recipe
from curation.stages.parameters import flat_keys, plain
from curation.stages.rules import Rule

_ABSENT = object()

KEPT_IF = {"<": ">= {}", "<=": "> {}", ">": "<= {}", ">=": "< {}", "==": "!= {}", "!=": "== {}"}
"""Which values a rule keeps, by the comparison with which it removes."""

SHOWN = 12
"""Maximum number of list elements to show."""


SHORT = 80
"""Maximum number of characters of a difference in a few words."""


@dataclass(frozen=True, slots=True)
class Side:
    """One side of the comparison: a recipe or a run.

    Attributes:
        name: The recipe's name or file, or the output folder.
        recipe: The recipe.
        versions: Versions of libraries that run.json records; empty for a recipe.
        fingerprint: Fingerprint of the run; None for a recipe.
    """

    name: str
    recipe: Recipe
    versions: Mapping[str, str] = field(default_factory=dict)
    fingerprint: str | None = None


@dataclass(frozen=True, slots=True)
class Difference:
    """One difference.

    Attributes:
        kind: "value", "stage", "order", "version", "model", "input" or "name".
        key: What differs, for example `stage.key`.
        text: The difference in plain language.
        before: Value on the left side.
        after: Value on the right side.
    """

    kind: str
    key: str
    text: str
    before: Any = None
    after: Any = None

    def short(self) -> str:
        """The difference in a few words: "c4.curly_bracket: true → false"."""
        text = self.text if self.kind != "value" else f"{self.key}: {_show(self.before)} → {_show(self.after)}"
        return text if len(text) <= SHORT else f"{text[: SHORT - 1]}…"

    def to_json(self) -> dict[str, Any]:
        """Convert to plain values for JSON."""
        return {"kind": self.kind, "key": self.key, "before": self.before, "after": self.after, "words": self.text}


def compare_sides(left: Side, right: Side) -> list[Difference]:
    """All differences, those of stages first."""
    changes = [*_stages(left.recipe, right.recipe), *_values(left.recipe, right.recipe)]
    return [*changes, *_identities(left, right), *_versions(left, right, bool(changes))]


def _stages(left: Recipe, right: Recipe) -> list[Difference]:
    before, after = ([name for name, _ in recipe.stages] for recipe in (left, right))
    differences = []
    for name in before:
        if name not in after:
            place = f"after {before[before.index(name) - 1]}" if before.index(name) else "first"
            differences.append(Difference("stage", name, f"{name}: removed (was {place})", before.index(name), None))
    for name in after:
        if name not in before:
            place = f"after {after[after.index(name) - 1]}" if after.index(name) else "as the first stage"
            differences.append(Difference("stage", name, f"{name}: added, {place}", None, after.index(name)))
    shared = [name for name in before if name in after], [name for name in after if name in before]
    if shared[0] != shared[1]:
        description = f"order of stages: {', '.join(shared[1])} (was {', '.join(shared[0])})"
        differences.append(Difference("order", "stage", description, before, after))
    return differences


def _values(left: Recipe, right: Recipe) -> list[Difference]:
    """Differences in keys of the stages that both have, and of the tables."""
    before, after = _parameters(left), _parameters(right)
    rules = [_rules(recipe) for recipe in (left, right)]
    differences = []
    for name in (name for name in before if name in after):
        mine, theirs = before[name], after[name]
        for key in [*mine, *(key for key in theirs if key not in mine)]:
            path = f"{name}.{key}"
            values = [_value(left, before, path), _value(right, after, path)]
            if values[0] != values[1]:
                active = [
                    None if value in (None, _ABSENT) or value is False else each.get(stage_key(path))
                    for value, each in zip(values, rules, strict=True)
                ]
                description = _describe(path, *values, *active)
                plain = [None if value is _ABSENT else value for value in values]
                differences.append(Difference("value", path, description, *plain))
    return differences


def _parameters(recipe: Recipe) -> dict[str, dict[str, Any]]:
    """The parameters of every stage and table, by its name."""
    resolved = recipe.resolved()
    stages = {
        name: {key: value for key, value in values.items() if key != "name"}
        for (name, _), values in zip(recipe.stages, resolved["stage"], strict=True)
    }
    tables = {name: flat_keys(values) for name, values in resolved.items() if isinstance(values, dict)}
    # The stage `language` and the tables [language.…] share a name.
    return stages | {name: {**stages.get(name, {}), **values} for name, values in tables.items()}


def _value(recipe: Recipe, parameters: Mapping[str, Mapping[str, Any]], path: str) -> Any:
    """The value of a key; for a language without a value of its own, the one that holds for it."""
    stage, _, key = stage_key(path).partition(".")
    value = parameters.get(stage, {}).get(key, _ABSENT)
    if stage_key(path) == path or not recipe.languages:
        return value
    own = recipe.languages.values_for(path.split(".")[1], recipe.stages).get(stage, {})
    return value if key not in own else None if own[key] in (None, "none") else plain(own[key])


def value_of(recipe: Recipe, key: str) -> Any:
    """The value of a key; for a language without a value of its own, the one that holds for it. None if there is none.

    Args:
        recipe: The recipe.
        key: A key such as c4.min_sentences or language.de.c4.min_sentences.
    """
    if stage_key(key) != key:
        table, name, rest = key.split(".", 2)
        key = f"{table}.{full_label(name) or name}.{rest}"
    value = _value(recipe, _parameters(recipe), key)
    return None if value is _ABSENT else value


def describe_value(recipe: Recipe, key: str) -> str:
    """The value of a key as text, with the range of values that languages have instead: "50, by language 20 to 80"."""
    own = value_of(recipe, key)
    stage, _, name = key.partition(".")
    tables = [recipe.languages.values_for(label, recipe.stages) for label in recipe.languages.labels()]
    values = [table[stage][name] for table in tables if name in table.get(stage, {}) and stage_key(key) == key]
    others = sorted({value for value in values if isinstance(value, (int, float)) and value != own})
    parts = [] if own is None else [str(own).lower() if isinstance(own, bool) else _number(own)]
    if others:
        parts.append(f"by language {' to '.join(map(_number, [others[0], *others[1:][-1:]]))}")
    return ", ".join(parts) or "none"


def _rules(recipe: Recipe) -> dict[str, Rule]:
    """Rules by the key that is their threshold or switches them on."""
    by_key: dict[str, Rule] = {}
    for name, stage in recipe.stages:
        for rule in getattr(stage, "rules", ()):
            value = getattr(stage, rule.reason, None)
            if value == rule.threshold or value is True:
                by_key[f"{name}.{rule.reason}"] = rule
    return by_key


def _describe(path: str, old: Any, new: Any, was: Rule | None, now: Rule | None) -> str:
    if was is None and now is None:
        return f"{path}: {_describe_change(old, new)}"
    stage = stage_key(path).partition(".")[0]
    rule = now or was
    assert rule is not None
    if isinstance(old, bool) or isinstance(new, bool):
        return f"{path}: {stage} {'no longer' if now is None else 'now'} removes documents with {rule}"
    if now is None:
        return f"{path}: {stage} no longer removes by {rule.signal} (it kept documents with {_kept(rule, old)})"
    before = f"was {_number(old)}" if was is not None else "a new rule"
    direction = ""
    if was is not None and was.comparison == now.comparison and isinstance(old, (int, float)) and old != new:
        stricter = (new > old) == (now.comparison in ("<", "<="))
        direction = ", stricter" if stricter else ", looser"
    return f"{path}: {stage} keeps documents with {_kept(now, new)} ({before}{direction})"


def _kept(rule: Rule, value: Any) -> str:
    return f"{rule.signal} {KEPT_IF[rule.comparison].format(_number(value))}"


def _number(value: Any) -> str:
    if value is _ABSENT:
        return "absent"
    if value is None:
        return "none"
    return f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else str(value)


def _describe_change(old: Any, new: Any) -> str:
    """ "50 → 80"; for two lists, the elements removed and added."""
    if isinstance(old, list) and isinstance(new, list):
        removed, added = [_show(v) for v in old if v not in new], [_show(v) for v in new if v not in old]
        changes = [f"removed {_some(removed)}"] * bool(removed) + [f"added {_some(added)}"] * bool(added)
        return "; ".join(changes) or f"{_show(old)} → {_show(new)}"
    return f"{_show(old)} → {_show(new)}"


def _show(value: Any) -> str:
    if isinstance(value, list):
        return f"[{', '.join(map(_show, value))}]"
    return {True: "true", False: "false"}[value] if isinstance(value, bool) else _number(value)


def _some(values: Sequence[str]) -> str:
    more = f" and {len(values) - SHOWN} more" if len(values) > SHOWN else ""
    return ", ".join(values[:SHOWN]) + more


def _identities(left: Side, right: Side) -> list[Difference]:
    """Differences in versions of stages and in hashes of the models and lists that are installed here."""
    differences = []
    sides = [_parts(side.recipe) for side in (left, right)]
    for name in (name for name in sides[0] if name in sides[1]):
        before, after = sides[0][name], sides[1][name]
        if before["version"] != after["version"]:
            description = f"{name}: stage version {after['version']} (was {before['version']})"
            differences.append(Difference("version", name, description, before["version"], after["version"]))
        for asset in sorted({*before["assets"], *after["assets"]}):
            old, new = before["assets"].get(asset), after["assets"].get(asset)
            if old != new:
                description = f"{name}: {asset} has hash {_short(new)} (was {_short(old)})"
                description = description if new else f"{name}: no longer reads {asset} (hash was {_short(old)})"
                description = description if old else f"{name}: now reads {asset} (hash {_short(new)})"
                differences.append(Difference("model", f"{name}:{asset}", description, old, new))
    return differences


def _parts(recipe: Recipe) -> dict[str, Any]:
    identity = recipe.identity()
    return {**dict(identity["stages"]), **identity["tables"]}


def _short(digest: str | None) -> str:
    return digest[:16] if digest else "none"


def _versions(left: Side, right: Side, explained: bool) -> list[Difference]:
    """Differences in the library versions of two runs, or in their fingerprints if nothing else explains it."""
    if left.fingerprint is None or right.fingerprint is None:
        return []
    differences = []
    for name in sorted({*left.versions, *right.versions}):
        old, new = left.versions.get(name), right.versions.get(name)
        if old != new:
            description = f"{name}: {new or 'not recorded'} (was {old or 'not recorded'})"
            differences.append(Difference("version", name, description, old, new))
    if not differences and not explained and left.fingerprint != right.fingerprint:
        description = "fingerprint: same keys, but other versions of stages, or other models and lists"
        differences.append(Difference("model", "fingerprint", description, left.fingerprint, right.fingerprint))
    return differences
