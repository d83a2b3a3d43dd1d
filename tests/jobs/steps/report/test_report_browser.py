"""The report in a browser: it renders, runs nothing from pages, fits a phone, and is accessible."""

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
from curation.jobs.steps.report.samples import SampledDocument, Samples, read_samples
from curation.report.excerpts import ExcerptPart
from curation.running.cluster import Cluster

playwright = pytest.importorskip("playwright.sync_api", reason="no playwright: pip install 'curation[dev]'")

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
PAGES = ("finished", "going", "spoiled")
LARGEST = 5_000_000
SECTIONS = 13


@dataclass
class Opened:
    """A page in the browser, with the messages that it logged and the requests that it made."""

    page: Any
    messages: list[str]
    requests: list[str]


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The report of a finished run, of an unfinished run, and one with an attack in every name and text."""
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
    """The page of the run with every name in its statistics and every text of its samples replaced by an attack."""
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
    samples = read_samples(plan, count_shards(plan, Cluster()), Cluster())
    names = [f"{name}.{reason}" for name, tally in stats["stages"].items() for reason in tally["reasons"]]
    by_reason = {name: [spoiled_sample(sample)] for name in names for sample in samples.by_reason["kept"][:1]}
    by_reason["kept"] = [spoiled_sample(sample) for sample in samples.by_reason["kept"]]
    return make_page(plan, stats, lambda: Samples(by_reason, samples.clusters), measure(plan.folder, stats))


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
        launched = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield launched
        launched.close()


def opened(browser: Any, path: Path, scheme: str = "light", width: int = 1280) -> Opened:
    context = browser.new_context(color_scheme=scheme, viewport={"width": width, "height": 900})
    page = context.new_page()
    page.set_default_timeout(20_000)
    messages: list[str] = []
    requests: list[str] = []
    page.on("console", lambda message: messages.append(message.text))
    page.on("pageerror", lambda error: messages.append(str(error)))
    page.on("dialog", lambda dialog: (messages.append("a dialog"), dialog.dismiss()))
    page.on("request", lambda request: requests.append(request.url))
    page.goto(path.as_uri())
    return Opened(page, messages, requests)


@pytest.mark.parametrize("name", PAGES)
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_renders_without_requests_or_errors(browser: Any, pages: dict[str, Path], name: str, scheme: str) -> None:
    """There is no error and no other request, and every plot has bars in the colors of the scheme."""
    assert pages[name].stat().st_size < LARGEST
    tab = opened(browser, pages[name], scheme)
    boxes = tab.page.evaluate(
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
    background = tab.page.evaluate("getComputedStyle(document.body).backgroundColor")
    brightness = sum(int(part) for part in background.removeprefix("rgb(").removesuffix(")").split(","))
    assert (brightness > 600) == (scheme == "light")
    assert tab.messages == []
    assert tab.requests == [pages[name].as_uri()]
    tab.page.context.close()


@pytest.mark.parametrize("name", ["finished", "spoiled"])
def test_nothing_from_a_page_runs(browser: Any, pages: dict[str, Path], name: str) -> None:
    """Attacks in pages, URLs, names and files stay text: they add no element, attribute or script."""
    tab = opened(browser, pages[name])
    tab.page.evaluate("for (const details of document.querySelectorAll('details')) details.open = true")
    state = tab.page.evaluate(
        """() => ({
            hacked: window.hacked === undefined,
            scripts: document.scripts.length,
            styles: document.styleSheets.length,
            extras: document.querySelectorAll("img, iframe, object, embed, form, base, link:not([rel=icon])").length,
            handlers: [...document.querySelectorAll("*")].filter(
                e => [...e.attributes].some(a => a.name.startsWith("on") || a.name === "style")).length,
            links: [...document.querySelectorAll("a")].filter(a => !a.getAttribute("href").startsWith("#")).length,
            text: document.body.textContent })"""
    )
    assert state["hacked"]
    assert (state["scripts"], state["styles"]) == (1, 1)
    assert (state["extras"], state["handlers"], state["links"]) == (0, 0, 0)
    assert "<script>window.hacked=1</script>" in state["text"]
    assert "<img src=x onerror=window.hacked=1>" in state["text"]
    bad = [c for c in state["text"] if c in "\x1b\x9b\x07\u202a\u202b\u202d\u202e\u2066\u2067\u200e\u200f\ufeff"]
    assert bad == []
    assert tab.messages == []
    assert len(tab.requests) == 1
    tab.page.context.close()


def test_the_policy_would_stop_what_slipped_through(browser: Any, pages: dict[str, Path]) -> None:
    """A script, handler, image or style that is added to the page later neither runs nor loads."""
    tab = opened(browser, pages["finished"])
    tab.page.evaluate(
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
    tab.page.wait_for_timeout(200)
    assert tab.page.evaluate("window.hacked") is None
    assert tab.page.evaluate("getComputedStyle(document.getElementById('p')).color") != "rgb(255, 0, 0)"
    assert any("Content Security Policy" in message for message in tab.messages)
    tab.page.context.close()


@pytest.mark.parametrize("name", PAGES)
def test_fits_a_phone(browser: Any, pages: dict[str, Path], name: str) -> None:
    """At a width of 390 pixels the page is not wider than the screen, with everything opened."""
    tab = opened(browser, pages[name], width=390)
    widths = tab.page.evaluate(
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
    tab.page.context.close()


def test_tables_of_inputs_and_times_are_read_without_scrolling_on_a_phone(browser: Any, pages: dict[str, Path]) -> None:
    """At a width of 390 pixels every cell is inside its card and no value is broken over two lines."""
    tab = opened(browser, pages["finished"], width=390)
    cut = tab.page.evaluate(
        """() => [...document.querySelectorAll("#inputs td, #time .ranking td")].filter(cell => {
            const box = cell.getBoundingClientRect(), card = cell.closest(".card").getBoundingClientRect();
            const line = 2.5 * parseFloat(getComputedStyle(cell).fontSize);
            return box.width && (box.right > card.right || box.height > line);
        }).map(cell => cell.outerHTML)"""
    )
    assert cut == []
    assert "records lost" in tab.page.evaluate(
        'getComputedStyle(document.querySelector("#inputs td:last-child"), "::before").content'
    )
    tab.page.context.close()


def test_everything_is_reached_by_keyboard(browser: Any, pages: dict[str, Path]) -> None:
    """Tab reaches a link to every section and the heading of every stage, and Enter opens it."""
    tab = opened(browser, pages["finished"])
    page = tab.page
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
    tab.page.context.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_no_serious_violation_of_accessibility(browser: Any, pages: dict[str, Path], scheme: str) -> None:
    """axe-core finds nothing serious or critical, with stages, tables and samples opened."""
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="no axe: pip install 'curation[dev]'")
    tab = opened(browser, pages["finished"], scheme)
    tab.page.evaluate("for (const details of document.querySelectorAll('details')) details.open = true")
    answer = axe.Axe().run(tab.page, options={"resultTypes": ["violations"]}).response
    grave = [violation for violation in answer["violations"] if violation["impact"] in ("serious", "critical")]
    assert [(v["id"], [node["html"][:200] for node in v["nodes"][:3]]) for v in grave] == []
    tab.page.context.close()


def test_the_plots_show_their_numbers_on_hover(browser: Any, pages: dict[str, Path]) -> None:
    """Hovering over a bar shows its number of documents; Escape hides it."""
    tab = opened(browser, pages["finished"])
    bar = tab.page.locator("figure.plot [data-tip]").first
    bar.scroll_into_view_if_needed()
    bar.hover()
    assert tab.page.locator("#tip").text_content() == bar.get_attribute("data-tip")
    tab.page.keyboard.press("Escape")
    assert not tab.page.locator("#tip").is_visible()
    tab.page.context.close()


def test_the_funnel_counts_pages_characters_or_tokens(browser: Any, pages: dict[str, Path]) -> None:
    """The arrow keys select what the bars and numbers of the funnel count; tokens end at those of the corpus."""
    tab = opened(browser, pages["finished"])
    shown = "[...document.querySelectorAll('#stage-pii .stage-left > span')].filter(e => e.checkVisibility())"
    corpus = tab.page.get_attribute("#stage-pii", "data-characters")
    tokens = tab.page.get_attribute("[data-figure='corpus-tokens']", "data-value")
    expected = [tab.page.get_attribute("#stage-pii", "data-out"), f"{int(corpus):,}", f"≈ {int(tokens):,}"]
    tab.page.focus("#unit-documents")
    bars = "[...document.querySelectorAll('.stage-bar > span')].filter(e => e.checkVisibility()).length"
    for text in expected:
        assert tab.page.evaluate(f"{shown}.map(e => e.textContent)") == [text]
        assert tab.page.evaluate(bars) == tab.page.locator("details.stage").count()
        tab.page.keyboard.press("ArrowRight")
    tab.page.context.close()


def test_prints_light_and_with_stages_open(browser: Any, pages: dict[str, Path]) -> None:
    """In print a dark page is white and without navigation, and stages are opened and closed again."""
    tab = opened(browser, pages["finished"], "dark")
    tab.page.emulate_media(media="print")
    tab.page.evaluate("dispatchEvent(new Event('beforeprint'))")
    assert tab.page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    assert not tab.page.locator("nav").is_visible()
    assert tab.page.evaluate("[...document.querySelectorAll('details.stage')].every(d => d.open)")
    tab.page.evaluate("dispatchEvent(new Event('afterprint'))")
    assert not tab.page.evaluate("[...document.querySelectorAll('details.stage')].some(d => d.open)")
    tab.page.context.close()
