"""Serving with vLLM: what stands in for it is a program at the wire (`vllm_standin`), and a GPU by its nvidia-smi."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import venv
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx2
import psutil
import pytest
from local_witness import until

from ftkit import Client, ConfigurationError, ConflictError
from ftkit.errors import ProviderError
from ftkit.ledger import Ledger
from ftkit.models import ChatMessage, ChatOptions, DeploymentStatus
from ftkit.providers.huggingface import engines, vllm
from ftkit.providers.huggingface.guard.ftkit_bearer import BearerOnly

if sys.platform != "linux":
    pytest.skip("vLLM for NVIDIA GPUs is Linux only", allow_module_level=True)

if TYPE_CHECKING:
    from ftkit.models import Deployment
    from ftkit.providers._local_endpoints import LocalEndpoints

HELLO = [ChatMessage(role="user", content="hello")]
STANDIN = Path(__file__).with_name("vllm_standin")


@pytest.fixture(scope="session")
def vllm_python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An environment with nothing in it but what stands in for vLLM."""
    folder = tmp_path_factory.mktemp("vllm")
    venv.create(folder, symlinks=True)
    packages = folder / "lib" / f"python{sys.version_info.major}.{sys.version_info.minor}" / "site-packages"
    shutil.copytree(STANDIN / "vllm", packages / "vllm")
    for name, version in {"vllm": "0.33.0", "torch": "2.14.0", "transformers": "5.20.2"}.items():
        info = packages / f"{name}-{version}.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
    return folder / "bin" / "python"


def put_on_path(program: str, script: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder.mkdir(exist_ok=True)
    (folder / program).write_text(f"#!/bin/sh\n{script}\n")
    (folder / program).chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")


@pytest.fixture
def gpu(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine with a GPU, as far as one can see."""
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    asked = '[ "$*" = "--query-gpu=name --format=csv,noheader" ] && echo "NVIDIA H100 80GB HBM3" && echo "NVIDIA T4"'
    put_on_path("nvidia-smi", asked, tmp_path / "bin", monkeypatch)


@pytest.fixture
def with_vllm(gpu: None, vllm_python: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine with a GPU, and vLLM's environment."""
    del gpu
    monkeypatch.setenv("FTKIT_VLLM_PYTHON", str(vllm_python))


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    folder = tmp_path / "weights"
    folder.mkdir()
    (folder / "config.json").write_text("{}")
    (folder / "model.safetensors").touch()
    return folder


def log_of(endpoints: LocalEndpoints, name: str) -> str:
    return (endpoints.token_file(name).parent / "log.txt").read_text()


def group_of(folder: Path) -> list[psutil.Process]:
    """The server, vLLM and the process beside it."""
    leader = json.loads((folder / "server.json").read_text())["process"]["pid"]
    found = [process for process in psutil.process_iter() if os.getpgid(process.pid) == leader]
    return sorted(found, key=lambda process: process.create_time())


def are_gone(group: list[psutil.Process]) -> bool:
    return not any(process.is_running() and process.status() != psutil.STATUS_ZOMBIE for process in group)


def served(endpoints: LocalEndpoints, deployment: Deployment) -> dict[str, Any]:
    """What vLLM was told: its model, and its options."""
    told = json.loads(endpoints.chat(deployment, HELLO, ChatOptions()).text)
    model, *options = told["argv"]
    return {"model": model, "threads": told["threads"], **dict(option.partition("=")[::2] for option in options)}


@pytest.mark.usefixtures("with_vllm")
@pytest.mark.parametrize("provider", ["huggingface", "autotrain"])
def test_a_model_is_deployed_asked_and_deleted(provider: str, weights: Path, tmp_path: Path) -> None:
    client = Client(provider, ledger=Ledger(tmp_path / "ledger"), jobs_folder=tmp_path / "jobs")
    deployment = client.deploy(str(weights), name="fast", threads=3)
    folder = tmp_path / "jobs" / "deployments" / "fast"
    group = group_of(folder)
    try:
        assert deployment.status is DeploymentStatus.RUNNING
        reply = client.chat(deployment, "hello")
        assert (reply.model, reply.finish_reason) == ("fast", "stop")
        told = json.loads(reply.text)
        assert told["argv"][0] == str(weights)
        assert told["threads"] == "3"
        assert "".join(chunk.text for chunk in client.stream_chat(deployment, "hello")) == reply.text
        assert (folder / "log.txt").read_text().startswith("engine: vLLM 0.33.0 (on NVIDIA H100 80GB HBM3; ")

        token = (folder / "token").read_text()
        ours, theirs, beside = group
        assert theirs.environ()["VLLM_API_KEY"] == token
        assert beside.cmdline()[-1] == "engine-core"
        everywhere = [part for process in psutil.process_iter() for part in _command_line(process)]
        assert "vllm.entrypoints.cli.main" in everywhere
        assert not [part for part in everywhere if token in part]
        assert token not in (folder / "log.txt").read_text()
        assert f"--folder={folder}" in ours.cmdline()
    finally:
        client.delete_deployment(deployment)
    assert are_gone(group)
    assert not folder.exists()


def _command_line(process: psutil.Process) -> list[str]:
    try:
        return process.cmdline()
    except psutil.Error:
        return []


@pytest.mark.usefixtures("with_vllm")
def test_nothing_passes_without_the_token_where_vllm_itself_lets_it(endpoints: LocalEndpoints, weights: Path) -> None:
    deployment = endpoints.deploy("shut", str(weights), "job-1", {"engine": "vllm"})
    url = str(deployment.url).removesuffix("/v1")
    ask = {"model": "shut", "messages": []}
    assert httpx2.get(f"{url}/health").status_code == 200
    for path in ("/invocations", "/v1/chat/completions"):
        refused = httpx2.post(f"{url}{path}", json=ask, headers={"Authorization": "Bearer wrong"})
        assert refused.status_code == 401
        assert refused.json()["error"]["code"] == "invalid_api_key"
        bearer = {"Authorization": f"Bearer {endpoints.token_file('shut').read_text()}"}
        assert httpx2.post(f"{url}{path}", json=ask, headers=bearer).is_success
    assert httpx2.get(f"{url}/metrics").status_code == 401


def test_a_web_socket_is_refused_as_well(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VLLM_API_KEY", "secret")
    sent: list[Any] = []

    async def app(scope: Any, _: Any, send: Any) -> None:
        await send(scope["type"])

    async def send(message: Any) -> None:
        sent.append(message)

    async def ask(kind: str, bearer: bytes) -> None:
        scope = {"type": kind, "path": "/v1/realtime", "headers": [(b"authorization", bearer)]}
        await BearerOnly(app)(scope, None, send)  # type: ignore[arg-type]

    asyncio.run(ask("websocket", b"Bearer other"))
    assert sent == [{"type": "websocket.close", "code": 1008}]
    asyncio.run(ask("websocket", b"Bearer secret"))
    asyncio.run(ask("lifespan", b""))
    assert sent[1:] == ["websocket", "lifespan"]


@pytest.mark.usefixtures("with_vllm")
def test_a_killed_server_leaves_no_vllm_behind_and_comes_back(endpoints: LocalEndpoints, weights: Path) -> None:
    deployment = endpoints.deploy("phoenix", str(weights), "job-1", {})
    group = group_of(endpoints.token_file("phoenix").parent)
    assert len(group) == 3
    os.kill(group[0].pid, signal.SIGKILL)
    until(lambda: are_gone(group), "vLLM ends")
    assert endpoints.get_deployment("phoenix").status is DeploymentStatus.FAILED
    again = endpoints.deploy("phoenix", str(weights), "job-1", {})
    assert again.status is DeploymentStatus.RUNNING
    assert served(endpoints, deployment)["model"] == str(weights)


@pytest.mark.usefixtures("with_vllm")
def test_when_vllm_dies_the_deployment_has_failed_and_nothing_is_left(endpoints: LocalEndpoints, weights: Path) -> None:
    endpoints.deploy("mortal", str(weights), "job-1", {})
    group = group_of(endpoints.token_file("mortal").parent)
    os.kill(group[1].pid, signal.SIGKILL)
    until(lambda: are_gone(group), "the others end")
    failed = endpoints.get_deployment("mortal")
    assert failed.status is DeploymentStatus.FAILED
    assert str(failed.error).startswith("vLLM ended with status -9\n  the end of its log:")
    assert "Starting vLLM server on 127.0.0.1" in str(failed.error)


@pytest.mark.usefixtures("with_vllm")
def test_what_vllm_dies_of_is_told_and_not_where_it_was_last_seen(endpoints: LocalEndpoints, weights: Path) -> None:
    (weights / "breaks").touch()
    told = r"did not start: vLLM ended with status 1: ValueError: Free memory on device is less\n"
    with pytest.raises(ProviderError, match=told) as failed:
        endpoints.deploy("broken", str(weights), "job-1", {})
    assert "Engine core initialization failed" in str(failed.value)
    assert not endpoints.token_file("broken").parent.exists()


@pytest.mark.usefixtures("with_vllm")
def test_it_serves_on_the_port_that_was_asked_for(endpoints: LocalEndpoints, weights: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(ConflictError, match=f"port {port} is in use"):
            endpoints.deploy("busy", str(weights), "job-1", {"port": port})
    deployment = endpoints.deploy("busy", str(weights), "job-1", {"port": port})
    assert deployment.url == f"http://127.0.0.1:{port}/v1"
    assert served(endpoints, deployment)["--host"] == "127.0.0.1"


def adapter_in(folder: Path, **config: object) -> Path:
    folder.mkdir()
    (folder / "adapter_config.json").write_text(json.dumps({"base_model_name_or_path": "me/base", "r": 16, **config}))
    for name in ("adapter_model.safetensors", "tokenizer_config.json"):
        (folder / name).touch()
    return folder


@pytest.mark.usefixtures("with_vllm")
def test_an_adapter_is_served_on_its_base(endpoints: LocalEndpoints, tmp_path: Path) -> None:
    adapter = adapter_in(tmp_path / "adapter", rank_pattern={"q_proj": 20})
    told = served(endpoints, endpoints.deploy("tuned", str(adapter), "job-1", {}))
    assert (told["model"], told["--served-model-name"], told["--tokenizer"]) == ("me/base", "tuned-base", str(adapter))
    assert json.loads(told["--lora-modules"]) == {"name": "tuned", "path": str(adapter)}
    assert (told["--enable-lora"], told["--max-lora-rank"]) == ("", "32")
    assert told["--load-format"] == "safetensors"


@pytest.mark.usefixtures("with_vllm")
@pytest.mark.parametrize(
    ("config", "told"),
    [
        ({"base_model_name_or_path": None}, "does not say which model it is for"),
        ({"r": 600}, "is of rank 600, and vLLM takes 512 at most"),
    ],
)
def test_an_adapter_that_vllm_cannot_serve_is_told(
    endpoints: LocalEndpoints, tmp_path: Path, config: dict[str, object], told: str
) -> None:
    with pytest.raises(ProviderError, match=told):
        endpoints.deploy("odd", str(adapter_in(tmp_path / "adapter", **config)), "job-1", {})


@pytest.mark.usefixtures("with_vllm")
def test_an_adapter_in_a_format_that_can_run_code_is_not_loaded(endpoints: LocalEndpoints, tmp_path: Path) -> None:
    adapter = adapter_in(tmp_path / "adapter")
    (adapter / "adapter_model.safetensors").rename(adapter / "adapter_model.bin")
    with pytest.raises(ProviderError, match=r"has no adapter_model\.safetensors"):
        endpoints.deploy("pickle", str(adapter), "job-1", {})


def test_without_a_gpu_our_own_endpoint_serves_and_its_log_says_why(shared: LocalEndpoints, tiny: Deployment) -> None:
    assert tiny.status is DeploymentStatus.RUNNING
    assert log_of(shared, "tiny").startswith("engine: transformers (not vLLM: ")


@pytest.mark.usefixtures("gpu")
def test_there_is_no_gpu_where_none_may_be_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert vllm.gpu() == "NVIDIA H100 80GB HBM3"
    for hidden in ("", "-1"):
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", hidden)
        with pytest.raises(ConfigurationError, match="CUDA_VISIBLE_DEVICES hides all GPUs"):
            vllm.gpu()
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "1")
    for script, told in {
        "echo 'No devices were found'; exit 6": "finds no GPU: No devices were found",
        "exit 0": "finds no GPU: it names none",
    }.items():
        put_on_path("nvidia-smi", script, tmp_path / "bin", monkeypatch)
        with pytest.raises(ConfigurationError, match=told):
            vllm.gpu()


@pytest.mark.usefixtures("with_vllm")
def test_vllm_without_a_gpu_is_refused_and_auto_does_without(
    endpoints: LocalEndpoints, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    with pytest.raises(ConfigurationError, match="engine='vllm' cannot be had: CUDA_VISIBLE_DEVICES hides all GPUs"):
        endpoints.deploy("none", "m", "job-1", {"engine": "vllm"})
    assert not endpoints.token_file("none").parent.exists()
    assert engines.choose("auto").why == "engine: transformers (not vLLM: CUDA_VISIBLE_DEVICES hides all GPUs)"


@pytest.mark.usefixtures("gpu")
def test_vllm_without_its_environment_is_refused_with_the_command_that_makes_it(
    endpoints: LocalEndpoints, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FTKIT_CACHE", str(tmp_path / "cache"))
    with pytest.raises(ConfigurationError, match="an environment of its own, which is not there yet") as refused:
        endpoints.deploy("none", "m", "job-1", {"engine": "vllm"})
    assert "`ftkit vllm setup`" in str(refused.value.hint)
    assert "not there yet" in engines.choose("auto").why
    monkeypatch.setenv("FTKIT_VLLM_PYTHON", sys.executable)
    with pytest.raises(ConfigurationError, match="vllm is missing"):
        engines.choose("vllm")
    assert engines.choose("auto").command[-1] == "ftkit.providers.huggingface.serve"


@pytest.mark.usefixtures("with_vllm")
def test_our_own_is_taken_where_it_is_asked_for(endpoints: LocalEndpoints) -> None:
    assert engines.choose("transformers").why == "engine: transformers (as asked for)"
    assert engines.choose("auto").command == engines.choose("vllm").command
    with pytest.raises(ConfigurationError, match="engine"):
        endpoints.deploy("x", "m", "job-1", {"engine": "vlm"})


def ftkit(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "ftkit", "vllm", *arguments], check=False, capture_output=True, text=True
    )


@pytest.mark.usefixtures("with_vllm")
def test_the_doctor_tells_environment_and_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    told = ftkit("doctor")
    assert told.returncode == 0
    assert told.stdout.startswith("GPU: NVIDIA H100 80GB HBM3\n")
    assert "vllm: 0.33.0\n" in told.stdout
    assert told.stdout.endswith("vLLM can serve with it.\n")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    told = ftkit("doctor")
    assert told.returncode == 1
    assert "hides all GPUs" in told.stderr


def test_setup_installs_what_the_requirements_say(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FTKIT_CACHE", str(tmp_path / "cache"))
    made = f'[ "$1" = venv ] && mkdir -p "$5/bin" && ln -s {sys.executable} "$5/bin/python"'
    put_on_path("uv", f'echo "$*" >> {tmp_path}/asked.txt\n{made}\nexit 0', tmp_path / "bin", monkeypatch)
    done = ftkit("setup")  # it "succeeds", and installs nothing
    assert done.returncode == 2
    assert "vllm is missing" in done.stderr
    place = vllm.OWN.folder()
    requirements = Path(vllm.__file__).with_name("requirements-vllm.txt")
    python = place / "bin" / "python"
    _, install = (tmp_path / "asked.txt").read_text().splitlines()
    assert install == f"pip install --python {python} -r {requirements}"
    assert "vllm==0.33.0" in requirements.read_text().splitlines()
    assert ftkit("setup", "--remove").stdout == f"removed: {place}\n"
    assert not place.exists()
