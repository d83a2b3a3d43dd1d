"""Fixtures that every test may use."""

from __future__ import annotations

import gc
import os
from pathlib import Path

import pytest

from curation.running import own_process

gc.set_threshold(own_process.OBJECTS, *gc.get_threshold()[1:])  # as in commands; Python's 700 takes 5 % of the suite

ROOT = Path(__file__).resolve().parent.parent


def find_shared_data() -> Path | None:
    """The folder of real test data: CURATION_TEST_DATA, else ../shared/data beside the checkout, else None."""
    for candidate in (os.environ.get("CURATION_TEST_DATA"), ROOT.parent / "shared" / "data"):
        if candidate and Path(candidate).is_dir():
            return Path(candidate).resolve()
    return None


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files whose few tests take long come first, so that no process is left alone with one at the end."""
    first = [ROOT / "tests" / name for name in ("chaos", "jobs")]
    items.sort(key=lambda item: not any(folder in item.path.parents for folder in first))


@pytest.hookimpl(tryfirst=True)
def pytest_fixture_setup() -> None:
    """Remove the name of the test from the environment: a reading process serves one environment, and would be started
    for each test again."""
    os.environ.pop("PYTEST_CURRENT_TEST", None)


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call() -> None:
    """The same for a test without fixtures."""
    os.environ.pop("PYTEST_CURRENT_TEST", None)


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real test data; the test is skipped where it is absent."""
    found = find_shared_data()
    if found is None:
        pytest.skip("no test data: set CURATION_TEST_DATA to the folder that holds web/, gold/ and warc-cases/")
    return found
