"""Whether other work disturbs a benchmark: how busy the machine's cores are while nothing of it runs."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

DISTURBED = 0.1
"""Cores that other processes may use."""


def busy_cores(seconds: float = 2.0) -> float:
    """Cores in use over the next seconds, without this process; 0 where the system does not say."""
    before = _ticks()
    time.sleep(seconds)
    after = _ticks()
    return max((after - before) / os.sysconf("SC_CLK_TCK") / seconds, 0.0)


def _ticks() -> float:
    try:
        fields = Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:]
    except OSError:
        return 0.0
    user, nice, system, _, _, irq, softirq, steal = map(int, fields[:8])
    return user + nice + system + irq + softirq + steal


def say_load() -> bool:
    """Print how busy the machine is; on stderr, too, if that disturbs a benchmark. Returns whether it is quiet."""
    cores, load = busy_cores(), os.getloadavg()[0]
    quiet = cores <= DISTURBED
    print(f"machine: {os.cpu_count()} cores, {cores:.2f} of them busy with other work, load average {load:.1f}")
    if not quiet:
        warning = f"warning: other processes use {cores:.2f} cores; times and ratios are not to be quoted"
        print(warning)
        print(warning, file=sys.stderr)
    return quiet
