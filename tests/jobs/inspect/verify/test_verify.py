"""Verify finds and describes each fault in a table of planted faults, and none in a sound run."""

from __future__ import annotations

import gzip
import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from archives import page, prose, response, write_archive
from planted import edit_json, only, put, resign, rewrite, run, verdict_of, write_crawl
from typer.testing import CliRunner

from curation.jobs.cli.main import app
from curation.jobs.inspect.verify.verify import Verdict
from curation.jobs.steps import table
from curation.jobs.steps.table import commands

Plant = Callable[[Path], None]


@pytest.fixture(scope="module")
def crawl(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two archives."""
    return write_crawl(tmp_path_factory.mktemp("crawl"))


@pytest.fixture(scope="module")
def sound(crawl: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run."""
    out = tmp_path_factory.mktemp("run") / "out"
    run(crawl, out)
    return out


@pytest.fixture
def out(sound: Path, tmp_path: Path) -> Path:
    """A copy of the run, to damage."""
    return Path(shutil.copytree(sound, tmp_path / "out"))


def flip_a_byte(out: Path) -> None:
    path = only(out, "corpus/*.parquet")
    data = bytearray(path.read_bytes())
    data[len(data) // 3] ^= 1
    path.write_bytes(data)


def truncate(out: Path) -> None:
    path = only(out, "documents/*.parquet")
    path.write_bytes(path.read_bytes()[:-100])


def delete(out: Path) -> None:
    only(out, "signatures/*.parquet").unlink()


def swap_two_files(out: Path) -> None:
    left, right = only(out, "documents/*.parquet"), only(out, "documents/*.parquet", 1)
    data = left.read_bytes()
    left.write_bytes(right.read_bytes())
    right.write_bytes(data)


def add_a_stray(out: Path) -> None:
    shutil.copy(only(out, "corpus/*.parquet"), out / "corpus" / "stray.parquet")


def add_a_stray_token_shard(out: Path) -> None:
    shutil.copy(only(out, "tokens/train-*.parquet"), out / "tokens" / "train-00099.parquet")


def duplicate_a_row(out: Path) -> None:
    rewrite(out, only(out, "corpus/*.parquet"), lambda table: pa.concat_tables([table, table.slice(2, 1)]))


def duplicate_a_row_unsigned(out: Path) -> None:
    rewrite(
        out, only(out, "corpus/*.parquet"), lambda table: pa.concat_tables([table, table.slice(2, 1)]), signed=False
    )


def repeat_an_id(out: Path) -> None:
    first = pq.read_table(only(out, "corpus/*.parquet"))["id"][0].as_py()
    rewrite(out, only(out, "corpus/*.parquet", 1), lambda table: put(table, "id", 4, first))


def keep_what_was_removed(out: Path) -> None:
    kept = pq.read_table(only(out, "corpus/*.parquet")).slice(1, 1)

    def add(table: pa.Table) -> pa.Table:
        row = kept.append_column("stage", pa.array(["c4"])).append_column("reason", pa.array(["c4.curly_bracket"]))
        row = row.append_column(table.schema.field("signals"), pa.nulls(1, table.schema.field("signals").type))
        return pa.concat_tables([table, row.cast(table.schema)])

    rewrite(out, only(out, "removed/filter/*.parquet"), add)


def drop_later_signals(out: Path) -> None:
    """removed/filter/ as it was written before it had the signals of all steps."""

    def narrow(table: pa.Table) -> pa.Table:
        values = table["signals"].combine_chunks()
        kept = [each for each in values.type if not each.name.startswith(("dedup.", "decontaminate.", "pii."))]
        arrays = [values.field(each.name) for each in kept]
        own = pa.StructArray.from_arrays(arrays, fields=kept)
        return table.set_column(table.schema.get_field_index("signals"), "signals", own)

    rewrite(out, only(out, "removed/filter/*.parquet"), narrow)


def lose_a_document(out: Path) -> None:
    rewrite(out, only(out, "corpus/*.parquet"), lambda table: table.slice(1))


def lose_a_removed_document(out: Path) -> None:
    rewrite(out, only(out, "removed/filter/*.parquet", 1), lambda table: table.slice(1))


def edit_the_records_read(out: Path) -> None:
    edit_json(only(out, "manifests/filter/*.json"), lambda it: it["counts"]["read"].update({"skipped.type.json": 3}))


def edit_a_tally(out: Path) -> None:
    def change(values: dict) -> None:  # type: ignore[type-arg]
        values["counts"]["stages"]["c4"]["documents_out"] -= 1

    edit_json(only(out, "manifests/filter/*.json"), change)


def edit_a_fingerprint(out: Path) -> None:
    edit_json(only(out, "manifests/filter/*.json"), lambda it: it.update(fingerprint="0" * 32))


def edit_a_hash(out: Path) -> None:
    edit_json(only(out, "manifests/dedup/*.json"), lambda it: it["outputs"][0].update(hash="0" * 32))


def break_a_manifest(out: Path) -> None:
    only(out, "manifests/corpus/*.json").write_text("{")


def rename_a_manifest(out: Path) -> None:
    path = only(out, "manifests/corpus/*.json")
    shutil.copy(path, path.with_name("other.json"))


def delete_a_manifest(out: Path) -> None:
    only(out, "manifests/filter/*.json").unlink()


def delete_the_last_manifest_of_a_shard(out: Path) -> None:
    only(out, "manifests/encode/*.json").unlink()


def token(out: Path, column: str, value: Callable[[list[int]], list[int]], row: int = 3) -> None:
    rewrite(
        out,
        only(out, "tokens/train-*.parquet"),
        lambda table: put(table, column, row, value(table[column].to_pylist()[row])),
    )


def use_an_unknown_id(out: Path) -> None:
    token(out, "input_ids", lambda ids: [*ids[:7], 600, *ids[8:]])


def begin_beyond_the_row(out: Path) -> None:
    token(out, "document_starts", lambda starts: [*starts[:-1], 64] if len(starts) > 1 else [64])


def begin_late(out: Path) -> None:
    token(out, "document_starts", lambda starts: [1, *starts[1:]])


def name_one_document_more(out: Path) -> None:
    token(out, "document_ids", lambda ids: [*ids, ids[0]])  # type: ignore[list-item]


def name_an_unknown_document(out: Path) -> None:
    token(out, "document_ids", lambda ids: ["<urn:uuid:nobody>"] * len(ids))  # type: ignore[list-item, misc]


def drop_a_document_from_the_tokens(out: Path) -> None:
    first = pq.read_table(only(out, "tokens/train-*.parquet"))["document_ids"][0].as_py()[0]
    for path in out.glob("tokens/*.parquet"):
        table = pq.read_table(path)["document_ids"].to_pylist()
        other = next(name for row in table for name in row if name not in (first, None))
        for row, names in enumerate(table):
            if first in names:
                changed = [other if name == first else name for name in names]
                rewrite(out, path, lambda t, row=row, changed=changed: put(t, "document_ids", row, changed))  # type: ignore[misc]


def name_a_removed_duplicate(out: Path) -> None:
    removed = pq.read_table(only(out, "removed/dedup/*.parquet", 1))["id"][0].as_py()
    rewrite(
        out,
        only(out, "tokens/validation-*.parquet"),
        lambda table: put(table, "document_ids", 0, [removed, *table["document_ids"].to_pylist()[0][1:]]),
    )


def copy_a_document_to_validation(out: Path) -> None:
    name = pq.read_table(only(out, "tokens/train-*.parquet"))["document_ids"][0].as_py()[0]
    rewrite(
        out,
        only(out, "tokens/validation-*.parquet"),
        lambda table: put(table, "document_ids", 0, [name, *table["document_ids"].to_pylist()[0][1:]]),
    )


def make_a_near_duplicate_of_validation(out: Path) -> None:
    """Give a document in validation the signature of one in training."""
    held = {
        name
        for row in pq.read_table(only(out, "tokens/validation-*.parquet"))["document_ids"].to_pylist()
        for name in row
    }
    path = only(out, "documents/*.parquet")
    ids = pq.read_table(path)["id"].to_pylist()
    inside, outside = (next(n for n, name in enumerate(ids) if (name in held) is side) for side in (True, False))

    def change(table: pa.Table) -> pa.Table:
        rows = [*range(len(ids))]
        rows[inside] = outside
        return table.take(rows)

    rewrite(out, out / "signatures" / path.name, change)


def put_a_cluster_on_both_sides(out: Path) -> None:
    """Put two documents in the same cluster, one of them in validation."""
    held = {
        name
        for row in pq.read_table(only(out, "tokens/validation-*.parquet"))["document_ids"].to_pylist()
        for name in row
    }
    path = only(out, "documents/*.parquet")
    ids = pq.read_table(path)["id"].to_pylist()
    rows = sorted(next(n for n, name in enumerate(ids) if (name in held) is side) for side in (True, False))

    def change(table: pa.Table) -> pa.Table:
        columns = {"row": rows, "cluster_id": [ids[rows[0]]] * 2, "cluster_size": [1, 1]}
        return pa.table(columns, schema=table.schema)

    rewrite(out, out / "dedup" / "kept" / path.name, change)


def miscount_tokens(out: Path) -> None:
    rewrite(out, only(out, "corpus/*.parquet"), lambda table: put(table, "token_count", 5, 7))


def forget_a_token_count(out: Path) -> None:
    rewrite(out, only(out, "corpus/*.parquet"), lambda table: put(table, "token_count", 5, None))


def change_a_type(out: Path) -> None:
    def change(table: pa.Table) -> pa.Table:
        at = table.schema.get_field_index("language_score")
        return table.set_column(at, "language_score", table["language_score"].cast(pa.float32()))

    rewrite(out, only(out, "documents/*.parquet"), change)


def leave_out_a_column(out: Path) -> None:
    rewrite(out, only(out, "removed/filter/*.parquet"), lambda table: table.drop_columns(["reason"]))


def leave_out_a_signature_column(out: Path) -> None:
    rewrite(out, only(out, "signatures/*.parquet"), lambda table: table.drop_columns(["sketch"]))


def widen_tokens(out: Path) -> None:
    def change(table: pa.Table) -> pa.Table:
        return table.set_column(0, "input_ids", table["input_ids"].cast(pa.list_(pa.uint32(), 64)))

    rewrite(out, only(out, "tokens/train-*.parquet"), change)


def shuffle_signals(out: Path) -> None:
    rewrite(out, only(out, "signals/*.parquet"), lambda table: table.take([*range(1, table.num_rows), 0]))


def drop_a_signature(out: Path) -> None:
    rewrite(out, only(out, "signatures/*.parquet"), lambda table: table.slice(1))


def misname_a_reason(out: Path) -> None:
    rewrite(out, only(out, "removed/filter/*.parquet", 1), lambda table: put(table, "reason", 0, "c4.curly_bracket"))


def empty_the_drop_list(out: Path) -> None:
    rewrite(out, only(out, "dedup/drop/*.parquet", 1), lambda table: table.slice(0, 0))


def drop_a_missing_row(out: Path) -> None:
    rewrite(out, only(out, "dedup/drop/*.parquet", 1), lambda table: put(table, "row", 1, 999))


def name_a_missing_survivor(out: Path) -> None:
    rewrite(out, only(out, "dedup/drop/*.parquet", 1), lambda table: put(table, "survivor_id", 0, "<urn:uuid:gone>"))


def bring_in_another_archive(out: Path) -> None:
    rewrite(out, only(out, "documents/*.parquet"), lambda table: put(table, "file_path", 2, "elsewhere.warc.gz"))


def break_the_tokenizer(out: Path) -> None:
    path = out / "tokenizer" / "tokenizer.json"
    path.write_text(path.read_text()[:-50])
    resign(out, path)


def shrink_the_tokenizer(out: Path) -> None:
    path = out / "tokenizer" / "tokenizer.json"

    def change(values: dict) -> None:  # type: ignore[type-arg]
        values["model"]["merges"].pop()
        last = max(values["model"]["vocab"], key=lambda name: values["model"]["vocab"][name])
        del values["model"]["vocab"][last]

    edit_json(path, change)
    resign(out, path)


def edit_a_total(out: Path) -> None:
    edit_json(out / "manifests" / "tokens" / "all.json", lambda it: it["counts"].update(train_tokens=1))


def sign_as_another_run(out: Path) -> None:
    path = only(out, "documents/*.parquet")
    table = pq.read_table(path)
    pq.write_table(table.replace_schema_metadata({"curation.fingerprint": "f" * 32}), path)
    resign(out, path)


def edit_the_numbers(out: Path) -> None:
    edit_json(out / "report" / "stats.json", lambda it: it.update(recipe="mine"))


def edit_what_dedup_counted(out: Path) -> None:
    edit_json(out / "manifests" / "dedup" / "all.json", lambda it: it["counts"]["removed"].update(near_duplicate=9))


def edit_the_recipe(out: Path) -> None:
    def change(values: dict) -> None:  # type: ignore[type-arg]
        next(stage for stage in values["recipe"]["stage"] if stage["use"] == "gopher_quality")["min_words"] = 51

    edit_json(out / "run.json", change)


def forget_an_input(out: Path) -> None:
    edit_json(out / "run.json", lambda it: it["inputs"].pop())


FAULTS: list[tuple[Plant, str, str]] = [
    (flip_a_byte, "corpus/a-", "its content has changed"),
    (truncate, "documents/a-", "bytes; expected"),
    (delete, "signatures/a-", "missing; expected a file of"),
    (swap_two_files, "documents/a-", "its content is that of documents/b-"),
    (add_a_stray, "corpus/stray", "no manifest lists it"),
    (add_a_stray_token_shard, "tokens/train-00099", "no manifest lists it"),
    (duplicate_a_row, "corpus/a-", "is also that of corpus/a-"),
    (duplicate_a_row_unsigned, "corpus/a-", "is also that of corpus/a-"),
    (repeat_an_id, "corpus/b-", "is also that of corpus/a-"),
    (keep_what_was_removed, "removed/filter/a-", "is also kept, in corpus/a-"),
    (lose_a_document, "corpus/a-", "as in documents/ without the drop list"),
    (lose_a_removed_document, "removed/filter/b-", "0 documents with reason gopher_repetition.max_"),
    (edit_the_records_read, "manifests/filter/a-", "records read"),
    (edit_a_tally, "manifests/filter/a-", "documents have a reason of c4"),
    (edit_a_fingerprint, "manifests/filter/a-", "fingerprint 0000"),
    (edit_a_hash, "dedup/pairs/", "its content has changed"),
    (break_a_manifest, "manifests/corpus/a-", "not a manifest"),
    (rename_a_manifest, "manifests/corpus/other", "is the manifest of corpus of a-"),
    (delete_a_manifest, "manifests/filter/a-", "missing; expected to exist"),
    (delete_the_last_manifest_of_a_shard, "manifests/encode/a-", "missing; expected to exist"),
    (
        use_an_unknown_id,
        "tokens/train-00000.parquet row 3",
        "token id 600 is not in the vocabulary; expected below 600",
    ),
    (begin_beyond_the_row, "tokens/train-00000.parquet row 3", "document_starts is not ascending"),
    (begin_late, "tokens/train-00000.parquet row 3", "document_starts does not begin at 0"),
    (name_one_document_more, "tokens/train-00000.parquet row 3", "differ in length"),
    (
        name_an_unknown_document,
        "tokens/train-00000.parquet row 3",
        "names <urn:uuid:nobody>, which is not in the corpus",
    ),
    (drop_a_document_from_the_tokens, "corpus/", "is in no token shard"),
    (
        name_a_removed_duplicate,
        "tokens/validation-00000.parquet row 0",
        "not in the corpus but removed (removed/dedup/b-",
    ),
    (copy_a_document_to_validation, "tokens/validation-00000.parquet row 0", "is also in training"),
    (make_a_near_duplicate_of_validation, "corpus/a-", "in training, is similar to it (1.00)"),
    (put_a_cluster_on_both_sides, "corpus/a-", "is in validation, and its near-duplicate corpus/a-"),
    (miscount_tokens, "corpus/a-", "is 7; expected"),
    (forget_a_token_count, "corpus/a-", "1 documents without a token_count"),
    (change_a_type, "documents/a-", "language_score is float; expected double"),
    (leave_out_a_column, "removed/filter/a-", "wrong columns: no reason"),
    (leave_out_a_signature_column, "signatures/a-", "wrong columns: no sketch"),
    (widen_tokens, "tokens/train-00000.parquet", "wrong columns: input_ids is"),
    (shuffle_signals, "signals/a-", "as in documents/"),
    (drop_a_signature, "signatures/a-", "one per row of documents/"),
    (misname_a_reason, "removed/filter/b-", "the reason is not one of its stage"),
    (empty_the_drop_list, "removed/dedup/b-", "as in the drop list"),
    (drop_a_missing_row, "dedup/drop/b-", "the row is not in documents/"),
    (name_a_missing_survivor, "dedup/drop/b-", "its survivor is not in the corpus"),
    (drop_later_signals, "removed/filter/a-", "wrong columns: signals is struct"),
    (bring_in_another_archive, "documents/a-", "file_path is that of another archive"),
    (break_the_tokenizer, "tokenizer/tokenizer.json", "cannot be loaded"),
    (shrink_the_tokenizer, "tokenizer/tokenizer.json", "599 tokens; expected 600"),
    (edit_a_total, "manifests/tokens/all.json", "1 train tokens"),
    (sign_as_another_run, "documents/a-", "has the fingerprint ffff"),
    (edit_the_numbers, "report/stats.json", "expected"),
    (edit_what_dedup_counted, "manifests/dedup/all.json", "removed: 10; expected 2, as in its shards"),
    (edit_the_recipe, "run.json", "was changed after the run"),
    (forget_an_input, "manifests/filter/b-", "no input of the run gives this shard"),
]


@pytest.mark.parametrize(("plant", "place", "message"), FAULTS, ids=[plant.__name__ for plant, _, _ in FAULTS])
def test_a_planted_fault_is_found_and_named(out: Path, plant: Plant, place: str, message: str) -> None:
    """A fault is reported with its file and what is wrong, and is not mistaken for an unfinished run."""
    plant(out)
    verdict = verdict_of(out)
    faults = [str(fault) for fault in verdict.wrong]
    assert any(line.startswith(place) and message in line for line in faults), faults
    assert not verdict.left or plant is forget_an_input
    assert not any("cannot be checked" in line for line in faults), faults


def test_a_sound_run_has_no_fault(sound: Path) -> None:
    """In a sound run nothing is wrong and nothing left, everything is checked, and no file is changed."""
    before = {path: path.stat().st_mtime_ns for path in sound.rglob("*")}
    verdict = verdict_of(sound)
    assert verdict.lines() == ["complete and intact"]
    assert verdict.notes == []
    assert verdict.looked_at["documents"] == 29
    assert {path: path.stat().st_mtime_ns for path in sound.rglob("*")} == before


def test_a_folder_of_an_earlier_version_of_a_step_is_intact(out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its steps are left to do, and columns that they did not write then are no fault."""
    drop_later_signals(out)
    steps = tuple(replace(step, version=99) if step.name == "filter" else step for step in table.STEPS)
    monkeypatch.setattr(table, "STEPS", steps)
    verdict = verdict_of(out)
    assert verdict.left[0].startswith("step filter: 2 of 2 shards left")
    assert not verdict.wrong


@pytest.mark.parametrize(
    "settings",
    [
        ("tokens.packing=best_fit",),
        ("tokens.tail=drop",),
        ("tokens.compression=zstd", "tokens.shard_rows=20", "tokens.row_group_rows=7"),
        ("tokens.cluster_sizes=[2]", "tokens.cluster_repeats=[3]"),
        ("dedup.enabled=false", "signals.stored=false"),
        ("dedup.max_line_documents=1", "dedup.line_scope=corpus"),
        ("dedup.url=true", "dedup.verify=false"),
        ("tokens.validation_fraction=0",),
    ],
    ids=lambda settings: settings[0],
)
def test_a_sound_run_of_any_settings_has_no_fault(crawl: Path, tmp_path: Path, settings: tuple[str, ...]) -> None:
    """Other packings, repeats, line cuts and runs without deduplication have no faults."""
    run(crawl, tmp_path / "out", *settings)
    assert verdict_of(tmp_path / "out").lines() == ["complete and intact"]


def test_duplicates_kept_on_purpose_are_a_note(crawl: Path, tmp_path: Path) -> None:
    """`against` does not compare the run's own documents, so near-duplicates across splits are notes, not faults."""
    run(crawl / "a.warc.gz", tmp_path / "old")
    records = [response(f"https://d.org/{n}", page("good", *prose(n))) for n in [*range(13, 17), *range(60, 66)]]
    records += [response(f"https://d.org/again{n}", page("again", *prose(n), "One line more.")) for n in range(60, 66)]
    new = write_archive(tmp_path / "d.warc.gz", records)
    old = str(tmp_path / "old")
    run(new, tmp_path / "out", f'dedup.against=["{old}"]', "dedup.mode=against", f'tokens.mix=["{old}=1.5"]')
    verdict = verdict_of(tmp_path / "out")
    assert verdict.lines() == ["complete and intact"]
    assert "in training, is similar to it" in verdict.notes[0]


def test_unfinished_runs_have_no_faults(crawl: Path, tmp_path: Path) -> None:
    """After the filter step only, or after an input was added, what is left is listed and nothing is wrong."""
    out = tmp_path / "out"
    run(crawl, out, command="filter")
    verdict = verdict_of(out)
    assert verdict.wrong == []
    assert verdict.left[0] == "step dedup is not done"
    run(crawl, out)
    extra = write_archive(tmp_path / "c.warc.gz", [response("https://c.org/1", page("good", *prose(99)))])
    run([crawl, extra], out, command="filter")
    verdict = verdict_of(out)
    assert verdict.wrong == []
    assert "step corpus: 3 of 3 shards left" in verdict.left
    run([crawl, extra], out, command="dedup")
    verdict = verdict_of(out)
    assert verdict.wrong == []
    assert verdict.left[0] == "step train-tokenizer is not done"
    run([crawl, extra], out)
    assert verdict_of(out).sound


def test_a_run_of_some_steps_is_complete_with_them(crawl: Path, tmp_path: Path) -> None:
    """What `run --steps` did not ask for is not left to do, until a later command asks for it."""
    out = tmp_path / "out"

    def asked(*options: str) -> Verdict:
        run(crawl, out, options=options)
        return verdict_of(out)

    complete = "complete and intact for the steps asked for: filter, dedup, report"
    verdict = asked("--steps", "report,filter,dedup")
    assert verdict.lines() == [complete]
    assert verdict.sound
    assert verdict.to_json()["asked"] == ["filter", "dedup", "report"]
    manifest = only(out, "manifests/corpus/b-*.json")
    kept = manifest.read_text()
    manifest.unlink()
    assert verdict_of(out).left == ["step corpus: 1 of 2 shards left"]
    manifest.write_text(kept)
    assert asked("--steps", "filter").lines() == [complete]
    assert asked("--steps", "train-tokenizer").lines() == [complete.replace("report", "train-tokenizer, report")]
    only(out, "manifests/train-tokenizer/all.json").unlink()
    assert verdict_of(out).left == ["step train-tokenizer is not done"]
    verdict = asked()
    assert verdict.lines() == ["complete and intact"]
    assert verdict.to_json()["asked"] == list(commands())
    assert asked("--steps", "filter").lines() == ["complete and intact"]


@pytest.mark.parametrize("asked", ["filter", 1, None, [], ["none"], [["filter"], {}]])
def test_steps_that_anybody_wrote_are_those_that_exist(crawl: Path, tmp_path: Path, asked: Any) -> None:
    """Without a list of steps in run.json, a run was made for all."""
    out = tmp_path / "out"
    run(crawl, out, command="filter")
    edit_json(out / "run.json", lambda run: run.update(asked=asked))
    assert "step tokens is not done" in verdict_of(out).left


def test_runs_that_keep_nothing_are_complete(tmp_path: Path) -> None:
    """If no document is kept or no input can be read, the steps that the run skips are not left to do."""
    write_archive(tmp_path / "thin.warc.gz", [response("https://a.org/1", page("thin", "Too short to keep."))])
    run(tmp_path / "thin.warc.gz", tmp_path / "empty")
    assert verdict_of(tmp_path / "empty").lines() == ["complete and intact"]
    (tmp_path / "bad.warc.gz").write_bytes(b"no archive at all" * 99)
    words = ["run", str(tmp_path / "bad.warc.gz"), "--out", str(tmp_path / "unread"), "--workers", "0"]
    assert CliRunner().invoke(app, words).exit_code == 1
    assert verdict_of(tmp_path / "unread").lines() == ["complete and intact"]


def test_a_corpus_that_is_not_made_yet_is_not_empty(crawl: Path, tmp_path: Path) -> None:
    """Without a corpus, the steps after it are left to do, since nobody knows whether it will be empty."""
    run(crawl, tmp_path / "out", command="filter")
    assert "step tokens is not done" in verdict_of(tmp_path / "out").left


@pytest.mark.parametrize("forms", ["members members", "members whole", "whole whole", "plain whole", "plain plain"])
def test_two_records_of_one_id_are_a_note(forms: str, crawl: Path, tmp_path: Path) -> None:
    """The same archive under two paths gives every id twice, which is a note and not a fault of the run, also where
    records have no place of their own: in an archive that is compressed as a whole."""
    packed = (crawl / "a.warc.gz").read_bytes()
    plain = gzip.decompress(packed)
    written = {"members": packed, "whole": gzip.compress(plain), "plain": plain}
    paths = [tmp_path / f"{number}.warc{'' if form == 'plain' else '.gz'}" for number, form in enumerate(forms.split())]
    for path, form in zip(paths, forms.split(), strict=True):
        path.write_bytes(written[form])
    run(paths, tmp_path / "out")
    verdict = verdict_of(tmp_path / "out")
    assert verdict.wrong == []
    assert "two records of the input have the same id" in verdict.notes[0]


def test_the_command_exits_with_3_and_prints_json(out: Path) -> None:
    """The command exits with code 0 for a sound run, else with 3, and JSON has file and row of each fault."""
    assert CliRunner().invoke(app, ["verify", str(out)]).exit_code == 0
    use_an_unknown_id(out)
    done = CliRunner().invoke(app, ["verify", str(out), "--json"])
    assert done.exit_code == 3
    values = json.loads(done.stdout)
    assert values["finished"]
    assert not values["intact"]
    assert (values["faults"][0]["file"], values["faults"][0]["row"]) == ("tokens/train-00000.parquet", 3)
