from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

pytest.importorskip("torch")
pytest.importorskip("transformers")
pytest.importorskip("starlette")

from ftkit.providers._local_endpoints import LocalEndpoints

if TYPE_CHECKING:
    from collections.abc import Generator

    from ftkit.models import Deployment

HERE = Path(__file__).parent


@pytest.fixture(scope="session", autouse=True)
def one_thread() -> Generator[None]:
    """The servers inherit it: two cores, and tests that run at once."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OMP_NUM_THREADS", "1")
        patch.setenv("HF_HUB_OFFLINE", "1")
        yield


@pytest.fixture(scope="session")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models")
    subprocess.run(
        [sys.executable, str(HERE / "tiny_model.py"), str(folder)],
        check=True,
        capture_output=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    return folder


@pytest.fixture(scope="session")
def model(models: Path) -> Path:
    return models / "model"


@pytest.fixture(scope="session")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Generator[LocalEndpoints]:
    """Endpoints that the whole run shares; all servers in it are stopped at the end."""
    endpoints = LocalEndpoints(tmp_path_factory.mktemp("endpoints"), "huggingface", "local:tests")
    yield endpoints
    for deployment in endpoints.list_deployments():
        endpoints.delete_deployment(deployment.name)


@pytest.fixture(scope="session")
def tiny(shared: LocalEndpoints, model: Path) -> Deployment:
    return shared.deploy("tiny", str(model), "job-1", {"threads": 1})


@pytest.fixture
def endpoints(tmp_path: Path) -> Generator[LocalEndpoints]:
    """Endpoints of one test; all servers in it are stopped at the end."""
    own = LocalEndpoints(tmp_path / "endpoints", "huggingface", "local:tests")
    yield own
    for deployment in own.list_deployments():
        own.delete_deployment(deployment.name)
