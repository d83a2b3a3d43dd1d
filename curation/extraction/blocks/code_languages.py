"""The language of code, by the usual conventions for attributes."""

from __future__ import annotations

import re
from collections.abc import Sequence

from curation.extraction.blocks.attributes import AttributeReader

_CLASS_LANGUAGE = re.compile(
    r"(?:^|\s)(?:language-|lang[-:]|brush:\s*|highlight-source-|mw-highlight-lang-|highlight-text-|highlight-)([\w+#.-]+)"
)
_LANGUAGE = re.compile(r"[a-z0-9][\w+#.-]{0,19}")
_NO_LANGUAGE = {"none", "text", "plain", "plaintext", "nohighlight", "txt", "default", "auto", "unknown", "highlighter"}
_LANGUAGE_NAMES = """
    abap actionscript ada applescript arduino asm assembly awk bash basic batch bat c cc clojure cmake cobol
    coffeescript console cpp c++ cs csharp c# css csv cuda cython d dart delphi diff docker dockerfile elisp elixir
    elm erlang f# fortran fsharp gcode gherkin go golang gradle graphql groovy haml handlebars haskell hcl html http
    ini java javascript jinja js json jsx julia kotlin latex less lisp lua make makefile markdown mathematica matlab
    mysql nginx nim nix objc objective-c objectivec ocaml octave pascal perl pgsql php plsql postgresql powershell
    prolog properties protobuf ps1 puppet py python python3 pycon r ruby rb rust rs sas sass scala scheme scss sh
    shell shell-session solidity sparql sql stata svelte swift tcl terraform tex toml tsql ts tsx typescript vb vba
    vbnet verilog vhdl vim vue wasm xml xslt yaml yml zig zsh
"""
LANGUAGES = set(_LANGUAGE_NAMES.split())
"""Names of languages that may stand alone in a class: `class="python"`, `class="sourceCode haskell"`."""


def find_language(elements: Sequence[int], outermost: int, attributes: AttributeReader) -> str:
    """The language that attributes tell.

    Args:
        elements: The elements around the code, from the innermost out.
        outermost: Place of the outermost of them that is only around code, -1 if none is; five more are looked at.
        attributes: Reads their attributes.

    Returns:
        Its name; "" if no attribute tells.
    """
    for place, element in enumerate(elements[: outermost + 6]):
        own, values = place <= outermost, attributes.read(element)
        if not values:
            continue
        for name in ("data-lang", "data-language", "lang"):
            found = values.get(name, "").lower().strip()
            if found and (name != "lang" or (found in LANGUAGES and len(found) > 2)):
                return _named(found)
        classes = attributes.classes(element)
        for match in _CLASS_LANGUAGE.finditer(classes):
            if own or match[1] in LANGUAGES or not match[0].strip().startswith("lang"):
                language = _named(match[1])
                if language or own:
                    return language
        words = classes.split()
        if (own and len(words) < 5) or "highlight" in classes or "sourcecode" in words:
            for word in words:
                if word in LANGUAGES:
                    return word
    return ""


def _named(name: str) -> str:
    """A name of a language as it is written after a fence; "" if it is none."""
    name = name.rstrip(";,.")
    return name if _LANGUAGE.fullmatch(name) and name not in _NO_LANGUAGE else ""
