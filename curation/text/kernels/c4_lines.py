"""C4's rules for lines: which lines of a text are kept, what is cut from them, and how many sentences they have.

Equal to datatrove 0.10's C4QualityFilter (pipeline/filters/c4_filters.py): lines are those of `str.splitlines`,
stripped; words are those of `str.split`; phrases are searched in the line after `str.lower`, without citations.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from curation.arrays import Bools, Int64s, UInt8s, UInt32s
from curation.running.compiled import inner, kernel
from curation.text.kernels.characters import DECIMAL, PUNCTUATION, SPACE, STOP
from curation.text.kernels.chunks import IS_PUNCTUATION, IS_STOP
from curation.text.kernels.markdown import is_heading
from curation.text.kernels.quality import ends_in_ellipsis, line_end, stripped

KEPT, LONG_WORD, NO_TERMINAL, FEW_WORDS, JAVASCRIPT, POLICY, CAUSES = range(7)
"""What happens to a line; CAUSES is the number of outcomes."""
LOREM_IPSUM, CURLY_BRACKET = 1, 2
"""What the line contains because of which the whole document is removed."""

_EDIT = np.array([ord(character) for character in "[edit]"], dtype=np.uint32)
_CITATION_NEEDED = np.array([ord(character) for character in "[citation needed]"], dtype=np.uint32)


class LineRules(NamedTuple):
    """Parameters of `clean_lines`.

    Attributes:
        max_word_length: Longest word of a kept line, in characters; a negative number disables the rule.
        min_words: Fewest words of a kept line; a negative number disables the rule.
        terminal: Whether lines must end in terminal punctuation.
        citations: Whether citations such as [1] are cut out.
        javascript: Whether lines that mention JavaScript are removed.
        policy: Whether lines with a phrase of the policy rule are removed.
        lorem_ipsum: Whether documents with "lorem ipsum" are removed.
        curly_bracket: Whether documents with `{` are removed.
        markdown: Whether blank lines, indentation and headings of few words stay.
    """

    max_word_length: int
    min_words: int
    terminal: bool
    citations: bool
    javascript: bool
    policy: bool
    lorem_ipsum: bool
    curly_bracket: bool
    markdown: bool


class Fences(NamedTuple):
    """Spans whose lines are kept as they are: the arrays of `curation.text.views.Spans`."""

    starts: Int64s
    ends: Int64s
    first: Int64s
    last: Int64s


class Phrases(NamedTuple):
    """The phrases to search: `javascript`, `lorem ipsum`, then those of the policy rule; at most 8.

    Attributes:
        codepoints: All phrases in lower-case ASCII, one after another.
        offsets: Phrase k is `codepoints[offsets[k]:offsets[k + 1]]`.
        beginning: By ASCII character, a bit mask of the phrases that begin with it.
    """

    codepoints: UInt32s
    offsets: Int64s
    beginning: UInt8s


class CleanTexts(NamedTuple):
    """Cleaned texts.

    Attributes:
        codepoints: Code points of all texts.
        first: First code point of each text.
        last: Code point after each text.
        starts: First code point of each kept line. The first line may begin before its text, which is stripped.
        ends: Code point after each kept line. The last line may end after its text.
        sources: Start of each kept line in the original text, or -1 if something was cut from it.
        fenced: Whether each kept line is in a fence.
        lines_first: First kept line of each text.
        lines_last: Kept line after the last of each text.
        causes: Number of lines of each text by outcome, shape (texts, CAUSES).
        condemned: LOREM_IPSUM, CURLY_BRACKET or 0 for each text.
    """

    codepoints: UInt32s
    first: Int64s
    last: Int64s
    starts: Int64s
    ends: Int64s
    sources: Int64s
    fenced: Bools
    lines_first: Int64s
    lines_last: Int64s
    causes: Int64s
    condemned: Int64s


@kernel
def count_lines(codepoints: UInt32s, first: Int64s, last: Int64s, classes: UInt8s) -> int:
    """Lines of `str.splitlines` in all texts."""
    count = 0
    for row in range(first.size):
        at = first[row]
        while at < last[row]:
            _, at = line_end(codepoints, classes, at, last[row])
            count += 1
    return count


@kernel
def clean_lines(
    codepoints: UInt32s,
    first: Int64s,
    last: Int64s,
    classes: UInt8s,
    lower: UInt8s,
    rules: LineRules,
    phrases: Phrases,
    fences: Fences,
    cleaned: CleanTexts,
) -> int:
    """Clean the lines of texts.

    A line that condemns its text is treated as if that rule were disabled.

    Args:
        codepoints: Code points of all texts.
        first: First code point of each text.
        last: Code point after each text.
        classes: Classes of code points (`characters.classes`).
        lower: Lower-case ASCII by code point (`characters.ascii_lower`).
        rules: Parameters of the rules.
        phrases: Phrases to search.
        fences: Spans of fenced code, whose lines are kept.
        cleaned: Output.

    Returns:
        The number of code points of all cleaned texts.
    """
    out = cleaned.codepoints
    at, n_lines = 0, 0
    for row in range(first.size):
        cleaned.causes[row, :] = 0
        cleaned.condemned[row] = 0
        cleaned.lines_first[row] = n_lines
        begin = at
        blank = False
        source, fence = first[row], fences.first[row]
        while source < last[row]:
            line, after = line_end(codepoints, classes, source, last[row])
            newlines = 1 + blank if n_lines > cleaned.lines_first[row] else 0
            target = at + newlines
            while fence < fences.last[row] and fences.ends[fence] <= source:
                fence += 1
            fenced = fence < fences.last[row] and fences.starts[fence] <= source
            if fenced:
                start, end, stop, cause, condemned = source, line, target + line - source, KEPT, 0
                for i in range(line - source):
                    out[target + i] = codepoints[source + i]
            else:
                start, end = stripped(codepoints, classes, source, line)
                if rules.markdown:
                    if start == end:
                        blank, source = True, after
                        continue
                    for i in range(start - source):
                        out[target + i] = codepoints[source + i]
                    target += start - source
                stop, cause, condemned = _clean_line(
                    codepoints, start, end, classes, lower, rules, phrases, out, target
                )
            source = after
            cleaned.causes[row, cause] += 1
            if condemned and not cleaned.condemned[row]:
                cleaned.condemned[row] = condemned
            if cause == KEPT:
                for i in range(newlines):
                    out[at + i] = 10
                blank = False
                cleaned.starts[n_lines], cleaned.ends[n_lines] = target, stop
                cleaned.sources[n_lines] = start if stop - target == end - start else -1
                cleaned.fenced[n_lines] = fenced
                n_lines += 1
                at = stop
        cleaned.lines_last[row] = n_lines
        cleaned.first[row], cleaned.last[row] = stripped(out, classes, begin, at)
    return at


@inner
def _clean_line(
    codepoints: UInt32s,
    start: int,
    end: int,
    classes: UInt8s,
    lower: UInt8s,
    rules: LineRules,
    phrases: Phrases,
    out: UInt32s,
    target: int,
) -> tuple[int, int, int]:
    """Write a line to `out[target:]`; returns where it ends, its outcome, and what condemns the document, or 0."""
    words, longest, brackets = _words(codepoints, start, end, classes)
    if rules.max_word_length >= 0 and longest > rules.max_word_length:
        return target, LONG_WORD, 0
    if brackets and rules.citations:
        stop = _without_citations(codepoints, start, end, classes, out, target)
    else:
        stop = target + end - start
        for i in range(end - start):
            out[target + i] = codepoints[start + i]
    if rules.terminal and not _ends_sentence(out, target, stop):
        return stop, NO_TERMINAL, 0
    if words < rules.min_words and not (rules.markdown and is_heading(codepoints, start, end)):
        return stop, FEW_WORDS, 0
    phrase_bits, bracket = _find_phrases(out, target, stop, lower, phrases)
    if rules.lorem_ipsum and phrase_bits & 2:
        return stop, KEPT, LOREM_IPSUM
    if rules.javascript and phrase_bits & 1:
        return stop, JAVASCRIPT, 0
    condemned = CURLY_BRACKET if rules.curly_bracket and bracket else 0
    return stop, POLICY if rules.policy and phrase_bits > 3 else KEPT, condemned


@inner
def _words(codepoints: UInt32s, start: int, end: int, classes: UInt8s) -> tuple[int, int, int]:
    """Number of words separated by white space, length of the longest, and number of opening brackets."""
    words = longest = length = brackets = 0
    for i in range(start, end):
        code = codepoints[i]
        brackets += code == 0x5B
        length = 0 if classes[code] & SPACE else length + 1
        words += length == 1
        longest = max(longest, length)
    return words, longest, brackets


@inner
def _without_citations(codepoints: UInt32s, start: int, end: int, classes: UInt8s, out: UInt32s, target: int) -> int:
    i = start
    while i < end:
        after = _citation(codepoints, i, end, classes) if codepoints[i] == 0x5B else 0
        if after:
            i = after
            continue
        out[target] = codepoints[i]
        target += 1
        i += 1
    return target


@inner
def _citation(codepoints: UInt32s, start: int, end: int, classes: UInt8s) -> int:
    r"""End of the citation (`\\[\\d*]|\\[edit]|\\[citation needed]`) that begins at `start`, or 0 if there is none."""
    i = start + 1
    while i < end and classes[codepoints[i]] & DECIMAL:
        i += 1
    if i < end and codepoints[i] == 0x5D:
        return i + 1
    for text in (_EDIT, _CITATION_NEEDED):
        if start + text.size <= end:
            k = 0
            while k < text.size and codepoints[start + k] == text[k]:
                k += 1
            if k == text.size:
                return int(start + k)
    return 0


@inner
def _ends_sentence(codepoints: UInt32s, start: int, end: int) -> bool:
    if start == end:
        return False
    code = codepoints[end - 1]
    if not (code == 0x2E or code == 0x3F or code == 0x21 or code == 0x22 or code == 0x27):
        return False
    return code != 0x2E or not ends_in_ellipsis(codepoints, start, end)


@inner
def _find_phrases(codepoints: UInt32s, start: int, end: int, lower: UInt8s, phrases: Phrases) -> tuple[int, bool]:
    """A bit mask of the phrases that occur, and whether `{` occurs."""
    phrase_bits = 0
    bracket = False
    for i in range(start, end):
        code = codepoints[i]
        bracket |= code == 0x7B
        beginning = phrases.beginning[lower[code]]
        k = 0
        while beginning:
            if beginning & 1:
                begin, length = phrases.offsets[k], phrases.offsets[k + 1] - phrases.offsets[k]
                j = 1
                while j < length and i + j < end and lower[codepoints[i + j]] == phrases.codepoints[begin + j]:
                    j += 1
                if j == length:
                    phrase_bits |= 1 << k
            beginning >>= 1
            k += 1
    return phrase_bits, bracket


class WordArrays(NamedTuple):
    """Words of texts: the arrays of `curation.text.views.Words`."""

    starts: Int64s
    ends: Int64s
    first: Int64s
    last: Int64s
    flags: UInt8s


@kernel
def gather_words(cleaned: CleanTexts, words: WordArrays, cut: WordArrays, out: WordArrays) -> int:
    """Assemble the words of cleaned texts without tokenizing unchanged lines again.

    A line has the same words in any text, because words only interact across a single space, never across lines.

    Args:
        cleaned: The cleaned texts.
        words: Words of the original texts, from which those of unchanged lines are taken.
        cut: Words of the lines that something was cut from, in order.
        out: Output.

    Returns:
        The number of words.
    """
    at, n_cut = 0, 0
    for row in range(words.first.size):
        out.first[row] = at
        k = words.first[row]
        for line in range(cleaned.lines_first[row], cleaned.lines_last[row]):
            source = cleaned.sources[line]
            if source < 0:
                for j in range(cut.first[n_cut], cut.last[n_cut]):
                    out.starts[at], out.ends[at], out.flags[at] = cut.starts[j], cut.ends[j], cut.flags[j]
                    at += 1
                n_cut += 1
                continue
            shift = cleaned.starts[line] - source
            end = cleaned.ends[line] - shift
            while k < words.last[row] and words.starts[k] < source:
                k += 1
            while k < words.last[row] and words.starts[k] < end:
                out.starts[at], out.ends[at] = words.starts[k] + shift, words.ends[k] + shift
                out.flags[at] = words.flags[k]
                k += 1
                at += 1
        out.last[row] = at
    return at


@kernel
def count_sentences(
    codepoints: UInt32s,
    starts: Int64s,
    ends: Int64s,
    flags: UInt8s,
    words_first: Int64s,
    words_last: Int64s,
    cleaned: CleanTexts,
    sentences: Int64s,
) -> None:
    """Count the sentences of each text, line by line, as spaCy's sentencizer does.

    A sentence begins after a token that ends one and any punctuation tokens that follow. White-space tokens, which are
    not among the words, begin one too: any white space other than a single space after a word is a token, and so is all
    white space at the start of a line.
    """
    for row in range(words_first.size):
        k = words_first[row]
        total = 0
        for line in range(cleaned.lines_first[row], cleaned.lines_last[row]):
            at, end = cleaned.starts[line], cleaned.ends[line]
            if cleaned.fenced[line]:
                while k < words_last[row] and starts[k] < end:
                    k += 1
                continue
            total += 1
            ended, begun = False, False
            while k < words_last[row] and starts[k] < end:
                if ended and _is_token(codepoints, at, starts[k], begun):
                    total += 1
                    ended = False
                if flags[k] & IS_STOP:
                    ended = True
                elif ended and not flags[k] & IS_PUNCTUATION:
                    total += 1
                    ended = False
                at = ends[k]
                begun = True
                k += 1
            if ended and _is_token(codepoints, at, end, begun):
                total += 1
        sentences[row] = total


@kernel
def count_plain_sentences(cleaned: CleanTexts, classes: UInt8s, sentences: Int64s) -> None:
    """Count the sentences of each text: a line ends one, and so does a word before white space that ends in a stop.

    Closing quotes and brackets, and other punctuation after the stop, belong to it.
    """
    codepoints = cleaned.codepoints
    for row in range(cleaned.lines_first.size):
        total = 0
        for line in range(cleaned.lines_first[row], cleaned.lines_last[row]):
            if cleaned.fenced[line]:
                continue
            total += 1
            stopped = False
            for i in range(cleaned.starts[line], cleaned.ends[line]):
                kind = classes[codepoints[i]]
                if kind & SPACE:
                    total += stopped
                    stopped = False
                else:
                    stopped = kind & STOP != 0 or (stopped and kind & PUNCTUATION != 0)
        sentences[row] = total


@inner
def _is_token(codepoints: UInt32s, start: int, end: int, begun: bool) -> bool:
    """Whether spaCy makes a token of the white space `[start, end)`; `begun` says whether a word precedes it."""
    if start < end and begun and codepoints[start] == 0x20:
        start += 1
    return start < end
