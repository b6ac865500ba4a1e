from __future__ import annotations

import importlib.util
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from reading_back import There

if TYPE_CHECKING:
    from collections.abc import Generator

HERE = Path(__file__).parent
THEIRS = (
    "ignore:The ``noload`` loader strategy is deprecated:sqlalchemy.exc.SADeprecationWarning",  # mlflow 3.17
)
"""Warnings that these packages cause among themselves."""
PACKAGES = ("tensorboard", "wandb", "mlflow", "trackio")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if HERE in item.path.parents:
            for theirs in THEIRS if importlib.util.find_spec("sqlalchemy") else ():
                item.add_marker(pytest.mark.filterwarnings(theirs))


@pytest.fixture(scope="session", autouse=True)
def surroundings(tmp_path_factory: pytest.TempPathFactory) -> Generator[None]:
    """No network, no telemetry, and nothing in the user's folders."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TRACKIO_DIR", str(tmp_path_factory.mktemp("trackio")))  # read once, at its import
        patch.setenv("WANDB_MODE", "offline")
        patch.setenv("WANDB_ERROR_REPORTING", "false")
        patch.setenv("MLFLOW_DISABLE_TELEMETRY", "true")
        for name in ("TRACKIO_SPACE_ID", "TRACKIO_SERVER_URL", "WANDB_API_KEY", "MLFLOW_TRACKING_URI"):
            patch.delenv(name, raising=False)
        yield


@pytest.fixture(scope="session")
def empty_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database of MLflow's with its tables, which take seconds to make."""
    from mlflow import MlflowClient

    path = tmp_path_factory.mktemp("mlflow") / "empty.db"
    MlflowClient(f"sqlite:///{path}").search_experiments()
    return path


@pytest.fixture(params=PACKAGES)
def there(request: pytest.FixtureRequest, tmp_path: Path) -> There:
    name: str = request.param
    if importlib.util.find_spec(name) is None:
        pytest.skip(f"{name} is not installed (it is in the extra `{name}`)")
    place = str(tmp_path / "kept")
    if name == "mlflow":
        shutil.copy(request.getfixturevalue("empty_database"), tmp_path / "kept.db")
        place = f"sqlite:///{tmp_path / 'kept.db'}"
    return There(name, tmp_path.name if name == "trackio" else place)
