"""The URL filter judges any URL."""

from __future__ import annotations

import pyarrow as pa
from fuzzing import fuzz
from stages import documents

from curation.filters.url import Url
from curation.stages.stage import Outcome
from curation.text.urls import page_url

OWN = {
    "extra_domains": ("bad.org", "münchen-shop.com", "203.0.112.45", "2001:db8::1", "co.uk"),
    "extra_urls": ("site-c.com/private/h", "a.org/größe?q=1"),
    "extra_words": ("größe", "uglyword"),
    "extra_soft_words": ("one", "two"),
    "extra_subwords": ("Foo Bar",),
}

MODES = (Url(), Url(matching="fixed"), Url(**OWN), Url(**OWN, matching="fixed"))

SEEDS = (
    b"http://user:pw@WWW.Bad.org:8080/a/../b/%7Ec?q=%C3%A9#top",
    "https://münchen-shop.com/größe?q=1&one=two".encode(),
    b"http://[2001:db8::1]:80/x?y",
    b"http://0xcb.0.28717/sexy/boobs",
    b"https://www.bigboobsandbabes.blogspot.mx/foo-bar/uglyword",
    b"tumblr.com/shmonina-pelageya65g/115564576472",
    b"http:\\\\site-c.com\\private\\h?",
    b"http://xn--mnchen-shop-thb.com./\t\n",
    b"http://[::1",
    b"http://a@b@c/",
)

WORDS = (
    b"http://", b"https:", b"www.", b"xn--", b"%", b"%41", b"%2e", b"%00", b"@", b":", b"::", b"[", b"]", b"/", b"\\",
    b"?", b"#", b".", b"..", b"/../", b"0x", b"256", b"-", b"_", b"\t", b" ", b"\0", b"\xff", b"porn", b"com",
    "é".encode(), "\u0301".encode(), "\u3002".encode(), "\u00ad".encode(), "\u202e".encode(), "１".encode(),
    "ß".encode(), "İ".encode(),
)  # fmt: skip


def judge(mode: Url, *urls: str) -> list[tuple[object, object]]:
    outcome: Outcome = mode(documents(*[""] * len(urls)).with_columns(url=pa.array(urls, pa.string())))
    assert outcome.signals is not None
    assert outcome.reasons is not None
    return list(zip(outcome.reasons.to_pylist(), outcome.signals.to_pylist(), strict=True))


def has_www_or_none(rest: str) -> bool:
    """Whether `www.` before this URL without scheme is another spelling of its host."""
    host = page_url(f"http://{rest}").host
    return (
        rest[:1].isalnum()
        and 0 < len(host) < 240
        and not host.startswith("www.")
        and not host.rpartition(".")[2].isdigit()
    )


def check(data: bytes) -> None:
    text = data.decode("utf-8", "replace")
    rest = text.partition("://")[2] or text
    for mode in MODES:
        first, plain, secure = judge(mode, text, f"http://{rest}", f"https://{rest}")
        assert [first, plain] == judge(mode, text, f"http://{rest}")
        assert (first[0] is None) == (first[1]["entry"] is None) or first[0] == "no_url"  # type: ignore[index]
        if mode.matching == "fixed":
            assert plain == secure
            assert not has_www_or_none(rest) or judge(mode, f"https://www.{rest}") == [plain]


def test_any_url_is_judged() -> None:
    """Every URL gets the same verdict each time; fixed, with and without `www.`, for http and https."""
    fuzz(check, SEEDS, WORDS, max_bytes=1 << 14)
