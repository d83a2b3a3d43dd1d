"""Build samples/web.warc.gz from samples/pages/*.txt: about 250 pages that give every stage something to do.

    python samples/build.py

The bytes depend only on the page files: dates are fixed, ids are derived from URLs, and gzip stores no timestamp.
"""

from __future__ import annotations

import gzip
import html
import random
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

HERE = Path(__file__).resolve().parent
OUT = HERE / "web.warc.gz"


@dataclass(frozen=True)
class Page:
    """A page before it becomes a record: its URL and content, and what its server declares."""

    url: str
    title: str
    paragraphs: tuple[str, ...]
    language: str = "en"
    charset: str = "utf-8"
    declared: str | None = "header"
    encoding: str | None = None
    body: str | None = None


def main() -> None:
    """Write the archive."""
    members = [record("warcinfo", "", b"software: curation samples\r\nformat: WARC File Format 1.0\r\n")]
    for number, page in enumerate(all_pages()):
        if number == 40:
            members.append(damaged())
        members += [request(page), response(page)]
    members += [not_html(), cut_short()]
    OUT.write_bytes(b"".join(members))
    print(f"{OUT.name}: {len(members)} records, {OUT.stat().st_size:,} bytes")


def written() -> list[Page]:
    """The pages of the text files: `=== section/name | title`, then one paragraph per line."""
    found = []
    for path in sorted((HERE / "pages").glob("*.txt")):
        for block in path.read_text(encoding="utf-8").split("=== ")[1:]:
            head, *lines = block.strip().splitlines()
            name, _, title = head.partition(" | ")
            section = name.partition("/")[0]
            host = f"{section}.lantern-post.example" if path.stem == "languages" else f"www.{section}-reader.example"
            language = section if path.stem == "languages" else "en"
            found.append(Page(f"https://{host}/{name}", title, tuple(lines), language))
    return found


def all_pages() -> list[Page]:
    """All pages in the order of the archive."""
    good = written()
    english = [page for page in good if page.language == "en"]
    pages = [*good, *charsets(good), *copies(english), *edited(english), *private(english), *digests(english)]
    pages += [
        *thin(),
        *boilerplate(),
        *repetitive(english),
        *lists(),
        *unwanted(english),
        *listed(english),
        *notices(),
        *verses(english),
        *galleries(),
    ]
    random.Random(1).shuffle(pages)
    return pages


def copies(pages: list[Page]) -> Iterator[Page]:
    """The same text at another URL."""
    for number, page in enumerate(pages[3:75:9]):
        yield replace(page, url=f"https://mirror.copy-shelf.example/{number}")


def edited(pages: list[Page]) -> Iterator[Page]:
    """The same text with one more sentence: a near-duplicate."""
    for number, page in enumerate(pages[5:77:9]):
        last = f"{page.paragraphs[-1]} Printed again with a new ending in issue {number + 10}."
        yield replace(page, url=f"https://weekly.copy-shelf.example/{number}", paragraphs=(*page.paragraphs[:-1], last))


PRIVATE = (
    "If you would like to write to her, the address is {name}@post-office.org and she answers on Sundays.",
    "The office can be reached at +44 20 7946 0{number} between nine and noon, except when it rains.",
    "The server that sent the message had the address 8.8.{number}.4, as the old log book shows.",
    "The society takes gifts by bank transfer to its account, IBAN DE77 1001 0010 0123 4567 89, and prints every name.",
    "In the margin somebody had written the number of a credit card, 4539 1488 0343 6103, and crossed it out again.",
    "His papers gave the social security number 536-22-1{number}, which nobody had asked for.",
)


def private(pages: list[Page]) -> Iterator[Page]:
    """Halves of good pages with personal data. Names, numbers and addresses are made up or published for tests."""
    for number, (page, other) in enumerate(zip(pages[1:49:6], pages[-2::-6], strict=False)):
        words = PRIVATE[number % len(PRIVATE)].format(name=f"reader.{number}", number=123 + number)
        first, last = page.paragraphs[: len(page.paragraphs) // 2], other.paragraphs[len(other.paragraphs) // 2 :]
        paragraphs = (f"This is the text as it was read aloud on evening {number}.", *first, *last, words)
        yield Page(f"https://letters.open-desk.example/{number}", f"Letter {number}", paragraphs)


def digests(pages: list[Page]) -> Iterator[Page]:
    """Three beginnings on one page, as in newsletters: similar, but not duplicates."""
    chance = random.Random(2)
    for number in range(14):
        chosen = chance.sample(pages, 3)
        lines = tuple(f"{page.title}. {page.paragraphs[0]}" for page in chosen)
        yield Page(f"https://digest.lantern-post.example/{number}", f"This week, part {number + 1}", lines)


def charsets(pages: list[Page]) -> Iterator[Page]:
    """Pages that are not in UTF-8, declared by the header, by meta, incorrectly, or not at all."""
    by_name = {page.url.rpartition("/")[2]: page for page in pages}
    cases = (
        ("die-alte-uhr", "windows-1252", "header"),
        ("le-marche-du-matin", "iso-8859-15", "meta"),
        ("asa-no-tofuya", "shift_jis", "meta"),
        ("staryj-tramvaj", "windows-1251", None),
        ("stary-mlyn", "iso-8859-2", "wrong"),
    )
    for name, charset, declared in cases:
        page = by_name[name]
        url = f"https://old.lantern-post.example/{charset}/{name}"
        lines = tuple(f"{line} ({charset})" for line in page.paragraphs)
        yield replace(page, url=url, paragraphs=lines, charset=charset, declared=declared)
    for number, encoding in enumerate(("gzip", "chunked")):
        page = by_name[("knots", "echoes")[number]]
        lines = tuple(f"Sent as {encoding}. {line}" for line in page.paragraphs)
        yield replace(page, url=f"https://old.lantern-post.example/{encoding}", paragraphs=lines, encoding=encoding)


THIN = (
    "We are closed today. Please come back tomorrow, when we shall have fresh bread and a better mood.",
    "This picture has no description yet. It was taken by a member of the club near the old weir.",
    "The talk on lighthouses has been moved to the large hall. Bring a chair if you have one.",
    "Lost: one grey glove, left hand, near the fountain. The finder is asked to leave it on the wall.",
    "Thank you for your message. Somebody will read it soon, and they will write to you if they can.",
    "The page that you are looking for has been moved. We do not know where it has been moved to.",
    "Results of the garden show: first prize to the marrow, second prize to the same marrow, seen from behind.",
    "No comments so far. Be the first to say something kind about the new bench beside the river.",
    "Photograph of the week: the ferry in the fog, with the ferryman and without the other bank.",
    "Sold out. We will not make it again, since the tree has been cut down and we are still sad about it.",
)


def thin() -> Iterator[Page]:
    """Pages with too few words."""
    for number, text in enumerate(THIN):
        yield Page(f"https://board.village-notes.example/{number}", f"Notice {number + 1}", (text,))


def boilerplate() -> Iterator[Page]:
    """Pages with only a form, links, or a cookie notice."""
    menu = "".join(
        f'<li><a href="/{name}">{name}</a></li>'
        for name in ["home", "shop", "news", "map", "contact", "login", "imprint"]
    )
    cookies = "<p>We use cookies to make this site better. Read our cookie policy and our privacy policy.</p>"
    form = '<form><input name="user"><input name="password" type="password"><button>Sign in</button></form>'
    for number in range(5):
        yield Page(f"https://portal.village-notes.example/login/{number}", "Sign in", (), body=form + cookies)
        links = f"<ul>{menu * (number + 2)}</ul>"
        yield Page(f"https://portal.village-notes.example/map/{number}", "Site map", (), body=links)


def repetitive(pages: list[Page]) -> Iterator[Page]:
    """Texts that repeat lines, paragraphs or a few words."""
    for number, page in enumerate(pages[2:72:7]):
        line = page.paragraphs[0].split(". ")[0] + "."
        if number % 3 == 0:
            lines = (line,) * 14
        elif number % 3 == 1:
            lines = tuple(f"{page.title} and {page.title.lower()} and {page.title.lower()} again." for _ in range(9))
        else:
            lines = (*page.paragraphs, *page.paragraphs, *page.paragraphs)
        yield Page(f"https://cheap-{number}.say-again.example/{number}", page.title, lines)


def lists() -> Iterator[Page]:
    """Stock lists and bullets: lines without sentences."""
    chance = random.Random(3)
    things = [
        "rope",
        "lamp",
        "kettle",
        "basket",
        "ladder",
        "bucket",
        "hammer",
        "saddle",
        "candle",
        "mirror",
        "shovel",
        "anchor",
        "compass",
        "blanket",
    ]
    for number in range(8):
        lines = tuple(
            f"{chance.choice(things)} with {chance.choice(things)} that is to have and hold no. {chance.randint(9, 99)}"
            for _ in range(30)
        )
        bullets = tuple(f"- {line}" for line in lines)
        yield Page(
            f"https://stock.three-anchors.example/{number}", f"Stock list {number}", bullets if number % 2 else lines
        )


def unwanted(pages: list[Page]) -> Iterator[Page]:
    """Pages with placeholder text or code."""
    lorem = "Lorem ipsum dolor sit amet is a text that printers have used for a long time to show how a page will look."
    code = "The rule is written as body { margin: 0 } and it has to stand at the top of the file."
    for number, page in enumerate(pages[4:64:10]):
        extra = (lorem, code)[number % 2]
        yield Page(f"https://draft.lantern-post.example/{number}", page.title, (*page.paragraphs[::-1], extra))


def listed(pages: list[Page]) -> Iterator[Page]:
    """Harmless texts at URLs that match the word lists of the URL filter."""
    names = (
        "free-porn-videos",
        "xxx-sex-cam",
        "hot-nude-girls-webcam",
        "casino-escort-sex",
        "milf-tube",
        "hentai-sex-games",
    )
    for number, name in enumerate(names):
        page = pages[10 + 7 * number]
        yield replace(page, url=f"https://www.listed-{number}.example/{name}/", paragraphs=page.paragraphs[::-1])


def verses(pages: list[Page]) -> Iterator[Page]:
    """Lines that do not end with a full stop, as in verse."""
    for number, page in enumerate(pages[6:66:12]):
        words = " ".join(page.paragraphs).replace(".", "").replace("?", "").replace("!", "").split()
        lines = tuple(" ".join(words[start : start + 9]).strip(",;:") for start in range(0, len(words), 9))
        yield Page(f"https://verse.lantern-post.example/{number}", f"{page.title}, in lines", lines)


def galleries() -> Iterator[Page]:
    """Pages without text."""
    pictures = "".join(f'<img src="/{number}.jpg">' for number in range(12))
    for number in range(3):
        yield Page(f"https://pictures.village-notes.example/{number}", "", (), body=f"<div>{pictures}</div>")


def notices() -> Iterator[Page]:
    """Few sentences among many short lines."""
    for number in range(6):
        lines = tuple(f"Bus {n} leaves at {6 + n % 12} from stop {n % 5}." for n in range(number, number + 26))
        yield Page(f"https://times.village-notes.example/{number}", f"Timetable {number}", lines)


def render(page: Page) -> str:
    """The page as HTML: its text within the usual furniture, which extraction has to take away."""
    body = page.body or "".join(f"<p>{html.escape(line)}</p>\n" for line in page.paragraphs)
    meta = f'<meta charset="{page.charset}">' if page.declared == "meta" else ""
    meta = '<meta charset="utf-8">' if page.declared == "wrong" else meta
    head = f'<!DOCTYPE html>\n<html lang="{page.language}"><head>{meta}<title>{html.escape(page.title)}</title></head>'
    links = "".join(f'<a href="/{name}">{name.title()}</a> ' for name in ("news", "stories", "travel", "shop", "about"))
    template: Callable[[str, str], str] = (_blog, _news, _plain)[len(page.url) % 3]
    return f"{head}<body><header><nav>{links}</nav></header>{template(page.title, body)}{FOOTER}</body></html>\n"


FOOTER = (
    "<footer><p>All rights reserved. Terms of use, privacy policy.</p>"
    '<p><a href="/feed">Feed</a> <a href="/top">Back to top</a></p></footer>'
)


def _blog(title: str, body: str) -> str:
    recent = "".join(f"<li><a href='/{number}'>An older page, no. {number}</a></li>" for number in range(1, 5))
    aside = f"<aside><h3>Recent</h3><ul>{recent}</ul></aside>"
    return f"<main><article><h1>{html.escape(title)}</h1>{body}</article>{aside}</main>"


def _news(title: str, body: str) -> str:
    share = "<div class='share'><a href='#'>Share</a> <a href='#'>Print</a></div>"
    return f"<div id='content'><h1>{html.escape(title)}</h1><div class='article-body'>{body}</div>{share}</div>"


def _plain(title: str, body: str) -> str:
    return f"<article class='post'><h2>{html.escape(title)}</h2><div class='entry-content'>{body}</div></article>"


def record(kind: str, url: str, block: bytes, *extra: str) -> bytes:
    """A WARC record as a gzip member."""
    lines = [
        "WARC/1.0",
        f"WARC-Type: {kind}",
        f"WARC-Record-ID: <urn:uuid:{uuid.uuid5(uuid.NAMESPACE_URL, kind + url)}>",
    ]
    lines += ["WARC-Date: 2025-03-01T12:00:00Z", *([f"WARC-Target-URI: {url}"] if url else []), *extra]
    lines += [f"Content-Length: {len(block)}"]
    return gzip.compress(("\r\n".join(lines) + "\r\n\r\n").encode() + block + b"\r\n\r\n", 9, mtime=0)


def request(page: Page) -> bytes:
    """The crawler's request record for a page."""
    host, _, path = page.url.removeprefix("https://").partition("/")
    block = f"GET /{path} HTTP/1.1\r\nHost: {host}\r\nUser-Agent: curation-samples\r\n\r\n".encode()
    return record("request", page.url, block, "Content-Type: application/http; msgtype=request")


def response(page: Page) -> bytes:
    """The server's response record for a page."""
    body = render(page).encode(page.charset)
    charset = f"; charset={page.charset}" if page.declared == "header" else ""
    headers = [f"Content-Type: text/html{charset}"]
    if page.encoding == "gzip":
        body = gzip.compress(body, 9, mtime=0)
        headers.append("Content-Encoding: gzip")
    if page.encoding == "chunked":
        parts = [body[start : start + 500] for start in range(0, len(body), 500)]
        body = b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in parts) + b"0\r\n\r\n"
        headers.append("Transfer-Encoding: chunked")
    block = ("HTTP/1.1 200 OK\r\n" + "\r\n".join(headers) + "\r\n\r\n").encode() + body
    kind = "WARC-Identified-Payload-Type: text/html"
    return record("response", page.url, block, "Content-Type: application/http; msgtype=response", kind)


def not_html() -> bytes:
    """A response that is not a page."""
    block = b'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n{"temperature": 14, "wind": "west"}'
    kind = "WARC-Identified-Payload-Type: application/json"
    return record("response", "https://api.village-notes.example/weather", block, kind)


def damaged() -> bytes:
    """A member with damaged bytes in the middle."""
    member = bytearray(response(Page("https://www.lost-page.example/", "Lost", ("Nobody will ever read this.",) * 9)))
    middle = len(member) // 2
    member[middle : middle + 8] = b"\xff" * 8
    return bytes(member)


def cut_short() -> bytes:
    """A record without its end, as after an interrupted download."""
    member = response(Page("https://www.lost-page.example/end", "End", ("The end of this page is not there.",) * 9))
    return member[: len(member) * 2 // 3]


if __name__ == "__main__":
    main()
