"""From a job's folder to its repository at the Hub: checkpoints on the way, the model at the end."""

from __future__ import annotations

import os
import shutil
from typing import TYPE_CHECKING

from ftkit.providers._local_jobs.folder import EVENTS, REQUEST, STATUS
from ftkit.providers._local_jobs.names import ADAPTER, MODEL
from ftkit.providers.huggingface import checkpoints
from ftkit.providers.huggingface.cards import card_of
from ftkit.providers.huggingface.remote.results import BRANCH

if TYPE_CHECKING:
    from pathlib import Path

    from ftkit.providers._local_jobs import JobState
    from ftkit.providers.huggingface.remote.account import HubAccount

_OUTBOX = "outbox"
_NOTES = (REQUEST, STATUS, EVENTS)


class Cargo:
    """What is carried from a folder to a repository.

    Args:
        account: The account.
        name: The repository's name.
        folder: The job's folder.
    """

    def __init__(self, account: HubAccount, name: str, folder: Path) -> None:
        self._account = account
        self._folder = folder
        self._sent: int | None = None
        self.name = name

    def make_repository(self) -> None:
        """Makes the repository, and its branch, where they are not there."""
        api = self._account.api
        self._account.insist(lambda: api.create_repo(self.name, private=True, exist_ok=True))
        self._account.insist(lambda: api.create_branch(self.name, branch=BRANCH, exist_ok=True))

    def send_checkpoint(self) -> None:
        """Sends the newest checkpoint, and all that was told until then, if it is not at the Hub yet.

        In one commit, in which the older ones that are not kept any more go: there is always one that is whole.
        """
        found = checkpoints.whole(self._folder)
        if not found or found[0][1].step == self._sent:
            return
        step = found[0][1].step
        box = self._pack([place for place, _ in found])
        try:
            self._upload(box, f"Checkpoint at step {step}")
        finally:
            shutil.rmtree(box)
        self._sent = step

    def deliver(self, state: JobState) -> None:
        """Sends what there is at the end. That the job has succeeded is written when the model is there, not before."""
        if state.word == "succeeded":
            self._send_model()
        found = checkpoints.whole(self._folder)
        box = self._pack([place for place, _ in found])
        if (self._folder / ADAPTER).is_dir():  # not beside the model: who loads that would take it for a part of it
            shutil.copytree(self._folder / ADAPTER, box / ADAPTER)
        try:
            self._upload(box, f"The job has ended: {state.word}")
        finally:
            shutil.rmtree(box)

    def _pack(self, places: list[Path]) -> Path:
        """Puts what is to be sent into a folder of its own: the trainer throws old checkpoints away meanwhile."""
        box = self._folder.parent / _OUTBOX
        if box.exists():
            shutil.rmtree(box)
        box.mkdir()
        for name in _NOTES:
            if (self._folder / name).exists():
                shutil.copyfile(self._folder / name, box / name)
        for place in places:
            target = box / checkpoints.FOLDER / place.name
            target.mkdir(parents=True)
            try:
                for path in place.iterdir():
                    os.link(path, target / path.name)
            except FileNotFoundError:  # an old one, which was just thrown away
                shutil.rmtree(target)
        return box

    def _upload(self, box: Path, message: str) -> None:
        api = self._account.api
        self._account.insist(
            lambda: api.upload_folder(
                repo_id=self.name,
                folder_path=box,
                revision=BRANCH,
                commit_message=message,
                delete_patterns=[f"{checkpoints.FOLDER}/*"],
            )
        )

    def _send_model(self) -> None:
        api = self._account.api
        (self._folder / MODEL / "README.md").write_text(card_of(self._folder, self.name), encoding="utf-8")
        self._account.insist(
            lambda: api.upload_folder(
                repo_id=self.name, folder_path=self._folder / MODEL, commit_message="The tuned model"
            )
        )
