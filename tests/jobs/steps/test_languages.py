"""A run of several languages: one pass, each document by the rules of its own language."""

from __future__ import annotations

import gzip
import json
from collections import defaultdict
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from archives import page, response, write_archive
from planted import SETTINGS, verdict_of
from typer.testing import CliRunner

from curation.errors import AlarmRaised
from curation.jobs.cli.main import app
from curation.jobs.inspect.explain.explain import explain
from curation.jobs.inspect.what_if.what_if import what_if
from curation.jobs.steps import filter as filter_step
from curation.jobs.steps.alarms import check_alarms, language_rates, removal_rates
from curation.jobs.steps.moved_thresholds import recipe_before
from curation.jobs.steps.plan import make_plan, open_plan
from curation.jobs.steps.progress import Progress
from curation.jobs.steps.run import Run
from curation.jobs.steps.table import steps
from curation.recipes.recipe import from_document, load
from curation.running.cluster import Cluster
from curation.stages.pipeline import Pipeline
from curation.stages.rules import violations
from curation.stages.signals import Histogram

LANGUAGES = {"de": "deu_Latn", "fr": "fra_Latn", "pl": "pol_Latn"}


def pages(shared_data: Path) -> list[bytes]:
    """Pages in three languages, of 3 to 12 sentences each, some in English, and a German text that is also a page."""
    sentences = defaultdict(list)
    with gzip.open(shared_data / "language" / "lingua-sentences.tsv.gz", "rt", encoding="utf-8") as lines:
        for line in lines:
            code, sentence = line.rstrip("\n").split("\t", 1)
            sentences[code].append(sentence)
    records = []
    for number in range(48):
        code = ("de", "fr", "pl", "en")[number % 4]
        size = 3 + number % 10
        texts = sentences[code][3 * number : 3 * number + size]
        records.append(response(f"https://a.org/{code}/{number}", page("page", *texts)))
    records.append(response("https://a.org/copy", page("page", *sentences["de"][24:35])))
    return records


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory, shared_data: Path) -> Path:
    """The folder of a finished run."""
    folder = tmp_path_factory.mktemp("languages")
    write_archive(folder / "in" / "a.warc.gz", pages(shared_data)[:25])
    write_archive(folder / "in" / "b.warc.gz", pages(shared_data)[25:])
    chosen = (*SETTINGS, f"language.languages={json.dumps([*LANGUAGES, 'kk'])}", "signals.all=true")
    sets = [word for setting in chosen for word in ("--set", setting)]
    words = ["run", str(folder / "in"), "--recipe", "fineweb-2", "--out", str(folder / "out"), "--workers", "0"]
    done = CliRunner().invoke(app, [*words, *sets])
    assert done.exit_code == 0, f"{done.output}{done.exception!r}"
    (folder / "log").write_text(done.output)
    return folder / "out"


def rows(out: Path, folder: str) -> list[dict[str, Any]]:
    return [row for path in sorted((out / folder).glob("*.parquet")) for row in pq.read_table(path).to_pylist()]


def test_the_corpus_has_languages_with_scripts(out: Path) -> None:
    """Documents in the languages asked for are in the corpus, under labels with scripts; English ones are removed."""
    assert {row["language"] for row in rows(out, "corpus")} == {*LANGUAGES.values()}
    english = [row for row in rows(out, "removed/filter") if "/en/" in row["url"]]
    assert {row["reason"] for row in english} == {"language.languages"}
    assert {row["reason"] for row in rows(out, "removed/dedup")} == {"dedup.exact_duplicate"}
    assert verdict_of(out).sound


def test_a_run_says_which_words_are_not_those_of_the_reference(out: Path) -> None:
    """One line names the languages whose tokenizer cannot be had, and which one it would be."""
    lines = [line for line in (out.parent / "log").read_text().splitlines() if "split into words" in line]
    assert len({line.partition("warning")[2] for line in lines}) == 1
    assert "texts in kaz_Cyrl are split into words at white space and punctuation, not by stanza" in lines[0]


def test_one_run_gives_what_a_run_for_each_language_gives(out: Path) -> None:
    """A document has the verdict that the recipe for its language alone gives, and shards keep the order of pages."""
    documents = rows(out, "documents")
    assert [row["warc_offset"] for row in documents[:10]] == sorted(row["warc_offset"] for row in documents[:10])
    removed = [row for row in rows(out, "removed/filter") if row["language"] in LANGUAGES.values()]
    everything = {row["id"]: row.get("reason") for row in (*documents, *removed)}
    assert {None, "gopher_quality.min_words"} < {*everything.values()}
    for code, label in LANGUAGES.items():
        texts = [row for row in (*documents, *removed) if row["language"] == label]
        alone = load("fineweb-2", [f'language.languages=["{code}"]']).stages_of(label)[2:]
        table = pa.table({name: [row[name] for row in texts] for name in ("id", "text")})
        judged = Pipeline([*alone])(table)
        found = dict(zip(judged.removed["id"].to_pylist(), judged.removed["reason"].to_pylist(), strict=True))
        assert {row["id"]: everything[row["id"]] for row in texts} == {row["id"]: found.get(row["id"]) for row in texts}


def test_a_pipeline_of_the_recipe_gives_the_same(out: Path) -> None:
    """`Pipeline(load_recipe("fineweb-2"))` judges documents by their language, too."""
    recipe = load("fineweb-2", [f"language.languages={json.dumps([*LANGUAGES])}"])
    texts = [row for row in (*rows(out, "documents"), *rows(out, "removed/filter")) if row["text"]]
    columns = {name: [row[name] for row in texts] for name in ("id", "text", "url")}
    judged = Pipeline(recipe)({**columns, "html": [None] * len(texts)})
    reasons = dict(zip(judged.removed["id"], judged.removed["reason"], strict=True))
    assert reasons == {row["id"]: row["reason"] for row in texts if "reason" in row}


def test_the_report_has_histograms_for_each_language(out: Path) -> None:
    """Signals with thresholds by language are counted and plotted for each language, of the documents that reached."""
    stats = json.loads((out / "report" / "stats.json").read_text())
    assert {*stats["language_signals"]} == {*LANGUAGES.values()}
    recipe, page_text = open_plan(str(out)).recipe, (out / "report" / "index.html").read_text()
    names = [name for name, _ in recipe.stages]
    labels = {row["id"]: row["language"] for row in rows(out, "documents")}
    for label, signals in stats["language_signals"].items():
        assert f"{label}, by its own thresholds" in page_text
        for name, reason in (("gopher_quality", "min_alpha_words"), ("fineweb", "max_newlines_per_word")):
            (rule,) = (each for each in dict(recipe.stages_of(label))[name].rules if each.reason == reason)
            measured = [row for row in rows(out, "signals") if labels[row["id"]] == label]
            removed = [row for row in rows(out, "removed/filter") if row["language"] == label]
            measured += [row["signals"] for row in removed if names.index(row["stage"]) >= names.index(name)]
            values = pa.StructArray.from_arrays([[row[f"{name}.{rule.signal}"] for row in measured]], [rule.signal])
            counted = Histogram.from_json(signals[f"{name}.{rule.signal}"])
            assert sum(counted.counts) + counted.nulls == len(measured) > 5
            assert counted.violating(rule) == violations(values, rule).sum()


def test_an_alarm_of_one_language(out: Path) -> None:
    """A stage that is in its band for all languages together, but not for one, raises an alarm that names it."""
    plan = open_plan(str(out))
    rates = language_rates(plan, [source.shard for source in plan.inputs], Cluster())
    whole = removal_rates(plan, "filter", [source.shard for source in plan.inputs])["gopher_quality"]
    shares = {label: rates[label]["gopher_quality"].share for label in LANGUAGES.values()}
    worst = max(shares, key=lambda label: shares[label])
    assert sum(rates[label]["gopher_quality"].entered for label in shares) == whole.entered
    assert shares[worst] > whole.share
    limit = (shares[worst] + whole.share) / 2
    settings = ["alarms.min_documents=1", f"alarms.gopher_quality=[0.0, {limit}]"]
    own = replace(plan, recipe=from_document(plan.recipe.resolved(), "run.json", settings))
    step = next(step for step in steps() if step.name == "filter")
    with pytest.raises(AlarmRaised, match=f"documents in {worst}, more than alarms.gopher_quality"):
        check_alarms(own, step, [source.shard for source in plan.inputs], [], Cluster())


def test_the_report_has_a_funnel_for_each_language(out: Path) -> None:
    """The funnels of languages add up to the whole, stage by stage, and end with the documents in the corpus."""
    stats = json.loads((out / "report" / "stats.json").read_text())
    assert {*stats["funnels"]} == {*LANGUAGES.values()}
    corpus = rows(out, "corpus")
    for label, funnel in stats["funnels"].items():
        assert [*funnel["stages"].values()][-1]["documents_out"] == sum(row["language"] == label for row in corpus)
        assert funnel["characters"] == sum(len(row["text"]) for row in corpus if row["language"] == label)
    for stage in ("gopher_quality", "dedup"):
        whole = stats["stages"][stage]
        parts = [funnel["stages"][stage] for funnel in stats["funnels"].values()]
        for side in ("documents_in", "documents_out"):
            assert sum(part[side] for part in parts) == whole[side]
    html = (out / "report" / "index.html").read_text()
    assert all(f'<tr data-name="{label}">' in html for label in LANGUAGES.values())


@pytest.mark.parametrize("label", [*LANGUAGES.values()])
def test_explain_shows_the_thresholds_of_the_language(label: str, out: Path) -> None:
    """What is explained of a document are its language's thresholds, and the verdict is the run's."""
    plan = open_plan(str(out))
    row = next(row for row in rows(out, "documents") if row["language"] == label)
    explained = explain(plan, row["id"])[0]
    assert explained.replayed
    assert explained.differs is None
    quality = next(each for each in explained.stages if each.stage == "gopher_quality")
    wanted = dict(plan.recipe.stages_of(label))["gopher_quality"].max_mean_word_length  # type: ignore[attr-defined]
    assert {rule.reason: rule.threshold for rule, _ in quality.rules}["max_mean_word_length"] == wanted


def test_what_if_counts_a_threshold_of_one_language(out: Path) -> None:
    """A threshold changed for one language counts its documents only, exactly; one for all counts all."""
    plan = open_plan(str(out))
    documents = rows(out, "documents")
    signals = {row["id"]: row for row in rows(out, "signals")}
    short = [row for row in documents if signals[row["id"]]["gopher_quality.words"] < 100]
    for setting, expected in (
        ("language.de.gopher_quality.min_words=100", [row for row in short if row["language"] == "deu_Latn"]),
        ("gopher_quality.min_words=100", short),
    ):
        answer = what_if(plan, [setting], Cluster())
        assert [change.partition(": ")[2] for change in answer.changes] == ["50 → 100"]
        assert expected
        assert answer.whole.now.documents == len(documents)
        assert answer.whole.most.documents == answer.whole.least.documents == len(documents) - len(expected)
    looser = "language.de.gopher_quality.min_words=none"
    thin = [row for row in rows(out, "removed/filter") if row["reason"] == "gopher_quality.min_words"]
    german = [row["text"] for row in thin if row["language"] == "deu_Latn"]
    stages = load("fineweb-2", ['language.languages=["de"]', looser]).stages_of("deu_Latn")
    added = Pipeline([("gopher_quality", dict(stages)["gopher_quality"])]).keep(
        {"text": german, "language": ["deu_Latn"] * len(german)}
    )["text"]
    assert 0 < len(added) < len(thin)
    assert what_if(plan, [looser], Cluster()).whole.most.documents == len(documents) + len(added)


def test_an_update_uses_stored_results(out: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Other thresholds, of some languages and of all, give the bytes of a full run without reading whole archives."""
    settings = [
        "gopher_quality.min_words=55",
        "language.deu.language.min_score=0.99",
        "language.de.gopher_quality.min_words=60",
        "language.fr.gopher_quality.min_words=none",
        "language.pl.fineweb.max_newlines_per_word=0.02",
    ]
    chosen = [*SETTINGS, f"language.languages={json.dumps([*LANGUAGES, 'kk'])}", "signals.all=true", *settings]
    inputs = [str(out.parent / "in")]
    full = make_plan(inputs, str(tmp_path / "full"), "fineweb-2", chosen)
    Run(full, Cluster(), Progress("silent")).run("filter")
    monkeypatch.setattr(filter_step, "read_watched", None)
    moved = make_plan([], str(tmp_path / "moved"), None, settings, earlier=str(out))
    Run(moved, Cluster(), Progress("silent")).run("filter")
    for folder in ("documents", "removed", "signals", "signatures", "manifests"):
        paths = [path.relative_to(tmp_path / "full") for path in (tmp_path / "full" / folder).rglob("*.*")]
        assert paths
        for path in paths:
            assert (tmp_path / "moved" / path).read_bytes() == (tmp_path / "full" / path).read_bytes(), path
    assert rows(out, "documents") != rows(tmp_path / "moved", "documents")


def test_an_update_of_what_is_no_threshold_filters_again(out: Path) -> None:
    """Stored results do not serve for other stop words or other languages."""
    for setting in ('language.de.gopher_quality.stop_words=["der"]', 'language.languages=["de"]'):
        plan = make_plan([], str(out), None, [setting], update=True)
        assert recipe_before(plan) is None
