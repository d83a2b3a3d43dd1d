"""What-if gives the numbers of a run with the setting, or bounds around them, and refuses what it cannot answer."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from archives import page, prose, response, write_archive
from typer.testing import CliRunner

from curation.errors import RecipeError, UsageError
from curation.jobs.cli.main import app
from curation.jobs.inspect.what_if.counts import DocumentCounts, StageOutput
from curation.jobs.inspect.what_if.sweep import sweep
from curation.jobs.inspect.what_if.view import cells, to_json
from curation.jobs.inspect.what_if.what_if import WhatIf, what_if
from curation.jobs.steps.moved_rules import movable
from curation.jobs.steps.plan import Plan, make_plan
from curation.jobs.steps.progress import Progress
from curation.jobs.steps.run import Run
from curation.recipes.recipe import load
from curation.running.cluster import Cluster
from curation.store.manifest import read_manifest

SENTENCE = "The old boat lay in the harbour for a long time, and nobody wanted to buy it."
GERMAN = "Der alte Mann ging am Morgen langsam nach Hause und dachte an seine Kinder."
CURLY, LOREM = "Here stands a curly { bracket in a line of words.", "Here stands lorem ipsum in a line of words."


def bodies() -> list[list[str]]:
    """Paragraphs of pages on both sides of many thresholds."""
    pages = [[*prose(seed)] for seed in range(12)]
    pages += [prose(100 + n)[0].split(". ")[:n] for n in range(1, 6)]
    pages += [[" ".join(prose(seed)[0].split()[: 12 * seed])] for seed in range(1, 9)]
    pages += [[*prose(40 + n), *[SENTENCE] * n] for n in range(1, 9)]
    pages += [[*prose(60 + n), *[f"- point {k} of the list" for k in range(4 * n)]] for n in range(1, 7)]
    pages += [[*prose(80 + n)[:2], *[f"Short line {k}" for k in range(3 * n)]] for n in range(1, 6)]
    pages += [[f"{GERMAN} {SENTENCE} " * 3, *prose(200 + n)[:n]] for n in range(3)] + [[GERMAN] * 8]
    pages += [[*prose(n), CURLY] for n in (300, 301)] + [[*prose(302), LOREM], [*prose(303), CURLY, LOREM]]
    pages += [
        [SENTENCE, CURLY],
        [f"{SENTENCE} {LOREM}", "An end."],
        [*prose(304), "We use cookies on this page, dear."],
    ]
    pages.append(["Look at #1 &#27;[31mred and \u202eback and [bold]loud[/bold], all of it.", *prose(305)])
    return pages


@pytest.fixture(scope="module")
def crawl(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two archives of such pages, with copies and with pages that the URL filter removes."""
    folder = tmp_path_factory.mktemp("crawl")
    records = [
        response(f"https://a.org/{number}", page(f"p{number}", *body)) for number, body in enumerate(bodies()) if body
    ]
    for number in (1, 3, 5):
        records.append(response(f"https://b.org/{number}", page("copy", *bodies()[number])))
        records.append(response(f"https://c.org/{number}", page("copy", *bodies()[number][:5], "One more line here.")))
    records.append(response("https://a.org/babes", page("soft", *prose(42))))
    records.append(response("https://a.org/porn-sex", page("listed", *prose(41))))
    write_archive(folder / "a.warc.gz", records[::2])
    write_archive(folder / "b.warc.gz", records[1::2])
    return folder


Filtered = Callable[..., Plan]


@pytest.fixture(scope="module")
def filtered(crawl: Path, tmp_path_factory: pytest.TempPathFactory) -> Filtered:
    """Runs the filter step with settings, and caches the run of each."""
    done: dict[tuple[str, ...], Plan] = {}

    def run(*settings: str, extractor: str = "resiliparse") -> Plan:
        key = (f"extract.extractor={extractor}", *settings)
        if key not in done:
            plan = make_plan([str(crawl)], str(tmp_path_factory.mktemp("run") / "out"), "fineweb", key)
            plan.write([])
            filtering = Run(plan, Cluster(), Progress("silent"))
            filtering.run("filter")
            assert not filtering.quarantined
            done[key] = plan
        return done[key]

    return run


def corpus_of(plan: Plan) -> int:
    """Deduplicate; returns the number of documents in the corpus."""
    done = CliRunner().invoke(app, ["dedup", "--out", plan.folder.url, "--workers", "0"])
    assert done.exit_code == 0, done.output
    manifests = [read_manifest(plan.folder, "corpus", source.shard) for source in plan.inputs]
    return sum(manifest.outputs[0].rows for manifest in manifests if manifest is not None)


def funnel(plan: Plan) -> dict[str, tuple[int, int]]:
    """Documents and characters that left each stage, read from the manifests."""
    total: dict[str, tuple[int, int]] = {}
    for source in plan.inputs:
        manifest = read_manifest(plan.folder, "filter", source.shard)
        assert manifest is not None
        for name, tally in manifest.counts["stages"].items():
            documents, characters = total.get(name, (0, 0))
            total[name] = (documents + tally["documents_out"], characters + tally["characters_out"])
    return total


def counts_of(answer: WhatIf, side: str) -> dict[str, tuple[int, int]]:
    amounts = {name: getattr(kept, side) for name, kept in answer.counted.stages.items()}
    return {name: (amount.documents, amount.characters) for name, amount in amounts.items()}


EXACT = [
    "url.max_soft_words=0",
    "language.min_score=0.9",
    "language.min_score=0.55",
    "gopher_repetition.max_dup_line_fraction=0.05",
    "gopher_repetition.max_top_2_gram=0.03",
    "gopher_repetition.max_dup_5_gram=0.3",
    "gopher_quality.min_words=80",
    "gopher_quality.min_words=20",
    "gopher_quality.min_words=none",
    "gopher_quality.max_words=100",
    "gopher_quality.max_mean_word_length=4.2",
    "gopher_quality.min_stop_words=5",
    "gopher_quality.max_bullet_lines=0.3",
    "c4.min_sentences=2",
    "c4.min_sentences=none",
    "c4.min_sentences=20",
    "fineweb.max_short_lines=0.2",
    "fineweb.max_dup_characters=0.2",
    "fineweb.min_terminal_lines=0.9",
    "fineweb.max_newlines_per_word=0.03",
    "extract.max_html_characters=900",
]
BOUNDED = ["c4.curly_bracket=false", "c4.lorem_ipsum=false", "language.min_score=0.2"]


@pytest.mark.parametrize("setting", [*EXACT, *BOUNDED])
def test_numbers_are_those_of_a_run(filtered: Filtered, setting: str) -> None:
    """With all signals stored, the numbers by stage are those of a new run; without, the bounds contain them."""
    truth = funnel(filtered(setting))
    assert truth != funnel(filtered("signals.all=true")), "no page is on the other side of the threshold"
    for every in ("true", "false"):
        plan = filtered(f"signals.all={every}")
        answer = what_if(plan, [setting], Cluster())
        assert counts_of(answer, "now") == funnel(plan)
        least, most = counts_of(answer, "least"), counts_of(answer, "most")
        for name, (documents, characters) in truth.items():
            assert least[name][0] <= documents <= most[name][0], (every, name)
            assert least[name][1] <= characters <= most[name][1], (every, name)
        if every == "true" and setting in EXACT:
            assert least == most == truth


@pytest.mark.parametrize("setting", [*EXACT, *BOUNDED])
def test_measuring_the_stored_texts_is_exact(filtered: Filtered, setting: str) -> None:
    """With `measure`, the numbers are those of a new run, whatever is changed."""
    for every in ("true", "false"):
        answer = what_if(filtered(f"signals.all={every}"), [setting], Cluster(), measure=True)
        assert counts_of(answer, "now") == funnel(filtered("signals.all=false"))
        assert counts_of(answer, "least") == counts_of(answer, "most") == funnel(filtered(setting))
        moved = answer.whole.least.documents - answer.whole.now.documents
        sides = [not after for before, after in answer.counted.moves.elements() if not before or not after]
        assert moved == sum(1 if side else -1 for side in sides)


@pytest.mark.parametrize("setting", ["gopher_quality.min_words=150", "gopher_quality.max_words=295"])
def test_the_corpus_after_a_tightened_rule(filtered: Filtered, setting: str) -> None:
    """With a tightened rule, the estimate accounts for near-duplicate clusters; here it equals the result of a run."""
    plan = filtered("signals.all=true", "dedup.verify=true")
    now = corpus_of(plan)
    answer = what_if(plan, [setting], Cluster())
    truth = corpus_of(filtered("dedup.verify=true", setting))
    assert answer.corpus == (now, truth, truth)
    assert truth < now < answer.whole.now.documents


def test_added_documents_are_estimated_by_the_share_kept(filtered: Filtered) -> None:
    """Documents added by a loosened rule are assumed to be duplicates as often as the documents now."""
    plan = filtered("signals.all=true", "dedup.verify=true")
    now = corpus_of(plan)
    answer = what_if(plan, ["fineweb.max_dup_characters=none"], Cluster())
    newcomers = answer.whole.most.documents - answer.whole.now.documents
    assert newcomers > 0
    assert answer.newcomers_kept == now / answer.whole.now.documents
    assert answer.corpus == (now, *[now + round(newcomers * answer.newcomers_kept)] * 2)
    assert "estimate" in CliRunner().invoke(app, ["what-if", plan.folder.url, "-s", "c4.min_sentences=none"]).stdout


def test_several_keys_at_once(filtered: Filtered) -> None:
    """Several changed rules, some tighter and some looser, give the numbers of a run too."""
    settings = ["gopher_quality.min_words=30", "c4.min_sentences=3", "fineweb.max_dup_characters=none"]
    answer = what_if(filtered("signals.all=true"), settings, Cluster())
    assert counts_of(answer, "least") == counts_of(answer, "most") == funnel(filtered(*settings))


@pytest.mark.parametrize("floor", ["0.9", "0.0001", "none"])
def test_the_language_floor(filtered: Filtered, floor: str) -> None:
    """A higher floor is exact; a lower one adds pages whose text was never extracted, which gives bounds."""
    plan = filtered("signals.all=true", extractor="trafilatura")
    answer = what_if(plan, [f"extract.language_floor={floor}"], Cluster())
    truth = funnel(filtered(f"extract.language_floor={floor}", extractor="trafilatura"))
    least, most = counts_of(answer, "least"), counts_of(answer, "most")
    assert all(least[name][0] <= truth[name][0] <= most[name][0] for name in truth)
    assert floor != "0.9" or least == most == truth


def test_changed_documents_are_counted_and_shown(filtered: Filtered) -> None:
    """Changed documents are counted by reason now and then, and examples show the value that decides."""
    answer = what_if(filtered("signals.all=true"), ["gopher_quality.min_words=150"], Cluster())
    removed = sum(count for (before, _), count in answer.counted.moves.items() if not before)
    assert removed == answer.whole.now.documents - answer.whole.most.documents > 0
    assert not answer.added
    assert 0 < len(answer.removed) <= 5
    for example in answer.removed:
        assert example.after == "gopher_quality.min_words"
        assert int(example.value.removeprefix("words = ")) < 150
        assert example.url.startswith("https://a.org/")
        assert example.beginning


def test_a_document_that_may_be_added_is_marked(filtered: Filtered) -> None:
    """A document that later filters never measured is an example of those added, but marked as not sure."""
    answer = what_if(filtered("signals.all=false"), ["gopher_quality.min_words=10"], Cluster())
    assert answer.whole.least.documents < answer.whole.most.documents
    assert not any(example.sure for example in answer.added)
    assert answer.corpus is None


def test_sizes_are_blank_before_texts_are_extracted() -> None:
    """What leaves the stage url has no characters and tokens yet; a stage that removes all has 0 of them."""
    read, none = DocumentCounts(3, 0), DocumentCounts(0, 0)
    assert cells(StageOutput(read, read, read), 0.2) == ["3", "3", "0", "", "", ""]
    assert cells(StageOutput(DocumentCounts(3, 900), none, none), 0.2) == ["3", "0", "-3", "0", "-900", "0"]


REFUSED = [
    "extract.extractor=trafilatura",
    "c4.min_words_per_line=5",
    "language.languages=[]",
    "fineweb.short_line_length=20",
    "dedup.threshold=0.9",
    "read.max_page_bytes=1000",
]


@pytest.mark.parametrize("setting", REFUSED)
def test_keys_that_are_not_thresholds_are_refused(filtered: Filtered, setting: str) -> None:
    """The error for a key that stored signals cannot answer names it and lists those that can be changed."""
    with pytest.raises(UsageError, match=r"stored signals do not show.*gopher_quality\.min_words") as error:
        what_if(filtered("signals.all=false"), [setting], Cluster())
    assert str(error.value).startswith(setting.partition("=")[0])


def test_no_change_is_refused(filtered: Filtered) -> None:
    """No setting, a setting that changes nothing, and an unknown key are errors."""
    plan = filtered("signals.all=false")
    for settings in ([], ["gopher_quality.min_words=50"]):
        with pytest.raises(UsageError, match="nothing is changed"):
            what_if(plan, settings, Cluster())
    with pytest.raises(RecipeError, match="min_wrods"):
        what_if(plan, ["gopher_quality.min_wrods=50"], Cluster())


def test_without_stored_signals_there_is_no_answer(filtered: Filtered) -> None:
    """The error for a run without stored signals names the key that stores them."""
    with pytest.raises(UsageError, match=r"signals\.stored=true"):
        what_if(filtered("signals.stored=false"), ["gopher_quality.min_words=60"], Cluster())


def test_keys_that_can_be_changed() -> None:
    """Thresholds and switches of rules can be changed, including those of rules that are off but measured anyway."""
    keys = movable(load("fineweb", ["gopher_quality.max_words=none", "c4.curly_bracket=false"]).stages)
    assert {"gopher_quality.max_words", "c4.min_sentences", "language.min_score", "url.max_soft_words"} <= set(keys)
    assert not {"c4.curly_bracket", "fineweb.short_line_length", "language.languages", "extract.extractor"} & set(keys)


def test_the_command(filtered: Filtered) -> None:
    """The command prints a table, or the same numbers as JSON."""
    plan = filtered("signals.all=true")
    words = ["what-if", plan.folder.url, "--set", "gopher_quality.min_words=80"]
    shown = CliRunner().invoke(app, words)
    assert shown.exit_code == 0
    assert "Exact" in shown.stdout
    plain = json.loads(CliRunner().invoke(app, [*words, "--json"]).stdout)
    answer: dict[str, Any] = to_json(what_if(plan, [words[-1]], Cluster()))
    assert plain == json.loads(json.dumps(answer))
    assert plain["exact"]


@pytest.mark.parametrize("form", [[], ["--json"]])
def test_examples_cannot_steer_a_terminal(filtered: Filtered, form: list[str]) -> None:
    """Text of examples is printed without escapes and direction marks, and its markup is not interpreted."""
    plan = filtered("signals.all=true")
    (example,) = what_if(plan, ["gopher_quality.max_hash_ratio=0"], Cluster()).removed
    assert "\u202e" in example.beginning
    shown = CliRunner().invoke(app, ["what-if", plan.folder.url, *form, "-s", "gopher_quality.max_hash_ratio=0"]).stdout
    assert "[bold]loud[/bold]" in shown
    assert not set(shown) & {"\x1b", "\u202e"}


def test_a_sweep_has_the_numbers_of_single_answers(filtered: Filtered) -> None:
    """Each value of a sweep has the numbers of a what-if with it, that of the run itself those of now."""
    plan = filtered("signals.all=true")
    answer = sweep(plan, "gopher_quality.min_words=30:90:20", ["c4.min_sentences=3"], Cluster())
    assert list(answer.kept) == ["30", "50", "70", "90"]
    for value, kept in answer.kept.items():
        assert kept == what_if(plan, ["c4.min_sentences=3", f"gopher_quality.min_words={value}"], Cluster()).whole
    alone = sweep(plan, "gopher_quality.min_words=50:70:20", [], Cluster()).kept["50"]
    assert alone.now == alone.least == alone.most


def test_a_sweep_on_the_command_line(filtered: Filtered) -> None:
    """The command prints a row with a bar for each value, or the same as JSON; what may be kept is drawn lighter."""
    plan = filtered("signals.all=false")
    words = ["what-if", plan.folder.url, "--sweep", "gopher_quality.min_words=10:70:60"]
    shown = CliRunner().invoke(app, words)
    assert shown.exit_code == 0, shown.output
    first, second = (line for line in shown.stdout.splitlines() if "█" in line)
    assert "░" in first
    assert "░" not in second
    plain = json.loads(CliRunner().invoke(app, [*words, "--json"]).stdout)
    assert plain["key"] == "gopher_quality.min_words"
    assert plain["now"] == 50
    assert [each["value"] for each in plain["values"]] == ["10", "70"]
    assert plain["values"][0]["least"]["documents"] < plain["values"][0]["most"]["documents"]


RANGES = ("1:2", "1:a:1", "1:5:0", "5:1:1", "1:500:1", "nan:1:1", "1:inf:1", "50:50:1")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (
            ["--set", "gopher_quality.min_words=x"],
            "--set: stage gopher_quality: min_words = 'x': must be a whole number",
        ),
        (["--sweep", "c4.nothing=1:2:1"], "--sweep c4.nothing=1:2:1: stage c4: unknown key 'nothing'"),
        (["--sweep", "nothing.x=1:2:1"], "--sweep nothing.x=1:2:1: no 'nothing' to set"),
        (["--sweep", "c4.min_sentences=1:2:1", "--sweep", "c4.min_words=1:2:1"], "--sweep takes one key"),
    ],
)
def test_what_is_wrong_is_said_of_the_option(filtered: Filtered, words: list[str], message: str) -> None:
    """A bad value is not said to be in run.json, and no sweep is left out."""
    done = CliRunner().invoke(app, ["what-if", filtered("signals.all=false").folder.url, *words])
    assert isinstance(done.exception, UsageError)
    assert str(done.exception).startswith(message)


@pytest.mark.parametrize(
    "wanted",
    [
        "gopher_quality.min_words",
        *(f"gopher_quality.min_words={values}" for values in RANGES),
        "extract.min_characters=1:5:1",
    ],
)
def test_a_sweep_that_cannot_be_made(filtered: Filtered, wanted: str) -> None:
    """A range that is none, leads nowhere, changes nothing or has too many values, or another key, is a usage error."""
    with pytest.raises(UsageError):
        sweep(filtered("signals.all=false"), wanted, [], Cluster())
