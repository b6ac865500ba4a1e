"""A witness of local jobs, of whatever provider: it reads and writes their folders by hand."""

from __future__ import annotations

import json
import os
import shutil
import signal
import time
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil

from ftkit.providers._processes import ProcessId, is_alive

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from ftkit.models import JobStatus

PATIENCE_S = 120.0
IDLE_TRAINER = Path(__file__).with_name("idle_trainer.py")


def until(condition: Callable[[], object], what: str) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline, what
        time.sleep(0.005)


def those_below(folder: Path) -> list[psutil.Process]:
    """Processes that name a folder in their arguments."""
    found: list[psutil.Process] = []
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            if any(str(folder) in argument for argument in process.cmdline()):
                found.append(process)
    return found


def end_all_below(folder: Path) -> None:
    """Kills until nothing is left: one that was looked at a moment before it started another leaves that behind."""

    def all_gone() -> bool:
        left = those_below(folder)
        for process in left:
            with suppress(psutil.NoSuchProcess):
                process.kill()
        return not left

    until(all_gone, "a process of the test cannot be killed")


class FolderWitness:
    """Reads and writes the folders of jobs by hand, as the page on local jobs describes them."""

    def __init__(self, folder: Path, model: Path, words: Mapping[str, JobStatus], secrets: Sequence[str] = ()) -> None:
        self._folder = folder
        self._model = model
        self._words = words
        self._secrets = secrets

    def jobs(self) -> int:
        return len(list(self._folder.glob("ftjob-*")))

    def creates(self) -> int:
        return self.jobs()

    def uploads(self) -> int:
        return len(list(self._folder.glob("files/file-*.json")))

    def set_status(self, job_id: str, word: str) -> None:
        place = self._folder / job_id
        until(lambda: self._status(place)["word"] == "running", "its process does not begin")
        state = self._status(place)
        if word in {"pausing", "cancelling"}:
            want = {"pausing": "paused", "cancelling": "cancelled"}[word]
            (place / "control.json").write_text(json.dumps({"want": want, "run": state["run"]}))
            return
        if word not in {"queued", "validating", "running"}:
            os.killpg(state["runner"]["pid"], signal.SIGKILL)  # and what it started, which would hold its lock
        state["word"] = "running" if word == "interrupted" else word
        if word in {"succeeded", "failed", "cancelled"}:
            state["finished_at"] = datetime.now(UTC).isoformat()
        if word == "succeeded":
            state["fine_tuned_model"] = f"ftkit:tiny:{job_id.removeprefix('ftjob-')}"
            shutil.copytree(self._model, place / "model")
        (place / "status.json").write_text(json.dumps(state))
        if word == "interrupted":
            # A process that is being killed has lost its /proc/PID/exe some time before it has ended.
            until(lambda: not is_alive(ProcessId(**state["runner"])), "its process does not end")

    def known_status_words(self) -> Mapping[str, JobStatus]:
        return self._words

    def deployments(self) -> int:
        """Counts the processes that serve a model, whatever the provider knows of them."""
        return len(those_below(self._folder / "deployments"))

    def secrets(self) -> Sequence[str]:
        return self._secrets

    def add_event(self, job_id: str, message: str) -> None:
        path = self._folder / job_id / "events.jsonl"
        number = len(path.read_text().splitlines()) + 1 if path.exists() else 1
        line: dict[str, Any] = {
            "id": f"{number:08}",
            "created_at": datetime.now(UTC).isoformat(),
            "level": "info",
            "message": message,
        }
        with path.open("a") as file:
            file.write(json.dumps(line) + "\n")

    @staticmethod
    def _status(place: Path) -> dict[str, Any]:
        found: dict[str, Any] = json.loads((place / "status.json").read_text())
        return found
