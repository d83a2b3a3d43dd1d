"""What each worker of a cluster proves before its first task: that it reaches the output folder and the inputs."""

from __future__ import annotations

from dataclasses import dataclass

from curation.archives.inputs import Input
from curation.errors import OutputError
from curation.running.answers import describe
from curation.store.folder import Folder
from curation.store.lease import read_lease


@dataclass(frozen=True, slots=True)
class StorageCheck:
    """Checks that a worker reaches the storage of a run. Called on it: why it gets no tasks, empty if it may have some.

    Attributes:
        folder: The output folder.
        token: What its lease has while this run works there.
        source: An input.
    """

    folder: Folder
    token: str
    source: Input

    def __call__(self) -> str:
        """Look for the lease, write a file next to it, and read the first byte of the input."""
        where = f"the output folder {self.folder.url}"
        try:
            lease = read_lease(self.folder)
            if (lease or {}).get("token") != self.token:
                return f"it does not see this run in {where}; is the same storage mounted there?"
            self.folder.check_writable()
        except OutputError as error:
            return str(error)
        except Exception as error:  # of any storage library
            return f"it cannot read {where}: {describe(error)}"
        try:
            with self.source.open() as stream:
                stream.read(1)
        except Exception as error:
            return f"it cannot read the input {self.source.path}: {describe(error)}"
        return ""
