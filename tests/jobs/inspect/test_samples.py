"""Samples: removed and kept documents in the terminal, with what decided marked."""

from __future__ import annotations

import json
import webbrowser
from pathlib import Path

import pytest
from archives import page, prose, response, write_archive
from typer.testing import CliRunner

from curation.jobs.cli.main import app
from curation.jobs.inspect.samples import FoundSamples, Selection, choose, find, show
from curation.jobs.steps.plan import Plan, open_plan
from curation.report.terminal import SafeConsole
from curation.running.cluster import Cluster


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of two archives: good pages, thin pages of several sites, a bracket, a copy, personal data."""
    folder = tmp_path_factory.mktemp("crawl")
    for name, first in (("a", 10), ("b", 20)):
        records = [
            response(f"https://{name}.org/{seed}", page("good", *prose(seed))) for seed in range(first, first + 4)
        ]
        records += [
            response(f"https://www.thin-{name}.org/{n}", page("thin", *prose(3 * first + n, 2))) for n in range(4)
        ]
        records += [
            response(
                f"https://sub.{name}.org/code",
                page("code", *prose(first + 5), "Here { stands a bracket.", "And no more."),
            ),
            response(f"https://copy.org/{name}", page("good", *prose(first))),
            response(f"https://{name}.org/call", page("thin", *prose(90 + first, 2), "Write to jane.doe@corp.io.")),
        ]
        write_archive(folder / f"{name}.warc.gz", records)
    out = tmp_path_factory.mktemp("run") / "out"
    for words in (["filter", str(folder)], ["dedup"]):
        words += ["--out", str(out), "--workers", "0", "--set", "extract.extractor=resiliparse"]
        done = CliRunner().invoke(app, words)
        assert done.exit_code == 0, done.output
    return out


@pytest.fixture
def plan(run: Path) -> Plan:
    return open_plan(str(run))


def urls(answer: FoundSamples) -> set[str]:
    return {document.url for _, document in answer.documents}


def samples(run: Path, *words: str) -> str:
    done = CliRunner().invoke(app, ["samples", str(run), *words])
    assert done.exit_code == 0, done.output
    return done.stdout


def test_a_reason_is_chosen_by_its_name(run: Path, plan: Plan) -> None:
    """--reason takes stage.rule or the rule alone, --stage all reasons of a stage; other names list what exists."""
    assert (
        choose(plan, "min_words", None)
        == choose(plan, "gopher_quality.min_words", None)
        == ("gopher_quality.min_words",)
    )
    assert choose(plan, None, "dedup") == ("dedup.exact_duplicate",)
    assert choose(plan, "kept", None) == ("kept",)
    done = CliRunner().invoke(app, ["samples", str(run), "--reason", "min_wrds"])
    assert "--reason min_wrds: no document was removed for it; there are gopher_quality.min_words, " in str(
        done.exception
    )


def test_filters_combine(plan: Plan) -> None:
    """A site includes the hosts below it; a text is found in any case; together they must all hold."""
    everything = Selection(None, limit=99)
    answer = find(plan, everything, Cluster())
    assert answer.total == len(answer.documents) == 22
    thin = find(plan, Selection(None, domain="thin-a.org", limit=99), Cluster())
    assert urls(thin) == {f"https://www.thin-a.org/{n}" for n in range(4)}
    site = find(plan, Selection(None, domain="https://a.org/x", limit=99), Cluster())
    assert "https://sub.a.org/code" in urls(site)
    assert "https://www.thin-a.org/0" not in urls(site)
    both = find(plan, Selection(choose(plan, None, "c4"), domain="b.org", contains="a BRACKET"), Cluster())
    assert urls(both) == {"https://sub.b.org/code"}
    assert find(plan, Selection(("kept",), contains="a bracket"), Cluster()).total == 0


def test_what_decided_is_marked(run: Path) -> None:
    """The text has the decisive parts between signs, its value and rule above, and personal data masked."""
    text = samples(run, "--reason", "curly_bracket", "--domain", "a.org")
    assert "1 of 1  c4.curly_bracket" in text
    assert "curly_bracket 1 · removed if curly_bracket > 0" in text
    assert "Here »{« stands a bracket." in text
    assert "»Write to« <email>." in samples(run, "--contains", "write to")
    assert "kept instead: https://a.org/10" in samples(run, "--stage", "dedup", "--domain", "copy.org")


def test_the_same_documents_are_shown_each_time(plan: Plan) -> None:
    """A limit takes the documents with the lowest hashes, from all shards; the rest is counted."""
    everything = find(plan, Selection(("gopher_quality.min_words",), limit=99), Cluster())
    some = find(plan, Selection(("gopher_quality.min_words",), limit=3), Cluster())
    assert some.documents == everything.documents[:3]
    assert some.total == everything.total == 10


def test_on_a_terminal_it_pages(plan: Plan, capsys: pytest.CaptureFixture[str]) -> None:
    """Between two documents the reader decides whether to go on."""
    import sys

    answer = find(plan, Selection(("gopher_quality.min_words",), limit=5), Cluster())
    answers = [True, False]
    show(answer, SafeConsole(sys.stdout, width=100), lambda: answers.pop(0))
    printed = capsys.readouterr().out
    assert "2 of 10" in printed
    assert "3 of 10" not in printed
    assert not answers


def test_without_a_filter_the_reasons_are_listed(run: Path) -> None:
    """Each reason has its number of documents, kept ones come last."""
    reasons = json.loads(samples(run, "--json"))
    assert reasons == {"gopher_quality.min_words": 10, "c4.curly_bracket": 2, "dedup.exact_duplicate": 2, "kept": 8}
    assert "c4.curly_bracket" in samples(run)


def test_the_report_is_opened_at_the_reason(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """--open shows a page made from the data, at the reason, and nothing that lies in the folder."""
    opened: list[str] = []
    monkeypatch.setattr(webbrowser, "open", opened.append)
    before = sorted(path for path in run.rglob("*") if "manifests/report" not in str(path))
    samples(run, "--reason", "curly_bracket", "--open")
    (url,) = opened
    path, _, anchor = url.removeprefix("file://").partition("#")
    assert f'id="{anchor}"' in Path(path).read_text()
    assert sorted(path for path in run.rglob("*") if "manifests/report" not in str(path)) == before


@pytest.fixture(scope="module")
def following(run: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A run against an earlier one: a copy of an earlier page, a new page and its copy. Returns both folders."""
    folder = tmp_path_factory.mktemp("following")
    (earlier := folder / "earlier").symlink_to(run)
    pages = {"again": prose(12), "new": prose(70), "newer": prose(70)}
    archive = folder / "c.warc.gz"
    write_archive(archive, [response(f"https://c.org/{name}", page("good", *text)) for name, text in pages.items()])
    words = ["run", str(archive), "--steps", "filter,dedup,report", "--against", str(earlier)]
    words += ["--out", str(folder / "out"), "--workers", "0", "--set", "extract.extractor=resiliparse"]
    done = CliRunner().invoke(app, words)
    assert done.exit_code == 0, done.output
    return folder / "out", earlier


def test_duplicates_of_earlier_runs_are_counted(following: tuple[Path, Path]) -> None:
    """How many duplicates are in an earlier run is in stats.json, in the summary and in the report."""
    out, _ = following
    stats = json.loads((out / "report" / "stats.json").read_text())
    assert stats["stages"]["dedup"]["reasons"] == {"exact_duplicate": 2}
    assert stats["stages"]["dedup"]["counts"] == {"of_earlier_runs": 1}
    shown = CliRunner().invoke(app, ["report", str(out)]).stdout
    assert "exact_duplicate 2, of these 1 in earlier runs, 1 in this run" in " ".join(shown.split())
    page = (out / "report" / "index.html").read_text()
    assert "Duplicates of documents of earlier runs: 1; of documents of this run: 1." in page


def test_a_survivor_in_an_earlier_run_is_shown(following: tuple[Path, Path]) -> None:
    """The document that is kept instead is read from the earlier run; if that is gone, its id and place are shown."""
    out, earlier = following
    shown = samples(out, "--contains", prose(12)[0][:20], "--reason", "exact_duplicate")
    assert f"kept instead: https://a.org/12, in the earlier run {earlier}" in shown
    assert f"»{prose(12)[0]}" in shown
    target = earlier.readlink()
    earlier.unlink()
    try:
        shown = samples(out, "--contains", prose(12)[0][:20], "--reason", "exact_duplicate")
    finally:
        earlier.symlink_to(target)
    assert "kept instead: <urn:uuid:" in shown
    assert f", in the earlier run {earlier}" in shown
