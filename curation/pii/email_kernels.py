"""A kernel that finds the e-mail addresses in windows as `recognizers.emails` does, and judges them.

Reading each with expressions takes ten times as long. What is rare is left to these: capitals of other scripts in a
domain, and text that may say that an address is something else.
"""

from __future__ import annotations

from curation.arrays import Bools, Int64s, UInt8s, UInt32s
from curation.pii.address_kernels import hexadecimal, is_digit
from curation.pii.context_kernels import is_space
from curation.pii.windows import DIGIT, LETTER
from curation.running.compiled import inner, kernel, leaf

WINDOW, START, AT, DOMAIN, END, SIGNS = range(6)
COLUMNS = 6
"""What is said of an address: its window, its first code point, that of its @, the one after the @, the one after its
last, and signs for its kind, as bits."""
IS_RESERVED, IS_ENCODED = 1, 2
"""Nobody has it, since its domain is reserved; its @ or a character before that is written in another form."""
SUFFIX, TOP_LEVEL, PARENT, EXCEPTION = (1 << bit for bit in range(4))
"""What a word of the table is, as bits: a public suffix; a top-level domain; what is below it is a public suffix;
except this."""
MAX_LOCAL, MAX_DOMAIN = 64, 255
"""Maximum number of characters before and after the @ of an address (RFC 5321, 4.5.3.1)."""
LINE_REACH, URL_REACH, MAX_USER = 400, 160, 150
"""Characters before an address in which its line may begin, in which a URL or command may, and of the user in a URL."""
_MAX_PATH = 100
"""Characters of a part of a path behind a host."""

_REJECTED, _UNCLEAR = -1, -2
"""What has the form of an address is none; it needs a closer look."""


@kernel
def find_emails(
    codepoints: UInt32s,
    begins: Int64s,
    ends: Int64s,
    first: Int64s,
    last: Int64s,
    plain: UInt8s,
    classes: UInt8s,
    words: UInt32s,
    edges: Int64s,
    kinds: UInt8s,
    found: Int64s,
    done: Bools,
) -> int:
    """Find the e-mail addresses in windows.

    Args:
        codepoints: Code points of all texts.
        begins: First code point of each window.
        ends: Code point after each window.
        first: First code point of the text of each window.
        last: Code point after the text of each window.
        plain: The character of ASCII for each code point, as `windows.plain_codes`.
        classes: The classes of each code point, as `windows.classes`.
        words: Code points of public suffixes and top-level domains, in order, one behind the other.
        edges: Where each begins, and the end of the last, shape (words + 1,).
        kinds: What each is, as bits.
        found: Output, shape (addresses, COLUMNS), with room for one per @ or % in the windows.
        done: Output: whether a window was looked at.

    Returns:
        The number of addresses.
    """
    count = 0
    for window in range(begins.size):
        before, i, floor = count, begins[window], begins[window]
        done[window] = True
        while i < ends[window] and done[window]:
            size = _size_of_at(codepoints, i, ends[window])
            if not size:
                i += 1
                continue
            at, domain = i, i + size
            low, floor = max(floor, at - 2 * MAX_LOCAL), domain
            i = max(domain, _end_of_domain(codepoints, domain, ends[window], plain))
            if i == domain or low == at:
                continue
            end = _end_of_host(codepoints, domain, i, plain, words, edges, kinds)
            if end == domain:
                continue
            start = _UNCLEAR
            if end > domain:
                floor = end
                start = _start_of_local(codepoints, low, at, end, first[window], last[window], plain)
                start = _judge(codepoints, start, at, domain, end, first[window], last[window], plain, classes)
            done[window] = start != _UNCLEAR
            if start >= 0:
                signs = IS_RESERVED if _is_reserved(codepoints, domain, end) else 0
                for place in range(start, domain):
                    if codepoints[place] == 37 or (place == at and codepoints[at] != 64):
                        signs |= IS_ENCODED
                row = found[count]
                row[WINDOW], row[START], row[AT], row[DOMAIN], row[END] = window, start, at, domain, end
                row[SIGNS] = signs
                count += 1
        if not done[window]:
            count = before
    return count


@leaf
def _size_of_at(codepoints: UInt32s, place: int, end: int) -> int:
    """Number of characters of the @ at a place in any of its forms, as in `recognizers.AT`; 0 if there is none."""
    code = codepoints[place]
    if code == 64 or code == 0xFF20 or code == 0xFE6B:
        return 1
    if code != 37:
        return 0
    size = 1
    for _ in range(3):
        if place + size + 1 >= end:
            return 0
        tens, units = codepoints[place + size], codepoints[place + size + 1]
        if tens == 52 and units == 48:
            return size + 2
        if not (tens == 50 and units == 53):
            return 0
        size += 2
    return 0


@leaf
def _end_of_label(codepoints: UInt32s, place: int, end: int, plain: UInt8s) -> int:
    """The code point after the letters and digits, with hyphens between them, at a place."""
    stop = place
    while place < end and _is_alphanumeric(codepoints[place], plain):
        while place < end and _is_alphanumeric(codepoints[place], plain):
            place += 1
        stop = place
        while place < end and codepoints[place] == 45:
            place += 1
    return stop


@inner
def _end_of_domain(codepoints: UInt32s, place: int, end: int, plain: UInt8s) -> int:
    """The code point after the labels, two at least, with full stops between them, at a place, which is returned if
    they are fewer."""
    stop, labels = _end_of_label(codepoints, place, end, plain), 1
    while stop > place and stop < end and codepoints[stop] == 46:
        following = _end_of_label(codepoints, stop + 1, end, plain)
        if following == stop + 1:
            break
        stop, labels = following, labels + 1
    return stop if labels > 1 else place


@inner
def _end_of_host(
    codepoints: UInt32s, start: int, end: int, plain: UInt8s, words: UInt32s, edges: Int64s, kinds: UInt8s
) -> int:
    """The code point after the host with which a domain begins, as in `recognizers.mail_host`: the place where it
    starts if it has none, _UNCLEAR if it needs a closer look.

    Args:
        codepoints: Code points of all texts.
        start: Where the domain starts.
        end: Where it ends.
        plain: As in `find_emails`.
        words: As in `find_emails`.
        edges: As in `find_emails`.
        kinds: As in `find_emails`.
    """
    if end - start > MAX_DOMAIN:
        return _UNCLEAR
    stop = end
    while True:
        begin = stop
        while begin > start and codepoints[begin - 1] != 46:
            begin -= 1
        if begin == start:
            return start
        has_suffix = _has_suffix(codepoints, start, begin, stop, plain, words, edges, kinds)
        if has_suffix < 0:
            return _UNCLEAR
        if has_suffix:
            # A sentence may follow: "b.org.Thank", where "thank" were a top-level domain.
            is_capital, has_others = _is_upper(codepoints[begin]), False
            for place in range(begin + 1, stop):
                has_others = has_others or not _is_letter(codepoints[place])
                is_capital = is_capital and not _is_upper(codepoints[place])
            if _is_upper(codepoints[begin]) and has_others:
                return _UNCLEAR
            if not is_capital:
                return stop
            is_lower = _is_lower_text(codepoints, start, begin - 1, plain)
            if is_lower < 0:
                return _UNCLEAR
            if not is_lower:
                return stop
            before = begin - 1
            while before > start and codepoints[before - 1] != 46:
                before -= 1
            has_suffix = _has_suffix(codepoints, start, before, begin - 1, plain, words, edges, kinds)
            if has_suffix < 0:
                return _UNCLEAR
            if not has_suffix:
                return stop
        place = stop - 1
        while place > begin + 1:
            glued = _is_glued(codepoints, place, stop)
            if glued:
                has_suffix = _has_suffix(codepoints, start, begin, place, plain, words, edges, kinds)
                if has_suffix < 0 or (has_suffix and glued < 0):
                    return _UNCLEAR
                if has_suffix:
                    return place
            place -= 1
        stop = begin - 1


@inner
def _has_suffix(
    codepoints: UInt32s, start: int, begin: int, end: int, plain: UInt8s, words: UInt32s, edges: Int64s, kinds: UInt8s
) -> int:
    """Whether a host has a public suffix, as in `hosts.has_public_suffix`; _UNCLEAR if it needs a closer look.

    Args:
        codepoints: Code points of all texts.
        start: Where the host starts.
        begin: Where its last label begins.
        end: Where it ends.
        plain: As in `find_emails`.
        words: As in `find_emails`.
        edges: As in `find_emails`.
        kinds: As in `find_emails`.
    """
    if begin == start:
        return 0
    first = codepoints[begin]
    has_others, has_ascii, is_unclear = False, False, False
    for place in range(begin, end):
        code = codepoints[place]
        has_others, has_ascii = has_others or code > 127, has_ascii or code <= 127
        # Of top-level domains, only some that begin with "v" have letters of ASCII and others. K is the Kelvin sign.
        if code > 127 and plain[code] == 65:
            if first | 32 == 118 or code == 0x212A:
                return _UNCLEAR
            is_unclear = is_unclear or first > 127
    if is_unclear:
        return 0 if has_ascii else _UNCLEAR
    if not _kind_of(codepoints, begin, end, words, edges, kinds) & TOP_LEVEL:
        return 0
    for place in range(start, begin):
        has_others = has_others or codepoints[place] > 127
        if codepoints[place] > 127 and plain[codepoints[place]] == 65:
            return _UNCLEAR
    for place in range(start, end if has_others else start):
        if (place == start or codepoints[place - 1] == 46) and _spells(codepoints, place, end, b"xn--"):
            return _UNCLEAR
    kind = _kind_of(codepoints, start, end, words, edges, kinds)
    if kind & (SUFFIX | EXCEPTION):
        return not kind & SUFFIX
    parent = start
    while codepoints[parent] != 46:
        parent += 1
    return not _kind_of(codepoints, parent + 1, end, words, edges, kinds) & PARENT


@leaf
def _kind_of(codepoints: UInt32s, start: int, end: int, words: UInt32s, edges: Int64s, kinds: UInt8s) -> int:
    """What a text without capitals of other scripts is according to a table; 0 if it is not there."""
    low, high = 0, kinds.size
    while low < high:
        middle = (low + high) // 2
        place, i, stop = start, edges[middle], edges[middle + 1]
        while place < end and i < stop and _lower(codepoints[place]) == words[i]:
            place, i = place + 1, i + 1
        if place == end and i == stop:
            return int(kinds[middle])
        if place == end or (i < stop and _lower(codepoints[place]) < words[i]):
            high = middle
        else:
            low = middle + 1
    return 0


@inner
def _is_glued(codepoints: UInt32s, place: int, end: int) -> int:
    """Whether text may be glued to a top-level domain at a place, as in `recognizers.mail_host`; _UNCLEAR if it may be
    by letters that are not of ASCII.

    Args:
        codepoints: Code points of all texts.
        place: The place.
        end: Where the label ends.
    """
    before, here = codepoints[place - 1], codepoints[place]
    after = codepoints[place + 1] if place + 1 < end else 0
    if (before < 128 and here > 127) or (is_digit(here) and _is_letter(before)):
        return 1
    if (_is_upper(here) and (_is_lower(before) or _is_lower(after))) or _is_glued_word(codepoints, place, end):
        return 1
    has_others = before > 127 or here > 127 or after > 127
    # Small letters are no capitals behind which another word begins, and hyphens nothing at all.
    return _UNCLEAR if has_others and (here > 127 or is_digit(here) or _is_letter(here)) else 0


@leaf
def _is_glued_word(codepoints: UInt32s, place: int, end: int) -> bool:
    """Whether a word as in `recognizers.GLUED_WORD` begins at a place."""
    for word in (b"tel", b"fax", b"phone", b"mobile", b"cell", b"www", b"http", b"email", b"e-mail", b"web"):
        if _spells(codepoints, place, end, word):
            return True
    return False


@leaf
def _start_of_local(codepoints: UInt32s, low: int, at: int, end: int, first: int, last: int, plain: UInt8s) -> int:
    """Where an address starts, without the part of a query or path before it.

    Args:
        codepoints: Code points of all texts.
        low: The first character before its @ that may belong to it.
        at: Where its @ is.
        end: Where it ends.
        first: First code point of the text.
        last: Code point after the text.
        plain: As in `find_emails`.
    """
    is_plain, other, start = True, 0, low
    for place in range(low, at):
        code = codepoints[place]
        is_plain = is_plain and code < 128 and _is_alphanumeric(code, plain)
        if _breaks(code):
            start = place + 1
        elif code == 37:
            size = _size_of_break(codepoints, place, at)
            start = place + size if size else start
        elif 0x370 <= code <= 0x1DFF and place + 1 < at and _is_letter(codepoints[place + 1]):
            other = place + 1
    if not is_plain:
        while start < at and _is_before(codepoints[start]):
            start += 1
        start = max(start, other)
        while start < at and _is_before(codepoints[start]):
            start += 1
        place = start
        while place < at and codepoints[place] == 95:
            place += 1
        if place > start and _is_emphasized(codepoints, place, end, first, last, plain):
            start = place
    if start > first and codepoints[start - 1] == 92 and start + 1 < at:
        # The "n" of "\njane@firma.de" in a text in quotes.
        code, size = codepoints[start], 0
        if code == 98 or code == 102 or code == 110 or code == 114 or code == 116:
            size = 1
        elif _spells_exactly(codepoints, start, at, b"u00") and start + 5 < at:
            size = 5 if max(hexadecimal(codepoints[start + 3]), hexadecimal(codepoints[start + 4])) < 16 else 0
        if size:
            following = codepoints[start + size]
            start += size if following == 95 or _is_alphanumeric(following, plain) else 0
    return start


@leaf
def _is_emphasized(codepoints: UInt32s, start: int, end: int, first: int, last: int, plain: UInt8s) -> bool:
    """Whether up to three underscores, with no other letters next to them, are on both sides: `is_emphasized`."""
    before, after = start, end
    while before > first and codepoints[before - 1] == 95:
        before -= 1
    while after < last and codepoints[after] == 95:
        after += 1
    if not 1 <= start - before <= 3 or not 1 <= after - end <= 3:
        return False
    follows = before > first and _is_alphanumeric(codepoints[before - 1], plain)
    return not follows and not (after < last and _is_alphanumeric(codepoints[after], plain))


@leaf
def _breaks(code: int) -> bool:
    """Whether a character may be before an @, but ends something else in practice: `addresses._LOCAL_BREAK`."""
    is_one = False
    for sign in b"/=?&|{}*!#$^~`":
        is_one = is_one or code == sign
    return is_one


@leaf
def _size_of_break(codepoints: UInt32s, place: int, end: int) -> int:
    """Number of characters of such a character in the form that URLs encode, at a place with %; 0 if it is another."""
    stop = place + 1
    while stop + 1 < end and codepoints[stop] == 50 and codepoints[stop + 1] == 53:
        stop += 2
    if stop + 1 >= end:
        return 0
    tens, units = hexadecimal(codepoints[stop]), hexadecimal(codepoints[stop + 1])
    if tens > 15 or units > 15:
        return 0
    is_break = tens < 2 or (tens == 2 and (units < 10 or units == 10 or units == 12 or units == 15))
    is_break |= (tens == 3 and units >= 10) or (tens == 5 and 11 <= units <= 14) or (tens == 6 and units == 0)
    is_break |= tens == 7 and 11 <= units <= 13
    return stop + 2 - place if is_break else 0


@leaf
def _is_before(code: int) -> bool:
    """Whether a character may be before an address and is no part of it: `addresses._LOCAL_START`."""
    is_sign = code == 46 or code == 39 or code == 45 or code == 43 or code == 37
    return is_sign or 0x200B <= code <= 0x200D or code == 0xFEFF


@inner
def _judge(
    codepoints: UInt32s,
    start: int,
    at: int,
    domain: int,
    end: int,
    first: int,
    last: int,
    plain: UInt8s,
    classes: UInt8s,
) -> int:
    """Where an address starts, _REJECTED if it is none, as in `addresses.judge_email`, or _UNCLEAR.

    Args:
        codepoints: Code points of all texts.
        start: Where it starts.
        at: Where its @ is.
        domain: Where its domain starts.
        end: Where it ends.
        first: First code point of the text.
        last: Code point after the text.
        plain: As in `find_emails`.
        classes: As in `find_emails`.
    """
    has_letter = False
    for place in range(start, at):
        has_letter = has_letter or _is_alphanumeric(codepoints[place], plain)
    if not has_letter or at - start > MAX_LOCAL or codepoints[at - 1] == 46:
        return _REJECTED
    if _is_version(codepoints, domain, end, classes):
        return _REJECTED
    before, after = codepoints[start - 1] if start > first else 0, codepoints[end] if end < last else 0
    if (before == 64 or before == 0xFF20) and (start - 1 == first or not classes[codepoints[start - 2]] & LETTER):
        return _REJECTED  # @user@host
    if _is_user(codepoints, start, first):
        return _REJECTED
    has_path = 0
    if after == 58:
        has_path = _find_path(codepoints, end + 1, last, classes)
        has_port = before == 58 and _is_port(codepoints, end + 1, last, classes)
        if has_path == _REJECTED or has_port or _is_remote_user(codepoints, start, at):
            return _REJECTED
    if before == 32:
        follows = _follows_command(codepoints, start, first, has_path != 0, classes)
        if follows:
            return follows
    is_next = before == 58 or before == 60 or before == 62 or is_space(before)
    if is_next and _may_be_message(codepoints, start, first, last):
        return _UNCLEAR
    return start


@leaf
def _is_word(code: int, classes: UInt8s) -> bool:
    """Whether a character is a letter, a digit or an underscore."""
    return code == 95 or classes[code] & LETTER != 0


@leaf
def _find_path(codepoints: UInt32s, place: int, last: int, classes: UInt8s) -> int:
    """What follows a host and a colon: _REJECTED if it is a path as in `addresses._REMOTE_PATH`, else whether it begins
    like one."""
    begin = place
    if place < last and (codepoints[place] == 126 or codepoints[place] == 47):
        return _REJECTED
    while place < last and place - begin <= _MAX_PATH:
        code, after = codepoints[place], place + len(".git")
        if code == 47 and begin < place:
            return _REJECTED
        if not (code == 46 or code == 43 or code == 45 or _is_word(code, classes)):
            break
        ends = after == last or (after < last and not _is_word(codepoints[after], classes))
        if begin < place and ends and _spells_exactly(codepoints, place, last, b".git"):
            return _REJECTED
        place += 1
    return begin < place and (codepoints[begin] == 46 or _is_word(codepoints[begin], classes))


@leaf
def _is_port(codepoints: UInt32s, place: int, last: int, classes: UInt8s) -> bool:
    """Whether a port follows a colon: `addresses._PORT`."""
    begin = place
    while place < last and classes[codepoints[place]] & DIGIT:
        place += 1
    if not 2 <= place - begin <= 5:
        return False
    after = codepoints[place] if place < last else 32
    return after != 58 and not _is_word(after, classes)


@leaf
def _is_remote_user(codepoints: UInt32s, start: int, at: int) -> bool:
    """Whether a user is one of `addresses._REMOTE_USERS`."""
    for word in (b"git", b"hg", b"svn"):
        if at - start == len(word) and _spells_exactly(codepoints, start, at, word):
            return True
    return False


@leaf
def _is_version(codepoints: UInt32s, place: int, end: int, classes: UInt8s) -> bool:
    """Whether a domain begins with a version: `addresses._VERSION`."""
    place += codepoints[place] == 118
    begin = place
    while place < end and place - begin < 9 and classes[codepoints[place]] & DIGIT:
        place += 1
    is_point = begin < place < end - 1 and codepoints[place] == 46
    return is_point and classes[codepoints[place + 1]] & DIGIT != 0


@leaf
def _is_user(codepoints: UInt32s, start: int, first: int) -> bool:
    """Whether an address is the user in a URL and its host: `addresses._USER_INFO`."""
    place = start
    while place > first and start - place <= MAX_USER:
        code = codepoints[place - 1]
        if code == 47:
            is_url = place - first > 2 and codepoints[place - 2] == 47 and codepoints[place - 3] == 58
            mailto = max(first, place - 9)
            return is_url and not _spells_exactly(codepoints, mailto, place - 3, b"mailto")
        if code == 63 or code == 35 or code == 60 or code == 62 or code == 34 or is_space(code):
            return False
        place -= 1
    return False


@leaf
def _follows_command(codepoints: UInt32s, start: int, first: int, has_path: bool, classes: UInt8s) -> int:
    """_REJECTED if an address follows a command as in `addresses._LOGIN_COMMAND`, 0 if it does not; _UNCLEAR if options
    are between both, or if files may be, as a path follows the address."""
    low, begin = max(first, start - URL_REACH), 0
    for place in range(low, start - 3):
        code = codepoints[place]
        if code != 115 and code != 114 and code != 109:
            continue
        for word in (b"ssh ", b"sftp ", b"scp ", b"rsync ", b"sshfs ", b"mosh ", b"ssh-copy-id "):
            if _spells_exactly(codepoints, place, start, word):
                before = codepoints[place - 1] if place > low else 0
                if not (before == 46 or before == 47 or before == 45 or (before and _is_word(before, classes))):
                    begin = place + len(word)
    if not begin:
        return 0
    place = begin
    while place < start and place - begin < 3 and codepoints[place] == 32:
        place += 1
    if place == start:
        return _REJECTED
    return _UNCLEAR if has_path or codepoints[place] == 45 else 0


@leaf
def _may_be_message(codepoints: UInt32s, start: int, first: int, last: int) -> bool:
    """Whether the line of an address may begin as in `addresses._MESSAGE_ID`."""
    line, low = start, max(first, start - LINE_REACH)
    while line > low and codepoints[line - 1] != 10:
        line -= 1
    if line == low and low > first and codepoints[low - 1] != 10:
        return False
    place = line
    while place < start and place - line < 8:
        code = codepoints[place]
        if not (code == 32 or code == 9 or code == 62):
            break
        place += 1
    if place + 5 > last:
        return False
    for word in (b"messa", b"in-re", b"refer", b"conte"):
        i = 0
        while i < 5 and (_lower(codepoints[place + i]) == word[i] or codepoints[place + i] > 127):
            i += 1
        if i == 5:
            return True
    return False


@leaf
def _is_reserved(codepoints: UInt32s, start: int, end: int) -> bool:
    """Whether a domain is below one of those reserved as examples that has a public suffix."""
    begin, is_one = end - len("example.com"), False
    if begin == start or (begin > start and codepoints[begin - 1] == 46):
        for name in (b"example.com", b"example.net", b"example.org", b"example.edu"):
            is_one = is_one or _spells(codepoints, begin, end, name)
    return is_one


@leaf
def _is_lower_text(codepoints: UInt32s, start: int, end: int, plain: UInt8s) -> int:
    """`str.islower` of a text; _UNCLEAR if it may have none but uncased letters of other scripts."""
    has_letter, has_capital, has_others = False, False, False
    for place in range(start, end):
        code = codepoints[place]
        has_others = has_others or code > 127
        has_letter, has_capital = has_letter or _is_lower(code), has_capital or _is_upper(plain[code])
    if has_others and not (has_letter or has_capital):
        return _UNCLEAR
    return has_letter and not has_capital


@leaf
def _spells(codepoints: UInt32s, place: int, end: int, word: bytes) -> bool:
    """Whether a word is at a place, in any case. The dotted and the dotless i are an "i", too, as in expressions."""
    if place + len(word) > end:
        return False
    i = 0
    while i < len(word):
        code = codepoints[place + i]
        if not (_lower(code) == word[i] or (word[i] == 105 and (code == 0x130 or code == 0x131))):
            return False
        i += 1
    return True


@leaf
def _spells_exactly(codepoints: UInt32s, place: int, end: int, word: bytes) -> bool:
    """Whether a word is at a place, in lower case."""
    if place + len(word) > end:
        return False
    i = 0
    while i < len(word) and codepoints[place + i] == word[i]:
        i += 1
    return i == len(word)


@leaf
def _is_alphanumeric(code: int, plain: UInt8s) -> bool:
    """Whether a character is a letter or digit of a script with spaces between words."""
    if code < 128:
        return _is_letter(code) or is_digit(code)
    letter: int = plain[code] | 32
    return letter == 97


@leaf
def _is_letter(code: int) -> bool:
    """Whether a character is a letter of ASCII."""
    return 97 <= code | 32 <= 122


@leaf
def _is_lower(code: int) -> bool:
    """Whether a character is a lower-case letter of ASCII."""
    return 97 <= code <= 122


@leaf
def _is_upper(code: int) -> bool:
    """Whether a character is a capital of ASCII."""
    return 65 <= code <= 90


@leaf
def _lower(code: int) -> int:
    """The character in lower case, if it is one of ASCII."""
    return code + 32 if 65 <= code <= 90 else code
