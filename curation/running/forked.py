"""Children of workers are forked from a process that has imported what they need, in a tenth of the time.

That process is forked from the fork server (`curation.running.fork_server`), so all workers of a run share it. It has
no threads, which is what makes a fork safe, and ends when the last worker has ended. A request is one message on a
socket that workers inherit, with the child's descriptors and a pipe for the answer: its process id, then how it ended.
"""

from __future__ import annotations

import json
import os
import select
import signal
import socket
import struct
import sys
import traceback
from collections.abc import Sequence
from contextlib import suppress
from importlib import import_module
from typing import IO, NoReturn

_NUMBER = struct.Struct("q")

_REQUESTS: list[socket.socket] = []
"""Our end of the socket for requests; empty in a process that cannot make any."""


class ForkedProcess:
    """A child, with the part of `subprocess.Popen` that is needed.

    Attributes:
        pid: Its process id.
    """

    def __init__(self, answers: int) -> None:
        self._answers = answers
        self._code: int | None = None
        pid = self._next()
        if pid is None:
            os.close(answers)
            raise OSError("the process that forks others has ended")
        self.pid = pid

    def poll(self) -> int | None:
        """Its exit code, negative for a signal; None if it is running."""
        if self._code is None:
            poll = select.poll()
            poll.register(self._answers, select.POLLIN)
            if poll.poll(0):
                return self.wait()
        return self._code

    def wait(self) -> int:
        """Wait for its end; returns its exit code, negative for a signal.

        If the process that could tell has ended, the child is killed, and its exit code is 255.
        """
        if self._code is None:
            code = self._next()
            if code is None:
                self._send_kill()
            self._code = 255 if code is None else code
            os.close(self._answers)
        return self._code

    def kill(self) -> None:
        """Kill it if it is running."""
        if self.poll() is None:
            self._send_kill()

    def _send_kill(self) -> None:
        with suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGKILL)

    def _next(self) -> int | None:
        data = os.read(self._answers, _NUMBER.size)
        return _NUMBER.unpack(data)[0] if data else None


def can_fork() -> bool:
    """Whether this process may call `fork`."""
    return bool(_REQUESTS)


def fork(module: str, errors: IO[bytes], descriptors: Sequence[int]) -> ForkedProcess:
    """Fork a process that runs the function `main` of a module, with `descriptors` as arguments from 2 on.

    It has the module search path and the environment of this process.

    Args:
        module: Full name of the module.
        errors: Becomes its stderr. Its stdin and stdout are the null device.
        descriptors: File descriptors, which it has under other numbers.

    Raises:
        OSError: The process that forks others has ended.
    """
    answers, theirs = os.pipe()
    try:
        message = json.dumps([module, sys.path, dict(os.environ)]).encode()
        socket.send_fds(_REQUESTS[0], [message], [theirs, errors.fileno(), *descriptors])
    finally:
        os.close(theirs)
    return ForkedProcess(answers)


def serve() -> None:
    """Fork the process that forks children, so that this process and those forked from it may call `fork`.

    This process must not have threads. Nothing happens if the system is too old (Linux before 5.3).
    """
    try:
        os.close(os.pidfd_open(os.getpid()))
    except OSError:
        return
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    if os.fork() == 0:
        try:
            os.closerange(3, theirs.fileno())
            os.closerange(theirs.fileno() + 1, 1024)
            _serve(theirs)
        finally:
            os._exit(1)
    theirs.close()
    _REQUESTS[:] = [ours]


def _serve(requests: socket.socket) -> None:
    """Fork a child for each request, and say how each ended, until nobody can make a request."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    running: dict[int, tuple[int, int]] = {}  # process id and pipe for answers, by the descriptor of the process
    poll = select.poll()
    poll.register(requests, select.POLLIN)
    while True:
        for ready, _ in poll.poll():
            if ready in running:
                pid, answers = running.pop(ready)
                poll.unregister(ready)
                os.close(ready)
                _answer(answers, os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
                os.close(answers)
                continue
            message, descriptors, _, _ = socket.recv_fds(requests, 1 << 20, 64)
            if not message:
                return
            answers, *descriptors = descriptors
            if (pid := os.fork()) == 0:
                requests.close()
                for each, (_, pipe) in running.items():
                    os.close(each)
                    os.close(pipe)
                os.close(answers)
                _become_child(message, descriptors)
            for descriptor in descriptors:
                os.close(descriptor)
            _answer(answers, pid)
            process = os.pidfd_open(pid)
            running[process] = pid, answers
            poll.register(process, select.POLLIN)


def _answer(pipe: int, number: int) -> None:
    with suppress(BrokenPipeError):  # whoever asked has ended
        os.write(pipe, _NUMBER.pack(number))


def _become_child(message: bytes, descriptors: Sequence[int]) -> NoReturn:
    """Run what was requested in this process, which has just been forked, and end it."""
    code = 1
    try:
        module, sys.path[:], environment = json.loads(message)
        os.environ.clear()
        os.environ.update(environment)
        errors, *rest = descriptors
        null = os.open(os.devnull, os.O_RDWR)
        for standard, descriptor in enumerate((null, null, errors)):
            os.dup2(descriptor, standard)
        os.close(null)
        os.close(errors)
        sys.stderr = open(2, "w", closefd=False)  # noqa: SIM115
        sys.argv[1:] = ["", *map(str, rest)]
        import_module(module).main()
        code = 0
    except BaseException:
        traceback.print_exc()
        sys.stderr.flush()
    finally:
        os._exit(code)
