"""Conditions on the index: what they find, what they tell about row groups, and that they can do nothing else."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from curation.archives.commoncrawl.where import bounds_of, check, columns_in, rows_where
from curation.errors import UsageError

pytest.importorskip("duckdb")

TABLE = pa.table({
    "url_host_tld": ["de", "org", "de", None], "fetch_status": pa.array([200, 200, 404, 200], pa.int16()),
    "content_languages": ["deu", "eng", "deu,eng", "deu"],
})  # fmt: skip


@pytest.mark.parametrize(
    ("where", "rows"),
    [
        ("url_host_tld = 'de'", [0, 2]),
        ("URL_HOST_TLD = 'de' and fetch_status < 300", [0]),
        ("content_languages like '%eng%' -- a comment", [1, 2]),
        ("list_contains(string_split(content_languages, ','), 'deu')", [0, 2, 3]),
        ("url_host_tld is null or fetch_status = 404", [2, 3]),
        ("false", []),
    ],
)
def test_rows_of_a_condition(where: str, rows: list[int]) -> None:
    """A condition finds the rows for which it is true, as DuckDB says."""
    assert rows_where(where, TABLE).tolist() == rows


@pytest.mark.parametrize(
    ("where", "message"),
    [
        ("language = 'de'", "language"),
        ("fetch_status =", "yntax"),
        ("count(*) > 1", "aggregate"),
        ("nosuch(url_host_tld)", "nosuch"),
        ("'x'", "x"),
        ("true; select 1", "yntax"),
    ],
)
def test_what_is_no_condition_is_an_error_in_one_line(where: str, message: str) -> None:
    """An unknown column or function, a syntax error and a second statement are refused before anything is read."""
    with pytest.raises(UsageError, match=rf"^--where: [^\n]*{message}"):
        check(where, TABLE.schema)


def attempts(folder: Path) -> list[str]:
    """Conditions that try to read or write something else."""
    secret, made = folder / "secret.csv", folder / "made"
    return [
        f"exists (select * from read_csv('{secret}'))",
        f"(select count(*) from read_text('{secret}')) > 0",
        f"exists (select * from '{secret}')",
        f"exists (select * from glob('{folder}/*'))",
        f"true; copy (select 1) to '{made}'",
        f"true) to '{made}'; --",
        f"true; attach '{made}' as other",
        "true; set enable_external_access = true",
        "exists (select * from read_parquet('http://127.0.0.1:9/x.parquet'))",
        "exists (select * from HIDDEN)",
        "true; install httpfs",
        "getenv('HOME') is not null",
        f"true; export database '{made}'",
    ]


HIDDEN = pa.table({"a": [1]})


@pytest.mark.parametrize("number", range(len(attempts(Path()))))
def test_a_condition_reads_and_writes_nothing(number: int, tmp_path: Path) -> None:
    """Files, variables of the process, the network, settings and statements are out of reach of a condition."""
    (tmp_path / "secret.csv").write_text("a\n1\n")
    for where in (attempts(tmp_path)[number], f"true) and ({attempts(tmp_path)[number]}"):
        with pytest.raises(UsageError):
            rows_where(where, TABLE)
    assert sorted(os.listdir(tmp_path)) == ["secret.csv"]  # noqa: PTH208


def test_settings_stay_as_they_are() -> None:
    """No condition can change what the next one may do."""
    with pytest.raises(UsageError):
        rows_where("exists (select * from (select 1)); set threads = 9", TABLE)
    assert rows_where("current_setting('lock_configuration')", TABLE).tolist() == [0, 1, 2, 3]
    assert rows_where("current_setting('enable_external_access')", TABLE).tolist() == []


def test_columns_that_a_condition_names() -> None:
    """Columns are recognized in any case and in quotes."""
    assert columns_in('"URL" is null and Fetch_Status > 1', ["url", "url_host_tld", "fetch_status"]) == [
        "url",
        "fetch_status",
    ]


@pytest.mark.parametrize(
    ("where", "bounds"),
    [
        ("url_host_tld = 'de'", {"url_host_tld": ("de", "de")}),
        (
            "'de' = URL_HOST_TLD and (fetch_status >= 200 and fetch_status < 300)",
            {"url_host_tld": ("de", "de"), "fetch_status": (200, 300)},
        ),
        ("url_host_tld in ('de', 'at', 'ch')", {"url_host_tld": ("at", "de")}),
        ("fetch_status between 200 and 299", {"fetch_status": (200, 299)}),
        ("300 > fetch_status", {"fetch_status": (None, 300)}),
        ("url_host_tld = 'de' or fetch_status = 200", {}),
        ("not (url_host_tld = 'de')", {}),
        ("url_host_tld <> 'de'", {}),
        ("fetch_status > 0.5", {}),
        ("lower(url_host_tld) = 'de'", {}),
        ("other.url_host_tld = 'de'", {}),
        ("url_host_tld = 'de' collate nocase", {}),
        ("url_host_tld in ('de', null)", {}),
        ("url_host_tld = 'de'; drop table x", {}),
        ("not", {}),
    ],
)
def test_bounds_of_a_condition(where: str, bounds: dict[str, Any]) -> None:
    """Comparisons that must all hold give bounds; what is not sure gives none."""
    assert bounds_of(where) == bounds


CONDITIONS = st.recursive(
    st.one_of(
        st.builds("a {} {}".format, st.sampled_from(["=", "<", ">", "<=", ">=", "<>"]), st.integers(-3, 9)),
        st.builds("{} {} a".format, st.integers(-3, 9), st.sampled_from(["=", "<", ">", "<=", ">=", "<>"])),
        st.builds("a between {} and {}".format, st.integers(-3, 9), st.integers(-3, 9)),
        st.builds("a in ({}, {})".format, st.integers(-3, 9), st.integers(-3, 9)),
        st.builds("a > {}".format, st.sampled_from(["0.5", "2.25", "1e1", "null", "9999999999999999999"])),
    ),
    lambda inner: (
        st.builds("({} {} {})".format, inner, st.sampled_from(["and", "or"]), inner) | st.builds("not {}".format, inner)
    ),
    max_leaves=5,
)


@given(CONDITIONS)
@settings(max_examples=40, deadline=None)
def test_every_match_is_within_the_bounds(where: str) -> None:
    """No row that a condition finds is outside of its bounds."""
    table = pa.table({"a": list(range(-5, 12))})
    low, high = bounds_of(where).get("a", (None, None))
    for row in rows_where(where, table).tolist():
        assert low is None or row - 5 >= low
        assert high is None or row - 5 <= high
