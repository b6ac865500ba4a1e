"""Pickles in place of weights, beside them, and in checkpoints: none is run, and what holds one is refused in words."""

from __future__ import annotations

import argparse
import ast
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from bombs import FORMS, zipped
from hub_tools import USER, a_hub
from local_jobs_at_hand import IdleAutoTrain, IdleHuggingFace, build_model
from local_witness import end_all_below, until

import ftkit
from ftkit import Client, ConfigurationError, NotFoundError, Supervised
from ftkit.ledger import Ledger
from ftkit.models import JobRequest, JobStatus, TrainingFile
from ftkit.providers.autotrain import AutoTrainProvider, environment
from ftkit.providers.autotrain import train as autotrain_train
from ftkit.providers.huggingface import resolve, vllm_serve
from ftkit.providers.huggingface.weights import weights_problem
from ftkit.testing.tally import Tally, record

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator

HERE = Path(__file__).parent
SOURCE = Path(ftkit.__file__).parent
OFFLINE = {"OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1", "CUDA_VISIBLE_DEVICES": ""}


@pytest.fixture
def marker(tmp_path: Path) -> Generator[Path]:
    marker = tmp_path / "the-pickle-ran"
    yield marker
    assert not marker.exists()


def pickled_model(folder: Path, marker: Path) -> Path:
    """A model in the older form, which runs code when it is read."""
    build_model(folder)
    (folder / "model.safetensors").unlink()
    (folder / "pytorch_model.bin").write_bytes(zipped(marker))
    return folder


# -- for real --------------------------------------------------------------------------------------------------------

REFUSED = {
    "pytorch_model.bin alone": "no weights as safetensors",
    "an index with shards of pytorch": "names weights that are no safetensors in it",
    "an index that leads out of the folder": "names weights that are no safetensors in it",
    "a configuration that names a pickle": "names weights that are no safetensors in it",
    "an adapter of pytorch": "has no adapter_model.safetensors, and adapter_model.bin is not read",
    "an adapter of pytorch in a model's folder": "has no adapter_model.safetensors, and adapter_model.bin is not read",
    "optimizer.pt in its place": "holds more than numbers, which is not read",
    "scheduler.pt in its place": "holds more than numbers, which is not read",
    "rng_state.pth in its place": "holds more than numbers, which is not read",
}
PASSED_OVER = {
    "pickles beside model.safetensors": "ChatModel",
    "a model with code of its own": "ChatModel",
    "training_args.bin beside the rest": "succeeded",
    "optimizer.bin beside the rest": "succeeded",
    "anything.pkl beside the rest": "succeeded",
    "pytorch_model.bin beside the rest": "checkpoint-2 is not whole, and is left out",
    "pytorch_model.bin in place of the weights": "checkpoint-2 is not whole, and is left out",
    "pytorch_model.bin beside the rest, not sealed": "checkpoint-2 is not whole, and is left out",
    "optimizer.bin beside the rest, not sealed": "checkpoint-2 is not whole, and is left out",
}


@pytest.mark.slow
def test_no_pickle_is_run_where_models_are_loaded_and_jobs_go_on(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, HERE / "pickle_errands.py", tmp_path],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, **OFFLINE},
    )
    assert done.returncode == 0, done.stderr
    told: list[dict[str, Any]] = [json.loads(line) for line in done.stdout.splitlines() if line.startswith('{"what"')]
    bare = [each for each in told if each["what"] == "bare torch.load"]
    assert [each["ran"] for each in bare] == [True, True], "they are what they seem to be"
    tried = [each for each in told if each not in bare]
    assert {each["what"] for each in tried} == REFUSED.keys() | PASSED_OVER.keys()
    for each in tried:
        assert not each["ran"], each
        if each["what"] in REFUSED:
            assert each["told"].startswith("ConfigurationError: "), each
            assert "safetensors" in each["told"], each
        assert {**REFUSED, **PASSED_OVER}[each["what"]] in each["told"], each
    record(Tally("pickles in place of weights", "huggingface", len(tried)))


# -- before anything is loaded ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["huggingface", "autotrain"])
def test_a_pickled_model_is_refused_before_anything_is_sent(name: str, tmp_path: Path, marker: Path) -> None:
    model = pickled_model(tmp_path / "model", marker)
    jobs = tmp_path / "jobs"
    kind = IdleHuggingFace if name == "huggingface" else IdleAutoTrain
    provider = kind(jobs_folder=jobs)
    file = TrainingFile(id="file-1", provider=name)
    found = provider.problems(JobRequest(model=str(model), training_file=file, method=Supervised()))
    assert [problem.field for problem in found] == ["model"]
    assert "no weights as safetensors, and pytorch_model.bin is not read" in found[0].message
    with pytest.raises(NotFoundError, match="no weights as safetensors"):
        provider.deploy(str(model), "mine", {})
    assert not (jobs / "deployments" / "mine").exists()
    record(Tally("pickles in place of weights", f"{name}, asked for", len(found)))


def test_vllm_is_given_no_pickle(tmp_path: Path, marker: Path) -> None:
    model = pickled_model(tmp_path / "model", marker)
    adapter = tmp_path / "adapter"
    adapter.mkdir()
    (adapter / "adapter_config.json").write_text(json.dumps({"r": 4, "base_model_name_or_path": str(model)}))
    (adapter / "adapter_model.bin").write_bytes(zipped(marker))
    told = {str(model): "no weights as safetensors", str(adapter): r"adapter_model\.bin is not read"}
    for place, why in told.items():
        with pytest.raises(ConfigurationError, match=why):
            vllm_serve._model(place, "mine")
    (adapter / "adapter_model.safetensors").touch()
    with pytest.raises(ConfigurationError, match="no weights as safetensors"):
        vllm_serve._model(str(adapter), "mine")  # its base
    assert "--load-format=safetensors" in vllm_serve._OPTIONS
    environ = vllm_serve._environment(argparse.Namespace(threads=None, python=sys.executable), "token")
    assert environ["TORCH_FORCE_WEIGHTS_ONLY_LOAD"] == "1"
    record(Tally("pickles in place of weights", "vllm", len(told) + 1))


def test_no_pickle_is_fetched_from_the_hub(tmp_path: Path, marker: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files = {"config.json": b"{}", "model.safetensors": b"weights"}
    pickles = ("pytorch_model.bin", "training_args.bin", "optimizer.pt", "rng_state.pth", "x.pkl", "deep/y.pickle")
    with a_hub(monkeypatch, tmp_path) as hub:
        hub.add_repo(f"{USER}/both", files | dict.fromkeys(pickles, zipped(marker)))
        hub.add_repo(f"{USER}/old", {"config.json": b"{}", "pytorch_model.bin": zipped(marker)})
        folder = resolve._from_hub(f"{USER}/both", None, hub.api())
        assert {path.name for path in folder.rglob("*") if path.is_file()} >= files.keys()
        assert not [path for path in (tmp_path / "hf-home").rglob("*") if path.name in "".join(pickles)]
        assert not [asked for asked in hub.requests if asked.endswith(pickles)]
        assert weights_problem(folder) is None
        old = resolve._from_hub(f"{USER}/old", None, hub.api())
        assert "no weights as safetensors" in (weights_problem(old) or "")
    record(Tally("pickles in place of weights", "the Hub", len(pickles) + 1))


def test_a_checkpoint_in_shards_which_is_read_by_way_of_a_pickle_is_refused(tmp_path: Path) -> None:
    provider = IdleHuggingFace(jobs_folder=tmp_path / "jobs")
    file = TrainingFile(id="file-1", provider="huggingface")
    model = str(build_model(tmp_path / "model"))
    for name in ("state_dict_type", "fsdp_state_dict_type"):
        for kind, is_taken in {"SHARDED_STATE_DICT": False, "LOCAL_STATE_DICT": False, "full_state_dict": True}.items():
            options = {"fsdp": True, "processes": 2, "fsdp_config": {name: kind}}
            request = JobRequest(model=model, training_file=file, method=Supervised(), provider_options=options)
            found = [problem.message for problem in provider.problems(request)]
            assert bool(found) != is_taken, found
            assert all("by way of a pickle" in message for message in found)


def test_autotrain_reads_numbers_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD", "1")
    told = autotrain_train._environment(Path(sys.executable))
    assert told["TORCH_FORCE_WEIGHTS_ONLY_LOAD"] == "1"
    assert "TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD" not in told


# -- the source ------------------------------------------------------------------------------------------------------

READS_PICKLES = {
    "pickle.load",
    "pickle.loads",
    "pickle.Unpickler",
    "torch.load",
    "joblib.load",
    "np.load",
    "numpy.load",
}
READS_PICKLES |= {"pandas.read_pickle", "pd.read_pickle", "dill.load", "dill.loads", "shelve.open", "marshal.loads"}


def calls(tree: ast.AST) -> Iterator[tuple[str, set[str]]]:
    """Yields what is called, and with which keywords, as `name=value` where the value is plain."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            yield ast.unparse(node.func), {ast.unparse(keyword).replace(" ", "") for keyword in node.keywords}


def test_no_line_of_ours_reads_a_pickle_or_trusts_code() -> None:
    loads = 0
    # The attacks hand functions of their own to processes of their own, and are no part of what a user runs.
    for path in (path for path in SOURCE.rglob("*.py") if "attacks" not in path.relative_to(SOURCE).parts):
        for called, keywords in calls(ast.parse(path.read_text(encoding="utf-8"))):
            where = f"{path.relative_to(SOURCE)}: {called}({', '.join(sorted(keywords))})"
            assert called not in READS_PICKLES, where
            assert not keywords & {"trust_remote_code=True", "allow_pickle=True", "weights_only=False"}, where
            is_table = path == SOURCE / "tokens.py"  # splintr's: a name of an encoding in its own package
            is_ours = "inside" not in path.parts and "PeftModel" not in called and not is_table
            if called.endswith(".from_pretrained") and is_ours:
                assert "trust_remote_code=False" in keywords, where
                assert "AutoModel" not in called or "use_safetensors=True" in keywords, where
                loads += 1
    assert loads >= 6, "there are some"


# -- whole jobs ------------------------------------------------------------------------------------------------------


@pytest.fixture
def offline(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Generator[None]:
    for name, value in OFFLINE.items():
        monkeypatch.setenv(name, value)
    yield
    end_all_below(tmp_path)


def tiny(folder: Path) -> Path:
    script = HERE.parent / "huggingface" / "tiny_model.py"
    subprocess.run([sys.executable, script, folder], check=True, env={**os.environ, **OFFLINE})
    return folder


def chats(path: Path) -> Path:
    rows = [{"messages": [{"role": r, "content": f"{n} is {n}"} for r in ("user", "assistant")]} for n in range(32)]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


@pytest.mark.full
@pytest.mark.usefixtures("offline")
def test_a_job_whose_checkpoint_was_tampered_with_fails_in_words_and_goes_on_without_it(
    tmp_path: Path, marker: Path
) -> None:
    model, jobs = tiny(tmp_path / "model"), tmp_path / "jobs"
    client = Client("huggingface", ledger=Ledger(tmp_path / "ledger"), jobs_folder=jobs)
    asked: dict[str, Any] = {"model": str(model), "train": chats(tmp_path / "train.jsonl"), "progress": False}
    asked |= {"method": Supervised(n_epochs=100, batch_size=8), "provider_options": {"save_steps": 5, "max_length": 64}}
    job = client.fine_tune(**asked, wait=False)
    until(lambda: len(client.list_checkpoints(job)) > 1, "there are no checkpoints")
    client.pause_job(job)
    until(lambda: client.get_job(job).status is JobStatus.PAUSED, "it does not pause")
    place = jobs / job.id / "checkpoints" / f"checkpoint-{client.list_checkpoints(job)[0].step}"
    for form, make in FORMS.items():
        (place / "optimizer.pt").write_bytes(make(marker))
        mark = json.loads((place / "complete.json").read_text())
        mark["files"]["optimizer.pt"] = (place / "optimizer.pt").stat().st_size
        (place / "complete.json").write_text(json.dumps(mark))
        if form == "plain":
            client.resume_job(job)
            until(lambda: client.get_job(job).status.is_terminal, "it does not end")
            ended = client.get_job(job)
            assert ended.status is JobStatus.FAILED
            assert "holds more than numbers, which is not read" in (ended.error or "")
            assert "safetensors" in (ended.error or "")
    with client.deployed(client.list_checkpoints(job)[0], threads=1) as deployment:  # its weights are no pickle
        assert client.chat(deployment, "?", max_tokens=2).finish_reason in {"stop", "length"}
    record(Tally("pickles in place of weights", "huggingface, a whole job", len(FORMS)))


@pytest.mark.full
@pytest.mark.usefixtures("offline")
def test_autotrain_loads_no_pickle_in_its_own_environment(tmp_path: Path, marker: Path) -> None:
    python = environment.setup(print).python
    model = tiny(tmp_path / "model")
    provider = AutoTrainProvider(jobs_folder=tmp_path / "jobs", python=python)
    file = provider.upload(chats(tmp_path / "train.jsonl"), "file")
    options = {"chat_template": "zephyr", "block_size": 32}
    request = JobRequest(
        model=str(model), training_file=file, method=Supervised(batch_size=4), provider_options=options
    )
    good = provider.create_job(request, "good")
    for form, make in FORMS.items():
        bad = tmp_path / f"pickled-{form}"
        bad.mkdir()
        for path in model.iterdir():
            if path.is_file() and path.suffix != ".safetensors":
                (bad / path.name).write_bytes(path.read_bytes())
        (bad / "pytorch_model.bin").write_bytes(make(marker))
        job = provider.create_job(request.model_copy(update={"model": str(bad)}), form)  # past what is checked before
        until(lambda job=job: provider.get_job(job.id).status.is_terminal, "it does not end")
        ended = provider.get_job(job.id)
        assert ended.status is JobStatus.FAILED
        assert "model.safetensors" in (ended.error or "")
        assert not marker.exists()
    until(lambda: provider.get_job(good.id).status.is_terminal, "it does not end")
    assert provider.get_job(good.id).status is JobStatus.SUCCEEDED, provider.get_job(good.id).error
    record(Tally("pickles in place of weights", "autotrain", len(FORMS)))
