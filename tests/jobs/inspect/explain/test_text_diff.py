"""Text diffs are complete, in order, and readable without color."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from curation.jobs.inspect.explain.text_diff import (
    ADDED,
    MAX_LINES,
    MAX_WORDS,
    REMOVED,
    SAME,
    DiffPart,
    bracketed,
    changed_lines,
    plain,
    words,
)

few = settings(deadline=None, derandomize=True, max_examples=150)
lines = st.lists(st.sampled_from(["a b c", "a b d", "", "one two three four", "one two five four", "x"]), max_size=8)


@few
@given(st.text(max_size=60), st.text(max_size=60))
def test_the_pieces_of_a_line_are_both_lines(old: str, new: str) -> None:
    """The pieces that were not added give the old line, those that were not removed the new one."""
    pieces = words(old, new)
    assert "".join(piece.text for piece in pieces if piece.kind != ADDED) == old
    assert "".join(piece.text for piece in pieces if piece.kind != REMOVED) == new


@few
@given(lines, lines)
def test_old_and_new_lines_balance(old: list[str], new: list[str]) -> None:
    """Removing the removed lines from the old text and adding the added ones gives the new text."""
    changes = [text for line in changed_lines("\n".join(old), "\n".join(new)) for text in plain(line)]
    before, after = sorted(old or [""]), sorted(new or [""])
    for text in changes:
        (before if text[0] == ADDED else after).append(text[2:])
    assert sorted(before) == sorted(after)


def test_a_rewritten_line_is_one_line() -> None:
    """A replacement within a line is shown by words, a removed line as a whole."""
    before = "A first line.\nshort\nMail jane@corp.io or call."
    after = "A first line.\nMail <email> or call."
    cut, edited = changed_lines(before, after)
    assert plain(cut) == ["- short"]
    assert plain(edited) == ["- Mail jane@corp.io or call.", "+ Mail <email> or call."]
    inline = "".join(text for _, text in bracketed(edited))
    assert inline == "~ Mail [-jane@corp.io-]{+<email>+} or call."
    assert {kind for kind, _ in bracketed(edited)} == {REMOVED, ADDED, SAME}


def test_a_citation_cut_out_shows_both_lines() -> None:
    """A line from which only something was removed is shown as the old and the new line."""
    assert [plain(line) for line in changed_lines("See [1] there.", "See  there.")] == [
        ["- See [1] there.", "+ See  there."]
    ]


def test_long_texts_and_lines_are_bounded() -> None:
    """Beyond the limits, lines are compared as a whole and changes are still reported."""
    many = "\n".join(f"line {n}" for n in range(MAX_LINES))
    assert changed_lines(f"{many}\nthe last one", many) == [(DiffPart(REMOVED, "the last one"),)]
    long = "word " * MAX_WORDS
    assert [plain(line) for line in changed_lines(long, f"{long}more")] == [[f"- {long}"], [f"+ {long}more"]]


def test_removed_lines_go_before_added_ones() -> None:
    """Also where no line is like another one, and between pairs of lines that are alike."""
    old, new = "one two three four\nalpha\nfive six seven eight", "omega\none two three 4\nbeta\nfive six seven 8"
    assert [text for line in changed_lines(old, new) for text in plain(line)] == [
        *("+ omega", "- one two three four", "+ one two three 4"),
        *("- alpha", "+ beta", "- five six seven eight", "+ five six seven 8"),
    ]
