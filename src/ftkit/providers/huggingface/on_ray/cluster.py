"""The Ray that a job is trained on: one of this machine that ends with the job, or a cluster that is there."""

# pyright: basic
# ray is loosely typed.

from __future__ import annotations

import os
import secrets
import shutil
import subprocess
import sys
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import ftkit
from ftkit.errors import ConfigurationError, ProviderUnavailableError
from ftkit.providers._processes import this_process
from ftkit.providers.huggingface.on_ray.address import probe
from ftkit.providers.huggingface.stopping import LostError

if TYPE_CHECKING:
    from collections.abc import Generator

    from ftkit.providers._local_jobs import JobFolder

_OBJECTS = 128 * 2**20
"""Bytes for Ray's object store: what goes through it is small; files go through the storage."""
_QUIET = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_COLOR_PREFIX": "0",
    "RAY_DEDUP_LOGS": "0",
    "RAY_TRAIN_ENABLE_PRINT_PATCH": "0",  # what is printed comes here by the log already
    "RAY_TRAIN_HEALTH_CHECK_INTERVAL_S": "0.5",  # so soon a dead worker is noticed, and a checkpoint taken
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",  # what Ray will do by default one day
}
_FEWER = {"RAY_TRAIN_ENABLE_PREEMPTION_WATCHER": "0", "RAY_TRAIN_METRICS_ENABLED": "0"}
"""What a Ray of one machine does not need."""
_OF_WORKERS = {"HF_HUB_DISABLE_TELEMETRY": "1", "TOKENIZERS_PARALLELISM": "false"}


@contextmanager
def cluster(job: JobFolder, address: str | None, processes: int) -> Generator[None]:
    """Connects this process to Ray, once in its life, and disconnects it.

    Args:
        job: The job, which gives its name to what it does on the cluster.
        address: The cluster's; None starts a Ray of this machine.
        processes: How many workers there will be.

    Raises:
        LostError: The cluster cannot be reached.
    """
    os.environ.update({name: value for name, value in _QUIET.items() if name not in os.environ})
    os.environ.pop("RAY_ADDRESS", None)  # it is in the record, if it was meant
    os.chdir(job.path)  # Ray lets workers import from where we are: that must not be the user's folder
    with _of_this_machine(job, processes) if address is None else _there(job, address):
        yield


def gpus_per_worker(asked: float | None, processes: int, *, is_here: bool) -> tuple[float, str | None]:
    """Returns how many GPUs each worker gets, and what there is to say of what the cluster lacks now.

    Args:
        asked: What was asked for; None is one each, where there are GPUs.
        processes: How many workers there will be.
        is_here: Whether this is a Ray of our own, which never grows.

    Raises:
        ConfigurationError: It lacks something, and never grows.
    """
    import ray

    there = ray.cluster_resources()
    gpus = asked if asked is not None else float(there.get("GPU", 0) > 0)
    lacks = [
        f"{need:g} {what}s are needed, and there are {there.get(what, 0):g}"
        for what, need in (("CPU", processes), ("GPU", gpus * processes))
        if need > there.get(what, 0)
    ]
    if not lacks:
        return gpus, None
    if is_here:
        raise ConfigurationError("; ".join(lacks), hint="Ask for fewer processes, or set num_gpus_per_worker.")
    return gpus, f"The workers wait for the cluster to grow: {'; '.join(lacks)}"


def require_shared(given: str | None) -> None:
    """Sees that all machines of a cluster can reach the storage, as far as that can be told.

    Raises:
        ConfigurationError: There is more than one machine, and no storage was named.
    """
    import ray

    if given is None and len({node["NodeManagerAddress"] for node in ray.nodes() if node["Alive"]}) > 1:
        message = "the cluster has several machines, and storage_path names nothing that all of them can reach"
        raise ConfigurationError(message, hint="Set storage_path to a shared folder, or to a URI such as s3://....")


@contextmanager
def _of_this_machine(job: JobFolder, processes: int) -> Generator[None]:
    # A path of a socket has at most 104 bytes, and Ray adds about 70 of them to this one.
    session = Path(tempfile.mkdtemp(prefix="ftkit-ray-", dir=min(tempfile.gettempdir(), "/tmp", key=len)))  # noqa: S108
    token = session / "token"
    token.touch(mode=0o600)  # Ray opens the folder to all
    token.write_text(secrets.token_hex(32))
    # To whom it listens, Ray decides by a variable that is named after the systems where it is 0 by default: the
    # loopback device alone. The token keeps out the other users of this machine. Ray reads both when it is imported.
    os.environ.update(_FEWER)
    os.environ["RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"] = "0"
    os.environ.update({"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN_PATH": str(token)})
    command = [sys.executable, "-P", "-m", "ftkit.providers.huggingface.on_ray.keeper"]
    command += [this_process().model_dump_json(), str(session), str(job.path)]
    with subprocess.Popen(command, stdin=subprocess.DEVNULL) as keeper:  # noqa: S603 - our own interpreter
        import ray

        try:
            cpus = max(processes, os.cpu_count() or 1)
            ray.init(
                address="local",
                num_cpus=cpus,
                include_dashboard=False,
                object_store_memory=_OBJECTS,
                logging_config=_only_errors(),
                _temp_dir=str(session),
            )
            yield
        finally:
            ray.shutdown()
            keeper.kill()
            shutil.rmtree(session, ignore_errors=True)


def _only_errors() -> Any:  # noqa: ANN401 - untyped
    """Keeps Ray's own remarks out of the log: without a dashboard, there would be one in every second."""
    import ray

    return ray.LoggingConfig(log_level="ERROR")


@contextmanager
def _there(job: JobFolder, address: str) -> Generator[None]:
    import ray
    import ray.exceptions

    try:
        probe(address)
        # The code goes along: what the workers' machines have installed may be another version, or none.
        environment = {"py_modules": [str(Path(ftkit.__file__).parent)], "env_vars": _OF_WORKERS}
        ray.init(address=address, namespace=f"ftkit-{job.id}", runtime_env=environment, logging_config=_only_errors())
    except (ProviderUnavailableError, ConnectionError, RuntimeError, ray.exceptions.RayError) as error:
        raise LostError(f"the Ray cluster at {address} cannot be used: {error}") from error
    try:
        yield
    finally:
        ray.shutdown()
