"""Conditions on the columns of the index: expressions of DuckDB, such as `content_languages = 'deu'`.

An expression is untrusted text. It is evaluated on Arrow tables that are in memory, by a DuckDB that reads no files, no
variables of this process and no network, writes nothing, and whose settings cannot be changed back.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from functools import lru_cache
from typing import Any

import numpy as np
import pyarrow as pa

from curation.arrays import Int64s
from curation.errors import MissingExtra, UsageError

ROW = "__row"
"""A column that is added: the number of each row."""

_SETTINGS = {
    "enable_external_access": False,
    "autoinstall_known_extensions": False,
    "autoload_known_extensions": False,
    "python_enable_replacements": False,
    "temp_directory": "",
    "memory_limit": "4GB",
    "threads": 1,
    "lock_configuration": True,
}

_WORD = re.compile(r"\w+")

Bounds = dict[str, tuple[Any, Any]]
"""For some columns, the smallest and the largest value that a row may have; None where there is no bound."""


def check(where: str, columns: pa.Schema) -> None:
    """Raise UsageError, in one line, unless an expression is a condition on these columns.

    Args:
        where: The expression.
        columns: The columns of the index.

    Raises:
        MissingExtra: DuckDB is not installed.
    """
    table = pa.table([pa.nulls(1, column.type) for column in columns], schema=columns)
    rows_where(where, table)
    (kind,) = _database().cursor().from_arrow(table).project(f"({where}\n)").types
    if str(kind) != "BOOLEAN":
        raise UsageError(f"--where: {where} is not a condition; its type is {kind}")


def rows_where(where: str, table: pa.Table) -> Int64s:
    """The numbers of the rows for which an expression is true, int64[rows], ascending.

    Args:
        where: The expression.
        table: The columns that it names, and maybe others.

    Raises:
        UsageError: It is not a condition on the columns of the table.
    """
    numbered = table.append_column(ROW, pa.array(np.arange(table.num_rows)))
    connection = _database().cursor()
    try:
        kept = connection.from_arrow(numbered).filter(f"({where}\n)").project(ROW)
        return np.sort(np.asarray(kept.fetchnumpy()[ROW], np.int64))
    except _duckdb().Error as error:
        raise UsageError(f"--where: {_first_line(error)}") from error


def columns_in(where: str, names: list[str]) -> list[str]:
    """The columns that an expression names, and maybe some whose names it has in a text.

    >>> columns_in("URL_HOST_TLD = 'de' and fetch_status < 300", ["url", "url_host_tld", "fetch_status"])
    ['url_host_tld', 'fetch_status']
    """
    words = {word.lower() for word in _WORD.findall(where)}
    return [name for name in names if name.lower() in words]


def bounds_of(where: str) -> Bounds:
    """What an expression says about single columns, as far as that is easy to see: a = 1 and b in ('x', 'y') and ….

    Rows beyond these bounds need not be read. An expression of another form has none.
    """
    try:
        query = _database().cursor().execute("SELECT json_serialize_sql(?)", [f"SELECT 1 WHERE ({where}\n)"])
        ((text,),) = query.fetchall()
        condition = json.loads(text)["statements"][0]["node"]["where_clause"]
        return _merged(_conditions(condition))
    except (_duckdb().Error, KeyError, IndexError, TypeError, ValueError):
        return {}


def _merged(found: Iterator[tuple[str, Any, Any]]) -> Bounds:
    bounds: Bounds = {}
    for name, low, high in found:
        before_low, before_high = bounds.get(name, (None, None))
        lows = [value for value in (before_low, low) if value is not None]
        highs = [value for value in (before_high, high) if value is not None]
        bounds[name] = (max(lows, default=None), min(highs, default=None))
    return bounds


def _conditions(node: dict[str, Any]) -> Iterator[tuple[str, Any, Any]]:
    """Column, lowest and highest value, of the conditions in a tree that all must hold."""
    kind = node["type"]
    if kind == "CONJUNCTION_AND":
        for child in node["children"]:
            yield from _conditions(child)
    elif kind == "COMPARE_IN":
        name = _column(node["children"][0])
        values = [_constant(child) for child in node["children"][1:]]
        if name and values and None not in values:
            yield name, min(values), max(values)
    elif kind == "COMPARE_BETWEEN":
        if name := _column(node["input"]):
            yield name, _constant(node["lower"]), _constant(node["upper"])
    elif kind in _SIDES:
        for left, right, sides in (
            (node["left"], node["right"], _SIDES[kind]),
            (node["right"], node["left"], _SIDES[kind][::-1]),
        ):
            name, value = _column(left), _constant(right)
            if name and value is not None:
                yield name, value if sides[0] else None, value if sides[1] else None


_SIDES = {
    "COMPARE_EQUAL": (True, True),
    "COMPARE_GREATERTHAN": (True, False),
    "COMPARE_GREATERTHANOREQUALTO": (True, False),
    "COMPARE_LESSTHAN": (False, True),
    "COMPARE_LESSTHANOREQUALTO": (False, True),
}
"""Of a comparison of a column with a constant: whether the constant is its lowest and its highest value."""


def _column(node: dict[str, Any]) -> str:
    """The name of a column, lower-cased; empty if the node is something else, also a field inside a column."""
    names = node["column_names"] if node["class"] == "COLUMN_REF" else []
    return str(names[0]).lower() if len(names) == 1 else ""


def _constant(node: dict[str, Any]) -> Any:
    """A text or whole number; None if the node is something else. DuckDB 1 and 2 write them in different ways."""
    if node["class"] != "CONSTANT":
        return None
    if literal := node.get("literal"):
        kind, text = literal["kind"], literal["text"]
        return text if kind == "STRING" else int(text) if kind == "INTEGER" else None
    value = node["value"]
    return value["value"] if not value["is_null"] and value["type"]["id"] in ("VARCHAR", "INTEGER", "BIGINT") else None


def _first_line(error: Exception) -> str:
    """What DuckDB says, without the query that it repeats below."""
    lines = [line.strip() for line in str(error).splitlines()]
    return " ".join(line for line in lines[:3] if line and not line.startswith(("LINE", "^")))


def _duckdb() -> Any:
    try:
        import duckdb
    except ImportError as error:
        raise MissingExtra("--where needs an extra: pip install 'curation[fetch]'") from error
    return duckdb


@lru_cache(1)
def _database() -> Any:
    """A database in memory that can do nothing but evaluate expressions."""
    return _duckdb().connect(":memory:", config=_SETTINGS)
