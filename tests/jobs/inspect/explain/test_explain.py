"""Explain shows a document's path and what was cut from its text, finds it by spelling, and is safe to print."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from archives import page, prose, response, write_archive
from rich.console import Console
from typer.testing import CliRunner

from curation.errors import InputError, UsageError
from curation.jobs.cli.main import app
from curation.jobs.inspect.explain.explain import Explanation, StageResult, explain
from curation.jobs.inspect.explain.lookup import InputFacts, find_inputs, simplified
from curation.jobs.inspect.explain.text_diff import plain
from curation.jobs.inspect.explain.view import FIELDS, changes, show, show_inputs, to_json
from curation.jobs.steps.plan import Plan, open_plan
from curation.stages.rules import Rule

HOSTILE = "Look at \x1b[31mred\x1b[0m and \u202eback\u202c and [bold]loud[/bold] and \x9b2J, all of it in one line."
THIN = "The shop on the corner of our street will be closed until Monday, and nobody knows whether it was planned."


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run to the corpus: cut lines, personal data, duplicates, a page twice, a blocked URL, and a broken input."""
    folder = tmp_path_factory.mktemp("crawl")
    cut = [*prose(13), "Two words", "We use cookies on this page, dear reader.", "As was said [1] before, it is so."]
    records = [response(f"https://a.org/{seed}", page("good", *prose(seed))) for seed in range(20, 26)]
    records += [
        response("https://a.org/cut/", page("cut", *cut)),
        response("https://a.org/copy", page("copy", *prose(21))),
        response("https://a.org/private", page("p", *prose(14), "Write to jane.doe@corp.io and she will answer.")),
        response("https://a.org/thin", page("thin", THIN)),
        response("https://a.org/code", page("code", *prose(15), "Here { stands a bracket in the line.", "No more")),
        response("https://a.org/porn-sex", page("listed", *prose(16))),
        response("https://a.org/twice", page("one", *prose(17))),
        response("https://a.org/twice", page("two", *prose(18))),
        response("https://a.org/hostile", page("evil", *prose(19), HOSTILE.replace("\x1b", "&#27;"), "x { y z a b")),
    ]
    write_archive(folder / "a.warc.gz", records)
    (folder / "broken.warc.gz").write_bytes(b"this is no archive at all" * 99)
    out = tmp_path_factory.mktemp("run") / "out"
    settings = ["--set", "extract.extractor=resiliparse"]
    for words in (["filter", str(folder), *settings], ["dedup"]):
        done = CliRunner().invoke(app, [*words, "--out", str(out), "--workers", "0"])
        assert done.exit_code in (0, 1), done.output
    return out


@pytest.fixture
def plan(run: Path) -> Plan:
    return open_plan(str(run))


def one(plan: Plan, path: str) -> Explanation:
    (explanation,) = explain(plan, f"https://a.org/{path}")
    return explanation


def changes_of(explanation: Explanation, stage: str) -> list[str]:
    """The changes that a stage made, as plain lines without blank ones."""
    (measured,) = (each for each in explanation.stages if each.stage == stage)
    return [text for line in changes(measured) for text in plain(line) if text[1:].strip()]


def printed(explanations: list[Explanation], *, terminal: bool) -> str:
    out = io.StringIO()
    colors = "standard" if terminal else None
    show(explanations, Console(file=out, force_terminal=terminal, width=160, highlight=False, color_system=colors))  # type: ignore[arg-type]
    return out.getvalue()


def test_values_are_those_stored(plan: Plan, run: Path) -> None:
    """Values and verdict of explain equal those that the run stored, for kept and removed documents."""
    stored = {}
    for path in (run / "signals").glob("*.parquet"):
        stored |= {row["id"]: row for row in pq.read_table(path).to_pylist()}
    for path in (run / "removed" / "filter").glob("*.parquet"):
        stored |= {row["id"]: row["signals"] for row in pq.read_table(path).to_pylist()}
    for page_name in ("20", "cut/", "thin", "code", "porn-sex"):
        explanation = one(plan, page_name)
        assert explanation.replayed
        assert explanation.differs is None
        known = stored[explanation.row["id"]]
        measured = {f"{m.stage}.{k}": v for m in explanation.stages if not m.supposed for k, v in m.signals.items()}
        assert {key: value for key, value in measured.items() if key in known} == {
            key: known[key] for key in measured if key in known
        }


def test_cut_lines_and_personal_data_are_shown(plan: Plan) -> None:
    """Lines and words that C4 cut, and personal data that the corpus step replaced, are shown."""
    cut = changes_of(one(plan, "cut/"), "c4")
    assert "- Two words" in cut
    assert "- We use cookies on this page, dear reader." in cut
    assert {"- As was said [1] before, it is so.", "+ As was said  before, it is so."} <= set(cut)
    private = one(plan, "private")
    assert private.place == "corpus"
    (removed, added) = changes_of(private, "pii")
    assert "jane.doe@corp.io" in removed
    assert "jane.doe@corp.io" not in added
    assert changes_of(private, "c4") == []


def test_later_stages_say_what_they_would_have(plan: Plan) -> None:
    """The stages after the one that removed a document are applied as if it had been kept, and marked as such."""
    explanation = one(plan, "code")
    assert (explanation.place, explanation.reason) == ("removed/filter", "c4.curly_bracket")
    (fineweb,) = (measured for measured in explanation.stages if measured.stage == "fineweb")
    assert fineweb.supposed
    assert "No more" not in (fineweb.before or "")
    assert "would pass" in printed([explanation], terminal=False)
    assert "removed here" in printed([explanation], terminal=False)


def test_a_page_without_text_ends_where_it_was_removed(plan: Plan) -> None:
    """A page removed by its URL was never extracted, so the later stages are not shown."""
    explanation = one(plan, "porn-sex")
    assert [measured.stage for measured in explanation.stages] == ["url"]
    assert explanation.reason == "url.hard_word"


def test_a_duplicate_names_its_survivor(plan: Plan) -> None:
    """A duplicate is shown with its survivor, the similarity and the bands in common."""
    explanation = one(plan, "copy")
    assert explanation.reason == "dedup.exact_duplicate"
    assert explanation.duplicate is not None
    assert explanation.duplicate.survivor_url == "https://a.org/21"
    assert len(explanation.duplicate.shared_bands) == explanation.duplicate.bands
    text = printed([explanation], terminal=False)
    assert "https://a.org/21" in text
    assert "bands in common" in text


def test_a_survivor_that_is_gone_is_named(run: Path, tmp_path: Path) -> None:
    """If the earlier run with the survivor was moved, the stored values are shown, and the folder that is missing."""
    (earlier := tmp_path / "earlier").symlink_to(run)
    write_archive(tmp_path / "b.warc.gz", [response("https://b.org/again", page("good", *prose(22)))])
    out = str(tmp_path / "out")
    for words in (["filter", str(tmp_path / "b.warc.gz")], ["dedup", "--against", str(earlier)]):
        done = CliRunner().invoke(
            app, [*words, "--out", out, "--workers", "0", "--set", "extract.extractor=resiliparse"]
        )
        assert done.exit_code == 0, done.output
    (found,) = explain(open_plan(out), "https://b.org/again")
    assert found.duplicate is not None
    assert found.missing is None
    earlier.unlink()
    done = CliRunner().invoke(app, ["explain", out, "https://b.org/again"])
    assert done.exit_code == 0, done.output
    assert f"dedup.survivor_run   {earlier}" in done.stdout
    assert f"the earlier run {earlier}, which has the survivor, is no longer there" in done.stdout
    assert "gopher_quality" in done.stdout


def test_the_text_shows_what_decided(run: Path, plan: Plan) -> None:
    """--text prints the text with what a rule counted, or what a duplicate shares, between signs."""
    done = CliRunner().invoke(app, ["explain", str(run), "https://a.org/code", "--text"])
    assert "Here »{« stands a bracket in the line." in done.stdout
    done = CliRunner().invoke(app, ["explain", str(run), "https://a.org/copy", "--text"])
    assert f"»{prose(21)[0]}" in done.stdout
    done = CliRunner().invoke(app, ["explain", str(run), "https://a.org/porn-sex", "--text"])
    assert "No text was stored" in done.stdout
    (found,) = explain(plan, "https://a.org/code", marks=True)
    assert found.marks is not None
    assert [found.row["text"][start:end] for start, end in found.marks] == ["{"]
    done = CliRunner().invoke(app, ["explain", str(run), "--token", "train-00000:0:0", "--text"])
    assert isinstance(done.exception, UsageError)


def test_several_documents_of_one_address(plan: Plan) -> None:
    """Each document with the same URL is explained, with its own position in the archive."""
    explanations = explain(plan, "https://a.org/twice")
    assert len({explanation.row["warc_offset"] for explanation in explanations}) == 2
    assert printed(explanations, terminal=False).startswith("2 documents")


@pytest.mark.parametrize("key", ["a.org/20", "http://www.a.org/20/", "https://A.org/20#part", "a.org/20/"])
def test_an_address_in_another_spelling_is_found(plan: Plan, key: str) -> None:
    """A document is found without the scheme, with a trailing slash and so on, and the spelling is reported."""
    (explanation,) = explain(plan, key)
    assert explanation.row["url"] == "https://a.org/20"
    assert f"{key}: not found in this spelling" in printed([explanation], terminal=False)


def test_an_id_without_its_brackets_is_found(plan: Plan) -> None:
    """The UUID without brackets and prefix is enough."""
    name = one(plan, "20").row["id"]
    (explanation,) = explain(plan, name.strip("<>").removeprefix("urn:uuid:"))
    assert explanation.row["id"] == name


def test_an_unknown_address_brings_suggestions(plan: Plan) -> None:
    """The error for an unknown URL lists those with the longest common prefix, and none for an unknown host."""
    with pytest.raises(InputError, match=r"similar: https://a\.org/twice") as error:
        explain(plan, "https://a.org/twic")
    assert "skipped" in str(error.value)
    with pytest.raises(InputError, match="no document with this id or URL") as error:
        explain(plan, "https://nowhere.example/")
    assert "similar" not in str(error.value)


def test_spellings() -> None:
    """Normalization removes what spellings of an address differ in, and nothing else."""
    keys = pa.array(["https://www.A.org/b//", "a.org/b", "<urn:uuid:12-34>", "12-34", "a.org/b?c=d/", None])
    assert simplified(keys).to_pylist() == ["a.org/b", "a.org/b", "12-34", "12-34", "a.org/b?c=d", ""]


def test_an_input_is_explained_too(plan: Plan, run: Path) -> None:
    """An input is found by path or name, with what was read and skipped in it and why it was quarantined."""
    (good,), (broken,) = find_inputs(plan, "a.warc.gz"), find_inputs(plan, "broken.warc.gz")
    assert good.done
    assert good.read["pages.html"] == 15
    assert not broken.done
    assert broken.cause
    done = CliRunner().invoke(app, ["explain", str(run), "broken.warc.gz"])
    assert done.exit_code == 0
    assert "quarantined" in done.stdout


def test_a_long_name_does_not_touch_its_value() -> None:
    """Values are in a column; where a name is longer than the column, a space is between them."""
    read = dict.fromkeys(("bytes", "a" * 20, "a" * 21, "charset.declaration_failed"), 1)
    console = Console(file=io.StringIO(), width=200)
    show_inputs([InputFacts("a.warc", "a", done=True, cause=None, read=read)], console)
    assert isinstance(console.file, io.StringIO)
    shown = console.file.getvalue().splitlines()[3:]
    assert shown == [f"{'bytes':<21}1", f"{'a' * 20} 1", f"{'a' * 21} 1", "charset.declaration_failed 1"]


@pytest.mark.parametrize("terminal", [True, False])
def test_text_from_the_web_cannot_break_out(plan: Plan, terminal: bool) -> None:
    """No escape, control or direction character of a page reaches the terminal, and its markup is not interpreted."""
    explanation = one(plan, "hostile")
    text = printed([explanation], terminal=terminal)
    assert not set(text) & {"\x9b", "\u202e", "\u202c"}
    assert "\x1b[31mred" not in text
    assert terminal or "\x1b" not in text


def test_changes_are_readable_without_color(plan: Plan) -> None:
    """On a terminal a cut line has its sign and a color; elsewhere only the sign."""
    explanations = [one(plan, "cut/")]
    assert "\x1b[9;31m- Two words\x1b[0m" in printed(explanations, terminal=True)
    assert "[-[1]-]" in printed(explanations, terminal=True)
    assert "\n- Two words\n" in printed(explanations, terminal=False)


def test_json_has_every_change_and_no_escapes(plan: Plan, run: Path) -> None:
    """The JSON has the pieces of every change and is safe to print as well."""
    done = CliRunner().invoke(app, ["explain", str(run), "https://a.org/hostile", "--json"])
    assert not set(done.stdout) & {"\x1b", "\x9b", "\u202e"}
    (plain_one,) = json.loads(done.stdout)
    assert plain_one == json.loads(json.dumps(to_json(one(plan, "hostile"))))
    (cut,) = (stage for stage in to_json(one(plan, "cut/"))["stages"] if stage["stage"] == "c4")
    assert [["-", "Two words"]] in cut["changes"]


def test_without_the_archive_stored_values_are_shown(plan: Plan, monkeypatch: pytest.MonkeyPatch, run: Path) -> None:
    """If the archive cannot be read, values come from signals/ for kept documents and from removed/ for others."""
    before = {name: one(plan, name) for name in ("20", "thin")}
    monkeypatch.setattr("curation.jobs.inspect.explain.explain._record", lambda *_: None)
    for name, replayed in before.items():
        explanation = one(plan, name)
        assert not explanation.replayed
        stages = {measured.stage: measured.signals for measured in explanation.stages}
        for measured in replayed.stages:
            if not measured.supposed and measured.stage != "pii":
                assert stages[measured.stage] == measured.signals


def test_lines_cut_by_deduplication_are_shown(tmp_path: Path) -> None:
    """Explain shows a line that the corpus step cut because it is in too many documents."""
    footer = "Sign up to our letter and be the first to hear of what is new."
    records = [response(f"https://a.org/{seed}", page("good", *prose(seed), footer)) for seed in range(50, 54)]
    write_archive(tmp_path / "a.warc.gz", records)
    out = str(tmp_path / "out")
    settings = ["--set", "extract.extractor=resiliparse", "--set", "dedup.max_line_documents=2"]
    for words in (["filter", str(tmp_path / "a.warc.gz"), *settings], ["dedup"]):
        done = CliRunner().invoke(app, [*words, "--out", out, "--workers", "0"])
        assert done.exit_code == 0, done.output
    assert changes_of(one(open_plan(out), "51"), "lines") == [f"- {footer}"]


@pytest.mark.parametrize("value", [None, float("nan")])
def test_a_value_that_was_not_measured_passes_no_rule(value: float | None) -> None:
    """A rule whose value is missing is said not to have been measured, in stages that ran and in those that did not."""
    rule = Rule("language_score", "<=", 0.02, "language_floor")
    for supposed in (False, True):
        measured = StageResult("extract", {"language_score": value}, [(rule, False)], None, None, None, supposed)
        shown = printed([Explanation("corpus", dict.fromkeys(FIELDS), [measured])], terminal=False)
        assert "not measured" in shown
        assert "pass" not in shown
