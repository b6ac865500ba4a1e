"""`ftkit serve` as a process of its own, before the real local trainer."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import psutil
from openai import OpenAI

if TYPE_CHECKING:
    from collections.abc import Iterator

PATIENCE_S = 60.0
OWN = {
    "FTKIT_CACHE": str(Path(__file__).parent.parent / ".cache"),
    "OMP_NUM_THREADS": "1",
    "HF_HUB_OFFLINE": "1",
}


def _heed_interrupts() -> None:
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # a shell that runs us in the background has it ignored


class Served:
    """A server's folder, and the process that serves it."""

    def __init__(self, home: Path, *options: str) -> None:
        self.home = home
        self.key = ""
        self._options = options
        self._log = home.with_suffix(".log")
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def log(self) -> str:
        return self._log.read_text()

    def start(self) -> str:
        """Starts it, and returns what it printed by the time that it answers."""
        (self.home / "server.json").unlink(missing_ok=True)
        said = len(self.log) if self._log.exists() else 0
        command = [sys.executable, "-m", "ftkit", "serve", "--home", str(self.home), "--port", "0", *self._options]
        environment = {name: value for name, value in os.environ.items() if not name.startswith("FTKIT_")} | OWN
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                command,
                stdout=log,
                stderr=log,
                env=environment,
                preexec_fn=_heed_interrupts,  # noqa: PLW1509 - it only sets a signal
            )
        deadline = time.monotonic() + PATIENCE_S
        while not (self.home / "server.json").exists():
            assert self._process.poll() is None, self.log
            assert time.monotonic() < deadline, self.log
            time.sleep(0.05)
        key = re.search(r"sk-ftkit-[\w-]+", self.log)
        self.key = key[0] if key else ""
        return self.log[said:]

    @property
    def url(self) -> str:
        """Scheme, host and port of the one that runs."""
        return str(json.loads((self.home / "server.json").read_text())["url"])

    def client(self) -> OpenAI:
        return OpenAI(base_url=f"{self.url}/v1", api_key=self.key)

    def kill(self) -> None:
        """kill -9."""
        assert self._process is not None
        self._process.send_signal(signal.SIGKILL)
        self._process.wait()

    def interrupt(self) -> int:
        """Ctrl-C; returns the exit status."""
        assert self._process is not None
        self._process.send_signal(signal.SIGINT)
        return self._process.wait(PATIENCE_S)

    def trainers(self) -> Iterator[psutil.Process]:
        """Whatever runs for this folder besides the server: trainers, and models that answer."""
        for process in psutil.process_iter():
            with suppress(psutil.Error):
                mine = any(str(self.home) in argument for argument in process.cmdline())
                if mine and (self._process is None or process.pid != self._process.pid):
                    yield process

    def end(self) -> None:
        if self._process is not None and self._process.poll() is None:
            self.kill()
        for process in self.trainers():
            with suppress(psutil.NoSuchProcess):
                process.kill()
