"""The kernel for e-mail addresses finds and judges the same as the recognizer and what judges its spans."""

from __future__ import annotations

import random

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from curation.pii.addresses import judge_email, judge_emails
from curation.pii.context import SearchedTexts
from curation.pii.evidence import Match
from curation.pii.recognizers import Span, emails
from curation.pii.windows import email_windows, shown
from curation.text import views
from curation.text.hosts import suffixes

SIGNS = (
    *("@", "@", "\uff20", "\ufe6b", "%40", "%2540", "%25", "%", "%20", "%2F", "%5b", "%41", "_", ".", "..", "-", "--"),
    *("+", "=", "/", "?", "&", "|", "{", "!", "#", "$", "^", "~", "`", "'", "\\", "*", ":", "::", "://", "<", ">", '"'),
    *(" ", "\n", "\t", "\r", "\u00a0", "\u2003", "\x85", "\u200b", "\u200c", "\ufeff", ",", "(", "\u00b2"),
)
WORDS = (
    *("a", "jane", "J", "1", "22", "v1", "1.2", "\\n", "n", "t", "u0041", "git", "hg", "a" * 40, "é", "É", "ж", "邮"),
    *("は", "의", "ا", "٣", "\u212a", "ı", "İ", "https://", "mailto:", "mailto://", "ssh ", "rsync -a ", "sftp"),
    *("Message-ID: <", "\nReferences: ", "meſsage-id: ", "mail: ", "con", "in-", "\u212ab.jp", "x" * 146, "x" * 394),
    *("sshfs ", "ssh-copy-id ", "xssh ", ":a/b", ":.git", ":8080/", ":x", "___", "__a", " -p 22 ", "scp a ", "x" * 97),
)
HOSTS = (
    *("b.org", "b.de", "x.com", "EX.ORG", "a.co.uk", "co.uk", "k12.ca.us", "example.com", "a.Example.NET", "b.test"),
    *("c.ck", "www.ck", "b.xn--p1ai", "b.рф", "м.рф", "müller.de", "公司.cn", "å.no", "b.u\u212a", "b.zzz", "1.2.dev"),
    *("b.org.Thanks", "b.com.Call", "b.Info", "a.b.Info", "b.орг", "b.vermögensberater", "b.vermöTel", "x-y.de", "b"),
    *("comTel", "orgfax", "netwww", "come-mail", "comMobıle", "deFax", "org2", "comTé", "Pany", "anic", ".de", "."),
)
PIECES = st.sampled_from((*SIGNS, *WORDS, *HOSTS))


def by_kernel(text: str) -> tuple[list[Match], int]:
    """The matches, with those of the recognizer in windows that the kernel leaves to that, and how many these are."""
    texts = SearchedTexts(pa.array([text], pa.string()))
    windows = email_windows(texts.characters)
    matches, others = judge_emails(texts, np.column_stack([windows, windows[:, 0]]))
    return sorted([*(match for _, match in matches), *by_recognizer(text, others.tolist())]), len(others)


def by_recognizer(text: str, windows: list[list[int]]) -> list[Match]:
    """The matches that the recognizer gives in some windows."""
    return [
        match
        for _, start, end, *_ in windows
        for span in emails(shown(text[start:end]))
        if (match := judge_email(text, Span(start + span.start, start + span.end, span.score))) is not None
    ]


def check(text: str) -> int:
    """Compare both, and return the number of matches."""
    windows = email_windows(views.characters(pa.array([text], pa.string()))).tolist()
    expected = by_recognizer(text, windows)
    assert by_kernel(text)[0] == expected
    return len(expected)


@settings(deadline=None, derandomize=True, max_examples=600)
@given(st.lists(PIECES, max_size=12).map("".join))
def test_the_kernel_agrees_with_the_recognizer(text: str) -> None:
    check(text)


@settings(deadline=None, derandomize=True, max_examples=300)
@given(st.text("aAtT1._-@%40:/ \\\n", max_size=60))
def test_the_kernel_agrees_on_few_characters(text: str) -> None:
    check(text)


def test_the_kernel_agrees_on_addresses() -> None:
    """Addresses of all hosts, with anything before, between and behind them."""
    chance, found = random.Random(5), 0
    for _ in range(20_000):
        before, behind = (chance.choices((*SIGNS, *WORDS), k=chance.randint(0, 3)) for _ in range(2))
        at = chance.choice(("@", "@", "@", "%40", "\uff20"))
        local = chance.choice(("", "a", "jane", "j.d", "x_y"))
        text = "".join((*before, local, at, *chance.choices(HOSTS, k=chance.randint(1, 2)), *behind))
        found += check(text)
    assert found > 5000


@pytest.mark.parametrize(
    "text",
    [
        "jane.doe@firma.de",
        "a@b.orgTel:c@d.comFax",
        "a%40b.de%20",
        "\\njane@firma.de\\r\\n",
        "https://u:p@h.com/ mail: a@b.org",
        "Почтаivan@firma.ruсегодня",
        "@user@host.de",
        "a@b.zzz",
        "write to a@müller.de",
        "contact a@b.co.uk.",
        "a@м.рф b@b.xn--p1ai c@c.ck a@b.comÉ",
        "_a@b.org_ \\u0041a@b.org",
        "ssh a@b.org b@c.de",
        "邮@a@b.org b@c.de:2 git@b.org: a@b.org:x/y",
    ],
)
def test_common_addresses_need_no_recognizer(text: str) -> None:
    check(text)
    assert by_kernel(text)[1] == 0


@pytest.mark.parametrize(
    "text",
    [
        "x@b.org.Vermögensberater",
        "x@b.org.Vermögensberatung",
        "x@b.org.Xn--P1Ai",
        "x@b.org.XN--P1AI",
        "a@xn--ehqz56n.jp",
        "a@xn--80au.срб",
        "a@ак.xn--90a3ac",
        "a@é.xn--80au.срб",
        *(f"x@b.org:{'a' * size}{end}" for size in (1, 99, 100, 101, 102) for end in ("/", ".git", ".gitx", ".git+")),
        *(f"a@b.org:{before}c@d.org:{port}" for before in ("", "x") for port in ("25", "2", "12345/", "123456", "80:")),
        "a@b.org:.git",
        "a@b.org:x.git",
        "a@b.org:x.git.y",
        "d 2127365000 d a@b.org",
    ],
)
def test_rare_forms(text: str) -> None:
    check(text)
    check(f"{text} ")
    check(f" {text}é")


def test_top_level_domains_in_two_scripts() -> None:
    """The kernel relies on how they begin."""
    labels = {suffix.rpartition(".")[2] for suffix in suffixes()}
    assert {label[0] for label in labels if label[0].isascii() and not label.isascii()} == {"v"}
