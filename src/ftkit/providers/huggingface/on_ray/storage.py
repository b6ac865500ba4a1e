"""Where driver and workers hand each other files: a folder of the job, or whatever Ray Train can write to.

    <storage>/<job>/
      run-<n>-<attempt>-start/    what a trainer needs of the job's folder, as it was when the workers were started
      run-<n>-<attempt>/          Ray Train's own: a folder for each checkpoint that was reported, and `result/`

It holds nothing for long: what comes home is removed here, and at the end of the driver all of it.
"""

# pyright: basic
# pyarrow is untyped.

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow.fs as pafs

from ftkit.plugin.disk import remove_tree, sync, take
from ftkit.providers._local_jobs.folder import EVENTS, REQUEST, STATUS
from ftkit.providers._local_jobs.names import ADAPTER, MODEL, TRAINING, VALIDATION
from ftkit.providers.huggingface import checkpoints
from ftkit.providers.huggingface.made import MADE
from ftkit.providers.huggingface.on_ray import HERE

if TYPE_CHECKING:
    from ftkit.providers._local_jobs import JobFolder

RESULT = "result"
_START = "-start"


class Storage:
    """The storage of one job.

    Args:
        job: The job.
        given: Folder that driver and workers share, or its URI (`s3://...`); None for one in the job's folder.
        keep: How many checkpoints of the job are kept.

    Attributes:
        filesystem: What can read and write it; it can be sent to the workers.
        root: The job's place in it.
    """

    def __init__(self, job: JobFolder, given: str | None, keep: int) -> None:
        self._job = job.path
        self._keep = keep
        self.filesystem: Any = pafs.LocalFileSystem()
        self._is_here = given is None or "://" not in given
        if given is None:
            self.root = str(job.path / HERE)
        elif self._is_here:
            self.root = str(Path(given).expanduser().absolute() / job.id)
        else:
            self.filesystem, path = pafs.FileSystem.from_uri(given)
            self.root = f"{path.rstrip('/')}/{job.id}"

    def lay_out(self, run: str) -> str:
        """Puts down what a trainer needs of the job, its newest checkpoint included, and returns where."""
        start = f"{self.root}/{run}{_START}"
        self.filesystem.create_dir(start, recursive=True)
        for name in (TRAINING, VALIDATION):
            if (self._job / name).exists():
                self._put(self._job / name, f"{start}/{name}")
        for name in (REQUEST, STATUS, EVENTS):  # never linked: they are written on
            if (self._job / name).exists():
                _copy(str(self._job / name), f"{start}/{name}", _LOCAL, self.filesystem)
        for folder, _ in checkpoints.whole(self._job)[:1]:
            self._put(folder, f"{start}/{checkpoints.FOLDER}/{folder.name}")
        return start

    def bring_checkpoint(self, place: str, step: int) -> None:
        """Brings a checkpoint home; one that is gone already, as newer ones came, is left out."""
        home = self._job / checkpoints.FOLDER / f"checkpoint-{step}"
        if home.exists():
            remove_tree(home)
        try:
            self._get(place, home)
        except FileNotFoundError:
            shutil.rmtree(home, ignore_errors=True)
            return
        checkpoints.seal(home)  # anew: other workers have put their parts beside what the first one sealed
        checkpoints.drop_old(self._job, self._keep)

    def bring_all(self) -> None:
        """Brings home what the driver before us did not come to bring, and removes all the rest."""
        for run in self._folders(self.root):
            for folder in self._folders(run) if not run.endswith(_START) else []:
                step = checkpoints.step_of(folder.rpartition("/")[2])
                if step is not None and step > checkpoints.newest_step(self._job) and self._is_whole(folder):
                    self.bring_checkpoint(folder, step)
        self.clear()

    def bring_model(self, run: str) -> None:
        """Brings the tuned model home. Each part appears at once, or not."""
        place = f"{self.root}/{run}/{RESULT}"
        for folder in self._folders(place):
            name = Path(folder).name
            building = self._job / f".{name}"
            for left in (building, self._job / name):  # of a driver that was killed right here
                if left.exists():
                    shutil.rmtree(left)
            self._get(folder, building)
            building.rename(self._job / name)
        if self.filesystem.get_file_info(f"{place}/{MADE}").type is pafs.FileType.File:
            _copy(f"{place}/{MADE}", str(self._job / MADE), self.filesystem, _LOCAL)
        sync(self._job)

    def clear(self) -> None:
        """Removes all there is of the job."""
        if self.filesystem.get_file_info(self.root).type is pafs.FileType.Directory:
            self.filesystem.delete_dir(self.root)

    def _is_whole(self, folder: str) -> bool:
        mark = f"{folder}/{checkpoints.MARK}"
        if self.filesystem.get_file_info(mark).type is not pafs.FileType.File:
            return False
        with self.filesystem.open_input_stream(mark) as file:
            files = checkpoints.Mark.model_validate_json(file.read()).files
        found = self.filesystem.get_file_info([f"{folder}/{name}" for name in files])
        return [info.size for info in found] == list(files.values())

    def _folders(self, place: str) -> list[str]:
        selector = pafs.FileSelector(place, allow_not_found=True)
        found = self.filesystem.get_file_info(selector)
        return sorted(info.path for info in found if info.type is pafs.FileType.Directory)

    def _put(self, source: Path, target: str) -> None:
        if self._is_here:
            _link(source, Path(target))
        else:
            self.filesystem.create_dir(target if source.is_dir() else target.rpartition("/")[0], recursive=True)
            _copy(str(source), target, _LOCAL, self.filesystem)

    def _get(self, source: str, target: Path) -> None:
        if self._is_here:
            _link(Path(source), target)
        else:
            target.mkdir(parents=True)
            _copy(source, str(target), self.filesystem, _LOCAL)


def fetch(place: str, filesystem: Any, target: Path) -> None:  # noqa: ANN401 - untyped
    """Copies a folder out of the storage, into one that is not there yet. For a worker."""
    target.mkdir(parents=True)
    _copy(place, str(target), filesystem, _LOCAL)


def hand_in(job: Path, filesystem: Any, run: str) -> None:  # noqa: ANN401 - untyped
    """Puts the tuned model of a worker's folder into the storage, below the folder of its run."""
    place = f"{run}/{RESULT}"
    filesystem.create_dir(place, recursive=True)
    for name in (ADAPTER, MODEL, MADE):
        if (job / name).is_dir():
            filesystem.create_dir(f"{place}/{name}")
        if (job / name).exists():
            _copy(str(job / name), f"{place}/{name}", _LOCAL, filesystem)


def _link(source: Path, target: Path) -> None:
    """Puts a file or a folder elsewhere, at no cost where both are on one disk."""
    target.parent.mkdir(parents=True, exist_ok=True)
    if source.is_dir():
        shutil.copytree(source, target, copy_function=lambda one, other: take(Path(one), Path(other)))
    else:
        take(source, target)


def _copy(source: str, target: str, one: Any, other: Any) -> None:  # noqa: ANN401 - untyped
    pafs.copy_files(source, target, source_filesystem=one, destination_filesystem=other)


_LOCAL = pafs.LocalFileSystem()
