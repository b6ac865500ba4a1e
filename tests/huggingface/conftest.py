from __future__ import annotations

import importlib.util
import json
import os
import sys
from typing import TYPE_CHECKING, Any

import pytest
from filelock import FileLock
from hf_tools import HERE, HF_TOKEN, Trained, run_python, train_lora
from local_conformance import a_quiet_machine
from local_witness import end_all_below

if sys.platform == "win32":
    pytest.skip("local training is POSIX only", allow_module_level=True)
# Looked for, not imported: the tests themselves load no torch.
if any(importlib.util.find_spec(name) is None for name in ("torch", "transformers", "trl", "peft", "starlette")):
    pytest.skip("the extra `local` is not installed", allow_module_level=True)

if TYPE_CHECKING:
    from collections.abc import Generator
    from pathlib import Path


@pytest.fixture(scope="session", autouse=True)
def the_same_everywhere() -> Generator[None]:
    with a_quiet_machine(HF_TOKEN):
        yield


@pytest.fixture(autouse=True)
def nothing_is_left_running(tmp_path: Path) -> Generator[None]:
    yield
    end_all_below(tmp_path)


@pytest.fixture(scope="session")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of the whole run: what is costly is made once, also where two workers want it at the same time.

    `xdist_group` asks for the same, and is not heeded by pytest-xdist 3.8 under pytest 9.2 (pytest-xdist#1386).
    """
    base = tmp_path_factory.getbasetemp()
    folder = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "huggingface-shared"
    folder.mkdir(exist_ok=True)
    return folder


@pytest.fixture(scope="session")
def model(shared: Path) -> Path:
    """A folder with a Llama of 30 000 random weights."""
    folder = shared / "tiny-llama"
    with FileLock(shared / "model.lock"):
        if not (folder / "model.safetensors").exists():
            run_python(HERE / "tiny_model.py", folder)
    return folder


@pytest.fixture(scope="session")
def reference(shared: Path, model: Path) -> dict[str, Any]:
    """What transformers and trl make of our templates and records."""
    out = shared / "reference" / "out.json"
    with FileLock(shared / "reference.lock"):
        if not out.exists():
            out.parent.mkdir()
            run_python(HERE / "reference.py", model, out)
    found: dict[str, Any] = json.loads(out.read_text(encoding="utf-8"))
    return {**found, "tokenizers": out.parent / "tokenizers"}


@pytest.fixture(scope="session")
def lora(shared: Path, model: Path) -> Trained:
    """A LoRA job that has succeeded, of which many tests look at one thing each.

    No lock is needed: whoever asks second for the same gets the same job.
    """
    return train_lora(shared / "lora", model)
