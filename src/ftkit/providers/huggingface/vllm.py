"""vLLM's own environment, and what it runs on: an NVIDIA GPU.

vLLM pins its torch, and a transformers that is older than ours, so it gets an environment of its own
(`ftkit.providers._environments`). ftkit never imports it.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

from ftkit.errors import ConfigurationError
from ftkit.providers._environments import OwnEnvironment

VARIABLE = "FTKIT_VLLM_PYTHON"
_REQUIREMENTS = Path(__file__).with_name("requirements-vllm.txt")
_VISIBLE = "CUDA_VISIBLE_DEVICES"
_SMI = ("nvidia-smi", "--query-gpu=name", "--format=csv,noheader")
_SMI_S = 20.0  # a driver that nobody uses at the moment takes seconds to wake up

OWN = OwnEnvironment(
    name="vLLM",
    slug="vllm",
    command="ftkit vllm setup",
    variable=VARIABLE,
    requirements=_REQUIREMENTS,
    packages=("vllm", "torch", "transformers"),
    size="9 GB",
    pythons=("3.12", "3.11", "3.13", "3.14"),
)


def gpu() -> str:
    """Returns the name of the NVIDIA GPU of this machine, the first if there are several. Loads no torch.

    Raises:
        ConfigurationError: There is none, or none that we may use; it says why we think so.
    """
    if os.environ.get(_VISIBLE, "0").strip() in {"", "-1"}:
        raise ConfigurationError(f"{_VISIBLE} hides all GPUs", hint=f"Unset {_VISIBLE} to use them.")
    if shutil.which(_SMI[0]) is None:
        if any(Path("/dev").glob("nvidia[0-9]*")):
            return "an NVIDIA GPU"
        raise ConfigurationError("there is no NVIDIA GPU here: no nvidia-smi, and no /dev/nvidia0")
    try:
        asked = subprocess.run(  # noqa: S603 - it is on the user's path
            _SMI, capture_output=True, text=True, check=False, timeout=_SMI_S
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise ConfigurationError(f"nvidia-smi does not run: {error}", hint="See that the driver is well.") from error
    names = asked.stdout.strip().splitlines()
    if asked.returncode != 0 or not names:
        said = (asked.stdout + asked.stderr).strip() or "it names none"
        raise ConfigurationError(f"nvidia-smi finds no GPU: {said.splitlines()[-1]}")
    return names[0].strip()
