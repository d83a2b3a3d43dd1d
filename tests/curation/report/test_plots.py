"""Plots: drawings that contain their numbers, and into which names from web pages cannot inject anything."""

from __future__ import annotations

import re

import pytest
from lxml import etree
from reported import ATTACKS

from curation.report.histograms import Bar
from curation.report.plots import columns, histogram, number, position, span

BARS = [Bar(None, 1, 4), Bar(1, 2, 0), Bar(2, 4, 9), Bar(4, None, 2)]


def parse_svg(svg: str) -> etree._Element:
    return etree.fromstring(svg)


def test_bars_are_as_high_as_their_counts() -> None:
    """Stacked rectangles have heights in proportion to their counts, and each has its number as a tip."""
    root = parse_svg(histogram(BARS, {"kept": [4, 0, 6, 2], "removed": [0, 0, 3, 0]}, [2]))
    found = root.xpath("//*[@data-tip]")
    assert [element.get("data-tip").split(" (")[0] for element in found] == [
        "below 1: 4 kept", "2 to 3: 6 kept", "2 to 3: 3 removed", "4 and up: 2 kept",
    ]  # fmt: skip
    heights = [float(re.search(r"v(-?[\d.]+)", element.get("d"))[1]) for element in found]  # type: ignore[index]
    assert [round(height / heights[3]) for height in heights] == [2, 3, 2, 1] or heights[0] / heights[
        3
    ] == pytest.approx(2, 0.02)
    assert heights[1] / heights[2] == pytest.approx(2, 0.02)
    assert {element.get("fill") for element in found} == {"var(--kept)", "var(--removed)"}
    assert len(root.xpath("//*[@stroke-dasharray]")) == 1


def test_the_same_numbers_give_the_same_drawing() -> None:
    """Equal numbers give the same bytes."""
    assert histogram(BARS, {"kept": [1, 2, 3, 4]}, [2]) == histogram(BARS, {"kept": [1, 2, 3, 4]}, [2])


@pytest.mark.parametrize("name", ATTACKS)
def test_names_are_text(name: str) -> None:
    """A name that is code for a browser or a Vega expression is drawn as text or not at all."""
    svg = columns([name, "'+alert(1)+'", "\\", "']["], {"documents": [1, 2, 3, 4]})
    root = parse_svg(svg)
    tags = {etree.QName(element).localname for element in root.iter()}
    assert tags <= {"svg", "g", "path", "text", "line"}
    names = {attribute for element in root.iter() for attribute in element.attrib}
    assert not any(attribute.startswith("on") or attribute in ("style", "href") for attribute in names)


def test_no_drawing_has_styles_or_references() -> None:
    """A plot contains nothing that the page's policy forbids, and no ids that could clash between plots."""
    svg = histogram(BARS, {"kept": [1, 2, 3, 4]}, [2])
    assert not re.search(r"style=|<style|href|url\(|id=|class=|<script", svg)


def test_empty_and_single() -> None:
    """Plots without bars, names or counts are empty."""
    assert parse_svg(histogram([], {"kept": []})) is not None
    assert parse_svg(columns([], {"kept": []})) is not None
    assert not parse_svg(columns(["a"], {"kept": [0]})).xpath("//*[@data-tip]")


@pytest.mark.parametrize(
    ("value", "place"), [(0, 0.5), (1, 1), (2, 2), (3, 2.5), (4, 3), (99, 3.5)]
)  # fmt: skip
def test_position_of_a_threshold(value: float, place: float) -> None:
    """A threshold is at the bound it equals, else in proportion inside a bar, or in the middle of an unbounded bar."""
    assert position(BARS, value) == place


def test_numbers_are_short() -> None:
    """Numbers on axes and bars are short."""
    assert [number(value) for value in (0, 0.125, 50, 1500, 2e6, 0.30000000000000004)] == [
        "0", "0.125", "50", "1.5k", "2M", "0.3",
    ]  # fmt: skip
    assert span(Bar(1, 2, 0), integers=True) == "1"
    assert span(Bar(1, 2, 0)) == "1 to 2"
    assert span(Bar(0, 5, 0), integers=True) == "0 to 4"
