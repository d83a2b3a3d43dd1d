"""Texts on which finding personal data is slow if any part of it is not linear, or has a large cost per candidate."""

from __future__ import annotations

import random
from collections.abc import Callable

from account_expressions import with_check_digit

Part = Callable[[random.Random], str]


def _digits(chance: random.Random, length: int) -> str:
    return "".join(chance.choices("0123456789", k=length))


def _separated(separator: str) -> Part:
    """Groups of 3 to 5 digits joined by a separator, 20 groups per line."""
    return lambda chance: separator.join(_digits(chance, chance.randint(3, 5)) for _ in range(20)) + "\n"


def _iban_like(chance: random.Random) -> str:
    country = chance.choice(("DE", "GB", "FR", "IT", "NO", "MT", "XX"))
    return f"{country}{_digits(chance, 2)} " + " ".join(_digits(chance, 4) for _ in range(chance.randint(3, 7))) + " "


def _hexadecimal(chance: random.Random, length: int) -> str:
    return "".join(chance.choices("0123456789abcdef", k=length))


def _letters(chance: random.Random, length: int) -> str:
    return "".join(chance.choices("abcdefghijklmnopqrstuvwxyz", k=length))


def _american(chance: random.Random) -> str:
    return f"{chance.randint(201, 989)}-{chance.randint(200, 999)}-{_digits(chance, 4)}"


def _one_of(*parts: str) -> Part:
    return lambda chance: "".join(chance.choices(parts, k=40))


def _after_word(name: str, number: Part) -> Part:
    """A word that names a kind of number, another word, and a number."""
    return lambda chance: f"{name} {_letters(chance, chance.randint(2, 6))} {number(chance)}\n"


def _other_letters(chance: random.Random, length: int) -> str:
    return "".join(chr(chance.randint(0x430, 0x44F)) for _ in range(length))


def _arabic(chance: random.Random, length: int) -> str:
    return "".join(chr(0x660 + chance.randrange(10)) for _ in range(length))


def _ipv4(chance: random.Random) -> str:
    return ".".join(str(chance.randint(1, 255)) for _ in range(4))


LINES: dict[str, Part] = {
    "prose": lambda chance: "The quick brown fox jumps over the lazy dog, and after that it sleeps again. ",
    "phones with extensions": lambda chance: (
        f"+1 {chance.randint(201, 989)} {chance.randint(200, 999)} {_digits(chance, 4)} ext {chance.randint(1, 999)}\n"
    ),
    "US phones": lambda chance: f"({chance.randint(201, 989)}) {chance.randint(200, 999)}-{_digits(chance, 4)}, ",
    "US phones, unlabelled lines": lambda chance: (
        f"{chance.randint(201, 989)}-{chance.randint(200, 999)}-{_digits(chance, 4)}\n"
    ),
    "German phones": lambda chance: f"0{chance.randint(20, 999)}/{_digits(chance, 3)}-{_digits(chance, 4)}\n",
    "invalid phones": lambda chance: f"(0{_digits(chance, 2)}) 0{_digits(chance, 2)}-{_digits(chance, 5)}\n",
    "invalid phones, labelled": lambda chance: (
        f"tel 0{_digits(chance, 2)} 0{_digits(chance, 2)} {_digits(chance, 5)}\n"
    ),
    "numbers after tel": lambda chance: f"tel {_digits(chance, 8)}\n",
    "many numbers after tel": lambda chance: "tel " + " ".join(_digits(chance, 7) for _ in range(14)) + "\n",
    "lists after tel": lambda chance: (
        "tel " + "/".join(_digits(chance, chance.randint(2, 8)) for _ in range(16)) + "\n"
    ),
    "brackets after tel": lambda chance: "tel " + "".join(f"({_digits(chance, 3)})" for _ in range(30)) + "\n",
    "call +n": lambda chance: f"call +{_digits(chance, chance.randint(7, 12))} 212 555 {_digits(chance, 4)} ext 12\n",
    "plus signs": lambda chance: f"+{_digits(chance, chance.randint(7, 14))}",
    "pluses and brackets": _one_of("+", "(", ")", "[", "1", " ", "-"),
    "worldwide phones": lambda chance: f"+{chance.randint(20, 998)} {_digits(chance, chance.randint(6, 10))}, ",
    "x between digits": lambda chance: f"tel {_digits(chance, 4)}x{_digits(chance, 3)}xx{_digits(chance, 5)} ",
    "extension words": _one_of("ext", " ext. ", "1", "x", ",,", "22", ";ext=", "int", "#"),
    "seven digits and a letter": lambda chance: _digits(chance, 7) + "a",
    "sixteen digits and a space": lambda chance: _digits(chance, 16) + " ; ",
    "card numbers": lambda chance: (
        f"4{_digits(chance, 3)} {_digits(chance, 4)} {_digits(chance, 4)} {_digits(chance, 4)}\n"
    ),
    "nine digits": lambda chance: f"{_digits(chance, 3)}-{_digits(chance, 2)}-{_digits(chance, 4)}\n",
    "nine digits after ssn": lambda chance: f"ssn {_digits(chance, 9)}\n",
    "three groups after ssn": lambda chance: f"ssn {_digits(chance, 3)} {_digits(chance, 2)} {_digits(chance, 4)}\n",
    "Chinese with digits": lambda chance: "电话" + _digits(chance, chance.randint(7, 11)) + "转",
    "Chinese with short digits": lambda chance: "第" + _digits(chance, 3) + "号",
    "Japanese with phones": lambda chance: (
        f"電話は0{_digits(chance, 1)}-{_digits(chance, 4)}-{_digits(chance, 4)}です。"
    ),
    "Korean with e-mail": lambda chance: f"이메일은 a{_digits(chance, 3)}@naver.com으로 ",
    "full-width phones": lambda chance: "0" + "".join(chr(0xFF10 + int(d)) for d in _digits(chance, 9)) + "\n",
    "full-width digits": lambda chance: "".join(chr(0xFF10 + int(d)) for d in _digits(chance, 11)) + "，",
    "prefixes for calls abroad": lambda chance: (
        f"tel {_digits(chance, 2)} 000{_digits(chance, 1)} {_digits(chance, 4)}\n"
        f"t)00{chr(0xFF10 + chance.randint(0, 9))} 055{_digits(chance, 7)}\n"
    ),
    "calls abroad after tel": lambda chance: (
        f"tel 00{chance.randint(20, 998)} {_digits(chance, 3)} {_digits(chance, 6)}\n"
    ),
    "phones with x": lambda chance: (
        f"{chance.randint(201, 989)}-{chance.randint(200, 999)}-{_digits(chance, 4)} x{_digits(chance, 3)}\n"
    ),
    "phones with ext.": lambda chance: (
        f"({chance.randint(201, 989)}) {chance.randint(200, 999)}-{_digits(chance, 4)} ext. {_digits(chance, 3)}\n"
    ),
    "two phones and a slash": lambda chance: (
        f"tel {chance.randint(201, 989)}-{chance.randint(200, 999)}-{_digits(chance, 4)}/"
        f"{chance.randint(201, 989)}-{chance.randint(200, 999)}-{_digits(chance, 4)}\n"
    ),
    "phones with 1": lambda chance: f"1-{chance.randint(200, 989)}-{chance.randint(200, 999)}-{_digits(chance, 4)}\n",
    "phones with 011": lambda chance: f"011 {chance.randint(20, 99)} {_digits(chance, 3)} {_digits(chance, 5)}\n",
    "phones with 0049": lambda chance: f"0049 {chance.randint(20, 999)} {_digits(chance, 5)}\n",
    "phones with +49": lambda chance: f"+49{_digits(chance, chance.randint(4, 9))}\n",
    "phones with (0)": lambda chance: f"+{chance.choice((33, 44, 49))} (0) {_digits(chance, 3)} {_digits(chance, 6)}\n",
    "phones with +00": lambda chance: f"+00{chance.randint(20, 99)}{_digits(chance, 7)}\n",
    "Brazilian carriers": lambda chance: (
        f"tel 0{chance.choice((15, 21, 31, 41))}{chance.randint(11, 99)}{_digits(chance, 8)}\n"
    ),
    "British phones": lambda chance: f"0{chance.randint(113, 199)} {_digits(chance, 3)} {_digits(chance, 4)}\n",
    "Indian phones": lambda chance: f"0{chance.randint(11, 99)}-{_digits(chance, 8)}\n",
    "Israeli calls abroad": lambda chance: f"tel 013 {_digits(chance, 3)} {_digits(chance, 6)}\n",
    "spaced hyphens after tel": lambda chance: (
        "tel " + " - ".join(_digits(chance, chance.randint(2, 5)) for _ in range(chance.randint(2, 6))) + "\n"
    ),
    "digits and pluses after tel": lambda chance: "tel " + "".join(chance.choices("0123456789+ -x()", k=20)) + "\n",
    "French phones": lambda chance: f"0{chance.randint(1, 7)} " + " ".join(_digits(chance, 2) for _ in range(4)) + "\n",
    "digits and punctuation after tel": lambda chance: (
        "tel " + "".join(chance.choices("0123456789 ()-./", k=24)) + "\n"
    ),
    "Russian contacts": lambda chance: (
        f"Тел.: 8 ({chance.randint(300, 999)}) {_digits(chance, 3)}-{_digits(chance, 2)}-{_digits(chance, 2)}, "
        f"факс: +7 ({chance.randint(300, 999)}) {_digits(chance, 3)}-{_digits(chance, 4)} доб. {_digits(chance, 3)}\n"
    ),
    "French contacts": lambda chance: (
        f"Tél : 0{chance.randint(1, 9)}." + ".".join(_digits(chance, 2) for _ in range(4)) + " / "
        "06 " + " ".join(_digits(chance, 2) for _ in range(4)) + "\n"
    ),
    "phones of any country": lambda chance: (
        f"contact +{chance.randint(1, 998)} {chance.choice(('(0)', '', '(12)'))} "
        f"{_digits(chance, chance.randint(2, 4))}{chance.choice(' -./')}"
        f"{_digits(chance, chance.randint(3, 4))} {_digits(chance, chance.randint(2, 4))}\n"
    ),
    "phones with any extension": lambda chance: (
        f"({chance.randint(201, 989)}) {chance.randint(200, 999)}-{_digits(chance, 4)}"
        f"{chance.choice((' x', ', ext. ', ' Ext ', ' #', ';ext=', ' extn '))}{_digits(chance, chance.randint(1, 5))}\n"
    ),
    "random groups with ext after tel": lambda chance: (
        f"tel {''.join(chance.choices('0123456789' * 3 + ' -./()+[]', k=chance.randint(15, 39)))} ext 12\n"
    ),
    "pluses with ext after tel": lambda chance: (
        "tel "
        + "".join(
            f"{chance.choice(('+', ''))}{_digits(chance, chance.randint(3, 8))}{chance.choice((' ', '-', '/'))}"
            for _ in range(16)
        )
        + " ext 5\n"
    ),
    "x behind slashes after tel": lambda chance: (
        "tel "
        + "".join(
            f"{_digits(chance, chance.randint(3, 7))}{chance.choice(('/x', ' xx ', ' x ', ' / '))}" for _ in range(14)
        )
        + "\n"
    ),
    "groups with 0 and ext": lambda chance: (
        f"call 0{_digits(chance, chance.randint(2, 4))}{chance.choice('-. /')}{_digits(chance, chance.randint(2, 4))}"
        f"{chance.choice('-. /')}{_digits(chance, 4)}{chance.choice((' x', ' ext ', ' ext. '))}"
        f"{_digits(chance, chance.randint(1, 9))}\n"
    ),
    "Brazilian phones with xx": lambda chance: (
        f"Fone (0xx{chance.randint(11, 99)}) 9{_digits(chance, 4)}-{_digits(chance, 4)} / "
        f"0 xx {chance.randint(11, 99)} {_digits(chance, 4)}-{_digits(chance, 4)}\n"
    ),
    "Turkish addresses": lambda chance: (
        f"Tel: 0 ({chance.randint(200, 599)}) {_digits(chance, 3)} {_digits(chance, 2)} {_digits(chance, 2)} "
        f"\u0130stanbul {_digits(chance, 3)} {_digits(chance, 2)} {_digits(chance, 2)} \u0131s\u0131\n"
    ),
    "int with a dotless i": lambda chance: (
        f"tel {''.join(chance.choices('0123456789 -./()', k=chance.randint(10, 20)))} \u0131nt {_digits(chance, 3)}\n"
    ),
    "numbers and int": lambda chance: (
        f"tel {_digits(chance, chance.randint(7, 10))} int. {_digits(chance, chance.randint(7, 9))}, "
        f"int: {_digits(chance, 9)}\n"
    ),
    "numbers far apart before #": lambda chance: (
        f"tel {'     '.join(_digits(chance, chance.randint(4, 12)) for _ in range(4))}     {_digits(chance, 5)}#\n"
    ),
    "Arabic digits": lambda chance: "".join(chr(0x660 + int(d)) for d in _digits(chance, 10)) + " هاتف ",
    "IBAN-like": _iban_like,
    "IBAN-like, no spaces": lambda chance: f"DE{_digits(chance, 20)} ",
    "letters and digits": lambda chance: "".join(chance.choices("ABCDEF0123456789", k=chance.randint(4, 30))) + " ",
    "two letters, two digits": lambda chance: "".join(chance.choices("AB", k=2)) + _digits(chance, 2) + "-",
    "a@a@a@": _one_of("a@"),
    "a@a.a@a.a": _one_of("a@a.", "b@b.", "-"),
    "long local parts": lambda chance: "a" * 200 + "@",
    "dotted local parts": lambda chance: "a." * 64 + "@b.c" + ".d" * 60 + " ",
    "e-mail addresses": lambda chance: (
        f"{chr(97 + chance.randrange(26))}{_digits(chance, 3)}@mail{_digits(chance, 2)}.com "
    ),
    "short e-mail addresses": lambda chance: f"{_hexadecimal(chance, 2)}@{_hexadecimal(chance, 3)}.de,",
    "shortest e-mail addresses": lambda chance: f"{chance.choice('abcdefgh')}@{chance.choice('abcdefgh')}.de ",
    "e-mail-like, no suffix": lambda chance: f"a@{_hexadecimal(chance, 4)}.zzz ",
    "percent-encoded e-mail": lambda chance: f"a%40{_hexadecimal(chance, 4)}.de%20",
    "percent signs": _one_of("%40", "%", "4", "0%"),
    "user info": lambda chance: f"https://u{_digits(chance, 3)}:p{_digits(chance, 3)}@h{_digits(chance, 2)}.com/ ",
    "nested user info": _one_of("://", "a:", "b@", "c", "//"),
    "dots": lambda chance: "." * 80,
    "dots and digits": _one_of("1.", "22.", "255."),
    "IPv4 addresses": lambda chance: _ipv4(chance) + "\n",
    "longer IPv4": lambda chance: ".".join(str(chance.randint(1, 300)) for _ in range(chance.randint(3, 6))) + " ",
    "colons": lambda chance: ":" * 80,
    "colons and digits": _one_of("1:", "ab:", ":"),
    "IPv6 addresses": lambda chance: "2a02:" + ":".join(_hexadecimal(chance, 4) for _ in range(7)) + "\n",
    "short IPv4 addresses": lambda chance: ".".join(str(chance.randint(1, 9)) for _ in range(4)) + "\n",
    "IPv4 after IP": lambda chance: "IP " + ".".join(str(chance.randint(1, 99)) for _ in range(4)) + "\n",
    "IPv4 with ports": lambda chance: _ipv4(chance) + ":80,",
    "IPv4 in URLs": lambda chance: "http://" + ".".join(str(chance.randint(1, 223)) for _ in range(4)) + "/x ",
    "IPv4 in IPv6 after IP": lambda chance: "IP ::ffff:" + _ipv4(chance) + ":80\n",
    "IPv6 networks": lambda chance: f"2001:{_hexadecimal(chance, 4)}:{_hexadecimal(chance, 3)}::/48, ",
    "Maestro cards": lambda chance: f"6759{_digits(chance, chance.randint(8, 15))}\n",
    "SSN and x": lambda chance: (
        f"SSN {_digits(chance, 3)}-{_digits(chance, 2)}-{_digits(chance, 4)} x{_digits(chance, 2)} "
    ),
    "extensions in full width": lambda chance: (
        f"{_american(chance)} ｅｘｔ{_digits(chance, 4)} {_american(chance)} ｘ {_digits(chance, 3)}\n"
    ),
    "extensions spelled out": lambda chance: (
        f"{_american(chance)} extension {_digits(chance, 5)} {_american(chance)} extensión {_digits(chance, 4)}"
        f" {_american(chance)} anexo {_digits(chance, 3)}\n"
    ),
    "phones and #": lambda chance: f"{_american(chance)}#{_digits(chance, chance.randint(1, 4))} ",
    "digits before # behind phones": lambda chance: f"{_american(chance)}{chance.choice(' -')}{_digits(chance, 3)}# ",
    "SSN and #": lambda chance: f"{_digits(chance, 3)}-{_digits(chance, 2)}-{_digits(chance, 4)}#{_digits(chance, 2)} ",
    "phones and tildes": lambda chance: (
        f"{_american(chance)} ~{_digits(chance, 3)} {_american(chance)}～{_digits(chance, 3)}\n"
    ),
    "words for other numbers before phones": lambda chance: (
        f"call 10 {_american(chance)} isbn 13 {_american(chance)} and 10 {_american(chance)}\n"
    ),
    "addresses and phones between digits": lambda chance: (
        f"{_ipv4(chance)} {_american(chance)}x{_digits(chance, 4)} {_digits(chance, 4)} {_digits(chance, 4)}"
        f"{_digits(chance, 20)}/字#\n"
    ),
    "phones behind 42 digits": lambda chance: f"{_digits(chance, 42)}({_american(chance)}/ท{_ipv4(chance)}#, ",
    "prefixes for calls abroad and many digits": lambda chance: (
        f"00{chance.choice((33, 44, 49))} {_digits(chance, 22)}电话 &-020 {_digits(chance, 4)} {_digits(chance, 4)}- "
    ),
    "digits of two scripts in a row": lambda chance: (
        f"4{_digits(chance, 15)}{_arabic(chance, 10)}:\nдоб.{_ipv4(chance)}((28) 9{_digits(chance, 4)}-4350//"
    ),
    "phones and xx": lambda chance: f"+49 (0) {_digits(chance, 3)} {_digits(chance, 6)}xx{_digits(chance, 1)}), ",
    "xx before calls abroad": lambda chance: f"전화{_american(chance)}.xx-0049 {_digits(chance, 10)}, ",
    "phones, x and xx": lambda chance: f"({_american(chance)}(xx1.x{_digits(chance, 3)}-79-4048/ı a.b@c-d.co.uk: ",
    "SSN after isbn 13": lambda chance: f"+SSN:.0039 {_digits(chance, 9)}\nisbn 13.#{_digits(chance, 3)}-08-0337\n",
    "e-mail next to digits of other scripts": lambda chance: (
        f"{_letters(chance, 4)}@b{_digits(chance, 2)}.com-{_arabic(chance, 10)},({_american(chance)} ext fax-/, "
    ),
    "e-mail next to full-width words": lambda chance: f"{_letters(chance, 6)}.b@c-d.co.uk-ｅｘｔ\n",
    "e-mail and dotted capitals": lambda chance: f"{_letters(chance, 2)}.b@c-d.co.uk.İ-12:#",
    "invalid IBANs and dashes": lambda chance: (
        f"DE{_digits(chance, 2)} " + " ".join(_digits(chance, 4) for _ in range(4)) + f" 00—)({_american(chance)},"
    ),
    "Italian contacts": lambda chance: (
        f"Tel. 0{chance.randint(2, 99)} {_digits(chance, chance.randint(6, 8))} - "
        f"Fax 0{chance.randint(2, 99)} {_digits(chance, chance.randint(6, 8))} - "
        f"Cell. 3{_digits(chance, 2)} {_digits(chance, 7)}\n"
    ),
    "calls abroad with x": lambda chance: (
        f"tel 0049 {chance.randint(30, 999)} {_digits(chance, 6)} x {_digits(chance, chance.randint(1, 4))}\n"
    ),
    "calling codes and slashes": lambda chance: (
        f"tel 49/{chance.randint(30, 999)}/{_digits(chance, 6)} x{_digits(chance, 3)}\n"
    ),
    "extensions far away": lambda chance: (
        f"tel {''.join(chance.choices('0123456789 -./()', k=20))}{' ' * chance.randint(15, 40)}ext"
        f"{'-' * chance.randint(15, 30)}{_digits(chance, 3)}\n"
    ),
    "SSN after Russian words": lambda chance: (
        f"ssn {_other_letters(chance, 4)} {_digits(chance, 3)}-{_digits(chance, 2)}-{_digits(chance, 4)} "
    ),
    "IPv4 between letters": lambda chance: "é:" + _ipv4(chance) + ":é ",
    "valid cards": lambda chance: f"{with_check_digit('6759' + _digits(chance, chance.randint(7, 14)))}\n",
    "e-mail addresses glued to words": lambda chance: (
        f"{_letters(chance, 2)}@{_letters(chance, 3)}.orgTel:{_letters(chance, 2)}@{_letters(chance, 2)}.comFax"
    ),
    "escaped e-mail addresses": lambda chance: f"\\n{_letters(chance, 2)}@{_letters(chance, 3)}.org\\r\\n",
    "e-mail addresses below co.uk": lambda chance: f"{_letters(chance, 2)}@{_letters(chance, 2)}.co.uk ",
    "e-mail addresses in two scripts": lambda chance: f"{_letters(chance, 1)}@{_other_letters(chance, 3)}.рф ",
    "e-mail addresses with xn--": lambda chance: f"{_letters(chance, 1)}@{_letters(chance, 2)}.xn--p1ai ",
    "e-mail addresses in emphasis": lambda chance: f"_{_letters(chance, 2)}@{_letters(chance, 3)}.de_ ",
    "e-mail addresses after commands": lambda chance: f"ssh {_letters(chance, 2)}@{_letters(chance, 3)}.de a@b.org ",
    "phones after words": _after_word("tel", _american),
    "phones after words for other numbers": _after_word("isbn", _american),
    "IPv4 after words": _after_word("ip", _ipv4),
    "cards after words": _after_word("card", lambda chance: with_check_digit("6759" + _digits(chance, 9))),
    "SSN after words": _after_word(
        "ssn", lambda chance: f"{_digits(chance, 3)}-{_digits(chance, 2)}-{_digits(chance, 4)}"
    ),
    "IPv6 with IPv4": lambda chance: f"::ffff:{chance.randint(1, 255)}.{chance.randint(1, 255)}.1.1\n",
    "short IPv6 addresses": lambda chance: f"2a02:{_hexadecimal(chance, 2)}::{_hexadecimal(chance, 1)} ",
    "IPv6 without ends": lambda chance: ":".join(_hexadecimal(chance, chance.randint(0, 4)) for _ in range(30)) + "g",
    "times": lambda chance: f"{chance.randint(10, 23)}:{chance.randint(10, 59)}:{chance.randint(10, 59)} ",
    "words with colons": lambda chance: "std::vector<a::b>::c ",
    "hex without spaces": lambda chance: _hexadecimal(chance, 80),
    "hashes": lambda chance: _hexadecimal(chance, 40) + "\n",
    "digits without spaces": lambda chance: _digits(chance, 80),
    "letters without spaces": lambda chance: "a" * 80,
    "base64": lambda chance: "".join(chance.choices("ABCDEFabcdef0123456789+/", k=76)) + "\n",
    "key prefixes": _one_of("AKIA", "ghp_", "sk-", "xoxb-", "eyJ", "hf_", "SG.", "glpat-"),
    "AKIA keys": lambda chance: "AKIA" + "".join(chance.choices("ABCDEFGH234567", k=16)) + " ",
    "tokens": lambda chance: "eyJ" + _hexadecimal(chance, 20) + "." + "eyJ" + _hexadecimal(chance, 20) + ".",
    "private key headers": _one_of("-----BEGIN RSA PRIVATE KEY-----", "MIIE", "\n", "-----BEGIN PRIVATE KEY-----"),
    "prices": lambda chance: f"${chance.randint(1, 99)},{_digits(chance, 3)}.{_digits(chance, 2)} ",
    "coordinates": lambda chance: (
        f"{chance.randint(-89, 89)}.{_digits(chance, 6)}, {chance.randint(0, 179)}.{_digits(chance, 6)}\n"
    ),
    "dates": lambda chance: f"2020-{chance.randint(10, 12)}-{chance.randint(10, 28)} 08:{chance.randint(10, 59)} ",
    **{
        f"digits joined by {name}": _separated(separator)
        for name, separator in {
            "spaces": " ",
            "hyphens": "-",
            "full stops": ".",
            "slashes": "/",
            "brackets": ")(",
            "tildes": "~",
            "x": "x",
            "dashes": "–",
            "no-break spaces": "\u00a0",
            "line ends": "\n",
            "commas": ",",
            "colons": ":",
            "pluses": "+",
            "underscores": "_",
            "soft hyphens": "\u00ad",
            "@": "@",
            "percent signs": "%",
            "Han": "号",
        }.items()
    },
}
"""Makes one part of a text of each kind."""


def adversarial(kind: str, size: int, seed: int = 0) -> str:
    """A text of one of the kinds in LINES.

    Args:
        kind: Its name.
        size: Size in UTF-8 bytes, to within one part.
        seed: Seed of the random parts.
    """
    chance, parts = random.Random(f"{kind} {seed}"), []
    while size > 0:
        parts.append(LINES[kind](chance))
        size -= len(parts[-1].encode())
    return "".join(parts)
