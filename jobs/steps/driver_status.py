"""How far a run is, as its driver writes it into the lease of the output folder."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from curation.jobs.steps.progress import Progress
from curation.running.answers import label
from curation.running.cluster import Cluster

LONGEST = 10
"""The tasks on workers that are named: those that run longest."""


def driver_status(progress: Progress, cluster: Cluster) -> Mapping[str, Any]:
    """The step that runs, workers, jobs in the queue, and the tasks that run longest. Called from another thread."""
    flights = sorted(cluster.flights(), key=lambda flight: -flight.seconds())
    running = [
        {"shard": label(flight.attempt.item), "worker": flight.worker, "seconds": round(flight.seconds(), 1)}
        for flight in flights
        if flight.started is not None
    ]
    step = progress.current
    return {
        "workers": len(cluster.pool.workers),
        "queued": cluster.queued,
        "running": running[:LONGEST],
        "step": None if step is None else step.status(),
    }
