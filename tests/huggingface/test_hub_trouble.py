"""What the Hub may answer, or not, about jobs and files, and what a job then is. No job is run."""

from __future__ import annotations

import json
import logging
from typing import TYPE_CHECKING, Any

import httpx2
import pytest
from hub_tools import MODEL, TOKEN, USER, a_hub, client_of_hub, event_line, leave, repository, request_of
from hubs.standin import HANG, ORG, RESET, error

from ftkit.errors import (
    ConfigurationError,
    ConflictError,
    CredentialsError,
    JobCancelledError,
    JobFailedError,
    NotFoundError,
    ProviderError,
    ProviderUnavailableError,
    QuotaError,
    RateLimitError,
    UnsupportedError,
)
from ftkit.models import JobStatus
from ftkit.providers import _hub, _hub_account
from ftkit.providers.huggingface import huggingface

if TYPE_CHECKING:
    from collections.abc import Generator
    from pathlib import Path

    from hub_tools import HubStandIn

    from ftkit import Client
    from ftkit.models import FineTuningJob

SMALL = {"validation": None, "provider_options": {}}


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Generator[HubStandIn]:
    with a_hub(monkeypatch, tmp_path) as standing:
        standing.hold = True
        standing.keep_alive_s = 0.2
        yield standing


def ask(hub: HubStandIn, folder: Path, **more: Any) -> tuple[Client, FineTuningJob]:
    client = client_of_hub(hub, folder)
    return client, client.fine_tune("small", **{**request_of(folder), **SMALL, **more})


# -- asking for a job ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "kind", "says"),
    [
        (401, CredentialsError, "the Hub refused the token"),
        (402, QuotaError, "no credits"),
        (403, ProviderError, "no credits"),
        (409, ConflictError, "no credits"),
        (429, RateLimitError, "no credits"),
    ],
)
def test_a_refusal_is_told_in_the_hubs_words_and_costs_nothing(
    hub: HubStandIn, tmp_path: Path, status: int, kind: type[Exception], says: str
) -> None:
    hub.refusing["POST job"].append(error(status, "no credits left"))
    with pytest.raises(kind, match=says) as caught:
        ask(hub, tmp_path)
    assert TOKEN not in repr(caught.value)
    assert (len(hub.jobs), hub.calls.count("POST job")) == (0, 1), "it is asked once, and never again by itself"
    _, job = ask(hub, tmp_path)
    assert (job.status, len(hub.jobs)) == (JobStatus.QUEUED, 1)


@pytest.mark.parametrize("fault", [RESET, HANG, error(503, "busy"), (200, b"<html>", {}), (200, {}, {})])
def test_a_reply_that_is_lost_is_one_job(
    hub: HubStandIn, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fault: Any
) -> None:
    monkeypatch.setattr(_hub, "_ANSWER_S", 0.5)
    hub.losing["POST job"].append(fault)
    client, job = ask(hub, tmp_path)
    assert (hub.posts, job.status, job.model) == (1, JobStatus.QUEUED, "ftkit/small")
    assert job.id == client.list_jobs().items[0].id


@pytest.mark.parametrize("fault", [RESET, error(503, "busy")])
def test_a_request_that_never_arrived_is_no_job(hub: HubStandIn, tmp_path: Path, fault: Any) -> None:
    hub.refusing["POST job"].append(fault)
    with pytest.raises(ProviderUnavailableError, match="did not arrive"):
        ask(hub, tmp_path)
    assert hub.jobs == {}
    ask(hub, tmp_path)
    assert hub.posts == 1


def test_a_machine_with_an_empty_ledger_finds_the_job(hub: HubStandIn, tmp_path: Path) -> None:
    _, job = ask(hub, tmp_path)
    client = client_of_hub(hub, tmp_path / "other")
    again = client.fine_tune("small", **{**request_of(tmp_path), **SMALL})
    assert (again.id, hub.posts) == (job.id, 1)


def test_what_it_costs_is_told_before(hub: HubStandIn, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    client = client_of_hub(hub, tmp_path, flavor="a10g-small", timeout="90m")
    estimate = client.check(request_of(tmp_path)["train"], model="small").estimate
    assert estimate is not None
    assert estimate.source == "at most: a10g-small for 90m, by the Hub's own list of prices"
    per_hour = client.provider._runs.prices()["a10g-small"]  # type: ignore[attr-defined]
    assert estimate.cost == pytest.approx(per_hour * 3 / 2)
    with caplog.at_level(logging.WARNING, "ftkit"):
        hub.watching["POST job"] = lambda: told.append(caplog.text)
        told: list[str] = []
        client.fine_tune("small", **{**request_of(tmp_path), **SMALL})
    assert f"training on a10g-small, for ${per_hour.normalize():f} an hour" in told[0]
    assert f"at most ${estimate.cost} until its timeout of 90m" in told[0]


def test_a_flavor_that_is_not_there_is_told_with_one_that_is(hub: HubStandIn, tmp_path: Path) -> None:
    client = client_of_hub(hub, tmp_path, flavor="a10g-smal")
    for call in (
        lambda: client.check(request_of(tmp_path)["train"], model="small"),
        lambda: client.upload(request_of(tmp_path)["train"], model="small"),
        lambda: client.fine_tune("small", **{**request_of(tmp_path), **SMALL}),
    ):
        with pytest.raises(ConfigurationError, match="no flavor 'a10g-smal'; did you mean 'a10g-small'"):
            call()
    assert (hub.repos, hub.posts) == ({}, 0), "nothing was sent"


def test_a_flavor_is_left_to_the_hub_where_it_names_none(
    hub: HubStandIn, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    hub.refusing["GET hardware"] += [error(403, "no")] * 9
    client = client_of_hub(hub, tmp_path, flavor="a10g-smal")
    with caplog.at_level(logging.WARNING, "ftkit"), pytest.raises(ProviderError, match="there is no flavor a10g-smal"):
        client.fine_tune("small", **{**request_of(tmp_path), **SMALL})
    assert "a price that ftkit does not know" in caplog.text
    hub.strange.clear()  # it noted the flavor, too
    assert client.check(request_of(tmp_path)["train"], model="small").estimate.cost is None  # type: ignore[union-attr]


def test_an_organisation_owns_and_pays(hub: HubStandIn, tmp_path: Path) -> None:
    client = client_of_hub(hub, tmp_path, namespace=ORG)
    client.fine_tune("small", **{**request_of(tmp_path), **SMALL})
    [job] = hub.jobs.values()
    assert job.namespace == ORG
    assert {name.partition("/")[0] for _, name in hub.repos} == {ORG}
    stranger = client_of_hub(hub, tmp_path / "other", namespace="somebody")
    with pytest.raises(ProviderError, match="somebody"):
        stranger.fine_tune("small", **{**request_of(tmp_path), **SMALL})


# -- what a job is ---------------------------------------------------------------------------------------------------


def test_a_timeout_goes_on_from_the_last_checkpoint_and_not_for_ever(hub: HubStandIn, tmp_path: Path) -> None:
    client, job = ask(hub, tmp_path)
    for number, step in ((1, 8), (2, 16)):
        run = list(hub.jobs.values())[-1]
        leave(hub, repository(hub, job.id), run=number, step=step)
        hub.set_stage(run.id, "ERROR", "Job timeout")
        now = client.get_job(job)
        assert (now.status, now.interrupted, now.step) == (JobStatus.PAUSED, True, step)
        assert now.error == "interrupted: Job timeout"
        assert client.fine_tune("small", **{**request_of(tmp_path), **SMALL}).status is JobStatus.QUEUED
        assert hub.posts == number + 1

    # Two runs in a row without a new checkpoint: a third would cost, and come to nothing.
    hub.set_stage(list(hub.jobs.values())[-1].id, "ERROR", "Job timeout")
    assert client.fine_tune("small", **{**request_of(tmp_path), **SMALL}).id == job.id
    last = list(hub.jobs.values())[-1]
    last.write("Out of luck")
    hub.set_stage(last.id, "ERROR", "Job timeout")
    with pytest.raises(JobFailedError, match=r"2 runs in a row came to no new checkpoint; the last: Job timeout\n"):
        client.fine_tune("small", **{**request_of(tmp_path), **SMALL, "wait": True})
    assert "Out of luck" in (client.get_job(job).error or "")
    assert hub.posts == 4


def test_a_job_that_dies_before_its_first_checkpoint_has_failed(hub: HubStandIn, tmp_path: Path) -> None:
    client, job = ask(hub, tmp_path)
    [run] = hub.jobs.values()
    run.write("ModuleNotFoundError: No module named 'torch'")
    hub.set_stage(run.id, "ERROR", "Job failed with exit code: 1")
    with pytest.raises(JobFailedError, match="No module named 'torch'"):
        client.fine_tune("small", **{**request_of(tmp_path), **SMALL})
    assert hub.posts == 1
    again = client.fine_tune("small", **{**request_of(tmp_path), **SMALL}, retry_failed=True)
    assert (again.id != job.id, hub.posts) == (True, 2)


@pytest.mark.parametrize(
    ("stage", "state", "status"),
    [
        ("COMPLETED", {"word": "succeeded", "step": 8}, JobStatus.SUCCEEDED),
        ("ERROR", {"word": "succeeded", "step": 8}, JobStatus.SUCCEEDED),  # it ended badly after all was done
        ("ERROR", {"word": "failed", "error": "out of memory"}, JobStatus.FAILED),
        ("COMPLETED", None, JobStatus.FAILED),
        ("DELETED", None, JobStatus.FAILED),
        ("CANCELED", {"step": 8}, JobStatus.CANCELLED),  # on the Hub's own page
        ("HIBERNATING", {"step": 8}, JobStatus.UNKNOWN),
    ],
)
def test_a_job_is_what_the_hub_and_its_carrier_say(
    hub: HubStandIn, tmp_path: Path, stage: str, state: dict[str, Any] | None, status: JobStatus
) -> None:
    client, job = ask(hub, tmp_path)
    if state is not None:
        leave(hub, repository(hub, job.id), **state)
    [run] = hub.jobs.values()
    hub.set_stage(run.id, stage)
    now = client.get_job(job)
    assert (now.status, now.provider_status) == (status, stage)
    assert (now.fine_tuned_model is not None) is (status is JobStatus.SUCCEEDED)
    assert (now.error is not None) is (status is JobStatus.FAILED)


def test_cancelled_means_for_good_whatever_it_was_doing(hub: HubStandIn, tmp_path: Path) -> None:
    client, job = ask(hub, tmp_path)
    hub.losing["POST cancel"].append(error(503, "busy"))
    assert client.cancel_job(job).status is JobStatus.CANCELLED
    with pytest.raises(JobCancelledError):
        client.fine_tune("small", **{**request_of(tmp_path), **SMALL})
    with pytest.raises(ConflictError, match="only a paused one"):
        client.resume_job(job)

    other = client.fine_tune("small", **{**request_of(tmp_path), **SMALL, "seed": 8})
    assert client.pause_job(other).status is JobStatus.PAUSED, "one that waits gives up its place"
    with pytest.raises(ConflictError, match="nothing to pause"):
        client.pause_job(other)
    assert client.cancel_job(other).status is JobStatus.CANCELLED


def test_events_survive_the_loss_of_the_log_and_of_the_line(hub: HubStandIn, tmp_path: Path) -> None:
    client, job = ask(hub, tmp_path)
    assert client.list_events(job).items == ()
    [run] = hub.jobs.values()
    hub.set_stage(run.id, "RUNNING")
    for number in range(1, 6):
        run.write(event_line(number, f"event {number}"))
        run.write("what a library prints")

    def told(after: str | None = None) -> list[str]:
        return [event.message for event in client.list_events(job, after=after).items]

    assert told() == [f"event {number}" for number in range(1, 6)]
    assert told(after="00000003") == ["event 4", "event 5"]
    with pytest.raises(NotFoundError, match="no event"):
        told(after="../3")
    hub.breaking.append(4)
    assert told() == [f"event {number}" for number in range(1, 6)], "a line that broke is asked for again"

    kept = "".join(f"{event_line(n, f'event {n}').partition(': ')[2]}\n" for n in range(1, 4))
    hub.add_repo(repository(hub, job.id), {"events.jsonl": kept.encode() + b'{"id": "0000'}, branch="training")
    assert len(told()) == 5
    hub.drop_logs(run.id)
    assert told() == [f"event {number}" for number in range(1, 4)], "what was written down stays"


def test_a_silent_or_busy_hub_is_asked_again_and_not_for_ever(
    hub: HubStandIn, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    client, job = ask(hub, tmp_path)
    monkeypatch.setattr(_hub, "_ANSWER_S", 0.3)
    monkeypatch.setattr("ftkit.retrying._BACKOFF", lambda _: 0.01)
    hub.refusing["GET jobs"] += [HANG, error(503, "busy"), (429, {"error": "slow"}, {"retry-after": "0"})]
    assert client.get_job(job).status is JobStatus.QUEUED
    hub.refusing["GET jobs"] += [error(403, "not yours")]
    with pytest.raises(ProviderError, match="not yours"):
        client.get_job(job)
    hub.refusing["GET jobs"] += [(200, b"no json", {})] * 5
    with pytest.raises(ProviderUnavailableError, match="cannot be read"):
        client.get_job(job)


def test_a_deleted_model_leaves_a_job_that_has_succeeded(hub: HubStandIn, tmp_path: Path) -> None:
    client, job = ask(hub, tmp_path)
    with pytest.raises(ConflictError, match="still at work"):
        client.delete_model(repository(hub, job.id))
    leave(hub, repository(hub, job.id), word="succeeded", step=8)
    hub.set_stage(next(iter(hub.jobs.values())).id, "COMPLETED")
    done = client.get_job(job)
    assert done.fine_tuned_model is not None
    client.delete_model(done.fine_tuned_model)
    assert ("model", done.fine_tuned_model) not in hub.repos
    fresh = client_of_hub(hub, tmp_path / "other")
    assert fresh.get_job(job).status is JobStatus.SUCCEEDED
    for name in ("somebody/model", f"somebody/{job.id}", "me/../x", f"me/{job.id}0"):
        with pytest.raises(NotFoundError):
            client.delete_model(name)


# -- files, and what a provider is made of ---------------------------------------------------------------------------


def test_a_file_is_sent_once_and_what_broke_off_goes_on(
    hub: HubStandIn, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_hub_account, "read", lambda call, *args: call(*args))  # not tried again by itself
    monkeypatch.setattr("hubs.repo.LARGE", 100)
    train = request_of(tmp_path)["train"]
    client = client_of_hub(hub, tmp_path)
    for fault in (hub.losing["PUT blob"], hub.refusing["POST commit"]):
        fault.append(error(403, "no"))
        with pytest.raises(ProviderError, match="no"):
            client.upload(train, model="small")
        assert client.list_files().items == (), "half of a file is none"
    file = client.upload(train, model="small")
    assert client.upload(train, model="small").id == file.id
    assert hub.calls.count("POST commit") == 2
    assert [found.id for found in client.list_files().items] == [file.id]
    client.download_file(file, tmp_path / "back.jsonl")
    assert (tmp_path / "back.jsonl").stat().st_size == file.size
    client.delete_file(file)
    with pytest.raises(NotFoundError):
        client.download_file(file, tmp_path / "back.jsonl")
    again = client.upload(train, model="small")
    assert (again.id, len(client.list_files().items)) == (file.id, 1)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"timeout": "soon"}, "timeout='soon' is no time"),
        ({"timeout": 0}, "timeout=0 is no time"),
        ({"secrets": ["NOT_SET_ANYWHERE"]}, "the environment holds no NOT_SET_ANYWHERE"),
        ({"dependencies": ["torch ==== 2"]}, "is no requirement"),
        ({"dependencies": "torch"}, "dependencies='torch' is one text"),
        ({"secrets": "MY_KEY"}, "secrets='MY_KEY' is one text"),
        ({"namespace": "a/b"}, "no name of a user"),
        ({"slots": 2}, "compute='jobs' has no option 'slots'"),
    ],
)
def test_arguments_that_make_no_sense_are_refused(options: dict[str, Any], says: str) -> None:
    with pytest.raises(ConfigurationError, match=says):
        huggingface("jobs", **{"token": TOKEN, **options})


def test_places_are_told_apart() -> None:
    with pytest.raises(ConfigurationError, match="there is no compute='job'; did you mean 'jobs'"):
        huggingface("job")  # type: ignore[arg-type]
    with pytest.raises(ConfigurationError, match="compute='local' has no option 'flavor'"):
        huggingface(flavor="a10g-small")


def test_secrets_go_along_as_secrets_and_the_image_may_have_all(
    hub: HubStandIn, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MY_KEY", "canary-4711-canary")
    client = client_of_hub(hub, tmp_path, secrets=["MY_KEY"], image="my/image", dependencies=[])
    client.fine_tune("small", **{**request_of(tmp_path), **SMALL})
    [job] = hub.jobs.values()
    assert job.posted["secrets"] == {"HF_TOKEN": TOKEN, "MY_KEY": "canary-4711-canary"}
    assert (job.posted["dockerImage"], job.posted["command"][:2]) == ("my/image", ["python", "-c"])
    assert "canary" not in json.dumps(job.posted["environment"])
    assert "canary" not in repr(client.provider)


def test_what_is_only_on_this_machine_cannot_be_trained_there(hub: HubStandIn, tmp_path: Path, model: Path) -> None:
    client = client_of_hub(hub, tmp_path)
    with pytest.raises(UnsupportedError, match="where a machine of the Hub cannot see it"):
        client.fine_tune(str(model), **request_of(tmp_path))
    assert hub.repos == {}


def test_a_checkpoint_is_not_deployed_and_the_error_says_what_is(hub: HubStandIn, tmp_path: Path) -> None:
    client, job = ask(hub, tmp_path)
    mark = json.dumps({"step": 8, "files": {}, "created_at": "2026-11-27T00:00:00Z"}).encode()
    files = {"checkpoints/checkpoint-8/complete.json": mark, "checkpoints/checkpoint-9/config.json": b"{}"}
    hub.add_repo(repository(hub, job.id), files, branch="training")
    [checkpoint] = client.list_checkpoints(job)
    assert checkpoint.id == f"{job.id}:step-8"
    with pytest.raises(UnsupportedError, match="a checkpoint at the Hub cannot be deployed"):
        client.deploy(checkpoint)
    with pytest.raises(ConflictError, match="there is no model to deploy"):
        client.deploy(job)
    assert MODEL.startswith(f"{USER}/")


def test_an_address_that_can_be_none_says_where_to_look() -> None:
    with (
        pytest.raises(ConfigurationError, match=r"address of the Hub, or of a proxy .*cannot be one") as caught,
        _hub.hub_asked("huggingface", str),
        httpx2.Client() as client,
    ):
        client.get("https://user:pass-word-123@hub.example:port/")
    assert "HF_ENDPOINT" in f"{caught.value.hint}"
    assert "pass-word" not in f"{caught.value}"
