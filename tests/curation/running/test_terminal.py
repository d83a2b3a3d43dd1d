"""Text that is printed cannot command the terminal."""

from __future__ import annotations

import io
import json
import logging
import sys
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console
from rich.table import Table
from rich.text import Text

from curation.report.terminal import SafeConsole, styled
from curation.running.terminal import EscapingStream, escaped, one_line, protect, restore, to_json

HOSTILE = "a\x1b]0;title\x07b\x9b2Jc\u202ed\u2066e\u200ef\x7fg\rh\x00i\U000e0041j\udc9bk"


def is_safe(text: str) -> bool:
    """Whether a terminal only shows it."""
    return not any(
        unicodedata.category(c) in ("Cc", "Cf", "Cs", "Zl", "Zp") and c not in "\n\t\u200c\u200d" for c in text
    )


@given(st.text())
def test_escaped_text_is_safe(text: str) -> None:
    """Nothing but printable characters, newlines, tabs and joiners is left; escaping again changes nothing."""
    assert is_safe(escaped(text))
    assert escaped(escaped(text)) == escaped(text)


def test_escapes_say_what_was_there() -> None:
    """Each character is shown as Python writes it; newline and tab stay, or become spaces in one line."""
    assert escaped("\x1b\x07\x9b\u202e\U000e0041\r") == r"\x1b\x07\x9b\u202e\U000e0041\r"
    assert escaped("a\n\tb\u00a0c\u200dd é 漢") == "a\n\tb\u00a0c\u200dd é 漢"
    assert one_line("a\n\tb\x1b") == r"a  b\x1b"


@given(st.text() | st.just(HOSTILE))
def test_json_is_safe_and_the_same_value(text: str) -> None:
    """JSON has escapes of its own for them, and reads back as the same value."""
    printed = to_json({text: [text]}, indent=1)
    assert is_safe(printed)
    assert json.loads(printed) == {text: [text]}


def test_streams_escape_and_are_otherwise_the_same() -> None:
    """What is written is escaped, and everything else is the stream's."""
    raw = io.StringIO()
    stream = EscapingStream(raw)
    print(HOSTILE, file=stream)
    stream.writelines(["\x1b", "ok"])
    assert is_safe(raw.getvalue())
    assert (stream.isatty(), stream.getvalue()) == (False, raw.getvalue())


def test_everything_printed_is_escaped(monkeypatch: pytest.MonkeyPatch) -> None:
    """Prints, logs and tracebacks go through the streams; the styles of rich pass."""
    streams = io.StringIO(), io.StringIO()
    monkeypatch.setattr(sys, "stdout", streams[0])
    monkeypatch.setattr(sys, "stderr", streams[1])
    before = protect()
    try:
        assert protect() == (sys.stdout, sys.stderr)
        print(HOSTILE)
        logging.lastResort.handle(logging.makeLogRecord({"msg": HOSTILE, "levelno": 50}))  # type: ignore[union-attr]
        sys.excepthook(ValueError, ValueError(HOSTILE), None)
        Console(stderr=True, force_terminal=True, color_system="standard").print(Text("styled", "red"))
    finally:
        restore(before)
    assert is_safe(streams[0].getvalue())
    log, _, styles = streams[1].getvalue().rpartition("ValueError")
    assert is_safe(log)
    assert "\x1b[31mstyled\x1b[0m" in styles
    assert sys.stdout is streams[0]


@pytest.mark.parametrize("terminal", [True, False])
def test_consoles_show_text_and_keep_their_styles(terminal: bool) -> None:
    """Whatever is printed on a console is escaped, as wide as it is shown, without markup or emoji codes."""
    raw = io.StringIO()
    raw.isatty = lambda: terminal  # type: ignore[method-assign]
    console = SafeConsole(raw, width=300)
    table = Table("name", title=HOSTILE)
    table.add_row(HOSTILE + "[bold]x[/bold] :bell: [/]")
    table.add_row(Text(HOSTILE))
    console.print(table)
    console.print(HOSTILE, "[red]plain[/red]", Text(HOSTILE), styled(("mine", "bold"), HOSTILE))
    shown = raw.getvalue()
    own = ("\x1b[1m", "\x1b[0m", "\x1b[3m", "\x1b[1;3m")
    assert ("\x1b[1mmine\x1b[0m" in shown) == terminal
    for style in own:
        shown = shown.replace(style, "")
    assert is_safe(shown)
    assert "[bold]x[/bold] :bell: [/]" in shown
    assert "[red]plain[/red]" in shown
    rows = [line for line in shown.splitlines() if line.startswith("│")]
    assert len({len(line) for line in rows}) == 1
