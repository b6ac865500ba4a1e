from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import ftkit

VENDORS = ["torch", "transformers", "trl", "peft", "datasets", "accelerate", "huggingface_hub", "openai", "pyarrow"]


def modules_after(code: str) -> set[str]:
    done = subprocess.run(
        [sys.executable, "-c", f"{code}\nimport sys; print(*sys.modules)"], capture_output=True, text=True, check=True
    )
    return set(done.stdout.split())


def test_import_ftkit_loads_nothing() -> None:
    loaded = modules_after("import ftkit")
    assert not loaded & {*VENDORS, "pydantic", "asyncio", "sqlite3"}
    assert {name for name in loaded if name.startswith("ftkit")} == {"ftkit"}


@pytest.mark.parametrize("code", ["from ftkit import FineTuningJob", "from ftkit import *"])
def test_no_public_name_loads_a_vendors_package(code: str) -> None:
    assert not modules_after(code) & {*VENDORS}


def test_a_client_loads_no_training_stack() -> None:
    loaded = modules_after("from ftkit import Client; c = Client('huggingface'); c.identity(); c.list_jobs()")
    assert not loaded & {"torch", "transformers", "trl", "peft", "datasets", "accelerate", "pyarrow"}


def test_every_public_name_is_there_and_typed() -> None:
    tree = ast.parse(Path(ftkit.__file__).read_text(encoding="utf-8"))
    typed = {
        alias.asname or alias.name
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("ftkit.")
        for alias in node.names
    }
    assert {*ftkit.__all__} - {"__version__"} == typed
    for name in ftkit.__all__:
        assert getattr(ftkit, name) is not None
    assert set(dir(ftkit)) == {*ftkit.__all__}


def test_a_name_that_is_not_there_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="'Clinet'"):
        ftkit.Clinet  # noqa: B018 - the access is the test
