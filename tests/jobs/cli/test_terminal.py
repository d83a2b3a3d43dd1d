"""Nothing in an archive's name, addresses or pages reaches the terminal as a command, whatever command prints it."""

from __future__ import annotations

import io
import json
import os
import pty
import re
import subprocess
import sys
import unicodedata
from contextlib import chdir
from pathlib import Path

import pytest
from archives import page, prose, response, write_archive
from processes import SETTINGS, command, curate, curate_process

from curation.jobs.steps.progress import Progress

TITLE, C1, BIDI = "\x1b]0;title\x07", "\x9b", "\u202e"
HOSTILE = f"{TITLE}{C1}2J{BIDI}[bold]"
URL = f"https://a.org/{HOSTILE}"
STYLES = re.compile(r"\x1b\[(\d+(;\d+)*m|\?25[lh]|\d*[AK]|2K)|\r")
"""What rich writes: styles, and in the live view the movements of the cursor."""


def unsafe(text: str) -> set[str]:
    """Control and direction characters in a text, except newlines and tabs."""
    return {c for c in text if unicodedata.category(c) in ("Cc", "Cf", "Cs") and c not in "\n\t"}


def run(*words: str | Path, cwd: Path, settings: tuple[str, ...] = ()) -> subprocess.CompletedProcess[str]:
    """Run a command in a folder, its output not a terminal."""
    with chdir(cwd):
        return curate(*words, settings=settings)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a crawl whose file names, addresses and pages are hostile, and a finished run of it in `out`."""
    folder = tmp_path_factory.mktemp(f"in{C1}{BIDI}")
    text = "Look at &#27;]0;title&#7;" + f"{C1}2J{BIDI} in a line of text that is long enough to be kept, he said."
    records = [response(URL, page("evil", *prose(5), text, text, "x { y z a b"))]
    records += [response(f"https://a.org/{seed}", page("good", *prose(seed))) for seed in range(20, 26)]
    records.append(response(f"https://a.org/copy{HOSTILE}", page("copy", *prose(21))))
    records.append(response(f"https://a.org/thin{HOSTILE}", page("thin", "Too thin.")))
    name = HOSTILE.replace("/", "")
    write_archive(folder / f"crawl{name}.warc.gz", records)
    (folder / f"broken{name}.warc.gz").write_bytes(b"this is no archive at all" * 99)
    out = folder / f"out{name}"
    with chdir(folder):
        done = curate_process("run", ".", "--out", out, "--workers", "1")
    assert done.returncode == 1, done.stderr
    assert "quarantined" in done.stderr
    assert r"broken\x1b]0;title\x07\x9b2J\u202e[bold].warc.gz" in done.stderr
    assert not unsafe(done.stdout + done.stderr)
    return folder


def the_run(folder: Path) -> Path:
    """The output folder."""
    return next(folder.glob("out*"))


WORDS = (
    ("report", "OUT"),
    ("verify", "OUT"),
    ("explain", "OUT", URL),
    ("explain", "OUT", f"https://a.org/copy{HOSTILE}"),
    ("explain", "OUT", f"https://a.org/absent{HOSTILE}"),
    ("explain", "OUT", URL, "--text"),
    ("samples", "OUT", "--contains", "look at"),
    ("samples", "OUT", "--reason", HOSTILE),
    ("explain", "OUT", "--token", "train-00000:0:5"),
    ("explain", "OUT", f"broken{HOSTILE}.warc.gz"),
    ("what-if", "OUT", "--set", "gopher_quality.min_words=200"),
    ("what-if", "OUT", "--set", f"gopher_quality.{HOSTILE}=1"),
    ("compare", "OUT", "OUT"),
    ("seen", "OUT", "--step", "0", "--batch-size", "2"),
    ("tokenizer-report", "OUT"),
    ("tokenizer-report", "OUT", "--against", f"no{HOSTILE}"),
    ("export", "OUT", "--to", f"to{HOSTILE}", "--format", "bin"),
    ("recipe", "diff", "OUT", f"no{HOSTILE}"),
    ("recipe", "show", f"no{HOSTILE}"),
    ("estimate", ".", "--sample-bytes", "100000"),
    ("filter", f"no{HOSTILE}", "--out", "other"),
    ("verify", "OUT", HOSTILE),
    (f"no{HOSTILE}",),
    ("run", f"--no{HOSTILE}"),
    ("report", f"no{HOSTILE}"),
)


@pytest.mark.parametrize("words", WORDS, ids=[f"{number} {words[0]}" for number, words in enumerate(WORDS)])
def test_no_command_prints_them(words: tuple[str, ...], folder: Path) -> None:
    """Results, tables and errors have no control or direction character; as JSON they are escaped and can be read."""
    arguments = [str(the_run(folder)) if word == "OUT" else word for word in words]
    done = run(*arguments, cwd=folder)
    assert not unsafe(done.stdout + done.stderr)
    assert "Traceback" not in done.stderr
    if words[0] in ("recipe", "filter", "run") or words[0].startswith("no"):
        return
    done = run(*arguments, "--json", cwd=folder)
    assert not unsafe(done.stdout + done.stderr)
    if done.stdout:
        json.loads(done.stdout)


def test_progress_as_json_is_escaped(folder: Path) -> None:
    """Each line of --json is a JSON object with the real names, escaped."""
    done = run("filter", ".", "--out", "json", "--workers", "0", "--json", cwd=folder, settings=SETTINGS)
    assert not unsafe(done.stderr)
    events = [json.loads(line) for line in done.stderr.splitlines()]
    assert any(BIDI in event.get("input", "") and C1 in event["input"] for event in events)


def test_tracebacks_are_escaped(folder: Path) -> None:
    """The traceback of an unexpected error, whose message may have any text, is escaped."""
    program = (
        "import sys, curation.jobs.cli.main as m\n"
        "def fail(*_, **__): raise RuntimeError(sys.argv.pop())\n"
        "m.app = fail; m.main()\n"
    )
    done = subprocess.run([sys.executable, "-c", program, HOSTILE], capture_output=True, text=True, check=False)
    assert done.returncode == 3
    assert r"RuntimeError: \x1b]0;title\x07\x9b2J\u202e[bold]" in done.stderr
    assert not unsafe(done.stderr)


def test_workers_are_escaped() -> None:
    """What a worker process prints is escaped too."""
    program = (
        "import sys\n"
        "from curation.running.cluster import open_cluster\n"
        "def shout(text): print(text, file=sys.stderr, flush=True)\n"
        "if __name__ == '__main__':\n"
        "    with open_cluster(1) as cluster: cluster.gather(shout, [sys.argv[1]])\n"
    )
    done = subprocess.run([sys.executable, "-c", program, HOSTILE], capture_output=True, text=True, check=False)
    assert r"\x1b]0;title\x07\x9b2J\u202e[bold]" in done.stderr
    assert not unsafe(done.stderr)


@pytest.mark.parametrize(
    "words",
    [
        ("explain", "OUT", URL),
        ("verify", "--help"),
        ("filter", ".", "--out", "live", "--workers", "0"),
        ("no\x1b]0;x\x07",),
    ],
)
def test_a_terminal_gets_styles_and_nothing_else(words: tuple[str, ...], folder: Path) -> None:
    """On a terminal, colors, help and the live view work, and they are the only escape sequences; errors have none."""
    arguments = [str(the_run(folder)) if word == "OUT" else word for word in words]
    settings = (*SETTINGS,) if words[0] == "filter" else ()
    shown = on_terminal(command(*arguments, settings=settings), folder)
    assert ("\x1b[" in shown) == (words[0] in ("explain", "verify", "filter"))
    assert not unsafe(STYLES.sub("", shown))
    assert words[0] != "filter" or r"quarantined" in shown


def test_what_others_print_above_the_live_view_is_escaped(monkeypatch: pytest.MonkeyPatch) -> None:
    """A warning or log line during the live view has no style and no link, which rich would take from its escapes."""
    raw = io.StringIO()
    raw.isatty = lambda: True  # type: ignore[method-assign]
    monkeypatch.setattr(sys, "stderr", raw)
    monkeypatch.setenv("TERM", "xterm-256color")
    with Progress("live").step("filter", 2):
        print(f"\x1b[31mred {HOSTILE} \x1b]8;;https://evil.org\x1b\\link", file=sys.stderr)
    assert r"\x1b[31mred \x1b]0;title\x07" in STYLES.sub("", raw.getvalue())
    assert not unsafe(STYLES.sub("", raw.getvalue()))


def on_terminal(words: list[str], cwd: Path) -> str:
    """What a command writes to a terminal."""
    ours, theirs = pty.openpty()
    environment = {**os.environ, "TERM": "xterm-256color", "COLUMNS": "200"}
    environment.pop("NO_COLOR", None)
    with subprocess.Popen(words, cwd=cwd, stdin=theirs, stdout=theirs, stderr=theirs, env=environment) as process:
        os.close(theirs)
        parts = []
        while True:
            try:
                part = os.read(ours, 65536)
            except OSError:  # the terminal is closed
                break
            if not part:
                break
            parts.append(part)
        process.wait(300)
    os.close(ours)
    return b"".join(parts).decode()
