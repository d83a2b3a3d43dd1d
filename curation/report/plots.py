"""Plots as inline SVG, drawn by Vega-Lite, which is bundled with vl-convert, so nothing is downloaded.

SVG is rendered here instead of by JavaScript in the browser: a page of seventy plots opens at once, prints sharply,
follows the theme through its style sheet and needs no script. Roles, styles and hidden labels that Vega adds are
removed, because the page gives each plot a name and a table, and its policy forbids inline styles.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from lxml import etree

from curation.report.excerpts import harmless
from curation.report.histograms import MIN_BARS, Bar

WIDTH, HEIGHT = 286, 104
"""Size of the plotting area in pixels; with axes about 330 wide, which a phone shows unscaled."""
VEGA_LITE = "5.20"
FONT = "Liberation Sans"
"""Bundled with vl-convert, so labels have the same size everywhere; the page shows them in its own font."""
LABELS = 5
"""Maximum number of labels on the horizontal axis."""

SIDES = ("kept", "removed", "documents")

_LONG_NUMBER = re.compile(r"(?<=\d)(\.\d\d)\d{4,}")
_SVG = "{http://www.w3.org/2000/svg}"
_DRAWING = (
    "d",
    "transform",
    "x",
    "y",
    "x1",
    "x2",
    "y1",
    "y2",
    "width",
    "height",
    "viewBox",
    "text-anchor",
    "font-size",
)
_COLORING = ("fill", "stroke", "stroke-width", "stroke-dasharray", "opacity")
_KEPT_ATTRIBUTES = frozenset((*_DRAWING, *_COLORING))

_AXIS = {
    "grid": False, "domainColor": "var(--line)", "tickColor": "var(--line)", "labelColor": "var(--soft)",
    "labelFontSize": 10.5, "ticks": False, "labelPadding": 5, "title": None,
}  # fmt: skip


def number(value: float) -> str:
    """Format a number for an axis: 1500 → "1.5k", 0.125 → "0.125"."""
    for size, sign in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(value) >= size:
            return f"{value / size:.3g}{sign}"
    return f"{value:.4g}"


def span(bar: Bar, integers: bool = False) -> str:
    """The bounds of a bar in words; for whole numbers, 1 up to, not including, 2 is "1"."""
    if bar.low is None:
        return "all" if bar.high is None else f"below {number(bar.high)}"
    if bar.high is None:
        return f"{number(bar.low)} and up"
    if integers and bar.high - bar.low == 1:
        return number(bar.low)
    return f"{number(bar.low)} to {number(bar.high - 1 if integers else bar.high)}"


def are_integers(bars: Sequence[Bar]) -> bool:
    """Whether all bounds of the bars are whole numbers."""
    limits = [limit for bar in bars for limit in (bar.low, bar.high) if limit is not None]
    return all(float(limit).is_integer() for limit in limits)


def histogram(bars: Sequence[Bar], series: Mapping[str, Sequence[int]], cuts: Sequence[float] = ()) -> str:
    """Draw a histogram with bars of equal width.

    Args:
        bars: The bars.
        series: Documents in each bar by name ("kept", "removed", "documents"), drawn as a stack.
        cuts: Values at which to draw a dashed line; one inside a bar is placed in proportion.
    """
    total = sum(map(sum, series.values())) or 1
    shares = {name: [f" ({count / total:.1%})" for count in counts] for name, counts in series.items()}
    labels = [_bound(bars, at) for at in range(len(bars) + 1)]
    shown = ["" if bound is None else number(bound) for bound in labels]
    inner = [at for at, label in enumerate(shown) if label]
    axis = _axis(shown, inner[:: _every(inner)], "datum.value")
    integers = are_integers(bars)
    layer = _stack([span(bar, integers) for bar in bars], series, axis, len(bars), shares)
    return _draw([layer, *(_line(position(bars, cut)) for cut in cuts)])


def columns(names: Sequence[str], series: Mapping[str, Sequence[int]]) -> str:
    """Draw a stack of series for each name, in the given order; only a few of the names are labels."""
    places = [at + 0.5 for at in range(0, len(names), _every(names))]
    names = [harmless(name) for name in names]
    axis = _axis(names, places, "floor(datum.value)")
    return _draw([_stack(names, series, axis, max(len(names), MIN_BARS))])


def _every(labels: Sequence[Any]) -> int:
    return max(1, -(-len(labels) // LABELS))


def _axis(labels: Sequence[str], places: Sequence[float], index: str) -> dict[str, Any]:
    listed = ",".join(map(_quoted, labels))
    return _AXIS | {"values": list(places), "labelExpr": f"[{listed}][{index}]", "labelFlush": True}


def _quoted(text: str) -> str:
    """A Vega string literal of the text, without characters that could end it."""
    safe = "".join(c if c.isalnum() or c in " .,-–:<>≥+/()" else " " for c in text)
    return f"'{safe}'"


def _stack(
    names: Sequence[str],
    series: Mapping[str, Sequence[int]],
    axis: Mapping[str, Any],
    room: int,
    shares: Mapping[str, Sequence[str]] | None = None,
) -> dict[str, Any]:
    """A layer of stacked rectangles with their numbers as descriptions, on an axis with `room` places."""
    values: list[dict[str, Any]] = []
    for at, name in enumerate(names):
        base = 0
        for side, counts in series.items():
            if counts[at]:
                share = shares[side][at] if shares is not None else ""
                tip = f"{name}: {counts[at]:,} {side}{share}"
                values.append({"x": at, "x2": at + 1, "y": base, "y2": base + counts[at], "side": side, "tip": tip})
            base += counts[at]
    y_axis: dict[str, Any] = _AXIS | {"tickCount": 3, "tickMinStep": 1, "grid": True, "gridColor": "var(--line)"}
    y_axis |= {"domain": False, "labelExpr": "format(datum.value, '.3~s')"}
    scale = {"domain": [0, max(room, 1)], "nice": False}
    colors = {"domain": list(SIDES), "range": [f"var(--{side})" for side in SIDES]}
    return {
        "data": {"values": values},
        "mark": {"type": "rect", "xOffset": 0.5, "x2Offset": -0.5},
        "encoding": {
            "x": {"field": "x", "type": "quantitative", "scale": scale, "axis": axis},
            "x2": {"field": "x2"},
            "y": {"field": "y", "type": "quantitative", "axis": y_axis, "scale": {"nice": True, "zero": True}},
            "y2": {"field": "y2"},
            "color": {"field": "side", "type": "nominal", "scale": colors, "legend": None},
            "description": {"field": "tip"},
        },
    }


def _line(place: float) -> dict[str, Any]:
    mark = {"type": "rule", "color": "var(--cut)", "strokeWidth": 1.5, "strokeDash": [4, 3], "aria": False}
    return {"data": {"values": [{}]}, "mark": mark, "encoding": {"x": {"datum": place, "type": "quantitative"}}}


def position(bars: Sequence[Bar], value: float) -> float:
    """Position of a value along bars of equal width, from 0 to their number; at an end if it is beyond them."""
    for at, bar in enumerate(bars):
        if bar.low is not None and value <= bar.low:
            return at
        if bar.high is None or value < bar.high:
            low, high = bar.low, bar.high
            return at + ((value - low) / (high - low) if low is not None and high is not None else 0.5)
    return len(bars)


def _bound(bars: Sequence[Bar], at: int) -> float | None:
    return bars[at].low if at < len(bars) else bars[-1].high if bars else None


def _draw(layers: Sequence[Mapping[str, Any]]) -> str:
    import vl_convert

    spec = {
        "width": WIDTH,
        "height": HEIGHT,
        "background": None,
        "layer": list(layers),
        "config": {"font": FONT, "view": {"stroke": None}, "padding": 2},
    }
    return clean_svg(vl_convert.vegalite_to_svg(spec, vl_version=VEGA_LITE))


def clean_svg(source: str) -> str:
    """Reduce Vega's SVG to the drawing: no hidden or empty elements, and only attributes that draw.

    Vega's description of a bar for screen readers becomes `data-tip`, which the page's script shows at the pointer.
    """
    root = etree.fromstring(source.encode(), etree.XMLParser(resolve_entities=False, no_network=True))
    for element in list(root.iter()):
        parent = element.getparent()
        if parent is not None and not _draws(element):
            parent.remove(element)
            continue
        tip = element.get("aria-label") if element.get("aria-roledescription") == "rect mark" else None
        for name in list(element.attrib):
            if name not in _KEPT_ATTRIBUTES or (name, element.get(name)) in (("opacity", "1"), ("fill", "none")):
                del element.attrib[name]
        if tip:
            element.set("data-tip", tip)
    _unwrap(root)
    root.attrib.pop("width", None)
    root.attrib.pop("height", None)
    etree.cleanup_namespaces(root)
    svg = str(etree.tostring(root, encoding="unicode")).replace(' xmlns="http://www.w3.org/2000/svg"', "")
    return _LONG_NUMBER.sub(r"\1", svg)


def _draws(element: Any) -> bool:
    if element.get("opacity") == "0" or element.get("display") == "none" or element.get("class") == "background":
        return False
    return not (element.tag == f"{_SVG}path" and not element.get("d")) and element.tag != f"{_SVG}defs"


def _unwrap(root: Any) -> None:
    """Replace groups without attributes by their content, and remove empty groups."""
    for element in reversed(list(root.iter(f"{_SVG}g"))):
        parent = element.getparent()
        if len(element) and element.attrib:
            continue
        at = parent.index(element)
        for child in reversed(list(element)):
            parent.insert(at + 1, child)
        parent.remove(element)
