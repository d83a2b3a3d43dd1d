"""A run whose pages contain injection attacks, for tests of the report."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

from archives import page, prose, response, write_archive

from curation.jobs.steps.run import run_commands

SETTINGS = ["tokenizer.vocab_size=600", "tokens.sequence_length=64", "extract.extractor=resiliparse"]
STEPS = ("filter", "dedup", "train-tokenizer", "tokenize", "report")

SCRIPT = "<script>window.hacked=1</script>"
ATTACKS = (
    SCRIPT,
    "<img src=x onerror=window.hacked=1>",
    "\"><svg onload='window.hacked=1'>",
    "' autofocus onfocus=window.hacked=1 x='",
    "</pre></style></title></textarea><iframe src=https://evil.test/>",
    "<style>*{display:none}</style><link rel=stylesheet href=https://evil.test/x.css>",
    "javascript:window.hacked=1",
    "\u202egnp.exe\u2066 turned \u200f round \ufeff",
    "\x1b]0;owned\x07\x1b[2J\x1b[31m \x9b31m [bold red]markup[/] and \r over",
    "{% raw %}{{ stats }}{% endraw %} ${window.hacked=1} %s",
)
"""Each would take effect if a page, a template or a terminal did not treat it as text."""


def escaped(text: str) -> str:
    """Text escaped as HTML, so that it reaches the corpus unchanged."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def hostile_archives(folder: Path) -> list[Path]:
    """Good, duplicate, thin, foreign and private pages, most with attacks in them, and a file that is no archive."""
    attack = [escaped(f"They wrote {text} on the wall, and nobody knew what that was to be.") for text in ATTACKS]
    good = [response(f"https://a.example/{seed}", page("good", *prose(seed))) for seed in range(14)]
    marked = [
        response(f"https://b.example/{n}?q={text}", page("attack", *prose(40 + n), text))
        for n, text in enumerate(attack)
    ]
    thin = [response(f"https://thin.example/{n}", page("thin", text)) for n, text in enumerate(attack)]
    odd = [
        response("https://evil\"onmouseover='hacked'.example/x", page("odd", *prose(60))),
        response("https://b.example/copy", page("copy", *prose(3))),
        response("https://mirror.example/copy", page("copy", *prose(3))),
        response("https://b.example/edited", page("edited", *prose(4), "One more line stands here.")),
        response("https://b.example/again", page("again", *(["The same line of the same words stands here."] * 40))),
        response(
            "https://b.example/brace", page("brace", *prose(61), escaped(f"A {{ brace }} and {SCRIPT} and more."))
        ),
        response("https://b.example/deutsch", page("deutsch", "Der alte Mann ging langsam nach Hause. " * 9)),
        response("https://b.example/me", page("me", *prose(62), "Write to jane.doe@corp.io and she will answer.")),
        response(
            "https://thin.example/me/jane.doe@corp.io",
            page("me", "Write to jane.doe@corp.io or to 212.58.244.20 today."),
        ),
        response("https://b.example/porn-sex", page("listed", *prose(63))),
    ]
    broken = folder / f"{SCRIPT.replace('/', '')}\u202e.warc.gz"
    found = [
        write_archive(folder / "a.warc.gz", [*good, *odd]),
        write_archive(folder / "b.warc.gz", [*marked, *thin]),
    ]
    broken.write_bytes(b"this is no archive at all" * 100)
    return [*found, broken]


def finished_run(folder: Path) -> Path:
    """All steps over the hostile archives, in this process; one of the inputs is quarantined."""
    inputs = [str(path) for path in hostile_archives(folder)]
    assert run_commands(STEPS, str(folder / "out"), inputs, None, SETTINGS, 0, None, False, False) == 1
    return folder / "out"


def unfinished_run(finished: Path, folder: Path) -> Path:
    """The same run before the corpus was made, with one of three archives filtered."""
    out = folder / "unfinished"
    shutil.copytree(finished, out)
    for name in ("corpus", "tokens", "tokenizer", "dedup", "report", "removed/dedup", "performance"):
        shutil.rmtree(out / name, ignore_errors=True)
    for path in (out / "manifests").iterdir():
        if path.name != "filter":
            shutil.rmtree(path)
    for path in list((out / "manifests" / "filter").glob("b-*.json")):
        path.unlink()
    return out


def spoiled(named: dict[str, Any]) -> dict[str, Any]:
    """The mapping with an attack appended to every name."""
    return {f"{key}{ATTACKS[at % len(ATTACKS)]}": value for at, (key, value) in enumerate(named.items())}
