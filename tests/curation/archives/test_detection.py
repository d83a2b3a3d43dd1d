"""The charset of pages that declare none."""

from __future__ import annotations

import pytest

from curation.archives.charset import to_utf8
from curation.archives.detection import detect, sample

HEAD = '<html lang="en"><head><title>Home</title></head><body><a href="/about.html">About us</a>\n'

TEXTS = {
    "windows-1250": "Žluťoučký kůň šel k řece, kde „šťastný“ člověk pěstoval růže – a žádné jiné květiny.",
    "iso-8859-2": "Źródło tej wiadomości jest nieznane, ale świat już się o niej dowiedział i żyje dalej.",
    "windows-1251": "Сегодня хорошая погода, и мы идём гулять в парк вместе с детьми.",
    "koi8-r": "Сегодня хорошая погода, и мы идём гулять в парк вместе с детьми.",
    "koi8-u": "Сьогодні гарна погода, і ми йдемо гуляти в парк разом із дітьми. Їжак спить.",
    "ibm866": "Сегодня хорошая погода, и мы идём гулять в парк вместе с детьми.",
    "iso-8859-5": "Сегодня хорошая погода, и мы идём гулять в парк вместе с детьми.",
    "x-mac-cyrillic": "Сегодня хорошая погода. Мы идём гулять в парк. Я и моя семья живём здесь.",
    "windows-1252": "L’été dernier, nous avons mangé des crêpes à la crème, près de l’église où naquit François.",
    "iso-8859-15": "Le cœur de la ville est à côté de l'œuvre; cela coûte 100 € à la sœur de François.",
    "iso-8859-16": "Copiii au spus: „Și noi vrem să mergem în oraș”, iar mama a răspuns: „Bine, plecăm”.",
    "macintosh": "Die Straße führt über den Fluß zu den schönen Häusern, wo die Bäume grünen – „schön“.",
    "windows-1253": "Ο καιρός σήμερα είναι καλός και πηγαίνουμε στο πάρκο. Άλλοι μένουν στο σπίτι.",
    "iso-8859-7": "Ο καιρός σήμερα είναι καλός και πηγαίνουμε στο πάρκο. Άλλοι μένουν στο σπίτι.",
    "windows-1254": "Bugün hava çok güzel, çocuklarla birlikte parka gidiyoruz; şöyle iyi bir dinlenmiş olacağız.",
    "windows-1255": "היום מזג האוויר נעים ואנחנו הולכים לטייל בפארק עם הילדים.",
    "windows-1256": "الطقس جميل اليوم ونحن ذاهبون إلى الحديقة مع الأطفال.",
    "windows-1257": "Šiandien gražus oras, todėl einame pasivaikščioti į parką su vaikais ir jų draugais.",
    "iso-8859-13": "Šodien ir jauks laiks, tāpēc mēs ar bērniem ejam pastaigāties pa parku un ēdam ābolus.",
    "iso-8859-4": "Šodien ir jauks laiks, tāpēc mēs ar bērniem ejam pastaigāties pa parku un ēdam ābolus.",
    "windows-874": "วันนี้อากาศดี เราไปเดินเล่นในสวนสาธารณะกับเด็กๆ",
    "shift_jis": "今日は天気が良いので、子供たちと公園へ散歩に行きます。",
    "euc-jp": "今日は天気が良いので、子供たちと公園へ散歩に行きます。",
    "iso-2022-jp": "今日は天気が良いので、子供たちと公園へ散歩に行きます。",
    "gb18030": "今天天气很好，我们和孩子们一起去公园散步。",
    "big5": "今天天氣很好，我們和孩子們一起去公園散步。",
    "euc-kr": "오늘은 날씨가 좋아서 우리는 공원에 산책하러 갑니다.",
}


@pytest.mark.parametrize("markup", ["", HEAD])
@pytest.mark.parametrize("charset", TEXTS)
def test_undeclared_text_is_decoded(charset: str, markup: str) -> None:
    """One or two sentences tell the charset, also within English markup."""
    page = markup + TEXTS[charset]
    codec = {"windows-874": "cp874", "x-mac-cyrillic": "mac_cyrillic"}.get(charset, charset)
    assert bytes(to_utf8(page.encode(codec), "")[0]).decode() == page


def test_ascii_letters_tell_the_language() -> None:
    """One letter that several charsets have is read in the language of the letters around it."""
    text = "Mesto je včasih mirno, ker ljudje na vasi delajo zunaj in pridejo domov pozno."
    assert detect(text.encode("cp1250"), False) in ("cp1250", "iso8859-2")


def test_a_few_quotes_are_those_of_windows() -> None:
    """A page in ASCII but for signs that all charsets of Windows share is windows-1252."""
    assert detect(b"It\x92s a \x93test\x94 \x96 nothing else. \xa9 2004", False) == "cp1252"


def test_the_middle_of_a_long_page_decides() -> None:
    """Text far into a page is found, in a sample without the ASCII around it."""
    data = b"x" * 1_000_000 + TEXTS["windows-1251"].encode("cp1251") + b"x" * 1_000_000
    part, is_cut = sample(data)
    assert len(part) < 500
    assert not is_cut
    assert detect(part, is_cut) == "cp1251"


def test_a_sample_is_bounded() -> None:
    """A long page of text is cut, which the detector knows, so that half a character is no error."""
    data = (TEXTS["gb18030"] * 20_000).encode("gb18030")
    part, is_cut = sample(b"x" + data)
    assert len(part) < len(data)
    assert is_cut
    assert detect(part, is_cut) == "gb18030"


@pytest.mark.parametrize("size", [0, 1, 63, 64, 65, 200])
def test_a_sample_holds_all_text_of_a_short_page(size: int) -> None:
    """All bytes outside ASCII are in the sample, however they lie to its blocks."""
    data = b"a" * size + b"\xe9" * 70 + b"b" * size
    assert sample(data)[0].count(b"\xe9") == 70


def test_a_sample_cuts_no_character() -> None:
    """A character whose second byte is ASCII stays whole where a block of the sample ends within it."""
    page = "x" * 63 + "ア" + "x" * 1000
    assert "ア" in sample(page.encode("cp932"))[0].decode("cp932")
