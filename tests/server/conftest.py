from __future__ import annotations

import importlib.util
import json
from typing import TYPE_CHECKING, Any

import pytest

if any(importlib.util.find_spec(name) is None for name in ("fastapi", "uvicorn", "python_multipart", "openai")):
    pytest.skip("the extras `server` and `openai` are not installed", allow_module_level=True)

from live import Live, live

if TYPE_CHECKING:
    from collections.abc import Callable, Generator
    from pathlib import Path

    from openai import AzureOpenAI, OpenAI


@pytest.fixture
def start(tmp_path: Path) -> Generator[Callable[..., Live]]:
    """Starts servers, in one folder if not told otherwise, and stops those that still run at the end."""
    running: list[Live] = []

    def start_one(**settings: Any) -> Live:
        running.append(live(settings.pop("home", tmp_path / "server"), **settings))
        return running[-1]

    yield start_one
    for server in running:
        server.stop()


@pytest.fixture
def server(start: Callable[..., Live]) -> Live:
    """A server in front of a provider that trains nothing: the test says how a job goes."""
    return start()


@pytest.fixture
def openai(server: Live) -> Generator[OpenAI]:
    with server.openai() as client:
        yield client


@pytest.fixture
def azure(server: Live) -> Generator[AzureOpenAI]:
    with server.azure() as client:
        yield client


@pytest.fixture
def rows() -> bytes:
    """The bytes of a training file."""
    return b"".join(
        json.dumps(
            {"messages": [{"role": "user", "content": f"{n}?"}, {"role": "assistant", "content": f"{n}!"}]}
        ).encode()
        + b"\n"
        for n in range(12)
    )
