"""The report matches the content of the files, recounted with DuckDB: page, stats.json and terminal."""

from __future__ import annotations

import io
import json
import re
import shutil
from pathlib import Path
from typing import Any

import duckdb
import lxml.html
import pytest
from planted import run, write_crawl
from reported import ATTACKS, SETTINGS, STEPS, finished_run, unfinished_run
from rich.console import Console

from curation.jobs.steps.plan import open_plan
from curation.jobs.steps.progress import Progress
from curation.jobs.steps.report.report import show, write_report
from curation.jobs.steps.run import run_commands
from curation.running.cluster import Cluster

EVERYTHING = """
    SELECT url, date, language, language_score, text, token_count, true AS kept, NULL AS stage, NULL AS reason
    FROM read_parquet('{out}/corpus/*.parquet')
    UNION ALL BY NAME
    SELECT url, date, language, language_score, text, token_count, false AS kept, stage, reason
    FROM read_parquet(['{out}/removed/filter/*.parquet', '{out}/removed/dedup/*.parquet'], union_by_name=true)
"""


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return finished_run(tmp_path_factory.mktemp("reported"))


@pytest.fixture(scope="module")
def stats(out: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((out / "report" / "stats.json").read_text())
    return found


@pytest.fixture(scope="module")
def page(out: Path) -> Any:
    return lxml.html.fromstring((out / "report" / "index.html").read_text())


@pytest.fixture(scope="module")
def tables(out: Path) -> duckdb.DuckDBPyConnection:
    connection = duckdb.connect()
    connection.execute(f"CREATE VIEW pages AS {EVERYTHING.format(out=out)}")
    return connection


def shown(stats: dict[str, Any], width: int = 250) -> str:
    text = io.StringIO()
    show(stats, Console(file=text, width=width))
    return text.getvalue()


def counted(tables: duckdb.DuckDBPyConnection, query: str) -> dict[Any, Any]:
    return dict(tables.execute(query).fetchall())


def test_the_funnel_is_what_the_files_hold(stats: dict[str, Any], tables: duckdb.DuckDBPyConnection) -> None:
    """Reasons, documents out of each stage, characters and tokens equal a recount of removed/ and corpus/."""
    reasons = counted(tables, "SELECT reason, count(*) FROM pages WHERE NOT kept GROUP BY 1")
    tallies = stats["stages"].items()
    assert {f"{name}.{reason}": n for name, tally in tallies for reason, n in tally["reasons"].items()} == reasons
    assert len(reasons) > 5
    removed = counted(tables, "SELECT stage, count(*) FROM pages WHERE NOT kept GROUP BY 1")
    (left,) = tables.execute("SELECT count(*) FROM pages").fetchone() or (0,)
    for name, tally in stats["stages"].items():
        assert tally["documents_in"] == left
        left -= removed.get(name, 0)
        assert tally["documents_out"] == left
    characters, tokens = tables.execute("SELECT sum(length(text)), sum(token_count) FROM pages WHERE kept").fetchall()[
        0
    ]
    assert stats["stages"]["pii"]["characters_out"] == characters
    assert stats["tokens"]["corpus_tokens"] == tokens
    assert stats["removed_characters"] == counted(
        tables, "SELECT reason, sum(coalesce(length(text), 0)) FROM pages WHERE NOT kept GROUP BY 1"
    )


@pytest.mark.parametrize(
    ("key", "expression"),
    [
        ("languages", "language"),
        ("days", "substr(date, 1, 10)"),
        ("tlds", "regexp_extract(url, '^https://[^/?]*[.]([^/?.]+)', 1)"),
        ("domains", "regexp_extract(lower(url), '^https://([^/?]*)', 1)"),
    ],
)
def test_kept_and_removed_by_name(
    stats: dict[str, Any], tables: duckdb.DuckDBPyConnection, key: str, expression: str
) -> None:
    """Documents and kept documents by language, day, domain and top-level domain equal a recount."""
    rows = tables.execute(
        f"SELECT {expression} AS name, count(*), count(*) FILTER (kept) FROM pages WHERE name IS NOT NULL GROUP BY 1"
    ).fetchall()
    assert stats[key] == {name: {"documents": documents, "kept": kept} for name, documents, kept in rows}


@pytest.mark.parametrize(("key", "expression"), [("lengths", "nullif(length(text), 0)"), ("scores", "language_score")])
def test_histograms_of_both_sides(
    stats: dict[str, Any], tables: duckdb.DuckDBPyConnection, key: str, expression: str
) -> None:
    """Every bin of the lengths and scores, kept and removed, equals a recount; nulls are counted separately."""
    for side, condition in (("kept", "kept"), ("removed", "NOT kept")):
        rows = tables.execute(f"SELECT {expression} FROM pages WHERE {condition}").fetchall()
        assert stats[key][side] == histogram([value for (value,) in rows], stats[key][side]["edges"])


def histogram(values: list[Any], edges: list[float]) -> dict[str, Any]:
    counts = [0] * (len(edges) + 1)
    for value in values:
        if value is not None:
            counts[sum(edge <= value for edge in edges)] += 1
    return {"edges": edges, "counts": counts, "nulls": values.count(None)}


def test_histograms_of_signals(out: Path, stats: dict[str, Any], tables: duckdb.DuckDBPyConnection) -> None:
    """The bins of a signal count the stored values of kept and removed documents."""
    for name in ("gopher_quality.words", "fineweb.terminal_lines", "language.score"):
        values = [
            *tables.execute(f"SELECT \"{name}\" FROM read_parquet('{out}/signals/*.parquet')").fetchall(),
            *tables.execute(f"SELECT signals['{name}'] FROM read_parquet('{out}/removed/filter/*.parquet')").fetchall(),
        ]
        reported = stats["signals"][name]
        expected = histogram([value for (value,) in values if value is not None], reported["edges"])
        assert reported["counts"] == expected["counts"]
    similar = tables.execute(
        f"SELECT signals['dedup.similarity'] FROM read_parquet('{out}/removed/dedup/*.parquet')"
    ).fetchall()
    reported = stats["signals"]["dedup.similarity"]
    assert reported["counts"] == histogram([value for (value,) in similar], reported["edges"])["counts"]
    assert sum(reported["counts"]) == len(similar) > 0


def test_the_page_has_the_same_numbers(stats: dict[str, Any], page: Any) -> None:
    """Stages, reasons, thresholds, languages and domains on the page equal those in stats.json."""
    stages = {element.get("data-stage"): element for element in page.iter("details") if element.get("data-stage")}
    assert list(stages) == ["read", *stats["stages"]]
    for name, tally in stats["stages"].items():
        numbers = [int(stages[name].get(f"data-{key}")) for key in ("in", "out", "characters")]
        assert numbers == [tally["documents_in"], tally["documents_out"], tally["characters_out"]]
        reasons = {
            row.get("data-reason"): int(row.get("data-documents")) for row in stages[name].iter("tr") if row.attrib
        }
        assert reasons == {f"{name}.{reason}": count for reason, count in tally["reasons"].items()}
        for figure in page.xpath("//figure[starts-with(@data-figure, $name)]", name=f"signal-{name}."):
            measured = sum(stats["signals"][figure.get("data-figure").removeprefix("signal-")]["counts"])
            for side in figure.xpath(".//p[@data-reason]"):
                assert int(side.get("data-removed")) == tally["violations"][side.get("data-reason")]
                assert int(side.get("data-removed")) + int(side.get("data-kept")) == measured
    for key in ("languages", "tlds"):
        rows = page.xpath("//table[@data-table=$key]//tr[@data-name]", key=key)
        on_page = {row.get("data-name"): (int(row.get("data-documents")), int(row.get("data-kept"))) for row in rows}
        expected = {name: (counts["documents"], counts["kept"]) for name, counts in stats[key].items()}
        assert on_page.items() <= expected.items()
        assert len(on_page) == min(len(expected), 15 if key == "languages" else 20)
    tokens = page.xpath("//dd[@data-figure='corpus-tokens']/@data-value")
    assert tokens == [str(stats["tokens"]["corpus_tokens"])]


def test_every_signal_has_its_plot(stats: dict[str, Any], page: Any) -> None:
    """Each measured signal has a plot with bars and a line per threshold."""
    plots = {figure.get("data-figure"): figure for figure in page.iter("figure")}
    measured = [name for name, histogram in stats["signals"].items() if sum(histogram["counts"])]
    assert measured
    for name in measured:
        figure = plots[f"signal-{name}"]
        assert figure.xpath(".//*[@data-tip]"), name
        assert len(figure.xpath(".//*[@stroke-dasharray]")) == len(figure.xpath(".//p[@data-reason]"))


def test_the_terminal_has_the_same_numbers(stats: dict[str, Any]) -> None:
    """Each row of the funnel in the terminal has the documents, characters and reasons of stats.json."""
    text = shown(stats)
    rows = [[cell.strip() for cell in line.split("│")[1:-1]] for line in text.split("\n") if line.count("│") == 9]
    by_stage = {row[0]: row for row in rows}
    for name, tally in stats["stages"].items():
        row = by_stage[name]
        assert row[1:3] == [f"{tally['documents_in']:,}", f"{tally['documents_out']:,}"]
        if tally["characters_out"]:
            assert row[5] == f"{tally['characters_out']:,}"
        assert sum(int(n) for n in re.findall(r" (\d+)(?:,|$)", row[7])) == sum(tally["reasons"].values())


def test_text_from_the_web_cannot_steer_the_terminal(out: Path, stats: dict[str, Any]) -> None:
    """No control or direction character of a page, URL or file name reaches the terminal."""
    assert "onmouseover" in json.dumps(stats["domains"])
    assert "\u202e" in stats["quarantined"][0]["path"]
    text = shown({**stats, "languages": {ATTACKS[8] + ATTACKS[7]: {"documents": 1, "kept": 0}}})
    assert "[bold red]markup" in text
    assert not [c for c in text if not c.isprintable() and c != "\n"]


def test_a_second_report_changes_nothing(out: Path, stats: dict[str, Any]) -> None:
    """A second report of a finished run changes no file, not even its modification time."""
    before = {path: path.stat().st_mtime_ns for path in out.rglob("*") if path.is_file()}
    write_report(open_plan(str(out)), Cluster(), Progress("silent"))
    assert {path: path.stat().st_mtime_ns for path in out.rglob("*") if path.is_file()} == before


def test_the_same_run_gives_the_same_numbers_and_samples(out: Path, page: Any, tmp_path: Path) -> None:
    """An equal run in another folder has the same stats.json and the same samples; only times differ."""
    inputs = [str(path) for path in sorted(out.parent.glob("*.warc.gz"))]
    again = tmp_path / "again"
    run_commands(STEPS, str(again), inputs, None, SETTINGS, 0, None, False, False)
    assert (again / "report" / "stats.json").read_bytes() == (out / "report" / "stats.json").read_bytes()
    other = lxml.html.fromstring((again / "report" / "index.html").read_text())
    for root in (page, other):
        assert root.get_element_by_id("time") is not None
    samples = [lxml.html.tostring(root.get_element_by_id("samples")) for root in (page, other)]
    assert samples[0] == samples[1]


def test_samples_are_marked_and_masked(page: Any) -> None:
    """Repeated lines and the brace are highlighted, and no personal address is shown in text or URL."""
    marked = page.get_element_by_id("reason-c4-curly_bracket").xpath(".//mark/text()")
    assert set("".join(marked)) == {"{"}
    repetition = page.xpath("//details[starts-with(@id, 'reason-gopher_repetition')]//mark")
    assert repetition
    whole = lxml.html.tostring(page, encoding="unicode")
    assert "jane.doe" not in whole
    assert "212.58.244.20" not in whole
    assert page.xpath("//details[starts-with(@id, 'reason-')]//span[@class='mask']")


def test_a_run_still_going_has_a_report(out: Path, tmp_path: Path) -> None:
    """With one of three shards filtered, the page reports that shard and says that the run is not finished."""
    going = unfinished_run(out, tmp_path)
    reported = write_report(open_plan(str(going)), Cluster(), Progress("silent"))
    assert reported["shards"] == {"inputs": 3, "filtered": 1, "corpus": 0}
    text = (going / "report" / "index.html").read_text()
    assert "Not finished." in text
    root = lxml.html.fromstring(text)
    assert [row.get("data-stage") for row in root.iter("details") if row.get("data-stage")][-1] == "fineweb"
    assert "Deduplication has not run yet" in text


def test_a_run_of_some_steps_is_finished_with_them(tmp_path: Path) -> None:
    """The page of a run with `--steps` does not say that it is not finished, unless it is."""
    (tmp_path / "crawl").mkdir()
    write_crawl(tmp_path / "crawl")
    for steps in ("filter", "filter,dedup"):
        out = tmp_path / steps
        run(tmp_path / "crawl", out, options=["--steps", f"{steps},report"])
        assert "Not finished." not in (out / "report" / "index.html").read_text()
    for path in (out / "manifests" / "corpus").glob("a-*.json"):
        path.unlink()
    write_report(open_plan(str(out)), Cluster(), Progress("silent"))
    assert "Not finished." in (out / "report" / "index.html").read_text()


def test_a_run_of_many_inputs_has_a_report(out: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With more inputs than are listed, the page has a table of folders and one of the unusual inputs."""
    monkeypatch.setattr("curation.jobs.steps.report.inputs.LISTED", 2)
    going = unfinished_run(out, tmp_path)
    reported = write_report(open_plan(str(going)), Cluster(), Progress("silent"))
    root = lxml.html.fromstring((going / "report" / "index.html").read_text())
    (folders,) = root.xpath("//table[@data-table='input-folders']/tbody/tr")
    assert folders.get("data-documents") == str(reported["inputs"]["folders"][0]["documents"])
    assert ", quarantined" in root.xpath("string(//table[@data-table='inputs'])")


def test_a_run_that_only_began_has_a_report(out: Path, tmp_path: Path) -> None:
    """With no shard finished and a quarantined input, the page and the tables say so."""
    began = unfinished_run(out, tmp_path)
    for path in (began / "manifests" / "filter").glob("*.json"):
        path.unlink()
    reported = write_report(open_plan(str(began)), Cluster(), Progress("silent"))
    text = (began / "report" / "index.html").read_text()
    assert "Nothing is finished yet" in text
    assert lxml.html.fromstring(text).xpath("//tr[@data-quarantined]")
    assert "Quarantined" in shown(reported)


def test_a_run_with_a_partial_corpus_has_a_report(out: Path, tmp_path: Path) -> None:
    """With one shard of two in the corpus, the funnel says what is still to come and counts it as neither."""
    partial = tmp_path / "partial"
    shutil.copytree(out, partial)
    for step in ("encode", "tokens", "train-tokenizer", "report"):
        shutil.rmtree(partial / "manifests" / step)
    (path,) = (partial / "manifests" / "corpus").glob("b-*.json")
    path.unlink()
    reported = write_report(open_plan(str(partial)), Cluster(), Progress("silent"))
    assert reported["shards"] == {"inputs": 3, "filtered": 2, "corpus": 1}
    root = lxml.html.fromstring((partial / "report" / "index.html").read_text())
    (waiting,) = root.xpath("//*[@id='stage-dedup']//*[@class='stage-name']/small")
    left = reported["stages"]["fineweb"]["documents_out"] - reported["stages"]["dedup"]["documents_in"]
    assert left > 0
    assert waiting.text == f"{left} waiting"


def test_a_truncated_performance_file_is_skipped(out: Path, tmp_path: Path) -> None:
    """A file in performance/ that a crash truncated is skipped and does not break the report."""
    torn = tmp_path / "torn"
    shutil.copytree(out, torn)
    shutil.rmtree(torn / "report")
    (path,) = (torn / "performance" / "filter").glob("b-*.json")
    path.write_bytes(path.read_bytes()[:20])
    write_report(open_plan(str(torn)), Cluster(), Progress("silent"))
    root = lxml.html.fromstring((torn / "report" / "index.html").read_text())
    assert "filter" in root.get_element_by_id("time").text_content()


def test_counting_again_reads_only_new_shards(out: Path, tmp_path: Path) -> None:
    """The counts of a shard are stored, so that a later report does not read its documents again."""
    going = unfinished_run(out, tmp_path)
    reported = write_report(open_plan(str(going)), Cluster(), Progress("silent"))
    (going / "report" / "stats.json").unlink()
    (going / "manifests" / "report" / "all.json").unlink()
    from curation.jobs.steps.report.facts import collect, count_shards

    for path in [*going.glob("documents/*"), *going.glob("removed/filter/*")]:
        path.unlink()
    plan = open_plan(str(going))
    assert collect(plan, count_shards(plan, Cluster())) == reported
