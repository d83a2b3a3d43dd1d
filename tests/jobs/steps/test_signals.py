"""Signals stored by the filter step: one row per kept document, the same bytes for any batches, redone on --update."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from archives import page, prose, response, write_archive

from curation.archives.inputs import Input
from curation.archives.ledger import Loss
from curation.archives.reader import ReadSettings, read_batches
from curation.jobs.steps import filter as filter_step
from curation.jobs.steps.plan import make_plan
from curation.jobs.steps.progress import Progress
from curation.jobs.steps.run import Run
from curation.running.cluster import Cluster
from curation.stages.batch import Batch
from curation.stages.signals import Histogram
from curation.store.manifest import read_manifest

SETTINGS = ["extract.extractor=resiliparse"]


@pytest.fixture(scope="module")
def crawl(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Good pages, thin ones, a German one and one with code in it."""
    path = tmp_path_factory.mktemp("crawl") / "a.warc.gz"
    records = [response(f"https://a.org/{seed}", page("good", *prose(seed))) for seed in range(20, 30)]
    thin = "The shop on the corner of our street will be closed until Monday, and nobody knows whether it was planned."
    records += [response(f"https://a.org/thin{n}", page("thin", f"{thin} Really {n}.")) for n in range(3)]
    records.append(response("https://a.org/de", page("deutsch", "Der alte Mann ging langsam nach Hause. " * 9)))
    records.append(response("https://a.org/code", page("code", *prose(40), "if (a) { go on with this line } at once.")))
    records.append(response("https://a.org/porn-sex", page("listed", *prose(41))))
    write_archive(path, records)
    return path


def filtered(crawl: Path, out: Path, *settings: str, update: bool = False) -> dict[str, Any]:
    """Run the filter step; returns the manifest of its shard, as plain values."""
    plan = make_plan([str(crawl)], str(out), "fineweb", [*SETTINGS, *settings], update=update)
    plan.write([])
    run = Run(plan, Cluster(), Progress("silent"))
    run.run("filter")
    assert not run.quarantined
    manifest = read_manifest(plan.folder, "filter", plan.inputs[0].shard)
    assert manifest is not None
    return {"counts": manifest.counts, "outputs": {output.path: output for output in manifest.outputs}}


def files(out: Path, place: str) -> list[Path]:
    return sorted((out / place).glob("*.parquet"))


def test_every_kept_document_has_a_row_of_signals(crawl: Path, tmp_path: Path) -> None:
    """signals/ has the ids and offsets of documents/ in the same order, and is in the manifest with its rows."""
    made = filtered(crawl, tmp_path)
    (documents,), (signals,) = files(tmp_path, "documents"), files(tmp_path, "signals")
    kept, stored = pq.read_table(documents), pq.read_table(signals)
    for column in ("id", "warc_offset"):
        assert kept[column].to_pylist() == stored[column].to_pylist()
    assert stored["gopher_quality.words"].null_count == 0
    assert stored["c4.characters"].to_pylist() == [len(text) for text in kept["text"].to_pylist()]
    assert made["outputs"][f"signals/{signals.name}"].rows == len(kept) > 0
    (removed,) = files(tmp_path, "removed/filter")
    names = [field.name for field in pq.read_schema(removed).field("signals").type]
    own = [name for name in names if not name.startswith(("dedup.", "decontaminate.", "pii."))]
    assert stored.column_names == ["id", "warc_offset", *own]


def test_histograms_count_the_documents_that_entered(crawl: Path, tmp_path: Path) -> None:
    """Every signal's histogram has as many values as documents entered its stage, and matches the violations."""
    counts = filtered(crawl, tmp_path)["counts"]
    entered = {name: tally["documents_in"] for name, tally in counts["stages"].items()}
    for name, values in counts["signals"].items():
        assert sum(values["counts"]) + values["nulls"] == entered[name.partition(".")[0]], name
    words = Histogram.from_json(counts["signals"]["gopher_quality.words"])
    below = sum(words.counts[: words.edges.index(50) + 1])
    assert below == counts["stages"]["gopher_quality"]["violations"]["min_words"] == 3
    assert {"url.soft_words", "language.score", "extract.text_characters"} <= set(counts["signals"])


def read(
    size: int, source: Input, settings: ReadSettings, counts: Counter[str], losses: list[Loss], _: object
) -> Iterator[Batch]:
    """Read an archive in this process, in batches of `size` documents."""
    with source.open() as stream:
        yield from read_batches(stream, source.path, settings, counts, losses=losses, max_documents=size)


def test_the_bytes_do_not_depend_on_batches(crawl: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Manifests and files are identical for batches of another size, with or without signals.all."""
    for all_of_them in ("true", "false"):
        seen = []
        for size in (1, 7, 500):
            monkeypatch.setattr(filter_step, "read_watched", partial(read, size))
            seen.append(filtered(crawl, tmp_path / f"{all_of_them}{size}", f"signals.all={all_of_them}"))
        assert seen[0] == seen[1] == seen[2]


def test_all_signals_of_all_documents(crawl: Path, tmp_path: Path) -> None:
    """With signals.all a removed document with a text has the signals of every later filter; nothing else differs."""
    plain, whole = filtered(crawl, tmp_path / "plain"), filtered(crawl, tmp_path / "all", "signals.all=true")
    assert plain["counts"] == whole["counts"]
    for place in ("documents", "signals", "signatures"):
        for one, other in zip(files(tmp_path / "plain", place), files(tmp_path / "all", place), strict=True):
            assert pq.read_table(one).equals(pq.read_table(other))
    before, after = (pq.read_table(files(tmp_path / name, "removed/filter")[0]) for name in ("plain", "all"))
    assert before.drop_columns("signals").equals(after.drop_columns("signals"))
    for old, row in zip(before.to_pylist(), after.to_pylist(), strict=True):
        measured = row["signals"]["fineweb.lines"] is not None
        assert measured == (row["stage"] not in ("url", "extract")), row["reason"]
        assert all(value is None or row["signals"][name] == value for name, value in old["signals"].items())


def test_a_change_of_what_is_stored_redoes_the_step(crawl: Path, tmp_path: Path) -> None:
    """If disabled with --update, the file of signals is removed, also from the manifest; no other file changes."""
    filtered(crawl, tmp_path)
    before = pq.read_table(files(tmp_path, "documents")[0])
    made = filtered(crawl, tmp_path, "signals.stored=false", update=True)
    assert files(tmp_path, "signals") == []
    assert not any(path.startswith("signals/") for path in made["outputs"])
    assert pq.read_table(files(tmp_path, "documents")[0]).equals(before)
