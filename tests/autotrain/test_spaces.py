"""AutoTrain on Spaces: what it sends, what it costs, and what becomes of it when something goes wrong on the way."""

from __future__ import annotations

import io
import json
import logging
import os
import signal
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import pytest
from autotrain_tools import CASES, chats, texts, write
from hub_standin import HANG, HANG_S, RESET, TOKEN, USER, HubStandIn, Repo, error
from hubs.wire import online
from spaces_tools import MODEL, SEEN, files_with, quick_python, script, spaces_of, standing, watched

from ftkit import Client, JobFailedError, LoRA, Supervised
from ftkit.errors import (
    ConfigurationError,
    ConflictError,
    CredentialsError,
    NotFoundError,
    ProviderError,
    ProviderUnavailableError,
    QuotaError,
    RateLimitError,
)
from ftkit.ledger import Ledger
from ftkit.models import EventLevel, JobRequest, JobStatus, Severity, TrainingFile
from ftkit.providers import _hub
from ftkit.providers.autotrain import environment
from ftkit.providers.autotrain.backends import SPACES
from ftkit.providers.autotrain.spaces import AutoTrainSpaces, project_of

if TYPE_CHECKING:
    from collections.abc import Generator, Mapping

    from hub_standin import Fault

    from ftkit.models import FineTuningJob, JobEvent

KEY = "v1:4711"
PROJECT = project_of(KEY)
LOG = """\
INFO:     Uvicorn running on http://0.0.0.0:7860
INFO     | 2026-11-27 10:00:00 | autotrain.trainers.clm.train_clm_sft:train:12 - Starting SFT training...
\x1b[32mWARNING \x1b[0m | 2026-11-27 10:00:01 | autotrain.trainers.common:__init__:174 - Parameters not supplied: x
  0%|          | 0/30 [00:00<?, ?it/s]
 10%|#         | 3/30 [00:01<00:09,  2.9it/s]INFO     | 2026-11-27 10:00:05 | \
autotrain.trainers.common:on_log:386 - {'loss': 2.5, 'grad_norm': 1.5, 'learning_rate': 3e-05, 'epoch': 0.1}
INFO     | 2026-11-27 10:00:06 | autotrain.trainers.common:on_log:386 - {'loss': 1.25, 'grad_norm': nan, 'epoch': 0.2}
INFO     | 2026-11-27 10:00:07 | autotrain.trainers.common:on_log:386 - {'train_loss': 1.9, 'train_runtime': 9.5}
"""
DISASTER = """\
ERROR    | 2026-11-27 10:00:08 | autotrain.trainers.common:wrapper:215 - train has failed due to an exception: Traceback
  File "train_clm_sft.py", line 9, in train
ERROR    | 2026-11-27 10:00:08 | autotrain.trainers.common:wrapper:216 - CUDA out of memory
INFO     | 2026-11-27 10:00:09 | autotrain.trainers.common:pause_space:156 - Pausing space...
"""


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Generator[HubStandIn]:
    online(monkeypatch, tmp_path / "hf")
    with standing() as hub:
        yield hub


@pytest.fixture
def provider(hub: HubStandIn, tmp_path: Path) -> AutoTrainSpaces:
    return spaces_of(hub, quick_python(tmp_path))


@pytest.fixture
def train(tmp_path: Path) -> Path:
    return write(tmp_path / "train.jsonl", chats(20))


def order(provider: AutoTrainSpaces, train: Path, **given: Any) -> JobRequest:
    file = provider.upload(train, "content-1")
    return JobRequest(**{"model": MODEL, "training_file": file, "method": Supervised(n_epochs=2), **given})


def made(provider: AutoTrainSpaces, train: Path, **given: Any) -> FineTuningJob:
    return provider.create_job(order(provider, train, **given), KEY)


def log(space: Repo, text: str) -> None:
    space.logs["run"] += text.splitlines()


# -- making ----------------------------------------------------------------------------------------------------------


def test_a_job_is_a_private_space_with_the_data_beside_it(
    provider: AutoTrainSpaces, hub: HubStandIn, train: Path
) -> None:
    job = made(provider, train, metadata={"team": "blue"}, seed=7, provider_options={"log": "tensorboard"})
    space = hub.space(job.id)
    assert space.asked["hardware"] == "t4-small"
    assert space.asked["sdk"] == "docker"
    assert job.status is JobStatus.QUEUED
    assert (job.model, job.method, dict(job.metadata), job.seed) == (MODEL, Supervised(n_epochs=2), {"team": "blue"}, 7)
    params = json.loads(space.secrets["PARAMS"])
    assert params["seed"] == 7
    assert params["epochs"] == 2
    assert params["push_to_hub"] is True
    rows = hub.dataset(job.id).files["train.jsonl"].decode().splitlines()
    assert [json.loads(row) for row in rows] == chats(20)


def test_the_backend_is_what_tells_the_client_where_to_train(hub: HubStandIn, train: Path, tmp_path: Path) -> None:
    given: dict[str, Any] = {"python": quick_python(tmp_path), "hub": hub.api(), "ledger": Ledger(tmp_path / "ledger")}
    client = Client("autotrain", backend="spaces-l4x1", username=USER, **given)
    job = client.create_job(model="small", training_file=client.upload(train, model="small"))
    assert hub.space(job.id).asked["hardware"] == "l4x1"
    assert job.model == MODEL, "which is what small means on the Hub"


def test_the_token_is_in_no_file_no_argument_and_no_note(
    hub: HubStandIn, train: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    provider = spaces_of(hub, watched(tmp_path / "watched", quick_python(tmp_path)))
    hub.losing["POST secrets"] = [error(500, f"the token {TOKEN} is no good")]
    with caplog.at_level(logging.DEBUG), pytest.raises(ProviderUnavailableError, match=r"token \*\*\*"):
        made(provider, train)
    assert hub.space(PROJECT).secrets == {"HF_TOKEN": TOKEN}, "the one place where it belongs"
    argv, work = tmp_path / "watched" / SEEN / "argv", tmp_path / "watched" / SEEN / "work"
    assert argv.read_text(encoding="utf-8").endswith("remote.py config.yml\n")
    assert json.loads((work / "config.yml").read_text(encoding="utf-8"))["hub"]["token"] is None
    assert [path.parent.name for path in files_with(tmp_path, TOKEN)] == ["work"], "the log, with the Hub's own words"
    assert TOKEN not in caplog.text
    assert TOKEN not in repr(provider)


def test_no_work_is_left_behind(provider: AutoTrainSpaces, train: Path, home: Path) -> None:
    made(provider, train)
    assert list(home.rglob("making-*")) == []


@pytest.mark.parametrize("fault", [RESET, error(500, "oops"), error(504, "too late")], ids=["reset", "500", "504"])
def test_a_reply_that_is_lost_leaves_one_space_which_is_the_job(
    provider: AutoTrainSpaces, hub: HubStandIn, train: Path, tmp_path: Path, fault: Fault
) -> None:
    hub.losing["POST create space"] = [fault]
    provider.settle_s = 0.1
    client = Client(provider, ledger=Ledger(tmp_path / "ledger"))
    file = client.upload(train, model=MODEL)
    job = client.create_job(model=MODEL, training_file=file)
    assert job.status is JobStatus.QUEUED
    assert client.create_job(model=MODEL, training_file=file).id == job.id
    assert hub.creates == len(hub.spaces()) == 1


def test_a_space_that_was_never_filled_is_in_the_making_and_then_failed(
    provider: AutoTrainSpaces, hub: HubStandIn, train: Path
) -> None:
    hub.refusing["POST secrets"] = [error(403, "you may not")]
    with pytest.raises(ProviderUnavailableError, match="may be there, and may lack what it needs: you may not"):
        made(provider, train)
    assert provider.get_job(PROJECT).status is JobStatus.QUEUED
    hub.space(PROJECT).created_at -= timedelta(minutes=20)
    job = provider.get_job(PROJECT)
    assert job.status is JobStatus.FAILED
    assert "never filled" in str(job.error)


def test_a_second_create_finds_the_first(provider: AutoTrainSpaces, hub: HubStandIn, train: Path) -> None:
    one, two = made(provider, train), made(provider, train)
    assert one == two
    assert (hub.creates, len(hub.spaces())) == (2, 1)


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (error(402, "pre-paid credits are required"), QuotaError),
        (error(403, "you may not"), ProviderError),
        (error(429, "slow down"), RateLimitError),
        (error(401, "the token has expired"), CredentialsError),
    ],
    ids=["402", "403", "429", "401"],
)
def test_a_refusal_is_told_and_nothing_is_made(
    provider: AutoTrainSpaces, hub: HubStandIn, train: Path, answer: Fault, kind: type[Exception]
) -> None:
    hub.refusing["POST create space"] = [answer]
    with pytest.raises(kind, match=answer[1]["error"]) as refused:
        made(provider, train)
    assert not isinstance(refused.value, ProviderUnavailableError)
    assert refused.value.__cause__ is None
    assert (hub.creates, hub.spaces()) == (1, [])


@pytest.mark.parametrize("fault", [RESET, error(500, "oops")], ids=["reset", "500"])
def test_data_that_do_not_arrive_cost_nothing(
    provider: AutoTrainSpaces, hub: HubStandIn, train: Path, fault: Fault
) -> None:
    hub.refusing["POST commit"] = [fault]
    with pytest.raises(ProviderUnavailableError):
        made(provider, train)
    assert hub.creates == 0


def test_an_autotrain_that_does_not_start_says_why(hub: HubStandIn, train: Path, tmp_path: Path) -> None:
    broken = script(tmp_path / "broken", "echo no such module: torch >&2", "exit 3")
    with pytest.raises(
        ProviderUnavailableError, match=r"(?s)no Space was asked for: .*status 3.*no such module: torch"
    ):
        made(spaces_of(hub, broken), train)
    with pytest.raises(ConfigurationError, match="there is no"):
        made(spaces_of(hub, tmp_path / "nothing"), train)
    assert hub.creates == 0


def test_a_making_that_takes_too_long_is_ended_and_unclear(hub: HubStandIn, train: Path, tmp_path: Path) -> None:
    hub.losing["POST create space"] = [HANG]
    provider = spaces_of(hub, quick_python(tmp_path), making_s=1.5)
    began = time.monotonic()
    with pytest.raises(ProviderUnavailableError, match="may be there"):
        made(provider, train)
    assert time.monotonic() - began < HANG_S
    assert provider.find_job(KEY, order(provider, train), datetime.now(UTC)) is not None


def begun(provider: AutoTrainSpaces, train: Path, python: Path, folder: Path) -> subprocess.Popen[bytes]:
    """Starts the process that makes a Space, as `create_job` does."""
    (folder / "data").mkdir(parents=True)
    (folder / "data" / "train.jsonl").write_bytes(train.read_bytes())
    recipe = provider._recipe(order(provider, train), PROJECT, train)
    (folder / "config.yml").write_text(json.dumps(recipe), encoding="utf-8")
    inside = Path(environment.__file__).with_name("inside") / "remote.py"
    env = {**os.environ, "HF_TOKEN": TOKEN, "HF_ENDPOINT": provider._hub.endpoint}
    return subprocess.Popen([python, inside, "config.yml"], cwd=folder, env=env, stdout=subprocess.PIPE)


@pytest.mark.parametrize(("moment", "creates"), [("POST commit", 0), ("POST create space", 1)])
def test_nothing_is_begun_for_somebody_who_has_gone_and_what_was_begun_is_finished(
    provider: AutoTrainSpaces, hub: HubStandIn, train: Path, tmp_path: Path, moment: str, creates: int
) -> None:
    with begun(provider, train, quick_python(tmp_path), tmp_path / "work") as process:
        hub.watching[moment] = cast("io.BufferedReader", process.stdout).close
        process.wait(timeout=30)
    assert hub.creates == creates
    assert ["Dockerfile" in space.files for space in hub.spaces()] == [True] * creates


INTERRUPTED = """
import signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)  # where tests run in the background, it is ignored
from huggingface_hub import HfApi
from ftkit import JobRequest
from ftkit.providers.autotrain.spaces import AutoTrainSpaces

endpoint, token, python, order = sys.argv[1:]
hub = HfApi(endpoint=endpoint, token=token)
provider = AutoTrainSpaces(backend="spaces-t4-small", username="me", hub=hub, python=python)
provider.create_job(JobRequest.model_validate_json(order), "v1:4711")
"""


def test_ctrl_c_leaves_no_half_of_a_space(
    provider: AutoTrainSpaces, hub: HubStandIn, train: Path, tmp_path: Path
) -> None:
    request = order(provider, train)
    given = [hub.url, TOKEN, str(quick_python(tmp_path)), request.model_dump_json()]
    command = [sys.executable, "-c", INTERRUPTED, *given]
    with subprocess.Popen(command, stderr=subprocess.PIPE, start_new_session=True) as process:
        hub.watching["POST create space"] = lambda: os.killpg(process.pid, signal.SIGINT)
        told = cast("bytes", process.communicate(timeout=60)[1]).decode()
    assert told.rstrip().endswith("KeyboardInterrupt")
    deadline = time.monotonic() + 10
    while provider.get_job(PROJECT).provider_status != "BUILDING" and time.monotonic() < deadline:
        time.sleep(0.1)
    assert "Dockerfile" in hub.space(PROJECT).files
    assert hub.creates == 1


def test_the_price_is_told_before_anything_costs(
    provider: AutoTrainSpaces, hub: HubStandIn, train: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING, "ftkit"):
        made(provider, train)
    assert "a Space with t4-small, for $0.4 an hour (the Hub's own list" in caplog.text
    assert f"client.cancel_job('{PROJECT}')" in caplog.text
    caplog.clear()
    hub.refusing["POST create space"] = [error(402, "credits")]
    with caplog.at_level(logging.WARNING, "ftkit"), pytest.raises(QuotaError):
        made(spaces_of(hub, quick_python(tmp_path), backend="spaces-l4x1"), train)
    assert "for a price that ftkit does not know" in caplog.text


def test_hardware_without_a_gpu_is_asked_for_no_bits(hub: HubStandIn, train: Path, tmp_path: Path) -> None:
    provider = spaces_of(hub, quick_python(tmp_path), backend="spaces-cpu-upgrade")
    made(provider, train, method=Supervised(lora=LoRA(r=4)))
    assert json.loads(hub.space(PROJECT).secrets["PARAMS"])["quantization"] is None
    options = {"mixed_precision": "bf16", "use_flash_attention_2": True}
    wrong = provider.problems(order(provider, train, provider_options=options))
    assert {problem.field for problem in wrong} == {f"provider_options.{name}" for name in options}


# -- what becomes of it ----------------------------------------------------------------------------------------------


def test_success_is_told_by_the_weights(provider: AutoTrainSpaces, hub: HubStandIn, train: Path) -> None:
    job = made(provider, train)
    hub.end(job.id, succeeded=True, says_so=False)
    done = provider.get_job(job.id)
    assert (done.status, done.provider_status) == (JobStatus.SUCCEEDED, "PAUSED")
    assert done.fine_tuned_model == f"{USER}/{job.id}"


def test_failure_is_told_in_autotrains_words(provider: AutoTrainSpaces, hub: HubStandIn, train: Path) -> None:
    job = made(provider, train)
    log(hub.space(job.id), LOG + DISASTER)
    hub.end(job.id, succeeded=False)
    hub.refusing["GET logs"] = [error(403, "no logs")]
    assert provider.get_job(job.id).error == "Your training has failed ❌"
    failed = provider.get_job(job.id)
    assert (failed.status, failed.fine_tuned_model) == (JobStatus.FAILED, None)
    assert failed.error == "Your training has failed ❌: CUDA out of memory"
    assert failed.finished_at is not None
    listed = provider.list_jobs(None, 10).items[0]
    assert (listed.status, listed.error) == (JobStatus.FAILED, "Your training has failed ❌")


def test_a_space_that_stopped_in_silence_has_failed_with_its_last_line(
    provider: AutoTrainSpaces, hub: HubStandIn, train: Path
) -> None:
    job = made(provider, train)
    hub.space(job.id).logs["build"] = ["--> FROM huggingface/autotrain-advanced:latest", "manifest unknown"]
    hub.set_stage(job.id, "BUILD_ERROR")
    assert provider.get_job(job.id).error == "the Space is BUILD_ERROR, and left no model: manifest unknown"
    assert provider.list_events(job.id, None, 10).items[-1].message == "manifest unknown"


def test_a_failed_job_is_told_by_the_client(
    provider: AutoTrainSpaces, hub: HubStandIn, train: Path, tmp_path: Path
) -> None:
    client = Client(provider, ledger=Ledger(tmp_path / "ledger"))
    job = client.create_job(model=MODEL, training_file=client.upload(train, model=MODEL))
    hub.end(job.id, succeeded=False)
    with pytest.raises(JobFailedError, match="Your training has failed"):
        client.wait(job)
    with pytest.raises(JobFailedError):
        client.create_job(model=MODEL, training_file=client.upload(train, model=MODEL))
    again = client.create_job(model=MODEL, training_file=client.upload(train, model=MODEL), retry_failed=True)
    assert again.id != job.id
    assert len(hub.spaces()) == 2


def test_a_job_that_was_cancelled_reads_as_cancelled(provider: AutoTrainSpaces, hub: HubStandIn, train: Path) -> None:
    job = made(provider, train)
    hub.set_stage(job.id, "RUNNING")
    assert provider.cancel_job(job.id).status is JobStatus.CANCELLED
    assert hub.space(job.id).stage == "PAUSED"
    hub.set_stage(job.id, "RUNNING_BUILDING")
    assert provider.get_job(job.id).status is JobStatus.CANCELLING


def test_a_cancel_whose_reply_is_lost_is_one_and_one_that_is_refused_is_none(
    provider: AutoTrainSpaces, hub: HubStandIn, train: Path
) -> None:
    job = made(provider, train)
    hub.refusing["POST pause"] = [error(403, "only the owner may")]
    with pytest.raises(ProviderError, match="only the owner may"):
        provider.cancel_job(job.id)
    assert provider.get_job(job.id).status is JobStatus.QUEUED
    hub.losing["POST pause"] = [RESET]
    with pytest.raises(ProviderUnavailableError):
        provider.cancel_job(job.id)
    assert provider.get_job(job.id).status is JobStatus.CANCELLED


def test_what_finished_before_it_could_be_cancelled_has_succeeded(
    provider: AutoTrainSpaces, hub: HubStandIn, train: Path
) -> None:
    job = made(provider, train)
    provider.cancel_job(job.id)
    hub.end(job.id, succeeded=True, says_so=False)
    assert provider.get_job(job.id).status is JobStatus.SUCCEEDED


@pytest.mark.parametrize("says_so", [True, False], ids=["discussion", "none"])
def test_a_deleted_model_leaves_a_job_that_succeeded(
    provider: AutoTrainSpaces, hub: HubStandIn, train: Path, *, says_so: bool
) -> None:
    job = made(provider, train)
    with pytest.raises(ConflictError, match="still at work"):
        provider.delete_model(f"{USER}/{job.id}")
    hub.end(job.id, succeeded=True, says_so=says_so)
    provider.delete_model(f"{USER}/{job.id}")
    assert ("model", f"{USER}/{job.id}") not in hub.repos
    for _ in range(2):
        with pytest.raises(NotFoundError):
            provider.delete_model(f"{USER}/{job.id}")
        assert provider.get_job(job.id).status is JobStatus.SUCCEEDED
    with pytest.raises(NotFoundError, match="no model that was tuned here"):
        provider.delete_model("openai-community/gpt2")


def test_another_machine_finds_the_job_and_tells_what_the_hub_tells(
    provider: AutoTrainSpaces, hub: HubStandIn, train: Path, tmp_path: Path
) -> None:
    job = made(provider, train)
    elsewhere = spaces_of(hub, quick_python(tmp_path), jobs_folder=tmp_path / "elsewhere")
    read = elsewhere.get_job(job.id)
    assert (read.id, read.status, read.created_at) == (job.id, job.status, job.created_at)
    assert (read.model, read.method, read.key) == ("unknown", None, None)
    assert elsewhere.identity() == provider.identity()
    found = elsewhere.find_job(KEY, order(provider, train), datetime.now(UTC))
    assert found == job
    hub.end(job.id, succeeded=True)
    provider.delete_model(f"{USER}/{job.id}")
    assert elsewhere.get_job(job.id).status is JobStatus.SUCCEEDED, "the discussion says so"


def test_all_jobs_are_listed_whatever_the_pages_of_the_hub(
    provider: AutoTrainSpaces, hub: HubStandIn, train: Path
) -> None:
    request = order(provider, train)
    ids = [provider.create_job(request, f"key-{n}").id for n in range(5)]
    for name in ("me/autotrain-mine", "me/other-autotrain-ftkit-x", "you/autotrain-ftkit-1"):
        hub.repos["space", name] = Repo("space", name, {})
    hub.page_size = 2
    assert [job.id for job in provider.list_jobs(None, 10).items] == ids[::-1]
    assert [job.id for job in provider.list_jobs(ids[3], 2).items] == [ids[2], ids[1]]


# -- what happens in it ----------------------------------------------------------------------------------------------


def test_events_are_what_autotrain_prints(provider: AutoTrainSpaces, hub: HubStandIn, train: Path) -> None:
    job = made(provider, train, provider_options={"logging_steps": 5})
    hub.space(job.id).created_at = datetime(2026, 11, 27, 9, 59, tzinfo=UTC)
    log(hub.space(job.id), LOG + DISASTER)
    events = provider.list_events(job.id, None, 100).items
    assert [event.message for event in events][:3] == [
        "Uvicorn running on http://0.0.0.0:7860",
        "Starting SFT training...",
        "Parameters not supplied: x",
    ]
    measured = [event.metrics for event in events if event.metrics is not None]
    assert [(row.step, row.train_loss, row.epoch) for row in measured] == [(5, 2.5, 0.1), (10, 1.25, 0.2)]
    assert measured[0].learning_rate == 3e-05
    assert measured[0].extra == {"grad_norm": 1.5}
    assert provider.results(job.id) == measured
    assert [levels(events)[n] for n in (0, 2)] == [EventLevel.INFO, EventLevel.WARNING]
    assert levels(events)[-4:] == [EventLevel.ERROR] * 3 + [EventLevel.INFO]
    assert events[0].created_at == datetime(2026, 11, 27, 9, 59, tzinfo=UTC)
    assert events[-1].created_at == datetime(2026, 11, 27, 10, 0, 9, tzinfo=UTC)


def levels(events: tuple[JobEvent, ...]) -> list[EventLevel]:
    return [event.level for event in events]


def test_events_keep_their_ids_when_a_long_log_loses_its_beginning(
    provider: AutoTrainSpaces, hub: HubStandIn, train: Path
) -> None:
    job = made(provider, train)
    space = hub.space(job.id)
    space.created_at = datetime(2026, 11, 27, 9, 59, tzinfo=UTC)
    log(space, LOG + DISASTER)
    before = provider.list_events(job.id, None, 100).items
    space.logs["run"] = space.logs["run"][6:]
    after = provider.list_events(job.id, None, 100).items
    assert [event.id for event in after] == [event.id for event in before][-len(after) :]
    rest = provider.list_events(job.id, before[2].id, 100).items
    assert [event.id for event in rest] == [event.id for event in after]
    with pytest.raises(NotFoundError):
        provider.list_events(job.id, "nothing", 10)


def test_a_token_that_is_printed_is_not_told(provider: AutoTrainSpaces, hub: HubStandIn, train: Path) -> None:
    job = made(provider, train)
    log(hub.space(job.id), f"token={TOKEN}")
    hub.end(job.id, succeeded=False)
    told = f"{provider.list_events(job.id, None, 10)} {provider.get_job(job.id)}"
    assert "token=***" in told
    assert TOKEN not in told


# -- the way to the Hub ----------------------------------------------------------------------------------------------


def test_a_wrong_token_is_never_read_as_no_job(hub: HubStandIn, train: Path, tmp_path: Path) -> None:
    wrong = spaces_of(hub, quick_python(tmp_path), hub=hub.api("hf_wrong_4711"))
    request = order(wrong, train)
    asks = [
        lambda: wrong.find_job(KEY, request, datetime.now(UTC)),
        lambda: wrong.get_job(PROJECT),
        lambda: wrong.list_jobs(None, 10),
        lambda: wrong.create_job(request, KEY),
        lambda: spaces_of(hub, "", hub=hub.api("hf_wrong_4711"), username=None).identity(),
    ]
    for ask in asks:
        with pytest.raises(CredentialsError, match="the Hub refused the token") as refused:
            ask()
        assert "HF_TOKEN" in str(refused.value.hint)
        assert refused.value.__cause__ is refused.value.__context__ is None, "the package's holds the request"
    assert hub.creates == 0


def test_a_hub_that_says_nothing_is_not_waited_for(
    provider: AutoTrainSpaces, hub: HubStandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_hub, "_ANSWER_S", 0.3)
    hub.refusing["GET runtime"] = [HANG]
    began = time.monotonic()
    with pytest.raises(ProviderUnavailableError, match="cannot be reached"):
        provider.get_job(PROJECT)
    assert time.monotonic() - began < 3


def test_the_limit_is_for_our_own_requests_alone(
    provider: AutoTrainSpaces, hub: HubStandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(NotFoundError):
        provider.get_job(PROJECT)
    monkeypatch.setattr(_hub, "_ANSWER_S", 0.3)
    hub.repos["space", "me/mine"] = Repo("space", "me/mine", {})
    monkeypatch.setattr("hub_standin.HANG_S", 1.0)
    hub.refusing["GET info"] = [HANG]
    began = time.monotonic()
    with pytest.raises(Exception, match=r"(?i)disconnect|reset"):
        hub.api().space_info("me/mine")
    assert time.monotonic() - began > 0.9


def test_answers_that_are_none_are_no_clear_answers(provider: AutoTrainSpaces, hub: HubStandIn) -> None:
    for nonsense in ([], {"nothing": 1}, b"<html>", "text"):
        hub.refusing["GET runtime"] = [(200, nonsense, {})]
        with pytest.raises(ProviderUnavailableError, match="cannot be read") as unclear:
            provider.get_job(PROJECT)
        assert unclear.value.__cause__ is unclear.value.__context__ is None


def test_who_owns_the_spaces_is_asked_once(hub: HubStandIn) -> None:
    provider = spaces_of(hub, "", username=None)
    host = hub.url.removeprefix("http://")
    assert [provider.identity() for _ in range(2)] == [f"autotrain:{host}:{USER}"] * 2
    assert hub.requests == ["GET /api/whoami-v2"]


@pytest.mark.parametrize(
    ("given", "kind", "words"),
    [
        ({"backend": "spaces-t4-smal"}, ConfigurationError, "did you mean 'spaces-t4-small'"),
        ({"backend": "local"}, ConfigurationError, "no backend 'local'"),
        ({"username": "../you"}, ConfigurationError, "no name of a user"),
        ({"making_s": 0}, ConfigurationError, "above 0"),
        ({"token": "hf_1"}, ConfigurationError, "its own token"),
        ({"hub": None}, CredentialsError, "no token"),
        ({"hub": None, "token": "hf_1\n"}, CredentialsError, "line break"),
    ],
    ids=str,
)
def test_mistakes_are_told_at_once(
    hub: HubStandIn, given: Mapping[str, Any], kind: type[Exception], words: str
) -> None:
    with pytest.raises(kind, match=words):
        spaces_of(hub, "", **given)


def test_what_a_space_cannot_see_is_refused(provider: AutoTrainSpaces, tmp_path: Path) -> None:
    file = TrainingFile(id="file-1", provider="autotrain")
    good = JobRequest(model=MODEL, training_file=file)
    for model in ("ftkit/small", str(tmp_path)):
        (problem,) = provider.problems(good.model_copy(update={"model": model}))
        assert (problem.field, "cannot see it" in problem.message) == ("model", True)
    options = {"push_to_hub": "me/other"}
    (problem,) = provider.problems(good.model_copy(update={"provider_options": options}))
    assert problem.field == "provider_options.push_to_hub"
    warned = provider.problems(good.model_copy(update={"suffix": "mine", "seed": 7}))
    assert [(problem.severity, problem.field) for problem in warned] == [
        (Severity.WARNING, "suffix"),
        (Severity.WARNING, "seed"),
    ]
    wrong = provider.problems(good.model_copy(update={"provider_options": {"quantization": ["int4"]}}))
    assert {problem.code for problem in wrong} == {"bad-option"}
    assert provider.problems(good) == []


def test_every_backend_of_ours_can_be_made(hub: HubStandIn) -> None:
    assert [repr(spaces_of(hub, "", backend=backend)).split("'")[1] for backend in SPACES] == [*SPACES]


# -- with the real AutoTrain -----------------------------------------------------------------------------------------


def parquet(content: bytes) -> list[dict[str, Any]]:
    pq = pytest.importorskip("pyarrow.parquet")
    rows: list[dict[str, Any]] = pq.read_table(io.BytesIO(content)).to_pylist()
    return rows


def space_part(requests: list[str]) -> list[str]:
    """The requests from the second to last create on, which made the Space, to its last commit."""
    begin = max(n for n, request in enumerate(requests) if request == "POST /api/repos/create")
    return [request for request in requests[begin:] if request.startswith("POST")]


@pytest.mark.slow
def test_autotrain_itself_makes_the_space(
    hub: HubStandIn, provider: AutoTrainSpaces, train: Path, tmp_path: Path, autotrain_python: str
) -> None:
    real = spaces_of(hub, watched(tmp_path / "real", autotrain_python))
    job = made(real, train, method=Supervised(n_epochs=2, lora=LoRA(r=4)))
    first = space_part(hub.requests)
    space = hub.space(job.id)
    assert (space.asked["hardware"], space.sleep_s, space.stage) == ("t4-small", 604800, "BUILDING")
    assert "autotrain" in space.files["Dockerfile"].decode()
    assert space.secrets["HF_TOKEN"] == TOKEN
    params = json.loads(space.secrets["PARAMS"])
    assert (params["trainer"], params["epochs"], params["lora_r"]) == ("sft", 2, 4)
    assert (params["push_to_hub"], params["project_name"], params["model"]) == (True, job.id, MODEL)
    files = hub.dataset(job.id).files
    rows = parquet(files["data/train-00000-of-00001.parquet"])
    assert [row["autotrain_text"] for row in rows] == [row["messages"] for row in chats(20)]
    assert (tmp_path / "real" / SEEN / "argv").read_text(encoding="utf-8").endswith("remote.py config.yml\n")
    assert files_with(tmp_path, TOKEN) == []

    assert made(real, train, method=Supervised(n_epochs=2, lora=LoRA(r=4))).id == job.id, "409 is the same job"
    assert (hub.creates, len(hub.spaces())) == (2, 1)

    provider.create_job(order(provider, train), "another")
    assert space_part(hub.requests) == first, "the quick one of the other tests makes the same requests"


@pytest.mark.slow
def test_autotrain_itself_loses_no_space(hub: HubStandIn, tmp_path: Path, autotrain_python: str) -> None:
    rows, method, _ = CASES["dpo"]
    hub.losing["POST create space"] = [RESET]
    provider = spaces_of(hub, autotrain_python)
    provider.settle_s = 0.1
    client = Client(provider, ledger=Ledger(tmp_path / "ledger"))
    file = client.upload(write(tmp_path / "train.jsonl", rows), model=MODEL, method=method)
    job = client.create_job(model=MODEL, training_file=file, method=method)
    assert hub.creates == len(hub.spaces()) == 1
    assert hub.space(job.id).secrets == {}
    columns = set(parquet(hub.dataset(job.id).files["data/train-00000-of-00001.parquet"])[0])
    assert {"autotrain_text", "autotrain_rejected_text", "autotrain_prompt"} <= columns


@pytest.mark.slow
def test_autotrain_itself_is_refused(hub: HubStandIn, tmp_path: Path, autotrain_python: str) -> None:
    provider = spaces_of(hub, autotrain_python)
    request = order(provider, write(tmp_path / "train.jsonl", texts(20)))
    hub.refusing["POST create space"] = [error(402, "credits are required")]
    with pytest.raises(QuotaError, match="credits are required"):
        provider.create_job(request, KEY)
    wrong = spaces_of(hub, autotrain_python, hub=hub.api("hf_wrong_4711"))
    with pytest.raises(CredentialsError, match="Invalid credentials") as refused:
        wrong.create_job(request, "another")
    assert "hf_wrong_4711" not in str(refused.value)
    assert hub.spaces() == []
