"""Every exception this project raises on purpose, and the exit code each leads to.

    CurationError
    ├── UsageError            exit 2: the command, before anything is written
    │   ├── RecipeError       a recipe or a --set that cannot be used
    │   ├── InputError        an input that is not there or holds nothing to read
    │   ├── OutputError       a folder that cannot be written or belongs to another run
    │   ├── MissingExtra      storage or an option whose package is not installed; also an ImportError
    │   ├── NotTrusted        a run folder names code or a place that is only used with --trust-code
    │   └── UnsafePath        a path that leads out of its folder, or to a device; also a ValueError
    ├── StepFailed            exit 3: a step that stopped; running again resumes it
    │   ├── StageFailed       code of a stage that is not built in raised; also a RuntimeError
    │   ├── AlarmRaised       a removal rate outside the band that the recipe states
    │   ├── CredentialsFailed credentials of storage that are missing or expired; also an OSError
    │   ├── WriteFailed       a full disk, a folder that went away; also an OSError
    │   ├── DamagedManifest   a manifest that cannot be read; also a ValueError
    │   └── DamagedShard      a Parquet file of a run that cannot be read; also a ValueError
    ├── UnreadableArchive     exit 1: an input in which nothing is an archive; it is quarantined
    ├── NotDivisible          a part of an archive that cannot be read by itself; the archive is read whole
    └── ExtractionError       one page that `curation.extract` was asked for; no command raises it

A damaged record or a page that cannot be extracted stops no run: it is a counted, named skip.
"""

from __future__ import annotations


class CurationError(Exception):
    """The root of the tree; `exit_code` is what the command line returns."""

    exit_code = 3


class UsageError(CurationError):
    """The request itself is wrong; nothing was written.

    The message is one line: line ends and other characters that do not print, which keys and paths may have, are
    escaped.
    """

    exit_code = 2

    def __init__(self, message: str) -> None:
        super().__init__("".join(part if part.isprintable() else repr(part)[1:-1] for part in message))


class RecipeError(UsageError):
    """A recipe, or one of its keys, cannot be used; the message names file, table, key, value and what exists."""


class InputError(UsageError):
    """An input does not exist, cannot be listed, or is not a web archive; a table lacks a column that is needed."""


class OutputError(UsageError):
    """The output folder cannot be written, or holds the work of another recipe or other inputs."""


class MissingExtra(UsageError, ImportError):
    """Storage or an option needs a package that is not installed; the message names the extra that installs it."""


class NotTrusted(UsageError):
    """A run folder names code, a model, a variable or a place that is used only if the user trusts the folder."""

    def __init__(self, where: str, what: str) -> None:
        super().__init__(f"{where}: {what}; pass --trust-code if you trust whoever made this run")


class UnsafePath(UsageError, ValueError):
    """A path in a folder leads out of the folder, or to what is not a regular file, such as a pipe or a device."""


class StepFailed(CurationError):
    """A step stopped before its end; what it finished is kept and a second run resumes after it."""


class StageFailed(StepFailed, RuntimeError):
    """Code of a stage that is not built in raised, which is its `__cause__`, or gave what no stage may give.

    This is about the code, not about the input whose documents it was given.
    """


class AlarmRaised(StepFailed):
    """A stage removed a share of its documents outside the band stated in the recipe."""


class CredentialsFailed(StepFailed, OSError):
    """The credentials of storage are missing, wrong or expired: no other input could be read either."""


class WriteFailed(StepFailed, OSError):
    """The output cannot be written: about the folder, not about the input whose shard it was."""


class DamagedManifest(StepFailed, ValueError):
    """A manifest, or a bundle of them, is not what the step wrote."""


class DamagedShard(StepFailed, ValueError):
    """A Parquet file of a run is not what the step wrote."""


class UnreadableArchive(CurationError):
    """A file of which nothing is an archive; the job that meets it quarantines the input by name."""

    exit_code = 1


class NotDivisible(CurationError):
    """A part of an archive does not end where the next one begins, such as where a record goes on beyond it."""


class ExtractionError(CurationError):
    """A page that takes too long, needs too much memory, is too large, or on which the extractor fails."""


class ParameterError(ValueError):
    """A parameter of a stage or table has a value it cannot take; in a recipe, users see RecipeError."""

    def __init__(self, key: str, value: object, allowed: str) -> None:
        super().__init__(f"{key} = {value!r}: must be {allowed}")
        self.key, self.value, self.allowed = key, value, allowed


def require(holds: bool, key: str, value: object, allowed: str) -> None:
    """Check the value of a parameter.

    Args:
        holds: Whether the value is valid.
        key: Name of the parameter.
        value: The value, for the message.
        allowed: What is allowed, in words that follow "must be".

    Raises:
        ParameterError: `holds` is false.
    """
    if not holds:
        raise ParameterError(key, value, allowed)
