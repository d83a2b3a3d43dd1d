"""A small finished run, and functions that break it by rewriting files, with or without their manifests."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from archives import page, prose, response, write_archive
from typer.testing import CliRunner

from curation.jobs.cli.main import app
from curation.jobs.inspect.verify.verify import Verdict, verify
from curation.jobs.inspect.work_folder import work_folder
from curation.jobs.steps.plan import open_plan
from curation.running.cluster import Cluster
from curation.store.folder import Folder

SETTINGS = (
    "tokenizer.vocab_size=600",
    "tokens.sequence_length=64",
    "extract.extractor=resiliparse",
    "tokens.validation_fraction=0.3",
)


def write_crawl(folder: Path) -> Path:
    """Two archives: good pages, a copy and an edited copy of two of them, and a thin page."""
    for name, seeds in (("a", range(10, 24)), ("b", range(24, 36))):
        records = [response(f"https://{name}.org/{seed}", page("good", *prose(seed))) for seed in seeds]
        if name == "b":
            records.append(response("https://b.org/copy", page("copy", *prose(13))))
            records.append(response("https://b.org/edited", page("edited", *prose(14), "One more line stands here.")))
            records.append(response("https://b.org/thin", page("thin", "The shop will be closed until Monday.")))
        write_archive(folder / f"{name}.warc.gz", records)
    return folder


def run(crawl: Path | list[Path], out: Path, *settings: str, command: str = "run", options: Sequence[str] = ()) -> None:
    """Run `curate` in this process."""
    words = [str(path) for path in (crawl if isinstance(crawl, list) else [crawl])]
    sets = [word for setting in (*SETTINGS, *settings) for word in ("--set", setting)]
    done = CliRunner().invoke(app, [command, *words, "--out", str(out), "--workers", "0", *options, *sets])
    assert done.exit_code == 0, f"{done.output}{done.exception!r}"


def verdict_of(out: Path) -> Verdict:
    """The result of verifying the run."""
    plan = open_plan(str(out))
    with work_folder(plan.folder, shared=False) as work:
        return verify(plan, Cluster(), work)


def only(out: Path, pattern: str, number: int = 0) -> Path:
    """The file of the run at this position among those that match the pattern."""
    return sorted(out.glob(pattern))[number]


def resign(out: Path, path: Path) -> None:
    """Update every manifest that lists a file to the file's current content."""
    name = str(path.relative_to(out))
    size, digest = Folder(str(out)).hash(name)
    rows = pq.read_metadata(path).num_rows if name.endswith(".parquet") else 0

    def update(values: dict[str, Any]) -> None:
        for output in values["outputs"]:
            if output["path"] == name:
                output.update(bytes=size, hash=digest, rows=rows)

    for manifest in out.glob("manifests/*/*.json"):
        edit_json(manifest, update)


def edit_json(path: Path, change: Callable[[dict[str, Any]], None]) -> None:
    """Change a JSON file in place."""
    values = json.loads(path.read_text())
    change(values)
    path.write_text(json.dumps(values))


def rewrite(out: Path, path: Path, change: Callable[[pa.Table], pa.Table], *, signed: bool = True) -> None:
    """Rewrite a Parquet file, and update its manifests if `signed`."""
    table = pq.read_table(path)
    pq.write_table(change(table).replace_schema_metadata(table.schema.metadata), path)
    if signed:
        resign(out, path)


def put(table: pa.Table, column: str, row: int, value: Any) -> pa.Table:
    """A table with one value changed."""
    values = table[column].to_pylist()
    values[row] = value
    field = table.schema.field(column)
    return table.set_column(table.schema.get_field_index(column), field, pa.array(values, field.type))
