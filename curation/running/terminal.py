r"""What a process prints: text from outside is shown, and cannot command the terminal.

File names, addresses, pages and error messages may contain escape sequences, which move the cursor, set the title or
hide text, and characters that change the direction of writing. They are printed as escapes, such as `\x1b`.
"""

from __future__ import annotations

import json
import os
import sys
import unicodedata
from collections.abc import Iterable
from typing import Any, TextIO

_KEPT = "\n\t\u200c\u200d"
"""New lines and tabs, and the joiners that scripts and emoji need."""


def escaped(text: str) -> str:
    r"""The text with control, direction and other invisible characters as escapes, except newline and tab.

    >>> print(escaped("a\x1b[31m\u202eb\N{VULGAR FRACTION ONE HALF}"))
    a\x1b[31m\u202eb½
    """
    return text if text.isprintable() else "".join(map(_escaped, text))


def _escaped(character: str) -> str:
    if character.isprintable() or character in _KEPT or unicodedata.category(character) == "Zs":
        return character
    return character.encode("unicode_escape").decode()


def one_line(text: str) -> str:
    r"""The text escaped and in one line: "a\nb" → "a b"."""
    return escaped(text).replace("\n", " ").replace("\t", " ")


def to_json(value: Any, indent: int | None = None) -> str:
    """JSON to print: readable in all scripts, with what `escaped` escapes as JSON's own escapes."""
    text = json.dumps(value, ensure_ascii=False, indent=indent)
    return "".join(c if c.isprintable() or c == "\n" else json.dumps(c)[1:-1] for c in text)


def discard_results() -> None:
    """Let stdout go nowhere from now on: its reader has closed the pipe, as `head` does, and the command goes on.

    Otherwise its exit code would say that all is well, whatever it found.
    """
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, unprotected(sys.stdout).fileno())
    os.close(nowhere)


class EscapingStream:
    """A text stream that escapes what is written. Otherwise like `stream`.

    Attributes:
        rich_proxied_file: The terminal or file itself, to which rich's consoles write, since they write commands too.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self.rich_proxied_file = unprotected(stream)

    def write(self, text: str) -> int:
        """Write the text escaped; returns its length."""
        try:
            self._stream.write(escaped(text))
        except BrokenPipeError:
            if self.rich_proxied_file is not unprotected(sys.stdout):
                raise
            discard_results()
        return len(text)

    def writelines(self, lines: Iterable[str]) -> None:
        """Write each text."""
        for line in lines:
            self.write(line)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


def unprotected(stream: TextIO) -> TextIO:
    """The terminal or file below streams that escape or redirect what is written."""
    while (below := getattr(stream, "rich_proxied_file", None)) is not None:
        stream = below
    return stream


def protect() -> tuple[Any, Any]:
    """Escape what this process prints from now on: results, errors, warnings, logs, tracebacks.

    Returns:
        The streams before, stdout and stderr, for `restore`.
    """
    before = sys.stdout, sys.stderr
    sys.stdout, sys.stderr = (
        stream if stream is None or isinstance(stream, EscapingStream) else EscapingStream(stream) for stream in before
    )
    return before


def restore(before: tuple[Any, Any]) -> None:
    """Undo `protect`."""
    sys.stdout, sys.stderr = before


def dask_setup(_: object) -> None:
    """Called by Dask in each worker that it starts with this module as preload."""
    protect()
