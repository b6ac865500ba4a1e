"""The command, its folder, and what it outlives: with the real trainer behind it."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING

import openai as sdk
import psutil
import pytest
from live import until
from served import Served

if sys.platform == "win32":
    pytest.skip("local training is POSIX only", allow_module_level=True)

if TYPE_CHECKING:
    from collections.abc import Generator
    from pathlib import Path

pytestmark = pytest.mark.slow

GPT = "gpt-4o-mini-2024-07-18"


@pytest.fixture
def served(tmp_path: Path) -> Generator[Served]:
    server = Served(tmp_path / "home", "--model", f"{GPT}=ftkit/small")
    yield server
    server.end()


def ftkit(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-m", "ftkit", *arguments], capture_output=True, text=True, check=False)


@pytest.fixture
def many_rows() -> bytes:
    """Enough to train on for some seconds."""
    row = {"messages": [{"role": "user", "content": "How many {}?"}, {"role": "assistant", "content": "{} of them."}]}
    return b"".join(json.dumps(row).replace("{}", f"cups {n}").encode() + b"\n" for n in range(64))


def test_a_job_killed_with_its_server_goes_on_after_a_restart_and_succeeds(served: Served, many_rows: bytes) -> None:
    served.start()
    hyperparameters = {"n_epochs": 4, "batch_size": 4}
    with served.client() as client:
        file = client.files.create(file=("cups.jsonl", many_rows), purpose="fine-tune").id
        job = client.fine_tuning.jobs.create(
            model=GPT,
            training_file=file,
            method={"type": "supervised", "supervised": {"hyperparameters": hyperparameters}},
        )
        waiting = client.fine_tuning.jobs.create(model=GPT, training_file=file, seed=1, hyperparameters={"n_epochs": 1})
        until(lambda: len(list(client.fine_tuning.jobs.checkpoints.list(job.id))) > 1, 60)
    served.kill()
    trainers = list(served.trainers())
    assert trainers, "it was training"
    for process in trainers:
        process.kill()
    psutil.wait_procs(trainers, 10)

    said = served.start()
    assert "sk-" not in said, "the key is shown at the first start only"
    with served.client() as client:
        until(lambda: client.fine_tuning.jobs.retrieve(job.id).status == "succeeded", 120)
        until(lambda: client.fine_tuning.jobs.retrieve(waiting.id).status == "succeeded", 60)
        told = [event.message for event in client.fine_tuning.jobs.list_events(job.id)]
        assert any("interrupted" in message for message in told)
        results = client.fine_tuning.jobs.retrieve(job.id).result_files
        steps = [line.split(",")[0] for line in client.files.content(results[0]).text.splitlines()[1:]]
        assert steps == [str(n) for n in range(1, 4 * 16 + 1)], "each step once, as if nothing had happened"
        assert len(list((served.home / "huggingface").glob("ftjob-*"))) == 2


def test_a_running_job_is_paused_and_goes_on_when_it_is_resumed(served: Served, many_rows: bytes) -> None:
    served.start()
    with served.client() as client:
        file = client.files.create(file=("cups.jsonl", many_rows), purpose="fine-tune").id
        job = client.fine_tuning.jobs.create(
            model=GPT, training_file=file, hyperparameters={"n_epochs": 4, "batch_size": 4}
        )

        def status() -> str:
            return client.fine_tuning.jobs.retrieve(job.id).status

        with pytest.raises(sdk.BadRequestError, match="cannot be asked to resume"):
            client.fine_tuning.jobs.resume(job.id)
        until(lambda: status() == "running", 60)
        until(lambda: len(list(client.fine_tuning.jobs.checkpoints.list(job.id))) > 0, 60)
        assert client.fine_tuning.jobs.pause(job.id).status == "pausing"
        until(lambda: status() == "paused", 60)
        assert client.fine_tuning.jobs.resume(job.id).status == "resuming"
        until(lambda: status() == "succeeded", 120)


def test_two_servers_do_not_share_a_folder(served: Served) -> None:
    served.start()
    second = ftkit("serve", "--home", str(served.home), "--port", "0")
    assert second.returncode == 1
    assert "another server is running in" in second.stderr
    assert "Traceback" not in second.stderr


def test_it_listens_for_others_only_with_keys(tmp_path: Path) -> None:
    refused = ftkit("serve", "--home", str(tmp_path / "h"), "--port", "0", "--host", "0.0.0.0", "--no-auth")  # noqa: S104
    assert refused.returncode == 2
    assert "--no-auth" in refused.stderr


def test_keys_are_made_listed_and_revoked_while_it_runs(served: Served) -> None:
    served.start()
    home = ("--home", str(served.home))
    first = served.key
    served.key = ftkit("keys", "create", "laptop", *home).stdout.strip()
    with served.client() as client:
        assert list(client.models.list())
        listed = ftkit("keys", "list", *home)
        assert [line.split()[0] for line in listed.stdout.splitlines()] == ["default", "laptop"]
        assert str(served.home) in listed.stderr, "whose keys they are"
        assert ftkit("keys", "revoke", "laptop", *home).returncode == 0
        with pytest.raises(sdk.AuthenticationError):
            client.models.list()
    served.key = first
    assert served.client().models.list().data


def test_keys_of_no_server_are_an_error_and_make_none(tmp_path: Path) -> None:
    refused = ftkit("keys", "list", "--home", str(tmp_path / "typo"))
    assert refused.returncode == 2
    assert "there is no server in" in refused.stderr
    assert not (tmp_path / "typo").exists()


def test_a_folder_that_cannot_be_one_is_told_in_a_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    refused = ftkit("serve", "--home", str(tmp_path / "file"), "--port", "0", "--model", f"{GPT}=ftkit/small")
    assert refused.returncode == 2
    assert "Traceback" not in refused.stderr
    assert "another --home" in refused.stderr


def test_ctrl_c_ends_it_and_the_models_that_answered(served: Served) -> None:
    served.start()
    with served.client() as client:
        client.chat.completions.create(model=GPT, messages=[{"role": "user", "content": "Hello?"}], max_tokens=2)
    assert list(served.trainers())
    assert served.interrupt() == 130, "as any program that Ctrl-C ended"
    assert not list(served.trainers())
    assert "Traceback" not in served.log


def test_wrong_models_are_told_before_anything_is_served(tmp_path: Path) -> None:
    refused = ftkit("serve", "--home", str(tmp_path / "h"), "--port", "0", "--model", "gpt-4o-mini")
    assert refused.returncode == 2
    assert "NAME=MODEL" in refused.stderr
