"""Fine-tuning on a Ray cluster: the provider `huggingface(compute="ray")`."""

from __future__ import annotations

import os
import sys
import tempfile
from typing import TYPE_CHECKING, Any, ClassVar
from urllib.parse import parse_qsl, urlsplit

from ftkit.errors import ConfigurationError
from ftkit.home import state_folder
from ftkit.methods import names_secret
from ftkit.models import Estimate
from ftkit.plugin.secrets import forgetful
from ftkit.providers.huggingface.local import LocalHuggingFace
from ftkit.providers.huggingface.on_ray import address as addresses

if TYPE_CHECKING:
    from ftkit.models import FineTuningJob, JobRequest

_FOLDER = "huggingface-ray"
_TRAINER = (sys.executable, "-P", "-m", "ftkit.providers.huggingface.on_ray.train")


class RayHuggingFace(LocalHuggingFace):
    """Trains on Ray what `LocalHuggingFace` trains on one machine; jobs, models and deployments are on this machine.

    `provider_options["processes"]` is the number of workers.

    Args:
        jobs_folder: Folder of jobs, files and deployments; `huggingface-ray` in ftkit's state folder by default.
        slots: How many jobs train at once; FTKIT_LOCAL_SLOTS, or 1.
        address: The cluster's, `host:port` of its head, or "auto"; RAY_ADDRESS, or a Ray of this machine that ends
            with the job. This machine must be one of the cluster's.
        storage_path: Where Ray Train keeps checkpoints until they are here: a folder, or a URI such as `s3://...`,
            that all machines can reach; by default, one in the job's folder.
        num_gpus_per_worker: GPUs of each worker; 1 where the cluster has any, else 0.

    Raises:
        ConfigurationError: A number is none, or the address is none, or needs a storage_path.
        UnsupportedError: This is Windows.
    """

    _trainer: ClassVar[tuple[str, ...]] = _TRAINER

    @forgetful
    def __init__(
        self,
        *,
        jobs_folder: str | os.PathLike[str] | None = None,
        slots: int | None = None,
        address: str | None = None,
        storage_path: str | os.PathLike[str] | None = None,
        num_gpus_per_worker: float | None = None,
    ) -> None:
        super().__init__(jobs_folder=state_folder() / _FOLDER if jobs_folder is None else jobs_folder, slots=slots)
        self._address = address or os.environ.get("RAY_ADDRESS") or None
        if self._address == "local":
            self._address = None
        self._storage = None if storage_path is None else _absolute(_without_keys(os.fspath(storage_path)))
        self._gpus = num_gpus_per_worker
        if num_gpus_per_worker is not None and not _is_count(num_gpus_per_worker):
            raise ConfigurationError(f"num_gpus_per_worker={num_gpus_per_worker!r}: it is a number, 0 or more")
        if self._address is not None:
            addresses.check(self._address, self._storage)

    def identity(self) -> str:
        """Returns the folder of the jobs. A job on Ray and one on this machine alone are two jobs."""
        return f"ray:{self._folder}"

    def create_job(self, request: JobRequest, key: str) -> FineTuningJob:
        """Makes a job and starts it. The job that a key has already is returned as it is.

        Raises:
            ProviderUnavailableError: Nobody answers at the cluster's address. Nothing was made.
        """
        if self._address is not None and self._jobs.find(key) is None:
            addresses.probe(self._address)
        if self._storage is not None and "://" not in self._storage:
            _require_writable(self._storage)
        return super().create_job(request, key)

    def estimate(self, request: JobRequest, tokens: int | None) -> Estimate:
        """Returns 0 for the Ray of this machine alone; what other machines cost is not known here."""
        if self._address is None:
            return super().estimate(request, tokens)
        return Estimate(tokens=tokens, source=f"ftkit does not know what the machines at {self._address} cost")

    def _extra(self, request: JobRequest) -> dict[str, Any]:
        there = {
            "address": self._address,
            "storage_path": self._storage,
            "num_gpus_per_worker": self._gpus,
        }
        return {**super()._extra(request), **{name: value for name, value in there.items() if value is not None}}


def _is_count(value: object) -> bool:
    return isinstance(value, int | float) and value >= 0


def _without_keys(storage: str) -> str:
    """Returns a storage path that holds no key: it is written into the record of every job.

    Raises:
        ConfigurationError: It does.
    """
    parts = urlsplit(storage)
    if "://" in storage and ("@" in parts.netloc or any(names_secret(name) for name, _ in parse_qsl(parts.query))):
        hint = "Leave it to the environment (AWS_ACCESS_KEY_ID and the like), which reaches all workers."
        raise ConfigurationError("storage_path holds a key, and is written into the record of each job", hint=hint)
    return storage


def _require_writable(folder: str) -> None:
    """Sees that a folder can be made and written, before a job depends on it.

    Raises:
        ConfigurationError: It cannot.
    """
    try:
        os.makedirs(folder, exist_ok=True)  # noqa: PTH103 - it is text in the job's record
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        message = f"storage_path={folder!r} cannot be written: {error.strerror or error}"
        raise ConfigurationError(message, hint="Give a folder that all machines of the cluster can write.") from error


def _absolute(path: str) -> str:
    return path if "://" in path else os.path.realpath(os.path.expanduser(path))  # noqa: PTH111 - it may be no path
