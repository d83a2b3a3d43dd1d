"""What `curate estimate` prints."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from rich.console import Console

from curation.jobs.inspect.estimate.extrapolation import LEVEL, Interval, point
from curation.jobs.inspect.estimate.projection import Projection
from curation.report.tables import FittedTable
from curation.running.terminal import one_line

NAMES = {
    "pages": "pages read",
    "documents": "documents kept by stages",
    "corpus": "documents in the corpus",
    "tokens": "tokens",
}


def show(projection: Projection, recipe: str, console: Console) -> None:
    """Print the projection as tables, followed by its limitations."""
    inputs = projection.inputs
    console.print(
        f"recipe {one_line(recipe)}; {inputs['files']:,} inputs, {size(inputs['bytes'])}; sample: "
        f"{inputs['sampled_share']:.2%} of the bytes, {inputs['sampled_chunks']:,} chunks "
        f"of {inputs['sampled_files']:,} inputs",
        soft_wrap=True,
    )
    console.print(_table("Kept", {NAMES[name]: value for name, value in projection.kept.items()}, count))
    console.print(_table("Output", projection.output, size))
    processor = {**projection.hours, "all steps": sum(projection.hours.values(), point(0.0))}
    console.print(_table("CPU time", processor, hours, "core time"))
    wall = {f"{number} worker{'s' if number > 1 else ''}": value for number, value in projection.wall.items()}
    console.print(_table("Wall time", wall, hours))
    console.print(
        f"included in the wall time: start-up ({projection.startup_seconds:.1f} s), the report's page "
        f"({projection.report_seconds:.1f} s), and up to {projection.load:.1f} s per CPU second, as the machine is now",
        soft_wrap=True,
    )
    console.print(_table("Memory", projection.memory, size, "peak per worker"))
    for entry in projection.quarantined:
        console.print(f"unreadable: {one_line(entry['path'])}: {one_line(entry['cause'])}", soft_wrap=True)
    for note in projection.notes:
        console.print(f"- {one_line(note)}", soft_wrap=True)


def _table(
    title: str, rows: Mapping[str, Interval], write: Callable[[float], str], column: str = "expected"
) -> FittedTable:
    table = FittedTable("", column, f"from ({LEVEL:.0%} sure)", "to", title=title, least={0: 26})
    for name, interval in rows.items():
        table.add_row(one_line(name), write(interval.value), write(interval.low), write(interval.high))
    return table


def count(number: float) -> str:
    """1234.5 → "1,234"."""
    return f"{number:,.0f}"


def size(number: float) -> str:
    """1500000 → "1.50 MB"."""
    for unit in ("B", "kB", "MB", "GB", "TB"):
        if number < 1000 or unit == "TB":
            break
        number /= 1000
    return f"{number:,.0f} {unit}" if unit == "B" else f"{number:,.2f} {unit}"


def hours(number: float) -> str:
    """0.5 → "30.0 min"."""
    return (
        f"{number * 3600:.1f} s" if number < 1 / 60 else f"{number * 60:.1f} min" if number < 1 else f"{number:,.1f} h"
    )
