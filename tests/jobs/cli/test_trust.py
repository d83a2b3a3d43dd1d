"""Looking at somebody else's run executes nothing of theirs, opens only files, and writes only into the folder."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path
from typing import Any, get_args

import pyarrow as pa
import pytest
from planted import edit_json, only, rewrite, run, write_crawl
from rich.console import Console
from typer.testing import CliRunner

from curation.errors import NotTrusted, StepFailed, UnsafePath
from curation.jobs.cli.main import app
from curation.jobs.steps.plan import make_plan, open_plan
from curation.jobs.steps.progress import Progress
from curation.jobs.steps.report.report import write_report
from curation.jobs.steps.report.summary import show_summary
from curation.recipes.recipe import STAGES, TABLES, import_class
from curation.running.cluster import Cluster
from curation.stages import parameters
from curation.stages.parameters import LocalPath, Outside
from curation.store.folder import Folder
from curation.store.paths import OF_RUN, RUN, STATS

DUPLICATE = "https://b.org/copy"

LOOKING = (
    ("report", "OUT"),
    ("verify", "OUT"),
    ("explain", "OUT", DUPLICATE),
    ("what-if", "OUT"),
    ("samples", "OUT"),
    ("compare", "OUT", "OUT"),
    ("recipe", "diff", "OUT", "fineweb"),
    ("recipe", "diff", "fineweb", "OUT"),
    ("dedup", "--out", "OUT", "--workers", "0"),
    ("run", "--out", "OUT", "--workers", "0"),
)
"""Commands that read the recipe of a run's folder."""

MODULE = """
from pathlib import Path
Path(__file__).with_name("executed").touch()
class Stage:
    pass
def extract(html):
    return html
"""


@pytest.fixture(autouse=True)
def limit() -> Iterator[None]:
    """Ends a test that waits for a pipe."""

    def stop(*_: object) -> None:
        raise TimeoutError("it waits for something")

    before = signal.signal(signal.SIGALRM, stop)
    signal.alarm(200)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run."""
    out = tmp_path_factory.mktemp("run") / "out"
    run(write_crawl(tmp_path_factory.mktemp("crawl")), out)
    return out


@pytest.fixture
def out(made: Path, tmp_path: Path) -> Path:
    """A copy of the run, to plant something in."""
    return Path(shutil.copytree(made, tmp_path / "out"))


def call(words: tuple[str, ...], out: Path, *more: str) -> tuple[int, str]:
    """Exit code, and message or output, of a command."""
    done = CliRunner().invoke(app, [*(str(out) if word == "OUT" else word for word in words), *more])
    return getattr(done.exception, "exit_code", done.exit_code), f"{done.output}{done.exception or ''}"


def stage(out: Path, which: str, **values: Any) -> None:
    """Change keys of a stage in run.json."""

    def change(run: dict[str, Any]) -> None:
        next(each for each in run["recipe"]["stage"] if each["use"] == which).update(values)

    edit_json(out / RUN, change)


def table(out: Path, name: str, **values: Any) -> None:
    """Change keys of a table of the recipe in run.json."""
    edit_json(out / RUN, lambda run: run["recipe"][name].update(values))


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The mark that somebody's module leaves when it is imported; the module can be imported as `theirs`."""
    (tmp_path / "theirs.py").write_text(MODULE)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "theirs", raising=False)
    return tmp_path / "executed"


@pytest.mark.parametrize("words", LOOKING, ids=" ".join)
@pytest.mark.parametrize("named", ["stage", "extractor"])
def test_their_code_is_not_executed(words: tuple[str, ...], named: str, out: Path, module: Path) -> None:
    """A stage or an extractor that is not built in is refused with its name and the option, and not imported."""
    if named == "stage":
        stage(out, "gopher_quality", use="theirs:Stage")
    else:
        stage(out, "extract", extractor="theirs:extract")
    code, message = call(words, out)
    assert (code, module.exists()) == (2, False)
    assert "theirs:" in message
    assert "--trust-code" in message


FACTS = {"use": "theirs:Stage", "version": 1, "assets": {}, "libraries": {}, "measures_first": True}
RULE = ["words", "<", 50, "min_words"]


def with_facts(out: Path, rule: object = RULE, **facts: Any) -> None:
    """Let the run say that a stage is not built in, and what its rules are."""
    stage(out, "gopher_quality", use="theirs:Stage", name="gopher_quality")
    edit_json(out / RUN, lambda run: run.update(stages={"gopher_quality": {**FACTS, "rules": [rule], **facts}}))


@pytest.mark.parametrize("words", LOOKING, ids=" ".join)
def test_stages_with_stored_rules_are_looked_at(words: tuple[str, ...], out: Path, module: Path) -> None:
    """Commands that look at a run use the stored rules of a stage that is not built in; those that make it refuse."""
    with_facts(out)
    code, message = call(words, out)
    assert not module.exists()
    if words[0] in ("dedup", "run"):
        assert code == 2
        assert "--trust-code" in message
    elif words[0] == "verify":
        assert "gopher_quality" not in message
    elif words[0] == "what-if":
        assert "gopher_quality.min_words" in message
    else:
        assert code == 0, message


def test_a_stored_threshold_can_be_moved(out: Path, module: Path) -> None:
    """What-if answers for thresholds of a stage that is not built in, and refuses to run it."""
    with_facts(out)
    move = ("what-if", "OUT", "--set", "gopher_quality.min_words=100000", "--json")
    code, message = call(move, out)
    assert code == 0, message
    assert json.loads(message)["whole"]["least"]["documents"] < json.loads(message)["whole"]["now"]["documents"]
    for more in (["--measure"], ["--set", "gopher_quality.stop_words=[]"]):
        assert "--trust-code" in call(move, out, *more)[1]
    _, message = call(move, out, "--set", "gopher_quality.min_word=1")
    assert "min_word = 1: only thresholds (min_words) can be changed" in message
    assert not module.exists()


@pytest.mark.parametrize(
    "facts",
    [
        {"rule": ["words", "<", "50", "min_words"]},
        {"rule": ["words", "like", 50, "min_words"]},
        {"rule": ["words", "<", 10**400, "min_words"]},
        {"rule": ["words", "<"]},
        {"rule": None},
        {"version": "1"},
        {"libraries": ["os"]},
        {"use": "ours:Stage"},
    ],
    ids=str,
)
def test_facts_that_are_none_are_not_believed(facts: dict[str, Any], out: Path, module: Path) -> None:
    """A stage about which the run says nothing usable is refused like one about which it says nothing."""
    with_facts(out, **facts)
    code, message = call(("explain", "OUT", DUPLICATE), out)
    assert (code, module.exists()) == (2, False)
    assert "--trust-code" in message


@pytest.mark.parametrize(
    "use", ["curation.stages.batch:Batch", "curation.recipes.recipe:load", "os:system", "datatrove:RegexFilter"]
)
def test_built_in_means_in_the_tables(use: str, out: Path) -> None:
    """Another class or function of this package is not a built-in stage."""
    stage(out, "gopher_quality", use=use)
    assert call(("verify", "OUT"), out)[0] == 2


def test_stages_in_the_tables_may_be_named_by_their_path(out: Path) -> None:
    """The full path of a built-in stage is built in too."""
    stage(out, "gopher_quality", use=STAGES["gopher_quality"], name="gopher_quality")
    assert open_plan(str(out)).recipe.stages


def test_trusted_code_is_executed(out: Path, module: Path) -> None:
    """With --trust-code the extractor that the run names is used."""
    stage(out, "extract", extractor="theirs:extract")
    code, _ = call(("explain", "OUT", "https://a.org/10"), out, "--trust-code")
    assert (code, module.exists()) == (0, True)


@pytest.mark.parametrize(
    ("owner", "key", "value"),
    [
        ("language", "model", "/dev/zero"),
        ("extract", "model", "model.bin"),
        ("url", "extra_domains", ["@/etc/hostname"]),
        ("url", "extra_subwords", ["fine", "@/dev/stdin"]),
        ("pii", "secret_variable", "HOME"),
        ("dedup", "against", ["data:,run"]),
        ("tokens", "mix", ["simplecache::https://example.org/run=1"]),
        ("pii", "replacement", "$pii.secret_variable"),
    ],
)
def test_files_and_variables_are_not_read(owner: str, key: str, value: Any, out: Path) -> None:
    """Models, list files, variables and special file systems that a run names are refused by key and value."""
    (table if owner in TABLES else stage)(out, owner, **{key: value})
    code, message = call(("verify", "OUT"), out)
    assert code == 2
    assert f"{owner}.{key} = " in message
    assert "--trust-code" in message


@pytest.mark.parametrize(("values", "option"), [({}, ""), ({"secret_variable": "HOME"}, " --trust-code")])
def test_the_next_commands_have_the_option_that_they_need(
    values: dict[str, str], option: str, out: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A run's last lines name commands that work on it: with --trust-code if it names what is outside, else without."""
    table(out, "pii", **values)
    plan = open_plan(str(out), trust_code=True)
    show_summary(plan, plan.folder.read_json(STATS), [], Console(width=200))
    assert f" --all{option}  #" in capsys.readouterr().out


def test_the_users_own_settings_are_trusted(out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What --set names is the user's: only the folder's own values are refused."""
    monkeypatch.setenv("MY_SECRET", "s")
    assert make_plan([], str(out), None, ["pii.secret_variable=MY_SECRET"], update=True).recipe


def test_what_the_users_own_settings_replace_needs_no_trust(out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder's value is not refused where --set gives another one, or the same; its other values are."""
    monkeypatch.setenv("MY_SECRET", "s")
    table(out, "pii", secret_variable="MY_SECRET")
    own = "pii.secret_variable=MY_SECRET"
    assert make_plan([], str(out), None, [own], update=True).recipe
    with pytest.raises(NotTrusted, match=r"^\S+run.json: pii.secret_variable"):
        make_plan([], str(out), None, ["pii.types=email"], update=True)
    table(out, "tokenizer", file="theirs.json")
    with pytest.raises(NotTrusted, match=r"^\S+run.json: tokenizer.file = 'theirs.json'"):
        make_plan([], str(out), None, [own], update=True)


HARMLESS = {
    "dedup.survivor", "pii.types", "pii.phone_regions", "language.languages", "extract.languages", "read.dump",
    "tokenizer.pattern", "tokenizer.end_token", "tokenizer.pad_token", "tokenizer.begin_token",
    "tokens.end_token", "tokens.pad_token",
    "read.records", "read.status", "gopher_quality.stop_words", "fineweb.terminal_characters",
    "extract.blocks_model", "quality.models",  # numbers only, checked when they are loaded
    "quality.labels", "quality.min_score_by_language", "dclm_quality.stop_words", "sentences.expressions",
    "table_symbols.symbols", "table_symbols.replacement",
}  # fmt: skip
"""Keys with text that names nothing outside of the recipe."""


def is_text(hint: Any) -> bool:
    return hint is str or any(map(is_text, get_args(hint)))


def test_every_text_of_a_recipe_is_classified() -> None:
    """Each key with text either says what it names outside of the recipe, or is known to be harmless."""
    for name, path in {**STAGES, **TABLES}.items():
        kind = import_class(path)
        for field in (field for field in fields(kind) if field.init):
            hint = parameters._hints(kind)[field.name]
            named = parameters._annotation(hint, Outside) is not None
            assert not is_text(hint) or named != (f"{name}.{field.name}" in HARMLESS), f"{name}.{field.name}"


LOCAL_PATHS = {
    "url.extra_domains", "url.extra_urls", "url.extra_words", "url.extra_soft_words", "url.extra_subwords",
    "extract.blocks_model", "extract.model", "language.model", "sentences.phrases", "quality.models",
    "dedup.against", "decontaminate.against", "tokenizer.file", "tokens.mix",
}  # fmt: skip
"""Keys whose text is or has a path."""


def test_keys_with_paths_are_known() -> None:
    """Each key that names something outside of the recipe has a path, or names code or a variable."""
    found: dict[type[Any], set[str]] = {LocalPath: set(), Outside: set()}
    for name, path in {**STAGES, **TABLES}.items():
        kind = import_class(path)
        for key, hint in parameters._hints(kind).items():
            for mark, keys in found.items():
                if parameters._annotation(hint, mark) is not None:
                    keys.add(f"{name}.{key}")
    assert found[LocalPath] == LOCAL_PATHS
    assert found[Outside] - LOCAL_PATHS == {"extract.extractor", "pii.secret_variable"}


@pytest.mark.parametrize(
    "path",
    [
        "data:,hello",
        "memory://crawl/a.warc",
        "simplecache::/crawl/a.warc",
        "zip://a.warc::/crawl/a.zip",
        "github://owner:repository@main/a.warc",
        "ssh://host/a.warc",
        "reference://a",
        "python://os",
    ],
)
@pytest.mark.parametrize("words", [LOOKING[1], LOOKING[2], LOOKING[-1]], ids=" ".join)
def test_inputs_are_files_or_addresses(path: str, words: tuple[str, ...], out: Path) -> None:
    """An input that its path makes up, fetches by a program or unpacks is refused with its path."""
    edit_json(out / RUN, lambda run: run["inputs"][0].update(path=path))
    code, message = call(words, out)
    assert code == 2
    assert path in message
    assert "--trust-code" in message


@pytest.mark.parametrize("kind", ["pipe", "/dev/zero", "/proc/self/environ", "linked"])
@pytest.mark.parametrize("command", ["explain", "run"])
def test_inputs_are_regular_files(kind: str, command: str, out: Path, tmp_path: Path) -> None:
    """A pipe, a device and a file of the kernel are refused as inputs instead of being read, also behind a link."""
    path = tmp_path / "pipe" if kind in ("pipe", "linked") else Path(kind)
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "linked":
        path.symlink_to("/dev/zero")
    name = json.loads((out / RUN).read_text())["inputs"][0]["path"]
    edit_json(out / RUN, lambda run: run["inputs"][0].update(path=str(path)))
    for folder in ("corpus", "documents"):
        for file in out.glob(f"{folder}/*.parquet"):
            rewrite(out, file, lambda rows: with_source(rows, name, str(path)))
    words = ("explain", "OUT", "https://a.org/10") if command == "explain" else LOOKING[-1]
    code, message = call(words, out)
    assert code == 2, message
    assert f"{str(path)!r} is not a regular file" in message


def with_source(rows: pa.Table, old: str, new: str) -> pa.Table:
    """The rows with another file_path in place of one."""
    column = pa.array([new if value == old else value for value in rows["file_path"].to_pylist()])
    return rows.set_column(rows.schema.get_field_index("file_path"), "file_path", column)


def test_recorded_inputs_are_no_lists_and_no_globs(out: Path, tmp_path: Path) -> None:
    """A recorded input that looks like a list of inputs is a file that does not exist: the list is not read."""
    (tmp_path / "list").write_text("secret line")
    edit_json(out / RUN, lambda run: run["inputs"][0].update(path=f"@{tmp_path / 'list'}"))
    code, message = call(LOOKING[-1], out)
    assert code == 2
    assert "secret line" not in message


def test_own_runs_are_explained(out: Path) -> None:
    """A run of local archives needs no trust: its pages are read again and its duplicates compared."""
    code, message = call(("explain", "OUT", "https://a.org/10"), out, "--json")
    assert code == 0
    assert json.loads(message)[0]["replayed"]
    code, message = call(("explain", "OUT", DUPLICATE), out, "--json")
    assert json.loads(message)[0]["duplicate"]["survivor_url"] == "https://a.org/13"


@pytest.mark.parametrize("column", ["survivor_shard", "survivor_run"])
def test_survivors_are_in_runs(column: str, out: Path, tmp_path: Path) -> None:
    """A survivor outside of the folder, or on a special file system, is refused and not read."""
    (tmp_path / "elsewhere.parquet").write_bytes(b"not read")
    value = "../../elsewhere" if column == "survivor_shard" else "data:,run"

    def plant(rows: pa.Table) -> pa.Table:
        return rows.set_column(rows.schema.get_field_index(column), column, pa.array([value] * len(rows)))

    for file in out.glob("dedup/drop/*.parquet"):
        rewrite(out, file, plant)
    code, message = call(("explain", "OUT", DUPLICATE), out)
    assert code == 2
    assert value in message


@pytest.mark.parametrize("path", ["../secret", "/etc/passwd", "corpus/../../secret"])
def test_manifests_name_files_of_the_folder(path: str, out: Path, tmp_path: Path) -> None:
    """`verify` reports a manifest that lists a file outside of the folder, without reading the file."""
    (tmp_path / "secret").write_text("secret")
    edit_json(only(out, "manifests/corpus/*.json"), lambda manifest: manifest["outputs"][0].update(path=path))
    code, message = call(("verify", "OUT"), out)
    assert code == 3
    assert "out of the folder" in message
    assert "hash" not in message.split(path)[1].splitlines()[0]


def test_reports_read_only_files_of_the_folder(out: Path, tmp_path: Path) -> None:
    """Samples that a manifest places outside of the folder do not get into a report."""
    shutil.copy(only(out, "corpus/*.parquet"), tmp_path / "secret.parquet")
    assert call(("report", "OUT"), out)[0] == 0

    def plant(manifest: dict[str, Any]) -> None:
        samples = manifest["counts"]["samples"]
        for places in samples.values():
            for place in places:
                place[1] = "../secret.parquet"

    for file in out.glob("manifests/report/*.json"):
        if file.name != "all.json":
            edit_json(file, plant)
    (out / "report" / "index.html").unlink()
    code, message = call(("report", "OUT"), out)
    assert code == 3
    assert "../secret.parquet" in message


@pytest.mark.parametrize(
    ("words", "name"),
    [
        (("report", "OUT"), "report"),
        (("report", "OUT"), "README.md"),
        (("report", "OUT"), "manifests"),
        (("run", "--out", "OUT", "--workers", "0"), "run.json"),
        (("run", "--out", "OUT", "--workers", "0"), "corpus"),
        (("dedup", "--out", "OUT", "--workers", "0"), "dedup"),
    ],
)
def test_nothing_is_written_through_links(words: tuple[str, ...], name: str, out: Path, tmp_path: Path) -> None:
    """A link in the folder is refused before anything is written; what it points to does not change."""
    elsewhere = tmp_path / "elsewhere"
    (out / name).rename(elsewhere) if (out / name).exists() else elsewhere.mkdir()
    (out / name).symlink_to(elsewhere)
    before = sorted((path, path.stat().st_mtime_ns) for path in tmp_path.rglob("*"))
    code, message = call(words, out)
    assert code == 2
    assert f"{out / name} is a symbolic link" in message
    assert sorted((path, path.stat().st_mtime_ns) for path in tmp_path.rglob("*")) == before


@pytest.mark.parametrize("name", ["report/index.html", "manifests/report", "report/stats.json"])
def test_nothing_is_written_through_deeper_links(name: str, out: Path, tmp_path: Path) -> None:
    """Nor through links further below."""
    elsewhere = tmp_path / "elsewhere"
    shutil.rmtree(out / "manifests" / "report")
    if name == "manifests/report":
        elsewhere.mkdir()
    else:
        (out / name).rename(elsewhere)
    (out / name).symlink_to(elsewhere)
    before = elsewhere.stat().st_mtime_ns
    with pytest.raises(StepFailed, match="symbolic link"):
        write_report(open_plan(str(out)), Cluster(), Progress("silent"))
    assert elsewhere.stat().st_mtime_ns == before


def test_every_folder_of_a_run_is_checked(made: Path) -> None:
    """Links are looked for under the name of everything that a run writes."""
    assert {path.name for path in made.iterdir()} <= {*OF_RUN}


def test_other_links_are_left_alone(out: Path, tmp_path: Path) -> None:
    """A link to which nothing is written is no reason to refuse, and links are followed for reading."""
    (out / "tokens").rename(tmp_path / "tokens")
    (out / "tokens").symlink_to(tmp_path / "tokens")
    (out / "latest").symlink_to(tmp_path)
    assert call(("report", "OUT"), out)[0] == 0
    assert call(("export", "OUT", "--to", str(tmp_path / "to"), "--format", "bin"), out)[0] == 0


def test_the_folder_itself_may_be_a_link(out: Path, tmp_path: Path) -> None:
    """A link that the user gives as the folder is followed."""
    (tmp_path / "link").symlink_to(out)
    assert call(("report", "OUT"), tmp_path / "link")[0] == 0


@pytest.mark.parametrize("name", ["run.json", "corpus", "report/stats.json"])
def test_pipes_in_the_folder_do_not_block(name: str, out: Path) -> None:
    """A pipe in place of a file is refused instead of being waited for."""
    file = only(out, "corpus/*.parquet") if name == "corpus" else out / name
    file.unlink()
    os.mkfifo(file)
    with pytest.raises(UnsafePath, match="not a regular file"):
        Folder(str(out)).read(str(file.relative_to(out)))
    assert call(("verify", "OUT"), out)[0] in (2, 3)


@pytest.mark.parametrize(
    "content",
    [
        "[]",
        "{}",
        "nonsense",
        '{"recipe": 1}',
        "[" * 100_000,
        '{"recipe": {"stage": [{"use": "url", "extra_urls": ' + "[" * 900 + "]" * 900 + '}]}, "fingerprint": "", '
        '"versions": {}, "inputs": [], "quarantined": []}',
        '{"recipe": {"stage": [1]}, "fingerprint": "", "versions": {}, "inputs": [], "quarantined": []}',
        '{"recipe": {"stage": [{"use": "url"}], "pii": 1}, "fingerprint": "", "versions": {}, "inputs": [], '
        '"quarantined": []}',
        '{"recipe": {"stage": [{"use": "url"}]}, "fingerprint": "", "versions": {}, "inputs": [{"path": 1}], '
        '"quarantined": []}',
    ],
)
@pytest.mark.parametrize("words", LOOKING, ids=" ".join)
def test_a_broken_run_is_named(words: tuple[str, ...], content: str, tmp_path: Path) -> None:
    """A run.json of any other content is an error of one line, with exit code 2."""
    (tmp_path / RUN).write_text(content)
    code, message = call(words, tmp_path)
    if words[0] == "recipe" and '"path": 1' in content:
        return  # the inputs are not looked at
    assert code == 2, message
    assert len(message.splitlines()) == 1


def test_workers_import_nothing_from_the_current_folder(out: Path, tmp_path: Path) -> None:
    """Started in somebody's folder, workers do not take their standard library from there."""
    (out / "multiprocessing.py").write_text(f"open({str(tmp_path / 'executed')!r}, 'w')\nraise SystemExit")
    start = tmp_path / "start" / "curate.py"
    start.parent.mkdir()
    start.write_text("from curation.jobs.cli.main import main\nif __name__ == '__main__':\n    main()\n")
    root = str(Path(__file__).resolve().parents[3])
    environment = {**os.environ, "PYTHONPATH": root}
    environment.pop("PYTHONSAFEPATH", None)
    command = [sys.executable, str(start), "verify", ".", "--workers", "1"]
    done = subprocess.run(command, cwd=out, env=environment, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr
    assert not (tmp_path / "executed").exists()


def test_python_functions_refuse_too(out: Path) -> None:
    """`open_plan` raises NotTrusted unless the caller trusts the folder."""
    stage(out, "language", model="/nowhere")
    with pytest.raises(NotTrusted, match=r"language\.model"):
        open_plan(str(out))
