"""A kernel that finds the IP addresses in windows of common letters as `recognizers.ips` does, and what judges them.

Most of a text of addresses is in such windows, and reading each with expressions takes ten times as long.
"""

from __future__ import annotations

import numpy as np

from curation.arrays import Bools, Int64s, UInt32s, UInt64s
from curation.running.compiled import inner, kernel, leaf

WINDOW, START, END, SIGNS = range(4)
COLUMNS = 4
"""What is said of an address: its window, its first code point, the one after its last, and signs for its kind, as
bits."""
IPV6, IS_MAPPED, IS_DOUBTFUL, FOLLOWS_LETTER, IS_LONG = (1 << bit for bit in range(5))
"""It is an IPv6 address; one that is an IPv4 address; a form that something else has more often; a letter may be before
it in its line; all four parts of an IPv4 address have at least two digits."""
SMALL_PART = 32
"""Version and section numbers have small parts; 1 in 250 random IPv4 addresses has three in a row below this."""
LINE_BEFORE = 24
"""Characters before an address in which a word may say that it is something else."""

MAX_IPV6 = 45
"""Characters of the longest IPv6 address."""
GROUPS, SURE_GROUPS, LONG_GROUP = 8, 4, 3
"""Groups of an IPv6 address; the fewest that it has if it touches a word; the fewest
digits of a long one."""
ASSIGNED_SHIFT, ASSIGNED = 125, 1
"""2000::/3, all IPv6 addresses assigned by IANA. Others are more often ratios, or scopes in source code (`a::b`)."""
MAPPED_SHIFT, MAPPED = 32, 0xFFFF
"""::ffff:0:0/96, IPv4 addresses written as IPv6 addresses."""

_INVALID = -1


@kernel
def find_addresses(
    codepoints: UInt32s,
    begins: Int64s,
    ends: Int64s,
    first: Int64s,
    last: Int64s,
    found: Int64s,
    values: UInt64s,
    done: Bools,
) -> int:
    """Find the addresses in windows of ASCII and common letters that `addresses.judge_ip` may accept.

    Args:
        codepoints: Code points of all texts.
        begins: First code point of each window.
        ends: Code point after each window.
        first: First code point of the text of each window.
        last: Code point after the text of each window.
        found: Output, shape (addresses, COLUMNS), with room for one per two characters of each window, and one more.
        values: Output, shape (addresses, 2): the upper and the lower half of each address as a number.
        done: Output: whether a window was looked at.

    Returns:
        The number of addresses.
    """
    count, groups = 0, np.zeros(GROUPS, np.uint64)
    for window in range(begins.size):
        begin, end = begins[window], ends[window]
        dots, colons = 0, 0
        done[window] = True
        for place in range(begin, end):
            code = codepoints[place]
            done[window] = done[window] and (code < 128 or _is_letter(code))
            dots += code == 46
            colons += code == 58
        if not done[window]:
            continue
        before = count
        if colons > 1:
            count = _find_ipv6(codepoints, begin, end, first[window], last[window], groups, found, values, count)
        if count < 0:
            count, done[window] = before, False
        elif dots > 2:
            count = _find_ipv4(codepoints, begin, end, first[window], found, values, before, count)
        found[before:count, WINDOW] = window
    return count


@inner
def _find_ipv4(
    codepoints: UInt32s, begin: int, end: int, first: int, found: Int64s, values: UInt64s, own: int, count: int
) -> int:
    """Find the IPv4 addresses in a window that are not written as IPv6 addresses, which are found from `own` on, and
    return the number of all addresses."""
    place, others = begin, count
    while place < end:
        stop, value = place, np.uint64(0)
        if is_digit(codepoints[place]) and (place == begin or not _is_alphanumeric(codepoints[place - 1])):
            stop, value = _read_ipv4(codepoints, place, end)
        if stop == place or (stop < end and _is_alphanumeric(codepoints[stop])):
            place += 1
            continue
        follows = place - begin > 1 and codepoints[place - 1] == 46 and is_digit(codepoints[place - 2])
        is_followed = stop + 1 < end and codepoints[stop] == 46 and is_digit(codepoints[stop + 1])
        while own < others and found[own, END] < stop:
            own += 1
        is_mapped = own < others and found[own, END] == stop and found[own, SIGNS] & IS_MAPPED != 0
        is_mapped &= count == others or found[count - 1, END] <= found[own, START]
        if not (follows or is_followed or is_mapped):
            one, two = int(value >> np.uint64(24)), int(value >> np.uint64(16)) & 255
            three, four = int(value >> np.uint64(8)) & 255, int(value) & 255
            signs = IS_LONG if min(one, two, three, four) > 9 else 0
            if two < SMALL_PART and three < SMALL_PART and min(one, four) < SMALL_PART:
                signs |= IS_DOUBTFUL
            line = place
            while line > max(first, place - LINE_BEFORE) and codepoints[line - 1] != 10:
                line -= 1
                if codepoints[line] > 127 or _is_letter(codepoints[line]):
                    signs |= FOLLOWS_LETTER
            found[count, START], found[count, END], found[count, SIGNS] = place, stop, signs
            values[count, 0], values[count, 1] = 0, value
            count += 1
        place = stop
    return count


@inner
def _find_ipv6(
    codepoints: UInt32s,
    begin: int,
    end: int,
    first: int,
    last: int,
    groups: UInt64s,
    found: Int64s,
    values: UInt64s,
    count: int,
) -> int:
    """Find the IPv6 addresses in a window, and return the number of all addresses; -1 if it needs a closer look."""
    place, low = begin, begin
    while place < end:
        if codepoints[place] != 58:
            place += 1
            continue
        # Up to four digits before the first colon, and behind each.
        start, stop, colons = place, place, 0
        while start > low and place - start < 4 and hexadecimal(codepoints[start - 1]) < 16:
            start -= 1
        while stop < end and codepoints[stop] == 58:
            colons, digits, stop = colons + 1, 0, stop + 1
            while stop < end and digits < 4 and hexadecimal(codepoints[stop]) < 16:
                digits, stop = digits + 1, stop + 1
        place = stop
        if colons < 2:
            continue
        low = stop
        start, stop = _without_neighbors(codepoints, start, stop, begin, end)
        if not 2 < stop - start <= MAX_IPV6 or not _read_ipv6(codepoints, start, stop, groups):
            continue
        upper, lower = np.uint64(0), np.uint64(0)
        for i in range(4):
            upper, lower = upper << np.uint64(16) | groups[i], lower << np.uint64(16) | groups[i + 4]
        signs = IPV6
        if upper == 0 and lower >> np.uint64(MAPPED_SHIFT) == MAPPED:
            signs |= IS_MAPPED
        else:
            sure = _is_sure(codepoints, start, stop, first, last)
            if sure < 0:
                return _INVALID
            size, longs, is_whole, is_decimal = _look_at_groups(codepoints, start, stop)
            is_random = is_whole and size == GROUPS and not is_decimal and longs > GROUPS // 2
            is_assigned = upper >> np.uint64(ASSIGNED_SHIFT - 64) == ASSIGNED
            if not (is_assigned or is_random) or (not sure and size < SURE_GROUPS):
                continue
            if is_decimal and (size == GROUPS or size < SURE_GROUPS):
                signs |= IS_DOUBTFUL  # as in a series "2001:2002:...", or a slice "[2000::2]"
        found[count, START], found[count, END], found[count, SIGNS] = start, stop, signs
        values[count, 0], values[count, 1] = upper, lower
        count += 1
    return count


@leaf
def _without_neighbors(codepoints: UInt32s, start: int, stop: int, begin: int, end: int) -> tuple[int, int]:
    """The part of digits and colons in a window that may be an address; nothing if they are part of something else."""
    tail = _read_tail(codepoints, stop, end)
    if tail > stop:
        stop = tail
    elif stop < end and _is_alphanumeric(codepoints[stop]):
        stop -= 1
        while codepoints[stop] != 58:  # the last group belongs to what follows: "2a02::a1b:edited"
            stop -= 1
    elif stop + 1 < end and codepoints[stop] == 46 and is_digit(codepoints[stop + 1]):
        return start, start
    if codepoints[start] == 58 and codepoints[start + 1] != 58:
        start += 1  # "ip:2a02::a1b"
    elif start > begin and _is_alphanumeric(codepoints[start - 1]):
        return start, start
    if stop - start > 1 and codepoints[stop - 1] == 58 and codepoints[stop - 2] != 58:
        stop -= 1
    return start, stop


@leaf
def _read_tail(codepoints: UInt32s, place: int, end: int) -> int:
    """Where three parts of an IPv4 address end, each with a full stop before it; `place` if they do not follow."""
    at = place
    for _ in range(3):
        if at == end or codepoints[at] != 46:
            return place
        at, digits = at + 1, 0
        while at < end and digits < 3 and is_digit(codepoints[at]):
            at, digits = at + 1, digits + 1
        if not digits:
            return place
    is_cut = at < end and (_is_alphanumeric(codepoints[at]) or codepoints[at] == 95 or codepoints[at] == 46)
    return place if is_cut else at


@leaf
def _read_ipv4(codepoints: UInt32s, start: int, end: int) -> tuple[int, np.uint64]:
    """Where four parts of at most 255, without leading zeros, end, and their value; `start` if they are not there."""
    place, value = start, np.uint64(0)
    for part in range(4):
        if part:
            if place == end or codepoints[place] != 46:
                return start, value
            place += 1
        first, number = place, 0
        while place < end and place - first < 4 and is_digit(codepoints[place]):
            number = 10 * number + int(codepoints[place]) - 48
            place += 1
        size = place - first
        if not 0 < size < 4 or number > 255 or (size > 1 and codepoints[first] == 48):
            return start, value
        value = value << np.uint64(8) | np.uint64(number)
    return place, value


@leaf
def _read_ipv6(codepoints: UInt32s, start: int, stop: int, groups: UInt64s) -> bool:
    """Read an address into its eight groups, as `inet_pton` does; False if it is none."""
    groups[:] = 0
    count, gap, digits, value, place = 0, -1, 0, np.uint64(0), start
    if codepoints[start] == 58:
        if codepoints[start + 1] != 58:
            return False
        place += 1
    while place < stop:
        code, digit = codepoints[place], hexadecimal(codepoints[place])
        if digit < 16:
            value, digits = value << np.uint64(4) | np.uint64(digit), digits + 1
            if digits > 4 or count == GROUPS:
                return False
        elif code == 58 and not digits:
            if gap >= 0:
                return False
            gap = count
        elif code == 58:
            if place + 1 == stop:
                return False
            groups[count] = value
            count, digits, value = count + 1, 0, np.uint64(0)
        else:
            place -= digits
            end, address = _read_ipv4(codepoints, place, stop)
            if end != stop or end == place or count > GROUPS - 2:
                return False
            groups[count], groups[count + 1] = address >> np.uint64(16), address & np.uint64(0xFFFF)
            count, digits, place = count + 2, 0, stop
        place += 1
    if digits:
        groups[count] = value
        count += 1
    if gap < 0:
        return count == GROUPS
    if count == GROUPS:
        return False
    for i in range(count - gap):
        groups[GROUPS - 1 - i], groups[count - 1 - i] = groups[count - 1 - i], np.uint64(0)
    return True


@leaf
def _is_sure(codepoints: UInt32s, start: int, stop: int, first: int, last: int) -> int:
    """Whether no word touches an address with a colon between them; -1 if that is not known."""
    if start - first > 1 and codepoints[start - 1] == 58:
        if _is_alphanumeric(codepoints[start - 2]):
            return 0
        if codepoints[start - 2] > 127:
            return _INVALID
    if stop + 1 < last and codepoints[stop] == 58:
        if _is_alphanumeric(codepoints[stop + 1]):
            return 0
        if codepoints[stop + 1] > 127:
            return _INVALID
    return 1


@leaf
def _look_at_groups(codepoints: UInt32s, start: int, stop: int) -> tuple[int, int, bool, bool]:
    """The groups of an address, where "::" is one border: their number, how many are long, whether none is missing,
    and whether all digits are decimal."""
    size, longs, digits, is_whole, is_decimal = 1, 0, 0, True, True
    for place in range(start, stop):
        code = codepoints[place]
        if code == 58:
            is_double = place > start and codepoints[place - 1] == 58
            size += not is_double
            is_whole &= digits > 0
            longs += digits >= LONG_GROUP
            digits = 0
        else:
            digits += 1
            is_decimal &= is_digit(code)
    return size, longs + (digits >= LONG_GROUP), is_whole and digits > 0, is_decimal


@leaf
def is_digit(code: int) -> bool:
    """Whether a character is a digit of ASCII."""
    return 48 <= code <= 57


@leaf
def _is_letter(code: int) -> bool:
    """Whether a character is a letter of ASCII, or one of most of the Latin, Greek and Cyrillic letters."""
    if code < 128:
        return 97 <= code | 32 <= 122
    return (
        (0xC0 <= code < 0x250 and code != 0xD7 and code != 0xF7)
        or (0x38E <= code < 0x482 and code != 0x3A2 and code != 0x3F6)
        or 0x48A <= code < 0x530
    )


@leaf
def _is_alphanumeric(code: int) -> bool:
    return is_digit(code) or _is_letter(code)


@leaf
def hexadecimal(code: int) -> int:
    """The value of a hexadecimal digit, 16 if it is none."""
    if is_digit(code):
        return int(code) - 48
    return int(code | 32) - 87 if 97 <= code | 32 <= 102 else 16
