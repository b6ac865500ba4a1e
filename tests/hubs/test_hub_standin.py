"""The stand-in does what huggingface_hub asks of the Hub: the tests that use it stand on this."""

from __future__ import annotations

import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil
import pytest

if sys.platform == "win32":
    pytest.skip("jobs are processes as POSIX has them", allow_module_level=True)

import httpx2
from huggingface_hub import CommitOperationAdd, CommitOperationCopy, CommitOperationDelete, HfApi, RepoFile
from huggingface_hub.errors import (
    EntryNotFoundError,
    HfHubHTTPError,
    JobNotFoundError,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)

from hubs.standin import HANG, ORG, RESET, TOKEN, USER, HubStandIn, error, online, standing

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable

    from huggingface_hub import JobInfo

# huggingface_hub's own, when it uploads a large file.
pytestmark = pytest.mark.filterwarnings("ignore:Use 'content=:DeprecationWarning")

REPO = f"{USER}/sums"
OTHER = "somebody/else"
IMAGE = "python:3.12"
WEIGHTS = b"weights\0" * 1000
SLEEPER = "import time; print('here', flush=True); time.sleep(600)"
SOON_S = 10.0


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Generator[HubStandIn]:
    online(monkeypatch, tmp_path / "hf")
    with standing() as made:
        yield made


@pytest.fixture
def api(hub: HubStandIn) -> HfApi:
    return hub.api()


@pytest.fixture
def repo(api: HfApi) -> str:
    return api.create_repo(REPO, private=True).repo_id


def python(api: HfApi, code: str, **options: Any) -> JobInfo:
    return api.run_job(image=IMAGE, command=["python", "-c", code], namespace=USER, **options)


def log(api: HfApi, job: JobInfo, **options: Any) -> list[str]:
    return list(api.fetch_job_logs(job_id=job.id, namespace=job.owner.name, **options))


def stage(api: HfApi, job: JobInfo) -> tuple[str, str | None]:
    status = api.inspect_job(job_id=job.id, namespace=job.owner.name).status
    return str(status.stage), status.message


def paths(found: Iterable[Any]) -> list[str]:
    return [each.path for each in found]


# -- repositories ------------------------------------------------------------------------------------------------


def test_a_repository_is_made_once_found_and_gone(api: HfApi, repo: str) -> None:
    assert api.whoami()["orgs"][0]["name"] == ORG
    assert api.create_repo(repo, private=True, exist_ok=True).repo_id == repo
    with pytest.raises(HfHubHTTPError, match="409"):
        api.create_repo(repo, private=True)
    info = api.model_info(repo, files_metadata=True)
    [main] = api.list_repo_refs(repo).branches
    assert (main.name, main.ref) == ("main", "refs/heads/main")
    assert (info.id, info.author, info.private, info.sha) == (repo, USER, True, main.target_commit)
    assert info.siblings is not None
    assert [(each.rfilename, each.size) for each in info.siblings] == [(".gitattributes", 50)]
    assert api.model_info(repo, expand=["createdAt"]).sha is None
    assert info.created_at is not None
    assert abs((datetime.now(UTC) - info.created_at).total_seconds()) < 60
    assert api.repo_exists(repo)
    assert not api.repo_exists(repo, repo_type="dataset")
    api.delete_repo(repo)
    api.delete_repo(repo, missing_ok=True)
    assert not api.repo_exists(repo)


def test_repositories_are_listed_by_whom_and_by_a_word_on_pages(hub: HubStandIn, api: HfApi) -> None:
    hub.page_size = 2
    for name in (f"{USER}/sums-a", f"{USER}/sums-b", f"{USER}/sums-c", f"{USER}/else", f"{ORG}/sums-d"):
        api.create_repo(name, private=True)
        api.create_repo(f"{name}-data", repo_type="dataset", private=True)
    assert [each.id for each in api.list_models(author=USER, search="sums")] == [f"{USER}/sums-{x}" for x in "abc"]
    assert [each.id for each in api.list_datasets(author=ORG, search="sums")] == [f"{ORG}/sums-d-data"]
    assert len([*api.list_models()]) == 5
    assert len([*api.list_models(limit=3)]) == 3


def test_only_our_own_is_written_to_and_only_with_the_token(hub: HubStandIn, api: HfApi, repo: str) -> None:
    hub.add_repo(OTHER, {"config.json": b"{}"})
    assert api.file_exists(OTHER, "config.json")
    for refused in (
        lambda: api.create_repo("somebody/new", private=True),
        lambda: api.upload_file(path_or_fileobj=b"x", path_in_repo="x", repo_id=OTHER),
        lambda: api.create_branch(OTHER, branch="b"),
        lambda: api.delete_repo(OTHER),
        lambda: api.run_job(image=IMAGE, command=["true"], namespace="somebody"),
    ):
        with pytest.raises(HfHubHTTPError, match="403"):
            refused()
    with pytest.raises(HfHubHTTPError, match="401"):
        hub.api("hf_another").model_info(repo)


def test_what_nobody_should_send_is_kept(hub: HubStandIn, api: HfApi) -> None:
    api.create_repo(REPO, private=False)
    python(api, f"'{TOKEN}'")
    with pytest.raises(HfHubHTTPError, match="Bad request"):
        python(api, "", labels={"key": "v1:abc"})
    with pytest.raises(HfHubHTTPError, match="Bad request"):
        python(api, "", attempts=3)
    with pytest.raises(HfHubHTTPError, match="404"):
        api.get_space_runtime(REPO)
    said = "; ".join(hub.strange)
    for word in (f"{REPO} is public", "the token stands", "the label key=v1:abc", "attempts is not", "/runtime"):
        assert word in said
    hub.strange.clear()


def test_a_commit_adds_copies_and_deletes_files_and_folders(hub: HubStandIn, api: HfApi, repo: str) -> None:
    first = api.create_commit(
        repo,
        [
            CommitOperationAdd("a/small.txt", b"one"),
            CommitOperationAdd("a/b/model.safetensors", WEIGHTS),
            CommitOperationAdd("c/d.txt", b"d"),
            CommitOperationAdd("empty.txt", b""),
        ],
        commit_message="first",
    )
    second = api.create_commit(
        repo,
        [
            CommitOperationAdd("a/small.txt", b"two"),
            CommitOperationDelete("c/", is_folder=True),
            CommitOperationDelete("empty.txt"),
            CommitOperationCopy("a/small.txt", "copy.txt", src_revision=first.oid),
            CommitOperationCopy("a/b/model.safetensors", "copy.safetensors", src_revision=first.oid),
        ],
        commit_message="second",
        parent_commit=first.oid,
    )
    assert len({first.oid, second.oid}) == 2
    assert hub.repo(repo).files() == {
        ".gitattributes": hub.repo(repo).files()[".gitattributes"],
        "a/small.txt": b"two",
        "a/b/model.safetensors": WEIGHTS,
        "copy.txt": b"one",
        "copy.safetensors": WEIGHTS,
    }
    with pytest.raises(HfHubHTTPError, match="412"):
        api.create_commit(repo, [CommitOperationAdd("x", b"x")], commit_message="third", parent_commit=first.oid)
    with pytest.raises(EntryNotFoundError, match="doesn't exist"):
        api.create_commit(repo, [CommitOperationDelete("nothing")], commit_message="fourth")
    with pytest.raises(RevisionNotFoundError):
        api.create_commit(repo, [CommitOperationAdd("x", b"x")], commit_message="fifth", revision="nowhere")
    assert api.model_info(repo).sha == second.oid
    assert httpx2.put(f"{hub.url}/lfs/{'0' * 64}", content=b"not what was announced").status_code == 400


def test_a_tree_is_told_as_the_hub_tells_it(hub: HubStandIn, api: HfApi, repo: str) -> None:
    hub.page_size = 2
    files = {"a/b/model.safetensors": WEIGHTS, "a/x.txt": b"x", "y.txt": b"y"}
    api.create_commit(repo, [CommitOperationAdd(*each) for each in files.items()], commit_message="all")
    everything = [".gitattributes", "a", "a/b", "a/b/model.safetensors", "a/x.txt", "y.txt"]
    assert paths(api.list_repo_tree(repo, recursive=True)) == everything
    assert paths(api.list_repo_tree(repo)) == [".gitattributes", "a", "y.txt"]
    assert paths(api.list_repo_tree(repo, "a")) == ["a/b", "a/x.txt"]
    with pytest.raises(EntryNotFoundError):
        list(api.list_repo_tree(repo, "nothing"))
    small, large = api.get_paths_info(repo, ["y.txt", "nothing", "a/b/model.safetensors"])
    assert isinstance(small, RepoFile)
    assert (small.path, small.size, small.lfs, small.blob_id) == ("y.txt", 1, None, git_of(b"y"))
    assert isinstance(large, RepoFile)
    assert large.lfs is not None
    assert (large.size, large.lfs["size"], large.xet_hash) == (8000, 8000, None)
    api.upload_file(path_or_fileobj=b"y", path_in_repo="y.txt", repo_id=repo)
    assert hub.calls.count("POST commit") == 1, "nothing had changed, as the Hub said before the upload"


def git_of(content: bytes) -> str:
    from huggingface_hub.utils.sha import git_hash

    return git_hash(content)


def test_a_branch_is_its_own_and_all_of_it_is_fetched(api: HfApi, repo: str, tmp_path: Path) -> None:
    branch = "job/1"
    folder = tmp_path / "up"
    (folder / "checkpoint-2").mkdir(parents=True)
    (folder / "checkpoint-2" / "model.safetensors").write_bytes(WEIGHTS)
    (folder / "state.json").write_text("{}")
    begun = api.upload_file(path_or_fileobj=WEIGHTS, path_in_repo="checkpoint-1/model.safetensors", repo_id=repo)
    api.create_branch(repo, branch=branch)
    api.create_branch(repo, branch=branch, exist_ok=True)
    with pytest.raises(HfHubHTTPError, match="409"):
        api.create_branch(repo, branch=branch)
    pushed = api.upload_folder(
        repo_id=repo, folder_path=folder, revision=branch, delete_patterns=["checkpoint-*/*"], commit_message="saved"
    )
    refs = {ref.name: ref.target_commit for ref in api.list_repo_refs(repo).branches}
    assert refs == {"main": begun.oid, branch: pushed.oid}
    new = {".gitattributes", "checkpoint-2/model.safetensors", "state.json"}
    for revision in (branch, pushed.oid):
        got = Path(api.snapshot_download(repo, revision=revision, local_dir=tmp_path / revision.replace("/", "-")))
        found = [path for path in got.rglob("*") if path.is_file() and ".cache" not in path.parts]
        assert {path.relative_to(got).as_posix() for path in found} == new
        assert (got / "checkpoint-2" / "model.safetensors").read_bytes() == WEIGHTS
    assert Path(api.hf_hub_download(repo, "checkpoint-1/model.safetensors")).read_bytes() == WEIGHTS
    assert not api.file_exists(repo, "state.json")
    assert api.file_exists(repo, "state.json", revision=branch)
    with pytest.raises(EntryNotFoundError):
        api.hf_hub_download(repo, "checkpoint-1/model.safetensors", revision=branch)
    with pytest.raises(RevisionNotFoundError):
        api.model_info(repo, revision="nowhere")
    api.super_squash_history(repo, branch=branch)
    squashed = api.model_info(repo, revision=branch)
    assert squashed.sha not in {None, pushed.oid}
    assert set(api.list_repo_files(repo, revision=branch)) == new
    assert api.model_info(repo, revision=begun.oid).sha == begun.oid, "main needs it"
    with pytest.raises(RevisionNotFoundError):
        api.model_info(repo, revision=pushed.oid)


def test_a_dataset_has_a_card(hub: HubStandIn, api: HfApi) -> None:
    api.create_repo(f"{ORG}/rows", repo_type="dataset", private=True)
    rows = {"README.md": b"---\nlicense: mit\n---\n", "train.jsonl": b"{}\n"}
    api.create_commit(
        f"{ORG}/rows", [CommitOperationAdd(*each) for each in rows.items()], commit_message="rows", repo_type="dataset"
    )
    assert "POST validate" in hub.calls
    assert api.dataset_info(f"{ORG}/rows").author == ORG
    with pytest.raises(RepositoryNotFoundError):
        api.model_info(f"{ORG}/rows")


# -- jobs --------------------------------------------------------------------------------------------------------


def test_a_job_runs_with_nothing_but_what_is_its_own(
    hub: HubStandIn, api: HfApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MINE", "not the job's")
    code = "import os; print(sorted(os.environ)); print(os.listdir(), os.listdir(os.environ['HOME']))"
    job = python(api, f"{code}; print(os.environ['HF_ENDPOINT'])", env={"A": "1"}, secrets={"HF_TOKEN": TOKEN})
    names = {"A", "HF_ENDPOINT", "HF_HUB_DISABLE_XET", "HF_TOKEN", "HOME", "PATH"}
    own, folders, url = log(api, job, follow=True)
    assert set(eval(own)) - {"LC_CTYPE"} == names  # noqa: S307 - a list that our own job has printed
    assert (folders, url) == ("[] []", hub.url)


def test_a_job_has_the_packages_but_not_ftkit_nor_have_its_children(api: HfApi) -> None:
    look = (
        "from importlib import metadata, util; print([bool(util.find_spec(n)) for n in ('torch', 'trl', 'ftkit')], "
        "[d.name for d in metadata.distributions() if d.name.startswith('ftkit')])"
    )
    for starter in ("sys.executable", "'python'"):
        job = python(api, f"import subprocess, sys; subprocess.run([{starter}, '-c', {look!r}], check=True)")
        assert log(api, job, follow=True) == ["[True, True, False] []"]
    failing = python(api, "import ftkit")  # and what has failed is not cancelled any more
    assert "ModuleNotFoundError: No module named 'ftkit'" in log(api, failing, follow=True)[-1]
    api.cancel_job(job_id=failing.id, namespace=USER)
    assert stage(api, failing) == ("ERROR", "Job failed with exit code: 1")


def test_a_job_is_told_as_the_hub_tells_it(hub: HubStandIn, api: HfApi) -> None:
    hub.hold = True
    job = api.run_job(
        image=IMAGE,
        command=["sh", "-c", "sleep 1.1; exit 7"],
        env={"A": "1"},
        secrets={"S": "s-e-c-r-e-t"},
        flavor="t4-small",
        timeout="2h",
        name="run",
        labels={"ftkit": "abc"},
        namespace=ORG,
    )
    assert (job.status.stage, job.started_at, job.finished_at) == ("SCHEDULING", None, None)
    assert job.durations is not None
    assert (job.durations.scheduling_secs, job.durations.running_secs, job.durations.total_secs) == (None, None, 0)
    assert (job.owner.name, job.owner.type) == (ORG, "org")
    assert job.initiator is not None
    assert (job.initiator.type, job.initiator.name) == ("user", USER)
    assert (job.docker_image, job.space_id, job.flavor) == (IMAGE, None, "t4-small")
    assert (job.command, job.arguments) == (["sh", "-c", "sleep 1.1; exit 7"], [])
    assert (job.environment, job.labels) == ({"A": "1"}, {"ftkit": "abc", "name": "run"})
    assert job.secrets is not None
    assert job.secrets.keys() == {"S"}
    assert "s-e-c-r-e-t" not in repr(job)
    assert job.url == f"{hub.url}/jobs/{ORG}/{job.id}"
    assert hub.jobs[job.id].posted["timeoutSeconds"] == 7200
    hub.hold = False
    done = api.wait_for_job(job.id, namespace=ORG, poll_interval=0.05)
    assert (done.status.stage, done.status.message) == ("ERROR", "Job failed with exit code: 7")
    assert done.created_at is not None
    assert done.started_at is not None
    assert done.finished_at is not None
    assert done.created_at <= done.started_at < done.finished_at
    assert done.durations is not None
    assert done.durations.running_secs == 1
    with pytest.raises(JobNotFoundError):
        api.inspect_job(job_id=job.id, namespace=USER)


def test_machines_have_a_price_by_the_minute(api: HfApi) -> None:
    machines = {each.name: each for each in api.list_jobs_hardware()}
    small = machines["t4-small"]
    assert (small.unit_label, small.unit_cost_micro_usd, small.unit_cost_usd) == ("minute", 6667, 0.006667)
    assert small.accelerator is not None
    assert (small.accelerator.model, small.accelerator.quantity) == ("T4", "1")
    assert machines["cpu-basic"].accelerator is None


def test_uv_runs_a_command_only_if_what_it_wants_is_there(api: HfApi) -> None:
    def run(*arguments: str) -> tuple[str, tuple[str, str | None]]:
        job = api.run_job(image=IMAGE, command=["uv", "run", *arguments], namespace=USER)
        return "\n".join(log(api, job, follow=True)), stage(api, job)

    there = ("--with", "huggingface_hub>=2.4,<3", "--with=torch==2.13.0", "--no-project", "--python", "3.12")
    assert run(*there, "python", "-c", "print(6 * 7)") == ("42", ("COMPLETED", None))
    for wanted, word in (("torch>=99", "only torch=="), ("ftkit", "was not found"), ("no-such-thing", "was not found")):
        said, ended = run("--with", wanted, "python", "-c", "print(6 * 7)")
        assert ended == ("ERROR", "Job failed with exit code: 1")
        assert "No solution found" in said
        assert word in said


def test_a_program_that_is_not_there_or_is_killed_fails(api: HfApi) -> None:
    job = api.run_job(image=IMAGE, command=["no-such-program"], namespace=USER)
    assert "no-such-program" in log(api, job, follow=True)[0]
    assert stage(api, job) == ("ERROR", "Job failed with exit code: 127")
    job = python(api, "import os, signal; os.kill(os.getpid(), signal.SIGKILL)")
    assert log(api, job, follow=True) == []
    assert stage(api, job) == ("ERROR", "Job failed with exit code: 137")


def test_a_log_is_followed_while_its_job_runs(hub: HubStandIn, api: HfApi) -> None:
    hub.keep_alive_s = 0.05
    code = "import sys, time\nfor i in range(3): print(i, flush=True); time.sleep(0.2)\nprint('end', file=sys.stderr)"
    job = python(api, code)
    began = time.monotonic()
    lines = api.fetch_job_logs(job_id=job.id, namespace=USER, follow=True)
    assert next(iter(lines)) == "0"
    assert stage(api, job) == ("RUNNING", None)
    assert list(lines) == ["1", "2", "end"]
    assert time.monotonic() - began < 3, "it ended as the job did"
    assert log(api, job) == ["0", "1", "2", "end"]
    assert log(api, job, tail=2) == ["2", "end"]
    hub.drop_logs(job.id)
    assert log(api, job) == []


def test_a_log_that_breaks_off_is_taken_up_again(hub: HubStandIn, api: HfApi) -> None:
    job = python(api, "print(*range(6), sep='\\n')")
    hub.wait(job.id)
    whole = [str(i) for i in range(6)]
    hub.breaking = [3]
    assert log(api, job, follow=True) == whole[:2], "the job had ended, so huggingface_hub asks for no more"
    running = python(api, "import time; print(*range(6), sep='\\n', flush=True); time.sleep(0.7)")
    hub.wait_for_line(running.id, "5")
    hub.breaking = [3]
    assert log(api, running, follow=True) == whole, "and asks again while it runs"
    hub.breaking = [3]
    with httpx2.Client(headers={"authorization": f"Bearer {TOKEN}"}) as client:
        with pytest.raises(httpx2.RemoteProtocolError, match="incomplete"):
            client.get(f"{hub.url}/api/jobs/{USER}/{job.id}/logs")
        hub.closing = [3]
        assert client.get(f"{hub.url}/api/jobs/{USER}/{job.id}/logs").text.count("data: ") == 3
    assert log(api, job, follow=True) == whole


def test_a_job_that_is_cancelled_may_save_and_is_killed_if_it_does_not_end(hub: HubStandIn, api: HfApi) -> None:
    # Not by print: it may be in one, when the signal comes.
    code = "import os, signal, sys\nsignal.signal(15, lambda *_: (os.write(1, b'saved\\n'), {}))\n" + SLEEPER
    polite, stubborn = python(api, code.format("sys.exit(0)")), python(api, code.format("None"))
    hub.grace_s = 0.3
    for job in (polite, stubborn):
        hub.wait_for_line(job.id, "here")
        api.cancel_job(job_id=job.id, namespace=USER)
        assert stage(api, job) == ("CANCELED", None)
        hub.wait(job.id, SOON_S)
        assert log(api, job) == ["here", "saved"]
        api.cancel_job(job_id=job.id, namespace=USER)
    hub.hold = True
    waiting = python(api, "print('never')")
    time.sleep(0.3)
    assert stage(api, waiting) == ("SCHEDULING", None)
    api.cancel_job(job_id=waiting.id, namespace=USER)
    assert (log(api, waiting, follow=True), stage(api, waiting)) == ([], ("CANCELED", None))


def test_a_job_ends_when_its_time_is_over(hub: HubStandIn, api: HfApi) -> None:
    job = python(api, SLEEPER, timeout=1)
    assert log(api, job, follow=True) == ["here"]
    hub.wait(job.id)
    assert stage(api, job) == ("ERROR", "Job timeout")


def test_a_lost_machine_takes_all_processes_with_it(hub: HubStandIn, api: HfApi) -> None:
    child = "import os, time; os.setsid(); print(os.getpid(), 'here', flush=True); time.sleep(600)"
    start = f"subprocess.Popen([sys.executable, '-c', {child!r}], env={{}}, cwd='/')"
    job = python(api, f"import subprocess, sys; {start}.wait()")
    hub.wait_for_line(job.id, "here")
    pid = next(int(line.split()[0]) for _, line in hub.jobs[job.id].lines if line.endswith("here"))
    hub.kill(job.id)
    assert stage(api, job) == ("ERROR", "Job failed with exit code: 137")
    assert not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE


def test_nothing_is_left_when_the_stand_in_has_stopped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    online(monkeypatch, tmp_path / "hf")
    with standing() as hub:
        orphan = "import os; os.fork() and os._exit(0); os.setsid(); " + SLEEPER
        running, left = python(hub.api(), SLEEPER), python(hub.api(), orphan)
        hub.wait_for_line(running.id, "here")
        hub.wait(left.id, SOON_S)
        hub.hold = True  # Only now: what has not begun yet is held as well.
        python(hub.api(), "")
        place, process = hub._place, hub.jobs[running.id].process
    assert process is not None
    assert not psutil.pid_exists(process.pid)
    assert not place.exists()
    assert not [each for each in psutil.process_iter() if str(place) in " ".join(cmdline(each))]


def cmdline(process: psutil.Process) -> list[str]:
    try:
        return process.cmdline()
    except psutil.Error:
        return []


def test_jobs_are_listed_by_label_and_stage_on_pages(hub: HubStandIn, api: HfApi) -> None:
    hub.hold, hub.jobs_page_size = True, 2
    jobs = [python(api, "", labels={"key": key, "n": "1"}) for key in "aabab"]
    assert hub.posts == 5

    def listed(**options: Any) -> list[str]:
        return [job.id for job in api.list_jobs(namespace=USER, **options)]

    ids = [job.id for job in jobs]
    assert listed() == ids[::-1]
    assert listed(labels={"key": "a", "n": "1"}) == [ids[3], ids[1], ids[0]]
    assert listed(labels={"key": "c"}) == []
    hub.set_stage(ids[0], "DELETED")
    hub.set_stage(ids[1], "NEWFANGLED", "who knows")
    assert stage(api, jobs[1]) == ("NEWFANGLED", "who knows")
    assert listed(status=["DELETED", "NEWFANGLED"]) == [ids[1], ids[0]]
    hub.hold = False
    for job in jobs[2:]:
        hub.wait(job.id)
    assert listed(status="COMPLETED") == [ids[4], ids[3], ids[2]]
    assert stage(api, jobs[1]) == ("NEWFANGLED", "who knows"), "until another is set"
    running = python(api, "import time; print('here', flush=True); time.sleep(0.3)")
    hub.wait_for_line(running.id, "here")
    hub.set_stage(running.id, "RUNNING")
    hub.wait(running.id)
    assert stage(api, running) == ("RUNNING", None)


def test_a_job_fetches_its_data_and_pushes_what_it_made(hub: HubStandIn, api: HfApi, repo: str) -> None:
    hub.add_repo(f"{USER}/rows", {"train.jsonl": b"3 4"}, "dataset")
    code = f"""
from huggingface_hub import HfApi, hf_hub_download
a, b = open(hf_hub_download("{USER}/rows", "train.jsonl", repo_type="dataset")).read().split()
HfApi().upload_file(path_or_fileobj=f"{{int(a) * int(b)}}\\0".encode(), path_in_repo="model.bin", repo_id="{repo}")
"""
    job = python(api, code, secrets={"HF_TOKEN": TOKEN}, env={"HF_HUB_DISABLE_PROGRESS_BARS": "1"})
    assert hub.wait(job.id).stage == "COMPLETED", log(api, job)
    assert hub.repo(repo).files()["model.bin"] == b"12\0"


# -- faults ------------------------------------------------------------------------------------------------------


def test_a_fault_is_met_once_before_or_after_what_is_asked_is_done(hub: HubStandIn, api: HfApi) -> None:
    hub.hold, hub.hang_s = True, 0.2
    hub.refusing["POST job"] = [error(503, "try later"), HANG, RESET]
    with pytest.raises(HfHubHTTPError, match="503"):
        python(api, "")
    for least_s in (0.2, 0):  # it hangs, and then it is cut at once
        began = time.monotonic()
        with pytest.raises(httpx2.TransportError):
            python(api, "")
        assert time.monotonic() - began >= least_s
    assert (hub.posts, hub.jobs) == (0, {})
    hub.losing["POST job"] = [error(503, "too late")]
    with pytest.raises(HfHubHTTPError, match="503"):
        python(api, "")
    assert (hub.posts, len(hub.jobs)) == (1, 1)
    [job] = hub.jobs.values()
    hub.refusing["GET job"] = [error(404, "Job not found")]
    with pytest.raises(JobNotFoundError):
        api.inspect_job(job_id=job.id, namespace=USER)
    assert api.inspect_job(job_id=job.id, namespace=USER).id == job.id
    assert hub.requests[-1] == f"GET /api/jobs/{USER}/{job.id}"
