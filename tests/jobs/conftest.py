"""Fixtures of the tests of commands."""

from __future__ import annotations

import functools
import json
from collections.abc import Iterator
from typing import Any

import pytest
import typer.main
import vl_convert

_DRAW = vl_convert.vegalite_to_svg


@functools.cache
def _drawn(spec: str, version: str) -> str:
    return str(_DRAW(spec, vl_version=version))


@pytest.fixture(scope="module", autouse=True)
def _draw_once() -> Iterator[None]:
    """Draw each plot of reports once: runs of the same archives have the same ones, which take a second for a run.

    That equal numbers give equal drawings is tested in tests/curation/report/test_plots.py.
    """

    def draw(spec: dict[str, Any], vl_version: str) -> str:
        return _drawn(json.dumps(spec), vl_version)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(vl_convert, "vegalite_to_svg", draw)
        yield


@pytest.fixture(scope="session", autouse=True)
def _build_commands_once() -> Iterator[None]:
    """Let typer build the commands from the signatures of their functions once."""
    with pytest.MonkeyPatch.context() as patch:
        once = functools.cache(typer.main.get_command)
        patch.setattr(typer.main, "get_command", once)
        patch.setattr("typer.testing._get_command", once)
        yield
