"""The command line. Results go to stdout, everything else to stderr; exit codes are those of curation.errors.

Heavy modules are imported by the commands that need them, so that `--help` and usage errors are immediate.
"""

from __future__ import annotations

import atexit
import json
import os
import select
import signal
import sys
import threading
import time
import traceback
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext, suppress
from functools import partial
from types import FrameType
from typing import Annotated, Any, NoReturn, TextIO

import typer
from typer.core import TyperGroup

from curation import __version__
from curation.errors import CurationError, ParameterError, UsageError
from curation.extraction.acceleration.patches import NotAccelerated
from curation.jobs.cli import cluster as cluster_commands
from curation.jobs.cli import decontaminate, estimate, extractor, fetch, inspect, quality, tokens
from curation.jobs.cli.options import (
    ClusterFile,
    Inputs,
    LogFile,
    Out,
    Prefix,
    ProgressAsJson,
    Quiet,
    RecipeName,
    RunInputs,
    Scheduler,
    Settings,
    TaskTimeout,
    TrustCode,
    Update,
    Verbose,
    Workers,
    against_option,
    dedup_mode_option,
)
from curation.jobs.cli.recipes import recipes
from curation.jobs.steps.table import check_commands, commands
from curation.running import own_process
from curation.running.fork_server import forking
from curation.running.terminal import one_line, protect
from curation.text.valid import is_valid_text


class Commands(TyperGroup):
    """All commands. An error about the words of a command line is one line, escaped, since it repeats them."""

    def make_context(self, *args: Any, **extra: Any) -> Any:
        """Parse the options before the command."""
        with _errors_in_one_line():
            return super().make_context(*args, **extra)

    def invoke(self, ctx: Any) -> Any:
        """Parse and run the command."""
        with _errors_in_one_line():
            return super().invoke(ctx)

    def get_command(self, ctx: Any, name: str) -> Any:
        """A command, whose options may also be given by environment variables."""
        command = super().get_command(ctx, name)
        _name_variables(command)
        _check_values(command)
        return command


def _words(context: Any) -> list[str]:
    """The names of the commands below the first one, of which a context is."""
    above = getattr(context, "parent", None)
    return [] if above is None else [*_words(above), str(context.info_name)]


def _name_variables(command: Any) -> None:
    """Name an environment variable for every option of a command and of those below it: CURATE_LOG_FILE."""
    for parameter in getattr(command, "params", ()):
        option = parameter.opts[0]
        is_other_way = command.name == "report" and option == "--out"  # of giving DIR, which has no variable
        if option.startswith("--") and not parameter.is_eager and not is_other_way:
            parameter.envvar = f"CURATE_{option.strip('-').replace('-', '_').upper()}"
            parameter.show_envvar = False  # the names follow one rule, which the help states once
    for child in getattr(command, "commands", {}).values():
        _name_variables(child)


def _check_values(command: Any) -> None:
    """Refuse "" for every argument and option, as a path the current folder, and what is not UTF-8."""
    for parameter in getattr(command, "params", ()):
        if getattr(parameter.callback, "func", None) is not _checked:
            parameter.callback = partial(_checked, parameter.callback)
    for child in getattr(command, "commands", {}).values():
        _check_values(child)


def _checked(then: Callable[..., Any] | None, ctx: Any, parameter: Any, value: Any) -> Any:
    for each in value if isinstance(value, (list, tuple)) else [value]:
        is_empty = each == "" and value != parameter.default
        if is_empty or not is_valid_text(str(each)):
            name = parameter.opts[0] if parameter.param_type_name == "option" else parameter.metavar or parameter.name
            raise UsageError(f"{name}: must not be empty" if is_empty else f"{name}: not UTF-8: {each}")
    return value if then is None else then(ctx, parameter, value)


@contextmanager
def _errors_in_one_line() -> Iterator[None]:
    try:
        yield
    except (BrokenPipeError, SystemExit) as error:
        if not _has_seen_enough(error):
            raise
        raise typer.Exit from error
    except Exception as error:  # of click, or of Typer's own copy of it
        if not hasattr(error, "format_message") or type(error).__name__ == "NoArgsIsHelpError":
            raise
        command = " ".join(["curate", *_words(getattr(error, "ctx", None))])
        message = one_line(error.format_message()).removesuffix(".")
        print(f"{command}: {message}; see {command} --help", file=sys.stderr)
        raise typer.Exit(UsageError.exit_code) from error


def _has_seen_enough(error: BaseException) -> bool:
    """Whether an error only says that the reader of stdout has closed the pipe, as in `curate --help | head -1`."""
    if isinstance(error, SystemExit):  # of rich, which then directs stdout to nowhere
        return isinstance(error.__context__, BrokenPipeError) and not _has_no_reader(sys.stderr)
    return _has_no_reader(sys.stdout)


def _has_no_reader(stream: TextIO) -> bool:
    """Whether the stream is a pipe that its reader has closed."""
    poll = select.poll()
    poll.register(stream, 0)
    return any(events & select.POLLERR for _, events in poll.poll(0))


app = typer.Typer(
    name="curate",
    cls=Commands,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(value: bool) -> None:
    if value:
        print(f"curate {__version__}")
        raise typer.Exit


@app.callback()
def common(
    version: Annotated[
        bool,
        typer.Option(
            "--version", "-V", metavar="", callback=_version, is_eager=True, help="Show the version and exit."
        ),
    ] = False,
) -> None:
    """Turn web-crawl archives into a pretraining corpus, a tokenizer and packed token shards.

    Any option of a command can be set by an environment variable instead: CURATE_WORKERS=4 for --workers 4.
    """


def _run(
    steps: tuple[str, ...],
    inputs: list[str] | None,
    settings: list[str] | None,
    workers: int | None,
    scheduler: str | None,
    prefix: str = "",
    **request: Any,
) -> None:
    places = {"--workers": workers, "--scheduler": scheduler, "--cluster": request.get("cluster_file")}
    named = [option for option, value in places.items() if value is not None]
    if len(named) > 1:
        raise UsageError(f"{' and '.join(named)} are mutually exclusive")
    has_workers_here = workers != 0 and named in ([], ["--workers"])
    with forking("curation.jobs.cli.preloaded") if has_workers_here else nullcontext():
        from curation.archives.path_lists import expand_lists
        from curation.jobs.steps.run import run_commands

        words = list(expand_lists(inputs or [], prefix))
        request |= {"inputs": words, "settings": settings or [], "workers": workers, "scheduler": scheduler}
        try:
            code = run_commands(commands=steps, **request)
        except Interrupt as error:
            error.add_note("between steps")  # a step that was interrupted has noted how far it was
            raise
        raise typer.Exit(code)


@app.command(
    rich_help_panel="Run", help=f"Run all steps: {', '.join(commands())}. A rerun resumes where the last one stopped."
)
def run(
    out: Out,
    inputs: Inputs = None,
    prefix: Prefix = "",
    recipe: RecipeName = None,
    settings: Settings = None,
    workers: Workers = None,
    scheduler: Scheduler = None,
    against: Annotated[list[str] | None, against_option()] = None,
    mode: Annotated[str | None, dedup_mode_option()] = None,
    steps: Annotated[
        str | None,
        typer.Option(
            metavar="STEP,...",
            help=f"Only these steps, separated by commas: {', '.join(commands())}.",
            show_default="all",
        ),
    ] = None,
    update: Update = False,
    earlier: Annotated[
        str | None,
        typer.Option(
            "--from",
            metavar="DIR",
            help="Output folder of a run of the same inputs, which is not changed: take its recipe and inputs unless "
            "others are given, and use its results where only thresholds differ.",
        ),
    ] = None,
    trust_code: TrustCode = False,
    as_json: ProgressAsJson = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
    log_file: LogFile = None,
    task_timeout: TaskTimeout = None,
    cluster_file: ClusterFile = None,
) -> None:
    """Run all steps."""
    chosen = check_commands([name.strip() for name in steps.split(",")]) if steps else commands()
    request: dict[str, Any] = {"out": out, "recipe": recipe, "update": update, "trust_code": trust_code}
    request |= {"as_json": as_json, "quiet": quiet, "verbose": verbose, "log_file": log_file, "earlier": earlier}
    request |= {"task_timeout": task_timeout, "cluster_file": cluster_file, "only": steps is not None}
    _run(chosen, inputs, _with_earlier(settings, against, mode), workers, scheduler, prefix, **request)


def _with_earlier(settings: list[str] | None, against: list[str] | None, mode: str | None) -> list[str]:
    """The settings with those of `--against` and `--mode`."""
    from curation.store.folder import Folder

    extra = [f"dedup.against={json.dumps([Folder(url).url for url in against])}"] if against else []
    return [*(settings or []), *extra, *([f"dedup.mode={mode}"] if mode else [])]


_STEP_HELP = {
    "filter": "Turn archives into documents: filter URLs, extract text, identify languages, apply heuristics.",
    "train-tokenizer": "Train a byte-level BPE tokenizer on the corpus.",
    "tokenize": "Encode the corpus, shuffle it and pack it into token shards.",
}


def _step_command(step: str, help_text: str) -> None:
    def command(
        out: Out,
        inputs: Inputs = None,
        prefix: Prefix = "",
        recipe: RecipeName = None,
        settings: Settings = None,
        workers: Workers = None,
        scheduler: Scheduler = None,
        update: Update = False,
        trust_code: TrustCode = False,
        as_json: ProgressAsJson = False,
        quiet: Quiet = False,
        verbose: Verbose = False,
        log_file: LogFile = None,
        task_timeout: TaskTimeout = None,
        cluster_file: ClusterFile = None,
    ) -> None:
        request: dict[str, Any] = {"out": out, "recipe": recipe, "update": update, "trust_code": trust_code}
        request |= {"as_json": as_json, "quiet": quiet, "verbose": verbose, "log_file": log_file}
        request |= {"task_timeout": task_timeout, "cluster_file": cluster_file}
        _run((step,), inputs, settings, workers, scheduler, prefix, **request)

    command.__annotations__["inputs"] = Inputs if step == "filter" else RunInputs
    app.command(name=step, help=help_text, rich_help_panel="Single steps")(command)


def _dedup(
    out: Out,
    inputs: RunInputs = None,
    prefix: Prefix = "",
    recipe: RecipeName = None,
    settings: Settings = None,
    against: Annotated[list[str] | None, against_option(" Implies --update.")] = None,
    mode: Annotated[str | None, dedup_mode_option(" Implies --update.")] = None,
    workers: Workers = None,
    scheduler: Scheduler = None,
    update: Update = False,
    trust_code: TrustCode = False,
    as_json: ProgressAsJson = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
    log_file: LogFile = None,
    task_timeout: TaskTimeout = None,
    cluster_file: ClusterFile = None,
) -> None:
    """Turn documents into the corpus: remove near-duplicates, then replace personal data."""
    settings, update = _with_earlier(settings, against, mode), update or bool(against or mode)
    request: dict[str, Any] = {"out": out, "recipe": recipe, "update": update, "trust_code": trust_code}
    request |= {"as_json": as_json, "quiet": quiet, "verbose": verbose, "log_file": log_file}
    request |= {"task_timeout": task_timeout, "cluster_file": cluster_file}
    _run(("dedup",), inputs, settings, workers, scheduler, prefix, **request)


for _name in commands():
    if _name == "dedup":  # has options of its own
        app.command(name=_name, rich_help_panel="Single steps")(_dedup)
    elif _name != "report":  # takes a finished run, see `inspect`
        _step_command(_name, _STEP_HELP.get(_name, f"Run the step {_name}."))


app.add_typer(decontaminate.app)
app.add_typer(inspect.app)
app.add_typer(estimate.app)
app.add_typer(fetch.app)
app.add_typer(cluster_commands.app, name="cluster", rich_help_panel="Run")
app.add_typer(tokens.app)
app.add_typer(extractor.app)
app.add_typer(quality.app)
app.add_typer(recipes, name="recipe", rich_help_panel="Recipes")


class Interrupt(BaseException):
    """Ctrl-C or SIGTERM. Not a KeyboardInterrupt, which would exit with 1: "finished, some input quarantined"."""


SAME_SIGNAL_SECONDS = 2.0
"""Seconds in which a second signal is the same one: `timeout` and batch systems signal a process and its group."""


LOSES_ERRORS = {"__del__", "_raw_object_cache_notify", "_raw_object_cache_getbuffer"}
"""Functions whose exceptions Python ignores; the latter two are called by LLVM while numba compiles."""


def _interrupt(number: int, frame: FrameType | None) -> None:
    """Unwind the stack, so that every `with` block closes what it holds; a later signal ends the process at once."""
    if any(each.f_code.co_name in LOSES_ERRORS for each, _ in traceback.walk_stack(frame)):
        threading.Timer(0.05, os.kill, (os.getpid(), number)).start()
        return
    began = time.monotonic()

    def again(number: int, frame: FrameType | None) -> None:
        if time.monotonic() - began > SAME_SIGNAL_SECONDS:
            signal.signal(number, signal.SIG_DFL)
            os.kill(os.getpid(), number)

    for each in (signal.SIGINT, signal.SIGTERM):
        signal.signal(each, again)
    raise Interrupt(f"stopped by {signal.Signals(number).name}")


def main() -> None:
    """Run the command line and exit with the code of its error; 3 and a traceback for an unexpected one."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _interrupt)
    warnings.simplefilter("ignore", NotAccelerated)  # the filter step says it in the form of its progress
    protect()
    own_process.begin()
    if os.environ.get("NO_COLOR"):  # of which rich would keep bold and dim
        from typer import rich_utils

        rich_utils.COLOR_SYSTEM = None
    os.environ.setdefault("PYTHONSAFEPATH", "1")  # processes started from here import nothing from the current folder
    _leave(_exit_code())


def _exit_code() -> int:
    """Run the command line and return its exit code."""
    try:
        app()
        return 0
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else 0 if end.code is None else CurationError.exit_code
    except Interrupt as error:
        where = [f" {state}; the same command resumes" for state in getattr(error, "__notes__", ())[:1]]
        print(f"curate: {error}{''.join(where)}", file=sys.stderr)
    except (CurationError, ParameterError) as error:
        print(f"curate: {one_line(str(error))}", file=sys.stderr)
        return error.exit_code if isinstance(error, CurationError) else UsageError.exit_code
    except Exception as error:
        from curation.store.storage import explain, is_of_storage

        if not is_of_storage(error):
            traceback.print_exc()
        else:  # storage may be there again later
            print(f"curate: {one_line(explain(error))}", file=sys.stderr)
    except BaseException:  # an uncaught exception would exit with 1, which means "finished, some input quarantined"
        traceback.print_exc()
    return CurationError.exit_code


def _leave(code: int) -> NoReturn:
    """End the process with this code, as `sys.exit` does, but without dismantling the interpreter.

    Threads of libraries may still be letting go of Python objects, for example Arrow's of files that it has just read.
    One that does so while the interpreter is dismantled is killed inside a destructor, and the C++ runtime then aborts
    the process: exit code 134 after a command that worked.
    """
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_DFL)
    try:
        threading._shutdown()  # type: ignore[attr-defined]  # waits for threads and thread pools
        atexit._run_exitfuncs()
        with suppress(BrokenPipeError):  # the reader has seen enough
            sys.stdout.flush()
    except OSError as error:
        print(f"curate: cannot write the result: {error}", file=sys.stderr)
        code = CurationError.exit_code
    with suppress(OSError):
        sys.stderr.flush()
    os._exit(code)


if __name__ == "__main__":
    main()
