"""A stand-in for Inference Endpoints, and our side of it."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest
from hubs.endpoints import TOKEN, USER, EndpointsStandIn
from huggingface_hub import constants

from ftkit.providers._hub_account import HubAccount
from ftkit.providers.huggingface.endpoints import HubEndpoints

if TYPE_CHECKING:
    from collections.abc import Generator
    from pathlib import Path


@pytest.fixture
def service(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Generator[EndpointsStandIn]:
    """Yields a stand-in that huggingface_hub asks, and sees that our token alone came to it."""
    standin = EndpointsStandIn()
    monkeypatch.setattr(constants, "INFERENCE_ENDPOINTS_ENDPOINT", f"{standin.url}/v2")
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setenv("HF_HOME", str(tmp_path))
    for name in [name for name in os.environ if name.lower() in {"http_proxy", "https_proxy", "all_proxy", "hf_token"}]:
        monkeypatch.delenv(name)
    yield standin
    standin.stop()
    assert standin.tokens <= {f"Bearer {TOKEN}"}


@pytest.fixture
def endpoints(service: EndpointsStandIn) -> HubEndpoints:
    return HubEndpoints(
        HubAccount("huggingface", USER, None, service.api()), f"hub/{USER}", poll_s=0.02, wake_timeout_s=1.0
    )
