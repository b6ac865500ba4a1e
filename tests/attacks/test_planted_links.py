"""Links in a jobs folder that lead out of it, and notes in it that say so: nobody follows them."""

from __future__ import annotations

import functools
import json
import shutil
from typing import TYPE_CHECKING, Any

import pytest
from hubs.standin import USER, online, standing
from huggingface_hub import HfApi
from listening import listening
from live import live
from local_jobs_at_hand import STEP, IdleHuggingFace, build_jobs, copy_of, provider_of
from local_witness import end_all_below
from surroundings import CANARY, Surroundings

from ftkit import FtkitError, NotFoundError, ProviderError, Supervised
from ftkit.models import JobRequest, TrainingFile
from ftkit.providers.huggingface.resolve import model_problem
from ftkit.testing._rules import STRANGE_IDS
from ftkit.testing.tally import Tally, points, record

if TYPE_CHECKING:
    from collections.abc import Callable, Generator
    from pathlib import Path

    from listening import Answer, Asked

    from ftkit.providers._local_jobs.provider import LocalProvider

PROVIDERS = ("huggingface", "autotrain")
BESIDE = (
    *("queue", "slots", "queue.lock", "queue/000000000001-x", ".tmp-x", f"ftjob-{'0' * 24}"),
    *("files", "deployments"),
)
"""What may be a link beside the jobs."""
TOKEN = "hf_nobody"


@pytest.fixture(scope="module", params=PROVIDERS)
def built(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Path, str, str]:
    """A provider's name, a jobs folder, a job that has succeeded, and one that was interrupted."""
    name = str(request.param)
    jobs = tmp_path_factory.mktemp(name) / "jobs"
    return name, jobs, *build_jobs(name, jobs)


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Generator[Surroundings]:
    world = Surroundings(tmp_path / "world")
    monkeypatch.setenv("FTKIT_HOME", str(world.ours / "home"))
    yield world
    end_all_below(tmp_path)


def plants(done: str, other: str) -> list[str]:
    """Where links are put in turn, below the jobs folder."""
    parts = ("request.json", "status.json", "events.jsonl", "log.txt", "lock", "control.json", "control.lock", "model")
    more = ("adapter", "checkpoints", f"checkpoints/checkpoint-{STEP}", ".gone-model", "train.jsonl")
    deep = ("model/model.safetensors", "model/README.md", f"checkpoints/checkpoint-{STEP}/model.safetensors")
    inside = (*parts, *more, *deep, f"checkpoints/checkpoint-{STEP}/optimizer.pt", "checkpoints/.gone-checkpoint-1")
    served = ("deployments/.locks", "deployments/mine", *(f"deployments/mine/{n}" for n in ("endpoint.json", "token")))
    return [*(f"{job}/{name}" for job in (done, other) for name in inside), done, other, *BESIDE, *served]


def plant(link: Path, outside: Path, *, dangling: bool) -> None:
    """Puts a link where something is, or could be, to the like of it outside, or to nothing, where one could write."""
    target = outside / "there" / link.name
    if not dangling:
        target.parent.mkdir(exist_ok=True)
        if link.is_dir():
            shutil.copytree(link, target)
        elif link.exists():
            shutil.copyfile(link, target)
        else:
            target.mkdir()
        for path in [path for path in (target, *target.rglob("*")) if path.is_file()]:
            if path.suffix in {".txt", ".safetensors", ""}:
                path.write_text(CANARY)
    if link.is_dir():
        shutil.rmtree(link)
    else:
        link.unlink(missing_ok=True)
    link.parent.mkdir(parents=True, exist_ok=True)
    link.symlink_to(target)


def verbs(provider: LocalProvider, done: str, other: str, ours: Path) -> list[Callable[[], object]]:
    """All that can be asked of a jobs folder, what ends a thing last."""
    calls: list[Callable[[], object]] = [provider.identity, lambda: provider.list_jobs(None, 9)]
    calls += [lambda: provider.list_files(None, 9), provider.list_deployments]
    for job in (done, other, f"ftjob-{'0' * 24}"):
        calls += [functools.partial(call, job) for call in (provider.get_job, provider.results)]
        calls += [functools.partial(provider.list_events, job, None, 9)]
        for name in ("list_checkpoints", "pause_job"):
            if hasattr(provider, name):
                calls += [functools.partial(getattr(provider, name), job)]
    for file in [path.stem for path in (ours / "jobs" / "files").glob("file-*.json")]:
        calls += [
            functools.partial(provider.get_file, file),
            functools.partial(provider.download_file, file, ours / "got"),
        ]
    calls += [functools.partial(provider.get_deployment, "mine"), functools.partial(provider.delete_deployment, "mine")]
    hexes = done.removeprefix("ftjob-"), other.removeprefix("ftjob-")
    names = [f"ftkit:tea:{each}{step}" for each in hexes for step in (f":step-{STEP}", "")]
    calls += [functools.partial(provider.cancel_job, job) for job in (done, other)]
    return [*calls, *(functools.partial(provider.delete_model, name) for name in names)]


def make_job(provider: LocalProvider, file: str, ours: Path) -> object:
    """Makes a job, which starts a process that would write into the queue."""
    training = TrainingFile(id=file, provider=provider.name)
    model, method = str(ours / "jobs-model"), Supervised(n_epochs=1)
    return provider.create_job(JobRequest(model=model, training_file=training, method=method), "new")


def refuse(_: Asked) -> Answer:
    return 500, {}, b""


@pytest.mark.parametrize("kind", ["link", "dangling link"])
def test_no_link_is_followed_out_of_a_jobs_folder(
    built: tuple[str, Path, str, str], world: Surroundings, kind: str
) -> None:
    name, jobs, done, other = built
    places, tries = plants(done, other), 0
    file = next(path.stem for path in (jobs / "files").glob("file-*.json"))
    shutil.copytree(jobs.with_name("jobs-model"), world.ours / "jobs-model")
    for place in (places[number - 1] for number in points(len(places), 12)):
        shutil.rmtree(world.ours / "jobs", ignore_errors=True)
        shutil.rmtree(world.outside / "there", ignore_errors=True)
        here = copy_of(jobs, world.ours / "jobs")
        plant(here / place, world.outside, dangling=kind == "dangling link")
        with world.untouched(f"{name}: {place}"):
            provider = provider_of(name, here)
            calls = verbs(provider, done, other, world.ours)
            if place in BESIDE:
                calls.append(functools.partial(make_job, provider, file, world.ours))
            for call in calls:
                try:
                    told = str(call())
                except FtkitError as error:
                    told = str(error)
                assert CANARY not in told, place
                tries += 1
            end_all_below(here)
    assert not (world.ours / "got").exists() or CANARY not in (world.ours / "got").read_text()
    record(Tally("hostile ids and names", f"{name}, {kind}s", tries))


def test_nothing_from_outside_is_pushed(
    built: tuple[str, Path, str, str], world: Surroundings, monkeypatch: pytest.MonkeyPatch
) -> None:
    name, jobs, done, _ = built
    if name != "huggingface":
        pytest.skip("it has no push_model")
    online(monkeypatch, world.ours / "hf")
    tries = 0
    with standing() as hub:
        for place in ("nothing", "model", "model/model.safetensors", "model/README.md", "model/more"):
            shutil.rmtree(world.ours / "jobs", ignore_errors=True)
            shutil.rmtree(world.outside / "there", ignore_errors=True)
            provider = IdleHuggingFace(jobs_folder=copy_of(jobs, world.ours / "jobs"))
            if place == "nothing":
                provider.push_model(done, f"{USER}/tea", hub=hub.api())
                assert hub.repo(f"{USER}/tea").files()["model.safetensors"] == b"weights"
                hub.requests.clear()
                continue
            plant(world.ours / "jobs" / done / place, world.outside, dangling=False)
            with world.untouched(place), pytest.raises(ProviderError, match="is a link"):
                provider.push_model(done, f"{USER}/tea", hub=hub.api())
            assert hub.requests == []
            tries += 1
    record(Tally("hostile ids and names", "push_model, links", tries))


def test_a_link_is_named_and_how_to_mend_it(built: tuple[str, Path, str, str], world: Surroundings) -> None:
    name, jobs, done, _ = built
    here = copy_of(jobs, world.ours / "jobs")
    plant(here / done / "model", world.outside, dangling=False)
    provider = provider_of(name, here)
    with pytest.raises(
        ProviderError, match=rf"{done}/model is a link, and none is followed there\n.*Remove it"
    ) as caught:
        provider.deploy(f"ftkit:tea:{done.removeprefix('ftjob-')}", "mine", {})
    assert not isinstance(caught.value, NotFoundError)


def test_notes_with_another_id_lead_nowhere(built: tuple[str, Path, str, str], world: Surroundings) -> None:
    name, jobs, done, _ = built
    here = copy_of(jobs, world.ours / "jobs")
    note = next((here / "files").glob("file-*.json"))
    noted: dict[str, Any] = json.loads(note.read_text())
    tries = 0
    for word in ("../../../../outside/x", "../../outside/x", str(world.outside / "x"), "file-" + "1" * 24):
        (here / "files" / "file-111111111111111111111111.jsonl").write_text("another")
        note.write_text(json.dumps({**noted, "id": word}))
        provider = provider_of(name, here)
        with world.untouched(name):
            for call in (
                lambda provider=provider: provider.get_file(note.stem),
                lambda provider=provider: provider.download_file(note.stem, world.ours / "got"),
                lambda provider=provider: provider.delete_file(note.stem),
            ):
                with pytest.raises(NotFoundError):
                    call()
                tries += 1
            assert provider.list_files(None, 9).items == ()
            assert provider.get_job(done).id == done
    assert not (world.ours / "got").exists()
    record(Tally("hostile ids and names", f"{name}, notes", tries))


def left_in(folder: Path) -> list[Path]:
    """All that is there, but for the locks of names."""
    return sorted(path for path in folder.rglob("*") if "deployments" not in path.parts)


def test_hostile_ids_stay_in_the_jobs_folder(built: tuple[str, Path, str, str], world: Surroundings) -> None:
    name, jobs, done, _ = built
    here = copy_of(jobs, world.ours / "jobs")
    provider = provider_of(name, here)
    before = left_in(here)
    calls: dict[str, Callable[[str], object]] = {
        "list_jobs": lambda word: provider.list_jobs(word, 5),
        "list_files": lambda word: provider.list_files(word, 5),
        "list_events": lambda word: provider.list_events(word, None, 5),
        "list_events, after": lambda word: provider.list_events(done, word, 5),
        "download_file": lambda word: provider.download_file(word, world.ours / "got"),
        "deploy, model": lambda word: provider.deploy(word, "mine", {}),
        "delete_deployment": provider.delete_deployment,
        "delete_model, name": lambda word: provider.delete_model(f"ftkit:{word}:{done.removeprefix('ftjob-')}0"),
        "delete_model, step": lambda word: provider.delete_model(
            f"ftkit:tea:{done.removeprefix('ftjob-')}:step-{word}"
        ),
        "find_job": lambda word: provider.find_job(word if word.isprintable() else "", None, None),  # type: ignore[arg-type]
        **{verb: getattr(provider, verb) for verb in ("get_job", "cancel_job", "results", "get_file", "delete_file")},
        **{verb: getattr(provider, verb) for verb in ("get_deployment", "delete_model")},
    }
    if name == "huggingface":
        calls |= {verb: getattr(provider, verb) for verb in ("pause_job", "resume_job", "list_checkpoints")}
    tries = 0
    with listening(refuse) as listener, world.untouched(name):
        hub = HfApi(endpoint=listener.url, token=TOKEN)
        if name == "huggingface":
            calls["push_model, job"] = lambda word: provider.push_model(word, "me/tea", hub=hub)  # type: ignore[attr-defined]
            calls["push_model, to"] = lambda word: provider.push_model(done, f"me/{word}/..", hub=hub)  # type: ignore[attr-defined]
        for verb, call in calls.items():
            for word in STRANGE_IDS:
                if verb == "deploy, model" and model_problem(word) is None:
                    continue  # it could be one of the Hub's
                try:
                    told = str(call(word))
                except FtkitError as error:
                    told = str(error)
                assert CANARY not in told, verb
                tries += 1
        assert listener.asked == []
    assert left_in(here) == before
    assert not (world.ours / "got").exists()
    record(Tally("hostile ids and names", f"{name}, on this machine", tries))


def test_a_server_serves_and_sweeps_nothing_from_outside(world: Surroundings) -> None:
    home = world.ours / "server"
    server, sent, tries = live(home), {"file": ("tea.jsonl", b"{}\n")}, 0
    with server.http() as http:
        file, other = (http.post("/v1/files", files=sent, data={"purpose": "fine-tune"}).json()["id"] for _ in range(2))
        for name in (file, other):
            (home / "files" / f"{name}.jsonl").unlink()
            (home / "files" / f"{name}.jsonl").symlink_to(world.outside / "x.jsonl")
        with world.untouched("the server"):
            for answer in (
                http.get(f"/v1/files/{file}/content"),
                http.get(f"/v1/files/{file}"),
                http.post("/v1/fine_tuning/jobs", json={"model": "gpt-4o-mini-2024-07-18", "training_file": file}),
                http.delete(f"/v1/files/{other}"),
            ):
                assert 400 <= answer.status_code < 500
                assert CANARY not in answer.text
                tries += 1
    server.stop()
    for number, target in enumerate((world.outside, world.outside / "x.json", world.outside / "none")):
        for folder in ("incoming", "files"):
            (home / folder / f"link-{number}").symlink_to(target)
            tries += 1
    with world.untouched("the server, as it starts"):
        live(home).stop()
    assert not [path for path in home.rglob("link-*") if path.is_symlink()]
    record(Tally("hostile ids and names", "server, links", tries))
