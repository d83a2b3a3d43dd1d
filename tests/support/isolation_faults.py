"""Functions of a page that fail in every way a real page can, for the tests of isolation."""

from __future__ import annotations

import ctypes
import os
import re
import signal
import time
from collections.abc import Callable
from pathlib import Path


def page(text: str) -> str:
    """Fail as the page says; "who" gives the process that handled it, and any other page its text."""
    if "FAULT loop" in text:
        while True:
            pass
    if "FAULT regex" in text:  # one call of C code that keeps the GIL
        re.match(r"(a+)+$", "a" * 60 + "b")
    if "FAULT sleep" in text:
        time.sleep(1000)
    if "FAULT signal" in text:
        os.kill(os.getpid(), signal.SIGSEGV)
    if "FAULT stop" in text:  # a stopped process handles no signal except SIGKILL
        os.kill(os.getpid(), signal.SIGSTOP)
    if "FAULT null" in text:
        ctypes.string_at(0)
    if "FAULT exit" in text:
        os._exit(75)
    if "FAULT memory" in text:
        held = []
        while True:
            held.append(bytearray(256 << 20))
    if "FAULT once" in text:
        marker = Path(text.rsplit(" ", 1)[1])
        if not marker.exists():
            marker.touch()
            os.kill(os.getpid(), signal.SIGKILL)
    if "FAULT grow" in text:
        _held.append(bytearray(150 << 20))
    if "FAULT error" in text:
        raise KeyError("no such thing")
    if "FAULT leave" in text:
        raise SystemExit(1)
    if "FAULT print" in text:
        print("polluted", flush=True)
        os.write(2, b"polluted")
    if "FAULT wait" in text:
        time.sleep(0.3)
    return str(os.getpid()) if text == "who" else text


_held: list[bytearray] = []


def make() -> Callable[[bytes], str]:
    """A factory for `curation.extraction.isolation.Function`."""
    return lambda html: page(html.decode())


def make_list() -> Callable[[bytes], list[object]]:
    """A function whose answers are lists that begin with a text, which may have a surrogate."""
    return lambda html: [html.decode().replace("SURROGATE", "\ud800"), 0.5, None, "more"]


def broken() -> Callable[[bytes], str]:
    """A factory that fails."""
    raise RuntimeError("no model to load")
