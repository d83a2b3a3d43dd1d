"""The metrics are valid OpenMetrics with the numbers of stats.json."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from planted import run, write_crawl
from prometheus_client.openmetrics.parser import text_string_to_metric_families

from curation.jobs.steps.report.metrics import Family, escape


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run."""
    folder = tmp_path_factory.mktemp("run")
    run(write_crawl(folder / "crawl"), folder / "out")
    return folder / "out"


def samples(text: str) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    """Every sample by name and labels, read with the reference parser."""
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def test_metrics_are_open_metrics_with_the_numbers_of_the_run(out: Path) -> None:
    """The reference parser reads the file, and stages, reasons, reading and tokens equal those of stats.json."""
    text = (out / "report" / "metrics.txt").read_text()
    assert text.endswith("# EOF\n")
    metrics = samples(text)
    stats: dict[str, Any] = json.loads((out / "report" / "stats.json").read_text())
    for stage, tally in stats["stages"].items():
        for name in ("documents_in", "documents_out", "characters_in", "characters_out"):
            assert metrics[f"curate_stage_{name}_total", (("stage", stage),)] == tally[name]
        for reason, count in tally["reasons"].items():
            assert metrics["curate_removed_documents_total", (("reason", reason), ("stage", stage))] == count
    assert metrics["curate_read_pages_total", (("content", "html"),)] == stats["read"]["pages.html"] == 29
    assert metrics["curate_read_records_total", (("type", "response"),)] == 29
    assert metrics["curate_corpus_tokens_total", ()] == stats["tokens"]["corpus_tokens"]
    assert metrics["curate_packed_rows_total", (("split", "train"),)] == stats["tokens"]["train_rows"]
    assert metrics["curate_step_seconds_total", (("step", "filter"),)] > 0
    written = sum(path.stat().st_size for path in (out / "corpus").glob("*.parquet"))
    assert metrics["curate_output_bytes", (("folder", "corpus"),)] == written


def test_hostile_names_stay_labels() -> None:
    """Quotes, backslashes and line breaks in a label are unchanged after parsing."""
    family = Family("stage_documents_in", "counter", 'help with "quotes"\nand lines')
    hostile = 'a"} 7\n# EOF\n\\x'
    family.add(3, stage=hostile)
    text = "\n".join(family.lines()) + "\n# EOF\n"
    assert samples(text) == {("curate_stage_documents_in_total", (("stage", hostile),)): 3}
    assert escape('\\"\n') == '\\\\\\"\\n'


def test_a_family_without_samples_is_empty() -> None:
    """A metric without samples has no lines."""
    assert list(Family("none", "gauge", "Nothing.").lines()) == []
