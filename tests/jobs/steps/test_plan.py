"""The plan of a run: what it refuses, and how it says so."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from archives import page, prose, response, write_archive

from curation.errors import OutputError, RecipeError, UsageError
from curation.jobs.steps.fingerprints import Fingerprints
from curation.jobs.steps.plan import make_plan, open_plan


@pytest.mark.parametrize(
    ("change", "named"),
    [
        (lambda run: run["versions"].update(lxml="1.0"), r"changed: lxml: 1\.0 → \d"),
        (lambda run: run["versions"].pop("isal"), r"changed: isal: None → \d"),
        (
            lambda run: run["versions"].update({"python": "3.0", "fasttext-predict": "0.1"}),
            r"changed: fasttext-predict: 0\.1 → ",
        ),
        (lambda run: run["versions"].pop("phonenumbers"), r"changed: phonenumbers: None → \d"),
        (lambda run: None, r"changed: models or lists that url, extract, language read\. "),
    ],
)
def test_the_refusal_names_what_changed(tmp_path: Path, change: Callable[[dict[str, Any]], Any], named: str) -> None:
    """A folder made with other libraries or models is refused, and the message names them."""
    write_archive(tmp_path / "a.warc.gz", [response("https://a.org/1", page("good", *prose(1)))])
    words, out = [str(tmp_path / "a.warc.gz")], tmp_path / "out"
    make_plan(words, str(out), None, []).write([])
    run = json.loads((out / "run.json").read_text())
    run["fingerprint"] = "0" * 32
    change(run)
    (out / "run.json").write_text(json.dumps(run))
    with pytest.raises(OutputError, match=named):
        make_plan(words, str(out), None, [])


def test_a_bad_value_is_not_said_to_be_in_the_run(tmp_path: Path) -> None:
    """A value of --set that is wrong for the recipe of a run is blamed on --set, a bad recipe on run.json."""
    write_archive(tmp_path / "a.warc.gz", [response("https://a.org/1", page("good", *prose(1)))])
    out = tmp_path / "out"
    make_plan([str(tmp_path / "a.warc.gz")], str(out), None, []).write([])
    with pytest.raises(RecipeError, match=r"^--set: stage language: min_score = 'x': must be "):
        make_plan([], str(out), None, ["language.min_score=x"])
    run = json.loads((out / "run.json").read_text())
    run["recipe"]["dedup"]["bands"] = "many"
    (out / "run.json").write_text(json.dumps(run))
    with pytest.raises(RecipeError, match=r"/run\.json: \[dedup\]: bands = 'many': must be "):
        make_plan([], str(out), None, ["language.min_score=0.7"])


def test_a_run_with_files_is_known_from_any_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A run that was given relative paths is continued, changed and looked at from another working directory."""
    write_archive(tmp_path / "a.warc.gz", [response("https://a.org/1", page("good", *prose(1)))])
    for name in ("here", "elsewhere"):
        (tmp_path / name).mkdir()
    (tmp_path / "here" / "blocked.txt").write_text("spam.example\n")
    monkeypatch.chdir(tmp_path / "here")
    setting = 'url.extra_domains=["@blocked.txt"]'
    make_plan(["../a.warc.gz"], "../out", None, [setting]).write([])
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert make_plan([], "../out", None, [], trust_code=True).recipe == open_plan("../out", trust_code=True).recipe
    assert make_plan([], "../out", None, [setting.replace("@", "@../here/")], trust_code=True)
    assert make_plan([], "../out", None, ["language.min_score=0.7"], update=True, trust_code=True).recipe


def test_a_sample_can_grow(tmp_path: Path) -> None:
    """A larger sample adds inputs to a run and changes no fingerprint; a smaller one is refused like missing inputs."""
    for number in range(20):
        write_archive(tmp_path / f"{number}.warc.gz", [response("https://a.org/1", page("good", *prose(1)))])
    words, out = [str(tmp_path)], str(tmp_path / "out")

    def plan(share: float, words: list[str] = words) -> Any:
        return make_plan(words, out, None, [f"read.sample={share}", "read.seed=3"])

    small = plan(0.3)
    small.write([])
    large = plan(0.6)
    assert {*small.inputs} < {*large.inputs} < {*plan(1.0).inputs}
    shards = [source.shard for source in small.inputs]
    before, after = (Fingerprints(each) for each in (small, large))
    assert [before.of("filter", shard) for shard in shards] == [after.of("filter", shard) for shard in shards]
    large.write([])
    with pytest.raises(OutputError, match="inputs that are missing here"):
        plan(0.3)
    assert plan(0.6, []).inputs == large.inputs
    with pytest.raises(UsageError, match="name the inputs again"):
        plan(0.9, [])
