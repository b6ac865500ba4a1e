from __future__ import annotations

import importlib.util
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from filelock import FileLock

if sys.platform == "win32":
    pytest.skip("local training is POSIX only", allow_module_level=True)
if any(importlib.util.find_spec(name) is None for name in ("torch", "transformers", "starlette")):
    pytest.skip("the extra `local` is not installed", allow_module_level=True)

from autotrain_tools import HF_TOKEN, build_model

from ftkit.providers.autotrain import environment

if TYPE_CHECKING:
    from collections.abc import Generator

CACHE = Path(__file__).parent.parent.parent / ".cache"


@pytest.fixture(scope="session", autouse=True)
def the_same_everywhere() -> Generator[None]:
    """One thread, no GPU, no network: in our process, and so in all that it starts."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OMP_NUM_THREADS", "1")
        patch.setenv("CUDA_VISIBLE_DEVICES", "")
        patch.setenv("HF_HUB_OFFLINE", "1")
        patch.setenv("HF_TOKEN", HF_TOKEN)
        yield


@pytest.fixture(scope="session")
def autotrain_python() -> str:
    """The interpreter of AutoTrain's environment, which the first test that asks for it builds: once, for all."""
    CACHE.mkdir(exist_ok=True)
    with pytest.MonkeyPatch.context() as patch, FileLock(CACHE / "autotrain.lock"):
        patch.setenv("FTKIT_CACHE", str(CACHE))
        patch.delenv(environment.VARIABLE, raising=False)
        return str(environment.setup(print).python)


@pytest.fixture(scope="session")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a Llama of random weights, as today's transformers writes it."""
    base = tmp_path_factory.getbasetemp()
    folder = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "autotrain-model"
    with FileLock(f"{folder}.lock"):
        if not (folder / "model.safetensors").exists():
            build_model(folder)
    return folder
