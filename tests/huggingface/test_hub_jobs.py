"""Jobs that train for real on the stand-in's machines, which have nothing but what was sent with them."""

from __future__ import annotations

import io
import json
import logging
import zipfile
from typing import TYPE_CHECKING

import pytest
from hf_tools import client_of
from hub_tools import (
    METHOD,
    MODEL,
    SAVED,
    STEPS,
    TOKEN,
    HubStandIn,
    a_hub,
    client_of_hub,
    put_model,
    repository,
    request_of,
)
from local_witness import until

from ftkit.errors import ConfigurationError, JobFailedError, ProviderError
from ftkit.models import JobStatus
from ftkit.providers.huggingface.local import LocalHuggingFace

if TYPE_CHECKING:
    from pathlib import Path

    from hf_tools import Trained

pytestmark = [pytest.mark.slow]


def files_of(hub: HubStandIn, name: str) -> dict[str, bytes]:
    """What lies on the branch of a job's repository; nothing where that is not there yet."""
    repo = hub.repos.get(("model", name))
    return repo.files("training") if repo is not None and "training" in repo.branches else {}


def test_a_job_survives_lost_machines_and_ends_as_it_would_have_here(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    here = client_of(tmp_path / "here")
    alike = here.fine_tune(str(model), **request_of(tmp_path))

    with a_hub(monkeypatch, tmp_path) as hub:
        put_model(hub, model)
        client = client_of_hub(hub, tmp_path)
        with caplog.at_level(logging.WARNING, "ftkit"):
            job = client.fine_tune(MODEL, **request_of(tmp_path))
        assert "at most $0.01 until its timeout of 10m" in caplog.text
        [first] = hub.jobs.values()
        assert first.labels["ftkit-job"] == job.id
        told = lambda: [event.message for event in client.list_events(job, limit=1000).items]  # noqa: E731

        # Its machine is lost in the middle; the same request goes on, on another.
        kept = f"checkpoints/checkpoint-{SAVED}/complete.json"
        until(lambda: kept in files_of(hub, repository(hub, job.id)), "no checkpoint comes")
        assert client.get_job(job).status is JobStatus.RUNNING
        hub.kill(first.id)
        lost = client.get_job(job)
        assert (lost.status, lost.interrupted, lost.provider_status) == (JobStatus.PAUSED, True, "ERROR")
        assert (lost.error or "").startswith("interrupted: Job failed with exit code: 137\n  the end of its log:")
        again = client.fine_tune(MODEL, **request_of(tmp_path))
        assert (again.id, again.status, hub.posts) == (job.id, JobStatus.QUEUED, 2)
        done = client.wait(job, progress=False)

        assert (done.status, done.step, done.fine_tuned_model) == (
            JobStatus.SUCCEEDED,
            STEPS,
            f"me/my-cookies-{job.id}",
        )
        whole = here.wait(alike, progress=False)
        mine, theirs = client.results(job), here.results(alike)
        assert [row.step for row in mine] == list(range(1, STEPS + 1))
        assert [row.train_loss for row in mine] == pytest.approx([row.train_loss for row in theirs], rel=1e-6)
        valid, there = ({row.step: row.full_valid_loss for row in r if row.full_valid_loss} for r in (mine, theirs))
        assert valid == pytest.approx(there, rel=1e-6)
        assert sorted(valid) == list(range(8, STEPS + 1, 8))
        assert done.trained_tokens == whole.trained_tokens
        ids = [event.id for event in client.list_events(job, limit=1000).items]
        assert ids == sorted(set(ids))
        assert "Run 2 of the job begins on a machine of the Hub (cpu-basic)" in told()
        going = [int(event.rpartition(" ")[2]) for event in told() if event.startswith("Going on from step")]
        assert len(going) == 1
        assert going[0] >= SAVED
        assert [mark.step for mark in client.list_checkpoints(job)] == [240, 200, 160]

        # What the Hub has: the model with its card, and no weights but its own; nothing that is secret.
        assert done.fine_tuned_model is not None
        [repo] = [repo for (kind, name), repo in hub.repos.items() if (kind, name) == ("model", done.fine_tuned_model)]
        assert [name for name in repo.files() if name.endswith(".safetensors")] == ["model.safetensors"]
        card = repo.files()["README.md"].decode()
        for fact in (
            f"base_model: {MODEL}",
            "| Method | supervised, LoRA (r=4, alpha=8), merged |",
            "| Training data | 64 examples, `sha256:",
            "n_epochs 30, batch_size 8, learning_rate 0.005, seed 7",
            f"| {STEPS} | {theirs[-1].train_loss:.4g} | {theirs[-1].full_valid_loss:.4g} |",
        ):
            assert fact in card
        assert str(tmp_path) not in card
        for each in hub.jobs.values():
            assert each.posted["secrets"] == {"HF_TOKEN": TOKEN}
            seen = json.dumps([each.posted["environment"], each.posted["command"], each.lines])
            assert TOKEN not in seen
        assert not any(TOKEN.encode() in content for repo in hub.repos.values() for content in repo.files().values())


def test_a_pause_gives_the_machine_back_and_keeps_every_step(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with a_hub(monkeypatch, tmp_path) as hub:
        put_model(hub, model)
        client = client_of_hub(hub, tmp_path)
        request = request_of(tmp_path)
        request["method"] = METHOD.model_copy(update={"n_epochs": 400})
        request["provider_options"] = {"max_length": 200, "save_steps": 1000}
        job = client.fine_tune(MODEL, **request)
        [first] = hub.jobs.values()
        hub.wait_for_line(first.id, "Step 3/3200")
        client.pause_job(job)
        until(lambda: client.get_job(job).status is JobStatus.PAUSED, "it does not pause")
        paused = client.get_job(job)
        assert (paused.interrupted, paused.error, first.stage) == (False, None, "COMPLETED")
        assert [mark.step for mark in client.list_checkpoints(job)] == [paused.step]
        assert (paused.step or 0) >= 3
        assert client.fine_tune(MODEL, **request).status is JobStatus.PAUSED, "it stays so, whoever asks for it"

        client.resume_job(job)
        second = list(hub.jobs.values())[1]
        hub.wait_for_line(second.id, f"Going on from step {paused.step}")
        assert client.resume_job(job).status is JobStatus.RUNNING, "twice is once"
        hub.wait_for_line(second.id, f"Step {(paused.step or 0) + 200}/")
        state = json.loads(files_of(hub, repository(hub, job.id))["status.json"])
        assert (state["run"], state["step"]) == (1, paused.step), (
            "a run that came to no checkpoint is not taken for one"
        )
        assert client.cancel_job(job).status is JobStatus.CANCELLED
        assert hub.wait(second.id).stage == "CANCELED"
        assert hub.posts == 2


def test_what_a_trainer_dies_of_is_told_and_code_that_was_changed_is_not_run(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with a_hub(monkeypatch, tmp_path) as hub:
        put_model(hub, model)
        client = client_of_hub(hub, tmp_path)
        request = request_of(tmp_path)
        with pytest.raises(JobFailedError, match="the training file holds nothing to learn"):
            client.fine_tune(MODEL, **{**request, "provider_options": {"max_length": 8}, "wait": True})

        code = hub.repos["dataset", "me/ftkit-code"]
        [name] = [name for name in code.files() if name.endswith(".zip")]
        with zipfile.ZipFile(io.BytesIO(code.files()[name])) as archive:
            assert "ftkit/providers/huggingface/train.py" in archive.namelist()
            assert not any("__pycache__" in inside for inside in archive.namelist())
        code.commit("main", {**code.files(), name: b"something else"}, "not ours")
        with pytest.raises(JobFailedError, match=r"ftkit-code/ftkit-[0-9a-f]+\.zip holds something else"):
            client.fine_tune(MODEL, **{**request, "seed": 8, "wait": True})


def test_a_model_that_was_tuned_here_is_pushed_with_its_card(
    lora: Trained, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    provider = lora.client.provider
    assert isinstance(provider, LocalHuggingFace)
    with a_hub(monkeypatch, tmp_path) as hub:
        hub.refusing["POST create"].append((503, {"error": "busy"}, {}))
        url = provider.push_model(lora.job, "cookies", hub=hub.api())
        assert url.endswith("/me/cookies")
        files = hub.repos["model", "me/cookies"].files()
        model = lora.place / "model"
        assert {
            name: len(content) for name, content in files.items() if name not in {"README.md", ".gitattributes"}
        } == {path.name: path.stat().st_size for path in model.iterdir()}
        card = files["README.md"].decode()
        [last] = lora.client.results(lora.job)[-1:]
        for fact in (
            "tags:\n- ftkit\n- sft\n- lora\n",
            "a model that is not on the Hub",
            "LoRA (r=4, alpha=8), merged",
            "| Validation data | ",
            "| Machine | cpu, 32-bit floats |",
            f"| {last.step} | {last.train_loss:.4g} | {last.full_valid_loss:.4g} | ",
        ):
            assert fact in card
        assert str(lora.folder) not in card
        assert not (model / "README.md").exists()
        assert provider.push_model(lora.job.id, "me/cookies", hub=hub.api()) == url
        with pytest.raises(ConfigurationError, match="can be no name of a repository"):
            provider.push_model(lora.job, "https://huggingface.co/me/cookies", hub=hub.api())
        hub.refusing["POST create"].append((403, {"error": "not yours"}, {}))
        with pytest.raises(ProviderError, match="not yours"):
            provider.push_model(lora.job.id, "other/cookies", hub=hub.api())
    left = [path.name for path in lora.place.iterdir() if path.name.startswith(".push")]
    assert left == []
