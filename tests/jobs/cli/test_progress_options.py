"""How progress is shown: quiet, verbose, into a file; options by environment; usage errors in one line."""

from __future__ import annotations

import io
import re
from pathlib import Path

import pytest
from typer.testing import CliRunner

from curation.errors import UsageError
from curation.jobs.cli.main import app
from curation.jobs.steps.progress import TELL_SECONDS, Progress, ProgressOptions, duration

STAMP = r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d "


def lines(capsys: pytest.CaptureFixture[str], progress: Progress) -> list[str]:
    """What is shown of a step of four shards, one of them quarantined, with a note and a warning."""
    progress.note("a note")
    progress.warn("a warning")
    with progress.step("filter", 4) as step:
        step.advance(10, 5)
        step.advance(10, 5)
        step.failed("bad.warc.gz", "no archive")
        step.advance(10, 5)
    return capsys.readouterr().err.splitlines()


def test_plain_lines_have_the_time_and_the_time_left(capsys: pytest.CaptureFixture[str]) -> None:
    """Each line begins with the time; a verbose one ends with how long the rest will take."""
    shown = lines(capsys, Progress("plain", verbose=True))
    assert all(re.match(STAMP, line) for line in shown)
    assert re.fullmatch(STAMP + r"filter: 1 of 4 shards, [\d,]+ documents/s, 50% kept, about \d+ s left", shown[2])
    assert len(lines(capsys, Progress("plain"))) == 4


@pytest.mark.parametrize(
    ("total", "done", "made", "line"),
    [
        (8, 0, 8, r"filter: 8 shards made, 0\.\d s"),
        (1, 0, 1, r"filter: 1 shard made, 0\.\d s"),
        (8, 5, 3, r"filter: 3 of 8 shards made, 5 made before, 0\.\d s"),
        (8, 8, 0, r"filter: nothing to do, 8 shards made before"),
        (1, 1, 0, r"filter: nothing to do, 1 shard made before"),
        (0, 0, 0, r"filter: 0 shards made, 0\.\d s"),
    ],
)
def test_the_last_line_of_a_step(
    capsys: pytest.CaptureFixture[str], total: int, done: int, made: int, line: str
) -> None:
    """It says what was made, what had been made before, and nothing else if there was nothing to do."""
    with Progress("plain").step("filter", total, done) as step:
        for _ in range(made):
            step.advance()
    assert re.fullmatch(STAMP + line, capsys.readouterr().err.splitlines()[-1])


def test_bytes_read_inside_a_shard(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """What tasks tell shows as bytes read, with rate and time left; news of a finished shard comes too late."""
    monkeypatch.setattr("curation.jobs.steps.progress.PLAIN_INTERVAL", 0.0)
    with Progress("plain").step("filter", 2, total_bytes=100_000_000) as step:
        step.heard(("a", 10_000_000))
        step.heard(("b", 20_000_000))
        step.heard(("a", 30_000_000))
        step.read("a", 60_000_000)
        step.advance(10, 5)
        step.heard(("a", 30_000_000))
        assert step.bytes_read == 80_000_000
    shown = capsys.readouterr().err.splitlines()
    line = STAMP + r"filter: 0 of 2 shards, 50 of 100 MB, [\d,]+\.\d MB/s, about \d+ s left"
    assert re.fullmatch(line, shown[2])
    assert len(shown) == 5


def test_the_time_in_a_queue_is_not_in_the_time_left() -> None:
    """The rest takes as long as the bytes so far, from the start of the first task, however long that had waited."""
    with Progress("quiet").step("filter", 2, total_bytes=100) as step:
        step.started -= 1000
        step.heard(("a", 10))
        step.heard(("b", 10))
        assert step.seconds_left() == pytest.approx(4 * TELL_SECONDS, rel=0.1)


def test_a_slow_rate_is_shown() -> None:
    """Below 0.1 MB/s the rate is in kB/s, which does not round to 0."""
    with Progress("quiet").step("filter", 1, total_bytes=100_000_000) as step:
        step.heard(("a", 2_000_000))
        step._began = (step._began or 0) - 98
        assert re.fullmatch(r"2 of 100 MB, (19|20) kB/s", step.bytes_rate())
    with Progress("quiet").step("filter", 1, total_bytes=340_000) as step:
        step.heard(("a", 120_000))
        assert step.bytes_rate().startswith("120 of 340 kB, ")


def test_quiet_shows_warnings_only(capsys: pytest.CaptureFixture[str]) -> None:
    """Neither notes nor steps are shown, and warnings are kept for the end."""
    progress = Progress("quiet")
    assert lines(capsys, progress) == ["warning: a warning", "warning: quarantined bad.warc.gz: no archive"]
    assert progress.warnings == ["a warning"]


def test_the_log_has_the_plain_lines(capsys: pytest.CaptureFixture[str]) -> None:
    """Whatever is shown, the file gets the lines with their times, escaped."""
    log = io.StringIO()
    lines(capsys, Progress("quiet", log=log))
    written = log.getvalue().splitlines()
    assert all(re.match(STAMP, line) for line in written)
    assert [line[20:] for line in written][:2] == ["a note", "warning: a warning"]
    assert written[-1].split(": ", 1)[1].startswith("3 of 4 shards made, 1 quarantined")
    Progress("quiet", log=log).note("\x1b[2J")
    assert r"\x1b[2J" in log.getvalue()


def test_a_log_is_appended_to(tmp_path: Path) -> None:
    """A second command adds its lines; a file that cannot be opened is a usage error, and so are contradictions."""
    path = tmp_path / "log.txt"
    for name in ("first", "second"):
        ProgressOptions(quiet=True, log_file=str(path)).open().note(name)
    assert [line[20:] for line in path.read_text().splitlines()] == ["first", "second"]
    with pytest.raises(UsageError, match="--log-file"):
        ProgressOptions(log_file=str(tmp_path / "no" / "log.txt")).open()
    with pytest.raises(UsageError, match="mutually exclusive"):
        ProgressOptions(quiet=True, verbose=True).open()


@pytest.mark.parametrize(
    ("seconds", "text"), [(0, "0 s"), (89, "89 s"), (90, "2 min"), (4500, "75 min"), (7300, "2 h 2 min")]
)
def test_durations(seconds: float, text: str) -> None:
    """Seconds, then minutes, then hours and minutes."""
    assert duration(seconds) == text


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["nope"], "curate: No such command 'nope'; see curate --help"),
        (["run"], "curate run: Missing option '--out' / '-o'; see curate run --help"),
        (["samples", "d", "--limit", "x"], "curate samples: Invalid value for '--limit'"),
        (["recipe", "nope"], "curate recipe: No such command 'nope'; see curate recipe --help"),
        (["run", "--out", "d", "--n\x1b[2J"], r"curate run: No such option: --n\x1b[2J"),
    ],
)
def test_usage_errors_are_one_line(words: list[str], message: str) -> None:
    """The line names the command and where its help is; nothing is on stdout; the exit code is 2."""
    done = CliRunner().invoke(app, words)
    assert done.exit_code == 2
    assert done.stderr.startswith(message)
    assert done.stderr.count("\n") == 1
    assert not done.stdout


def test_options_come_from_the_environment() -> None:
    """Any option has a variable; one on the command line wins; the folder of the report has none."""
    run = CliRunner().invoke
    done = run(app, ["samples", "d"], env={"CURATE_LIMIT": "0"})
    assert "'--limit'" in done.stderr
    assert isinstance(run(app, ["samples", "d", "--limit", "1"], env={"CURATE_LIMIT": "0"}).exception, UsageError)
    done = run(app, ["recipe", "show", "fineweb"], env={"CURATE_SET": "c4.min_sentences=7 dedup.threshold=0.9"})
    assert "min_sentences = 7\n" in done.stdout
    assert "\nthreshold = 0.9\n" in done.stdout
    done = run(app, ["report", "no-such-run"], env={"CURATE_OUT": "other"})
    assert "no-such-run: not a curate run" in str(done.exception)


@pytest.mark.parametrize("option", ["-V", "--version"])
def test_version(option: str) -> None:
    """Both print it."""
    assert CliRunner().invoke(app, [option]).stdout.startswith("curate ")
