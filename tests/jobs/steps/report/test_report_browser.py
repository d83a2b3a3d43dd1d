"""The report in a browser: draws, obeys no page, fits a phone, and can be used by keyboard and screen reader."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from reported import ATTACKS, SCRIPT, finished_run, spoiled, unfinished_run

from curation.jobs.steps.plan import open_plan
from curation.jobs.steps.progress import Progress
from curation.jobs.steps.report.facts import count_shards
from curation.jobs.steps.report.page import make_page
from curation.jobs.steps.report.performance import measure
from curation.jobs.steps.report.report import write_report
from curation.jobs.steps.report.samples import SampledDocument, Samples, draw_samples
from curation.report.excerpts import ExcerptPart
from curation.running.cluster import Cluster

playwright = pytest.importorskip("playwright.sync_api", reason="no playwright: pip install 'curation[dev]'")

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
PAGES = ("finished", "going", "spoiled")
LARGEST = 5_000_000
SECTIONS = 12


@dataclass
class Opened:
    """A page in the browser, with what it said and asked for while it was opened."""

    page: Any
    said: list[str]
    asked: list[str]


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The report of a finished run, of one still going, and one with an attack in every name and text."""
    folder = tmp_path_factory.mktemp("browser")
    out = finished_run(folder)
    going = unfinished_run(out, folder)
    write_report(open_plan(str(going)), Cluster(), Progress("silent"))
    bad = folder / "spoiled.html"
    bad.write_text(spoiled_page(out), encoding="utf-8")
    return {
        "finished": out / "report" / "index.html",
        "going": going / "report" / "index.html",
        "spoiled": bad,
    }


def spoiled_page(out: Path) -> str:
    """The page of the run as if every name in its statistics and every text of its samples were an attack."""
    plan = open_plan(str(out))
    stats = json.loads((out / "report" / "stats.json").read_text())
    named = ("languages", "domains", "tlds", "bytes_per_token", "read", "removed_characters")
    stats |= {name: spoiled(stats[name]) for name in named}
    stats["quarantined"] = [{"path": attack, "cause": attack} for attack in ATTACKS]
    stats["recipe"] += SCRIPT
    stats["stages"] = {
        name + SCRIPT: {**tally, "reasons": spoiled(tally["reasons"]), "counts": spoiled(tally["counts"])}
        for name, tally in stats["stages"].items()
    }
    stats["signals"] = {
        name.replace(".", f"{SCRIPT}.", 1) + SCRIPT: values for name, values in stats["signals"].items()
    }
    stats["days"] = {f"'];{name[:4]}{SCRIPT}": counts for name, counts in stats["days"].items()}
    stats["dedup"]["cluster_sizes"] = {f"'+alert(1)+'{SCRIPT}": 3}
    report = json.loads((out / "tokenizer" / "report.json").read_text())
    report["longest_tokens"] = [{"id": 1, "text": attack, "bytes": 9, "count": 1} for attack in ATTACKS]
    (out / "tokenizer" / "report.json").write_text(json.dumps(report))
    samples = draw_samples(plan, count_shards(plan, Cluster()), Cluster())
    names = [f"{name}.{reason}" for name, tally in stats["stages"].items() for reason in tally["reasons"]]
    by_reason = {name: [spoiled_sample(sample)] for name in names for sample in samples.by_reason["kept"][:1]}
    by_reason["kept"] = [spoiled_sample(sample) for sample in samples.by_reason["kept"]]
    return make_page(plan, stats, Samples(by_reason, samples.clusters), measure(plan.folder, stats))


def spoiled_sample(sample: SampledDocument) -> SampledDocument:
    pieces = [
        ExcerptPart(piece.text + SCRIPT, kind) for piece in sample.pieces for kind in ("text", "mark", "mask", "gap")
    ]
    texts = dict.fromkeys(("id", "url", "language", "value", "rule", "survivor"), f"{SCRIPT}\" x='")
    return replace(sample, pieces=pieces, similarity=0.5, **texts)


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    if CHROMIUM is None:
        pytest.skip("no chromium: apt-get install chromium")
    with playwright.sync_playwright() as driver:
        found = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield found
        found.close()


def opened(browser: Any, path: Path, scheme: str = "light", width: int = 1280) -> Opened:
    context = browser.new_context(color_scheme=scheme, viewport={"width": width, "height": 900})
    page = context.new_page()
    page.set_default_timeout(20_000)
    said: list[str] = []
    asked: list[str] = []
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    page.on("dialog", lambda dialog: (said.append("a dialog"), dialog.dismiss()))
    page.on("request", lambda request: asked.append(request.url))
    page.goto(path.as_uri())
    return Opened(page, said, asked)


@pytest.mark.parametrize("name", PAGES)
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_renders_alone_and_whole(browser: Any, pages: dict[str, Path], name: str, scheme: str) -> None:
    """No error, no request but the file itself, and every plot has a drawing with bars in the colours of the scheme."""
    assert pages[name].stat().st_size < LARGEST
    found = opened(browser, pages[name], scheme)
    boxes = found.page.evaluate(
        """() => [...document.querySelectorAll("figure.plot")].map(figure => ({
            name: figure.dataset.figure,
            width: figure.querySelector("svg").getBoundingClientRect().width,
            bars: [...figure.querySelectorAll("[data-tip]")].map(bar => ({
                area: bar.getBoundingClientRect().width * bar.getBoundingClientRect().height,
                fill: getComputedStyle(bar).fill })) }))"""
    )
    assert len(boxes) > 40
    for box in boxes:
        assert box["width"] > 200, box["name"]
        assert any(bar["area"] > 10 for bar in box["bars"]), box["name"]
        assert all(bar["fill"].startswith("rgb(") and bar["fill"] != "rgb(0, 0, 0)" for bar in box["bars"]), box["name"]
    background = found.page.evaluate("getComputedStyle(document.body).backgroundColor")
    brightness = sum(int(part) for part in background.removeprefix("rgb(").removesuffix(")").split(","))
    assert (brightness > 600) == (scheme == "light")
    assert found.said == []
    assert found.asked == [pages[name].as_uri()]
    found.page.context.close()


@pytest.mark.parametrize("name", ["finished", "spoiled"])
def test_nothing_of_a_page_runs(browser: Any, pages: dict[str, Path], name: str) -> None:
    """Attacks in pages, addresses, names and files are text: no element, attribute or script came of them."""
    found = opened(browser, pages[name])
    found.page.evaluate("for (const details of document.querySelectorAll('details')) details.open = true")
    state = found.page.evaluate(
        """() => ({
            hacked: window.hacked === undefined,
            scripts: document.scripts.length,
            styles: document.styleSheets.length,
            strangers: document.querySelectorAll("img, iframe, object, embed, form, base, link:not([rel=icon])").length,
            handlers: [...document.querySelectorAll("*")].filter(
                e => [...e.attributes].some(a => a.name.startsWith("on") || a.name === "style")).length,
            links: [...document.querySelectorAll("a")].filter(a => !a.getAttribute("href").startsWith("#")).length,
            text: document.body.textContent })"""
    )
    assert state["hacked"]
    assert (state["scripts"], state["styles"]) == (1, 1)
    assert (state["strangers"], state["handlers"], state["links"]) == (0, 0, 0)
    assert "<script>window.hacked=1</script>" in state["text"]
    assert "<img src=x onerror=window.hacked=1>" in state["text"]
    bad = [c for c in state["text"] if c in "\x1b\x9b\x07\u202a\u202b\u202d\u202e\u2066\u2067\u200e\u200f\ufeff"]
    assert bad == []
    assert found.said == []
    assert len(found.asked) == 1
    found.page.context.close()


def test_the_policy_would_stop_what_slipped_through(browser: Any, pages: dict[str, Path]) -> None:
    """A script, a handler, an image or a style put into the page afterwards neither runs nor loads."""
    found = opened(browser, pages["finished"])
    found.page.evaluate(
        """() => {
            const box = document.createElement("div");
            box.innerHTML = "<img src='https://evil.test/x.png' onerror='window.hacked=1'>"
                + "<p style='color:red' id=p>x</p>";
            document.body.append(box);
            const script = document.createElement("script");
            script.textContent = "window.hacked = 1";
            document.body.append(script);
        }"""
    )
    found.page.wait_for_timeout(200)
    assert found.page.evaluate("window.hacked") is None
    assert found.page.evaluate("getComputedStyle(document.getElementById('p')).color") != "rgb(255, 0, 0)"
    assert any("Content Security Policy" in message for message in found.said)
    found.page.context.close()


@pytest.mark.parametrize("name", PAGES)
def test_fits_a_phone(browser: Any, pages: dict[str, Path], name: str) -> None:
    """At 390 pixels nothing makes the page wider than the screen, with everything opened."""
    found = opened(browser, pages[name], width=390)
    widths = found.page.evaluate(
        """() => {
            for (const details of document.querySelectorAll("details")) details.open = true;
            const room = document.documentElement.clientWidth;
            const inside = e => e.closest(".scroll, .hidden, .skip, svg") || e.getBoundingClientRect().right < room + 1;
            const outside = [...document.querySelectorAll("body *")].filter(e => !inside(e));
            const width = document.documentElement.scrollWidth;
            return [width, room, outside.map(e => e.outerHTML.slice(0, 120)).slice(0, 5)];
        }"""
    )
    assert widths[2] == []
    assert widths[0] <= widths[1] == 390
    found.page.context.close()


def test_everything_is_reached_by_keyboard(browser: Any, pages: dict[str, Path]) -> None:
    """Tab reaches a link to every section and the head of every stage, Enter opens it, Escape hides the note."""
    found = opened(browser, pages["finished"])
    page = found.page
    expected = page.evaluate(
        """() => [...document.querySelectorAll("a[href], summary, [tabindex='0']")]
            .filter(e => e.checkVisibility()).map((e, i) => { e.dataset.number = i; return i; }).length"""
    )
    reached = set()
    for _ in range(expected + 5):
        page.keyboard.press("Tab")
        reached.add(page.evaluate("document.activeElement.dataset.number"))
    assert {str(number) for number in range(expected)} <= reached
    links = page.evaluate("[...document.querySelectorAll('nav a')].map(a => a.hash.slice(1))")
    sections = page.evaluate("[...document.querySelectorAll('main > section')].map(s => s.id)")
    assert links == sections
    assert len(sections) == SECTIONS
    page.focus("#stage-dedup > summary")
    page.keyboard.press("Enter")
    assert page.evaluate("document.getElementById('stage-dedup').open")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    page.wait_for_function("location.hash && document.querySelector(location.hash).open")
    page.wait_for_function("Math.abs(document.querySelector(location.hash).getBoundingClientRect().top) < 100")
    found.page.context.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_no_serious_violation_of_accessibility(browser: Any, pages: dict[str, Path], scheme: str) -> None:
    """axe-core finds nothing serious or critical, with stages, tables and samples opened."""
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="no axe: pip install 'curation[dev]'")
    found = opened(browser, pages["finished"], scheme)
    found.page.evaluate("for (const details of document.querySelectorAll('details')) details.open = true")
    answer = axe.Axe().run(found.page, options={"resultTypes": ["violations"]}).response
    grave = [violation for violation in answer["violations"] if violation["impact"] in ("serious", "critical")]
    assert [(v["id"], [node["html"][:200] for node in v["nodes"][:3]]) for v in grave] == []
    found.page.context.close()


def test_the_plots_tell_their_numbers_at_the_pointer(browser: Any, pages: dict[str, Path]) -> None:
    """Over a bar the page says how many documents it stands for; Escape puts that away."""
    found = opened(browser, pages["finished"])
    bar = found.page.locator("figure.plot [data-tip]").first
    bar.scroll_into_view_if_needed()
    bar.hover()
    assert found.page.locator("#tip").text_content() == bar.get_attribute("data-tip")
    found.page.keyboard.press("Escape")
    assert not found.page.locator("#tip").is_visible()
    found.page.context.close()


def test_the_funnel_counts_pages_characters_or_tokens(browser: Any, pages: dict[str, Path]) -> None:
    """The arrow keys choose what the bars and numbers of the funnel count; tokens end at those of the corpus."""
    found = opened(browser, pages["finished"])
    shown = "[...document.querySelectorAll('#stage-pii .stage-left > span')].filter(e => e.checkVisibility())"
    corpus = found.page.get_attribute("#stage-pii", "data-characters")
    tokens = found.page.get_attribute("[data-figure='corpus-tokens']", "data-value")
    expected = [found.page.get_attribute("#stage-pii", "data-out"), f"{int(corpus):,}", f"≈ {int(tokens):,}"]
    found.page.focus("#unit-documents")
    bars = "[...document.querySelectorAll('.stage-bar > span')].filter(e => e.checkVisibility()).length"
    for text in expected:
        assert found.page.evaluate(f"{shown}.map(e => e.textContent)") == [text]
        assert found.page.evaluate(bars) == found.page.locator("details.stage").count()
        found.page.keyboard.press("ArrowRight")
    found.page.context.close()


def test_prints_light_and_with_its_reasons(browser: Any, pages: dict[str, Path]) -> None:
    """On paper a dark page is white and its navigation gone; stages open for it and close again."""
    found = opened(browser, pages["finished"], "dark")
    found.page.emulate_media(media="print")
    found.page.evaluate("dispatchEvent(new Event('beforeprint'))")
    assert found.page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    assert not found.page.locator("nav").is_visible()
    assert found.page.evaluate("[...document.querySelectorAll('details.stage')].every(d => d.open)")
    found.page.evaluate("dispatchEvent(new Event('afterprint'))")
    assert not found.page.evaluate("[...document.querySelectorAll('details.stage')].some(d => d.open)")
    found.page.context.close()
