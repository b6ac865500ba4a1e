"""The life of a local deployment: its process, its folder, its token."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import stat
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import psutil
import pytest

from ftkit.errors import ConfigurationError, ConflictError, NotFoundError, ProviderError, ProviderUnavailableError
from ftkit.models import ChatMessage, ChatOptions, Deployment, DeploymentStatus
from ftkit.providers._local_endpoints import LocalEndpoints
from ftkit.providers._processes import ProcessId, end_group, is_alive, process_of, start_detached, this_process

if TYPE_CHECKING:
    from pathlib import Path

GREEDY = ChatOptions(temperature=0, max_tokens=8)
HELLO = [ChatMessage(role="user", content="hello")]
ANOTHER_PROCESS = """
import sys
from pathlib import Path
from ftkit.providers._local_endpoints import LocalEndpoints
endpoints = LocalEndpoints(Path(sys.argv[1]), "huggingface", "local:tests")
"""


def folder_of(endpoints: LocalEndpoints, name: str) -> Path:
    return endpoints.token_file(name).parent


def process(endpoints: LocalEndpoints, name: str) -> ProcessId:
    state = json.loads((folder_of(endpoints, name) / "server.json").read_text())
    return ProcessId.model_validate(state["process"])


def elsewhere(endpoints: LocalEndpoints, code: str, *arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", ANOTHER_PROCESS + code, str(folder_of(endpoints, "x").parent), *arguments],
        check=True,
        capture_output=True,
        text=True,
    )
    assert done.stderr == ""
    return done.stdout.strip()


def test_another_process_finds_it(shared: LocalEndpoints, tiny: Deployment) -> None:
    assert tiny.status is DeploymentStatus.RUNNING
    assert (tiny.model, tiny.source, tiny.identity) == ("tiny", "job-1", "local:tests")
    found = elsewhere(shared, "print(endpoints.list_deployments()[0].model_dump_json())")
    assert Deployment.model_validate_json(found) == tiny


def test_the_same_name_and_target_is_one_process(shared: LocalEndpoints, tiny: Deployment, model: Path) -> None:
    before = process(shared, "tiny")
    assert shared.deploy("tiny", str(model), "job-1", {}) == tiny
    assert process(shared, "tiny") == before


def test_another_target_of_that_name_is_a_conflict(shared: LocalEndpoints, tiny: Deployment, model: Path) -> None:
    for target, source in ((str(model), "job-2"), (f"{model}/other", "job-1")):
        with pytest.raises(ConflictError, match="'tiny' is there already, of job-1"):
            shared.deploy("tiny", target, source, {})
    assert shared.get_deployment("tiny") == tiny


def test_the_token_is_in_its_own_file_and_nowhere_else(shared: LocalEndpoints, tiny: Deployment) -> None:
    file = shared.token_file("tiny")
    token = file.read_text()
    assert len(token) >= 43
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700
    shared.chat(tiny, HELLO, GREEDY)
    others = [path for path in file.parent.iterdir() if path != file]
    assert {"endpoint.json", "server.json", "log.txt"} <= {path.name for path in others}
    server = psutil.Process(process(shared, "tiny").pid)
    told = [*(path.read_text() for path in others), *server.cmdline(), *server.environ().values(), repr(tiny)]
    assert not [text for text in told if token in text]


def test_it_survives_the_process_that_made_it(endpoints: LocalEndpoints, model: Path) -> None:
    code = "print(endpoints.deploy('kept', sys.argv[2], 'job-1', {}).url)"
    url = elsewhere(endpoints, code, str(model))
    kept = endpoints.get_deployment("kept")
    assert (kept.status, kept.url) == (DeploymentStatus.RUNNING, url)
    assert endpoints.chat(kept, HELLO, GREEDY).text
    assert os.getsid(process(endpoints, "kept").pid) != os.getsid(0)


def test_killed_it_is_failed_and_comes_back(endpoints: LocalEndpoints, model: Path) -> None:
    made = endpoints.deploy("phoenix", str(model), "job-1", {})
    before = process(endpoints, "phoenix")
    os.kill(before.pid, signal.SIGKILL)
    while is_alive(before):
        time.sleep(0.01)
    seen = sorted((path, path.read_bytes()) for path in folder_of(endpoints, "phoenix").iterdir())
    failed = endpoints.get_deployment("phoenix")
    assert failed.status is DeploymentStatus.FAILED
    assert failed.url is None
    assert "its process has ended" in str(failed.error)
    assert endpoints.list_deployments() == [failed]
    with pytest.raises(ProviderUnavailableError, match="not running") as unavailable:
        endpoints.chat(made, HELLO, GREEDY)
    assert "Deploy it again" in str(unavailable.value)
    now = sorted((path, path.read_bytes()) for path in folder_of(endpoints, "phoenix").iterdir())
    assert now == seen  # reads write nothing
    again = endpoints.deploy("phoenix", str(model), "job-1", {})
    assert again.status is DeploymentStatus.RUNNING
    assert again.created_at == made.created_at
    assert endpoints.chat(made, HELLO, GREEDY).text  # what the user holds works again, on another port


def test_deploys_at_once_make_one_process_and_deleting_ends_it(endpoints: LocalEndpoints, model: Path) -> None:
    folder = folder_of(endpoints, "one")
    at_once = threading.Barrier(4)

    def deploy(_: int) -> Deployment:
        at_once.wait()
        return LocalEndpoints(folder.parent, "huggingface", "local:tests").deploy("one", str(model), "job-1", {})

    with ThreadPoolExecutor(4) as pool:
        first, *others = pool.map(deploy, range(4))
    assert others == [first] * 3
    running = process(endpoints, "one")
    serving = [p for p in psutil.process_iter() if f"--folder={folder}" in _arguments(p)]
    assert [p.pid for p in serving] == [running.pid]
    # A second server in the folder gives way, whoever started it.
    second = subprocess.run(serving[0].cmdline(), capture_output=True, text=True, check=False, timeout=30)
    assert second.returncode == 1
    assert "another server runs" in second.stderr
    assert process(endpoints, "one") == running

    endpoints.delete_deployment("one")
    assert not is_alive(running)
    assert not folder.exists()
    endpoints.delete_deployment("one")
    with pytest.raises(NotFoundError, match="no deployment 'one'"):
        endpoints.get_deployment("one")
    assert endpoints.list_deployments() == []


def _arguments(process: psutil.Process) -> list[str]:
    try:
        return process.cmdline()
    except (psutil.NoSuchProcess, psutil.AccessDenied):
        return []


def test_a_port_in_use_is_a_conflict_and_leaves_nothing(endpoints: LocalEndpoints, model: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(ConflictError, match=f"port {port} is in use") as conflict:
            endpoints.deploy("busy", str(model), "job-1", {"port": port})
    assert "Leave out port, or choose another." in str(conflict.value)
    assert not folder_of(endpoints, "busy").exists()


def test_a_model_that_cannot_be_loaded_is_told_and_leaves_nothing(
    endpoints: LocalEndpoints, model: Path, tmp_path: Path
) -> None:
    broken = tmp_path / "broken"
    shutil.copytree(model, broken)
    (broken / "model.safetensors").write_bytes(b"no weights")
    with pytest.raises(ProviderError, match=r"did not start: .*Safetensor") as failed:
        endpoints.deploy("broken", str(broken), "job-1", {})
    assert "the end of its log" in str(failed.value)
    assert not folder_of(endpoints, "broken").exists()
    assert not [p for p in psutil.process_iter() if f"--model={broken}" in _arguments(p)]


def test_a_model_that_lacks_weights_is_not_filled_with_random_ones(
    endpoints: LocalEndpoints, model: Path, tmp_path: Path
) -> None:
    safetensors = pytest.importorskip("safetensors.numpy")
    partial = tmp_path / "partial"
    shutil.copytree(model, partial)
    weights = safetensors.load_file(partial / "model.safetensors")
    del weights["model.layers.1.mlp.up_proj.weight"]
    safetensors.save_file(weights, partial / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(ProviderError, match=r"lacks weights: model\.layers\.1\.mlp\.up_proj\.weight"):
        endpoints.deploy("partial", str(partial), "job-1", {})


def test_a_start_that_takes_too_long_is_ended(endpoints: LocalEndpoints, model: Path) -> None:
    command = [sys.executable, "-c", "import time; print('waiting', flush=True); time.sleep(600)"]
    with pytest.raises(ProviderError, match=r"not ready within 0\.5 s(.|\n)*waiting") as slow:
        endpoints.deploy("slow", str(model), "job-1", {"start_timeout_s": 0.5}, command)
    assert "start_timeout_s" in str(slow.value)
    assert not folder_of(endpoints, "slow").exists()
    assert not [p for p in psutil.process_iter() if f"--model={model}" in _arguments(p) and "600" in str(p.cmdline())]


def test_a_server_that_cannot_be_started_leaves_nothing(endpoints: LocalEndpoints) -> None:
    with pytest.raises(ProviderError, match="no-such-program"):
        endpoints.deploy("none", "m", "job-1", {}, ["no-such-program"])
    assert not folder_of(endpoints, "none").exists()


def test_what_a_killed_deploy_left_is_no_obstacle(endpoints: LocalEndpoints, model: Path) -> None:
    folder = folder_of(endpoints, "left")
    folder.mkdir(parents=True)
    (folder / "token").write_text("half")
    with pytest.raises(NotFoundError):
        endpoints.get_deployment("left")
    assert endpoints.list_deployments() == []
    assert endpoints.deploy("left", str(model), "job-1", {}).status is DeploymentStatus.RUNNING


@pytest.mark.parametrize("name", ["", "..", "../x", "a/b", ".locks", "-x", "a b", "x" * 64, "x\n", "ü"])
def test_a_name_never_leaves_the_folder(endpoints: LocalEndpoints, name: str) -> None:
    for verb in (
        lambda: endpoints.deploy(name, "m", "s", {}),
        lambda: endpoints.delete_deployment(name),
    ):
        with pytest.raises(ConfigurationError, match="1 to 63 letters, digits"):
            verb()
    with pytest.raises(NotFoundError, match="no deployment"):  # as for every id that cannot be known
        endpoints.get_deployment(name)


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"prot": 80}, "did you mean 'port'"),
        ({"port": 0}, "port"),
        ({"start_timeout_s": -1}, "start_timeout_s"),
        ({"threads": 0}, "threads"),
    ],
)
def test_options_are_checked(endpoints: LocalEndpoints, options: dict[str, object], told: str) -> None:
    with pytest.raises(ConfigurationError, match=told):
        endpoints.deploy("x", "m", "s", options)
    assert endpoints.list_deployments() == []


def test_a_pid_alone_is_nobody() -> None:
    me = this_process()
    assert is_alive(me)
    assert process_of(me.pid) == me
    assert not is_alive(me.model_copy(update={"started": me.started - 60}))
    assert not is_alive(me.model_copy(update={"boot": "another"}))
    with subprocess.Popen([sys.executable, "-c", ""]) as child:
        psutil.Process(child.pid).status()
        while psutil.Process(child.pid).status() != psutil.STATUS_ZOMBIE:
            time.sleep(0.01)
        assert process_of(child.pid) is None  # a zombie has ended


def test_a_group_is_ended_with_all_that_is_in_it(tmp_path: Path) -> None:
    stubborn = "trap '' TERM; sleep 500 & echo ready; wait; sleep 500"
    leader = start_detached(["bash", "-c", stubborn], log=tmp_path / "log")
    assert leader is not None
    while "ready" not in (tmp_path / "log").read_text():
        time.sleep(0.01)
    members = [leader.pid, *(child.pid for child in psutil.Process(leader.pid).children())]
    assert len(members) == 2
    end_group(leader.model_copy(update={"started": 1.0}), 0.1)  # another one of that number: left alone
    assert is_alive(leader)
    end_group(leader, 0.1)
    assert [process_of(pid) for pid in members] == [None, None]
