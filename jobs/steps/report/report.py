"""The report step: report/stats.json and report/index.html, and the same facts as tables in the terminal.

stats.json and the dataset card are the same for equal runs, and their hashes are in the manifest. index.html and
metrics.txt also contain time and memory, which differ from run to run, so they have no hash in any manifest, like
performance/, where these come from. A rerun of the report writes nothing unless another manifest has changed.
"""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

from rich.console import Console, Group, RenderableType

from curation.jobs.steps.damage import describe_damage
from curation.jobs.steps.plan import Plan
from curation.jobs.steps.progress import Progress
from curation.jobs.steps.report import contamination, inputs, quality
from curation.jobs.steps.report.card import foreign_readmes, write_card
from curation.jobs.steps.report.facts import STEP, collect, count_shards, fingerprints
from curation.jobs.steps.report.metrics import write_metrics
from curation.jobs.steps.report.page import make_page
from curation.jobs.steps.report.performance import measure
from curation.jobs.steps.report.samples import read_samples
from curation.report.funnel import funnel_rows
from curation.report.tables import FittedTable
from curation.report.terminal import funnel_table
from curation.running.cluster import Cluster
from curation.running.terminal import one_line
from curation.store.manifest import WHOLE, Manifest, fingerprint, is_done
from curation.store.paths import METRICS, OF_REPORT, REPORT_PAGE, RUN, STATS
from curation.store.shards import Output

if TYPE_CHECKING:
    from curation.jobs.steps.run import Run

VERSION = 9
"""Rises when the same run gives another report."""

ROWS_SHOWN = 15


def make(run: Run) -> None:
    """Report on the run so far."""
    run.stats = write_report(run.plan, run.cluster, run.progress)


def write_report(plan: Plan, cluster: Cluster, progress: Progress) -> dict[str, Any]:
    """Count what is there, unless nothing changed since the last report; returns the content of report/stats.json."""
    folder = plan.folder
    folder.check_no_links(OF_REPORT)
    run = folder.read_json(RUN) if folder.exists(RUN) else {}
    listed = [run.get("quarantined", []), run.get("damaged", []), *([list(plan.asked)] if plan.asked else [])]
    foreign = foreign_readmes(folder)
    models = quality.quality_models(plan)
    current = fingerprint(STEP, VERSION, fingerprints(folder), listed, foreign, *([models] if models else []))
    manifest = is_done(folder, STEP, WHOLE, current)
    done = manifest is not None and all(
        map(folder.exists, (REPORT_PAGE, METRICS, *(output.path for output in manifest.outputs)))
    )
    with progress.step(STEP, 1, int(done), unit="reports") as bar:
        if not done:
            facts = count_shards(plan, cluster)
            stats = collect(plan, facts)
            performance = measure(folder, stats)
            with ThreadPoolExecutor(1) as threads:
                samples = threads.submit(read_samples, plan, facts, cluster)
                page = make_page(plan, stats, samples.result, performance)
            folder.write(REPORT_PAGE, page.encode())
            text = (json.dumps(stats, ensure_ascii=False, indent=1) + "\n").encode()
            output = Output(STATS, len(text), folder.write(STATS, text), 0)
            write_metrics(plan, stats, performance)
            Manifest(STEP, WHOLE, current, outputs=[output, *write_card(plan, stats, foreign)]).write(folder)
            bar.advance()
            for path in foreign:
                progress.note(f"report: {folder.url}/{path} was not written by curate, so it was left as it is")
    found: dict[str, Any] = folder.read_json(STATS)
    return found


def show(stats: dict[str, Any], console: Console) -> None:
    """Print the report as tables."""
    console.print(Group(*_tables(stats)), markup=False)


def funnel(stats: dict[str, Any]) -> FittedTable:
    """Documents, characters and tokens into and out of each stage, with the most frequent reasons of removal."""
    return funnel_table(funnel_rows(stats), f"recipe {stats['recipe']}")


def _tables(stats: dict[str, Any]) -> list[RenderableType]:
    tables: list[RenderableType] = [funnel(stats), *inputs.tables(stats["inputs"], bool(stats["shards"]["corpus"]))]
    if stats["languages"]:
        tables.append(_shares("Languages", "language", stats["languages"]))
    if stats.get("funnels"):
        tables.append(_funnels(stats["funnels"]))
    if stats["domains"]:
        tables.append(_shares("Domains", "domain", stats["domains"]))
    personal = stats["stages"].get("pii", {}).get("counts", {})
    if personal:
        tables.append(_counts("Personal data replaced", "type", personal))
    tables += quality.tables(stats.get("quality", []))
    tables += contamination.tables(stats.get("contamination", {}))
    for title, key in (
        ("Reading", "read"),
        ("Deduplication", "dedup"),
        ("Tokenizer", "tokenizer"),
        ("Tokens", "tokens"),
    ):
        plain = {name: value for name, value in stats[key].items() if isinstance(value, (int, float, str))}
        if plain:
            tables.append(_counts(title, "", plain))
    if stats["bytes_per_token"]:
        tables.append(_counts("Bytes per token", "language", stats["bytes_per_token"]))
    if stats["quarantined"]:
        tables.append(
            _counts("Quarantined", "input", {entry["path"]: entry["cause"] for entry in stats["quarantined"]})
        )
    if stats["damaged"]:
        lost = {entry["path"]: describe_damage(entry).removeprefix(f"{entry['path']}: ") for entry in stats["damaged"]}
        tables.append(_counts("Damaged", "input", lost))
    return tables


def _shares(title: str, name: str, values: dict[str, dict[str, int]]) -> FittedTable:
    table = FittedTable(name, "documents", "in the corpus", "kept", title=title)
    for key, counts in list(values.items())[:ROWS_SHOWN]:
        kept = counts["kept"] / counts["documents"] if counts["documents"] else 0.0
        table.add_row(one_line(key), f"{counts['documents']:,}", f"{counts['kept']:,}", f"{kept:.1%}")
    if len(values) > ROWS_SHOWN:
        table.add_row(f"{len(values) - ROWS_SHOWN} more", "", "", "")
    return table


def _funnels(funnels: dict[str, Any]) -> FittedTable:
    """Documents that each stage kept, by language."""
    stages = [*next(iter(funnels.values()))["stages"]]
    table = FittedTable("language", "identified", *stages, "characters", title="Documents left after each stage")
    for language, funnel in list(funnels.items())[:ROWS_SHOWN]:
        rows = [*funnel["stages"].values()]
        counts = [rows[0]["documents_in"] if rows else 0, *(row["documents_out"] for row in rows), funnel["characters"]]
        table.add_row(one_line(language), *(f"{count:,}" for count in counts))
    return table


def _counts(title: str, name: str, values: dict[str, Any]) -> FittedTable:
    table = FittedTable(name, "", title=title, header=bool(name))
    for key, value in list(values.items())[: 2 * ROWS_SHOWN]:
        text = f"{value:,}" if isinstance(value, (int, float)) else one_line(str(value))
        table.add_row(one_line(str(key)), text)
    return table
