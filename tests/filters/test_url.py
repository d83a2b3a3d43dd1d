"""URL filter: verdicts and reasons equal the reference's for every address."""

from __future__ import annotations

import random
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pages import addresses
from stages import documents

from curation.errors import ParameterError
from curation.filters import url as module
from curation.filters.url import Url
from curation.stages.batch import Batch

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
        words = sorted(module._words(name, (), True))
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
@given(st.text(st.characters(exclude_categories=("Cs",)), min_size=1, max_size=40))
def test_any_text_is_judged(url: str) -> None:
    """No address raises, however malformed."""
    assert reasons([url])[0] in {*REASONS.values(), None}


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


def test_extra_lists() -> None:
    """Extra domains, addresses and words are used, with and without the built-in lists."""
    judge = Url(False, 1, ("bad.org",), ("http://x.org/1",), ("uglyword",), ("softa", "softb"), ("glued",))
    urls: list[str | None] = [
        "http://www.bad.org/", "http://x.org/1", "http://x.org/uglyword/", "http://x.org/softa/softb", "http://x.org/softa",
        "http://x.org/unGluedly", "http://x.org/sex",
    ]  # fmt: skip
    assert reasons(urls, judge) == ["domain", "url", "hard_word", "max_soft_words", None, "subword", None]
    with pytest.raises(ParameterError, match="extra_words"):
        Url(extra_words=("--",))


def test_lists_in_files(tmp_path: Path) -> None:
    """`@path` means the lines of a file, which are part of the stage's identity; a missing file is refused."""
    path = tmp_path / "domains.txt"
    path.write_text("# ours\nbad.org\n\nworse.org  \n")
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
