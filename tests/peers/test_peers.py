"""Other people's clients, as they come, take a file all the way to a chat with the model that was tuned on it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from environments import NODE, environment

if TYPE_CHECKING:
    from collections.abc import Mapping

    from served import Served

pytestmark = pytest.mark.slow

PEERS = Path(__file__).parent
PATIENCE_S = 300.0
OPENAI_NAME = "ft:gpt-4o-mini-2024-07-18:"
AZURE_NAME = "gpt-4o-mini-2024-07-18.ft-"


def openai_of(server: Served) -> dict[str, str]:
    return {"OPENAI_BASE_URL": f"{server.url}/v1", "OPENAI_API_KEY": server.key}


def azure_of(server: Served) -> dict[str, str]:
    return {"AZURE_OPENAI_ENDPOINT": server.url, "ARM_ENDPOINT": server.url, "AZURE_OPENAI_API_KEY": server.key}


def run_python(script: str, train: Path, variables: Mapping[str, str]) -> dict[str, Any]:
    client = PEERS / script
    return run(environment(client.parent) / "bin" / "python", client, train, variables)


def run(interpreter: Path, client: Path, train: Path, variables: Mapping[str, str]) -> dict[str, Any]:
    """Runs a client without any of our environment, and returns what it has seen."""
    own = {
        "PATH": os.environ["PATH"],
        "HOME": str(train.parent),
        "LITELLM_LOCAL_MODEL_COST_MAP": "True",  # else it asks the network for prices
        **variables,
    }
    done = subprocess.run(
        [interpreter, client, train], env=own, capture_output=True, text=True, timeout=PATIENCE_S, check=False
    )
    assert done.returncode == 0, done.stderr
    seen: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return seen


def assert_tuned(seen: Mapping[str, Any], name: str) -> None:
    """It has a model of its own, which says what the file says."""
    assert seen["status"] == "succeeded"
    assert seen["model"].startswith(name)
    assert seen["answer"] == "Maté, as ever."


def assert_watched(seen: Mapping[str, Any]) -> None:
    """It could see how the job went, and what there is besides."""
    assert seen["results"].startswith("step,train_loss")
    assert seen["streamed"] == seen["answer"]
    assert seen["job"] in seen["jobs"]
    assert seen["file"] in seen["files"]


def assert_listed(seen: Mapping[str, Any]) -> None:
    assert len(set(seen["events"])) == len(seen["events"]) > 2, "they come two a page"
    assert seen["checkpoints"]
    assert seen["model"] in seen["models"]


def test_openai_package(server: Served, train: Path) -> None:
    seen = run_python("openai-python/client.py", train, openai_of(server))
    assert_tuned(seen, OPENAI_NAME)
    assert_watched(seen)
    assert_listed(seen)
    assert seen["jobs"] == [seen["job"]], "metadata finds this one alone"
    assert seen["deleted"] == [True, True]


def test_openai_package_awaited_with_an_upload_in_parts(server: Served, train: Path) -> None:
    seen = run_python("openai-python/async_client.py", train, openai_of(server))
    assert_tuned(seen, OPENAI_NAME)
    assert_watched(seen)
    assert_listed(seen)
    assert seen["deleted"] == [True, True]


@pytest.mark.full
def test_openai_command_line(server: Served, train: Path) -> None:
    seen = run_python("openai-command/client.py", train, openai_of(server))
    assert_tuned(seen, OPENAI_NAME)
    assert seen["streamed"] == seen["answer"]
    assert seen["job"] in seen["jobs"]
    assert seen["model"] in seen["models"]
    assert seen["filename"] == train.name, "it sends the whole path"
    assert seen["deleted"] == [True]


def test_openai_package_for_node(server: Served, train: Path) -> None:
    # Node.js looks for packages beside the script.
    (train.parent / "node_modules").symlink_to(environment(PEERS / "openai-node") / "node_modules")
    client = Path(shutil.copy(PEERS / "openai-node" / "client.mjs", train.parent))
    seen = run(NODE, client, train, openai_of(server))
    assert_tuned(seen, OPENAI_NAME)
    assert_watched(seen)
    assert_listed(seen)
    assert seen["deleted"] == [True, True]


def test_litellm_as_openai(server: Served, train: Path) -> None:
    seen = run_python("litellm-python/client.py", train, openai_of(server))
    assert_tuned(seen, OPENAI_NAME)
    assert_watched(seen)
    assert seen["cancelled"] == "cancelled"
    assert seen["deleted"] == [True]


def test_litellm_as_azure(server: Served, train: Path) -> None:
    seen = run_python("litellm-python/azure_client.py", train, azure_of(server))
    assert_tuned(seen, AZURE_NAME)
    assert_watched(seen)
    assert seen["answer_of_v1"] == seen["answer"]
    assert seen["cancelled"] == "cancelled"
    assert seen["deleted"] == [True]


@pytest.mark.full
def test_dspy(server: Served, train: Path) -> None:
    assert_tuned(run_python("dspy-python/client.py", train, openai_of(server)), OPENAI_NAME)


def test_azure_packages(server: Served, train: Path) -> None:
    seen = run_python("azure-python/client.py", train, azure_of(server))
    assert_tuned(seen, AZURE_NAME)
    assert_watched(seen)
    assert_listed(seen)
    assert seen["deployment"] == ["azure-peer", "Succeeded", seen["model"]]
    assert seen["deployments"] == ["azure-peer"]
    assert seen["gone"] == [True, True, True]
