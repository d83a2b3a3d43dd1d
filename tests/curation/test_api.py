"""What `import curation` offers: every name there, documented, cheap to import, known to type checkers."""

from __future__ import annotations

import ast
import doctest
import importlib
import inspect
import pickle
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

import curation

ROOT = Path(__file__).resolve().parents[2]
NAMES = [name for name in curation.__all__ if name != "__version__"]


def in_python(program: str) -> str:
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    return done.stdout.strip()


def test_all_is_what_resolves() -> None:
    """Each name of `__all__` is there, in `dir` and once; no other is, and an error says so."""
    assert len(set(curation.__all__)) == len(curation.__all__)
    assert set(curation.__all__) <= set(dir(curation))
    for name in NAMES:
        assert getattr(curation, name).__name__ == name
    assert dir(curation) == sorted(dir(curation))
    assert {name for name in dir(curation) if not name.startswith("__")} == set(NAMES)
    with pytest.raises(AttributeError, match="module 'curation' has no attribute 'Gopher'"):
        curation.Gopher  # noqa: B018


def test_type_checkers_know_the_same_names() -> None:
    """The imports under TYPE_CHECKING have each name of the table, from the same module, re-exported."""
    tree = ast.parse((ROOT / "curation" / "__init__.py").read_text())
    told = {
        alias.asname: f"{node.module}:{alias.name}"
        for block in tree.body
        if isinstance(block, ast.If) and ast.unparse(block.test) == "TYPE_CHECKING"
        for node in block.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    assert told == {name: f"{module}:{name}" for name, module in curation._HOME.items()}


def test_importing_it_costs_nothing() -> None:
    """`import curation` loads none of its own modules and no library, `import *` none of the heaviest by itself."""
    assert in_python(
        "import sys; before = set(sys.modules); import curation\n"
        "new = {name.partition('.')[0] for name in set(sys.modules) - before}\n"
        "print(sorted(new - sys.stdlib_module_names), [m for m in sys.modules if m.startswith('curation.')])"
    ) == ("['curation'] []")


def test_names_load_what_they_need_alone() -> None:
    """A pipeline of filters needs no Dask and no extractor, and works where there is no pandas and no polars."""
    program = (
        "import sys, curation\n"
        "class Absent:\n"
        "    def find_spec(self, name, path, target=None):\n"
        "        if name in ('pandas', 'polars'): raise ModuleNotFoundError(name)\n"
        "sys.meta_path.insert(0, Absent())\n"
        "pipeline = curation.Pipeline([curation.GopherQuality(), curation.C4()])\n"
        "pipeline.keep({'text': ['some text']})\n"
        "print(sorted({'dask', 'distributed', 'trafilatura'} & set(sys.modules)))"
    )
    assert in_python(program) == "[]"


def test_folders_import_as_before() -> None:
    """The lazy names do not get in the way of `from curation import filters` or `import curation.tokenize.training`."""
    program = (
        "from curation import filters, jobs, tokenize, language\n"
        "import curation.tokenize.training.train as train\n"
        "from curation.filters.c4 import C4\n"
        "import curation; print(curation.C4 is C4, curation.train_tokenizer is train.train_tokenizer)\n"
        "print(curation.__version__, hasattr(curation, 'nothing'))"
    )
    assert in_python(program).split() == ["True", "True", curation.__version__, "False"]


@pytest.mark.parametrize("name", NAMES)
def test_everything_is_documented(name: str) -> None:
    """A name has a docstring of its own; a function's lists each argument, and has an example."""
    value = getattr(curation, name)
    text = inspect.cleandoc(value.__doc__ or "")
    assert len(text) > 30
    if inspect.isfunction(value) and name != "struct":
        arguments = text.partition("Args:")[2].partition("Raises:")[0]
        for parameter in inspect.signature(value).parameters:
            assert f"{parameter}:" in arguments
        assert "Raises:" in text
        assert ">>>" in text


@pytest.mark.parametrize("name", NAMES)
def test_examples_are_true(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The examples in the docstrings give what they show."""
    monkeypatch.chdir(ROOT)
    module = importlib.import_module(curation._HOME[name])
    examples = doctest.DocTestFinder(recurse=False).find(getattr(curation, name), name, module, globs={})
    for example in examples:
        assert doctest.DocTestRunner(verbose=False).run(example).failed == 0


def test_results_and_stages_pickle() -> None:
    """What the functions return can be sent to another process."""
    for value in (
        curation.Pipeline([curation.GopherQuality()])({"text": ["short"]}),
        curation.explain(curation.GopherQuality(), "short"),
        curation.redact("jane.doe@corp.io"),
        curation.detect_language("Guten Morgen"),
    ):
        assert pickle.loads(pickle.dumps(value)) == value


@pytest.mark.parametrize("text", [None, 5, ["text"], b"text"])
def test_one_text_must_be_a_string(text: Any) -> None:
    """Functions of one text refuse all else; `extract` takes bytes of any kind besides."""
    for function in (curation.redact, curation.detect_language):
        with pytest.raises(TypeError, match=f"the text must be a string, not {type(text).__name__}"):
            function(text)
    if not isinstance(text, bytes):
        with pytest.raises(TypeError, match=f"the page must be a string or bytes, not {type(text).__name__}"):
            curation.extract(text)


def test_extract_takes_bytes_of_any_kind() -> None:
    """A bytearray and a memoryview give the text that bytes give."""
    page = "<article><p>The ferry leaves the harbor at nine, sö they say.</p></article>".encode()
    found = {curation.extract(kind(page), extractor="resiliparse") for kind in (bytes, bytearray, memoryview)}
    assert found == {"The ferry leaves the harbor at nine, sö they say."}


def test_settings_of_a_recipe_are_a_dict() -> None:
    """Settings as on the command line are refused with the form to use."""
    with pytest.raises(TypeError, match=r'must be a dict, such as \{"language.min_score": 0.8\}'):
        curation.load_recipe("web", ["a=b"])  # type: ignore[arg-type]


def test_read_archives_is_exact_about_its_arguments(tmp_path: Path) -> None:
    """A list and an empty string are refused, any mapping counts whole files, and an error names the file."""
    samples = ROOT / "samples" / "web.warc.gz"
    with pytest.raises(TypeError, match=r"not a list; for a list: read_archives\(\*paths\)"):
        curation.read_archives([samples])  # type: ignore[arg-type]
    with pytest.raises(curation.InputError, match="an input is an empty string"):
        curation.read_archives("")
    counts: dict[str, int] = {"pages.html": 1000}
    counter: Counter[str] = Counter(counts)
    batches = curation.read_archives(samples, counts=counts)
    next(batches)
    assert counts["pages.html"] == 1000
    assert len(list(batches)) == len(list(curation.read_archives(samples, counts=counter))) - 1
    assert counts == counter
    (tmp_path / "text.warc").write_text("This is no archive at all. " * 99)
    with pytest.raises(curation.UnreadableArchive, match=r"text\.warc: no WARC or ARC record found"):
        list(curation.read_archives(tmp_path / "text.warc"))
