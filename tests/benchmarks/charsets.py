"""Charset detection: the share of undeclared pages that are decoded to exactly the right text, next to other detectors.

Pages are made from single sentences, 200 for each of 75 languages, in the charsets in which each language was written
on the web; what a charset lacks is a character reference. A page is plain text, or in paragraphs with English markup
around them. The detector's numbers were chosen on every other sentence; the pages are made of the rest. Sentences that
were decoded wrongly before they got here (with control characters) are left out.

    python tests/benchmarks/charsets.py [--quick]
"""

from __future__ import annotations

import argparse
import gzip
import json
import os
import pickle
import random
import subprocess
import sys
import time
import unicodedata
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from resiliparse.parse.encoding import detect_encoding

from curation.archives.charset import to_utf8
from curation.archives.decoding import codec_of, decode

ROOT = Path(__file__).resolve().parents[2]
PEER = ROOT / ".venv-peers" / "bin" / "python"

CHARSETS = {
    "windows-1250": "bs cs hr hu pl ro sk sl sq",
    "windows-1251": "be bg mk ru sr uk",
    "windows-1252": "af ca da de en es eu fi fr ga id is it ms nb nl nn pt sv sw tl",
    "windows-1253": "el",
    "windows-1254": "tr",
    "windows-1255": "he",
    "windows-1256": "ar fa ur",
    "windows-1257": "et lt lv",
    "windows-1258": "vi",
    "windows-874": "th",
    "iso-8859-2": "cs hr hu pl ro sk sl",
    "iso-8859-4": "et lt lv",
    "iso-8859-5": "bg mk ru sr",
    "iso-8859-6": "ar",
    "iso-8859-7": "el",
    "iso-8859-8": "he",
    "iso-8859-13": "et lt lv",
    "iso-8859-15": "de et fi fr",
    "iso-8859-16": "ro",
    "koi8-r": "bg ru",
    "koi8-u": "ru uk",
    "ibm866": "ru uk",
    "macintosh": "de es fr",
    "x-mac-cyrillic": "ru",
    "shift_jis": "ja",
    "euc-jp": "ja",
    "iso-2022-jp": "ja",
    "gb18030": "zh",
    "big5": "zh",
    "euc-kr": "ko",
}
"""Charset → languages."""

CEDILLAS = str.maketrans("șțȘȚ", "şţŞŢ")
TONES = {"\u0300", "\u0301", "\u0303", "\u0309", "\u0323"}

HEAD = """<!DOCTYPE html><html lang="en"><head><title>Home page</title>
<script>var n = document.links.length;</script></head>
<body class="page"><div id="menu"><a href="/about.html">About us</a> <a href="/contact.html">Contact</a></div>
"""
TAIL = '<div class="footer">All rights reserved. <a href="/privacy.html">Privacy policy</a></div></body></html>\n'

PEERS = """
import pickle, sys, time
import chardet, charset_normalizer
pages = pickle.load(sys.stdin.buffer)
detectors = {
    "chardet": lambda page: chardet.detect(page)["encoding"],
    "charset-normalizer": lambda page: charset_normalizer.detect(page)["encoding"],
}
results = {}
for name, detect in detectors.items():
    detect(pages[0])
    started = time.process_time()
    results[name] = [detect(page) for page in pages], time.process_time() - started
pickle.dump(results, sys.stdout.buffer)
"""


@dataclass(frozen=True, slots=True)
class Page:
    """A page in a charset, and its text."""

    charset: str
    data: bytes
    text: str


def main() -> None:
    """Measure all detectors and print the table."""
    options = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    options.add_argument("--quick", action="store_true", help="five pages per charset and language instead of thirty")
    quick = options.parse_args().quick
    if not PEER.exists():
        sys.exit("the peers are not installed: run `make peers`")
    for size in (20, 3):
        found = list(pages(size, 5 if quick else 30))
        print(f"{len(found):,} pages of {size} sentences: percent decoded to exactly the right text\n")
        texts, milliseconds = all_texts([page.data for page in found])
        shares = table(found, texts, milliseconds)
        if size == 20:
            figures = [
                {
                    "name": f"charsets.right_pages.{name}",
                    "ours": round(shares["curation"], 4),
                    "peer": round(share, 4),
                    "ratio": round(shares["curation"] / share, 2),
                    "unit": "share of pages",
                    "n": len(found),
                }
                for name, share in shares.items()
                if name != "curation"
            ]
    for line in figures:
        print(json.dumps(line))


def pages(size: int, count: int) -> Iterator[Page]:
    """Pages of `size` sentences, half of them with markup, `count` for each charset and language."""
    sentences = held_out()
    for charset, languages in CHARSETS.items():
        for language in languages.split():
            chance = random.Random(f"{charset} {language} {size}")
            texts = [written(sentence, language, charset) for sentence in sentences[language]]
            for number in range(count):
                chosen = chance.sample(texts, size)
                text = "\n".join(chosen)
                if number % 2:
                    text = HEAD + "\n".join(f'<p class="text">{part}</p>' for part in chosen) + TAIL
                codec = codec_of(charset)
                assert codec is not None
                data = text.encode("koi8_u" if codec == "koi8-u" else codec, "xmlcharrefreplace")
                if not data.isascii() or charset == "iso-2022-jp":
                    yield Page(charset, data, decode(data, codec)[0])


def held_out() -> dict[str, list[str]]:
    """The sentences of each language that played no part in choosing the detector's numbers."""
    path = Path(os.environ.get("CURATION_TEST_DATA", ROOT.parent / "shared" / "data"))
    path = path / "language" / "lingua-sentences.tsv.gz"
    if not path.exists():
        sys.exit("no data: set CURATION_TEST_DATA to the folder that contains language/")
    sentences = defaultdict(list)
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        for line in lines:
            language, sentence = line.rstrip("\n").split("\t", 1)
            sentences[language].append(sentence)
    return {
        language: [text for text in texts[1::2] if not any("\x7f" <= character < "\xa0" for character in text)]
        for language, texts in sentences.items()
    }


def written(text: str, language: str, charset: str) -> str:
    """The text with the letters that the charset has for the same thing."""
    if language == "ro":
        return text.translate(CEDILLAS if charset != "iso-8859-16" else {y: x for x, y in CEDILLAS.items()})
    if language != "vi":
        return text
    parts = []  # windows-1258 has letters, and tones that follow them
    for character in unicodedata.normalize("NFC", text):
        split = unicodedata.normalize("NFD", character)
        tones = "".join(part for part in split if part in TONES)
        base = unicodedata.normalize("NFC", "".join(part for part in split if part not in TONES))
        parts.append(character if encodable(character) else base + tones)
    return "".join(parts)


def encodable(character: str) -> bool:
    """Whether windows-1258 has the character."""
    return character.encode("cp1258", "replace") != b"?"


def all_texts(data: list[bytes]) -> tuple[dict[str, list[str]], dict[str, float]]:
    """What each detector decodes the pages to, and milliseconds per page."""
    ours = {
        "curation": lambda page: bytes(to_utf8(page, "")[0]).decode(),
        "resiliparse": lambda page: decoded(page, detect_encoding(page)),
    }
    texts, seconds = {}, {}
    for name, detector in ours.items():
        texts[name], seconds[name] = timed(detector, data)
    done = subprocess.run([str(PEER), "-c", PEERS], input=pickle.dumps(data), capture_output=True, check=True)
    for name, (encodings, spent) in pickle.loads(done.stdout).items():
        texts[name] = [decoded(page, encoding) for page, encoding in zip(data, encodings, strict=True)]
        seconds[name] = spent
    return texts, {name: spent / len(data) * 1000 for name, spent in seconds.items()}


def timed(detector: Callable[[bytes], str], data: list[bytes]) -> tuple[list[str], float]:
    """The texts, and seconds of processor time."""
    detector(data[0])
    started = time.process_time()
    texts = [detector(page) for page in data]
    return texts, time.process_time() - started


def decoded(page: bytes, encoding: str | None) -> str:
    """The page in an encoding by its label or Python's name."""
    codec = codec_of(encoding or "")
    try:
        return decode(page, codec)[0] if codec else page.decode(encoding or "cp1252", "replace")
    except LookupError:
        return ""


def table(found: list[Page], texts: dict[str, list[str]], milliseconds: dict[str, float]) -> dict[str, float]:
    """Print the share of right pages per charset; the shares of all pages by detector."""
    right = {name: [text == page.text for text, page in zip(texts[name], found, strict=True)] for name in texts}
    print(f"{'':16}" + "".join(f"{name:>20}" for name in texts))
    for charset in CHARSETS:
        places = [place for place, page in enumerate(found) if page.charset == charset]
        shares = [sum(right[name][place] for place in places) / len(places) for name in texts]
        print(f"{charset:16}" + "".join(f"{share:>20.1%}" for share in shares))
    overall = {name: sum(values) / len(values) for name, values in right.items()}
    print(f"{'all':16}" + "".join(f"{share:>20.1%}" for share in overall.values()))
    print(f"{'ms per page':16}" + "".join(f"{milliseconds[name]:>20.2f}" for name in texts) + "\n")
    return overall


if __name__ == "__main__":
    main()
