"""A tuned model is pushed to the Hub by ftkit, after the training; and a push that fails costs no training."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from autotrain_tools import client_of, texts, write
from hub_standin import TOKEN, USER
from hubs.wire import online
from spaces_tools import standing

from ftkit import JobStatus, Supervised
from ftkit.errors import CredentialsError
from ftkit.providers.autotrain import hub

if TYPE_CHECKING:
    from collections.abc import Generator
    from pathlib import Path

    from hub_standin import HubStandIn

REPO = f"{USER}/sums"


@pytest.fixture
def standin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Generator[HubStandIn]:
    online(monkeypatch, tmp_path / "hf")
    with standing() as made:
        monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", made.url)
        monkeypatch.setenv("HF_ENDPOINT", made.url)
        monkeypatch.setenv("HF_TOKEN", TOKEN)
        monkeypatch.setenv("HF_HUB_DISABLE_XET", "1")  # the stand-in takes large files the older way
        yield made


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    place = tmp_path / "model"
    place.mkdir()
    (place / "config.json").write_text("{}")
    return place


def test_a_repository_that_is_there_already_takes_a_model_too(standin: HubStandIn, folder: Path) -> None:
    for content in ("{}", '{"model_type": "llama"}'):
        (folder / "config.json").write_text(content)
        assert hub.push(folder, REPO).endswith(REPO)
        assert standin.repos["model", REPO].files["config.json"].decode() == content


def test_a_token_that_is_refused_is_an_error_of_ours(
    standin: HubStandIn, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    del standin
    monkeypatch.setenv("HF_TOKEN", "hf_wrong")
    with pytest.raises(CredentialsError) as refused:
        hub.push(folder, REPO)
    assert "hf_wrong" not in str(refused.value)


@pytest.mark.slow
@pytest.mark.parametrize("token", [TOKEN, "hf_wrong"], ids=["right", "wrong"])
def test_a_job_pushes_its_model(
    standin: HubStandIn, tmp_path: Path, model: Path, autotrain_python: str, token: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_TOKEN", token)
    client = client_of(tmp_path, autotrain_python)
    train = write(tmp_path / "train.jsonl", texts(40))
    job = client.fine_tune(
        str(model), train, method=Supervised(), provider_options={"push_to_hub": REPO}, progress=False
    )
    assert job.status is JobStatus.SUCCEEDED
    told = [event.message for event in client.list_events(job, limit=1000).items]
    if token == TOKEN:
        assert any(message.startswith("The model is at ") for message in told)
        assert {"model.safetensors", "config.json", "README.md"} <= set(standin.repos["model", REPO].files)
    else:
        assert any(message.startswith(f"The model could not be pushed to {REPO}: ") for message in told)
