"""The table of thresholds: what each removes, and how much of that no other rule would."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from archives import page, prose, response, write_archive
from typer.testing import CliRunner

from curation.jobs.cli.main import app
from curation.jobs.inspect.what_if.thresholds import RuleThreshold, thresholds
from curation.jobs.inspect.what_if.what_if import what_if
from curation.jobs.steps.plan import Plan, make_plan
from curation.jobs.steps.progress import Progress
from curation.jobs.steps.run import Run
from curation.recipes.differences import describe_value
from curation.recipes.recipe import load
from curation.running.cluster import Cluster

KEYS = ("gopher_quality.min_words", "c4.min_sentences", "fineweb.min_terminal_lines")


def filtered(folder: Path, *settings: str) -> Plan:
    """A run on pages that are too short, that also have too few sentences, or whose lines end without a stop."""
    records = [response(f"https://a.org/{seed}", page("good", *prose(seed))) for seed in range(6)]
    records += [response(f"https://b.org/{n}", page("short", prose(n, 1)[0][:90])) for n in range(4)]
    records += [
        response(f"https://c.org/{n}", page("few", " and ".join(prose(20 + n)).replace(".", ","))) for n in range(5)
    ]
    records += [
        response(f"https://d.org/{n}", page("cut", *(f"{text} so" for text in prose(30 + n)))) for n in range(7)
    ]
    write_archive(folder / "a.warc.gz", records)
    plan = make_plan([str(folder)], str(folder / "out"), "fineweb", ["extract.extractor=resiliparse", *settings])
    Run(plan, Cluster(), Progress("silent")).run("filter")
    return plan


@pytest.mark.parametrize("every", ["true", "false"])
def test_the_numbers_are_those_of_switching_a_rule_off(tmp_path: Path, every: str) -> None:
    """What no other rule would remove is what what-if without that rule adds, exactly or between the same bounds."""
    plan = filtered(tmp_path, f"signals.all={every}")
    listed = {each.key: each for each in thresholds(plan, Cluster()).active}
    assert [each.removed for each in listed.values()] == sorted(
        [each.removed for each in listed.values()], reverse=True
    )
    for key in KEYS:
        whole = what_if(plan, [f"{key}=none"], Cluster()).whole
        least, most = (amount.documents - whole.now.documents for amount in (whole.least, whole.most))
        assert (listed[key].least, listed[key].most) == (least, most), key
    assert any(each.removed > each.most for each in listed.values())
    assert any(each.most > 0 for each in listed.values())


def test_the_command(tmp_path: Path) -> None:
    """Without --set, the command prints thresholds with values, those that remove nothing, those off, and a hint."""
    plan = filtered(tmp_path, "signals.all=true", "gopher_quality.max_words=none")
    shown = CliRunner().invoke(app, ["what-if", plan.folder.url])
    assert shown.exit_code == 0, shown.output
    assert "What each threshold removes" in shown.stdout
    assert "remove no document: url.max_soft_words" in shown.stdout
    assert "off: gopher_quality.max_words" in shown.stdout
    answer = thresholds(plan, Cluster())
    assert f"next: --set {answer.active[0].key}=VALUE" in shown.stdout
    plain = json.loads(CliRunner().invoke(app, ["what-if", plan.folder.url, "--json"]).stdout)
    first = answer.active[0]
    only = {"least": first.least, "most": first.most}
    assert plain["thresholds"][0] == {
        "key": first.key, "value": first.value, "removed": first.removed, "only_this_one": only
    }  # fmt: skip


def test_rules_of_languages_decide_by_their_own_thresholds(tmp_path: Path) -> None:
    """A document removed by a language's own threshold counts for its key, whose value names the languages' range."""
    plan = filtered(tmp_path, "signals.all=true", "language.en.gopher_quality.min_words=1000")
    (found,) = (each for each in thresholds(plan, Cluster()).active if each.key == KEYS[0])
    assert found == RuleThreshold(KEYS[0], "50, by language 1,000", found.removed, found.least, found.most)
    assert found.removed > 4
    assert found.least == found.most


def test_a_value_set_by_language_only() -> None:
    """A key that only languages have is described by their values, not as None."""
    recipe = load("fineweb", ["fineweb.max_short_lines=none", "language.de.fineweb.max_short_lines=0.5"])
    assert describe_value(recipe, "fineweb.max_short_lines") == "by language 0.5"
    assert describe_value(recipe, "language.de.fineweb.max_short_lines") == "0.5"
    assert describe_value(recipe, "gopher_quality.max_words") == "100,000"
    assert describe_value(recipe, "c4.curly_bracket") == "true"
