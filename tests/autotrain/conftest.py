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
from local_conformance import a_quiet_machine
from local_witness import end_all_below

from ftkit.providers.autotrain import environment

if TYPE_CHECKING:
    from collections.abc import Generator

CACHE = Path(__file__).parent.parent.parent / ".cache"


@pytest.fixture(scope="session", autouse=True)
def the_same_everywhere() -> Generator[None]:
    with a_quiet_machine(HF_TOKEN):
        yield


@pytest.fixture(autouse=True)
def nothing_is_left_running(tmp_path: Path) -> Generator[None]:
    yield
    end_all_below(tmp_path)


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
