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
    from collections.abc import Mapping
    from pathlib import Path

    from ftkit.providers._hub_account import HubAccount
    from ftkit.providers._local_jobs import JobState

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
        self._there: set[int] = set()
        self.name = name

    def make_repository(self) -> None:
        """Makes the repository, and its branch, where they are not there."""
        api = self._account.api
        self._account.insist(lambda: api.create_repo(self.name, private=True, exist_ok=True))
        self._account.insist(lambda: api.create_branch(self.name, branch=BRANCH, exist_ok=True))

    def count_fetched(self) -> None:
        """Takes the checkpoints that are in the folder for those that the Hub has: they came from there.

        To send one of them back would say that this run has come to it, and a job that comes to nothing is given up.
        """
        self._there = set(self._whole())

    def send_checkpoint(self) -> None:
        """Sends the checkpoints that are new, and all that was told until then.

        In one commit, in which those that are not kept any more go: there is always one that is whole.
        """
        newest = checkpoints.newest_step(self._folder)
        if newest and newest not in self._there:
            self._send(f"Checkpoint at step {newest}")

    def deliver(self, state: JobState) -> None:
        """Sends what there is at the end. That the job has succeeded is written when the model is there, not before."""
        if state.word == "succeeded":
            self._send_model()
        self._send(f"The job has ended: {state.word}", ADAPTER)

    def _send(self, message: str, *more: str) -> None:
        """Sends notes and new checkpoints in one commit. What the Hub has is not read again, however large it is.

        Args:
            message: What the commit is called.
            more: Further folders, if they are there.
        """
        api, whole, box = self._account.api, self._whole(), self._folder.parent / _OUTBOX
        gone = [f"{checkpoints.FOLDER}/checkpoint-{step}/*" for step in self._there - whole.keys()]
        try:
            packed = self._pack(box, {step: place for step, place in whole.items() if step not in self._there})
            for name in more:
                if (self._folder / name).is_dir():
                    shutil.copytree(self._folder / name, box / name)
            self._account.insist(
                lambda: api.upload_folder(
                    repo_id=self.name,
                    folder_path=box,
                    revision=BRANCH,
                    commit_message=message,
                    delete_patterns=gone or None,
                )
            )
        finally:
            shutil.rmtree(box)
        self._there = (self._there & whole.keys()) | packed

    def _pack(self, box: Path, places: Mapping[int, Path]) -> set[int]:
        """Puts what is to be sent into a folder of its own, and returns the steps of the checkpoints in it.

        The trainer throws old ones away meanwhile.
        """
        box.mkdir()
        for name in _NOTES:
            if (self._folder / name).exists():
                shutil.copyfile(self._folder / name, box / name)
        packed: set[int] = set()
        for step, place in places.items():
            target = box / checkpoints.FOLDER / place.name
            target.mkdir(parents=True)
            try:
                for path in place.iterdir():
                    os.link(path, target / path.name)
                packed.add(step)
            except FileNotFoundError:  # an old one, which was just thrown away
                shutil.rmtree(target)
        return packed

    def _whole(self) -> dict[int, Path]:
        return {mark.step: place for place, mark in checkpoints.whole(self._folder)}

    def _send_model(self) -> None:
        api = self._account.api
        (self._folder / MODEL / "README.md").write_text(card_of(self._folder, self.name), encoding="utf-8")
        self._account.insist(
            lambda: api.upload_folder(
                repo_id=self.name, folder_path=self._folder / MODEL, commit_message="The tuned model"
            )
        )
