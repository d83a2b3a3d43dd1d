"""The quality models of a run's recipe, and what their audits found."""

from __future__ import annotations

from typing import Any

from curation.filters.quality import Quality
from curation.jobs.steps.plan import Plan
from curation.report.tables import FittedTable
from curation.running.terminal import one_line

NO_AUDIT = "no audit: nothing shows what its scores follow; run curate audit-quality"


def quality_models(plan: Plan) -> list[dict[str, Any]]:
    """The models of all stages `quality`: `stage`, `model`, `sha256`, `labels`, `auc` in training, `audit`, `warning`.

    `audit` is the result of `curation.quality.audit.audit`, None without one; `warning` is "" if it passed.
    """
    found = []
    for name, stage in plan.recipe.stages:
        for model in stage.loaded() if isinstance(stage, Quality) else ():
            audit = model.card.audit
            failed = ", ".join(map(str, audit.get("failed", ()))) if audit else ""
            held = (model.card.training or {}).get("cross_validation") or {}
            found.append(
                {
                    "stage": name,
                    "model": model.path,
                    "sha256": model.sha256,
                    "labels": list(model.labels),
                    "auc": held.get("auc"),
                    "audit": dict(audit) if audit else None,
                    "warning": NO_AUDIT if audit is None else f"the audit failed: {failed}" if failed else "",
                }
            )
    return found


def tables(models: list[dict[str, Any]]) -> list[FittedTable]:
    """The models with their audits as a table; none without models."""
    if not models:
        return []
    table = FittedTable("model", "AUC in training", "audit", title="Quality models", left=(0, 2))
    for model in models:
        auc = "-" if model["auc"] is None else f"{model['auc']:.3f}"
        table.add_row(one_line(model["model"]), auc, one_line(model["warning"] or "passed"))
    return [table]
