"""Which program serves a model on this machine: vLLM where it can, else our own."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import Literal

from ftkit.errors import ConfigurationError

Wanted = Literal["auto", "transformers", "vllm"]
_PYTHON = (sys.executable, "-P", "-m")  # -P: no module of the user's folder
_HERE = "ftkit.providers.huggingface"


@dataclass(frozen=True, slots=True)
class Engine:
    """A server of models.

    Attributes:
        command: The program, which `ftkit.providers._local_endpoints` tells the rest.
        start_s: How long it may take to start, unless the user says.
        why: What was chosen, and why, in a line for the log; empty if there was no choice.
    """

    command: tuple[str, ...]
    start_s: float = 120.0
    why: str = ""


def choose(wanted: Wanted) -> Engine:
    """Chooses the server. "auto" is vLLM where there is an NVIDIA GPU and vLLM's environment, else our own.

    Raises:
        ConfigurationError: vLLM was asked for, and cannot be had.
    """
    if wanted == "transformers":
        return _ours("as asked for")
    try:
        return _vllm()
    except ConfigurationError as error:
        if wanted == "vllm":
            hint = error.hint or "Leave out engine, or say engine='transformers': that needs no GPU."
            raise ConfigurationError(f"engine='vllm' cannot be had: {error.message}", hint=hint) from error
        return _ours(f"not vLLM: {error.message}")


def _ours(why: str) -> Engine:
    return Engine((*_PYTHON, f"{_HERE}.serve"), why=f"engine: transformers ({why})")


def _vllm() -> Engine:
    from ftkit.providers.huggingface import vllm

    gpu = vllm.gpu()  # first: nobody should build an environment for a GPU that is not there
    environment = vllm.OWN.required()
    version = vllm.OWN.check(environment)["vllm"]
    command = (*_PYTHON, f"{_HERE}.vllm_serve", f"--python={environment.python}")
    # It compiles kernels, and records graphs, as it starts.
    return Engine(command, start_s=600.0, why=f"engine: vLLM {version} (on {gpu}; {environment.python})")
