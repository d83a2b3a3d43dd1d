"""Thresholds of languages from good texts."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from stages import documents
from typer.testing import CliRunner

from curation.errors import UsageError
from curation.filters.gopher_quality import GopherQuality
from curation.filters.gopher_repetition import GopherRepetition
from curation.jobs.cli.main import app
from curation.jobs.inspect.reference_thresholds import LEAST, METHODS, derive_thresholds
from curation.recipes.recipe import load
from curation.stages.rules import Rule, violations

ENGLISH = np.array([0.0, 1.0, 2.0, 3.0, 4.0])
OWN = np.array([0.0, 2.0, 4.0, 6.0, 8.0])
AT_LEAST, AT_MOST = Rule("value", "<", 1, "min_value"), Rule("value", ">", 3, "max_value")


@pytest.mark.parametrize(
    ("method", "low", "high"),
    [
        # English: mean 2, median 2, twice the deviation in the other language, whose mean and median are 4
        ("mean-std", 2.0, 6.0),
        # one of five is below 1, four of five are at most 3
        ("quantile", 1.6, 6.4),
        ("10-tail", 0.8, 7.2),
        ("median-ratio", 2.0, 6.0),
        ("english", 1.0, 3.0),
    ],
)
def test_methods(method: str, low: float, high: float) -> None:
    """Each method carries a lower and an upper limit over as worked out by hand."""
    assert METHODS[method](AT_LEAST, ENGLISH, OWN) == pytest.approx(low)
    assert METHODS[method](AT_MOST, ENGLISH, OWN) == pytest.approx(high)


def texts_of(letters: int, lines: int, common: list[str], documents: int = LEAST) -> list[str]:
    """Documents of 90 words of about `letters` letters, every third one a common word, on `lines` lines."""
    draw = np.random.default_rng(letters)
    texts = []
    for _ in range(documents):
        words = ["".join(draw.choice(list("abcdefgh"), draw.integers(letters - 2, letters + 3))) for _ in range(90)]
        words[::3] = draw.choice(common, 30).tolist()
        rows = np.array_split(np.array(words, object), lines)
        texts.append("\n".join(" ".join(row) + "." * int(draw.integers(0, 2)) for row in rows))
    return texts


GERMAN = ["Der", "die", "und", "den", "von", "zu", "das", "für"]


def write(path: Path, texts: list[str], language: str) -> str:
    lines = (json.dumps({"text": text, "language": language}, ensure_ascii=False) for text in texts)
    path.write_text("\n".join(lines), encoding="utf-8")
    return str(path)


@pytest.fixture(scope="module")
def reference(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """English texts, and texts that pass for German, with longer words."""
    folder = tmp_path_factory.mktemp("reference")
    return [
        write(folder / "english.jsonl", texts_of(5, 10, ["the", "be", "to", "of", "and", "that", "mit", "with"]), "en"),
        write(folder / "german.jsonl", texts_of(15, 12, [*GERMAN, "mit", "the"]), "de"),
    ]


@pytest.fixture(scope="module")
def derived(reference: list[str], tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    out = tmp_path_factory.mktemp("out") / "mine.toml"
    return derive_thresholds(reference, "fineweb", ["gopher_quality.min_words=median-ratio"], out)


def removed(recipe: str, language: str, path: str) -> dict[str, float]:
    """The share of documents that each rule of a recipe removes by itself, by `stage.rule`."""
    stages = load(recipe).stages_of(language)
    texts = [json.loads(line)["text"] for line in Path(path).read_text(encoding="utf-8").splitlines()]
    batch = documents(*texts).with_columns(language=pa.array([language] * len(texts)))
    return {
        f"{name}.{rule.reason}": round(float(violations(stage.measure(batch), rule).mean()), 4)
        for name, stage in stages
        if isinstance(stage, GopherQuality | GopherRepetition)
        for rule in stage.rules
    }


def test_the_recipe_that_is_written_removes_what_was_said(derived: dict[str, Any], reference: list[str]) -> None:
    """The recipe keeps the language, and each of its rules removes the share of the texts that the result says."""
    assert dict(load(derived["out"]).stages)["language"].languages == ("en", "deu_Latn")
    own = derived["thresholds"]["deu_Latn"]
    after = removed(derived["out"], "deu_Latn", reference[1])
    assert {key: after[key] for key in own if key in after} == {key: own[key]["removed"] for key in own if key in after}
    of_english = removed("fineweb", "en", reference[0])
    for key in own.keys() & of_english.keys():
        assert own[key]["removed_of_english"] == of_english[key], key


def test_a_quantile_keeps_the_share_of_english(derived: dict[str, Any]) -> None:
    """English's limit on the length of words removes most of the other texts, and the new one none, as in English."""
    rule = derived["thresholds"]["deu_Latn"]["gopher_quality.max_mean_word_length"]
    assert (rule["method"], rule["english"], rule["removed_of_english"]) == ("quantile", 10.0, 0.0)
    assert rule["removed_by_english"] > 0.5
    assert rule["removed"] == 0.0


def test_stop_words_are_frequent_words_that_are_not_english(derived: dict[str, Any]) -> None:
    """Stop words are the frequent words, in lower case, without those that are as frequent in English."""
    assert sorted(derived["stop_words"]["deu_Latn"]) == sorted(map(str.lower, GERMAN))
    assert dict(load(derived["out"]).stages_of("de"))["gopher_quality"].stop_words == tuple(
        derived["stop_words"]["deu_Latn"]
    )


def test_a_limit_that_removes_nothing_is_none(tmp_path: Path) -> None:
    """A lower limit of 0 and a share above 1 are written as none."""
    given = ["fineweb.max_short_lines=mean-std", "fineweb.min_terminal_lines=10-tail"]
    line, long = "der und den\n", "der und den und die und das und der und den und\n"
    texts = [*[line * 30] * (LEAST - 5), *[f"{line * 9}{long * 9}der und den.\n"] * 5]
    mixed = write(tmp_path / "mixed.jsonl", texts, "de")
    english = write(tmp_path / "english.jsonl", texts_of(5, 13, ["the", "be", "to", "of"]), "en")
    result = derive_thresholds([english, mixed], "fineweb", given, tmp_path / "none.toml")
    rules, written = result["thresholds"]["deu_Latn"], dict(load(result["out"]).stages_of("de"))["fineweb"]
    assert [rules[f"fineweb.{name}"]["threshold"] for name in ("min_terminal_lines", "max_short_lines")] == [None, None]
    assert (written.min_terminal_lines, written.max_short_lines) == (None, None)


def test_what_all_texts_agree_on_keeps_the_threshold_of_english(reference: list[str], tmp_path: Path) -> None:
    """Texts of one line each have no newlines, which does not make 0 the limit for other texts."""
    lines = write(tmp_path / "lines.jsonl", texts_of(9, 1, GERMAN), "de")
    result = derive_thresholds([reference[0], lines], "fineweb", [], tmp_path / "lines.toml")
    rule = result["thresholds"]["deu_Latn"]["fineweb.max_newlines_per_word"]
    assert (rule["method"], rule["threshold"]) == ("english", 0.3)


def test_the_command(reference: list[str], tmp_path: Path) -> None:
    """`curate calibrate --reference` prints a table for each language and writes the recipe."""
    (tmp_path / "base.toml").write_text('extends = "fineweb"\n')
    few = write(tmp_path / "few.jsonl", texts_of(6, 5, GERMAN, 3), "fr")
    command = ["calibrate", "--recipe", str(tmp_path / "base.toml"), "--out", str(tmp_path / "mine.toml")]
    for source in (*reference, few):
        command += ["--reference", source]
    done = CliRunner().invoke(app, command)
    assert done.exit_code == 0, done.output
    assert "deu_Latn: 50 documents, English: 50" in done.stdout
    assert "gopher_quality.min_alpha_words" in done.stdout
    assert "fra_Latn 3" in done.stdout
    assert 'extends = "base.toml"' in (tmp_path / "mine.toml").read_text()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["calibrate"], "name a MODEL and a CORPUS, or good texts with --reference"),
        (["calibrate", "m.npz", "--reference", "EN"], "mutually exclusive"),
        (["calibrate", "m.npz", "EN", "--out", "OUT"], "only for --reference"),
        (["calibrate", "--reference", "EN"], "--reference needs --out"),
        (["calibrate", "--reference", "EN", "--out", "OUT"], "a language needs 50 documents"),
        (["calibrate", "--reference", "DE", "--out", "OUT"], "0 documents in English, and 50 are needed"),
        (["calibrate", "--reference", "none", "--out", "OUT"], "none: no such file or folder"),
        (["calibrate", "--reference", "EN", "--out", "missing/a.toml"], "the folder does not exist"),
        (["calibrate", "--reference", "EN", "--out", "a.txt"], "must end in .toml"),
        (["calibrate", "--reference", "EN", "--out", "OUT", "--recipe", "x"], "recipe x: no such file"),
        (["calibrate", "--reference", "EN", "--out", "OUT", "--method", "c4.words=quantile"], "no rule of that name"),
        (["calibrate", "--reference", "EN", "--out", "OUT", "--method", "c4.min_sentences=mode"], "no such method"),
        (["calibrate", "--reference", "EN", "--out", "BASE", "--recipe", "BASE"], "is the recipe itself"),
    ],
)
def test_bad_usage(arguments: list[str], message: str, reference: list[str], tmp_path: Path) -> None:
    """What cannot be used gives one line and exit code 2, and nothing is written."""
    base = tmp_path / "base.toml"
    base.write_text('extends = "fineweb"\n')
    names = {"EN": reference[0], "DE": reference[1], "OUT": str(tmp_path / "out.toml"), "BASE": str(base)}
    done = CliRunner().invoke(app, [names.get(each, each) for each in arguments])
    assert isinstance(done.exception, UsageError) or done.exit_code == 2, done.output
    assert message in f"{done.exception} {done.output}"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["base.toml"]
