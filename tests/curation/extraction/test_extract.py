"""Extraction: what is kept, what is removed and why."""

from __future__ import annotations

import pickle
import re

import pyarrow as pa
import pytest

from curation.errors import ParameterError, StageFailed
from curation.extraction.extract import Extract
from curation.stages.batch import Batch
from curation.stages.stage import Outcome, Stage, apply, signal_type
from curation.store.schema import RECORD

PARAGRAPH = "The harbour was quiet that morning, and the boats lay still while the men mended their nets. "
ARTICLE = (
    "<html><head><title>Harbour</title></head><body><article>"
    f"<h1>Harbour</h1><p>{PARAGRAPH * 6}</p></article></body></html>"
)
GERMAN = "Der Hafen war an diesem Morgen still, und die Boote lagen ruhig, während die Männer ihre Netze flickten. "
GERMAN_ARTICLE = ARTICLE.replace(PARAGRAPH, GERMAN)


def batch(*pages: str | None, texts: list[str | None] | None = None) -> Batch:
    """Records as the reader gives them, one per page."""
    rows = len(pages)
    columns = {field.name: pa.nulls(rows, field.type) for field in RECORD}
    columns["html"] = pa.array(pages, pa.string())
    columns["text"] = pa.array(texts or [None] * rows, pa.string())
    columns["id"] = pa.array([f"<{row}>" for row in range(rows)], pa.string())
    return Batch(pa.RecordBatch.from_arrays(list(columns.values()), schema=RECORD))


def reasons(outcome: Outcome) -> list[str | None]:
    assert outcome.reasons is not None
    return list(outcome.reasons.to_pylist())


def signal(outcome: Outcome, name: str) -> list[object]:
    assert outcome.signals is not None
    return list(outcome.signals.field(name).to_pylist())


def test_a_page_becomes_its_main_text() -> None:
    """The paragraph is in the text, the markup and the title's tag are not, and html is dropped."""
    outcome = Extract()(batch(ARTICLE))
    assert reasons(outcome) == [None]
    assert outcome.batch.text.to_pylist() == ["Harbour\n" + (PARAGRAPH * 6).strip()]
    assert "html" not in outcome.batch.table.schema.names
    assert signal(outcome, "html_characters") == [len(ARTICLE)]
    assert signal(outcome, "text_characters") == [len(outcome.batch.text[0].as_py())]


def test_it_is_a_stage() -> None:
    """It follows the protocol, is picklable and hashable, and a batch without rows has its signals."""
    stage = Extract(extractor="resiliparse")
    assert isinstance(stage, Stage)
    assert pickle.loads(pickle.dumps(stage)) == stage
    assert len({stage, Extract(extractor="resiliparse")}) == 1
    names = [field.name for field in signal_type([("extract", stage)], batch())]
    assert names == [f"extract.{name}" for name in ("html_characters", "text_characters", "language_score", "failure")]


@pytest.mark.parametrize("extractor", ["trafilatura", "resiliparse"])
def test_an_existing_text_is_kept(extractor: str) -> None:
    """A record without HTML keeps its text, whatever it is, in a batch with pages that are extracted."""
    outcome = Extract(extractor=extractor)(batch(None, ARTICLE, None, texts=["<p>from\x00 WET</p>", None, None]))
    texts = outcome.batch.text.to_pylist()
    assert texts[0] == "<p>from\x00 WET</p>"
    assert PARAGRAPH.strip() in texts[1]
    assert reasons(outcome) == [None, None, "no_text"]
    assert signal(outcome, "html_characters") == [None, len(ARTICLE), None]


@pytest.mark.parametrize("extractor", ["trafilatura", "resiliparse"])
@pytest.mark.parametrize("page", ["", " \n", "<html><body></body></html>", "<!-- -->"])
def test_a_page_without_text_is_removed(extractor: str, page: str) -> None:
    """Empty or blank pages have no text, which is a reason for removal, not an error."""
    outcome = Extract(extractor=extractor)(batch(page, ARTICLE))
    assert reasons(outcome) == ["no_text", None]
    assert signal(outcome, "text_characters")[0] == 0
    assert signal(outcome, "failure") == [None, None]


def test_a_page_that_is_too_long_is_not_extracted() -> None:
    """A page longer than `max_html_characters` is removed with that reason; one of exactly that length is kept."""
    stage = Extract(max_html_characters=len(ARTICLE))
    outcome = stage(batch(ARTICLE + " ", ARTICLE))
    assert reasons(outcome) == ["max_html_characters", None]
    assert signal(outcome, "text_characters")[0] is None


FAULTS = ("FAULT loop", "FAULT null", "FAULT memory", "FAULT error", "plain")


def test_failures_are_reasons() -> None:
    """Pages that fail are removed with the failure as the reason and the cause as a signal; counts name both."""
    outcome = Extract(extractor="isolation_faults:page", time_limit=0.5, memory_limit_mb=170)(batch(*FAULTS))
    assert reasons(outcome) == ["timeout", "crash", "memory", "error", None]
    assert signal(outcome, "failure") == ["processor time", "SIGSEGV", "MemoryError", "KeyError", None]
    assert outcome.counts == {
        "timeout.processor time": 1,
        "crash.SIGSEGV": 1,
        "memory.MemoryError": 1,
        "error.KeyError": 1,
    }


def test_an_extractor_of_ones_own_that_fails_on_every_page_stops() -> None:
    """The exception and its place are named; if some page gives a text, or there are few pages, they are removed."""
    stage = Extract(extractor="isolation_faults:page", languages=())
    pages = ["FAULT error"] * 8
    with pytest.raises(StageFailed) as error:
        stage(batch(*pages))
    place = r"\(isolation_faults.py, line \d+, in page\)"
    cause = rf"extractor isolation_faults:page fails on every page: KeyError: 'no such thing' {place}"
    assert re.fullmatch(cause, str(error.value))
    assert reasons(stage(batch(*pages, "plain"))) == ["error"] * 8 + [None]
    assert reasons(stage(batch(*pages[:7]))) == ["error"] * 7


def test_failures_are_among_the_removed_rows() -> None:
    """In a recipe, every page that fails is a removed row with its id, reason and cause."""
    stages = [("extract", Extract(extractor="isolation_faults:page", time_limit=0.5, memory_limit_mb=170))]
    applied = apply(stages, batch(*FAULTS), signal_type(stages, batch()))
    assert applied.kept.text.to_pylist() == ["plain"]
    rows = [row for part in applied.removed for row in part.to_pylist()]
    assert [(row["id"], row["reason"]) for row in rows] == [
        ("<0>", "extract.timeout"),
        ("<1>", "extract.crash"),
        ("<2>", "extract.memory"),
        ("<3>", "extract.error"),
    ]
    assert rows[1]["signals"]["extract.failure"] == "SIGSEGV"


@pytest.mark.parametrize("extractor", ["trafilatura", "resiliparse"])
def test_huge_pages_do_not_affect_others(extractor: str) -> None:
    """Next to endless nesting, 50 MB of text or a table of a million cells, good pages have their text."""
    monsters = [
        f"<html><body>{'<div>' * 100_000}deep{'</div>' * 100_000}</body></html>",
        f"<html><body>{'<b><i><p>' * 20_000}deep</body></html>",
        f"<html><body><p>{PARAGRAPH * 550_000}</p></body></html>",
        f"<html><body><table>{'<tr><td>x' * 200_000}</table></body></html>",
        f"<html><body>{'<a href=x>' * 50_000}</body></html>",
        "<" * 200_000,
        "&#x110000;&#xD800;&" * 1000,
        '<html><body><p class="' + "a " * 1_000_000 + '">x</p></body></html>',
    ]
    pages = [part for monster in monsters for part in (monster, ARTICLE)]
    stage = Extract(extractor=extractor, time_limit=1.0, memory_limit_mb=600, max_html_characters=100_000_000)
    outcome = stage(batch(ARTICLE, *pages))
    good = Extract(extractor=extractor)(batch(ARTICLE)).batch.text[0].as_py()
    assert outcome.batch.text.to_pylist()[::2] == [good] * (len(monsters) + 1)
    assert reasons(outcome)[::2] == [None] * (len(monsters) + 1)
    assert len(max(pages, key=len)) > 50_000_000


@pytest.mark.parametrize("extractor", ["trafilatura", "blocks", ("blocks", "resiliparse")])
def test_a_page_in_no_wanted_language_is_skipped(extractor: str | tuple[str, ...]) -> None:
    """With languages, a page that scores no higher than the floor for any of them is not extracted."""
    outcome = Extract(extractor=extractor, languages=("en",))(batch(ARTICLE, GERMAN_ARTICLE))
    assert reasons(outcome) == [None, "language_floor"]
    english, german = signal(outcome, "language_score")
    assert isinstance(english, float)
    assert isinstance(german, float)
    assert english > 0.5 > 0.02 >= german
    assert outcome.batch.text.to_pylist()[1] is None
    both = Extract(extractor=extractor, languages=("en", "de"))
    assert reasons(both(batch(ARTICLE, GERMAN_ARTICLE))) == [None, None]


@pytest.mark.parametrize("extractor", ["trafilatura", "blocks"])
def test_languages_change_no_text(extractor: str) -> None:
    """A page that is extracted has the same text as without languages; its language score is null without them."""
    with_languages = Extract(extractor=extractor, languages=("en",))(batch(ARTICLE))
    without = Extract(extractor=extractor)(batch(ARTICLE, GERMAN_ARTICLE))
    assert with_languages.batch.text[0] == without.batch.text[0]
    assert reasons(without) == [None, None]
    assert signal(without, "language_score") == [None, None]
    assert reasons(Extract(languages=("en",), language_floor=None)(batch(GERMAN_ARTICLE))) == [None]


@pytest.mark.parametrize("attribute", ["lang=en", 'class="a b" LANG = "en-US"', "xml:lang='de' lang='EN'"])
def test_a_page_that_declares_a_wanted_language_is_not_sampled(attribute: str) -> None:
    """It is extracted whatever its text, and has no score."""
    page = GERMAN_ARTICLE.replace("<html>", f"<!DOCTYPE html>\n<html {attribute}>")
    outcome = Extract(languages=("en",))(batch(page))
    assert reasons(outcome) == [None]
    assert signal(outcome, "language_score") == [None]


def test_a_page_that_declares_another_language_is_sampled() -> None:
    """A declaration alone removes nothing: an English page that is declared German is kept."""
    outcome = Extract(languages=("en",))(batch(ARTICLE.replace("<html>", "<html lang=de>")))
    assert reasons(outcome) == [None]
    assert signal(outcome, "language_score") != [None]


@pytest.mark.parametrize(
    "body",
    [
        f"<p hidden>{GERMAN * 6}</p>",
        f'<p>Start</p><script type="application/ld+json">{{"articleBody": "{GERMAN * 6}"}}</script>',
    ],
)
def test_blocks_extracts_pages_that_show_next_to_nothing(body: str) -> None:
    """Text that is hidden or only in JSON counts, so a page is not skipped for the few words that it shows."""
    stage = Extract(extractor="blocks", blocks_favor="recall", languages=("sw",), language_floor=0.5)
    outcome = stage(batch(f"<html><body>{body}</body></html>"))
    assert reasons(outcome) == [None]
    assert signal(outcome, "language_score") == [None]


def test_resiliparse_extracts_all_languages() -> None:
    """An extractor that is as fast as the language check extracts every page."""
    outcome = Extract(extractor="resiliparse", languages=("en",))(batch(GERMAN_ARTICLE))
    assert reasons(outcome) == [None]


@pytest.mark.parametrize(
    ("parameters", "key"),
    [
        ({"extractor": "newspaper"}, "extractor"),
        ({"extractor": "nowhere:page"}, "extractor"),
        ({"favor": "speed"}, "favor"),
        ({"languages": ("english",)}, "languages"),
        ({"languages": ("en",), "model": "/nowhere.ftz"}, "model"),
        ({"languages": ("en",), "model": __file__}, "model"),
        ({"language_floor": 1.0}, "language_floor"),
        ({"time_limit": 0.0}, "time_limit"),
        ({"memory_limit_mb": 0}, "memory_limit_mb"),
        ({"max_html_characters": 0}, "max_html_characters"),
    ],
)
def test_bad_parameters_are_refused(parameters: dict[str, object], key: str) -> None:
    """An invalid value raises ParameterError with the key, the value and what is allowed."""
    with pytest.raises(ParameterError, match="must be") as error:
        Extract(**parameters)  # type: ignore[arg-type]
    assert error.value.key == key


def test_the_model_is_in_the_fingerprint() -> None:
    """The model's hash is in the fingerprint only if languages are checked."""
    assert Extract().assets() == {}
    assert len(Extract(languages=("en",)).assets()["model"]) == 64
