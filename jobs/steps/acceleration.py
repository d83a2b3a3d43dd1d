"""Whether a run extracts at full speed: recorded in run.json, with one warning if it does not."""

from __future__ import annotations

from curation.extraction.acceleration.patches import why_not_accelerated
from curation.extraction.extract import Extract
from curation.jobs.steps.progress import Progress
from curation.recipes.recipe import Recipe
from curation.running.cluster import Cluster


def accelerated(recipe: Recipe) -> dict[str, bool]:
    """For run.json: {"trafilatura": whether it is accelerated on this machine}, {} if the recipe does not use it."""
    return {"trafilatura": why_not_accelerated() is None} if _uses_trafilatura(recipe) else {}


def warn_about_slow_extraction(recipe: Recipe, cluster: Cluster, progress: Progress) -> None:
    """Warn of slow extraction on the cluster's workers, once for each version of trafilatura that is the cause."""
    if _uses_trafilatura(recipe):
        for message in sorted({*filter(None, cluster.everywhere(why_not_accelerated))}):
            progress.warn(message)


def _uses_trafilatura(recipe: Recipe) -> bool:
    return any(isinstance(stage, Extract) and stage.extractor == "trafilatura" for _, stage in recipe.stages)
