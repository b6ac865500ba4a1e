"""What comes from the Hub, or from a machine there, may be called anything: it stays in its folder."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest
from hub_tools import MODEL, TOKEN, USER, a_hub, event_line, leave, repository
from surroundings import CANARY, Surroundings

from ftkit import ConfigurationError, FtkitError, NotFoundError, ProviderError, Supervised, retrying
from ftkit.models import JobRequest, TrainingFile
from ftkit.providers._hub_account import HubAccount
from ftkit.providers._local_jobs import JobRecord
from ftkit.providers.huggingface import checkpoints, resolve
from ftkit.providers.huggingface.remote.carrier import Carrier
from ftkit.providers.huggingface.remote.files import HubFiles
from ftkit.providers.huggingface.remote.provider import JobsHuggingFace
from ftkit.testing.tally import Tally, record

if TYPE_CHECKING:
    from collections.abc import Callable, Generator
    from pathlib import Path

    from hub_tools import HubStandIn

NAMES = (
    *("../../x", "../x", "..", "/x", "a/../../../x", "checkpoints/checkpoint-5/../../../../x", "tokenizer/../../x"),
    *("..\\..\\x", "C:\\x", "\\\\x\\y", "%2e%2e/%2e%2e/x", "..%5cx", "a//x", "./x", "a\nx", "a\0x", "x" * 300),
    *("\uff0e\uff0e\uff0fx", "CON", " ", "~/x", ".cache/huggingface/../../../x", "tokenizer_config.json/../../../x"),
)
JOB = f"ftjob-{'1' * 24}"


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Surroundings:
    world = Surroundings(tmp_path / "world")
    monkeypatch.setenv("FTKIT_HOME", str(world.ours / "home"))
    monkeypatch.chdir(world.ours)
    return world


@pytest.fixture
def hub(world: Surroundings, monkeypatch: pytest.MonkeyPatch) -> Generator[HubStandIn]:
    with a_hub(monkeypatch, world.ours) as hub:
        hub.hold = True
        monkeypatch.setenv("HF_TOKEN", TOKEN)
        monkeypatch.setattr(retrying, "ATTEMPTS", 1)  # what cannot be fetched would be asked for five times
        yield hub
        hub.strange.clear()  # of the names above, a server cannot make sense of some


def told_by(call: Callable[[], object]) -> str:
    """Calls, and returns what came of it as text; only our own errors may come."""
    try:
        told = str(call())
    except FtkitError as error:
        told = f"{type(error).__name__}: {error}"
    assert CANARY not in told
    return told


def record_of(file: TrainingFile, job: str) -> JobRecord:
    request = JobRequest(model=MODEL, training_file=file, method=Supervised(n_epochs=1))
    extra = {"model": MODEL, "job": job}
    made: dict[str, Any] = {"key": "k", "provider": "huggingface", "identity": "i", "command": ("python",)}
    return JobRecord(**made, created_at=datetime.now(UTC), request=request, extra=extra, can_resume=True)


def uploaded(account: HubAccount, folder: Path) -> TrainingFile:
    (folder / "train.jsonl").write_text("{}\n")
    return HubFiles(account, "i").add(folder / "train.jsonl", "key")


def test_a_machine_fetches_a_job_into_its_folder_and_nowhere_else(hub: HubStandIn, world: Surroundings) -> None:
    account = HubAccount("huggingface", USER, None, hub.api())
    file = uploaded(account, world.ours)
    fetched = 0
    for number, name in enumerate(NAMES):
        job = f"ftjob-{number:024x}"
        hub.add_repo(f"{USER}/{job}", {name: b"evil", "events.jsonl": b""}, branch="training")
        with world.untouched(name):
            told = told_by(Carrier(record_of(file, job), 1, account)._fetch)
            fetched += told == "None"
        left = {path for path in world.ours.iterdir() if path.is_file()}
        assert left == {world.ours / "train.jsonl"}, name
    assert 0 < fetched < len(NAMES)
    record(Tally("hostile ids and names", "a job's repository", len(NAMES)))


def test_the_name_of_a_job_is_no_path(hub: HubStandIn, world: Surroundings) -> None:
    account = HubAccount("huggingface", USER, None, hub.api())
    file = TrainingFile(id="ftkit-file-1", provider="huggingface")
    for name in ("../x", str(world.outside), "", f"{JOB}/..", f"{JOB}\n"):
        with world.untouched(name), pytest.raises(ConfigurationError, match="names no job"):
            Carrier(record_of(file, name), 1, account)


def test_a_model_is_fetched_into_the_cache_and_nowhere_else(hub: HubStandIn, world: Surroundings) -> None:
    tries = 0
    for number, name in enumerate(NAMES):
        model = f"{USER}/model-{number}"
        hub.add_repo(model, {name: b"evil", "config.json": b"{}", "tokenizer.json": b"{}"})
        with world.untouched(name):
            for patterns in (None, ["tokenizer*", "config.json"]):
                told_by(lambda model=model, patterns=patterns: resolve._from_hub(model, patterns, hub.api()))
                tries += 1
    record(Tally("hostile ids and names", "a model's repository", tries))


def hostile_marks(world: Surroundings) -> dict[str, dict[str, int]]:
    """Lists of files that checkpoints could come with."""
    size = (world.outside / "x.json").stat().st_size
    up = "../" * 7 + "outside/x.json"
    return {"up": {up: size}, "absolute": {str(world.outside / "x.json"): size}, "none": {"": 0}, "dots": {"..": 4096}}


def test_a_list_of_files_leads_out_of_no_checkpoint(world: Surroundings) -> None:
    for name, files in hostile_marks(world).items():
        job = world.ours / "jobs" / name
        place = job / checkpoints.FOLDER / "checkpoint-5"
        place.mkdir(parents=True)
        mark = {"step": 5, "files": files, "created_at": datetime.now(UTC).isoformat()}
        (place / checkpoints.MARK).write_text(json.dumps(mark))
        with world.untouched(name):
            assert checkpoints.whole(job) == []
            assert checkpoints.newest_step(job) == 0
            assert checkpoints.drop_torn(job) == ["checkpoint-5"]
        assert not place.exists()


ODD = (b"", b"null", b"[]", b"{", b'"x"', b"\xff\xfe", b"[" * 100_000, b'{"step": "x"}', b'{"id": "../../x"}')


def test_what_a_machine_has_left_is_read_or_refused_whatever_it_is(hub: HubStandIn, world: Surroundings) -> None:
    provider = JobsHuggingFace(hub=hub.api(), flavor="cpu-basic", namespace=USER)
    (world.ours / "train.jsonl").write_text("{}\n")
    file = provider.upload(world.ours / "train.jsonl", "key")
    job = provider.create_job(JobRequest(model=MODEL, training_file=file, method=Supervised(n_epochs=1)), "key")
    name, good = repository(hub, job.id), event_line(1, "Step 1").removeprefix("ftkit-event: ").encode()
    [run] = hub.jobs.values()
    leave(hub, job, word="succeeded", step=4)
    hub.set_stage(run.id, "COMPLETED")
    odd_event = good.replace(b'"00000001"', b'"../../x"')
    tries = 0
    for odd in ODD:
        lines = b"\n".join([odd, odd_event, good.replace(b'"00000001"', b'"' + b"9" * 5000 + b'"'), good, b""])
        mark = f"checkpoints/checkpoint-5/{checkpoints.MARK}"
        hub.add_repo(name, {"events.jsonl": lines, mark: odd, "checkpoints/checkpoint-../x": odd}, branch="training")
        with world.untouched(repr(odd[:20])):
            assert [event.message for event in provider.list_events(job.id, None, 9).items] == ["Step 1"]
            assert provider.results(job.id) == []
            with pytest.raises(ProviderError, match="cannot be read"):
                provider.list_checkpoints(job.id)
        tries += 3
    record(Tally("hostile ids and names", "a job's results", tries))


def test_the_note_of_a_file_is_for_that_file_alone(hub: HubStandIn, world: Surroundings) -> None:
    account = HubAccount("huggingface", USER, None, hub.api())
    file = uploaded(account, world.ours)
    hub.add_repo(f"{USER}/precious", {"data.jsonl": b"precious"}, "dataset")
    note = json.loads(hub.repo(f"{USER}/{file.id}", "dataset").files()["ftkit.json"])
    files = HubFiles(account, "i")
    for word in ("precious", "../x", f"../{USER}/precious", "ftkit-file-" + "0" * 24):
        hub.add_repo(f"{USER}/{file.id}", {"ftkit.json": json.dumps({**note, "id": word}).encode()}, "dataset")
        with world.untouched(word):
            for call in (files.get, files.delete, lambda each: files.download(each, world.ours / "got")):
                with pytest.raises(ProviderError, match="damaged"):
                    call(file.id)
    assert ("dataset", f"{USER}/precious") in hub.repos
    assert not (world.ours / "got").exists()
    with pytest.raises(NotFoundError):
        files.download("../precious", world.ours / "got")
