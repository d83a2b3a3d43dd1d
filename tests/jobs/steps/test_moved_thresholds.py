"""An update of thresholds gives the bytes of a full run, and reads only the pages whose verdict changes."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from archives import members, page, prose, response
from typer.testing import CliRunner

from curation.archives.inputs import Input
from curation.errors import UsageError
from curation.jobs.cli.main import app
from curation.jobs.steps import filter as filter_step
from curation.jobs.steps import moved_thresholds
from curation.jobs.steps.plan import EarlierRun, make_plan
from curation.jobs.steps.progress import Progress
from curation.jobs.steps.run import Run
from curation.running.cluster import Cluster

SETTINGS = ("extract.extractor=resiliparse",)
CURLY = "Here stands a curly { bracket in a line of words."
SENTENCE = "The old boat lay in the harbour for a long time, and nobody wanted to buy it."


@pytest.fixture(scope="module")
def crawl(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Pages on both sides of many thresholds, in an archive that names its crawl."""
    bodies = [[*prose(seed)] for seed in range(14)]
    bodies += [[" ".join(prose(seed)[0].split()[: 12 * seed])] for seed in range(1, 9)]
    bodies += [[*prose(40 + n), *[SENTENCE] * n] for n in range(1, 9)]
    bodies += [[*prose(80 + n)[:2], *[f"Short line {k}" for k in range(3 * n)]] for n in range(1, 6)]
    bodies += [[*prose(n), CURLY] for n in (300, 301)] + [["Wir gehen heute nach Hause und essen dort etwas."]]
    records = [response(f"https://a.org/{n}", page(f"p{n}", *body)) for n, body in enumerate(bodies)]
    records.insert(7, response("https://a.org/babes", page("soft", *prose(42))))
    records.insert(9, response("https://a.org/porn-sex", page("listed", *prose(41))))
    info = response("urn:info", "isPartOf: spring\r\n", kind="warcinfo", http=(), headers=())
    path = tmp_path_factory.mktemp("crawl") / "a.warc.gz"
    path.write_bytes(members([info, *records]))
    return path


@pytest.fixture(scope="module")
def full(crawl: Path, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """The folder of a full run with settings; each is made once."""
    done: dict[tuple[str, ...], Path] = {}

    def run(*settings: str) -> Path:
        if settings not in done:
            done[settings] = tmp_path_factory.mktemp("full") / "out"
            filtered(crawl, done[settings], *settings)
        return done[settings]

    return run


def filtered(crawl: Path, out: Path, *settings: str, **options: Any) -> None:
    """Run the filter step."""
    plan = make_plan([str(crawl)], str(out), "fineweb", (*SETTINGS, *settings), **options)
    Run(plan, Cluster(), Progress("silent")).run("filter")


def contents(out: Path) -> dict[str, bytes]:
    files = (path.relative_to(out) for path in sorted(out.rglob("*")) if path.is_file())
    return {str(path): (out / path).read_bytes() for path in files if path.parts[0] != "performance"}


@pytest.fixture
def pages_read(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Numbers of pages that were read again; reading a whole archive adds -1."""
    numbers: list[int] = []
    changed_pages, read_watched = moved_thresholds.changed_pages, filter_step.read_watched

    def counted(*arguments: Any) -> Iterator[Any]:
        for batch in changed_pages(*arguments):
            numbers.append(len(batch))
            yield batch

    def whole(source: Input, *arguments: Any) -> Iterator[Any]:
        numbers.append(-1)
        return read_watched(source, *arguments)

    monkeypatch.setattr(moved_thresholds, "changed_pages", counted)
    monkeypatch.setattr(filter_step, "read_watched", whole)
    return numbers


MOVED = [
    ("gopher_quality.min_words=80",),
    ("gopher_quality.min_words=none",),
    ("gopher_repetition.max_dup_line_fraction=none", "fineweb.max_dup_characters=0.2"),
    ("fineweb.max_short_lines=0.2", "gopher_quality.min_words=30", "language.min_score=0.9"),
    ("url.max_soft_words=0",),
    ("fineweb.max_short_lines=0.5", "signals.all=true"),
    ("language.en.gopher_quality.min_words=80",),
]


@pytest.mark.parametrize("settings", MOVED, ids=lambda settings: settings[0])
def test_the_bytes_are_those_of_a_full_run(
    crawl: Path, full: Any, tmp_path: Path, pages_read: list[int], settings: tuple[str, ...]
) -> None:
    """Files, manifests and run.json are those of a full run, whatever threshold moves where."""
    stored = tuple(setting for setting in settings if setting.startswith("signals"))
    shutil.copytree(full(*stored), tmp_path / "out")
    expected = contents(full(*settings))
    pages_read.clear()
    filtered(crawl, tmp_path / "out", *settings, update=True)
    assert contents(tmp_path / "out") == expected
    assert -1 not in pages_read
    assert 0 < sum(pages_read) <= 20


def test_another_folder_from_an_earlier_one(crawl: Path, full: Any, tmp_path: Path, pages_read: list[int]) -> None:
    """With --from, a new folder takes recipe, inputs and results of another one, which does not change."""
    before = contents(full())
    expected = contents(full("gopher_quality.min_words=80"))
    pages_read.clear()
    words = ["run", "--from", str(full()), "--out", str(tmp_path / "new"), "--workers", "0", "--steps", "filter"]
    done = CliRunner().invoke(app, [*words, "--set", "gopher_quality.min_words=80"])
    assert done.exit_code == 0, done.output
    made = contents(tmp_path / "new")
    described, asked = json.loads(made.pop("run.json")), json.loads(expected.pop("run.json"))
    assert described == {**asked, "asked": ["filter"]}
    assert made == expected
    assert contents(full()) == before
    assert -1 not in pages_read


def test_what_cannot_be_moved_is_filtered_again(crawl: Path, full: Any, tmp_path: Path, pages_read: list[int]) -> None:
    """Other keys, stored signals that are missing, and a change of most verdicts lead to a full run."""
    cases = [
        ((), ("c4.min_words_per_line=5",)),
        (("signals.stored=false",), ("signals.stored=false", "gopher_quality.min_words=80")),
        ((), ("gopher_quality.max_words=3",)),
        ((), ("c4.min_sentences=none",)),
    ]
    for number, (before, after) in enumerate(cases):
        shutil.copytree(full(*before), tmp_path / str(number))
        expected = contents(full(*after))
        pages_read.clear()
        filtered(crawl, tmp_path / str(number), *after, update=True)
        assert contents(tmp_path / str(number)) == expected
        assert -1 in pages_read


def test_an_update_that_was_killed(
    crawl: Path, full: Any, tmp_path: Path, pages_read: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run that was killed while it updated goes on from what is stored; files replaced by then are not trusted."""
    shutil.copytree(full(), tmp_path / "out")
    filter_archive, settings = filter_step.filter_archive, "gopher_quality.min_words=80"

    def killed(task: Any) -> Any:
        raise KeyboardInterrupt

    expected = contents(full(settings))
    for is_half in (False, True):
        monkeypatch.setattr(filter_step, "filter_archive", killed)
        with pytest.raises(KeyboardInterrupt):
            filtered(crawl, tmp_path / "out", settings, update=True)
        monkeypatch.setattr(filter_step, "filter_archive", filter_archive)
        if is_half:
            for path in (full(settings) / "documents").iterdir():
                (tmp_path / "out" / "documents" / path.name).write_bytes(path.read_bytes())
        pages_read.clear()
        filtered(crawl, tmp_path / "out", settings)
        assert contents(tmp_path / "out") == expected
        assert (-1 in pages_read) == is_half
        filtered(crawl, tmp_path / "out", update=True)


def test_a_recipe_with_a_filter_of_ones_own(crawl: Path, tmp_path: Path, pages_read: list[int]) -> None:
    """Thresholds of built-in filters can be moved next to a filter of one's own, whose thresholds need a full run."""
    mine = tmp_path / "mine.toml"
    mine.write_text(
        'name = "mine"\nextends = "fineweb"\n[[stage]]\nuse = "stages:Length"\nafter = "c4"\nmax_length = 1e6\n'
    )
    for number, setting in enumerate(("gopher_quality.min_words=80", "stages.max_length=1200.0")):
        for name, update in (("out", False), ("full", False), ("out", True)):
            words = (*SETTINGS, *((setting,) if name == "full" or update else ()))
            pages_read.clear()
            plan = make_plan([str(crawl)], str(tmp_path / f"{name}{number}"), str(mine), words, update=update)
            Run(plan, Cluster(), Progress("silent")).run("filter")
        assert contents(tmp_path / f"out{number}") == contents(tmp_path / f"full{number}")
        assert (-1 in pages_read) == bool(number)


def test_a_recipe_that_is_none_is_not_used(crawl: Path, full: Any, tmp_path: Path) -> None:
    """Whatever an earlier run.json has in place of stages and tables leads to a full run, not to an error."""
    plan = make_plan([str(crawl)], str(tmp_path / "out"), "fineweb", SETTINGS, earlier=str(full()))
    assert plan.earlier is not None
    assert moved_thresholds.recipe_before(plan) is not None
    document = plan.earlier.document
    for key in ("stage", "read", "dedup"):
        for value in (None, 1, "x", [], {}, [None], [{}], [{"use": 1}], {"threshold": "x"}, [[[]]]):
            earlier = EarlierRun(plan.earlier.folder, {**document, key: value})
            found = moved_thresholds.recipe_before(replace(plan, earlier=earlier))
            assert found is None or (key != "stage" and value == {})
        missing = {name: value for name, value in document.items() if name != key}
        assert moved_thresholds.recipe_before(replace(plan, earlier=EarlierRun(plan.earlier.folder, missing))) is None


def test_from_the_folder_itself(crawl: Path, full: Any) -> None:
    """--from and --out must be different folders."""
    with pytest.raises(UsageError, match="--update"):
        make_plan([str(crawl)], str(full()), None, (), earlier=str(full()))
