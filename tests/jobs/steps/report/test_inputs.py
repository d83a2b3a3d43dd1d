"""What the report says about each input."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from curation.archives.inputs import Input
from curation.jobs.steps.report.inputs import COUNTS, FOLDERS, LISTED, OTHERS, UNUSUAL, InputCounter


def counts(documents: int, kept: int, **read: int) -> dict[str, Any]:
    """What a manifest counts."""
    tally = {"documents_in": documents, "documents_out": kept}
    return {"read": {"records.row": documents, **read}, "stages": {"url": tally}}


def report(found: Mapping[Input, dict[str, Any]], quarantined: tuple[str, ...] = ()) -> dict[str, Any]:
    """The report's entry on these inputs, of which half of what is kept is in the corpus."""
    counter = InputCounter([*found], [{"path": path} for path in quarantined])

    def both() -> Iterator[Mapping[str, Any]]:
        pairs = {source.shard: each for source, each in found.items() if source.path not in quarantined}
        yield from counter.counting("filter", pairs.items())
        halves = {shard: counts(1, each["stages"]["url"]["documents_out"] // 2) for shard, each in pairs.items()}
        yield from counter.counting("corpus", halves.items())

    assert len([*both()]) == 2 * (len(found) - len(quarantined))
    return counter.to_json()


def test_parts_of_a_file_are_one_input() -> None:
    """The parts of a divided file are added up, and a quarantined file is listed with nothing."""
    parts = [Input("/data/a.jsonl", 100, "", 0, 60), Input("/data/a.jsonl", 100, "", 60, 100)]
    lost = {"bytes.lost": 7, "skipped.no_text": 2, "skipped.invalid_json": 1, "skipped.empty": 9}
    found = dict(zip(parts, (counts(10, 8), counts(5, 4, **lost)), strict=True))
    bad = Input("/data/b.parquet", 30, "")
    assert report({**found, bad: counts(0, 0)}, (bad.path,)) == {
        "count": 2,
        "inputs": [
            {"path": "/data/a.jsonl", "kind": "jsonl", "quarantined": False}
            | dict(zip(COUNTS, (100, 15, 15, 12, 6, 7, 3), strict=True)),
            {"path": "/data/b.parquet", "kind": "parquet", "quarantined": True}
            | dict(zip(COUNTS, (30, 0, 0, 0, 0, 0, 0), strict=True)),
        ],
    }


def test_an_input_of_which_nothing_is_kept() -> None:
    """A shard without documents, whose manifest names no stage, counts nothing."""
    counter, source = InputCounter([Input("/a.parquet", 5, "")], []), Input("/a.parquet", 5, "")
    for step in ("filter", "corpus"):
        assert [*counter.counting(step, [(source.shard, {"read": {}, "stages": {}})])]
    assert (
        counter.to_json()["inputs"][0] | dict(zip(COUNTS, (5, 0, 0, 0, 0, 0, 0), strict=True))
        == (counter.to_json()["inputs"][0])
    )


def test_very_many_inputs_are_added_up_by_folder() -> None:
    """The sums are those of all inputs, quarantined, damaged and unusual ones are listed, and the size is bounded."""
    found = {
        Input(f"/crawl/{number % 50:02}/{number}.{kind}", number, ""): counts(100, 50)
        for number in range(2 * LISTED)
        for kind in ("warc.gz", "parquet")
    }
    names = [source.path for source in found]
    sources = dict(zip(names, found, strict=True))
    odd = {
        names[31]: counts(100, 100),
        names[32]: counts(100, 0),
        names[33]: counts(100, 50, **{"skipped.truncated": 3, "bytes.lost": 9}),
    }
    found |= {sources[name]: each for name, each in odd.items()}
    stated = report(found, (names[34],))
    assert stated["count"] == 4 * LISTED
    assert [row["path"] for row in stated["inputs"]] == sorted(names[31:35])
    assert len(stated["folders"]) == FOLDERS + 2
    assert [row["path"] for row in stated["folders"][FOLDERS:]] == [OTHERS, OTHERS]
    assert {row["kind"] for row in stated["folders"]} == {"archive", "parquet"}
    sums = {name: sum(row[name] for row in stated["folders"]) for name in (*COUNTS, "inputs")}
    every = [counts for source, counts in found.items() if source.path != names[34]]
    assert sums["kept"] == sum(each["stages"]["url"]["documents_out"] for each in every)
    assert (sums["documents"], sums["lost_records"]) == (100 * len(every), 3)
    assert (sums["inputs"], sums["bytes"]) == (len(found), sum(source.size for source in found))


def test_few_of_each_unusual_kind_are_listed() -> None:
    """However many inputs are damaged or quarantined, the list stays short."""
    found = {Input(f"/a/{n}.warc.gz", 1, ""): counts(10, n % 10, **{"bytes.lost": n}) for n in range(9 * LISTED)}
    stated = report(found, tuple(source.path for source in [*found][: 2 * LISTED]))
    assert UNUSUAL < len(stated["inputs"]) <= 5 * UNUSUAL
