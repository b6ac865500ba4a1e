"""Scripts of users in processes of their own, which take signals as a script does."""

from __future__ import annotations

import os
import signal
import sys
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

from ftkit.testing.attacks import processes

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Mapping
    from pathlib import Path

PATIENCE_S = 60.0
LOST_S = 15.0
MOMENT_S = 0.002


class Script:
    """A function that runs in another process, forked from one that has loaded everything.

    Args:
        body: What it does; to be pickled.
        folder: Where it writes what it prints.
    """

    def __init__(self, body: Callable[[], object], folder: Path) -> None:
        name = f"{time.monotonic_ns()}"
        self._output, self._errors = folder / f"{name}.out", folder / f"{name}.err"
        arguments = (body, self._output, self._errors, dict(os.environ))
        self._process = processes._context().Process(target=_run, args=arguments)
        self._process.start()

    @property
    def pid(self) -> int:
        assert self._process.pid is not None
        return self._process.pid

    @property
    def output(self) -> str:
        return self._output.read_text(encoding="utf-8") if self._output.exists() else ""

    @property
    def errors(self) -> str:
        return self._errors.read_text(encoding="utf-8") if self._errors.exists() else ""

    def until(self, condition: Callable[[], object]) -> None:
        """Waits for something that the script is to bring about."""
        deadline = time.monotonic() + PATIENCE_S
        while not condition():
            assert self._process.is_alive(), self.errors
            assert time.monotonic() < deadline, self.errors
            time.sleep(MOMENT_S)

    def signal(self, number: signal.Signals) -> None:
        """Sends a signal to all of its group, as a terminal does."""
        os.killpg(self.pid, number)

    def end_by(self, number: signal.Signals) -> int | None:
        """Waits for its end after a signal, and returns its exit status.

        Python loses a Ctrl-C that comes within a callback of a weak reference: "Exception ignored in". Then it is sent
        again, as a person would.
        """
        self._process.join(LOST_S)
        while self._process.exitcode is None:
            assert number is signal.SIGINT, self.errors
            assert "Exception ignored in" in self.errors, self.errors
            self.signal(number)
            self._process.join(LOST_S)
        return self._process.exitcode

    def end(self) -> int | None:
        """Waits for its end, and returns its exit status: below zero if it died of a signal."""
        self._process.join(PATIENCE_S)
        return self._process.exitcode

    def kill(self) -> None:
        self._process.kill()
        self._process.join()


@contextmanager
def scripts_in(folder: Path) -> Generator[Callable[[Callable[[], object]], Script]]:
    """Yields what starts a script. None of them is left at the end, however that comes."""
    started: list[Script] = []

    def start(body: Callable[[], object]) -> Script:
        started.append(Script(body, folder))
        return started[-1]

    try:
        yield start
    finally:
        for script in started:
            script.kill()


def _run(body: Callable[[], object], output: Path, errors: Path, environment: Mapping[str, str]) -> None:
    os.setpgid(0, 0)
    os.environ.clear()
    os.environ.update(environment)
    for path, number in ((output, 1), (errors, 2)):
        with path.open("ab") as file:
            os.dup2(file.fileno(), number)
    signal.signal(signal.SIGINT, signal.default_int_handler)  # where tests run in the background, it is ignored
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    try:
        body()
    finally:
        sys.stdout.flush()
