"""A stage known only by what a run's folder says about it: whoever looks at the run need not have its code."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, cast

from curation.errors import NotTrusted
from curation.stages.batch import Batch
from curation.stages.rules import Rule

if TYPE_CHECKING:
    from curation.stages.stage import Stage

LARGEST = 1e300
"""Largest threshold that is believed: numbers of thousands of digits cannot be shown."""


@dataclass(frozen=True, slots=True)
class StoredStage:
    """A stage by its stored parameters and rules. It decides about stored signals, and cannot measure.

    Attributes:
        use: `module:Class`, which is not imported.
        where: The file that says so, for errors.
        values: The parameters.
        version: As the class has it.
        assets: Hashes of models and lists.
        libraries: Versions of libraries.
        rules: The ordered table of rules.
        measures_first: Whether it is a `Filter`: its rules are all that removes documents.
    """

    use: str
    where: str
    values: Mapping[str, Any]
    version: int
    assets: Mapping[str, str]
    libraries: Mapping[str, str]
    rules: tuple[Rule, ...]
    measures_first: bool

    def __call__(self, batch: Batch, /) -> Any:
        """Raise NotTrusted."""
        raise NotTrusted(self.where, f"{self.use!r} has to be run for this, which is not built in")

    def to_values(self) -> dict[str, Any]:
        """What `stored_stage` takes."""
        return {
            "use": self.use,
            "version": self.version,
            "assets": dict(self.assets),
            "libraries": dict(self.libraries),
            "rules": [[rule.signal, rule.comparison, rule.threshold, rule.reason] for rule in self.rules],
            "measures_first": self.measures_first,
        }

    def with_values(self, values: Mapping[str, Any]) -> Stage:
        """The stage with other parameters, whose rules have the thresholds that changed parameters hold.

        Raises:
            ValueError: A parameter changes that is not the threshold of a rule, or to what is no number.
        """
        changed = {key: value for key, value in values.items() if key not in self.values or self.values[key] != value}
        held = {rule.reason for rule in self.rules if rule.threshold == self.values.get(rule.reason)}
        for key, value in changed.items():
            if key not in held or not is_threshold(value):
                names = f" ({', '.join(sorted(held))})" if held else ""
                raise ValueError(
                    f"{key} = {value!r}: only thresholds{names} can be changed without the code of {self.use}"
                )
        rules = (replace(rule, threshold=changed.get(rule.reason, rule.threshold)) for rule in self.rules)
        return cast("Stage", replace(self, values={**self.values, **changed}, rules=tuple(rules)))


def stored_stage(facts: Any, values: Mapping[str, Any], where: str) -> StoredStage:
    """A stage from what a run's folder says about it.

    Args:
        facts: What `StoredStage.to_values` gave, from a file that may be anybody's.
        values: Its parameters.
        where: The file, for errors.

    Raises:
        ValueError: These are not such facts.
    """
    try:
        rules = tuple(Rule(_text(rule[0]), _text(rule[1]), _number(rule[2]), _text(rule[3])) for rule in facts["rules"])
        assets, libraries = (
            {_text(name): _text(value) for name, value in facts[key].items()} for key in ("assets", "libraries")
        )
        version, measures_first = facts["version"], facts["measures_first"]
        if not isinstance(version, int) or not isinstance(measures_first, bool):
            raise TypeError(f"version = {version!r}")
        return StoredStage(_text(facts["use"]), where, values, version, assets, libraries, rules, measures_first)
    except (KeyError, TypeError, IndexError, AttributeError) as error:
        raise ValueError(f"{where}: no facts about a stage: {error}") from error


def is_threshold(value: Any) -> bool:
    """Whether it is a number that can be compared and shown."""
    return isinstance(value, (int, float)) and not isinstance(value, bool) and -LARGEST < value < LARGEST


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{value!r} is no text")
    return value


def _number(value: Any) -> float:
    if not is_threshold(value):
        raise TypeError("a threshold is no number, or too large")
    return value  # type: ignore[no-any-return]
