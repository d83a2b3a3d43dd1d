"""URL filter: as the reference does, verdicts and reasons equal its own; fixed, entries match what they mean."""

from __future__ import annotations

import random
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pytest
from growth import assert_linear
from hypothesis import given, settings
from hypothesis import strategies as st
from pages import addresses
from stages import documents

from curation.archives.pages import read_archives
from curation.errors import ParameterError, RecipeError
from curation.filters import url as module
from curation.filters.url import Url
from curation.recipes.recipe import load
from curation.stages.batch import Batch
from curation.stages.parameters import identity

REASONS = {
    "domain": "domain",
    "subdomain": "subdomain",
    "url": "url",
    "hard_blacklisted": "hard_word",
    "soft_blacklisted": "max_soft_words",
    "blacklisted_subword": "subword",
}
"""The reference's reason → ours."""

Verdict = Callable[[str], str | None]

FIXED = Url(matching="fixed")
MODES = (Url(), FIXED)


@pytest.fixture(scope="module")
def reference(tmp_path_factory: pytest.TempPathFactory) -> Verdict:
    """datatrove's own filter, its lists unpacked into a temporary folder."""
    import datatrove.pipeline.base as base
    import datatrove.pipeline.filters.url_filter as theirs
    import tldextract
    from datatrove.data import Document

    folder = tmp_path_factory.mktemp("lists")
    # The check asks for a package that only guards the unpacking.
    base.check_required_dependencies = lambda *_: None
    theirs.cached_assets_path = lambda **_: str(folder)
    theirs.safely_create_file = lambda _, create: create()
    judge = theirs.URLFilter()
    judge.tldextractor = tldextract.TLDExtract(suffix_list_urls=(), cache_dir=None)

    def verdict(url: str) -> str | None:
        answer = judge.filter(Document(text="", id="", metadata={"url": url}))
        return REASONS[answer[1]] if isinstance(answer, tuple) else None

    return verdict


def batch_of(urls: list[str | None]) -> Batch:
    return documents(*[""] * len(urls)).with_columns(url=pa.array(urls, pa.string()))


def reasons(urls: list[str | None], judge: Url | None = None) -> list[str | None]:
    outcome = (judge or Url())(batch_of(urls))
    assert outcome.reasons is not None
    answers: list[str | None] = outcome.reasons.to_pylist()
    return answers


def generated_addresses() -> list[str]:
    """Addresses that match each list, in many spellings."""
    chance = random.Random(7)
    domains = [line.decode("utf-8", "replace") for line in module._archived_lines("domains")]
    listed = [line.decode("utf-8", "replace") for line in module._archived_lines("urls")]
    urls = []
    for name in chance.sample(domains, 1200):
        urls += [
            f"http://{name}/",
            f"https://www.{name}/a?b=c",
            f"HTTP://{name.upper()}:8080/x",
            f"http://user:pw@{name}",
        ]
    urls += chance.sample(listed, 300) + [f"http://{url}" for url in chance.sample(listed, 100)]
    for name in (module.WORDS, module.SOFT_WORDS, module.SUBWORDS):
        words = sorted(module._words(name))
        for word in words:
            other = chance.choice(words)
            urls += [
                f"https://a.org/{word}",
                f"https://a.org/{word.upper()}-{other}",
                f"https://{word}{other}.net/x_{word}",
            ]
    return urls


ODD = [
    "http://1.2.3.4/sex", "http://[::1]/", "nonsense", "http://", "http://bücher.de/", "http://xn--bcher-kva.de/x",
    "ftp://a.b.c.d.e/f", "http://com/", "http://a..b/", "//no.scheme/porn", "http://localhost:1", "\x00",
    " http://a.org ",
]  # fmt: skip


def test_parity_on_real_addresses(shared_data: Path, reference: Verdict) -> None:
    """Every address of the shared pages gets the reference's verdict and reason."""
    urls = list(addresses(shared_data))
    assert len(urls) > 2000
    assert reasons([*urls]) == [reference(url) for url in urls]


def test_parity_on_generated_addresses(reference: Verdict) -> None:
    """So do thousands generated from the lists, and odd ones; every reason occurs."""
    urls = [*generated_addresses(), *ODD]
    answers = reasons([*urls])
    assert answers == [reference(url) for url in urls]
    assert set(answers) == {*REASONS.values(), None}


@settings(deadline=None, derandomize=True, max_examples=200)
@given(st.text(st.characters(exclude_categories=("Cs",)), min_size=1, max_size=40), st.sampled_from(MODES))
def test_any_text_is_judged(url: str, mode: Url) -> None:
    """No address raises, however malformed."""
    assert reasons([url], mode)[0] in {*REASONS.values(), None}


def test_a_missing_address_has_its_own_reason() -> None:
    """A record without an address is removed as `no_url`; the reference stops the run there."""
    assert reasons([None, ""]) == ["no_url", "no_url"]


def test_no_addresses() -> None:
    """A batch without rows has signals of the same types as any other."""
    none, some = Url()(batch_of([])), Url()(batch_of(["http://a.org/"]))
    assert none.signals is not None
    assert some.signals is not None
    assert none.signals.type == some.signals.type
    assert len(none.signals) == 0


def entries(urls: list[str | None], judge: Url) -> list[str | None]:
    signals = judge(batch_of(urls)).signals
    assert signals is not None
    names: list[str | None] = signals.field("entry").to_pylist()
    return names


def test_every_kind_of_entry_matches_when_fixed() -> None:
    """Fixed, the lists match IP addresses, exact URLs, hosts with www. or in capitals, below a listed one, and IDN."""
    urls: dict[str | None, str | None] = {
        "http://1.10.146.30:8080/x": "domain",
        "http://0x010a921e/": "domain",  # the same as a number
        "https://tumblr.com/shmonina-pelageya65g/115564576472": "url",
        "http://www.tumblr.com/shmonina-pelageya65g/115564576472/#answers": "url",
        "http://HTTPS.BigBoobsAndBabes.blogspot.mx/": "subdomain",
        "https://www.bigboobsandbabes.blogspot.mx": "subdomain",
        "http://DEVICE-SKINS.xyz./": "domain",
        "http://user@DEVICE-SKINS.xyz:81": "domain",
        "http://any.sex.hu/": "domain",
        "http://device-skins.xyz.example/": None,
        "http://1.10.146.30.example/": None,
        "http://tumblr.com/shmonina-pelageya65g": None,
    }
    assert reasons([*urls], FIXED) == [*urls.values()]
    unicode = "http://" + b"accounts.xn--gogle-jye.cf".decode("idna")
    assert not unicode.isascii()
    assert reasons([unicode], FIXED) == ["subdomain"]
    assert reasons([*urls, unicode]) == [None] * (len(urls) + 1)


def test_fixed_removes_what_the_reference_removes_from_lists(shared_data: Path) -> None:
    """Fixed, a URL that the reference finds in the list of domains is found as well, and the real pages are equal."""
    chance = random.Random(8)
    domains = [line.decode() for line in module._archived_lines("domains")]
    urls: list[str | None] = [f"http://{name}/" for name in chance.sample(domains, 20_000)]
    for before, after in zip(reasons(urls), reasons(urls, FIXED), strict=True):
        assert after in ("domain", "subdomain")
        assert before in (after, None)
    real: list[str | None] = [*addresses(shared_data)]
    assert reasons(real, FIXED) == reasons(real)


def test_same_verdict_for_the_same_page() -> None:
    """Fixed, neither scheme nor www. nor capitals of the host change a verdict; words do not span the scheme."""
    urls: list[str | None] = [
        f"http://{rest}" for rest in ("exual.com/", "a.org/Dildo", "a.org/x-gay-y", "device-skins.xyz")
    ]
    expected = reasons(urls, FIXED)
    assert expected == [None, "hard_word", None, "domain"]
    for prefix in ("https://", "https://www.", "HTTP://WWW."):
        assert reasons([url.replace("http://", prefix) for url in urls if url], FIXED) == expected
    assert reasons(["https://exual.com/"], Url(False, extra_subwords=("sexual",))) == [None]
    assert reasons(["http://a.org/%64ildo/", "http://DILDO.a.org/"], FIXED) == ["hard_word", "hard_word"]


SITES = {
    "site-b.com": ["http://WWW.Site-B.com/c", "http://site-b.com:81", "site-b.com/x", "//a.b.site-b.com", "http://site-b.com."],
    "www.Site-B.com": ["http://site-b.com/", "http://x.site-b.com/"],
    "203.0.112.45": ["http://203.0.112.45/a", "http://203.0.112.45:8080", "http://3405803565/", "http://0313.0.0x702d/"],
    "2001:DB8::0:1": ["http://[2001:db8::1]/a", "http://[2001:0db8:0::1]:8080/"],
    "münchen-shop.com": ["http://xn--mnchen-shop-thb.com/", "http://MÜNCHEN-SHOP.com/g", "http://m%C3%BCnchen-shop.com"],
    "xn--mnchen-shop-thb.com": ["http://münchen-shop.com/", "http://m\u0075\u0308nchen-shop\u3002com/"],
    "straße.de": ["http://xn--strae-oqa.de/"],
    "com": ["http://any.com/", "http://com/"],
    "co.uk": ["http://a.b.co.uk/"],
}  # fmt: skip

NOT_THESE = {
    "site-b.com": ["http://notsite-b.com/", "http://site-b.com.org/", "http://a.org/site-b.com", "http://site-b.com@a.org/"],
    "203.0.112.45": ["http://1.203.0.112.45/", "http://203.0.112.4/", "http://203.0.112.45.org/"],
    "www.co.uk": ["http://a.co.uk/", "http://co.uk/"],
    "ads.site-a.com": ["http://site-a.com/", "http://www.site-a.com/"],
}  # fmt: skip


@pytest.mark.parametrize("matching", ["reference", "fixed"])
@pytest.mark.parametrize("entry", [*SITES, *NOT_THESE])
def test_own_domains_match_what_they_mean(entry: str, matching: str) -> None:
    """An own domain covers its subdomains, in any spelling of entry and URL, and nothing else, in both modes."""
    judge = Url(False, extra_domains=(entry,), matching=matching)
    inside: list[str | None] = [*SITES.get(entry, ())]
    outside: list[str | None] = [*NOT_THESE.get(entry, ())]
    assert [reason in ("domain", "subdomain") for reason in reasons([*inside, *outside], judge)] == [
        *[True] * len(inside),
        *[False] * len(outside),
    ]
    assert entries(inside, judge) == [entry] * len(inside)


SAME_PAGE = [
    "site-c.com/private/h", "http://site-c.com/private/h", "https://www.Site-C.com:443/private/h/",
    "//site-c.com:80/private/h#a", "http://u:p@site-c.com./x/../private/./%68", "http:\\\\site-c.com\\private\\h", "https://site-c.com/private/h?",
]  # fmt: skip
OTHER_PAGES = [
    "http://site-c.com/", "http://site-c.com/private", "http://site-c.com/private/H", "http://site-c.com/private/h?x",
    "http://site-c.com:8080/private/h", "http://a.site-c.com/private/h", "http://site-c.com/private/h/i",
    "http://site-c.com/private%2Fh",
]  # fmt: skip


@pytest.mark.parametrize("entry", SAME_PAGE)
def test_own_urls_match_the_page(entry: str) -> None:
    """An own URL matches every spelling of that page, and no other page of the site."""
    judge = Url(False, extra_urls=(entry,))
    assert reasons([*SAME_PAGE, *OTHER_PAGES], judge) == ["url"] * len(SAME_PAGE) + [None] * len(OTHER_PAGES)
    assert set(entries([*SAME_PAGE], judge)) == {entry}


def test_urls_with_escapes() -> None:
    """Characters in a path and their escapes are the same page."""
    judge = Url(False, extra_urls=("a.org/größe?q=é", "a.org/b%2fc|d"))
    same: list[str | None] = ["http://a.org/gr%C3%B6%c3%9fe?q=%C3%A9", "http://a.org/b%2Fc%7cd"]
    assert reasons([*same, "http://a.org/b/c|d"], judge) == ["url", "url", None]


def test_own_words() -> None:
    """Own words match in any case and script, escaped or not, whole; own subwords anywhere."""
    judge = Url(False, 1, extra_words=("Größe", "सेक्स"), extra_soft_words=("One", "two"), extra_subwords=("Foo Bar",))
    urls: dict[str | None, str | None] = {
        "http://a.org/GR%C3%96%C3%9FE/x": "hard_word",
        "http://größe.org/": "hard_word",
        "http://xn--gre-6ka8i.org/": "hard_word",
        "http://a.org/सेक्स": "hard_word",
        "http://a.org/größer": None,
        "http://a.org/one/ONE": None,
        "http://a.org/one/TWO": "max_soft_words",
        "http://a.org/xFoO-bArs": "subword",
    }
    assert reasons([*urls], judge) == [*urls.values()]
    assert entries([*urls], judge)[-3:] == [None, "one, two", "Foo Bar"]


def test_the_entry_is_named() -> None:
    """The signal `entry` has the entry or word that the reason is about, in both modes, null if the URL is kept."""
    urls: list[str | None] = [
        "http://device-skins.xyz/a", "http://bigboobsandbabes.blogspot.mx/", "http://a.org/dildo-porn", "http://a.org/sexy/boobs",
        "http://a.org/sexy", "http://a.org/xbabyjuicex",
    ]  # fmt: skip
    for judge in MODES:
        assert entries(urls, judge) == [
            "device-skins.xyz", "bigboobsandbabes.blogspot.mx", "dildo, porn", "boobs, sexy", None, "babyjuice",
        ]  # fmt: skip
    assert entries(["http://a.org/sexy/boobs"], Url(max_soft_words=None)) == [None]


def test_case_of_own_lists(shared_data: Path) -> None:
    """The pages of the case are removed; the host that is no punycode of the given name is another site's."""
    own = [
        'url.extra_domains=["203.0.112.45","ads.site-a.com","site-b.com","münchen-shop.com"]',
        'url.extra_urls=["site-c.com/private/h"]',
    ]
    for recipe in ("fineweb", "web"):
        judge = dict(load(recipe, own).stages)["url"]
        (rows,) = read_archives(shared_data / "cases" / "14-url-own-lists.warc.gz")
        verdicts = judge(Batch(rows)).reasons
        assert verdicts is not None
        kept = rows["url"].filter(verdicts.is_null()).to_pylist()
        assert kept == ["http://xn--mnchen-shop-yob.com/g"]
        assert b"mnchen-shop-yob".decode("punycode") != "münchen-shop"


def test_extra_lists() -> None:
    """Extra domains, addresses and words are used, with and without the built-in lists."""
    lists = (("bad.org",), ("http://x.org/1",), ("uglyword",), ("softa", "softb"), ("glued",))
    urls: list[str | None] = [
        "http://www.bad.org/", "http://x.org/1", "http://x.org/uglyword/", "http://x.org/softa/softb", "http://x.org/softa",
        "http://x.org/unGluedly", "http://x.org/dildo", "http://x.org/dildo/bad", "http://x.org/softa/sexy",
    ]  # fmt: skip
    expected = ["domain", "url", "hard_word", "max_soft_words", None, "subword"]
    assert reasons(urls, Url(False, 1, *lists)) == [*expected, None, None, None]
    for matching in ("reference", "fixed"):
        judge = Url(True, 1, *lists, matching=matching)
        assert reasons(urls, judge) == [*expected, "hard_word", "hard_word", "max_soft_words"]


NEVER = {
    ("extra_domains", "is a URL"): ["http://site.com", "site.com/", "site.com?x", "#site.com", "a\\b.com"],
    ("extra_domains", "is a network"): ["10.0.0.0/8", "10.1.2.3/24", "2001:db8::/32"],
    ("extra_domains", "space"): ["a b.com", "a.com\tb.com", "a\u2028b.com", "a\u00adb.com"],
    ("extra_domains", "wildcard"): ["*.site.com", "*", "a.*.com"],
    ("extra_domains", "empty label"): ["a..com", ".site.com", "site.com..", "."],
    ("extra_domains", "no IPv4"): ["256.1.1.1", "1.2.3.4.5", "1.2.3.08", "a.0x1"],
    ("extra_domains", "not a valid host"): [
        "[::g]",
        "1:2:3",
        "a%b.com",
        "x" * 254,
        "x" * 5000,
        "site.com:http",
        "a|b.com",
    ],
    ("extra_domains", "@"): ["me@site.com"],
    ("extra_domains", "is empty"): ["", " "],
    ("extra_urls", "scheme"): ["ftp://site.com/a", "mailto:me@site.com", "javascript:x"],
    ("extra_urls", "space"): ["site.com/a b", "http://a b/"],
    ("extra_urls", "wildcard"): ["*.site.com/a", "site.com/a/*", "http://*/a"],
    ("extra_urls", "empty label"): ["a..com/x", "http://.a.com"],
    ("extra_urls", "no host"): ["http:///", "//", "/path", "?q", "#x"],
    ("extra_urls", "no IPv4"): ["http://1.2.3.256/"],
    ("extra_urls", "not a valid host"): ["http://a|b/", "http://[::1", "http://a:b/"],
    ("extra_urls", "is empty"): [""],
    ("extra_words", "more than one word"): ["two words", "a-b"],
    ("extra_words", "no letter"): ["--", ""],
    ("extra_soft_words", "more than one word"): ["é è"],
    ("extra_soft_words", "no letter"): ["_"],
    ("extra_subwords", "no letter"): ["…"],
}


@pytest.mark.parametrize(("key", "why", "entry"), [(*case, entry) for case, rows in NEVER.items() for entry in rows])
def test_an_entry_that_can_never_match_is_an_error(key: str, why: str, entry: str) -> None:
    """In both modes; the message is one line that names the key, the entry and the reason."""
    for matching in ("reference", "fixed"):
        with pytest.raises(ParameterError, match=why) as caught:
            Url(matching=matching, **{key: ("good.org", entry) if "words" not in key else ("good", entry)})
        assert str(caught.value).startswith(f"{key} = {entry.strip()!r}: must be ")
        assert "\n" not in str(caught.value)


def test_bad_entries_end_a_command_before_it_starts(tmp_path: Path) -> None:
    """A bad entry is an error of the recipe; in a file, the message names the line."""
    path = tmp_path / "list.txt"
    path.write_text("# ours\n\ngood.org\n*.bad.org\n")
    with pytest.raises(RecipeError, match=r"stage url: extra_domains = '\*\.bad\.org': .* in line 4 of .*list\.txt"):
        load("fineweb", [f'url.extra_domains=["@{path}"]'])
    with pytest.raises(RecipeError, match="matching = 'both': must be one of reference, fixed"):
        load("fineweb", ["url.matching=both"])
    path.write_bytes(b"\xff\n")
    with pytest.raises(ParameterError, match="extra_urls"):
        Url(extra_urls=(f"@{path}",))
    with pytest.raises(ParameterError, match="extra_urls"):
        Url(extra_urls=("@" + "x" * 5000,))


def test_recipes_choose_the_mode() -> None:
    """`fineweb` matches as the reference and `web` is fixed; the mode is part of the identity."""
    judges = [dict(load(name).stages)["url"] for name in ("fineweb", "web")]
    assert [judge.matching for judge in judges] == ["reference", "fixed"]  # type: ignore[attr-defined]
    assert identity(judges[0]) != identity(judges[1])


LONG = ["a.", "thb", "@", ":", "/", "/..", "%41", "é", "\u0315\u0300", " ", "a-", "?", "\\", "9", "["]


@pytest.mark.parametrize("mode", MODES, ids=["reference", "fixed"])
@pytest.mark.parametrize("part", LONG, ids=ascii)
def test_long_urls_take_linear_time(part: str, mode: Url) -> None:
    """A URL of megabytes is judged in time linear in its length, whatever it repeats, in host and path."""
    starts = ("http://", "http://xn--", "http://a.org/")
    assert_linear(lambda urls: reasons(urls, mode), lambda n: [f"{start}{part * n}" for start in starts], 8_000)


def test_lists_in_files(tmp_path: Path) -> None:
    """`@path` means the lines of a file, which are part of the stage's identity; a missing file is refused."""
    path = tmp_path / "domains.txt"
    path.write_text("\ufeff# ours\nbad.org\n\nworse.org  \n", encoding="utf-8")
    judge = Url(False, extra_domains=(f"@{path}", "third.org"))
    urls: list[str | None] = [f"http://www.{name}/" for name in ("bad.org", "worse.org", "third.org", "good.org")]
    assert reasons(urls, judge) == ["domain", "domain", "domain", None]
    assert list(judge.assets()) == [f"@{path}"]
    with pytest.raises(ParameterError, match="extra_urls"):
        Url(extra_urls=(f"@{path}x",))


def test_no_network_and_no_extraction(tmp_path: Path) -> None:
    """The first use works without network and with a cache folder that is not writable."""
    program = (
        "import socket\n"
        "def refuse(*_, **__): raise OSError('network')\n"
        "socket.socket.connect = socket.create_connection = socket.getaddrinfo = refuse\n"
        "import sys; sys.path.insert(0, sys.argv[1])\n"
        "from test_url_program import run; run()\n"
    )
    (tmp_path / "test_url_program.py").write_text(
        "def run():\n"
        "    import pyarrow as pa\n"
        "    from curation.stages.batch import Batch\n"
        "    from curation.filters.url import Url\n"
        "    batch = Batch(pa.record_batch({'url': ['http://0-1sex.com/x'], 'text': ['']}))\n"
        "    print(Url()(batch).reasons.to_pylist())\n"
    )
    (tmp_path / "file").write_text("")
    environment = {"CURATION_CACHE_DIR": str(tmp_path / "file" / "x"), "PATH": "/usr/bin:/bin"}
    command = [sys.executable, "-c", program, str(tmp_path)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "['domain']"
