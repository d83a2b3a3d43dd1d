"""`curate recipe diff`: what differs between two recipes or two runs, in words.

Where the key is the threshold of a rule, the rule itself says what the change means, so that the words hold for any
filter, also one that a recipe imports: `gopher_quality.min_words: removes documents of words < 80 (was < 50)`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from curation.errors import OutputError
from curation.jobs.steps.plan import RUN
from curation.recipes.recipe import Recipe, from_document, load
from curation.stages.rules import Rule
from curation.store.folder import Folder

_ABSENT = object()

KEPT_IF = {
    "<": "from {} on",
    "<=": "above {}",
    ">": "up to {}",
    ">=": "below {}",
    "==": "other than {}",
    "!=": "of {} alone",
}
"""What a rule keeps, by its comparison."""

SHOWN = 12
"""Elements of a list that are told."""


@dataclass(frozen=True, slots=True)
class Side:
    """A recipe, and what run.json adds to it where it is that of a run."""

    name: str
    recipe: Recipe
    versions: Mapping[str, str] = field(default_factory=dict)
    fingerprint: str | None = None


@dataclass(frozen=True, slots=True)
class Difference:
    """One thing that differs. kind: value, stage, order, version, model, input or name."""

    kind: str
    key: str
    words: str
    before: Any = None
    after: Any = None

    def to_json(self) -> dict[str, Any]:
        """For machines."""
        return {"kind": self.kind, "key": self.key, "before": self.before, "after": self.after, "words": self.words}


def open_side(name: str) -> Side:
    """A recipe by its name or TOML file, or the run in an output folder."""
    folder = Folder(name)
    if not folder.exists(RUN):
        return Side(name, load(name))
    try:
        run = folder.read_json(RUN)
        recipe = from_document(run["recipe"], f"{name}/{RUN}")
    except (ValueError, KeyError, TypeError) as error:
        raise OutputError(f"{name}/{RUN}: no run of curate ({error})") from error
    return Side(name, recipe, run["versions"], run["fingerprint"])


def compare_sides(left: Side, right: Side) -> list[Difference]:
    """Everything that differs, stages first."""
    found = [*_stages(left.recipe, right.recipe), *_values(left.recipe, right.recipe)]
    return [*found, *_identities(left, right), *_versions(left, right, bool(found))]


def _stages(left: Recipe, right: Recipe) -> list[Difference]:
    before, after = ([name for name, _ in recipe.stages] for recipe in (left, right))
    found = []
    for name in before:
        if name not in after:
            place = f"after {before[before.index(name) - 1]}" if before.index(name) else "first"
            found.append(Difference("stage", name, f"{name}: removed (it stood {place})", before.index(name), None))
    for name in after:
        if name not in before:
            place = f"after {after[after.index(name) - 1]}" if after.index(name) else "as the first stage"
            found.append(Difference("stage", name, f"{name}: added, {place}", None, after.index(name)))
    shared = [name for name in before if name in after], [name for name in after if name in before]
    if shared[0] != shared[1]:
        words = f"order of stages: {', '.join(shared[1])} (was {', '.join(shared[0])})"
        found.append(Difference("order", "stage", words, before, after))
    return found


def _values(left: Recipe, right: Recipe) -> list[Difference]:
    """Keys of stages that both have, and of the tables."""
    before, after = left.resolved(), right.resolved()
    rules = [_rules(recipe) for recipe in (left, right)]
    found = []
    for name, mine, theirs in _owners(left, right, before, after):
        for key in [*mine, *(key for key in theirs if key not in mine)]:
            old, new = mine.get(key, _ABSENT), theirs.get(key, _ABSENT)
            if old != new:
                path = f"{name}.{key}"
                words = _words(path, old, new, rules[0].get(path), rules[1].get(path))
                plain = [None if value is _ABSENT else value for value in (old, new)]
                found.append(Difference("value", path, words, *plain))
    return found


def _owners(left: Recipe, right: Recipe, before: Mapping[str, Any], after: Mapping[str, Any]) -> list[Any]:
    """(name, values before, values after) of every stage and table that both have."""
    stages = [
        dict(zip((n for n, _ in recipe.stages), side["stage"], strict=True))
        for recipe, side in ((left, before), (right, after))
    ]
    owners = [(name, stages[0][name], stages[1][name]) for name in stages[0] if name in stages[1]]
    tables = [name for name in before if isinstance(before[name], dict) and isinstance(after.get(name), dict)]
    shown = [(name, _without_name(mine), _without_name(theirs)) for name, mine, theirs in owners]
    return [*shown, *((name, before[name], after[name]) for name in tables)]


def _without_name(values: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in values.items() if key != "name"}


def _rules(recipe: Recipe) -> dict[str, Rule]:
    """Rules by the key that holds their threshold, or switches them on."""
    found: dict[str, Rule] = {}
    for name, stage in recipe.stages:
        for rule in getattr(stage, "rules", ()):
            value = getattr(stage, rule.reason, None)
            if value == rule.threshold or value is True:
                found[f"{name}.{rule.reason}"] = rule
    return found


def _words(path: str, old: Any, new: Any, was: Rule | None, now: Rule | None) -> str:
    if was is None and now is None:
        return f"{path}: {_plain_change(old, new)}"
    stage = path.partition(".")[0]
    rule = now or was
    assert rule is not None
    if isinstance(old, bool) or isinstance(new, bool):
        return f"{path}: {stage} {'no longer' if now is None else 'now'} removes documents of {rule}"
    if now is None:
        return f"{path}: {stage} no longer removes by {rule.signal} (it kept documents with {_kept(rule, old)})"
    before = f"was {_number(old)}" if was is not None else "there was no such rule"
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


def _plain_change(old: Any, new: Any) -> str:
    """ "50 → 80"; of two lists, what one has and the other has not."""
    if isinstance(old, list) and isinstance(new, list):
        gone, come = [_show(v) for v in old if v not in new], [_show(v) for v in new if v not in old]
        told = [f"without {_some(gone)}"] * bool(gone) + [f"also {_some(come)}"] * bool(come)
        return "; ".join(told) or f"{_show(old)} → {_show(new)}"
    return f"{_show(old)} → {_show(new)}"


def _show(value: Any) -> str:
    if isinstance(value, list):
        return f"[{', '.join(map(_show, value))}]"
    return {True: "true", False: "false"}[value] if isinstance(value, bool) else _number(value)


def _some(values: Sequence[str]) -> str:
    more = f" and {len(values) - SHOWN} more" if len(values) > SHOWN else ""
    return ", ".join(values[:SHOWN]) + more


def _identities(left: Side, right: Side) -> list[Difference]:
    """Versions of stages, and hashes of the models and lists that they read, as they are here."""
    found = []
    sides = [_parts(side.recipe) for side in (left, right)]
    for name in (name for name in sides[0] if name in sides[1]):
        before, after = sides[0][name], sides[1][name]
        if before["version"] != after["version"]:
            words = f"{name}: version {after['version']} of the stage (was {before['version']})"
            found.append(Difference("version", name, words, before["version"], after["version"]))
        for asset in sorted({*before["assets"], *after["assets"]}):
            old, new = before["assets"].get(asset), after["assets"].get(asset)
            if old != new:
                words = f"{name}: {asset} has the hash {_short(new)} (was {_short(old)})"
                words = words if new else f"{name}: reads no {asset} any more (its hash was {_short(old)})"
                words = words if old else f"{name}: reads {asset} now (its hash is {_short(new)})"
                found.append(Difference("model", f"{name}:{asset}", words, old, new))
    return found


def _parts(recipe: Recipe) -> dict[str, Any]:
    identity = recipe.identity()
    return {**dict(identity["stages"]), **identity["tables"]}


def _short(digest: str | None) -> str:
    return digest[:16] if digest else "none"


def _versions(left: Side, right: Side, explained: bool) -> list[Difference]:
    """Libraries that two runs were made with, and fingerprints that differ though nothing else does."""
    if left.fingerprint is None or right.fingerprint is None:
        return []
    found = []
    for name in sorted({*left.versions, *right.versions}):
        old, new = left.versions.get(name), right.versions.get(name)
        if old != new:
            words = f"{name}: {new or 'not recorded'} (was {old or 'not recorded'})"
            found.append(Difference("version", name, words, old, new))
    if not found and not explained and left.fingerprint != right.fingerprint:
        words = "fingerprint: made by other versions of stages, or other models and lists, under the same keys"
        found.append(Difference("model", "fingerprint", words, left.fingerprint, right.fingerprint))
    return found
