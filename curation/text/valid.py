"""Text that UTF-8 can hold: Python strings may have lone surrogates, which no file and no Arrow column can."""

from __future__ import annotations


def is_valid_text(text: str) -> bool:
    """Whether UTF-8 can hold a text: arguments and names of files that are not UTF-8 have lone surrogates in Python."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def valid_text(text: str) -> str:
    """The text with U+FFFD for each lone surrogate; halves of a pair become their character. TypeError for no string.

    >>> ascii(valid_text("a\\ud800b"))
    "'a\\\\ufffdb'"
    """
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    except AttributeError:
        raise TypeError(f"the text must be a string, not {type(text).__name__}") from None
    return text
