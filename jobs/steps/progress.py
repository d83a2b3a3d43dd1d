"""Progress of a run, always on stderr: a live view on a terminal, plain lines elsewhere, or JSON lines."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from datetime import UTC, datetime
from heapq import nlargest
from typing import Any, Literal, TextIO

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress import BarColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as RichProgress

from curation.errors import UsageError
from curation.report.funnel import Row
from curation.report.tables import NARROW
from curation.report.terminal import SafeConsole, live_table
from curation.running.terminal import one_line, protect, restore, to_json

PLAIN_INTERVAL = 10.0
"""Seconds between plain progress lines, so that the log of a day-long run stays readable."""

TELL_SECONDS = 2.0
"""Seconds between two messages of a task about its progress."""

REFRESHES = 4
"""Refreshes of the live view per second."""

SLOWEST = 5
"""The slowest shards of a step that are named."""

NOT_KEPT = frozenset({"quarantined", "damaged", "waiting", "slow", "copy", "retry", "resubmitted"})
"""Warnings that the summary does not repeat: it lists these inputs itself, and what passes is no news at the end."""

Mode = Literal["live", "plain", "json", "quiet", "silent"]
"""How progress is shown: "quiet" shows warnings only, "silent" nothing."""


def console() -> Console:
    """The console for progress: stderr."""
    return SafeConsole(sys.stderr)


def results() -> Console:
    """The console for results: stdout, 160 columns wide unless it is a terminal."""
    return SafeConsole(sys.stdout, width=None if sys.stdout.isatty() else 160)


def default_mode(as_json: bool, quiet: bool = False) -> Mode:
    """JSON or quiet if requested, live on a terminal, otherwise plain."""
    return "json" if as_json else "quiet" if quiet else "live" if sys.stderr.isatty() else "plain"


@dataclass(frozen=True, slots=True)
class ProgressOptions:
    """What the user asked for.

    Attributes:
        as_json: JSON lines instead of text.
        quiet: Only warnings.
        verbose: A line for every part of a step that is done.
        log_file: File to which the lines of plain progress are appended, whatever is shown.
    """

    as_json: bool = False
    quiet: bool = False
    verbose: bool = False
    log_file: str | None = None

    def open(self) -> Progress:
        """Progress as it was asked for.

        Raises:
            UsageError: The log file cannot be opened, or the options contradict each other.
        """
        if self.quiet and self.verbose:
            raise UsageError("--quiet and --verbose are mutually exclusive")
        try:
            log = open(self.log_file, "a", encoding="utf-8", buffering=1) if self.log_file else None  # noqa: SIM115, PTH123
        except OSError as error:
            raise UsageError(f"--log-file {self.log_file}: {error}") from error
        return Progress(default_mode(self.as_json, self.quiet), verbose=self.verbose, log=log)


def duration(seconds: float) -> str:
    """A length of time as it is said: 40 → "40 s", 150 → "2 min", 7500 → "2 h 5 min"."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 90 else f"{minutes // 60} h {minutes % 60} min"


class StepProgress:
    """Progress of one step: shards or other units done, inputs quarantined, documents in and out, and bytes read."""

    def __init__(self, progress: Progress, name: str, total: int, done: int, unit: str, total_bytes: int) -> None:
        self.unit, self.total_bytes = unit, total_bytes
        self._progress, self.name, self.total, self.done, self.already = progress, name, total, done, done
        self.documents_in = self.documents_out = self.quarantined = 0
        self._bytes_done, self._ended = 0, set[str]()
        self._bytes_inside: dict[str, int] = {}
        self._began: float | None = None
        self.started = self._last_line = time.monotonic()
        self.slowest: list[tuple[float, str, str]] = []

    def advance(
        self, documents_in: int = 0, documents_out: int = 0, shard: str = "", worker: str = "", seconds: float = 0.0
    ) -> None:
        """Record a finished shard.

        Args:
            documents_in: Documents that it was made from.
            documents_out: Documents that it has.
            shard: Its name, empty for another unit.
            worker: Address of the worker that made it, empty for this process.
            seconds: How long that took.
        """
        self.done += 1
        self.documents_in += documents_in
        self.documents_out += documents_out
        if shard:
            self.slowest = nlargest(SLOWEST, [*self.slowest, (seconds, shard, worker)])
        self._progress.show(self, shard=shard, worker=worker, seconds=round(seconds, 3))

    def read(self, shard: str, size: int) -> None:
        """Record that all bytes of a shard were read, or given up."""
        self._ended.add(shard)
        self._bytes_inside.pop(shard, None)
        self._bytes_done += size

    def heard(self, told: tuple[str, int]) -> None:
        """Record what a task told: its shard, and how many bytes it has read. Called from another thread."""
        shard, size = told
        if shard not in self._ended:
            self._bytes_inside[shard] = size
            self._began = self._began or max(self.started, time.monotonic() - TELL_SECONDS)
            self._progress.show(self, is_between=True)

    @property
    def bytes_read(self) -> int:
        """Bytes read since the step began."""
        return min(self.total_bytes, self._bytes_done + sum(list(self._bytes_inside.values())))

    def bytes_rate(self) -> str:
        """Bytes read and their rate, as text; "" if they are not known."""
        if not self.total_bytes:
            return ""
        read = self.bytes_read
        rate = read / max(time.monotonic() - (self._began or self.started), 1e-9)
        speed = f"{rate / 1e6:,.1f} MB/s" if rate >= 1e5 else f"{rate / 1e3:,.0f} kB/s"
        scale, unit = (1e6, "MB") if self.total_bytes >= 1e6 else (1e3, "kB")
        return f"{read / scale:,.0f} of {self.total_bytes / scale:,.0f} {unit}, {speed}"

    def failed(self, name: str, cause: str) -> None:
        """Record a quarantined input."""
        self.quarantined += 1
        self._progress.warn(f"quarantined {name}: {cause}", event="quarantined", input=name, cause=cause)
        self._progress.show(self)

    def broken(self, shard: str, cause: str) -> None:
        """Report a shard on which code of the user's failed; the step goes on with others, and fails at its end."""
        self._progress.warn(f"{shard} failed: {cause}", event="failed", shard=shard, cause=cause)

    def due(self, is_between: bool = False) -> bool:
        """Whether the next plain line is due; one for every shard that ends if it is verbose."""
        now = time.monotonic()
        every = self._progress.verbose and not is_between
        if self.left and now - self._last_line < PLAIN_INTERVAL and not every:
            return False
        self._last_line = now
        return True

    @property
    def left(self) -> int:
        """Number of shards that are neither done nor quarantined."""
        return self.total - self.done - self.quarantined

    @property
    def seconds(self) -> float:
        """Seconds since the step began."""
        return time.monotonic() - self.started

    def rate(self) -> str:
        """Documents per second and the share kept, as text."""
        if not self.documents_in:
            return ""
        kept = self.documents_out / self.documents_in
        return f"{self.documents_in / max(self.seconds, 1e-9):,.0f} documents/s, {kept:.0%} kept"

    def seconds_left(self) -> float | None:
        """About how long the rest takes; None before anything is done.

        Where tasks tell how far they are, the time before the first of them began, as in a queue, does not count.
        """
        if self.total_bytes:
            made, left = self.bytes_read, self.total_bytes - self.bytes_read
        else:
            made, left = self.done + self.quarantined - self.already, self.left
        return (time.monotonic() - (self._began or self.started)) / made * left if made > 0 else None

    def time_left(self) -> str:
        """About how long the rest takes, as text; "" before anything is done."""
        seconds = self.seconds_left()
        return "" if seconds is None else f"about {duration(seconds)} left"

    def status(self) -> dict[str, Any]:
        """How far the step is, as plain values."""
        return {
            "step": self.name, "unit": self.unit, "total": self.total, "done": self.done, "already": self.already,
            "quarantined": self.quarantined, "documents_in": self.documents_in, "documents_out": self.documents_out,
            "bytes": self.total_bytes, "bytes_read": self.bytes_read,
            "seconds": round(self.seconds, 1), "seconds_left": self.seconds_left(),
            "slowest": [{"shard": shard, "worker": by, "seconds": taken} for taken, shard, by in self.slowest],
        }  # fmt: skip


def _end(step: StepProgress) -> str:
    """The last line of a step: "filter: 3 of 4 shards made, 1 quarantined, 12.3 s"."""
    unit = units(step.unit, step.total)
    if step.total and step.already == step.total:
        return f"{step.name}: nothing to do, {step.total:,} {unit} made before"
    made = step.done - step.already
    count = f"{made:,}" if made == step.total else f"{made:,} of {step.total:,}"
    before = f"{step.already:,} made before" if step.already else ""
    lost = f"{step.quarantined:,} quarantined" if step.quarantined else ""
    return f"{step.name}: " + ", ".join(filter(None, [f"{count} {unit} made", before, lost, f"{step.seconds:.1f} s"]))


def _state(step: StepProgress) -> str:
    """How far a step is that stops: "in filter, with 3 of 8 shards made"."""
    return f"in {step.name}, with {step.done:,} of {step.total:,} {units(step.unit, step.total)} made"


def units(name: str, number: int) -> str:
    """The name of units for a number of them: "shards", 1 → "shard"."""
    return name.removesuffix("s") if number == 1 and " " not in name else name


def _count(step: StepProgress) -> str:
    return f"{step.total - step.left}/{step.total} {step.unit}"


class Progress:
    """Reports the progress of steps in one of the modes.

    Args:
        mode: How it is shown.
        verbose: Whether there is a line for every part of a step, instead of one in PLAIN_INTERVAL.
        log: Where the lines of plain progress are written too.

    Attributes:
        warnings: All warnings so far, without those that are listed elsewhere or that pass.
        current: The step that runs, or ran last.
    """

    def __init__(self, mode: Mode = "plain", verbose: bool = False, log: TextIO | None = None) -> None:
        self.mode, self.verbose = mode, verbose
        self.warnings: list[str] = []
        self._log = log
        self._console = console()
        self._live: RichProgress | None = None
        self._showing = False
        self._funnel: Callable[[], Sequence[Row]] | None = None
        self.current: StepProgress | None = None

    def follow(self, funnel: Callable[[], Sequence[Row]]) -> None:
        """Show this funnel above the bar of the live view; it is read again at every refresh."""
        self._funnel = funnel

    @contextmanager
    def step(
        self, name: str, total: int, done: int = 0, unit: str = "shards", total_bytes: int = 0
    ) -> Iterator[StepProgress]:
        """Report on a step while the context is open.

        Args:
            name: Name of the step.
            total: Number of shards, or of other units.
            done: How many of them were finished before.
            unit: What is counted, in the plural.
            total_bytes: Bytes that are read for the shards that are not finished; 0 if that is not told.
        """
        step = self.current = StepProgress(self, name, total, done, unit, total_bytes)
        self._event("step", step=name, shards=total, done=done)
        try:
            with self._live_view(step) if self.mode == "live" and done < total else nullcontext():
                yield step
        except BaseException as error:
            if not isinstance(error, Exception):  # Ctrl-C: whoever reports it can say how far the step was
                error.add_note(_state(step))
            raise
        self._line(_end(step), ("plain",))
        self._event("step_done", step=name, shards=total, quarantined=step.quarantined, seconds=round(step.seconds, 3))

    @contextmanager
    def _live_view(self, step: StepProgress) -> Iterator[None]:
        """Show the funnel and the bar of a step while the context is open."""
        columns = (TextColumn("{task.description:<16}"), BarColumn(), TextColumn("{task.fields[count]}"))
        bar = RichProgress(*columns, TextColumn("{task.fields[rate]}"), TimeRemainingColumn())
        size, completed = (step.total_bytes, 0) if step.total_bytes else (step.total, step.done)
        self._task = bar.add_task(step.name, total=size, completed=completed, count=_count(step), rate="")
        self._live, self._showing = bar, True
        with Live(get_renderable=self._view, console=self._console, refresh_per_second=REFRESHES):
            before = protect()  # rich redirects what others print above the view, and would obey its escapes
            try:
                yield
            finally:
                restore(before)
            self._showing = False
        self._live = None

    def _view(self) -> RenderableType:
        """The funnel so far above the bar of the step; the bar alone once the step ends or if the folder fails."""
        parts: list[RenderableType] = []
        if self._funnel is not None and self._showing:
            try:
                rows = self._funnel()
            except (OSError, ValueError):
                rows = []
            if rows:
                parts.append(live_table(rows, self._console.width))
        return Group(*parts, self._live or "")

    def show(self, step: StepProgress, is_between: bool = False, **fields: object) -> None:
        """Report the current state of `step`, after a shard ended or between two of them.

        Args:
            step: The step.
            is_between: Whether no shard has just ended.
            fields: Facts about the shard that has, for JSON.
        """
        if self._live is not None:
            completed = step.bytes_read if step.total_bytes else step.total - step.left
            is_narrow = bool(step.total_bytes) and self._console.width < NARROW
            rate = ", ".join(filter(None, [step.bytes_rate(), "" if is_narrow else step.rate()]))
            self._live.update(self._task, completed=completed, rate=rate, count=_count(step))
        is_due = step.due(is_between)
        if is_due and step.left:
            lost = f"{step.quarantined} quarantined" if step.quarantined else ""
            count = f"{step.done} of {step.total} {step.unit}"
            facts = ", ".join(filter(None, [count, lost, step.bytes_rate(), step.rate(), step.time_left()]))
            self._line(f"{step.name}: {facts}", ("plain", "live") if self.verbose else ("plain",))
        if is_due or not is_between:
            read = {"bytes": step.total_bytes, "bytes_read": step.bytes_read} if step.total_bytes else {}
            self._event(
                "progress", step=step.name, shards=step.total, done=step.done, quarantined=step.quarantined,
                documents_in=step.documents_in, documents_out=step.documents_out, **read, **fields,
            )  # fmt: skip

    def note(self, message: str) -> None:
        """Report something worth knowing."""
        self._line(message, ("live", "plain"))
        self._event("note", message=message)

    def warn(self, message: str, event: str = "warning", **fields: object) -> None:
        """Report something that went wrong without stopping the run."""
        if event not in NOT_KEPT:
            self.warnings.append(message)
        self._line(f"warning: {message}", ("live", "plain", "quiet"))
        self._event(event, message=message, **fields)

    def _line(self, message: str, modes: Sequence[Mode]) -> None:
        """Show a line in some modes, in plain ones with the time, and append it to the log."""
        stamped = f"{time.strftime('%Y-%m-%d %H:%M:%S')} {one_line(message)}"
        if self.mode in modes:
            self._console.print(stamped if self.mode == "plain" else one_line(message), soft_wrap=True)
        if self._log is not None:
            print(stamped, file=self._log)

    def _event(self, event: str, **fields: object) -> None:
        if self.mode == "json":
            now = datetime.now(UTC).isoformat(timespec="milliseconds")
            print(to_json({"time": now, "event": event, **fields}), file=sys.stderr, flush=True)
