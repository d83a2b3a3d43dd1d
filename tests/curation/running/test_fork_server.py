"""The process that workers are forked from."""

import os
import signal
import sys
from multiprocessing import forkserver
from pathlib import Path

import psutil
import pytest

from curation.running.cluster import open_cluster
from curation.running.fork_server import ENVIRONMENT, forking, is_running

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="processes are forked on Linux only")


def describe_process(_: int) -> tuple[int, str | None, bool, set[int]]:
    """Parent, a variable, whether a module is imported and the blocked signals, of the process of a task."""
    blocked = signal.pthread_sigmask(signal.SIG_BLOCK, ())
    return os.getppid(), os.environ.get("JE_ARROW_MALLOC_CONF"), "curation.text.affixes" in sys.modules, blocked


def test_workers_are_forked_from_it(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    """Workers have what it imported and block Ctrl-C; it ends with the block, which leaves the environment alone."""
    caplog.set_level("INFO", "distributed.nanny")
    monkeypatch.delenv("JE_ARROW_MALLOC_CONF", raising=False)
    with forking("curation.text.affixes"):
        server = forkserver._forkserver._forkserver_pid  # type: ignore[attr-defined]
        assert is_running()
        assert "JE_ARROW_MALLOC_CONF" not in os.environ
        with open_cluster(1, None) as cluster:
            (result,) = cluster.map(describe_process, [0])
    assert result.value == (server, ENVIRONMENT["JE_ARROW_MALLOC_CONF"], True, {signal.SIGINT})  # type: ignore[union-attr]
    assert not is_running()
    assert not psutil.pid_exists(server)
    assert "Start Nanny" in caplog.text
    assert "Restarting worker" not in caplog.text  # idle workers are killed at the end, and not replaced


def test_without_it_workers_start_from_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """If it cannot be started, as in a temporary folder whose name is too long for a socket, nothing fails."""
    deep = tmp_path / ("a" * 120)
    deep.mkdir()
    monkeypatch.setattr("multiprocessing.util.get_temp_dir", lambda: str(deep))
    with forking("curation.text.affixes"):
        assert not is_running()
