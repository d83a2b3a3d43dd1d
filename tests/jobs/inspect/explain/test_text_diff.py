"""What changed between two texts: told whole, in order, and readable without colour."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from curation.jobs.inspect.explain.text_diff import (
    COME,
    GONE,
    MOST_LINES,
    MOST_WORDS,
    SAME,
    DiffPart,
    changed_lines,
    marked,
    plain,
    words,
)

few = settings(deadline=None, derandomize=True, max_examples=150)
lines = st.lists(st.sampled_from(["a b c", "a b d", "", "one two three four", "one two five four", "x"]), max_size=8)


@few
@given(st.text(max_size=60), st.text(max_size=60))
def test_the_pieces_of_a_line_are_both_lines(old: str, new: str) -> None:
    """What is not new gives the old line, what is not gone the new one."""
    pieces = words(old, new)
    assert "".join(piece.text for piece in pieces if piece.kind != COME) == old
    assert "".join(piece.text for piece in pieces if piece.kind != GONE) == new


@few
@given(lines, lines)
def test_old_and_new_lines_balance(old: list[str], new: list[str]) -> None:
    """Lines that went, taken away, and lines that came, added, make the new text of the old one."""
    told = [text for line in changed_lines("\n".join(old), "\n".join(new)) for text in plain(line)]
    before, after = sorted(old or [""]), sorted(new or [""])
    for text in told:
        (before if text[0] == COME else after).append(text[2:])
    assert sorted(before) == sorted(after)


def test_a_rewritten_line_is_one_line() -> None:
    """A replacement within a line is told by words, a line cut out as a whole."""
    before = "A first line.\nshort\nMail jane@corp.io or call."
    after = "A first line.\nMail <email> or call."
    cut, edited = changed_lines(before, after)
    assert plain(cut) == ["- short"]
    assert plain(edited) == ["- Mail jane@corp.io or call.", "+ Mail <email> or call."]
    shown = "".join(text for _, text in marked(edited))
    assert shown == "~ Mail [-jane@corp.io-]{+<email>+} or call."
    assert {kind for kind, _ in marked(edited)} == {GONE, COME, SAME}


def test_a_citation_cut_out_shows_both_lines() -> None:
    """A line that only lost something is told as the old and the new one."""
    assert [plain(line) for line in changed_lines("See [1] there.", "See  there.")] == [
        ["- See [1] there.", "+ See  there."]
    ]


def test_long_texts_and_lines_are_bounded() -> None:
    """Beyond the limits lines are compared whole, in any number, and still told."""
    many = "\n".join(f"line {n}" for n in range(MOST_LINES))
    assert changed_lines(f"{many}\nthe last one", many) == [(DiffPart(GONE, "the last one"),)]
    long = "word " * MOST_WORDS
    assert [plain(line) for line in changed_lines(long, f"{long}more")] == [[f"+ {long}more"], [f"- {long}"]]
