"""Fuzzes what finds and replaces personal data."""

from __future__ import annotations

import pyarrow as pa
from fuzzing import fuzz
from personal_texts import LINES, adversarial

from curation.filters.pii import MAX_PASSES, Pii
from curation.pii.find import KINDS, find
from curation.pii.replacements import replaced
from curation.text.valid import valid_text

STAGES = [Pii(types=tuple(KINDS), replacement=replacement) for replacement in ("fake", "tag")]
MAX_TEXT = 1 << 14

SEEDS = [
    b"Write to Jane <jane.doe@firma.de> or call (212) 736-5000 ext. 5, fax +49 30 227-56869.",
    b"From 78.130.167.239 and [2a00:1450:4001:81b::200e]:443, not 10.0.0.1 or 1.2.3.4.",
    b"Card 4716 4245 2151 1864, IBAN DE66 4805 0161 0002 1297 99, SSN 308-63-0237.",
    b"postgres://app:s3cret@db.firma.de:5432/app git@github.com:user/repo.git _ann@firma.de_",
    b"ghp_aB3daB3daB3daB3daB3daB3daB3daB3daB3d sk-ant-api03-aB3daB3daB3daB3daB3d AKIAA2B3C4D5E6F7G8H9",
    b"-----BEGIN PRIVATE KEY-----\n" + b"aB3d" * 16 + b"\n-----END PRIVATE KEY-----",
    "电话：+86 180 2902 1196，邮箱 zhang@163.com。０３０－２２７５６８６９".encode(),
    b"Part no 440-13-0042, ISBN 978-3-16-148410-0, HS 84.71.30.51, ratio 27:9:9:9:3:3:3:1, 2020-01-05 08:15:30",
    *(adversarial(kind, 600).encode() for kind in LINES),
]
WORDS = [
    *(
        b"@",
        b"%40",
        b".",
        b":",
        b"::",
        b"-",
        b"/",
        b"//",
        b"://",
        b" ",
        b"\n",
        b"_",
        b"+",
        b"(",
        b")",
        b"#",
        b"x",
        b"ext ",
    ),
    *(
        b"tel ",
        b"card ",
        b"ssn ",
        b"ip:",
        b"part no ",
        b"ISBN ",
        b"ssh ",
        b"a@b.org",
        b"1.2.3.4",
        b"8.8.44.8",
        b"2a00::1",
    ),
    *(b"212-736-5000", b"+1", b"0049", b"DE66", b"4716424521511864", b"308-63-0237", b"<EMAIL>", b"REDACTED", b"eyJ"),
    *("号".encode(), "٣".encode(), "１".encode(), "\u00a0".encode(), "–".encode(), "é".encode(), b"\xff"),
]


def check(data: bytes) -> None:
    """Assert that matches lie in the text without overlaps, and that nothing else changes, nor anything afterwards."""
    text = valid_text(data[:MAX_TEXT].decode("utf-8", "surrogateescape"))
    for stage in STAGES:
        matches = find(pa.array([text]), stage._search()).get(0, [])
        place = 0
        for match in matches:
            assert place <= match.start < match.end <= len(text), match
            place = match.end
        new, places = replaced(text, matches, stage.replacement)
        assert len(places) == sum(not match.kept for match in matches)
        kept, at, rest = [], 0, []
        for match in matches:
            if not match.kept:
                kept.append(text[at : match.start])
                at = match.end
        last = 0
        for start, end in places:
            rest.append(new[last:start])
            last = end
        assert [*rest, new[last:]] == [*kept, text[at:]]
        passes = list(stage.replacements(pa.array([text]), frozenset()))
        # A long chain of "x1" or "ext 1" behind a number is replaced one by one, until the passes are over.
        if len(passes) < MAX_PASSES:
            final = passes[-1][2] if passes else text
            assert not any(not match.kept for match in find(pa.array([final]), stage._search()).get(0, []))


def test_pii() -> None:
    """Every text is searched in time; replacing its matches changes nothing else, and a second time nothing."""
    fuzz(check, SEEDS, WORDS, max_bytes=MAX_TEXT)
