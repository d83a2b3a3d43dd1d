"""Compare matches two runs document by document, by reason, in the terminal, as an HTML page and as JSON."""

from __future__ import annotations

import io
import json
import shutil
from collections import Counter
from pathlib import Path
from typing import Any

import lxml.html
import pyarrow.parquet as pq
import pytest
from archives import page as web_page
from archives import prose, response, write_archive
from planted import run, write_crawl
from typer.testing import CliRunner

from curation.jobs.cli.main import app
from curation.jobs.inspect.compare import compare as module
from curation.jobs.inspect.compare.compare import DocumentExample, OutcomeGroup, RunComparison, compare
from curation.jobs.inspect.compare.documents import NOT_READ
from curation.jobs.inspect.compare.view import excerpts, page, pairs, show, to_json
from curation.jobs.inspect.work_folder import work_folder
from curation.jobs.steps.plan import open_plan
from curation.report.terminal import SafeConsole
from curation.running.cluster import Cluster

HOSTILE = "<script>alert(1)</script>\x1b[31m\u202e[bold]x[/bold]"


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A run, and another without deduplication, with a stricter rule and one more archive."""
    folder = tmp_path_factory.mktemp("compare")
    crawl = write_crawl(folder / "crawl")
    run(crawl, folder / "a")
    more = [response(f"https://c.org/{seed}", web_page("more", *prose(seed))) for seed in (50, 51)]
    write_archive(folder / "more" / "c.warc.gz", more)
    run([crawl, folder / "more"], folder / "b", "dedup.enabled=false", "gopher_quality.max_words=500")
    return folder / "a", folder / "b"


def compared(a: Path, b: Path) -> RunComparison:
    plans = open_plan(str(a)), open_plan(str(b))
    with work_folder(plans[0].folder, shared=False) as work:
        return compare(*plans, Cluster(), work)


def states(out: Path) -> dict[str, str | None]:
    """Why each id of a run was removed, None if it was kept; read without the code under test."""
    reasons: dict[str, str | None] = {}
    for place in ("removed/filter", "removed/dedup"):
        for path in (out / place).glob("*.parquet"):
            reasons |= {row["id"]: row["reason"] for row in pq.read_table(path, columns=["id", "reason"]).to_pylist()}
    for path in (out / "corpus").glob("*.parquet"):
        reasons |= dict.fromkeys(pq.read_table(path, columns=["id"])["id"].to_pylist())
    return reasons


def test_documents_are_counted_by_their_outcome_in_both_runs(runs: tuple[Path, Path]) -> None:
    """Counts by reason equal a direct count over both folders."""
    a, b = states(runs[0]), states(runs[1])
    expected = Counter((a.get(name, NOT_READ), b.get(name, NOT_READ)) for name in {*a, *b})
    counts: Counter[tuple[str | None, str | None]] = Counter()
    comparison = compared(*runs)
    for line in comparison.lines:
        counts[line.a, line.b] += line.documents
    assert counts == expected
    assert comparison.corpus(0) == sum(reason is None for reason in a.values())
    reasons = {line.a for line in comparison.kept_by(1)}
    assert {"dedup.exact_duplicate", "dedup.near_duplicate", NOT_READ} <= reasons
    assert comparison.same_reason == sum(a[name] is not None and a[name] == b.get(name) for name in a)


def test_sizes_are_those_of_the_corpus(runs: tuple[Path, Path]) -> None:
    """Characters and tokens of documents that only B kept are those in B."""
    a = states(runs[0])
    rows = [row for path in (runs[1] / "corpus").glob("*.parquet") for row in pq.read_table(path).to_pylist()]
    mine = [row for row in rows if a.get(row["id"], NOT_READ) is not None]
    lines = compared(*runs).kept_by(1)
    assert sum(line.characters for line in lines) == sum(len(row["text"]) for row in mine)
    assert sum(line.tokens for line in lines) == sum(row["token_count"] for row in mine)


def test_changed_texts_are_counted_separately(runs: tuple[Path, Path], tmp_path: Path) -> None:
    """Documents whose texts differ between the runs are counted separately from those with the same text."""
    run(runs[0].parent / "crawl", tmp_path / "cut", "c4.min_words_per_line=25")
    comparison = compared(runs[0], tmp_path / "cut")
    changed = comparison.both(False)
    unchanged = comparison.both(True)
    texts = [
        {
            row["id"]: row["text"]
            for path in (out / "corpus").glob("*.parquet")
            for row in pq.read_table(path).to_pylist()
        }
        for out in (runs[0], tmp_path / "cut")
    ]
    shared = [name for name in texts[0] if name in texts[1]]
    assert changed.documents == sum(texts[0][name] != texts[1][name] for name in shared)
    assert unchanged.documents == sum(texts[0][name] == texts[1][name] for name in shared)


def test_excerpts_begin_before_the_difference() -> None:
    """Excerpts leave out a long common beginning."""
    a, b = excerpts(DocumentExample("x", None, ("s" * 500 + "left", "s" * 500 + "right")))
    assert a is not None
    assert b is not None
    assert a.endswith("left")
    assert b.endswith("right")
    assert len(a) < 100
    assert excerpts(DocumentExample("x", None, (None, "short"))) == (None, "short")


def test_the_same_for_any_number_of_partitions(runs: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    """Counts and examples do not depend on the number of partitions."""
    once = to_json(compared(*runs))
    monkeypatch.setattr(module, "partitions_by_size", lambda rows, size: 7)
    assert to_json(compared(*runs)) == once


def test_a_run_equals_itself(runs: tuple[Path, Path]) -> None:
    """A run compared with itself has no differences."""
    plain = to_json(compared(runs[0], runs[0]))
    assert plain["only_a"] == plain["only_b"] == plain["recipe"] == []
    assert plain["both"]["other_text"]["documents"] == 0
    assert plain["corpus"]["a"] == plain["both"]["same_text"]["documents"] > 0


def test_unfinished_runs_are_compared_as_far_as_they_are(runs: tuple[Path, Path], tmp_path: Path) -> None:
    """Documents of a run that is only filtered count as kept, and a note says so."""
    run(runs[0].parent / "crawl", tmp_path / "out", command="filter")
    comparison = compared(tmp_path / "out", runs[0])
    assert comparison.notes[0].startswith("A: 2 inputs are only filtered")
    assert {line.b for line in comparison.kept_by(0)} == {"dedup.exact_duplicate", "dedup.near_duplicate"}


def test_tokens_of_a_run_without_a_tokenizer_are_unknown(capsys: pytest.CaptureFixture[str]) -> None:
    """Texts whose tokens were not counted have a dash, not 0 tokens."""
    from rich.console import Console

    line = OutcomeGroup(None, "c4.min_sentences", False, 7, 1234, 0, ())
    show(RunComparison(("a", "b"), (), ([], []), (line,), ()), Console(width=120))
    rows = [row.split() for row in capsys.readouterr().out.splitlines() if "1,234" in row]
    assert [row[row.index("1,234") + 2] for row in rows] == ["–", "–"]


def test_the_command_prints_a_table_a_page_and_json(runs: tuple[Path, Path], tmp_path: Path) -> None:
    """Terminal, HTML page and JSON have the same numbers."""
    words = ["compare", str(runs[0]), str(runs[1])]
    done = CliRunner().invoke(app, [*words, "--html", str(tmp_path / "page.html")])
    assert done.exit_code == 0, done.output
    assert "In B and not in A" in done.output
    assert "gopher_quality keeps documents with words <= 500 (was 100,000, stricter)" in done.output
    values = json.loads(CliRunner().invoke(app, [*words, "--json"]).stdout)
    root = lxml.html.fromstring((tmp_path / "page.html").read_text())
    rows = root.xpath("//*[@id='only-b']//tr[@data-reason]")
    on_page = {row.get("data-reason"): int(row.get("data-documents")) for row in rows}
    assert on_page == {line["a"]: line["documents"] for line in values["only_b"]}
    stages = [row.get("data-stage") for row in root.xpath("//tr[@data-stage]")]
    assert stages == [entry["stage"] for entry in values["funnel"]]
    assert stages[0] == "read"
    assert not root.xpath("//script | //img | //link[@href != 'data:,']")
    assert CliRunner().invoke(app, [*words, "--html", str(tmp_path / "none" / "x.html")]).exit_code != 0


def hostile() -> RunComparison:
    example = DocumentExample(HOSTILE, f"https://x.org/{HOSTILE}", (HOSTILE, None))
    line = OutcomeGroup(None, HOSTILE, False, 1, 2, 3, (example,))
    changed = OutcomeGroup(None, None, False, 1, 2, 3, (DocumentExample(HOSTILE, None, (HOSTILE, f"{HOSTILE} more")),))
    return RunComparison((HOSTILE, "b"), (HOSTILE,), ([], []), (line, changed), (HOSTILE,))


def test_text_from_the_web_does_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    """No markup, terminal escapes or direction marks get through, on the page or in the terminal."""
    from rich.console import Console

    text = page(hostile())
    root = lxml.html.fromstring(text)
    assert not root.xpath("//script")
    assert "\x1b" not in text
    assert "\u202e" not in text
    show(hostile(), Console(width=160, force_terminal=False))
    printed = capsys.readouterr().out
    assert "\x1b" not in printed
    assert "\u202e" not in printed
    assert "[bold]x[/bold]" in printed


def test_stages_of_both_runs_are_side_by_side() -> None:
    """A stage that only B has is listed after the one that it follows there."""
    from curation.report.funnel import Row

    def row(stage: str) -> Any:
        return Row(stage, 2, 1, 0, None, ())

    comparison = RunComparison(("a", "b"), (), ([row("url"), row("c4")], [row("url"), row("mine"), row("c4")]), (), ())
    assert [pair.stage for pair in pairs(comparison)] == ["url", "mine", "c4"]
    assert pairs(comparison)[1].rows[0] is None


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_page_in_a_browser(runs: tuple[Path, Path], tmp_path: Path, scheme: str) -> None:
    """The page makes no other request, logs nothing, fits a phone, and has no serious axe-core violation."""
    playwright = pytest.importorskip("playwright.sync_api", reason="no playwright: pip install 'curation[dev]'")
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="no axe: pip install 'curation[dev]'")
    chromium = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if chromium is None:
        pytest.skip("no chromium: apt-get install chromium")
    paths = [tmp_path / "real.html", tmp_path / "hostile.html"]
    for path, comparison in zip(paths, (compared(*runs), hostile()), strict=True):
        path.write_text(page(comparison), encoding="utf-8")
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        tab = browser.new_context(color_scheme=scheme, viewport={"width": 390, "height": 800}).new_page()
        messages: list[str] = []
        requests: list[str] = []
        tab.on("console", lambda message: messages.append(message.text))
        tab.on("request", lambda request: requests.append(request.url))
        for path in paths:
            tab.goto(path.as_uri())
            assert tab.evaluate("document.documentElement.scrollWidth") <= 390
            violations = axe.Axe().run(tab, options={"resultTypes": ["violations"]}).response["violations"]
            assert [rule["id"] for rule in violations if rule["impact"] in ("serious", "critical")] == []
        browser.close()
    assert messages == []
    assert requests == [path.as_uri() for path in paths]


def test_different_texts_are_as_wide_as_the_terminal() -> None:
    """Both texts of a document are shown one below the other, whatever the length of its address."""
    texts = ("A first text of the page. " * 20, "Another text of the page. " * 20)
    changed = OutcomeGroup(None, None, False, 1, 500, 0, (DocumentExample("1", f"https://a.org/{'x' * 90}", texts),))
    shown = io.StringIO()
    show(RunComparison(("a", "b"), (), ([], []), (changed,), ()), SafeConsole(shown, width=80))
    lines = shown.getvalue().splitlines()
    assert max(map(len, lines[lines.index("In both, with different texts") + 2 :])) <= 80
    assert any(line.startswith("    A  A first text") and len(line) > 70 for line in lines)
    assert any(line.startswith("    B  Another text") and len(line) > 70 for line in lines)
