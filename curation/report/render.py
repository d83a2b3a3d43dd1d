"""Render the HTML page from templates, with a policy that lets the browser run and load only what is in the file.

Three measures keep text from the web harmless: the templates escape every value; control and direction characters are
removed from every value; and the content security policy lists the hashes of the page's only style sheet and script, so
that a tag, attribute or address that slipped through would neither run nor load.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Mapping
from functools import cache
from importlib import resources
from typing import Any

from curation.report.excerpts import harmless


def render(
    context: Mapping[str, Any], template: str = "page.html", more_style: str = "", script: str | None = "report.js"
) -> str:
    """Render a page.

    Args:
        context: The variables that the template uses.
        template: Name of the template.
        more_style: Styles in addition to those of the report.
        script: Name of the page's script; None for a page without one.
    """
    style, code = _asset("report.css") + more_style, _asset(script) if script else ""
    scripts = f"script-src '{_hash(code)}'; " if script else ""
    policy = (
        f"default-src 'none'; style-src '{_hash(style)}'; {scripts}img-src data:; base-uri 'none'; form-action 'none'"
    )
    return str(_environment().get_template(template).render(**context, style=style, script=code, policy=policy))


def compile_templates() -> None:
    """Compile the templates of the report's page, which takes as long as rendering it."""
    environment = _environment()
    for name in environment.list_templates(["html"]):
        environment.get_template(name)


@cache
def _environment() -> Any:
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("curation.report", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=_finalize,
    )
    environment.filters |= {"count": count, "percent": percent, "slug": slug, "size": size, "seconds": seconds}
    environment.filters |= {"visible": visible, "short": short}
    return environment


def _finalize(value: Any) -> Any:
    return harmless(value) if type(value) is str else value


def _asset(name: str) -> str:
    return (resources.files("curation.report") / "templates" / name).read_text(encoding="utf-8")


def _hash(text: str) -> str:
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"


def count(value: float | None) -> str:
    """1234567 → "1,234,567"; None → "–"."""
    return "–" if value is None else f"{value:,.0f}"


def short(value: float | None) -> str:
    """12364070 → "12.4 M"; below a million, and for None, as `count`."""
    if value is None or abs(value) < 1e6:
        return count(value)
    power = next(power for power in (12, 9, 6) if abs(value) >= 10**power)
    return f"{value / 10**power:,.3g}\u00a0{ {12: 'T', 9: 'G', 6: 'M'}[power] }"


def percent(value: float) -> str:
    """0.1234 → "12.3 %"; a share above zero never reads as zero: 0.0001 → "< 0.1 %"."""
    if 0 < value < 0.0005:
        return "<\u20090.1\u00a0%"
    return ">\u200999.9\u00a0%" if 0.9995 <= value < 1 else f"{value:.1%}".replace("%", "\u00a0%")


def visible(text: str) -> str:
    """Make white space visible: " the\\n" → "␣the↵"."""
    return harmless(text).replace(" ", "␣").replace("\n", "↵").replace("\t", "⇥")


def slug(text: str) -> str:
    """Turn any text into an HTML id: "c4.curly_bracket" → "c4-curly_bracket"."""
    return re.sub(r"[^A-Za-z0-9_]+", "-", text).strip("-") or "x"


def size(value: float | None) -> str:
    """Format bytes, in powers of 1000 as progress and docs do: 123456789 → "123 MB"."""
    if value is None:
        return "–"
    for unit in ("B", "kB", "MB", "GB"):
        if value < 999.5:
            return f"{value:.3g} {unit}"
        value /= 1000
    return f"{value:.3g} TB"


def seconds(value: float | None) -> str:
    """Format seconds: 0.0031 → "3.1 ms", 103 → "1 min 43 s", 4000 → "1 h 6 min"."""
    if value is None:
        return "–"
    if value < 0.1:
        return f"{value * 1000:.2g} ms"
    if value < 60:
        return f"{value:.3g} s"
    whole = round(value)
    return f"{whole // 60} min {whole % 60} s" if whole < 3600 else f"{whole // 3600:,} h {whole % 3600 // 60} min"
