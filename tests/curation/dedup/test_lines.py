"""Lines that many documents share are counted once per document and cut everywhere."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from archives import prose
from signed import documents, run

from curation.dedup.lines import CUTS, CutLines, document_counts, line_hashes
from curation.dedup.settings import DedupSettings
from curation.stages.batch import Batch
from curation.text.hosts import registered_domain

FOOTER = "Subscribe to our newsletter"


def batch(*texts: str, urls: list[str] | None = None) -> Batch:
    columns = {"text": pa.array(texts), "url": pa.array(urls or ["https://a.org/"] * len(texts))}
    return Batch(
        pa.RecordBatch.from_pydict({**columns, "position": pa.array(range(len(texts))), "id": pa.array(texts)})
    )


def test_a_document_counts_once_for_a_line() -> None:
    """White space around a line is ignored; repeats within a document and blank lines do not count."""
    owner, inside, hashes = line_hashes(batch("a\nb\n a \n\n", "a", "c\u00a0\n  "), "corpus")
    assert owner.tolist() == [0, 0, 0, 0, 0, 1, 2, 2]
    assert inside.tolist() == [0, 1, 2, 3, 4, 0, 0, 1]
    assert hashes[0] == hashes[2] == hashes[5]
    assert (hashes == 0).tolist() == [False, False, False, True, True, False, False, True]
    assert sorted(document_counts(owner, hashes)[1].tolist()) == [1, 1, 2]


def test_lines_of_other_domains_are_different() -> None:
    """With the scope "domain", hosts of the same registered domain share lines, others do not."""
    urls = ["https://www.a.co.uk/1", "http://blog.a.co.uk/2", "https://b.co.uk/"]
    _, _, hashes = line_hashes(batch("x", "x", "x", urls=urls), "domain")
    assert hashes[0] == hashes[1] != hashes[2]
    assert registered_domain("http://[bad") == ""
    assert registered_domain("https://10.0.0.1/x") == "10.0.0.1"


def test_cutting_lines() -> None:
    """Listed lines are cut, the others keep their order; a document without lines is removed with its reason."""
    cuts = pa.table({"row": [0, 0, 2, 2], "line": [0, 2, 0, 1]}, schema=CUTS)
    outcome = CutLines(cuts)(batch("x\nkeep\ny\nthis", "whole", "x\n\n"))
    assert outcome.batch.text.to_pylist() == ["keep\nthis", "whole", ""]
    assert outcome.reasons is not None
    assert outcome.reasons.to_pylist() == [None, None, "max_line_documents"]
    assert outcome.counts == {"lines_cut": 4}


def test_across_shards(tmp_path: Path) -> None:
    """Lines over the limit are listed in all shards; lines at the limit are not, and duplicates do not count."""
    texts = [f"{' '.join(prose(seed))}\n{FOOTER}" for seed in range(9)]
    texts += [texts[0]] * 20 + [f"{' '.join(prose(50))}\nAt the limit", f"{' '.join(prose(51))}\nAt the limit"]
    urls = [f"https://a.org/{number}" for number in range(len(texts))]
    settings = DedupSettings(max_line_documents=2)
    folder, names, found = run(tmp_path, documents(texts, url=urls), settings, parts=5)
    cut = {}
    for name in names:
        ids = pq.read_table(folder.path(f"documents/{name}.parquet"), columns=["id"])["id"].to_pylist()
        for row in pq.read_table(folder.path(f"dedup/lines/{name}.parquet")).to_pylist():
            cut.setdefault(ids[row["row"]], []).append(row["line"])
    assert cut == {str(number): [1] for number in range(9)}
    assert (found.counts["frequent_lines"], found.counts["lines_cut"]) == (1, 9)
    assert {f"dedup/lines/{name}.parquet" for name in names} <= {output.path for output in found.outputs}
    assert np.all([pq.read_schema(folder.path(f"dedup/lines/{name}.parquet")).names == CUTS.names for name in names])
