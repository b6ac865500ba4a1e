"""A provider whose models stream, fail, and take their time, as they are told; and a person at a terminal."""

from __future__ import annotations

import json
import os
import select
import signal
import time
from pathlib import Path
from typing import TYPE_CHECKING

import psutil
from strangers import install

from ftkit import Client
from ftkit.errors import RateLimitError
from ftkit.models import ChatChunk
from ftkit.testing import MemoryProvider, MemoryVendor

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    import pytest

    from ftkit import FineTuningJob
    from ftkit.models import ChatMessage, ChatOptions, Deployment

VENDOR = MemoryVendor()
ODD = "[red]x[/red] \x1b[31mé 日本\u202e"
PATIENCE_S = 60.0
CTRL_C = "\x03"
_LOOKS = 5


class Talker(MemoryProvider):
    """Answers with how many messages it was sent, and the last one of them."""

    def stream_chat(
        self, deployment: Deployment, messages: Sequence[ChatMessage], options: ChatOptions
    ) -> Iterator[ChatChunk]:
        del deployment
        said = str(messages[-1].content)
        yield ChatChunk(text=f"{len(messages)} ")
        if said == "fail":
            raise RateLimitError("too many", provider=self.name)
        if said == "slow":
            for _ in range(10_000):
                yield ChatChunk(text=".")
                time.sleep(0.01)
        yield ChatChunk(text=ODD if said == "odd" else f"{said} {options.temperature}", finish_reason="stop")


def make() -> Talker:
    """Makes the provider `talker`."""
    return Talker(VENDOR, name="talker")


def laid(folder: Path, monkeypatch: pytest.MonkeyPatch) -> MemoryVendor:
    """Installs the provider `talker` in a folder, which becomes the working one, before a vendor of the test's own."""
    found = MemoryVendor()
    monkeypatch.setattr(f"{__name__}.VENDOR", found)
    install(folder, "talker_pkg", "talker", "from talker import make", monkeypatch)
    monkeypatch.chdir(folder)
    return found


def path_with(folder: Path) -> str:
    """Returns the path on which another process finds the provider, where `laid` put it."""
    tests = Path(__file__).parents[1]
    return os.pathsep.join(map(str, [folder, tests / "commands", tests, *filter(None, [os.environ.get("PYTHONPATH")])]))


def trained() -> FineTuningJob:
    """Returns a job that has succeeded."""
    messages = [{"role": "user", "content": "One?"}, {"role": "assistant", "content": "Two."}]
    Path("train.jsonl").write_text("".join(json.dumps({"messages": messages, "n": n}) + "\n" for n in range(12)))
    return Client("talker").fine_tune("base", "train.jsonl", progress=False)


class Person:
    """Runs a command in a terminal of its own, and waits for what it shows before typing.

    Args:
        command: The command.
        variables: Its environment.
        columns: Width of the terminal.
    """

    def __init__(self, command: list[str], variables: Mapping[str, str], columns: int = 80) -> None:
        import fcntl
        import pty
        import struct
        import termios

        self._pid, self._terminal = pty.fork()
        if self._pid == 0:
            signal.signal(signal.SIGINT, signal.SIG_DFL)  # a shell that runs us in the background has it ignored
            os.execvpe(command[0], command, dict(variables))  # noqa: S606 - a command of the test's own
        fcntl.ioctl(self._terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
        self.shown = ""

    def sees(self, text: str) -> None:
        """Waits until a text is shown, and forgets what was shown up to there."""
        deadline = time.monotonic() + PATIENCE_S
        while text not in self.shown:
            assert time.monotonic() < deadline, self.shown
            assert self._reads(), self.shown
        self.shown = self.shown.partition(text)[2]

    def types(self, text: str) -> None:
        """Presses keys."""
        os.write(self._terminal, text.encode())

    def stops(self) -> None:
        """Presses Ctrl-C at a prompt. Python passes over one that comes between the prompt and its wait for keys."""
        deadline, looks = time.monotonic() + PATIENCE_S, 0
        while looks < _LOOKS:
            assert time.monotonic() < deadline, self.shown
            time.sleep(0.02)
            looks = looks + 1 if psutil.Process(self._pid).status() == psutil.STATUS_SLEEPING else 0
        self.types(CTRL_C)

    def status(self) -> int:
        """Waits for the end of the command, and returns its exit status."""
        while self._reads():
            pass
        os.close(self._terminal)
        return os.waitstatus_to_exitcode(os.waitpid(self._pid, 0)[1])

    def _reads(self) -> bool:
        if not select.select([self._terminal], [], [], PATIENCE_S)[0]:
            return False
        try:
            read = os.read(self._terminal, 4096)
        except OSError:  # which is how Linux says that the command has ended
            return False
        self.shown += read.decode(errors="replace")
        return bool(read)
