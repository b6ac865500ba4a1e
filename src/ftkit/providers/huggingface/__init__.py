"""Hugging Face: models of the Hub, or one's own, trained with TRL and peft.

Importing this, and making the provider, loads neither torch nor transformers: training, and serving, have processes
of their own.
"""

from __future__ import annotations

import importlib.util
from typing import TYPE_CHECKING, Literal

from ftkit.errors import ConfigurationError, MissingExtraError
from ftkit.methods import near

if TYPE_CHECKING:
    import os
    from collections.abc import Mapping, Sequence

    from huggingface_hub import HfApi

    from ftkit.providers.huggingface.local import LocalHuggingFace
    from ftkit.providers.huggingface.remote.provider import JobsHuggingFace

__all__ = ["huggingface"]

_NEEDED = ("torch", "transformers", "trl", "peft", "datasets", "accelerate", "tokenizers", "jinja2")


_COMPUTE: Mapping[str, frozenset[str]] = {
    "local": frozenset({"jobs_folder", "slots"}),
    "jobs": frozenset({"flavor", "timeout", "image", "dependencies", "secrets", "namespace", "token", "hub"}),
    "ray": frozenset({"jobs_folder", "slots", "address", "storage_path", "num_gpus_per_worker"}),
}
"""Where can be trained, and which arguments belong to it."""


def huggingface(
    compute: Literal["local", "jobs", "ray"] = "local",
    *,
    jobs_folder: str | os.PathLike[str] | None = None,
    slots: int | None = None,
    flavor: str | None = None,
    timeout: str | int | None = None,
    image: str | None = None,
    dependencies: Sequence[str] | None = None,
    secrets: Sequence[str] | None = None,
    namespace: str | None = None,
    token: str | None = None,
    hub: HfApi | None = None,
    address: str | None = None,
    storage_path: str | os.PathLike[str] | None = None,
    num_gpus_per_worker: float | None = None,
) -> LocalHuggingFace | JobsHuggingFace:
    """Makes the Hugging Face provider.

    Args:
        compute: Where to train: "local" is this machine, "jobs" a machine of the Hub, by the minute, "ray" a
            Ray cluster.
        jobs_folder: Local and ray: folder of jobs, files and deployments; by default `huggingface`, or
            `huggingface-ray`, in ftkit's state folder. It is the account: who opens the same folder sees the same jobs.
        slots: Local and ray: how many jobs train at once; FTKIT_LOCAL_SLOTS, or 1.
        flavor: Jobs: the Hub's name for the hardware; "a10g-small" by default.
        timeout: Jobs: when a run is ended at the latest, such as "90m"; "6h" by default.
        image: Jobs: the image to run in; one with uv by default.
        dependencies: Jobs: packages to install; those that training needs by default.
        secrets: Jobs: names of environment variables that the job gets as secrets, besides the token.
        namespace: Jobs: the user or organisation that owns and pays; the token's own by default.
        token: Jobs: a token of the Hub that may write; HF_TOKEN, or that of `hf auth login`, by default.
        hub: Jobs: a ready-made client of huggingface_hub, in place of `token`.
        address: Ray: the cluster's, `host:port` of its head, or "auto", on a machine that belongs to it; RAY_ADDRESS,
            or a Ray of this machine that ends with the job.
        storage_path: Ray: where checkpoints lie until they are here: a folder, or a URI such as `s3://...`, that all
            machines can reach. Needed for the cluster of other machines.
        num_gpus_per_worker: Ray: GPUs of each worker; 1 where the cluster has any, else 0.

    Raises:
        ConfigurationError: There is no such place to compute, or an argument is of another one, or makes no sense.
        CredentialsError: A machine of the Hub needs a token, and there is none.
        MissingExtraError: A package that is needed is not installed.
        UnsupportedError: This is Windows, and the place is this machine.
    """
    given = {name: value for name, value in locals().items() if name != "compute" and value is not None}
    if compute not in _COMPUTE:
        message = f"there is no compute={compute!r}{near(str(compute), _COMPUTE)}"
        raise ConfigurationError(message, hint=f"Choose one of: {', '.join(_COMPUTE)}.")
    wrong = sorted(given.keys() - _COMPUTE[compute])
    if wrong:
        message = f"compute='{compute}' has no option {', '.join(map(repr, wrong))}"
        raise ConfigurationError(message, hint=f"It has: {', '.join(sorted(_COMPUTE[compute]))}.")
    if compute == "jobs":
        from ftkit.providers.huggingface.remote.provider import JobsHuggingFace

        return JobsHuggingFace(**given)
    if any(importlib.util.find_spec(package) is None for package in _NEEDED):
        raise MissingExtraError("Local training", "local")
    if compute == "ray":
        if importlib.util.find_spec("ray") is None:
            raise MissingExtraError("Training on Ray", "ray")
        from ftkit.providers.huggingface.ray_provider import RayHuggingFace

        return RayHuggingFace(**given)
    from ftkit.providers.huggingface.local import LocalHuggingFace

    return LocalHuggingFace(**given)
