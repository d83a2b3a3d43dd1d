"""The main job: runs the requested steps in the order of the table, each resuming where it stopped."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from threading import Thread
from typing import Any

from curation.errors import OutputError, StepFailed, UsageError
from curation.jobs.steps.alarms import check_alarms
from curation.jobs.steps.damage import lost_share
from curation.jobs.steps.driver_status import driver_status
from curation.jobs.steps.fingerprints import Fingerprints
from curation.jobs.steps.job_queue import read_job_queue
from curation.jobs.steps.live_funnel import LiveFunnel
from curation.jobs.steps.moved_thresholds import keep_recipe_before
from curation.jobs.steps.plan import Plan, make_plan
from curation.jobs.steps.progress import Progress, ProgressOptions, results
from curation.jobs.steps.report.summary import show_summary
from curation.jobs.steps.storage_check import StorageCheck
from curation.jobs.steps.table import Step, ancestors, named, step_named, steps
from curation.recipes.recipe import Recipe
from curation.running.cluster import Cluster, cores, open_cluster
from curation.running.limits import require_open_files
from curation.running.terminal import to_json
from curation.store.bundles import bundle, plan_bundles
from curation.store.lease import leased
from curation.store.manifest import fingerprints, read_manifests
from curation.store.paths import CORPUS, RUN
from curation.store.shards import shard_of


def run_commands(
    commands: Sequence[str],
    out: str,
    inputs: Sequence[str],
    recipe: str | None,
    settings: Sequence[str],
    workers: int | None,
    scheduler: str | None,
    update: bool,
    as_json: bool,
    trust_code: bool = False,
    quiet: bool = False,
    verbose: bool = False,
    log_file: str | None = None,
    earlier: str | None = None,
    task_timeout: float | None = None,
    cluster_file: str | None = None,
    only: bool = False,
) -> int:
    """Run the steps of `commands`, and print the summary if the report is one of them.

    Args:
        commands: Commands that run steps, in order.
        out: The output folder.
        inputs: Inputs as given on the command line; may be empty if the folder has a run.
        recipe: Name or file of the recipe; None means the run's own, or the default for a new run.
        settings: `key=value` for keys of the recipe.
        workers: Number of processes to start; None means one per core.
        scheduler: Address or file of a running Dask scheduler.
        update: Whether to accept a recipe other than the folder's.
        as_json: Whether to print progress and results as JSON.
        trust_code: Whether to use code, models, variables and special file systems that the output folder names.
        quiet: As in `ProgressOptions`, and the next two.
        verbose: A line for every part of a step.
        log_file: File to append to.
        earlier: As in `make_plan`.
        task_timeout: Seconds that a task may take on a worker; None for no limit.
        cluster_file: TOML file of a batch system to submit workers to.
        only: Whether a new run is made for the steps of `commands`, not for all.

    Returns:
        The exit code: 0, or 1 if an input was quarantined or more bytes were lost than `alarms.damaged` accepts.
    """
    jobs = None if cluster_file is None else read_job_queue(cluster_file).options(cluster_file)
    options: dict[str, Any] = {"update": update, "trust_code": trust_code, "earlier": earlier}
    plan = make_plan(inputs, out, recipe, settings, **options, asked=commands, only=only)
    if workers != 0 and plan.folder.is_in_memory:
        raise UsageError(f"{out} is in the memory of this process, which workers do not share; pass --workers 0")
    if workers == 0 and task_timeout is not None:
        raise UsageError("--task-timeout needs workers; with --workers 0 tasks run in this process")
    require_open_files(0 if scheduler or jobs else cores() if workers is None else workers)
    progress = ProgressOptions(as_json, quiet, verbose, log_file).open()

    def started(number: int, dashboard: str) -> None:
        where = dashboard and f", dashboard {dashboard}"
        count = f"{number:,} worker{'s' * (number > 1)}" if number else "no workers yet"
        progress.note(f"{count}{where}")
        Thread(target=_load_ahead, args=(plan.recipe, commands, progress), daemon=True).start()

    with (
        open_cluster(workers, scheduler, started, progress.warn, task_timeout, jobs) as cluster,
        _writable_if_needed(plan, cluster, progress),
    ):
        run = Run(plan, cluster, progress)
        known = run.quarantined, run.damaged  # what was said about them by an earlier run
        progress.follow(run.funnel.rows)
        for command in commands:
            run.run(command)
    if run.stats is not None:
        print(to_json(run.stats)) if as_json else show_summary(plan, run.stats, progress.warnings, results())
    is_damaged = lost_share(run.damaged, plan.inputs) > plan.recipe.alarms.damaged
    if run.stats is None and (run.quarantined or is_damaged) and (run.quarantined, run.damaged) == known:
        number = len(run.quarantined) + len(run.damaged) * is_damaged
        progress.warn(f"quarantined or damaged inputs: {number}; {RUN} and `curate status` name them")
    return 1 if run.quarantined or is_damaged else 0


def _load_ahead(recipe: Recipe, commands: Sequence[str], progress: Progress) -> None:
    """Compile kernels, and load what the report needs, in this process, which otherwise waits for its workers.

    Those of training run here. Others are compiled only where the cache lacks kernels, and shared through it.
    """
    from curation.jobs.steps import filter, train_tokenizer
    from curation.jobs.steps.report import page
    from curation.language.identify import load_model

    with suppress(Exception):  # the steps themselves will say what is wrong
        is_cold = "filter" in commands and not filter.is_compiled(recipe)
        if is_cold:
            progress.note("compiling kernels that this machine has not used yet, which takes up to a minute")
            load_model()
        if "train-tokenizer" in commands and recipe.table("tokenizer").file is None:
            train_tokenizer.compile_kernels()
        if is_cold:
            filter.compile_kernels(recipe)
        if "report" in commands:
            page.prepare()


@contextmanager
def _writable_if_needed(plan: Plan, cluster: Cluster, progress: Progress) -> Iterator[None]:
    """Hold the lease of a folder that can be written, and sweep it before and after.

    In a folder that cannot be written, a run may succeed if it writes nothing.

    Raises:
        OutputError: Another run works in the folder; or it cannot be written, and there is something to do.
    """
    folder = plan.folder
    try:
        folder.check_writable()
    except OutputError as refusal:
        try:
            yield
        except OSError as error:
            raise refusal from error
    else:
        with _leased(plan, cluster, progress):
            folder.sweep()
            yield
            folder.sweep()


@contextmanager
def _leased(plan: Plan, cluster: Cluster, progress: Progress) -> Iterator[None]:
    """Hold the lease of the output folder, which also tells how far the run is, and let workers look for it."""
    if plan.folder.is_in_memory:  # which no other process sees
        yield
        return
    with leased(plan.folder, partial(driver_status, progress, cluster), progress.warn) as lease:
        cluster.watch = lease.check
        cluster.require(StorageCheck(plan.folder, lease.token, plan.inputs[0]))
        yield


@dataclass
class Run:
    """A run in progress.

    Attributes:
        plan: What to make.
        cluster: Where tasks run.
        progress: Where progress is reported.
        quarantined: Quarantined inputs, each with its path, its cause and the kind of that.
        damaged: Inputs of which some bytes could not be read, as in run.json.
        stats: The content of report/stats.json, once the report step ran.
        fingerprints: Of every part of the run.
        funnel: The counts so far, for the live view.
    """

    plan: Plan
    cluster: Cluster
    progress: Progress
    quarantined: Sequence[dict[str, str]] = ()
    damaged: Sequence[dict[str, Any]] = ()
    stats: dict[str, Any] | None = None
    fingerprints: Fingerprints = field(init=False)
    funnel: LiveFunnel = field(init=False)
    _done: set[str] = field(default_factory=set)
    _is_empty: bool | None = None

    def __post_init__(self) -> None:
        folder = self.plan.folder
        keep_recipe_before(self.plan)
        before = folder.read_json(RUN) if folder.exists(RUN) else {}
        known = {entry["shard"] for entry in before.get("inputs", ())}
        added = [source for source in self.plan.inputs if source.shard not in known]
        if known and added:
            self.progress.note(f"{len(added)} inputs are added to {len(known)}: what is made of all is made again")
        self.record(before.get("quarantined", []), before.get("damaged", []))
        self.funnel = LiveFunnel(self.plan.folder)

    @property
    def shards(self) -> list[str]:
        """The shards of inputs that are not quarantined, in input order."""
        return self.fingerprints.shards

    def record(self, quarantined: Sequence[dict[str, str]], damaged: Sequence[dict[str, Any]]) -> None:
        """Record in run.json which inputs, and no others, are quarantined and which lost bytes."""
        self.quarantined, self.damaged = quarantined, damaged
        self.fingerprints = Fingerprints(self.plan, set(map(shard_of, quarantined)))
        self.plan.write(quarantined, damaged)

    def run(self, command: str) -> None:
        """Run the steps of a command. A step that has nothing to work on is skipped, with a warning that says why.

        Raises:
            StepFailed: A step failed, or a step that it needs is not done.
            AlarmRaised: A step removed more or less than the recipe allows.
        """
        for step in steps():
            if step.command == command and step.make:
                if missing := self._missing(step):
                    self.progress.warn(f"{step.name}: skipped, {missing}", event="skipped", step=step.name)
                    continue
                self._require(step, ancestors(step))
                self._bundle(step)
                self.funnel.begin(step, self.fingerprints)
                named(step.make)(self)
                self._bundle(step)
                self._finish(step)

    def _missing(self, step: Step) -> str:
        """Why a step has nothing to work on, empty if it has: no input was readable, or no document was kept."""
        if step.after and not self.shards:
            self._finish(step_named("filter"))
            causes = "; ".join(entry["cause"] for entry in self.quarantined[:3])
            return f"because no input could be read: {causes}"
        if "corpus" in step.after:
            self._require(step, {"corpus", *ancestors(step_named("corpus"))})
            if self._is_empty is None:
                shards = set(self.shards)
                made = (each for each in read_manifests(self.plan.folder, "corpus") if each.shard in shards)
                self._is_empty = not any(
                    output.rows
                    for manifest in made
                    for output in manifest.outputs
                    if output.path.startswith(f"{CORPUS.folder}/")
                )
            if self._is_empty:
                return "because no document was kept"
        return ""

    def _require(self, step: Step, names: set[str]) -> None:
        """Raise StepFailed unless the named steps, which come before this one, are done."""
        needed = names - self._done
        for earlier in [each for each in steps() if each.name in needed and each.make]:
            units = earlier.units(self.shards)
            current = fingerprints(self.plan.folder, earlier.name)
            for unit in units:
                if current.get(unit) != self.fingerprints.of(earlier.name, unit):
                    what = f" for {unit}" if earlier.unit == "shard" else ""
                    message = f"{step.name}: the step {earlier.name} is not done{what}"
                    raise StepFailed(f"{message}; run `curate {earlier.command}` first")
            self._finish(earlier)

    def _bundle(self, step: Step) -> None:
        """Bundle the manifests of many shards: those that this command made, or that an interrupted one left.

        If that fails, as where nothing can be written, they stay as they are: they count in either form.
        """
        for name in (step.name, *step.phases, *(other.name for other in steps() if other.made_by == step.name)):
            try:
                self.cluster.gather(bundle, plan_bundles(self.plan.folder, name))
            except StepFailed as error:
                self.progress.note(f"{name}: manifests were not bundled: {error}")

    def _finish(self, step: Step) -> None:
        """Record a step as done and check its alarms, before any later step runs, whichever command runs that."""
        self._done.add(step.name)
        check_alarms(self.plan, step, self.shards, self.quarantined, self.cluster)
