from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hf_tools import HERE, Trained, end_all_below, run_python, train_lora

if sys.platform == "win32":
    pytest.skip("local training is POSIX only", allow_module_level=True)
# Looked for, not imported: the tests themselves load no torch.
if any(importlib.util.find_spec(name) is None for name in ("torch", "transformers", "trl", "peft", "starlette")):
    pytest.skip("the extra `local` is not installed", allow_module_level=True)

if TYPE_CHECKING:
    from collections.abc import Generator


@pytest.fixture(scope="session", autouse=True)
def the_same_everywhere() -> Generator[None]:
    """One thread, no GPU, no network: in our process, and so in all that it starts."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OMP_NUM_THREADS", "1")
        patch.setenv("CUDA_VISIBLE_DEVICES", "")
        patch.setenv("HF_HUB_OFFLINE", "1")
        yield


@pytest.fixture(autouse=True)
def nothing_is_left_running(tmp_path: Path) -> Generator[None]:
    yield
    end_all_below(tmp_path)


@pytest.fixture(scope="session")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a Llama of 30 000 random weights."""
    folder = tmp_path_factory.mktemp("tiny") / "tiny-llama"
    run_python(HERE / "tiny_model.py", folder)
    return folder


@pytest.fixture(scope="session")
def reference(tmp_path_factory: pytest.TempPathFactory, model: Path) -> dict[str, Any]:
    """What transformers and trl make of our templates and records."""
    out = tmp_path_factory.mktemp("reference") / "out.json"
    run_python(HERE / "reference.py", model, out)
    found: dict[str, Any] = json.loads(out.read_text(encoding="utf-8"))
    return {**found, "tokenizers": out.parent / "tokenizers"}


@pytest.fixture(scope="session")
def lora(tmp_path_factory: pytest.TempPathFactory, model: Path) -> Generator[Trained]:
    """A LoRA job that has succeeded, of which many tests look at one thing each."""
    folder = tmp_path_factory.mktemp("lora")
    yield train_lora(folder, model)
    end_all_below(folder)
